"""What this process is made of."""

from functools import cache
from importlib.metadata import version

from adloom import __version__
from adloom.fleet_builds import Build
from adloom.render_spec import RENDERER_VERSION
from db.migrate import head


@cache
def own_build() -> Build:
    """The versions of this process, as it states them in its worker's row."""
    return Build(__version__, head(), RENDERER_VERSION, version("prefect"))
