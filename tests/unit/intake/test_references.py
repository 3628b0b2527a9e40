"""Secrets in a source's location: referred to, never written, never shown."""

import pytest

from adloom.errors import InvalidInputError
from catalog_connectors import shown_location
from catalog_connectors.references import Referenced

HTTP = "https://shop.example/feed.xml"


@pytest.mark.parametrize(
    "location",
    [
        *(f"{HTTP}?a=1&{key}=abc" for key in (
            "token", "access_token", "api_key", "apikey", "Access-Key", "sig", "X-Amz-Signature",
            "auth", "Authorization", "client_secret", "X-Amz-Security-Token", "pwd",
        )),
        HTTP.replace("//", "//abc@"), HTTP.replace("//", "//abc:@"), HTTP.replace("//", "//u:abc@"),
        "postgresql://user:a/bc@host/shop",
    ],
)  # fmt: skip
def test_a_secret_that_is_written_out_is_refused(location: str) -> None:
    with pytest.raises(InvalidInputError, match="password, key or token") as caught:
        Referenced(location).refuse_secrets()
    assert "bc" not in str(caught.value)


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        (f"{HTTP}?token=${{TOKEN}}&page=1", HTTP),
        (HTTP.replace("//", "//${USER}@"), HTTP),
        (HTTP.replace("//", "//shop:${file:/run/key}@") + "#x", HTTP),
        ("https://h.example:8080/a@2x.tsv", "https://h.example:8080/a@2x.tsv"),
        ("postgresql://user:${P}@h:5432/shop?require_auth=md5", "postgresql://h:5432/shop"),
        ("postgresql://user@h/shop", "postgresql://h/shop"),
        ("sqlite:////data/shop.db", "sqlite:////data/shop.db"),
        ("${SHOP_FEED}", "${SHOP_FEED}"),
        ("/data/what?.tsv", "/data/what?.tsv"),
    ],
)
def test_a_location_without_secrets_is_taken_and_shown_without_user_and_query(
    location: str, shown: str
) -> None:
    Referenced(location).refuse_secrets()
    assert shown_location(location) == shown
