"""The mappings that ship, and those of users."""

import functools
import re
from collections.abc import Mapping
from importlib import resources

from adloom.field_mapping import FieldMapping, MappingError, parse_mapping

DEFAULT = "google"


@functools.cache
def shipped() -> Mapping[str, FieldMapping]:
    """The shipped mappings by name."""
    folder = resources.files(__name__)
    found = {DEFAULT: _read(DEFAULT, {})}
    names = sorted(f.name.removesuffix(".yaml") for f in folder.iterdir() if ".yaml" in f.name)
    for name in names:
        found.setdefault(name, _read(name, found))
    return found


def _read(name: str, bases: Mapping[str, FieldMapping]) -> FieldMapping:
    text = resources.files(__name__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    return parse_mapping(text, where=f"{name}.yaml", shipped=bases)


def find_mapping(given: str, *, where: str = "the source's mapping") -> FieldMapping:
    """The mapping of a shipped name, or the one that a YAML text holds. Raises MappingError."""
    if not re.fullmatch(r"[a-z0-9-]+", given.strip()):
        return parse_mapping(given, where=where, shipped=shipped())
    if given.strip() not in shipped():
        raise MappingError(
            f"there is no mapping '{given}'",
            hint=f"there are {', '.join(shipped())}; or give the path of a YAML file of your own",
        )
    return shipped()[given.strip()]
