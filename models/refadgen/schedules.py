"""Noise schedules, and which of diffusers' samplers go with weights that were trained on one.

Training fixes the prediction type and how much of the picture is left at each timestep; a sampler
may choose its steps and how it takes them, nothing else.
"""

from dataclasses import dataclass
from typing import Any

from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from diffusers.schedulers.scheduling_lcm import LCMScheduler
from diffusers.schedulers.scheduling_tcd import TCDScheduler
from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from torch import Tensor

from adloom.errors import ModelError
from adloom.render_spec import SAMPLERS

_SHARED = (
    "num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas",
    "prediction_type", "rescale_betas_zero_snr",
)  # fmt: skip
PREDICTIONS = ("v_prediction", "epsilon")
FROM_THE_LAST = ("trailing", "linspace")  # the spacings whose first step is the last timestep
ZERO_SNR_SAMPLERS = "DDIM, DDPM, DPMSolverMultistep, UniPCMultistep, EulerDiscrete"
_ALPHA_TOLERANCE = 5e-4  # of sqrt(alpha): some samplers put 2^-24 where the terminal SNR is zero


SCALED_LINEAR: dict[str, Any] = {
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
}


def own_schedule() -> DDIMScheduler:
    """The schedule of our own models: v-prediction, zero terminal SNR, trailing timesteps."""
    return DDIMScheduler(
        **SCALED_LINEAR,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
        steps_offset=0,
    )


_KINDS: dict[str, tuple[type, dict[str, Any]]] = {
    "dpm++": (DPMSolverMultistepScheduler, {"algorithm_type": "dpmsolver++"}),
    "unipc": (UniPCMultistepScheduler, {}),
    "lcm": (LCMScheduler, {}),
    "tcd": (TCDScheduler, {}),
}


def sampler_named(name: str | None, given: SchedulerMixin) -> SchedulerMixin:
    """The scheduler of one of adloom's `SAMPLERS` with the betas and prediction type of `given`.

    None and `ddim`: `given` itself, which is DDIM with all weights of ours and the released ones.
    The others start at the last timestep. ModelError names those that there are.
    """
    if name in (None, "ddim"):
        return given
    if name not in _KINDS:
        raise ModelError(
            f"no sampler {name!r}", where="sampler", hint=f"one of {', '.join(SAMPLERS)}"
        )
    kind, options = _KINDS[name]
    config = {k: v for k, v in getattr(given, "config", {}).items() if k in _SHARED}
    made: Any = kind
    return made.from_config({**config, **options, "timestep_spacing": "trailing"})


def released_schedule() -> DDIMScheduler:
    """The sampler of the released code: epsilon-prediction, plain scaled_linear, offset 1."""
    return DDIMScheduler(
        **SCALED_LINEAR,
        prediction_type="epsilon",
        rescale_betas_zero_snr=False,
        timestep_spacing="leading",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


@dataclass(frozen=True, slots=True)
class NoiseSchedule:
    """What the weights were trained with: prediction type, and alpha-bar (T,) by timestep."""

    prediction: str
    alphas: Tensor

    @classmethod
    def of(cls, scheduler: SchedulerMixin) -> "NoiseSchedule":
        """ModelError for schedulers that are not of this kind (flow matching, EDM)."""
        alphas = getattr(scheduler, "alphas_cumprod", None)
        if not isinstance(alphas, Tensor):
            raise ModelError(
                f"{type(scheduler).__name__} has no noise schedule of alphas",
                where="scheduler",
                hint=f"use one of {ZERO_SNR_SAMPLERS}",
            )
        config = getattr(scheduler, "config", {})
        return cls(str(config.get("prediction_type", "epsilon")), alphas.detach().cpu().clone())

    @property
    def ends_in_noise(self) -> bool:
        """Whether the last timestep holds nothing of the picture (zero terminal SNR)."""
        return float(self.alphas[-1]) < 1e-6


def check_schedule(scheduler: SchedulerMixin, trained: NoiseSchedule | None = None) -> None:
    """Refuse schedules that cannot work, or that the weights were not trained with.

    ModelError says why and what goes together.
    """
    own = NoiseSchedule.of(scheduler)
    _check_by_itself(own, str(getattr(scheduler, "config", {}).get("timestep_spacing")))
    if trained is not None:
        _check_against(own, trained, type(scheduler).__name__)


def _check_by_itself(schedule: NoiseSchedule, spacing: str) -> None:
    if schedule.prediction not in PREDICTIONS:
        raise ModelError(
            f"prediction type {schedule.prediction!r} is not supported",
            where="scheduler",
            hint="use v_prediction or epsilon",
        )
    if schedule.ends_in_noise and schedule.prediction == "epsilon":
        raise ModelError(
            "epsilon-prediction is singular where the terminal SNR is zero",
            where="scheduler",
            hint="use v_prediction or set rescale_betas_zero_snr to false",
        )
    if schedule.ends_in_noise and spacing not in FROM_THE_LAST:
        raise ModelError(
            f"timesteps are {spacing}: a model with zero terminal SNR must start sampling at the "
            "last timestep",
            where="scheduler",
            hint="set timestep_spacing to trailing",
        )


def _check_against(own: NoiseSchedule, trained: NoiseSchedule, name: str) -> None:
    if own.prediction != trained.prediction:
        raise ModelError(
            f"{name} takes the network's output for {own.prediction}; it was trained for "
            f"{trained.prediction}",
            where="scheduler",
            hint="make it by from_config(pipeline.scheduler.config)",
        )
    if len(own.alphas) != len(trained.alphas):
        raise ModelError(
            f"{name} knows {len(own.alphas)} timesteps; training had {len(trained.alphas)}",
            where="scheduler",
            hint="make it by from_config(pipeline.scheduler.config)",
        )
    off = (own.alphas.double().sqrt() - trained.alphas.double().sqrt()).abs()
    worst = int(off.argmax())
    if float(off[worst]) > _ALPHA_TOLERANCE:
        raise ModelError(
            f"{name} expects another share of noise than training had: at timestep {worst} alpha "
            f"is {float(own.alphas[worst]):.3g}, not {float(trained.alphas[worst]):.3g}",
            where="scheduler",
            hint=f"make it by from_config(pipeline.scheduler.config); for zero terminal SNR use "
            f"one of {ZERO_SNR_SAMPLERS}"
            if trained.ends_in_noise
            else "make it by from_config(pipeline.scheduler.config)",
        )
