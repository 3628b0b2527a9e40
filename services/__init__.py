"""The servers adloom runs on, started and stopped by `adloom up` and `adloom down`."""
