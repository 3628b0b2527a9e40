"""What one process measures of its device, for Prometheus: counters and distributions."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

_BATCH_S = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600)
_GAP_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class DeviceMetrics:
    """Metrics in a registry of their own, with the process's memory and processor time."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.busy_seconds = Counter(
            "adloom_device_busy_seconds", "Seconds that the device rendered.",
            registry=self.registry,
        )  # fmt: skip
        self.renders = Counter(
            "adloom_device_renders", "Renders that the device made.", registry=self.registry
        )
        self.batch_seconds = Histogram(
            "adloom_device_batch_seconds", "How long a batch had the device.",
            buckets=_BATCH_S, registry=self.registry,
        )  # fmt: skip
        self.gap_seconds = Histogram(
            "adloom_device_gap_seconds",
            "How long the device waited between two batches of which the second was ready.",
            buckets=_GAP_S, registry=self.registry,
        )  # fmt: skip
        self.memory_bytes = Gauge(
            "adloom_device_memory_bytes", "Device memory in use by tensors of the process.",
            registry=self.registry,
        )  # fmt: skip
