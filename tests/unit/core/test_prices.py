from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adloom.catalog import Price
from adloom.prices import CURRENCIES, parse_price


@pytest.mark.parametrize(
    ("text", "amount", "currency"),
    [
        ("10.00 USD", "10.00", "USD"),
        ("10.00USD", "10.00", "USD"),
        ("usd 5", "5", "USD"),
        ("EUR 15,00", "15.00", "EUR"),
        ("1,234.50 GBP", "1234.50", "GBP"),
        ("1.234,50 EUR", "1234.50", "EUR"),
        ("1.234.567 EUR", "1234567", "EUR"),
        ("9,90 EUR", "9.90", "EUR"),
        ("1,000 JPY", "1000", "JPY"),
        ("1 234,50 PLN", "1234.50", "PLN"),
        ("1\u202f234,50\u00a0EUR", "1234.50", "EUR"),
        ("1'234.50 CHF", "1234.50", "CHF"),
        ("1,23,456.00 INR", "123456.00", "INR"),
        ("1.234 KWD", "1.234", "KWD"),
        ("0.125 EUR", "0.125", "EUR"),
        ("0 EUR", "0", "EUR"),
        ("١٢ AED", "12", "AED"),
    ],
)
def test_prices(text: str, amount: str, currency: str) -> None:
    assert parse_price(text) == Price(Decimal(amount), currency)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("10.00", "has no currency"),
        ("$10.00", "symbol"),
        ("10 €", "symbol"),
        ("10.00-15.00 USD", "is a range"),
        ("10 USD - 15 USD", "is a range"),
        ("10 to 15 USD", "is a range"),
        ("10.00 XYZ", "no ISO 4217 currency"),
        ("10.00 USDT", "is not an amount"),
        ("-1.00 USD", "between 0 and"),
        ("99999999999 USD", "between 0 and"),
        ("1.234 EUR", "reads in two ways"),
        ("1,234 KWD", "reads in two ways"),
        ("1,2,3 USD", "is no amount"),
        ("1.2.3 USD", "is no amount"),
        ("ten USD", "is not an amount"),
        ("free", "is not an amount"),
        ("1e3 USD", "is not an amount"),
        ("NaN USD", "is not an amount"),
    ],
)
def test_what_is_no_price_says_why(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_price(text)


def test_a_mappings_currency_is_that_of_bare_amounts_alone() -> None:
    assert parse_price("10.00", currency="EUR") == Price(Decimal("10.00"), "EUR")
    assert parse_price("10.00 USD", currency="EUR") == Price(Decimal("10.00"), "USD")
    assert parse_price("") is None


@given(st.decimals(0, 10**9, places=2), st.sampled_from(sorted(CURRENCIES)))
def test_what_is_written_plainly_is_read_back(amount: Decimal, currency: str) -> None:
    assert parse_price(f"{amount:.2f} {currency}") == Price(Decimal(f"{amount:.2f}"), currency)
    assert parse_price(f"{currency} {amount:,.2f}") == Price(Decimal(f"{amount:.2f}"), currency)


@given(st.text(max_size=60), st.sampled_from([None, "EUR"]))
def test_any_text_is_a_price_or_a_reason(text: str, currency: str | None) -> None:
    try:
        found = parse_price(text, currency=currency)
    except ValueError:
        return
    assert found is None or (found.amount >= 0 and found.currency in CURRENCIES)
