"""The resident Prefect worker: flows run in its own process, models loaded once, one per device."""
