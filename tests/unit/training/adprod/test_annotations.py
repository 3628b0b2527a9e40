"""The annotation format, the captions file, the categories and the split."""

import json
from pathlib import Path

import pytest

from adloom.errors import NotFoundError, SpecError
from tests.unit.training.adprod.pictures import ad, save
from training.adprod.annotations import Annotation, read_annotations, write_annotations
from training.adprod.categories import VARIANTS, category_of
from training.adprod.sources import find_sources, read_captions, unknown_pictures
from training.adprod.splitting import split_of

RELEASED = {
    "image_type": "backpack",
    "original_image": "X.png",
    "mask_image": "X_01.png",
    "mask_npy": "X.npy",
    "image_text": ["one", "two", "three", "four"],
}


def test_annotations_are_read_as_they_were_written(tmp_path: Path) -> None:
    written = [
        Annotation("kite", "a.png", "a_03.png", "a_gs.npy", ("ein Drachen é",), "p1", "a_gs.npy"),
        Annotation("kite", "a.png", "a_00.png", "a.npy", ("x", "y")),
    ]
    write_annotations(tmp_path / "train.json", written)
    assert read_annotations(tmp_path / "train.json") == written
    write_annotations(tmp_path / "none.json", [])
    assert read_annotations(tmp_path / "none.json") == []


def test_the_released_format_is_read_and_written_alike(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps([RELEASED]))
    (found,) = read_annotations(tmp_path / "a.json")
    assert found.image_text == ("one", "two", "three", "four")
    assert found.document() == RELEASED


@pytest.mark.parametrize(
    "broken",
    [
        {"original_image": None},
        {"mask_npy": "../../etc/passwd"},
        {"mask_image": "/root/x.png"},
        {"image_text": [1]},
    ],
)
def test_entries_that_cannot_be_used_are_named(tmp_path: Path, broken: dict) -> None:
    (tmp_path / "a.json").write_text(json.dumps([RELEASED, RELEASED | broken]))
    with pytest.raises(SpecError, match=r"\[1\].*" + next(iter(broken))):
        read_annotations(tmp_path / "a.json")


def test_there_are_thirty_categories_found_by_any_spelling() -> None:
    assert len(VARIANTS) == 30
    assert sum(VARIANTS.values()) == 600_655
    assert category_of("Cell_Phones") == "cell phone"
    assert category_of("WINE-GLASS") == "wine glass"
    assert category_of("hat") == "hats"
    assert category_of("sofas") == "product"


def test_captions_from_csv_and_json_and_categories_from_folders(tmp_path: Path) -> None:
    save(tmp_path, "in/Sneakers/a.png", ad(1))
    save(tmp_path, "in/b.png", ad(2))
    table = tmp_path / "c.csv"
    table.write_text(
        'image,caption,category,product\nSneakers/a.png,"one|two",,\nb.png,x,kite,p7\n'
    )
    first, second = find_sources(tmp_path / "in", table)
    assert (first.category, first.captions, first.product) == ("sneakers", ("one", "two"), "")
    assert (second.category, second.captions, second.product) == ("kite", ("x",), "p7")
    (tmp_path / "c.json").write_text(json.dumps([{"image": "b.png", "captions": ["x", "y"]}]))
    assert read_captions(tmp_path / "c.json")["b.png"].captions == ("x", "y")


def test_a_captions_file_may_name_what_is_not_there(tmp_path: Path) -> None:
    save(tmp_path, "in/a.png", ad(1))
    table = tmp_path / "c.tsv"
    table.write_text("image\tcaption\na.png\tx\ngone.png\ty\n")
    assert unknown_pictures(find_sources(tmp_path / "in", table), table) == ["gone.png"]


@pytest.mark.parametrize("text", ["picture,caption\na,b\n", "image,caption\n,b\n"])
def test_an_unusable_captions_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.csv").write_text(text)
    with pytest.raises(SpecError, match="image"):
        read_captions(tmp_path / "c.csv")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no picture"):
        find_sources(tmp_path)


def test_the_split_is_nine_to_one_and_goes_by_the_key_alone() -> None:
    keys = [f"product-{i}" for i in range(5000)]
    share = sum(split_of(k) == "test" for k in keys) / len(keys)
    assert 0.085 < share < 0.115
    assert [split_of(k) for k in keys] == [split_of(k) for k in keys]
