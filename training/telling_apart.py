"""Direct discriminative optimization (Zheng et al. 2025, arXiv 2503.01103): a trained model learns
from what it renders itself.

A small network trained on its error alone covers all that it has seen with blurred means. How much
better it predicts a latent than the network that it started from does is, as the log of a
likelihood ratio, a discriminator of true ads and own renders, and it is trained as one: to predict
true ads better and own renders worse. No further network is learned, and none judges.

What the paper has over the whole picture is here of the scene alone, where the layout is decided:
renders are told from ads by fine detail too easily, and their products are led by a reference.
Elsewhere the network is held to what it was.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from adloom.errors import ModelError
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.unet import GenerationUNet
from training.conditions import fusion_by
from training.latents import Batch, Bucket
from training.objective import Objective, Prepared
from training.precision import in_bfloat16
from training.recipe import Training

HELD_SHARE: Final = 0.25
"""At most this share of the pairs has timesteps below `ddo_above`, where they are only held to the
start."""
LEAST_SCENE: Final = 0.02
"""Share of a picture; where less of it is scene, it is only held to the start."""
Key = TypeVar("Key", int, str)


@dataclass(frozen=True, slots=True)
class Gains:
    """Of B pairs: by how much the scenes of ads and renders are predicted better than at the start,
    as shares of the start's error of the ad's scene, (B,) each, 0 where there is none; and by how
    much predictions have moved where they should not, squared, as a share of the start's error of
    the ad, (2 B,)."""

    ads: Tensor
    renders: Tensor
    moved: Tensor


class TellingApart(Objective):
    """The loss of pairs: a sample's ad and a render of its conditions, both with the same noise at
    the same timestep. The U-Net as it is now is kept as what its likelihood is compared with."""

    def __init__(self, pipeline: RefAdGenPipeline, cfg: Training) -> None:
        super().__init__(pipeline, cfg)
        self.start = deepcopy(pipeline.unet).requires_grad_(False).eval()
        self.start.disable_gradient_checkpointing()
        steps = pipeline.scheduler.config.num_train_timesteps
        self.above = min(round(cfg.ddo_above * steps), steps - 1)

    def prepared(self, batch: Batch, rng: np.random.Generator) -> Prepared:
        """Of B pairs: conditions of B, noisy latents of 2 B, the true ads first. ModelError where
        the samples have no renders."""
        if batch.renders is None:
            raise ModelError(
                "the samples have no renders to be told from",
                hint="make them with `python -m training own-renders`",
            )
        ids, pixels = self.dropped(batch, rng)
        noise, t = self._drawn(batch.ads.shape, rng)
        t = self._mostly_above(t)
        both = self._with_noise(torch.cat([batch.ads, batch.renders]), _twice(noise), _twice(t))
        shown = replace(batch, ids=ids, pixels=pixels, renders=None)
        return Prepared(shown, both, torch.ones((), device=self.device))

    def error(self, given: Prepared) -> Tensor:
        """-(log s(b d) + a log s(-b d')) / b, s the logistic function, d and d' the gains of ads
        and renders, at timesteps from `ddo_above` on; plus `ddo_keep` times what has moved."""
        gains, cfg = self.gains(given), self.cfg
        ads, renders = (
            F.softplus(-cfg.ddo_beta * gains.ads),
            F.softplus(cfg.ddo_beta * gains.renders),
        )
        told = self._decides(given)[: len(ads)] * (ads + cfg.ddo_alpha * renders)
        return told.mean() / cfg.ddo_beta + cfg.ddo_keep * gains.moved.mean()

    def gains(self, given: Prepared) -> Gains:
        """What the loss is made of."""
        before, now = self._predictions(given)
        masks = _twice(given.batch.masks)
        shown = ((1 - masks).mean((1, 2, 3), keepdim=True) > LEAST_SCENE).float()
        scene = shown * (1 - masks) * self.channel_weights
        errors = [(made - given.noised.target).square() for made in (before, now)]
        (ad, render), (ad_now, render_now) = (
            (scene * error).mean((1, 2, 3)).chunk(2) for error in errors
        )
        unit = ad + (1 - shown[: len(ad), 0, 0, 0])  # without a scene all three are 0
        whole = (self.channel_weights * errors[0]).mean((1, 2, 3))[: len(ad)]
        held = torch.lerp(torch.ones_like(masks), masks, self._decides(given)[:, None, None, None])
        moved = (held * self.channel_weights * (now - before).square()).mean((1, 2, 3))
        return Gains((ad - ad_now) / unit, (render - render_now) / unit, moved / _twice(whole))

    def _mostly_above(self, t: Tensor) -> Tensor:
        """Uniform timesteps spread anew: HELD_SHARE of them evenly below `above`, the rest over
        it."""
        last = self.pipeline.scheduler.config.num_train_timesteps
        held = min(HELD_SHARE * last, self.above)
        if not 0 < held < last:
            return t
        below = t * (self.above / held)
        over = self.above + (t - held) * ((last - self.above) / (last - held))
        return torch.where(t < held, below, over).to(t.dtype)

    def _decides(self, given: Prepared) -> Tensor:
        """(2 B,) 1 at timesteps that ads and renders are told apart at, else 0."""
        return (given.noised.t >= self.above).float()

    def _predictions(self, given: Prepared) -> tuple[Tensor, Tensor]:
        """The start's and today's (2 B, C, h, w)."""
        batch, pipeline = given.batch, self.pipeline
        with in_bfloat16(self.device, self.cfg.bf16):
            with self.attention(), torch.no_grad():
                text = pipeline.text_encoder(batch.ids).last_hidden_state
                tokens = pipeline.image_tokens(batch.pixels)
                hidden = pipeline.reference_unet.capture(batch.products, tokens)
            with self.attention():  # both with gradients on: without, attention rounds otherwise
                before = self._predicted_by(self.start, given, text, hidden)
                now = self._predicted_by(pipeline.unet, given, text, hidden)
        return before.float(), now.float()

    def _predicted_by(
        self, unet: GenerationUNet, given: Prepared, text: Tensor, hidden: dict[str, Tensor]
    ) -> Tensor:
        batch, noised = given.batch, given.noised
        once = fusion_by(unet, batch, hidden, self.pipeline.latent_px)
        fusion = replace(
            once,
            keys=_each_twice(once.keys),
            values=_each_twice(once.values),
            positions=_each_twice(once.positions),
        )
        masks = _twice(batch.masks)
        shown = masks if self.cfg.mask_input else torch.zeros_like(masks)
        return unet.predict(noised.noisy, shown, noised.t, _twice(text), fusion)


def check_renders(buckets: Sequence[Bucket], where: Path) -> None:
    """ModelError where a bucket has no renders to be told from."""
    lacking = [b.native for b in buckets if b.renders is None]
    if lacking:
        raise ModelError(
            f"the samples of {', '.join(map(str, lacking))} have no renders to be told from",
            where=str(where),
            hint="make them with `python -m training own-renders`",
        )


def objective_of(pipeline: RefAdGenPipeline, cfg: Training) -> Objective:
    """What the recipe asks for."""
    return TellingApart(pipeline, cfg) if cfg.ddo_beta > 0 else Objective(pipeline, cfg)


def _twice(x: Tensor) -> Tensor:
    return torch.cat([x, x])


def _each_twice(found: Mapping[Key, Tensor]) -> dict[Key, Tensor]:
    return {name: _twice(x) for name, x in found.items()}
