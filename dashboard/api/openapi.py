"""The API's own description."""

from typing import Any

from fastapi import APIRouter, Request

from dashboard.access import Viewer

router = APIRouter()


@router.get("/openapi.json", include_in_schema=False)
def openapi(request: Request, person: Viewer) -> dict[str, Any]:
    del person
    return request.app.openapi()
