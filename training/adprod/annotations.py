"""The annotation format of AdProd-100K: a JSON list of objects, and three folders beside it.

    {"image_type": "backpack", "original_image": "X.png", "mask_image": "X_01.png",
     "mask_npy": "X.npy", "image_text": ["…", …]}

`original_image` lies in `Ad Image/`, `mask_image` (a variant of the product on white) in
`Product Image/`, `mask_npy` in `mask_npy/`: X.npy where the product stands in the ad, X_gs.npy for
a variant seen from elsewhere. Files that this project writes also carry `product` (the key that the
split goes by) and `product_mask` (the mask of that very variant).
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adloom.errors import Problem, SpecError
from training.adprod.files import write_atomically

AD_FOLDER, PRODUCT_FOLDER, MASK_FOLDER = "Ad Image", "Product Image", "mask_npy"


@dataclass(frozen=True, slots=True)
class Annotation:
    """One variant of one ad's product: file names, each in the folder of its kind; captions."""

    image_type: str
    original_image: str
    mask_image: str
    mask_npy: str
    image_text: tuple[str, ...]
    product: str = ""
    product_mask: str = ""

    def document(self) -> dict[str, Any]:
        """As JSON: fields that the format does not require are left out if empty."""
        written: dict[str, Any] = {
            "image_type": self.image_type,
            "original_image": self.original_image,
            "mask_image": self.mask_image,
            "mask_npy": self.mask_npy,
            "image_text": list(self.image_text),
        }
        optional = {"product": self.product, "product_mask": self.product_mask}
        return written | {k: v for k, v in optional.items() if v}


def write_annotations(path: Path, annotations: Iterable[Annotation]) -> None:
    """One object a line, so that two versions can be compared."""
    lines = [json.dumps(a.document(), ensure_ascii=False) for a in annotations]
    text = "[\n" + ",\n".join(lines) + "\n]\n" if lines else "[]\n"
    write_atomically(path, text.encode())


def read_annotations(path: Path) -> list[Annotation]:
    """Raises SpecError, which names every object that cannot be used."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SpecError(
            f"the annotations cannot be read: {error}",
            where=str(path),
            hint="give AdProd's JSON list, or a folder that holds one",
        ) from error
    if not isinstance(content, list):
        raise SpecError("a JSON list is expected", where=str(path), hint="see docs/adprod.md")
    found, problems = [], []
    for number, entry in enumerate(content):
        try:
            found.append(_annotation(entry))
        except ValueError as error:
            problems.append(Problem(None, f"[{number}]", str(error)))
    if problems:
        raise SpecError(where=str(path), problems=tuple(problems[:50]))
    return found


def _annotation(entry: Any) -> Annotation:
    if not isinstance(entry, dict):
        raise ValueError("an object is expected")
    texts = entry.get("image_text", [])
    texts = [texts] if isinstance(texts, str) else texts
    if not isinstance(texts, list) or not all(isinstance(t, str) for t in texts):
        raise ValueError("image_text: a list of captions is expected")
    names = {}
    for field in ("original_image", "mask_image", "mask_npy"):
        name = entry.get(field)
        if not isinstance(name, str) or not name or Path(name).is_absolute() or ".." in name:
            raise ValueError(f"{field}: a file name is expected, not {name!r}")
        names[field] = name
    return Annotation(
        image_type=str(entry.get("image_type", "")),
        **names,
        image_text=tuple(t.strip() for t in texts if t.strip()),
        product=str(entry.get("product", "")),
        product_mask=str(entry.get("product_mask", "")),
    )
