"""Prices as product feeds write them -> an amount and a currency. Pure.

Google Merchant Center asks for `15.00 USD`; feeds also bring the currency in front, a comma for the
point, and separators of thousands. A text that can be read in two ways is refused, never guessed.
"""

import re
from decimal import Decimal

from adloom.catalog import Price

MAX_AMOUNT = Decimal(10) ** 10

_CODE = re.compile(r"[A-Z]{3}")
_THREE_DECIMALS = frozenset(_CODE.findall("BHD IQD JOD KWD LYD OMR TND"))
CURRENCIES = _THREE_DECIMALS | frozenset(
    _CODE.findall("""
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BIF BMD BND BOB BRL BSD BTN BWP BYN BZD
    CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP
    GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR ISK JMD JPY KES KGS KHR KMF KPW KRW KYD KZT LAK
    LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD
    PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SLL SOS SRD SSP
    STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND VUV WST XAF XCD XCG
    XOF XPF YER ZAR ZMW ZWG ZWL
    """)
)
"""ISO 4217's codes of money in use, and a few that feeds still bring."""

_PRICE = re.compile(
    r"(?P<a>[+-]?\d[\d.,'’ ]*?)\s*(?P<b>[A-Za-z]{3})"
    r"|(?P<c>[A-Za-z]{3})\s*(?P<d>[+-]?\d[\d.,'’ ]*)"
)
_BARE = re.compile(r"[+-]?\d[\d.,'’ ]*")
_RANGE = re.compile(
    r"\d\s*[A-Za-z]{0,3}\s*(?:-|–|—|to|bis|\.\.)\s*[A-Za-z]{0,3}\s*\d", re.IGNORECASE
)
_SYMBOL = re.compile(r"[$€£¥₹₽₩₺₪฿]")
_SPACES = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2009": " ", "’": "'"})


def parse_price(text: str, *, currency: str | None = None) -> Price | None:
    """`10.00 USD`, `USD 1,234.50`, `1.234,50 EUR`, `1 234,50 PLN` -> a price; '' -> None.

    `currency` is that of amounts which bring none. Raises ValueError, whose text says why: no
    currency, an unknown one, a symbol, a range, a sign, an amount that reads in two ways.
    """
    if not text:
        return None
    plain = text.translate(_SPACES).strip()
    found = _PRICE.fullmatch(plain)
    if found is not None:
        digits, code = found["a"] or found["d"], (found["b"] or found["c"]).upper()
    elif currency is not None and _BARE.fullmatch(plain):
        digits, code = plain, currency
    else:
        raise ValueError(f"'{text[:40]}' {_fault(plain)}")
    if code not in CURRENCIES:
        raise ValueError(f"'{text[:40]}' names '{code}', which is no ISO 4217 currency")
    amount = _amount(digits.strip(), code)
    if not 0 <= amount < MAX_AMOUNT:
        raise ValueError(f"'{text[:40]}' is not an amount between 0 and {MAX_AMOUNT:,}")
    return Price(amount, code)


def _fault(text: str) -> str:
    if _RANGE.search(text):
        return "is a range; give the price of this one variant"
    if _SYMBOL.search(text):
        return "has a symbol for its currency, which several share; write its code: '10.00 USD'"
    if _BARE.fullmatch(text):
        return "has no currency; write '10.00 USD', or set the mapping's currency"
    return "is not an amount and a currency like '10.00 USD'"


_POINT = re.compile(r"[+-]?\d+(?:\.(\d{1,4}))?")
_COMMA = re.compile(r"[+-]?\d+,(\d{1,4})")
_GROUPS = {
    ",": re.compile(r"[+-]?\d{1,3}(?:,\d{2,3})*,\d{3}(?:\.\d{1,4})?"),  # 1,23,456.00: India's
    ".": re.compile(r"[+-]?\d{1,3}(?:\.\d{3})+(?:,\d{1,4})?"),
    " ": re.compile(r"[+-]?\d{1,3}(?: \d{3})+(?:[.,]\d{1,2})?"),
    "'": re.compile(r"[+-]?\d{1,3}(?:'\d{3})+(?:[.,]\d{1,2})?"),
}


def _amount(digits: str, code: str) -> Decimal:
    """The number. Three digits after a single separator are a thousand or thousandths: `1,234 EUR`
    is a thousand and more by every convention but for currencies of three decimals, `1.234 EUR` is
    so in half of Europe alone."""
    decimals = 3 if code in _THREE_DECIMALS else 2
    if point := _POINT.fullmatch(digits):
        places = len(point[1] or "")
        if places != 3 or decimals == 3 or digits.lstrip("+-").startswith("0."):
            return Decimal(digits)
        raise ValueError(f"'{digits} {code}' reads in two ways; write two decimals")
    if comma := _COMMA.fullmatch(digits):
        if len(comma[1]) == 3 and decimals == 3:
            raise ValueError(f"'{digits} {code}' reads in two ways; write a point for the decimals")
        if len(comma[1]) != 3:
            return Decimal(digits.replace(",", "."))
    for separator, pattern in _GROUPS.items():
        if pattern.fullmatch(digits):
            return Decimal(digits.replace(separator, "").replace(",", "."))
    raise ValueError(f"'{digits[:40]}' is no amount; write '1234.50'")
