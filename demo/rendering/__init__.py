"""A small product studio: numpy surfaces, Pillow labels, rendered by mitsuba.

Needs the packages `mitsuba` and `pyoidn`, which nothing else in the project does: the pictures it
makes are kept in `demo/products/images`.
"""
