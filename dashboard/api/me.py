"""Who asks."""

from fastapi import APIRouter
from pydantic import BaseModel

from adloom.records import SignedInBy
from adloom.states import Role
from dashboard.access import Viewer

router = APIRouter(tags=["access"])


class Me(BaseModel):
    name: str
    role: Role
    by: SignedInBy


@router.get("/me")
def me(person: Viewer) -> Me:
    """The account that the session or the token belongs to."""
    return Me(name=person.name, role=person.role, by=person.by)
