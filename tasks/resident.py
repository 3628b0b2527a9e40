"""The models that stay in memory: one renderer, one mask extractor, one scorer per process.

torch and its kin take seconds to import: they are imported when a model is first asked for, so that
a command that needs none starts at once.
"""

import threading
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from adloom.errors import ModelError, NotFoundError
from adloom.planning import RendererIdentity
from adloom.render_spec import RENDERER_VERSION, RenderSpec
from adloom.weights_bill import Part
from models.refadgen.weights import check_billed, check_licence
from tasks.environment import Rendering
from tasks.paths import user_path
from tasks.simulated import (
    SimulatedExtractor,
    SimulatedScorer,
    is_simulated,
    require_simulation,
    simulated_renderer,
)

if TYPE_CHECKING:
    from models.refadgen.renderer import RefAdGenRenderer
    from models.scoring.scorer import Scorer
    from models.scoring.text import TextDetector
    from models.segmentation import Extractor, MaskExtractor
    from models.upscaling.network import UpscalingNetwork

PROMPTS_COUNTED = 4096  # a product's formats and variants share its prompts

_lock = threading.Lock()
_loaded: dict[tuple[object, ...], Any] = {}


def renderer(model: str, rendering: Rendering) -> "RefAdGenRenderer":
    """The renderer of a campaign's `model`, loaded once.

    `model` is a folder's path, or the name of a folder below the weights' root. Raises
    NotFoundError naming what is there, ModelError for weights or a LoRA that cannot be loaded or
    whose licence the settings do not allow, and for weights that are not those on their bill.
    """
    if is_simulated(model):
        return _simulated(model, rendering)
    from models.refadgen.acceleration import Acceleration
    from models.refadgen.lora import Lora
    from models.refadgen.renderer import RefAdGenRenderer

    path = weights_path(model, rendering.weights_root)
    allowed = rendering.allow_noncommercial_weights
    check_licence(path, allowed)
    _check_file_licence(rendering, rendering.lora, rendering.lora_licence, "ADLOOM_LORA_LICENCE")
    with _lock:
        acceleration = Acceleration(rendering.channels_last, cast(Any, rendering.compile))
        lora = None if rendering.lora is None else Lora(rendering.lora, rendering.lora_strength)
        key = ("renderer", str(path), rendering.device, rendering.dtype, acceleration, lora)
        if key not in _loaded:
            _loaded[key] = RefAdGenRenderer.load(
                path,
                device=rendering.device,
                dtype=rendering.dtype,
                reference_cache_mb=rendering.reference_cache_mb,
                threads=rendering.threads,
                acceleration=acceleration,
                lora=lora,
            )
        loaded: RefAdGenRenderer = _loaded[key]
    check_billed(path, loaded.files_hash, allowed)
    return loaded


def loaded_weights() -> dict[str, str]:
    """The weights hash of each model that this process has loaded, by its folder's name."""
    there = list(_loaded.items())  # without the lock, which is held while a model loads
    return {Path(str(k[1])).name: one.weights_hash for k, one in there if k[0] == "renderer"}


def _simulated(model: str, rendering: Rendering) -> Any:
    with _lock:
        if (model,) not in _loaded:
            _loaded[(model,)] = simulated_renderer(model, rendering.simulation_journal)
        return _loaded[(model,)]


def check_model(model: str, rendering: Rendering) -> None:
    """Raises NotFoundError if a campaign's `model` names no weights, ConfigurationError if it names
    a simulation and none is allowed; loads nothing."""
    if is_simulated(model):
        simulated_renderer(model, rendering.simulation_journal)
    else:
        weights_path(model, rendering.weights_root)


def weights_path(model: str, root: Path) -> Path:
    """The diffusers-format folder that a campaign's `model` names."""
    for candidate in (user_path(model), root / model):
        if (candidate / "model_index.json").is_file():
            return candidate.resolve()
    there = sorted(p.parent.name for p in root.glob("*/model_index.json"))
    raise NotFoundError(
        f"no weights '{model}'",
        where=str(root),
        hint=f"there are: {', '.join(there) or 'none'}; or name a diffusers-format folder",
    )


def identity(model: str, rendering: Rendering) -> RendererIdentity:
    """What planning must know of a campaign's model."""
    loaded = renderer(model, rendering)
    return RendererIdentity(
        weights_hash=loaded.weights_hash,
        dtype=loaded.dtype,
        unit_px=loaded.native_unit,
        max_tokens=loaded.max_tokens,
        count_tokens=lru_cache(PROMPTS_COUNTED)(loaded.count_tokens),
        unknown_words=lru_cache(PROMPTS_COUNTED)(loaded.unknown_words),
    )


def require_pinned(pinned: str | None, at_hand: str, *, where: str) -> None:
    """Raises ModelError if the weights at hand are not those that `where` is pinned to."""
    if pinned is not None and pinned != at_hand:
        raise ModelError(
            f"is pinned to weights {pinned[:12]}; here are {at_hand[:12]}",
            where=where,
            hint="bring back those weights, or apply the campaign's file again: its next run then "
            "makes its creatives anew with the weights at hand",
        )


def checked(loaded: "RefAdGenRenderer", spec: RenderSpec) -> "RefAdGenRenderer":
    """The renderer, if weights, dtype and version are those that a spec was planned with.

    Raises ModelError: other pixels must never be stored under the spec's fingerprint.
    """
    planned = (spec.weights_hash, spec.dtype, spec.renderer_version)
    if (loaded.weights_hash, loaded.dtype, RENDERER_VERSION) != planned:
        raise ModelError(
            f"the spec was planned with weights {spec.weights_hash[:12]}, {spec.dtype}, renderer "
            f"{spec.renderer_version}; here are {loaded.weights_hash[:12]}, {loaded.dtype}, "
            f"{RENDERER_VERSION}",
            hint="give this process what the run was planned with; or cancel the run, apply the "
            "campaign's file and run it again",
        )
    return loaded


def extractor(rendering: Rendering) -> "Extractor":
    """What cuts out photos, by the settings."""
    if rendering.masks.extractor == "u2netp":
        return _saliency(rendering)
    from models.segmentation.grounded import GroundedExtractor

    models = rendering.masks
    with _lock:
        key = ("grounded", models, rendering.device)
        if key not in _loaded:
            _loaded[key] = GroundedExtractor.load(
                models.detector, models.segmenter, device=rendering.device
            )
        return _loaded[key]


def saliency_extractor(rendering: Rendering) -> "MaskExtractor | SimulatedExtractor":
    """What finds the product in a render, whatever cuts out photos: gates are drawn from it."""
    if rendering.simulate_scores:
        require_simulation(rendering.simulation_journal)
        return SimulatedExtractor()
    return _saliency(rendering)


def _saliency(rendering: Rendering) -> "MaskExtractor":
    from models.segmentation import MaskExtractor

    with _lock:
        if ("extractor",) not in _loaded:
            _loaded[("extractor",)] = MaskExtractor.load(threads=rendering.threads or 1)
        return _loaded[("extractor",)]


def text_detector(rendering: Rendering) -> "TextDetector":
    from models.scoring.text import TextDetector

    with _lock:
        if ("text",) not in _loaded:
            _loaded[("text",)] = TextDetector.load(threads=rendering.threads or 1)
        return _loaded[("text",)]


def scorer(rendering: Rendering) -> "Scorer | SimulatedScorer":
    if rendering.simulate_scores:
        require_simulation(rendering.simulation_journal)
        return SimulatedScorer()
    from models.scoring.scorer import Scorer

    with _lock:
        if ("scorer",) not in _loaded:
            _loaded[("scorer",)] = Scorer.load(
                device=rendering.device, threads=rendering.threads or None
            )
        return _loaded[("scorer",)]


def upscaler(rendering: Rendering) -> "UpscalingNetwork":
    """The super-resolution network of this installation.

    Raises ModelError where there is none, or whose licence the settings do not allow.
    """
    from models.upscaling.network import UpscalingNetwork

    _check_upscaler_licence(rendering)
    key = ("upscaler", str(rendering.upscaler_weights), rendering.device)
    with _lock:
        if key not in _loaded:
            _loaded[key] = UpscalingNetwork.load(
                rendering.upscaler_weights,
                device=rendering.device,
                threads=rendering.threads or 1,
            )
        return _loaded[key]


def _check_upscaler_licence(rendering: Rendering) -> None:
    """The installed network's is BSD-3-Clause; of a named one it has to be stated."""
    _check_file_licence(
        rendering, rendering.upscaler_weights, rendering.upscaler_licence, "ADLOOM_UPSCALER_LICENCE"
    )


def _check_file_licence(
    rendering: Rendering, weights: Path | None, licence: str | None, setting: str
) -> None:
    """ModelError for weights without a bill whose `licence`, stated in `setting`, forbids
    commercial use or is unstated, unless any is allowed."""
    if weights is None or rendering.allow_noncommercial_weights:
        return
    if not Part((weights.stem,), str(weights), licence).is_commercial:
        raise ModelError(
            f"not known to be free for commercial use: {licence or 'licence unstated'}",
            where=str(weights),
            hint=f"state its SPDX name in {setting}, or set "
            "ADLOOM_ALLOW_NONCOMMERCIAL_WEIGHTS=true for uses that are not commercial",
        )
