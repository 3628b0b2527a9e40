"""Measurements, side by side in one run; each prints a table and ends with one JSON line."""
