"""Who may ask for what, written out: a route that is new, gone or another's fails a test until
somebody has said here who it is for."""

from adloom.states import Role

PUBLIC = frozenset(
    {
        "GET /healthz",
        "GET /sign-in",
        "POST /sign-in",
        "GET /sign-in/link",
        "POST /sign-in/link",
        "GET /sign-in/provider",
        "GET /sign-in/provider/back",
    }
)
"""What leads to a session, and whether the process serves."""

OF_ROLE: dict[Role, frozenset[str]] = {
    Role.VIEWER: frozenset(
        {
            "GET /",
            "GET /account",
            "POST /account/password",
            "POST /account/sign-out-everywhere",
            "GET /api/v1/campaigns",
            "GET /api/v1/health",
            "GET /api/v1/me",
            "GET /api/v1/openapi.json",
            "GET /api/v1/photos/{photo}/invalidates",
            "GET /api/v1/products",
            "GET /api/v1/review/creatives/{creative}",
            "GET /api/v1/review/queue",
            "GET /api/v1/runs",
            "GET /api/v1/runs/live",
            "GET /api/v1/runs/{run}",
            "GET /api/v1/runs/{run}/live",
            "GET /api/v1/schedule",
            "GET /campaigns",
            "GET /campaigns/{slug}",
            "GET /catalogue",
            "GET /catalogue/{product}",
            "GET /catalogue/{product}/photos/{photo}",
            "GET /creatives/{creative}",
            "GET /numbers",
            "GET /numbers/{table}.csv",
            "GET /pictures/none",
            "GET /pictures/{size}/{kind}/{name}",
            "GET /review",
            "GET /review/grid",
            "GET /runs",
            "GET /runs/{run}",
            "GET /runs/{run}/failures",
            "GET /scenes",
            "GET /scenes/{slug}",
            "POST /sign-out",
        }
    ),
    Role.REVIEWER: frozenset(
        {
            "POST /api/v1/review/claims/release",
            "POST /api/v1/review/claims/renew",
            "POST /api/v1/review/decisions",
            "POST /api/v1/review/decisions/bulk",
            "POST /api/v1/review/decisions/{key}/undo",
            "POST /api/v1/review/next",
            "POST /creatives/{creative}/review",
        }
    ),
    Role.OPERATOR: frozenset(
        {
            "PUT /api/v1/campaigns",
            "POST /api/v1/campaigns/{slug}/run",
            "POST /api/v1/runs/{run}/retry",
            "POST /api/v1/runs/{run}/cancel",
            "POST /api/v1/runs/{run}/pause",
            "POST /api/v1/runs/{run}/resume",
            "POST /api/v1/campaigns/check",
            "POST /api/v1/campaigns/plan",
            "POST /api/v1/photos/{photo}/mask",
            "POST /campaigns",
            "GET /campaigns/new",
            "POST /campaigns/{slug}/run",
            "POST /catalogue/{product}/photos/{photo}/mask",
            "POST /catalogue/{product}/photos/{photo}/mask/revert",
            "GET /creatives/{creative}/recall",
            "POST /creatives/{creative}/recall",
            "POST /creatives/{creative}/redraw",
            "GET /runs/{run}/cancel",
            "POST /runs/{run}/cancel",
            "GET /runs/{run}/pause",
            "POST /runs/{run}/pause",
            "GET /runs/{run}/resume",
            "POST /runs/{run}/resume",
            "GET /runs/{run}/retry",
            "POST /runs/{run}/retry",
        }
    ),
    Role.ADMIN: frozenset(
        {
            "GET /api/v1/audit",
            "GET /api/v1/users",
            "POST /api/v1/users",
            "PUT /api/v1/users/{name}/disabled",
            "PUT /api/v1/users/{name}/role",
            "GET /audit",
            "GET /users",
            "POST /users",
            "POST /users/{name}/disable",
            "POST /users/{name}/enable",
            "POST /users/{name}/link",
            "POST /users/{name}/role",
        }
    ),
}
"""The lowest role that may; those above it may as well."""
