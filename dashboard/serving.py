"""Serves the dashboard until its process is told to stop."""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass

import uvicorn
from fastapi import FastAPI

from adloom.errors import ConfigurationError
from adloom.review_reasons import DEFAULT_REASONS, ReviewReason, parse_reasons
from dashboard.access.provider import Provider, ProviderOptions
from dashboard.app import create_app
from dashboard.context import Dashboard
from dashboard.secret import load_or_make
from db.queries import accounts
from services.dashboard import address
from services.prefect_server import is_loopback
from tasks.environment import Environment
from tasks.settings import Settings, roles_of

_PROXIES = "FORWARDED_ALLOW_IPS"
"""Where uvicorn is told which addresses are proxies; loopback is one."""
_GRACE_S = 3
"""Open streams of events are broken off after it; pages take them up again."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where to listen. `port` 0: any that is free."""

    host: str
    port: int


def serve(
    env: Environment,
    settings: Settings,
    place: Place,
    *,
    prefect_api_url: str | None,
    ready: Callable[[str], None],
) -> None:
    """Serves until SIGTERM or SIGINT; `ready` is called with the address before the first request.

    Raises ConfigurationError when it would be open to other machines without accounts or TLS, or
    cannot listen there.
    """
    refuse_if_open(env, settings, place.host)
    with _listening(place) as listener:
        url = address(settings, place.host, listener.getsockname()[1])
        folder = settings.home / "dashboard"
        app = create_app(
            Dashboard(
                env, load_or_make(folder), folder, url=url, prefect_api_url=prefect_api_url,
                provider=_provider(settings, url), gpu_hour_price=settings.hourly_price(),
                review_reasons=_reasons(settings),
            )
        )  # fmt: skip
        config = server_config(app, settings)
        ready(url)
        uvicorn.Server(config).run(sockets=[listener])


def server_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """How the application is served. A proxy's word about its clients' addresses is taken where
    there is one (`dashboard_url`): guesses at passwords are counted by them.

    Raises ConfigurationError where every client would be taken for a proxy.
    """
    if settings.dashboard_url is not None:
        _refuse_if_all_are_proxies(os.environ.get(_PROXIES, ""))
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,  # addresses hold one-time tokens and signatures
        server_header=False,
        proxy_headers=settings.dashboard_url is not None,
        ssl_certfile=settings.dashboard_certificate,
        ssl_keyfile=settings.dashboard_key,
        timeout_graceful_shutdown=_GRACE_S,
        timeout_keep_alive=30,
    )


def _reasons(settings: Settings) -> tuple[ReviewReason, ...]:
    if settings.review_reasons is None:
        return DEFAULT_REASONS
    return parse_reasons(settings.review_reasons, where="ADLOOM_REVIEW_REASONS")


def _provider(settings: Settings, url: str) -> Provider | None:
    if settings.oidc_issuer is None:
        return None
    secret = settings.oidc_client_secret
    options = ProviderOptions(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        client_secret=secret.get_secret_value() if secret else None,
        role_claim=settings.oidc_role_claim,
        roles=roles_of(settings.oidc_roles),
    )
    return Provider(options, f"{url}/sign-in/provider/back")


def refuse_if_open(env: Environment, settings: Settings, host: str) -> None:
    """Raises ConfigurationError if other machines could reach it without accounts or TLS."""
    if is_loopback(host):
        return
    with env.database.transaction() as tx:
        if not accounts.exist(tx, env.workspace_id):
            raise ConfigurationError(
                f"the dashboard would listen on {host}, and there is no account to sign in with",
                where="ADLOOM_DASHBOARD_HOST",
                hint="make one first: adloom user add NAME --role admin",
            )
    behind_tls = (settings.dashboard_url or "").startswith("https://")
    if not behind_tls and settings.dashboard_certificate is None:
        raise ConfigurationError(
            f"the dashboard would listen on {host} without TLS, and passwords would be readable",
            where="ADLOOM_DASHBOARD_HOST",
            hint="set ADLOOM_DASHBOARD_CERTIFICATE and ADLOOM_DASHBOARD_KEY, or "
            "ADLOOM_DASHBOARD_URL to the https:// address of the proxy in front of it",
        )


def _refuse_if_all_are_proxies(named: str) -> None:
    """Raises ConfigurationError where a client could choose the address it is known by."""
    for one in map(str.strip, named.split(",")):
        if one == "*" or one.endswith("/0"):
            raise ConfigurationError(
                f"'{one}' would believe every client about its own address, and guesses at "
                "passwords are counted by address",
                where=_PROXIES,
                hint="name the proxy's own address or network",
            )


def _listening(place: Place) -> socket.socket:
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((place.host, place.port))
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"the dashboard cannot listen on {place.host}:{place.port}: {error.strerror}",
            where="ADLOOM_DASHBOARD_HOST, ADLOOM_DASHBOARD_PORT",
            hint="choose another port (0: any that is free)",
        ) from error
    return listener
