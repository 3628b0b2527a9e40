"""A folder of triplets as it is: the authors' AdProd-100K, or one that this project built."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from adloom.errors import NotFoundError, SpecError
from training.adprod.annotations import (
    AD_FOLDER,
    MASK_FOLDER,
    PRODUCT_FOLDER,
    Annotation,
    read_annotations,
)

NOT_ANNOTATIONS = frozenset({"report.json", "build.json"})


@dataclass(frozen=True, slots=True)
class Triplet:
    """One training item, its files found: the ad, a product picture on white, `mask` as annotated,
    `ad_mask` where the product stands in the ad, and `product_mask` of that very picture (None
    where the data set has none). `key` is the product's."""

    ad: Path
    product: Path
    mask: Path
    ad_mask: Path
    product_mask: Path | None
    captions: tuple[str, ...]
    category: str
    key: str


@dataclass(frozen=True, slots=True)
class Listing:
    """What a folder holds; `missing` names each file that an annotation names and that is not
    there (its triplet is left out), `uncaptioned` the ads without a caption."""

    triplets: tuple[Triplet, ...]
    missing: tuple[str, ...]
    uncaptioned: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.triplets)


def list_triplets(folder: Path, split: str = "") -> Listing:
    """The triplets of a folder: of `{split}.json`, or of every JSON list that lies in it.

    Files may lie in the three folders or anywhere below them. Raises NotFoundError where there are
    no annotations, SpecError where they cannot be used.
    """
    annotations = [a for path in _annotation_files(folder, split) for a in read_annotations(path)]
    files = {kind: _Files(folder / kind) for kind in (AD_FOLDER, PRODUCT_FOLDER, MASK_FOLDER)}
    triplets: list[Triplet] = []
    missing: dict[str, None] = {}
    uncaptioned: dict[str, None] = {}
    for annotation in annotations:
        if not annotation.image_text:
            uncaptioned[annotation.original_image] = None
            continue
        found = {
            f"{AD_FOLDER}/{annotation.original_image}": files[AD_FOLDER],
            f"{PRODUCT_FOLDER}/{annotation.mask_image}": files[PRODUCT_FOLDER],
            f"{MASK_FOLDER}/{annotation.mask_npy}": files[MASK_FOLDER],
        }
        lost = [name for name, kind in found.items() if kind.find(_within(name)) is None]
        missing |= dict.fromkeys(lost)
        if not lost:
            triplets.append(_triplet(annotation, files))
    return Listing(tuple(triplets), tuple(missing), tuple(uncaptioned))


def _within(name: str) -> str:
    return name.partition("/")[2]


def _annotation_files(folder: Path, split: str) -> list[Path]:
    if not folder.is_dir():
        raise NotFoundError("no such folder", where=str(folder))
    if split:
        path = folder / f"{split}.json"
        if not path.is_file():
            raise NotFoundError("no such split", where=str(path), hint="train or test")
        return [path]
    found = sorted(p for p in folder.glob("*.json") if p.name not in NOT_ANNOTATIONS)
    if not found:
        raise NotFoundError(
            "no annotations in this folder",
            where=str(folder),
            hint=f"the JSON list lies beside {AD_FOLDER}, {PRODUCT_FOLDER} and {MASK_FOLDER}",
        )
    return found


class _Files:
    """The files of one kind, by the names that annotations use; listed once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._below: dict[str, Path] | None = None

    def find(self, name: str) -> Path | None:
        straight = self._folder / name
        if straight.is_file():
            return straight
        if self._below is None:
            self._below = {p.name: p for p in sorted(self._folder.rglob("*")) if p.is_file()}
        return self._below.get(Path(name).name)


def _triplet(annotation: Annotation, files: dict[str, _Files]) -> Triplet:
    """The paths of an annotation whose files are known to be there."""
    paths = {
        AD_FOLDER: files[AD_FOLDER].find(annotation.original_image),
        PRODUCT_FOLDER: files[PRODUCT_FOLDER].find(annotation.mask_image),
        MASK_FOLDER: files[MASK_FOLDER].find(annotation.mask_npy),
    }
    ad, product, mask = (paths[kind] for kind in (AD_FOLDER, PRODUCT_FOLDER, MASK_FOLDER))
    if ad is None or product is None or mask is None:
        raise SpecError("a file went away while the folder was read", where=str(annotation))
    stem = Path(annotation.original_image).stem
    own = files[MASK_FOLDER].find(annotation.product_mask) if annotation.product_mask else None
    return Triplet(
        ad,
        product,
        mask,
        files[MASK_FOLDER].find(f"{stem}.npy") or mask,
        own,
        annotation.image_text,
        annotation.image_type,
        annotation.product or stem,
    )


def categories(triplets: Iterable[Triplet]) -> Iterator[tuple[str, int]]:
    """Triplets of each category, by name."""
    counts: dict[str, int] = {}
    for triplet in triplets:
        counts[triplet.category] = counts.get(triplet.category, 0) + 1
    yield from sorted(counts.items())
