"""Who may use weights, and whether they are the ones on their bill."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adloom.errors import ModelError
from adloom.weights_bill import (
    COMMERCIAL,
    Bill,
    Part,
    WeightsFile,
    differences,
    obstacles,
    parse_bill,
)

words = st.text("abcdefgh_/.", min_size=1, max_size=8)
parts = st.builds(
    Part,
    st.lists(words, max_size=3).map(tuple),
    words,
    st.none() | words,
    st.none() | st.booleans(),
)
files = st.builds(WeightsFile, words, words, st.integers(0, 10**12))
bills = st.builds(
    Bill, words, st.lists(parts, max_size=3).map(tuple), st.lists(files, max_size=3).map(tuple)
)


@given(bills)
def test_a_bill_survives_its_document(bill: Bill) -> None:
    assert parse_bill(bill.to_json(), "here") == bill


def bill_of(*given_parts: Part) -> Bill:
    return Bill("w", given_parts, ())


@pytest.mark.parametrize(
    ("bill", "reasons"),
    [
        (None, ["licence unstated"]),
        (bill_of(Part(("unet", "vae"), "us", "Apache-2.0")), []),
        (bill_of(Part(("unet", "vae"), "us", "CreativeML-OpenRAIL-M")), []),
        (bill_of(Part(("unet", "vae"), "us", "apache-2.0")), []),
        (bill_of(Part(("unet",), "us", "MIT")), ["vae: not on the bill"]),
        (bill_of(Part(("unet", "vae"), "them")), ["unet, vae: licence unstated (them)"]),
        (
            bill_of(Part(("unet",), "us", "MIT"), Part(("vae",), "them", "CC-BY-NC-4.0")),
            ["vae: CC-BY-NC-4.0 (them)"],
        ),
        (bill_of(Part(("unet", "vae"), "them", "Bespoke-1.0")), ["unet, vae: Bespoke-1.0"]),
        (bill_of(Part(("unet", "vae"), "them", "Bespoke-1.0", commercial_use=True)), []),
        (bill_of(Part(("unet", "vae"), "us", "MIT", commercial_use=False)), ["unet, vae: MIT"]),
        (bill_of(Part(("unet", "vae"), "us", "MIT"), Part(("gone",), "them")), []),
    ],
)
def test_what_is_unstated_or_forbidden_stands_in_the_way(
    bill: Bill | None, reasons: list[str]
) -> None:
    found = obstacles(bill, ("unet", "vae"))
    assert len(found) == len(reasons)
    assert all(reason in line for reason, line in zip(reasons, found, strict=True))


def test_no_licence_that_forbids_commerce_is_taken_for_one_that_allows_it() -> None:
    assert not any("NC" in name for name in COMMERCIAL)


def test_files_are_missing_changed_or_unlisted() -> None:
    bill = Bill("w", (), (WeightsFile("a", "1", 1), WeightsFile("b", "2", 1)))
    found = differences(bill, (WeightsFile("b", "3", 1), WeightsFile("c", "4", 1)))
    assert (found.missing, found.changed, found.unlisted) == (("a",), ("b",), ("c",))
    assert found
    assert not differences(bill, bill.files)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "Expecting"),
        ("[]", "here: no bill of materials"),
        (json.dumps({"layout": "other/1"}), "layout 'other/1'"),
        (json.dumps({"layout": "adloom.weights/1", "name": "w", "parts": []}), "'files'"),
        (
            json.dumps({
                "layout": "adloom.weights/1",
                "name": "w",
                "files": [],
                "parts": [
                    {"components": [], "origin": "", "licence": None, "commercial_use": "yes"}
                ],
            }),
            "commercial_use 'yes'",
        ),
    ],
)  # fmt: skip
def test_what_is_no_bill_is_refused(document: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        parse_bill(document, "here")
