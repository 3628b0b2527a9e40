"""What the dashboard is given when it is made, and how a request finds it."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fastapi import Request

from adloom.catalog import Price
from adloom.review_reasons import DEFAULT_REASONS, ReviewReason
from tasks.environment import Environment

if TYPE_CHECKING:
    from dashboard.access.provider import Provider

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One installation's dashboard.

    `secret`: 32 bytes of the installation's own, from which all signatures come; `folder`: where
    thumbnails and other things that can be made again are kept; `url`: the address that browsers
    use; `prefect_api_url`: the Prefect server whose health is shown, None for none;
    `gpu_hour_price`: what an hour of one device costs, None where nobody said; `review_reasons`:
    why a reviewer may reject.
    """

    environment: Environment
    secret: bytes = field(repr=False)
    folder: Path
    url: str = "http://127.0.0.1:4300"
    prefect_api_url: str | None = None
    gpu_hour_price: Price | None = None
    review_reasons: tuple[ReviewReason, ...] = DEFAULT_REASONS
    provider: "Provider | None" = None
    """An OpenID provider to sign in by."""

    @property
    def is_secure(self) -> bool:
        """Whether browsers reach it over TLS; cookies are then sent over nothing else."""
        return self.url.startswith("https://")

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def hosts(self) -> frozenset[str]:
        """The names under which it may be asked for."""
        return LOOPBACK | {self.host} if self.host in LOOPBACK else frozenset({self.host})

    def key(self, purpose: str) -> bytes:
        """A key (32 bytes) for one purpose, of the installation's secret."""
        return hashlib.blake2b(purpose.encode(), key=self.secret, digest_size=32).digest()


def dashboard_of(request: Request) -> Dashboard:
    """The dashboard that a request was sent to."""
    found = request.app.state.dashboard
    assert isinstance(found, Dashboard)
    return found
