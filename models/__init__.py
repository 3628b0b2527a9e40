"""The networks. Each subpackage hides one of them behind numpy arrays and plain values."""
