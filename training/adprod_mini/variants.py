"""Which of mitsuba's variants renders. Imported before anything that needs one."""

import os
from pathlib import Path

from adloom.errors import ModelError


def choose_variant(wanted: str = "") -> str:
    """Sets mitsuba's variant: `wanted`, else LLVM's where its library is new enough to be used,
    else the plain one. ModelError where mitsuba is not installed or has no such variant."""
    try:
        import mitsuba as mi
    except ImportError as error:
        raise ModelError(
            "mitsuba is not installed", hint="pip install 'adloom[rendering]'"
        ) from error
    name = wanted or ("llvm_ad_rgb" if _llvm() else "scalar_rgb")
    if name not in mi.variants():
        raise ModelError(f"no variant {name}", where="mitsuba", hint=", ".join(mi.variants()))
    mi.set_variant(name)
    return name


def _llvm() -> bool:
    """Whether DRJIT_LIBLLVM_PATH names a library; versions before 16 abort the process, so none
    is looked for by guess."""
    return Path(os.environ.get("DRJIT_LIBLLVM_PATH", "")).is_file()
