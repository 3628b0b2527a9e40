"""The fence of a write, whoever makes it: a worker by its batch, a coordinator by its run."""

from adloom.records import Lease, RunLease
from db.engine import Transaction
from db.queries import leases, run_leases


def hold(tx: Transaction, lease: Lease | RunLease) -> None:
    """From here to the commit the lease holds. Raises LeaseLostError."""
    if isinstance(lease, RunLease):
        run_leases.hold(tx, lease)
    else:
        leases.hold(tx, lease)
