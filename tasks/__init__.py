"""One unit of work each: plain functions over an `Environment`, and thin Prefect tasks on top."""
