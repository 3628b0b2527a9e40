"""A run over a fleet whose parts are killed at random, and what must hold at its end."""
