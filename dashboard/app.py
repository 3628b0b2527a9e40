"""The application: pages, API, static files, and what every request goes through."""

import importlib
import pkgutil
from pathlib import Path

from fastapi import APIRouter, FastAPI
from starlette.responses import RedirectResponse
from starlette.staticfiles import StaticFiles

import dashboard.api
import dashboard.pages
from adloom import __version__
from dashboard import errors, security
from dashboard.access import Viewer
from dashboard.context import Dashboard

STATIC = Path(__file__).parent / "static"
API = "/api/v1"


def create_app(dashboard_: Dashboard) -> FastAPI:
    """The dashboard as an ASGI application.

    Each module of `dashboard.pages` and of `dashboard.api` has a `router`; those of the API are
    under `/api/v1`.
    """
    app = FastAPI(
        title="adloom",
        version=__version__,
        description="Runs, creatives and reviews of one adloom installation.",
        openapi_url=None,  # for those who are signed in: dashboard/api/openapi.py
        docs_url=None,  # its pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.dashboard = dashboard_
    app.mount("/static", _StaticFiles(directory=STATIC), name="static")
    app.add_api_route("/", _home, methods=["GET"], include_in_schema=False)
    for router in _routers(dashboard.pages):
        app.include_router(router, include_in_schema=False)
    for router in _routers(dashboard.api):
        app.include_router(router, prefix=API, responses=errors.PROBLEMS)
    errors.install(app)
    security.install(app, dashboard_)
    return app


def _home(person: Viewer) -> RedirectResponse:
    del person
    return RedirectResponse("/runs", status_code=303)


def _routers(package: object) -> list[APIRouter]:
    """The routers of a package's modules, by name."""
    path, name = package.__path__, package.__name__  # pyright: ignore[reportAttributeAccessIssue]
    modules = sorted(module.name for module in pkgutil.iter_modules(path, f"{name}."))
    return [
        router
        for module in modules
        if isinstance(router := getattr(importlib.import_module(module), "router", None), APIRouter)
    ]


class _StaticFiles(StaticFiles):
    """Asked for again each time, and answered by `304` while unchanged: modules import one another
    by plain names, which therefore bear no version."""

    def file_response(self, *args, **kwargs):  # pyright: ignore
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response
