"""What `adloom retry` refuses before it asks any service."""

import pytest
from typer.testing import CliRunner

from adloom.errors import InvalidInputError
from cli.main import app


@pytest.mark.parametrize("option", ["--older-than", "--since"])
def test_an_age_that_is_none_is_refused_with_examples(option: str) -> None:
    result = CliRunner().invoke(app, ["retry", "1", option, "yesterday"])
    assert isinstance(result.exception, InvalidInputError)
    assert "'yesterday'" in str(result.exception)
    assert "6h" in str(result.exception)


def test_help_names_every_way_to_select() -> None:
    shown = CliRunner().invoke(app, ["retry", "--help"], env={"COLUMNS": "200"}).output
    for option in ("--error-class", "--reason", "--older-than", "--since", "--transient"):
        assert option in shown
