"""What runs in which order: Prefect flows over tasks, with no logic of their own.

A sync flow run costs a second of heartbeat thread, an async one 0.15 s: all flows are async.
"""
