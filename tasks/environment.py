"""What every task works on: database, object store, workspace, and how to render.

A flow that Prefect starts gets no secrets as parameters: it opens its environment from the settings
of its own process (`current`). The command line opens one and puts it in place (`use`).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from adloom.catalog import Price
from db.engine import Database
from storage.protocol import ObjectStore


@dataclass(frozen=True, slots=True)
class MaskModels:
    """By what photos are cut out: `u2netp`, or `grounded-sam2` with a folder or hub id for each of
    its networks."""

    extractor: str = "u2netp"
    detector: str = "IDEA-Research/grounding-dino-base"
    segmenter: str = "facebook/sam2.1-hiera-large"


@dataclass(frozen=True, slots=True)
class Rendering:
    """How this process renders. `threads` 0: as many as the machine has; `reference_cache_mb` None:
    what suits the device (see `RefAdGenRenderer.load`); `lora`: a file fused into the weights."""

    weights_root: Path
    device: str = "cpu"
    dtype: str = "float32"
    threads: int = 0
    micro_batch: int = 4
    batch_size: int = 32
    lease_s: float = 20.0
    allow_noncommercial_weights: bool = False
    channels_last: bool = False
    compile: str = "off"
    lora: Path | None = None
    lora_strength: float = 1.0
    lora_licence: str | None = None
    upscaler_weights: Path | None = None
    upscaler_licence: str | None = None
    reference_cache_mb: int | None = None
    masks: MaskModels = MaskModels()
    simulation_journal: Path | None = None
    simulate_scores: bool = False


@dataclass(frozen=True, slots=True)
class Webhook:
    """An endpoint that is told what becomes of runs: `url` may hold a token, and `secret` signs
    what is sent; neither is ever stored or logged."""

    name: str
    url: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Environment:
    database: Database
    store: ObjectStore
    workspace: str
    workspace_id: int
    rendering: Rendering
    owner: str
    allow_private_addresses: bool = False
    s3_endpoint: str | None = None
    worker: str = ""
    """The name under which this process and those that follow it work; empty: it has none."""
    renders_here: bool = True
    """Whether a run that this process coordinates may render in it when there is no fleet."""
    gpu_hour_price: Price | None = None
    """What a device costs by the hour; None: nobody has said."""
    webhooks: Mapping[str, Webhook] = field(default_factory=dict[str, Webhook])


_current: Environment | None = None


def current() -> Environment:
    """The environment of this process: the one in use, else one opened from the settings."""
    global _current
    if _current is None:
        from tasks.opening import open_from_settings  # imports this module

        _current = open_from_settings()
    return _current


@contextmanager
def use(environment: Environment) -> Iterator[Environment]:
    """Makes `environment` the current one for the duration of the block."""
    global _current
    before, _current = _current, environment
    try:
        yield environment
    finally:
        _current = before
