"""What follows from a run's figures, and how it is shown."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adloom.agreement import agreement, wilson
from adloom.campaign import Budget, CampaignSpec, Finishing, Refresh, Selection
from adloom.campaign_document import parse_campaign
from adloom.campaign_yaml import campaign_yaml
from adloom.catalog import Price
from adloom.differences import differences
from adloom.finishing_spec import ImageFormat, Upscaler, Upscaling
from adloom.gates import Decision, Gate
from adloom.run_figures import RECENT_S, ReasonFigure, RunFigures, TimelinePoint
from adloom.states import Outcome, ReviewDecision, RunState
from dashboard.charts import timeline
from dashboard.csv_export import safe_cell
from dashboard.run_view import duration, price_each

AT = datetime(2030, 1, 1, tzinfo=UTC)
RENDERING = RunFigures(AT, RunState.RENDERING)


def test_time_left_is_that_of_the_pace_of_late() -> None:
    assert replace(RENDERING, recent=60, left=120).seconds_left == 2 * RECENT_S
    young = replace(RENDERING, recent=60, left=120, first_render_at=AT - timedelta(seconds=30))
    assert young.seconds_left == 60.0
    assert replace(RENDERING, left=10, render_pace_s=3.0, workers=2).seconds_left == 15.0
    assert replace(RENDERING, left=10).seconds_left is None
    assert replace(RENDERING, state=RunState.COMPLETE, left=10).seconds_left is None


def test_cost_is_device_time_at_a_price() -> None:
    measured = replace(RENDERING, render_s=5400.0)
    assert measured.cost(Price(Decimal("2.50"), "USD")) == Price(Decimal("3.75"), "USD")
    assert measured.cost(None) is None
    assert price_each(Price(Decimal("3.75"), "USD"), 1000) == "0.0038 USD"


def test_figures_come_back_from_json_as_they_were() -> None:
    figures = replace(
        RENDERING,
        outcomes={Outcome.APPROVED: 3, Outcome.OPEN: 1},
        reasons=(ReasonFigure("MODEL_IDENTITY", 2, (7, 9)),),
        timeline=(TimelinePoint(1, 2, 1),),
        timeline_from=AT,
        timeline_to=AT + timedelta(hours=1),
    )
    back = RunFigures.from_json(figures.to_json(), measured_at=AT, state=RunState.RENDERING)
    assert back == figures


def test_the_chart_stays_within_its_frame_and_says_it_in_words() -> None:
    points = tuple(TimelinePoint(n % 7, n, n // 2) for n in range(60))
    figures = replace(
        RENDERING, timeline=points, rendered=180, timeline_from=AT,
        timeline_to=AT + timedelta(hours=1), outcomes={Outcome.APPROVED: 1, Outcome.REJECTED: 1},
    )  # fmt: skip
    shown = timeline(figures)
    assert shown is not None
    assert all(0 <= b.y <= b.y + b.height <= shown.height + 0.2 for b in shown.bars)
    assert shown.summary == "180 renders made; 50.0 % of what was judged is approved"
    assert sum(row.rendered for row in shown.rows) == sum(p.rendered for p in points)
    assert timeline(replace(figures, timeline=(TimelinePoint(),) * 60)) is None


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.4, "0 s"),
        (59, "59 s"),
        (3599, "1 h 00 min"),
        (11_100, "3 h 05 min"),
        (187_200, "2 d 4 h"),
    ],
)
def test_lengths_of_time_are_said_shortly(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@given(st.integers(0, 500), st.integers(1, 500))
def test_wilsons_interval_holds_the_share(successes: int, more: int) -> None:
    trials = successes + more - 1
    found = wilson(successes, trials)
    if trials == 0:
        assert found is None
        return
    assert found is not None
    low, high = found
    assert 0.0 <= low <= successes / trials + 1e-12
    assert successes / trials - 1e-12 <= high <= 1.0


def test_wilsons_interval_is_the_textbooks() -> None:
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)  # Newcombe 1998, table I
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)


def test_agreement_counts_people_by_what_the_gates_say() -> None:
    yes, no = ReviewDecision.APPROVE, ReviewDecision.REJECT
    found = agreement([(Decision.APPROVED, yes)] * 9 + [(Decision.APPROVED, no)] +
                      [(Decision.REJECTED, yes)])  # fmt: skip
    assert found.precision == 0.9
    assert found.of(Decision.REJECTED) == (1, 0)
    assert found.reviewed == 11


@pytest.mark.parametrize("evil", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "  =1", "\r=1"])
def test_no_text_of_a_table_is_a_formula(evil: str) -> None:
    assert str(safe_cell(evil)).startswith("'")
    assert safe_cell(-1.5) == -1.5
    assert safe_cell("plain - text") == "plain - text"


def test_differences_name_fields_and_entries() -> None:
    found = differences(
        {"a": {"b": 1}, "l": [1, 2], "same": 3}, {"a": {"b": 2}, "l": [2, 4], "same": 3}
    )
    assert [(d.field, d.added, d.removed) for d in found] == [("a.b", (), ()), ("l", (4,), (1,))]


slugs = st.from_regex(r"[a-z0-9]{1,8}(-[a-z0-9]{1,8})?", fullmatch=True)
texts = st.text(st.characters(codec="utf-8", exclude_categories=("C",)), max_size=20)


@given(
    slug=slugs,
    title=texts,
    scenes=st.lists(slugs, min_size=1, max_size=3, unique=True),
    categories=st.lists(texts.filter(bool), max_size=2),
    upscaling=st.sampled_from([Upscaling(), Upscaling(Upscaler.REFINE, 0.4)]),
    gate=st.sampled_from([Gate("model.identity", 0.0, None, 0.0), Gate("model.growth", max=0.4)]),
    limit=st.none() | st.integers(1, 10),
)
def test_a_stored_campaign_is_said_again_in_yaml(
    slug: str, title: str, scenes: list[str], categories: list[str], upscaling: Upscaling,
    gate: Gate, limit: int | None,
) -> None:  # fmt: skip
    spec = CampaignSpec(
        slug, title or slug, tuple(scenes), ("1:1", "1.91:1"),
        selection=Selection(categories=tuple(categories), limit=limit, photo_roles=("additional",)),
        draws=2, refresh=Refresh.CHANGED, steps=12,
        finishing=Finishing(False, ImageFormat.PNG, 80, upscaling),
        gates=(gate,), budget=Budget(limit), min_mask_confidence=0.25,
    )  # fmt: skip
    assert parse_campaign(campaign_yaml(spec), where="test") == spec


def test_what_is_by_default_is_not_said() -> None:
    said = campaign_yaml(CampaignSpec("spring", "spring", ("beach",), ("1:1",)))
    assert said == "campaign: spring\nscenes: [beach]\nformats: ['1:1']\n"
