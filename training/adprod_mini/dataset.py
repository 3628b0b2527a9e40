"""Many samples, in parallel, as the trainer's shards; killed and started again it goes on.

OUT/parts/000123.npz        one sample, there whole or not at all; removed when all are done
OUT/128x128.ads.npy …       `training.shards`: a row for every ad and reference
OUT/128x128.rows.json       what each row shows: family, surface, light, props, the turn
OUT/adprod-mini.json        the recipe, and whether all is done
"""

import io
import json
import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from adloom.errors import ModelError
from training.adprod.files import remove_unfinished, write_atomically
from training.shards import ARRAYS, Shard, write_shard

if TYPE_CHECKING:
    from training.adprod_mini.samples import MiniSample, Recipe

MANIFEST: Final = "adprod-mini.json"
PARTS: Final = "parts"
VERSION: Final = 1
"""Raised when the same recipe gives other pictures than before."""

AHEAD: Final = 4
"""Samples handed to each worker at a time, at most."""


def make_dataset(
    out: Path, recipe: "Recipe", count: int, workers: int, variant: str
) -> Iterator[str]:
    """Makes what is missing of `count` samples; yields lines of progress.

    ModelError where OUT holds samples of another recipe, or a worker died.
    """
    out.mkdir(parents=True, exist_ok=True)
    manifest = _manifest(recipe, count, variant)
    if _is_done(out, manifest):
        yield f"{count} samples are there already"
        return
    (out / PARTS).mkdir(exist_ok=True)
    remove_unfinished(out / PARTS)
    missing = [i for i in range(count) if not _part(out, i).is_file()]
    yield from _render_all(out, recipe, missing, workers, variant)
    yield from _assemble(out, recipe, count)
    _write_json(out / MANIFEST, manifest | {"done": True})
    for path in (out / PARTS).glob("*.npz"):
        path.unlink()
    (out / PARTS).rmdir()


def read_rows(folder: Path, native: tuple[int, int]) -> list[dict[str, Any]]:
    """What each row of a shard shows. ModelError where the folder does not say."""
    path = folder / f"{native[0]}x{native[1]}.rows.json"
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ModelError(
            f"nothing is known of what the samples show: {error}",
            where=str(path),
            hint="make them with `python -m training adprod-mini`",
        ) from error


def _manifest(recipe: "Recipe", count: int, variant: str) -> dict[str, Any]:
    return {
        "version": VERSION,
        "count": count,
        "variant": variant,
        **asdict(recipe) | {"hdris": [p.name for p in recipe.hdris]},
    }


def _is_done(out: Path, manifest: dict[str, Any]) -> bool:
    path = out / MANIFEST
    if not path.is_file():
        _write_json(path, manifest)
        return False
    written = json.loads(path.read_text())
    done = bool(written.pop("done", False))
    changed = [k for k, v in json.loads(json.dumps(manifest)).items() if written.get(k) != v]
    if changed:
        raise ModelError(
            f"{', '.join(changed)} differ from what the samples there were made with",
            where=str(path),
            hint="give the same options, or another folder",
        )
    return done


def _write_json(path: Path, content: dict[str, Any]) -> None:
    write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())


def _part(out: Path, index: int) -> Path:
    return out / PARTS / f"{index:06d}.npz"


def _render_all(
    out: Path, recipe: "Recipe", missing: list[int], workers: int, variant: str
) -> Iterator[str]:
    """Every missing sample by one of the workers; a line every twentieth part."""
    started, done, queue = time.monotonic(), 0, iter(missing)
    # Not forked: the renderer starts threads of its own.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _begin, (variant,)) as pool:
        running: set[Future[None]] = set()
        try:
            while done < len(missing):
                while len(running) < AHEAD * workers and (index := next(queue, None)) is not None:
                    running.add(pool.submit(_render_part, out, recipe, index))
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                before = done
                for future in finished:
                    future.result()
                    done += 1
                step = max(1, len(missing) // 20)
                if done // step > before // step:
                    rate = done / (time.monotonic() - started)
                    yield f"{done}/{len(missing)} samples, {rate:.2f}/s"
        except BrokenProcessPool as error:
            raise ModelError(
                f"a worker died under mitsuba's {variant}",
                where=str(out),
                hint="start again: it goes on where it stopped; try --variant scalar_rgb",
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _begin(variant: str) -> None:
    """A worker's start: one core each."""
    from training.adprod_mini.variants import choose_variant

    choose_variant(variant)
    import drjit

    drjit.set_thread_count(1)


def _render_part(out: Path, recipe: "Recipe", index: int) -> None:
    from training.adprod_mini.samples import make_sample

    write_atomically(_part(out, index), _packed(make_sample(recipe, index)))


def _packed(sample: "MiniSample") -> bytes:
    rows = [
        sample.shown
        | {"view": k, "yaw_deg": r.yaw_deg, "pitch_deg": r.pitch_deg, "degraded": r.degraded}
        for k, r in enumerate(sample.references)
    ]
    held = io.BytesIO()
    np.savez_compressed(
        held,
        ad=sample.ad,
        mask=sample.mask,
        frame=np.array(sample.frame, np.float32),
        products=np.stack([r.picture for r in sample.references]),
        text=np.array(json.dumps({"caption": sample.caption, "rows": rows})),
    )
    return held.getvalue()


def _assemble(out: Path, recipe: "Recipe", count: int) -> Iterator[str]:
    """One shard per native size: a row for every ad and reference."""
    from training.adprod_mini.samples import native_of

    of_native: dict[tuple[int, int], list[int]] = {}
    for index in range(count):
        of_native.setdefault(native_of(index, recipe.size_px), []).append(index)
    for native, indices in of_native.items():
        shard, rows = _shard(out, native, indices)
        write_shard(out, shard)
        text = json.dumps(rows)
        write_atomically(out / f"{native[0]}x{native[1]}.rows.json", text.encode())
        yield f"{native[0]}x{native[1]}: {len(indices)} ads, {len(shard)} rows"


def _shard(
    out: Path, native: tuple[int, int], indices: list[int]
) -> tuple[Shard, list[dict[str, Any]]]:
    arrays: dict[str, list[Any]] = {name: [] for name in ARRAYS}
    captions: list[str] = []
    rows: list[dict[str, Any]] = []
    for index in indices:
        with np.load(_part(out, index), allow_pickle=False) as part:
            text = json.loads(str(part["text"]))
            products = part["products"]
            fixed = {"ads": part["ad"], "masks": part["mask"], "frames": part["frame"]}
        for k, product in enumerate(products):
            for name, value in (fixed | {"products": product}).items():
                arrays[name].append(value)
            captions.append(text["caption"])
            rows.append(text["rows"][k] | {"index": index})
    return Shard(native, captions=captions, **{n: np.stack(a) for n, a in arrays.items()}), rows
