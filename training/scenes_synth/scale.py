"""How finely everything is drawn. Read once, before anything is drawn: `draw_shards` starts its
workers with it set."""

import os
from typing import Final

VARIABLE: Final = "ADLOOM_SCENES_SCALE"
PX: Final = int(os.environ.get(VARIABLE, "1"))
"""Pixels per pixel of the 128 px class: 2 draws products, references and soft edges for 256 px."""
