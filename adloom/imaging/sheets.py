"""Contact sheets and thumbnails: what a person looks at first."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from adloom.imaging.arrays import Rgb

_PAPER, _INK, _FAINT = (250, 250, 248), (34, 34, 34), (120, 120, 116)
_GAP = 8
_HEADER_PX, _CAPTION_PX = 22, 20
COLUMNS = ("photo", "raw", "finished")


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One creative on a contact sheet; a picture that does not exist is None.

    `caption` is a short line under the pictures: the slot, the verdict, the scores.
    """

    caption: str
    photo: Rgb | None
    raw: Rgb | None
    finished: Rgb | None


def thumbnail(image: Rgb, side: int) -> Rgb:
    """The picture, aspect kept, fitted into side × side px (never enlarged)."""
    picture = Image.fromarray(image)
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return np.asarray(picture)


def contact_sheet(rows: Sequence[SheetRow], *, tile: int = 192, per_line: int = 2) -> Rgb:
    """(H, W, 3) a sheet of photo | raw | finished, `per_line` creatives side by side.

    `tile` is the side of one picture, px. An empty sheet says so.
    """
    if not rows:
        return _blank_sheet(3 * tile)
    per_line = min(per_line, len(rows))
    block = (3 * (tile + _GAP) + _GAP, tile + _CAPTION_PX + _GAP)
    lines = -(-len(rows) // per_line)
    sheet = Image.new("RGB", (per_line * block[0], _HEADER_PX + lines * block[1]), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for column in range(per_line):
        for i, name in enumerate(COLUMNS):
            draw.text((column * block[0] + _GAP + i * (tile + _GAP), 5), name, _FAINT, font=_font())
    for i, row in enumerate(rows):
        x, y = (i % per_line) * block[0] + _GAP, _HEADER_PX + (i // per_line) * block[1]
        for picture in (row.photo, row.raw, row.finished):
            _paste_tile(sheet, picture, x, y, tile)
            x += tile + _GAP
        left = (i % per_line) * block[0] + _GAP
        caption = _fitted(draw, row.caption, block[0] - 2 * _GAP)
        draw.text((left, y + tile + 4), caption, _INK, font=_font())
    return np.asarray(sheet)


def _paste_tile(sheet: Image.Image, picture: Rgb | None, x: int, y: int, tile: int) -> None:
    ImageDraw.Draw(sheet).rectangle((x, y, x + tile - 1, y + tile - 1), fill=(236, 236, 232))
    if picture is None:
        ImageDraw.Draw(sheet).line((x, y + tile - 1, x + tile - 1, y), fill=(200, 200, 196))
        return
    height, width = picture.shape[:2]
    scale = tile / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = Image.fromarray(np.ascontiguousarray(picture[..., :3]))
    small = small.resize(size, Image.Resampling.LANCZOS)
    sheet.paste(small, (x + (tile - size[0]) // 2, y + (tile - size[1]) // 2))


def _fitted(draw: ImageDraw.ImageDraw, text: str, width: int) -> str:
    """The text, cut at the end to a width in px."""
    if draw.textlength(text, font=_font()) <= width:
        return text
    while text and draw.textlength(text + "…", font=_font()) > width:
        text = text[:-1]
    return text + "…"


def _blank_sheet(width: int) -> Rgb:
    sheet = Image.new("RGB", (width, 3 * _HEADER_PX), _PAPER)
    ImageDraw.Draw(sheet).text((_GAP, _HEADER_PX), "nothing to show", _FAINT, font=_font())
    return np.asarray(sheet)


@cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=12)
