"""Options of a source as they are written on the command line."""

import pytest
from typer.testing import CliRunner

from adloom.errors import InvalidInputError
from cli.main import app
from tasks.source_options import parse_options


def test_options_are_names_and_values() -> None:
    written = ["delimiter=tab", "max-bytes = 5", "query=a=b"]
    assert parse_options(written) == {"delimiter": "tab", "max_bytes": "5", "query": "a=b"}
    assert parse_options([]) == {}
    assert parse_options(["delimiter=\t", "delivery = x "]) == {"delimiter": "\t", "delivery": "x"}


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (["delimiter"], "NAME=VALUE"),
        (["=tab"], "NAME=VALUE"),
        (["a=1", "a=2"], "given twice"),
    ],
)
def test_what_is_no_option_is_refused(written: list[str], said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        parse_options(written)


def test_the_command_line_refuses_before_it_asks_any_service() -> None:
    arguments = ["catalog", "add", "shop", "--location", "feed.tsv", "--option", "tab"]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, InvalidInputError)
