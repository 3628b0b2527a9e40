"""The paper's measures, by networks from a hub or a folder. None of them is part of the project.

Whoever wants them asks by name; where the weights are not to be had the error says so, and the
other measures are made all the same.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Final, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from adloom.errors import ModelError, first_line
from models.segmentation import MaskExtractor
from training.judging.frechet import Features, inception_features
from training.judging.heldout import Truth
from training.judging.matched_patches import DiffusionFeatures, MatchedPatches

T = TypeVar("T")
Picture = NDArray[np.uint8]
CLIP: Final = "openai/clip-vit-large-patch14"
DINO: Final = "facebook/dinov2-base"
IMAGE_REWARD: Final = "ImageReward-v1.0"
STABLE_DIFFUSION: Final = "stable-diffusion-v1-5/stable-diffusion-v1-5"
FID: Final = "fid"
LPIPS_NETWORKS: Final = ("alex", "vgg", "squeeze")


class Measure(Protocol):
    """One number for each picture of a sample."""

    def __call__(self, made: Sequence[Picture], truths: Sequence[Truth]) -> list[float]: ...


def measure_named(name: str, source: str = "", device: str = "cpu") -> Measure:
    """`clip-score`, `dino`, `image-reward`, `lpips` or `mp-lpips`; source: a hub id or folder in
    place of the usual one (of `lpips` one of its networks). ModelError names those that there are,
    or says what is missing."""
    if name not in MEASURES:
        raise ModelError(f"no measure {name!r}", hint=f"one of {', '.join([*MEASURES, FID])}")
    return _loaded(name, source, lambda: MEASURES[name](source, device))


def set_features(source: str = "", device: str = "cpu") -> Features:
    """What FID compares sets of pictures by: one network, or it were no FID. ModelError says what
    is missing."""
    if source:
        raise ModelError(f"{FID} has a network of its own", where=source, hint=f"--hub {FID}")
    return _loaded(FID, "", lambda: inception_features(device))


def _loaded(name: str, source: str, load: Callable[[], T]) -> T:
    try:
        return load()
    except ImportError as error:
        raise ModelError(
            f"{name} needs a package that is not installed: {first_line(error)}",
            hint=f"pip install {PACKAGES.get(name, 'transformers')}",
        ) from error
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"the weights of {name} cannot be loaded: {first_line(error)}",
            where=source or name,
            hint="give a hub id or a folder that has them: --hub NAME=SOURCE",
        ) from error


def _clip_score(source: str, device: str) -> Measure:
    """CLIP-Score (Hessel et al. 2021) as reported by the paper: 100 x cosine, not below 0."""
    from transformers import CLIPModel, CLIPProcessor

    model: Any = CLIPModel.from_pretrained(source or CLIP)
    model = model.to(device).eval()
    processor: Any = CLIPProcessor.from_pretrained(source or CLIP)

    @torch.no_grad()
    def score(made: Sequence[Picture], truths: Sequence[Truth]) -> list[float]:
        given = processor(
            text=[t.caption for t in truths], images=list(made), return_tensors="pt", padding=True,
            truncation=True,
        ).to(device)  # fmt: skip
        out = model(**given)
        cosines = torch.nn.functional.cosine_similarity(out.image_embeds, out.text_embeds)
        return (100 * cosines).clamp(min=0).tolist()

    return score


def _dino(source: str, device: str) -> Measure:
    """Cosine of DINOv2's class tokens of render and true ad."""
    from transformers import AutoImageProcessor, AutoModel

    model: Any = AutoModel.from_pretrained(source or DINO)
    model = model.to(device).eval()
    processor: Any = AutoImageProcessor.from_pretrained(source or DINO)

    @torch.no_grad()
    def score(made: Sequence[Picture], truths: Sequence[Truth]) -> list[float]:
        given = processor(images=[*made, *(t.ad for t in truths)], return_tensors="pt").to(device)
        tokens = model(**given).last_hidden_state[:, 0]
        first, second = tokens[: len(made)], tokens[len(made) :]
        return torch.nn.functional.cosine_similarity(first, second).tolist()

    return score


def _image_reward(source: str, device: str) -> Measure:
    """ImageReward (Xu et al. 2023), by its own package."""
    from PIL import Image

    reward: Any = import_module("ImageReward").load(source or IMAGE_REWARD, device=device)

    def score(made: Sequence[Picture], truths: Sequence[Truth]) -> list[float]:
        pairs = zip(made, truths, strict=True)
        return [float(reward.score(t.caption, Image.fromarray(p))) for p, t in pairs]

    return score


def _lpips(source: str, device: str) -> Measure:
    """LPIPS (Zhang et al. 2018) of render and true ad, by its own package."""
    if source not in ("", *LPIPS_NETWORKS):
        raise ModelError(f"no network {source!r}", hint=f"one of {', '.join(LPIPS_NETWORKS)}")
    network: Any = import_module("lpips").LPIPS(net=source or "alex").to(device)

    @torch.no_grad()
    def score(made: Sequence[Picture], truths: Sequence[Truth]) -> list[float]:
        return [
            float(network(_signed(p, device), _signed(t.ad, device)))
            for p, t in zip(made, truths, strict=True)
        ]

    return score


def _mp_lpips(source: str, device: str) -> Measure:
    """MP-LPIPS; source: of Stable Diffusion, whose features find points again. The render's product
    is found by adloom's extractor (the authors parse people)."""
    network: Any = import_module("lpips").LPIPS(net="alex").to(device)
    from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import (
        StableDiffusionPipeline,
    )

    base: Any = StableDiffusionPipeline.from_pretrained(
        source or STABLE_DIFFUSION, safety_checker=None, requires_safety_checker=False
    )
    extractor = MaskExtractor.load()
    features = DiffusionFeatures(base.to(device))
    return MatchedPatches(features, network, lambda picture: extractor.extract(picture).mask)


def _signed(picture: Picture, device: str) -> torch.Tensor:
    """(1, 3, H, W) in [-1, 1]."""
    given = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None]
    return given.float().to(device) / 127.5 - 1


MEASURES: Final[dict[str, Callable[[str, str], Measure]]] = {
    "clip-score": _clip_score, "dino": _dino, "image-reward": _image_reward, "lpips": _lpips,
    "mp-lpips": _mp_lpips,
}  # fmt: skip
PACKAGES: Final = {"image-reward": "image-reward", "lpips": "lpips torchvision",
                   "mp-lpips": "lpips torchvision", FID: "pytorch-fid"}  # fmt: skip
