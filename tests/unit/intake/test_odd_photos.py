import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from catalog_connectors.photo_decoding import DecodedPhoto, PhotoLimits, decode_photo
from catalog_connectors.photo_errors import PhotoReason, PhotoRefusedError
from catalog_connectors.photos import fetch_photo
from tests.fuzz_photos import LIMITS, LONGEST_S, mutated, outcome
from tests.unit.intake.odd_photos import BAD, FORMATS, ODD, PNG

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

TIGHT = PhotoLimits(max_bytes=1 << 20, max_pixels=1_000_000)


def decoded(data: bytes) -> DecodedPhoto:
    return decode_photo(data, TIGHT, "a.jpg")


def test_there_are_enough_of_them() -> None:
    assert len(BAD) >= 60
    assert len(ODD) >= 30
    assert {reason for _, reason in BAD.values()} >= {
        PhotoReason.EMPTY, PhotoReason.NOT_AN_IMAGE, PhotoReason.WRONG_TYPE, PhotoReason.BROKEN,
        PhotoReason.TRUNCATED, PhotoReason.TOO_LARGE, PhotoReason.TOO_MANY_PIXELS,
        PhotoReason.TOO_SMALL, PhotoReason.TOO_NARROW, PhotoReason.TRANSPARENT,
    }  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_photo_is_refused_with_its_reason(name: str, tmp_path_factory) -> None:
    data, reason = BAD[name]
    path = tmp_path_factory.mktemp("photos") / "photo"
    path.write_bytes(data)
    with pytest.raises(PhotoRefusedError) as caught:
        fetch_photo(str(path), limits=TIGHT, allow_private=False)
    assert caught.value.reason is reason, str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ODD)
def test_an_odd_photo_becomes_an_upright_srgb_picture(name: str) -> None:
    data, size = ODD[name]
    got = decoded(data)
    with Image.open(io.BytesIO(got.content)) as image:
        assert image.format in ("JPEG", "PNG")
        assert image.mode == ("RGBA" if got.has_alpha else "RGB")
        assert image.size == size == (got.photo.width, got.photo.height)
        assert np.asarray(image).std() > 10
        assert "icc_profile" not in image.info


@pytest.mark.parametrize(
    ("name", "said"),
    [("animated gif", "2 frames"), ("animated webp", "2 frames"), ("tiff of two pages", "2"),
     ("animated png", "2 frames"), ("animated avif", "2 frames")],
)  # fmt: skip
def test_of_an_animation_the_first_frame_is_taken_and_that_is_said(name: str, said: str) -> None:
    data, _ = ODD[name]
    got = decoded(data)
    assert len(got.notes) == 1
    assert got.notes[0].startswith("ANIMATED: the first of ")
    assert said in got.notes[0]
    with Image.open(io.BytesIO(data)) as first, Image.open(io.BytesIO(got.content)) as kept:
        assert np.array_equal(np.asarray(first.convert("RGB")), np.asarray(kept.convert("RGB")))
    assert decoded(ODD["phone's mpo"][0]).notes == ()


@pytest.mark.parametrize("name", [n for n in ODD if any(w in n for w in ("behind", "script"))])
def test_a_polyglot_is_stored_as_pixels_alone(name: str) -> None:
    content = decoded(ODD[name][0]).content
    for sign in (b"<script", b"<?php", b"PK\x03\x04", b"<html"):
        assert sign not in content


def test_the_same_pixels_are_the_same_photo_whatever_is_hidden_behind_them() -> None:
    one, other = (decoded(PNG + hidden).photo for hidden in (b"<?php 1", b"<?php 2"))
    assert one.sha256 == other.sha256


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(FORMATS)), st.integers(0, 2**32 - 1))
def test_mutated_photos_are_a_picture_or_a_reason(kind: str, seed: int) -> None:
    found = outcome(mutated(FORMATS[kind](), seed))
    assert found.seconds < LONGEST_S
    assert found.fault is None
    assert LIMITS.max_pixels <= 1_000_000
