"""Who may do what: sign-in, sessions, roles, the token against forged requests, the audit log.

In a route:

    @router.post("/runs/{run}/retry")
    def retry(request: Request, person: Annotated[Person, Depends(requires(Role.OPERATOR))], ...):
        done = tasks.retry(...)
        audit(request, person, act="run.retry", subject=f"run {run}", details={"items": done})

`requires` refuses a request without a session or API token (`SignInNeededError`), of a lower role,
or, where it changes something, without the session's CSRF token (`AccessError`).
"""

from adloom.records import Person
from adloom.states import Role
from dashboard.access.auditing import acting, audit
from dashboard.access.requiring import Admin, Operator, Reviewer, Viewer, requires

__all__ = [
    "Admin",
    "Operator",
    "Person",
    "Reviewer",
    "Role",
    "Viewer",
    "acting",
    "audit",
    "requires",
]
