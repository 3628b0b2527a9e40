"""The pure core of adloom: values and functions of values. No I/O, no torch, no Prefect."""

__version__ = "0.1.0"
