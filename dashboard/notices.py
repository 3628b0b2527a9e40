"""What a page says of an act that was just done, told in its address by a word and a number."""

_RUN_NOTICES = {
    "retry": "A retry of {n:,} failed items has begun: they are opened within seconds, and what "
    "becomes of them shows here.",
    "pause": "The run is paused: {n:,} batches that are under way end, no more are begun.",
    "resume": "The run goes on with {n:,} open items.",
    "start": "The run is executed again, with {n:,} open items.",
    "cancel": "The run is cancelled: {n:,} open items ended. Renders that other runs need stay.",
    "began": "A run of the campaign has been started; it shows here within seconds.",
}


def run_notice(did: str | None, items: int | None) -> str | None:
    """The notice for a known word; None for any other."""
    text = _RUN_NOTICES.get(did or "")
    return None if text is None else text.format(n=items or 0)
