"""How to train, as a value; the recipes that come with the project are YAML files of it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from math import inf
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from pydantic import TypeAdapter, ValidationError

from adloom.errors import SpecError

Trainable = Literal["whole", "paper", "generation", "unet"]
RECIPES: Final = Path(__file__).parent / "recipes"
"""What the project trains by, a YAML file each."""


@dataclass(frozen=True, slots=True)
class Training:
    """How to train. batch: of each worker. Rates of dropped conditions: image alone, text alone,
    both. A run ends after `steps` (or `epochs` over the samples, where given) or `max_minutes`,
    whichever comes first; the learning rate follows the nearer end. None is no limit in minutes:
    then each step is the same in every run on processors of one kind, resumed or not, to the last
    bit.

    trainable: `whole` is every network but the autoencoder, `paper` what RefAdGen trains when it
    starts from Stable Diffusion, `generation` the Generation U-Net and the text encoder, `unet` the
    Generation U-Net alone (`training.trainable`).
    mask_input: whether the U-Net is shown the mask (the ablation is not).
    mask_weight: the error counts 1 + this on the product. channel_weighting: power of the latent
    channels' spread in the loss, 0 weighs them alike, 2 as their pixels do. noise_offset: deviation
    of what is added to a channel's noise as a whole. min_snr_gamma: arXiv 2303.09556, None is off.
    ddo_beta: above 0, true ads are told from own renders (`training.telling_apart`, arXiv
    2503.01103) and mask_weight and min_snr_gamma do not count: how soon the loss is content with a
    gain, which is a share of the error; ddo_alpha: what renders count beside ads; ddo_above: they
    are told apart from this share of the noise schedule on, in [0, 1); ddo_keep: weight of what is
    held to the start.
    bf16: computed in bfloat16, on processors and GPUs that have it (`training.precision`).
    stretch_minutes: one start of the program ends after so long with a checkpoint, for machines
    that are lent by the hour; it changes nothing of what is learned.
    ema_decay: 0 keeps no average. save_steps, save_minutes: between checkpoints, whichever comes
    first; 0 is never.
    cuda_graphs: on a GPU, loss and gradients are recorded once for each native size and replayed:
    small networks' steps otherwise wait for the CPU that launches their kernels. lean_norms: keep
    bfloat16 through normalization layers, which autocast writes as float32.
    """

    trainable: Trainable = "whole"
    steps: int = 20000
    epochs: float | None = None
    batch: int = 16
    lr: float = 1e-3
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: int = 200
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.99)
    clip: float = 1.0
    drop_image: float = 0.10
    drop_text: float = 0.10
    drop_both: float = 0.05
    mask_input: bool = True
    mask_weight: float = 2.0
    channel_weighting: float = 1.0
    noise_offset: float = 0.0
    min_snr_gamma: float | None = None
    ddo_beta: float = 0.0
    ddo_alpha: float = 1.0
    ddo_above: float = 0.0
    ddo_keep: float = 0.0
    ema_decay: float = 0.999
    seed: int = 0
    max_minutes: float | None = 60.0
    stretch_minutes: float | None = None
    save_minutes: float = 5.0
    save_steps: int = 0
    log_every: int = 20
    bf16: bool = True
    cuda_graphs: bool = False
    lean_norms: bool = False
    gradient_checkpointing: bool = False
    threads: tuple[int, ...] = (2, 1)

    @property
    def is_exact(self) -> bool:
        """Whether nothing depends on the clock."""
        return self.max_minutes is None

    def steps_over(self, samples: int, workers: int) -> int:
        """The run's length in steps, with so many samples to go over."""
        if self.epochs is None:
            return self.steps
        return max(1, round(self.epochs * samples / (self.batch * workers)))


def read_recipe(name: str, changes: Mapping[str, Any] | None = None) -> Training:
    """A recipe of the project by its name, or a YAML file of one's own; `changes` that are not
    None replace what it says. SpecError says what cannot be used, and where."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else RECIPES / f"{name}.yaml"
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        known = ", ".join(sorted(p.stem for p in RECIPES.glob("*.yaml")))
        raise SpecError("no such recipe", where=name, hint=f"{known}, or a .yaml file") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SpecError(f"the recipe cannot be read: {error}", where=str(path)) from error
    recipe = replace(_validated(content, str(path)), **_given(changes or {}))
    if recipe.cuda_graphs and recipe.gradient_checkpointing:
        raise SpecError(
            "cuda_graphs with gradient_checkpointing", where=str(path), hint="turn one of them off"
        )
    _check_telling_apart(recipe, path)
    return recipe


def _check_telling_apart(recipe: Training, path: Path) -> None:
    for name in ("ddo_beta", "ddo_alpha", "ddo_above", "ddo_keep"):
        value = getattr(recipe, name)
        if not 0 <= value < (1 if name == "ddo_above" else inf):
            allowed = "in [0, 1)" if name == "ddo_above" else "0 or a positive number"
            raise SpecError(f"{name}: {value}", where=str(path), hint=f"{name} is {allowed}")
    if recipe.ddo_beta > 0 and recipe.trainable != "unet":
        raise SpecError(
            f"ddo_beta with trainable: {recipe.trainable}",
            where=str(path),
            hint="trainable: unet; all that it is given stays as it was at the start",
        )


def _given(changes: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in changes.items() if v is not None}


def _validated(content: object, where: str) -> Training:
    if not isinstance(content, dict):
        raise SpecError("a recipe is names and values", where=where)
    unknown = sorted(set(content) - {f.name for f in fields(Training)})
    if unknown:
        raise SpecError(f"unknown: {', '.join(map(str, unknown))}", where=where)
    try:
        return TypeAdapter(Training).validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(map(str, first["loc"]))
        raise SpecError(f"{at}: {first['msg']}", where=where) from error
