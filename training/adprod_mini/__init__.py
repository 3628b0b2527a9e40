"""AdProd-mini: made-up products in made-up scenes, traced by mitsuba, with true further views.

The generator is part of the project, its pictures are not: `python -m training adprod-mini` makes
them. Scenes and captions follow the grammar of `training.scenes_synth`, so that a model can go on
from the one set to the other.
"""
