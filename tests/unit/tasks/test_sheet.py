from tasks.sheet import Group, Sheet, Tile, sheet_html


def _sheet(title: str) -> Sheet:
    tile = Tile(
        "p.jpg", "r.png", "f.webp", "beach", "1:1", 0, "rejected", ("MODEL_IDENTITY",),
        (("identity", 0.41),),
    )  # fmt: skip
    return Sheet("spring", "Spring", 3, "mini", "2026-01-01 03:00", (("approved", 4),),
                 [Group(title, (tile,))])  # fmt: skip


def test_a_title_from_a_catalogue_cannot_put_markup_on_the_page() -> None:
    page = sheet_html(_sheet("<script>alert(1)</script>"))
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_the_page_shows_photo_raw_and_finished_with_verdict_and_scores() -> None:
    page = sheet_html(_sheet("Mug"))
    for expected in ("p.jpg", "r.png", "f.webp", "rejected", "MODEL_IDENTITY", "identity 0.41"):
        assert expected in page
