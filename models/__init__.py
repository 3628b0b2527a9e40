"""The networks. Each subpackage hides one of them behind numpy arrays and plain values."""

import os

# Read by OpenMP when torch is first imported, so it must be set before. Threads that spin while
# they wait for one another make a render eight times as slow as soon as another process wants one
# of the cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
