"""YAML text -> validated values, with errors that name file, line and field."""

from typing import Any, TypeVar

import yaml
import yaml.composer
from pydantic import BaseModel, ValidationError

from adloom.errors import Problem, SpecError

Model = TypeVar("Model", bound=BaseModel)
Path = tuple[str | int, ...]

MAX_SPEC_BYTES = 1_000_000


class Document:
    """Plain values of a YAML text and the line each of them stands on (from 1)."""

    def __init__(self, values: Any, lines: dict[Path, int]) -> None:
        self.values = values
        self.lines = lines

    def line_of(self, path: Path) -> int | None:
        """The line of the deepest part of `path` that the text has."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)


class _NoAliases(yaml.SafeLoader):
    """Aliases are refused: a few bytes of them can stand for gigabytes ('billion laughs')."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.composer.ComposerError(None, None, "aliases (*name) are not allowed", mark)
        return super().compose_node(parent, index)


def parse_yaml(text: str, *, where: str, error: type[SpecError] = SpecError) -> Document:
    """One YAML mapping from text. Raises `error` for broken YAML, a duplicate key, no mapping."""
    if len(text) > MAX_SPEC_BYTES:
        raise error(f"larger than {MAX_SPEC_BYTES} bytes", where=where, hint="split the file")
    try:
        loader = _NoAliases(text)
        node = loader.get_single_node()
        lines: dict[Path, int] = {}
        problems: list[Problem] = []
        if node is not None:
            _walk(node, (), lines, problems)
        if problems:
            raise error(where=where, problems=tuple(problems))
        values = loader.construct_document(node) if node is not None else None
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        line = mark.line + 1 if mark is not None else None
        what = getattr(exc, "problem", None) or str(exc)
        problem = Problem(line, "yaml", what)
        raise error(where=where, problems=(problem,), hint="mend the YAML syntax") from exc
    except (ValueError, RecursionError) as exc:  # an impossible date, nesting without end
        raise error(where=where, problems=(Problem(None, "yaml", str(exc)),)) from exc
    if not isinstance(values, dict):
        raise error("the file must hold a mapping (key: value)", where=where)
    return Document(values, lines)


def _walk(node: yaml.Node, path: Path, lines: dict[Path, int], problems: list[Problem]) -> None:
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            key = str(key_node.value)
            line = key_node.start_mark.line + 1
            if (*path, key) in lines:
                problems.append(Problem(line, dotted((*path, key)), "this key occurs twice"))
            _walk(value_node, (*path, key), lines, problems)
            lines[(*path, key)] = line
    elif isinstance(node, yaml.SequenceNode):
        for i, item in enumerate(node.value):
            _walk(item, (*path, i), lines, problems)


def dotted(path: Path) -> str:
    """`('scenes', 0, 'slug')` -> `scenes[0].slug`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or "(file)"


def validated(
    model: type[Model], document: Document, *, where: str, error: type[SpecError] = SpecError
) -> Model:
    """The document as `model`. Raises `error` with all problems, each with line and field."""
    try:
        return model.model_validate(document.values)
    except ValidationError as exc:
        problems = tuple(
            Problem(
                document.line_of(_plain(e["loc"])), dotted(_plain(e["loc"])), _message(e["msg"])
            )
            for e in exc.errors(include_url=False, include_context=False)
        )
        raise error(where=where, problems=problems) from exc


def _plain(loc: tuple[int | str, ...]) -> Path:
    return tuple(
        part for part in loc if not (isinstance(part, str) and part.startswith("function-"))
    )


def _message(text: str) -> str:
    return text.removeprefix("Value error, ")
