"""What is known of a render's object, by its fingerprint."""

from sqlalchemy import text

from db.engine import Transaction

_SHA256 = text("SELECT sha256 FROM render WHERE workspace_id = :ws AND fingerprint = :fingerprint")


def sha256_of(tx: Transaction, ws: int, fingerprint: str) -> str | None:
    """The content's sha256, None for a render that is unknown or not made."""
    values = {"ws": ws, "fingerprint": fingerprint}
    return tx.execute(_SHA256, values).scalar_one_or_none()
