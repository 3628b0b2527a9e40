"""Metric families as Prometheus' client wants them, of plain values."""

from collections.abc import Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric


def gauge(name: str, text: str, value: float) -> Metric:
    """A family of one value without labels."""
    return GaugeMetricFamily(name, text, value=value)


def labelled(
    name: str,
    text: str,
    labels: tuple[str, ...],
    values: Mapping[Any, float],
    *,
    counter: bool = False,
) -> Metric:
    """One family: a value for each tuple of labels."""
    family = (CounterMetricFamily if counter else GaugeMetricFamily)(name, text, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family
