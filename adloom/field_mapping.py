"""Which columns of a catalogue mean what: mappings, shipped or a user's own in YAML. Pure.

A mapping names, for each field of a product, the columns that may hold it. Names are compared as
`column_name` gives them, so that `Image Link`, `image_link` and `g:image_link` are one.
"""

import functools
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from adloom.errors import SpecError
from adloom.prices import CURRENCIES
from adloom.scenes import Slug
from adloom.yaml_spec import parse_yaml, validated

VARIANT_FIELDS = ("age_group", "color", "gender", "material", "pattern", "size")
"""The Merchant specification's attributes by which variants of one item differ."""

PRICE_FIELDS = ("price", "sale_price")
FIELDS = (
    "id", "title", "image_link", "additional_image_link", "description", "link", "brand",
    "product_type", "google_product_category", "availability", *PRICE_FIELDS, "item_group_id",
    *VARIANT_FIELDS,
)  # fmt: skip
REQUIRED_FIELDS = ("id", "title", "image_link")
MAX_NUMBERED = 20
"""`image_*` stands for image_0 to image_20."""

_LISTED = re.compile(r",\s*(?=https?://)")

Cell = str | Sequence[str]
"""A value as a catalogue has it: one text, or several where the column or element is repeated."""


class MappingError(SpecError):
    """The mapping cannot be used."""


@functools.lru_cache(maxsize=4096)
def column_name(written: str) -> str:
    """The name a header cell stands for: ' Image Link' and 'g:image_link' -> 'image_link'."""
    name = re.sub(r"[\s_-]+", "_", written.strip().strip("\ufeff").strip().lower())
    return name.removeprefix("g:").strip("_")


@dataclass(frozen=True, slots=True)
class FieldRule:
    """Where one field comes from: the first of `columns` that is not empty, else `value`.

    `amount` and `currency` (a column or a code) make a price of two; `minor_units` are the decimals
    of an amount that is written without a point. `gathers`: all columns count, not the first.
    """

    columns: tuple[str, ...] = ()
    value: str = ""
    values: Mapping[str, str] = field(default_factory=dict[str, str])
    prefix: str = ""
    amount: str = ""
    currency: str = ""
    minor_units: int = 0
    gathers: bool = False

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns that this rule looks at."""
        priced = (self.amount, column_name(self.currency)) if self.amount else ()
        return tuple(c for c in (*self.columns, *priced) if c)

    @property
    def is_plain(self) -> bool:
        """Whether the column's value is the field's value, nothing added."""
        return not (self.value or self.values or self.prefix or self.amount)

    def of(self, cells: Mapping[str, Cell]) -> Cell:
        """The field's value in a row; '' if it has none."""
        if self.amount:
            return self._price(cells)
        found: Cell = self.value
        for name in self.columns:
            if cell := cells.get(name):
                found = self._gathered(found, cell) if self.gathers and found else cell
                if not self.gathers:
                    break
        if self.values and isinstance(found, str):
            found = self.values.get(found.strip().lower(), found)
        if self.prefix:
            found = (
                self._prefixed(found) if isinstance(found, str) else [*map(self._prefixed, found)]
            )
        return found

    def _gathered(self, before: Cell, more: Cell) -> list[str]:
        """Photos of several columns, each with one or a list of complete addresses."""
        apart = (_LISTED.split(c) if isinstance(c, str) else c for c in (before, more))
        return [text for texts in apart for text in texts]

    def _prefixed(self, text: str) -> str:
        return self.prefix + text if text and "://" not in text else text

    def _price(self, cells: Mapping[str, Cell]) -> str:
        amount = cells.get(self.amount) or ""
        named = cells.get(column_name(self.currency)) or ""
        text = amount if isinstance(amount, str) else amount[0]
        code = named if isinstance(named, str) else named[0]
        if not text.strip():
            return ""
        if self.minor_units:
            try:
                text = str(Decimal(text.strip()).scaleb(-self.minor_units))
            except InvalidOperation:
                return f"{text} {code}"  # refused as it is by who reads prices
        code = code or (self.currency if self.currency in CURRENCIES else "")
        return f"{text.strip()} {code.strip()}".strip()


@dataclass(frozen=True, slots=True)
class FieldMapping:
    """A mapping, ready for use. `currency` is that of prices without one; `records` names the XML
    element or the JSON list that holds the products."""

    name: str
    rules: Mapping[str, FieldRule]
    currency: str | None = None
    records: str = ""

    @property
    def columns(self) -> frozenset[str]:
        """All columns that the mapping looks at."""
        return frozenset(c for rule in self.rules.values() for c in rule.reads)

    def lacks(self, columns: Collection[str]) -> str | None:
        """The first required field that rows of these columns can never have."""
        for name in REQUIRED_FIELDS:
            rule = self.rules.get(name)
            if rule is None or not (rule.value or any(c in columns for c in rule.reads)):
                return name
        return None

    def narrowed(self, columns: Collection[str]) -> "FieldMapping":
        """The same for rows that have these columns only: nothing else is looked for."""
        rules = {
            name: replace(rule, columns=tuple(c for c in rule.columns if c in columns))
            for name, rule in self.rules.items()
        }
        kept = {n: r for n, r in rules.items() if r.columns or not r.is_plain}
        return replace(self, rules=kept)


def _rule(given: Any) -> Any:
    """`sku` and `[sku, id]` are short for `{columns: [sku, id]}`."""
    if isinstance(given, str):
        return {"columns": [given]}
    if isinstance(given, list):
        return {"columns": given}
    return given


def _text(given: Any) -> Any:
    """YAML reads 1 and true as what they look like; a feed's cells are text."""
    if isinstance(given, bool):
        return str(given).lower()
    return str(given) if isinstance(given, int | float) else given


Text = Annotated[str, BeforeValidator(_text)]
Column = Annotated[str, BeforeValidator(_text), Field(min_length=1, max_length=200)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Rule(_Strict):
    column: Column | None = None
    columns: list[Column] = []
    value: Text = ""
    values: dict[Text, Text] = {}
    prefix: Text = ""
    amount: Column | None = None
    currency: Column | None = None
    minor_units: Annotated[int, Field(ge=0, le=4)] = 0

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if not (self.column or self.columns or self.value or self.amount):
            raise ValueError("name a column, or give a value")
        if self.amount and (self.column or self.columns):
            raise ValueError("give either columns or an amount")
        if (self.currency or self.minor_units) and not self.amount:
            raise ValueError("currency and minor_units belong to an amount")
        return self

    def compiled(self, name: str) -> FieldRule:
        written = [*([self.column] if self.column else []), *self.columns]
        return FieldRule(
            columns=tuple(c for column in written for c in _numbered(column)),
            value=self.value,
            values={k.strip().lower(): v for k, v in self.values.items()},
            prefix=self.prefix,
            amount=column_name(self.amount or ""),
            currency=self.currency or "",
            minor_units=self.minor_units,
            gathers=name == "additional_image_link",
        )


class _Document(_Strict):
    mapping: Slug
    base: Slug | None = None
    fields: dict[str, Annotated[_Rule, BeforeValidator(_rule)]] = {}
    currency: str | None = None
    records: Text = ""

    @model_validator(mode="after")
    def _names_what_there_is(self) -> Self:
        for name, rule in self.fields.items():
            if name not in FIELDS:
                raise ValueError(f"'{name}' is no field; there are: {', '.join(FIELDS)}")
            if rule.amount and name not in PRICE_FIELDS:
                raise ValueError(f"'{name}' has an amount; only price and sale_price may")
        if self.currency is not None and self.currency not in CURRENCIES:
            raise ValueError(f"currency '{self.currency}' is no ISO 4217 code such as EUR")
        return self


def _numbered(written: str) -> list[str]:
    if "*" not in written:
        return [column_name(written)]
    return [column_name(written.replace("*", str(n))) for n in range(MAX_NUMBERED + 1)]


def parse_mapping(
    text: str, *, where: str, shipped: Mapping[str, FieldMapping] | None = None
) -> FieldMapping:
    """A mapping from YAML. One with a `base` changes that shipped mapping field by field.

    Raises MappingError with every problem's line and field.
    """
    document = parse_yaml(text, where=where, error=MappingError)
    parsed = validated(_Document, document, where=where, error=MappingError)
    base = (shipped or {}).get(parsed.base) if parsed.base else None
    if parsed.base and base is None:
        there = ", ".join(sorted(shipped or {}))
        raise MappingError(f"base: there is no mapping '{parsed.base}'; there are: {there}",
                           where=where)  # fmt: skip
    rules = dict(base.rules) if base else {}
    rules |= {name: rule.compiled(name) for name, rule in parsed.fields.items()}
    made = FieldMapping(
        parsed.mapping,
        rules,
        parsed.currency or (base.currency if base else None),
        column_name(parsed.records) or (base.records if base else ""),
    )
    for name in REQUIRED_FIELDS:
        if name not in rules:
            raise MappingError(
                f"fields: '{name}' is missing",
                where=where,
                hint="say which column holds it, or take a base such as google",
            )
    return made
