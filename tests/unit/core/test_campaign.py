import json

import jsonschema
import pytest
import yaml

from adloom.campaign import CampaignSpec
from adloom.campaign_document import campaign_json_schema, parse_campaign
from adloom.errors import SpecError

START = "campaign: s\nscenes: [a]\nformats: ['1:1']\n"
GOOD = """\
campaign: spring
title: Spring
selection: {categories: [sneakers], in_stock_only: true, limit: 10}
scenes: [marble-morning, beach]
formats: ['1:1', '9:16']
variants: 2
gates:
  - {score: model.identity, min: 0.6, margin: 0.05}
budget: {max_renders: 500, images: 400, gpu_seconds: 7200, money: 12.50 USD}
max_attempts: 3
webhook: ops-room
deadline: '05:00 Europe/Berlin'
finishing: {encoding: jpeg, quality: 85}
"""


def test_a_campaign_survives_jsonb() -> None:
    spec = parse_campaign(GOOD, where="spring.yaml")
    assert spec.selection.categories == ("sneakers",)
    assert CampaignSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_a_campaign_stored_before_there_were_such_choices_is_still_the_same() -> None:
    plain = parse_campaign(START, where="s.yaml").to_json()
    assert plain["budget"] == {"max_renders": None}
    assert not {"max_attempts", "webhook", "deadline"} & set(plain)
    assert CampaignSpec.from_json(plain).max_attempts == 5


def test_the_json_schema_accepts_what_the_parser_accepts() -> None:
    schema = campaign_json_schema()
    jsonschema.validate(yaml.safe_load(GOOD), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**yaml.safe_load(GOOD), "varriants": 2}, schema)


@pytest.mark.parametrize(
    ("text", "line", "field"),
    [
        ("campaign: spring\nscenes: [a]\nformats: ['1:1']\nvarriants: 2\n", 4, "varriants"),
        ("campaign: spring\nscenes: [a]\nformats: ['2:1']\n", 3, "formats"),
        ("campaign: spring\nscenes: []\nformats: ['1:1']\n", 2, "scenes"),
        ("campaign: Spring Sale\nscenes: [a]\nformats: ['1:1']\n", 1, "campaign"),
        ("campaign: s\nscenes: [a, a]\nformats: ['1:1']\n", 2, "scenes"),
        (START + "variants: 0\n", 4, "variants"),
        (START + "variants: many\n", 4, "variants"),
        (START + "guidance: .nan\n", 4, "guidance"),
        (START + "gates:\n  - {score: x, min: 1}\n", 5, "gates[0].score"),
        (START + "gates:\n  - {score: model.identity}\n", 5, "gates[0]"),
        (START + "selection:\n  limit: 0\n", 5, "selection.limit"),
        (START + "budget:\n  images: 5\n  money: 12.50\n", 6, "budget.money"),
        (START + "budget:\n  money: 12 dollars\n", 5, "budget.money"),
        (START + "budget:\n  money: 0.00 USD\n", 5, "budget.money"),
        (START + "budget:\n  gpu_seconds: .inf\n", 5, "budget.gpu_seconds"),
        (START + "budget:\n  hours: 3\n", 5, "budget.hours"),
        (START + "webhook: https://x/\n", 4, "webhook"),
        (START + "webhook: ops\ndeadline: soon\n", 5, "deadline"),
        (START + "webhook: ops\ndeadline: 10:00\n", 5, "deadline"),
        (START + "webhook: ops\ndeadline: 05:00 Mars\n", 5, "deadline"),
        (START + "deadline: 6h\n", 4, "deadline"),
        (START + "max_attempts: 0\n", 4, "max_attempts"),
        ("campaign: s\ncampaign: t\nscenes: [a]\nformats: ['1:1']\n", 2, "campaign"),
        ("campaign: [\n", 2, "yaml"),
        ("campaign: &a s\nscenes: [*a]\nformats: ['1:1']\n", 2, "yaml"),
    ],
)  # fmt: skip
def test_a_bad_spec_is_refused_by_file_line_and_field(text: str, line: int, field: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_campaign(text, where="bad.yaml")
    assert "bad.yaml" in str(caught.value)
    assert (line, field) in [(p.line, p.field) for p in caught.value.problems]


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words", "\x00"])
def test_what_is_no_mapping_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match=r"bad\.yaml"):
        parse_campaign(text, where="bad.yaml")


def test_all_problems_are_named_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        parse_campaign("campaign: s\nscenes: []\nformats: []\nvariants: 0\n", where="bad.yaml")
    assert len(caught.value.problems) == 3
