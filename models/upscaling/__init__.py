"""Super-resolution networks: a picture of few pixels becomes one of several times as many."""
