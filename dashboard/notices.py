"""What a page says of an act that was just done, told in its address by a word and a number."""

from dashboard.run_view import counted

_RUN_NOTICES = {
    "retry": "A retry of {items} has begun. What becomes of it shows here within seconds.",
    "pause": "The run is paused: {batches} under way will end, no more are begun.",
    "resume": "The run goes on with {items}.",
    "start": "The run is executed again, with {items}.",
    "cancel": "The run is cancelled: {items} ended. Renders that other runs need stay.",
    "began": "A run of the campaign has been started; it shows here within seconds.",
}


def run_notice(did: str | None, items: int | None) -> str | None:
    """The notice for a known word; None for any other."""
    text = _RUN_NOTICES.get(did or "")
    if text is None:
        return None
    n = items or 0
    kind = "failed item" if did == "retry" else "open item"
    return text.format(items=counted(n, kind), batches=counted(n, "batch", "batches"))
