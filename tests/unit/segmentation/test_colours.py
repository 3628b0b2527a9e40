from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adloom.colours import MAX_WORDS, colour_words

SALEOR = Path(__file__).parents[3].parent / "shared/data/saleor"
FULL = np.full((40, 40), 255, np.uint8)


@pytest.mark.parametrize(
    ("rgb", "word"),
    [
        ((8, 8, 8), "black"), ((250, 250, 250), "white"), ((128, 128, 128), "grey"),
        ((210, 20, 30), "red"), ((250, 130, 20), "orange"), ((250, 225, 50), "yellow"),
        ((40, 150, 60), "green"), ((30, 90, 210), "blue"), ((20, 30, 75), "navy"),
        ((120, 50, 165), "purple"), ((245, 130, 180), "pink"), ((105, 65, 35), "brown"),
        ((222, 203, 170), "beige"), ((200, 160, 40), "gold"), ((195, 197, 200), "silver"),
        ((20, 140, 138), "teal"),
    ],
)  # fmt: skip
def test_plain_colours_have_their_names(rgb: tuple[int, int, int], word: str) -> None:
    picture = np.full((40, 40, 3), rgb, np.uint8)
    assert colour_words(picture, FULL) == (word,)


def test_words_come_most_frequent_first_and_background_does_not_count() -> None:
    picture = np.full((40, 40, 3), (210, 20, 30), np.uint8)  # background: red
    picture[:, :20] = (250, 250, 250)
    picture[:, 20:28] = (30, 90, 210)
    mask = np.zeros((40, 40), np.uint8)
    mask[:, :28] = 255
    assert colour_words(picture, mask) == ("white", "blue")


def test_shades_of_one_hue_speak_together() -> None:
    picture = np.full((40, 40, 3), (250, 250, 250), np.uint8)
    picture[:4], picture[4:8], picture[8:13] = (105, 65, 35), (200, 160, 40), (250, 130, 20)
    assert colour_words(picture, FULL) == ("white", "orange")


def test_noise_gives_between_one_and_three_words() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    assert 1 <= len(colour_words(noise, FULL)) <= MAX_WORDS


def test_no_product_no_words() -> None:
    assert colour_words(np.zeros((40, 40, 3), np.uint8), FULL * 0) == ()


@pytest.mark.skipif(not SALEOR.is_dir(), reason="the test catalogue is not at ../shared/data")
@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("grey-hoodie", "grey"),
        ("white-hoodie", "white"),
        ("polo-shirt-back", "navy"),
        ("carrot-drink", "orange"),
    ],
)
def test_real_products_have_the_colours_one_sees(name: str, word: str) -> None:
    photo = np.asarray(Image.open(SALEOR / "images" / f"{name}.jpg").convert("RGB"))
    mask = np.asarray(Image.open(SALEOR / "alpha" / f"{name}.png"))
    assert word in colour_words(photo, mask)
