"""Which of mitsuba's variants renders. Set before anything that needs one is imported."""

from adloom.errors import ModelError

USUAL = "scalar_rgb"
"""Needs nothing. LLVM's compiles each scene anew: at a few ten thousand pixels that takes longer
than the picture (3 to 5 times, measured at 128 px)."""


def choose_variant(wanted: str = "") -> str:
    """Sets mitsuba's variant and names it. ModelError where mitsuba is not installed or has no such
    variant."""
    try:
        import mitsuba as mi
    except ImportError as error:
        raise ModelError(
            "mitsuba is not installed", hint="pip install 'adloom[rendering]'"
        ) from error
    name = wanted or USUAL
    if name not in mi.variants():
        raise ModelError(f"no variant {name}", where="mitsuba", hint=", ".join(mi.variants()))
    mi.set_variant(name)
    return name
