"""For load balancers and `adloom up`: that this process serves. It says nothing else."""

from fastapi import APIRouter

router = APIRouter()


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}
