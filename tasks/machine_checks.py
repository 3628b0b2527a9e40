"""What `adloom doctor` asks of its own machine: weights, device, disk."""

import shutil
from pathlib import Path

from adloom.errors import ModelError
from adloom.findings import Finding, doubtful, well, wrong
from tasks.weights import verify_weights

_GB = 1e9
DISK_LOW_GB, DISK_NONE_GB = 10.0, 2.0
DEVICE_LOW_GB = 6.0
"""A model of SD1.5's size, its references and a micro-batch of 512 px pictures take about this."""


def weights(root: Path) -> Finding:
    """Every folder of weights against its bill; each file is hashed."""
    folders = sorted(index.parent for index in root.glob("*/model_index.json"))
    if not folders:
        return wrong(
            f"{root}: there are no weights", "set ADLOOM_WEIGHTS to a folder that has some"
        )
    unbilled: list[str] = []
    hashes: list[str] = []
    for folder in folders:
        try:
            found = verify_weights(folder.name, root)
        except ModelError as error:
            unbilled.append(f"{folder.name}: {error.message}")
            continue
        if not found.holds:
            files = (*found.differences.changed, *found.differences.missing)
            some = ", ".join((*files, *found.differences.unlisted)[:3])
            return wrong(
                f"{folder}: the files are not those on the bill: {some}",
                f"bring back the weights, or see `adloom weights verify {folder.name}`",
            )
        hashes.append(f"{folder.name} {found.weights_hash[:12]}")
    if unbilled:
        return doubtful("; ".join(unbilled), "write a bill: `adloom weights declare`")
    return well(f"{', '.join(hashes)}: as on their bills")


def device(name: str) -> Finding:
    """Whether the device can be used, and how much of its memory is free."""
    from models.device import memory_bytes  # imports torch
    from models.refadgen.dtypes import check_device

    check_device(name)
    memory = memory_bytes(name)
    if memory is None:
        return well(name)
    free_gb, all_gb = (n / _GB for n in memory)
    said = f"{name}: {free_gb:.1f} of {all_gb:.0f} GB are free"
    if free_gb < DEVICE_LOW_GB:
        return doubtful(said, "end what else uses it (nvidia-smi), or name another device")
    return well(said)


def disk(home: Path) -> Finding:
    """Room for what is kept in the home: logs, locks, and database and objects if they are here."""
    there = next(p for p in (home, *home.parents) if p.exists())
    free_gb = shutil.disk_usage(there).free / _GB
    said, mend = f"{free_gb:.0f} GB free at {there}", "free some, or move ADLOOM_HOME"
    if free_gb < DISK_NONE_GB:
        return wrong(said, mend)
    return doubtful(said, mend) if free_gb < DISK_LOW_GB else well(said)
