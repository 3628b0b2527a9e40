"""RefAdGen: a product picture, a scene text and a product mask -> an advertising picture."""
