"""`adloom adprod build`: a folder of ad pictures -> a data set, resumable and in parallel."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from adloom.errors import ConflictError, SpecError
from training.adprod.annotations import AD_FOLDER, Annotation, write_annotations
from training.adprod.captioning import Captioner
from training.adprod.example import Making, Tools, make_example, stamp_of
from training.adprod.files import remove_unfinished, write_atomically
from training.adprod.filters import Reason
from training.adprod.networks import STROKES, U2NETP, load_extractor, load_text_detector
from training.adprod.records import ImageRecord, read_record, read_records, write_record
from training.adprod.report import Report, write_report
from training.adprod.sources import Source, find_sources, unknown_pictures
from training.adprod.splitting import SPLITS, split_of
from training.augment.depth import DepthEstimator

SETTINGS = "build.json"
AHEAD = 4  # pictures handed out per process, so that none waits and few are lost


@dataclass(frozen=True, slots=True)
class Build:
    """What to build and with what. `extractor` and `text` are names (`training.adprod.networks`),
    `depth` a folder or hub id of a depth network, empty for the silhouette's relief."""

    pictures: Path
    out: Path
    captions: Path | None = None
    extractor: str = U2NETP
    text: str = STROKES
    depth: str = ""
    device: str = "cpu"
    workers: int = 1
    offline: bool = False
    making: Making = field(default_factory=Making)


def build(
    task: Build,
    captioner: Captioner | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Build the data set, or go on where a build of the same settings stopped.

    Pictures without captions are left out unless there is a `captioner`. `progress` is called with
    how many of how many pictures are done. Raises NotFoundError and SpecError for what cannot be
    built from, ConflictError for a folder that was built with other settings, ModelError and
    ConfigurationError where a network is missing.
    """
    sources = find_sources(task.pictures, task.captions)
    if not captioner and not any(s.captions for s in sources):
        raise SpecError(
            "no picture has a caption",
            where=str(task.captions or task.pictures),
            hint="give --captions FILE, or --captioner MODEL",
        )
    tools = _tools(task)
    _begin(task, tools, captioner.version if captioner else "")
    _make_missing(task, sources, tools, captioner is not None, progress or _unseen)
    if captioner:
        _caption_missing(task, sources, captioner)
    unknown = unknown_pictures(sources, task.captions) if task.captions else []
    return _assemble(task, sources, unknown)


def _unseen(done: int, of: int) -> None:
    """Nobody follows."""
    del done, of


def _begin(task: Build, tools: Tools, captioner: str) -> None:
    """Note the settings; refuse a folder of others."""
    settings = {
        "making": asdict(task.making),
        "extractor": tools.extractor.version,
        "text": tools.text.version,
        "relief": task.depth or "silhouette",
        "captioner": captioner,
    }
    path = task.out / SETTINGS
    if path.exists():
        before = json.loads(path.read_text())
        changed = sorted(
            k for k in settings if before.get(k) != json.loads(json.dumps(settings[k]))
        )
        if changed:
            raise ConflictError(
                f"this folder was built with other settings: {', '.join(changed)}",
                where=str(task.out),
                hint="build into another folder, or with the settings of build.json",
            )
    else:
        write_atomically(path, (json.dumps(settings, indent=1) + "\n").encode())
    remove_unfinished(task.out)


def _tools(task: Build) -> Tools:
    depth = (
        DepthEstimator.load(task.depth, device=task.device, offline=task.offline)
        if task.depth
        else None
    )
    return Tools(
        load_extractor(task.extractor, task.device, offline=task.offline),
        load_text_detector(task.text),
        depth,
        task.device,
    )


def _is_done(task: Build, source: Source, captioned: bool) -> bool:
    record = read_record(task.out, source.path)
    if record is None or (record.reason is Reason.NO_CAPTION and (source.captions or captioned)):
        return False
    try:
        return record.stamp == stamp_of(task.pictures / source.path)
    except OSError:
        return False


def _make_missing(
    task: Build,
    sources: Sequence[Source],
    tools: Tools,
    captioned: bool,
    progress: Callable[[int, int], None],
) -> None:
    missing = [s for s in sources if not _is_done(task, s, captioned)]
    wanted = [s for s in missing if s.captions or captioned]
    for source in missing:
        if not source.captions and not captioned:
            write_record(task.out, _uncaptioned(task, source))
    done = len(sources) - len(wanted)
    progress(done, len(sources))
    for record in _records(task, wanted, tools):
        write_record(task.out, record)
        done += 1
        progress(done, len(sources))


def _uncaptioned(task: Build, source: Source) -> ImageRecord:
    path = task.pictures / source.path
    return ImageRecord(
        source.path, stamp_of(path), "", "", source.category, source.product,
        reason=Reason.NO_CAPTION, detail="the captions file has no caption for it",
    )  # fmt: skip


def _records(task: Build, sources: Sequence[Source], tools: Tools) -> Iterator[ImageRecord]:
    """The records of the pictures, as they become ready."""
    if task.workers == 1:
        for source in sources:
            yield make_example(task.pictures, source, task.out, task.making, tools)
        return
    context = get_context("spawn")
    with ProcessPoolExecutor(task.workers, context, _start_process, (task,)) as pool:
        rest = iter(sources)
        running: set[Future[ImageRecord]] = set()
        while True:
            for source in islice(rest, task.workers * AHEAD - len(running)):
                running.add(pool.submit(_example, source))
            if not running:
                return
            ready, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in ready)


_process: tuple[Build, Tools] | None = None
"""A worker process's own: set once when it starts."""


def _start_process(task: Build) -> None:
    global _process
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    _process = task, _tools(task)


def _example(source: Source) -> ImageRecord:
    assert _process is not None, "a worker process has not started"
    task, tools = _process
    return make_example(task.pictures, source, task.out, task.making, tools)


def _caption_missing(task: Build, sources: Sequence[Source], captioner: Captioner) -> None:
    """Captions for accepted pictures that have none; each is kept as soon as it is written."""
    for record in read_records(task.out, [s.path for s in sources]):
        if not record.accepted or record.captions:
            continue
        ad = np.asarray(Image.open(task.out / AD_FOLDER / f"{record.name}.png").convert("RGB"))
        captions = captioner.captions(ad, record.category)
        if captions:
            write_record(task.out, replace(record, captions=captions))
        else:
            said = "the captioner said nothing"
            write_record(task.out, replace(record, reason=Reason.NO_CAPTION, detail=said))


def _assemble(task: Build, sources: Sequence[Source], unknown: Sequence[str]) -> Report:
    """Annotations, report and sheet from the records, in the order of the pictures' paths."""
    records = without_duplicates(
        told_now(read_records(task.out, [s.path for s in sources]), sources)
    )
    for split in SPLITS:
        write_annotations(
            task.out / f"{split}.json",
            (
                a
                for r in records
                if r.accepted and split_of(r.product) == split
                for a in annotations(r)
            ),
        )
    settings = json.loads((task.out / SETTINGS).read_text())
    report = Report.of(records, settings, unknown)
    write_report(task.out, report, records)
    return report


def told_now(records: Iterable[ImageRecord], sources: Sequence[Source]) -> Iterator[ImageRecord]:
    """The records with what the captions file says today."""
    told = {s.path: s for s in sources}
    for record in records:
        source = told[record.path]
        yield replace(
            record,
            category=source.category,
            product=source.product or record.name,
            captions=source.captions or record.captions,
        )


def without_duplicates(records: Iterable[ImageRecord]) -> list[ImageRecord]:
    """The records; of pictures with the same bytes only the first one is accepted."""
    first: dict[str, str] = {}
    kept: list[ImageRecord] = []
    for record in records:
        if record.accepted:
            before = first.setdefault(record.sha256, record.path)
            if before != record.path:
                record = replace(record, reason=Reason.DUPLICATE, detail=f"the same as {before}")
        kept.append(record)
    return kept


def annotations(record: ImageRecord) -> Iterator[Annotation]:
    """One for each variant."""
    for variant in record.variants:
        novel = variant.mask.endswith("_gs.npy")
        yield Annotation(
            image_type=record.category,
            original_image=f"{record.name}.png",
            mask_image=variant.picture,
            mask_npy=variant.mask if novel else f"{record.name}.npy",
            image_text=record.captions,
            product=record.product,
            product_mask=variant.mask,
        )
