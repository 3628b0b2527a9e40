"""Every part of the network against its equation in float64, on three shapes of U-Net."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import CLIPVisionModelWithProjection

from models.refadgen.added import TextTime
from models.refadgen.attention import Fusion
from models.refadgen.pictures import CLIP_MEAN, CLIP_STD
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.reference import ReferenceFeatures
from models.refadgen.sampling import Conditions, Guidance, denoise, guided_prediction
from models.refadgen.schedules import own_schedule, released_schedule
from models.refadgen.unet import GenerationUNet
from tests.unit.refadgen.bases import (
    BASES,
    LAYERS,
    SIZE,
    added,
    layer_names,
    plain,
    text_time,
    unets,
)
from tests.unit.refadgen.conftest import Inputs
from tests.unit.refadgen.equations import (
    alpha_bars,
    convolution,
    ddim_step,
    fused,
    hidden_states,
    leading,
    relative_error,
    trailing,
)

TOLERANCE = 1e-5
each_base = pytest.mark.parametrize("base", BASES)


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def context(base: str) -> int:
    return int(BASES[base]["cross_attention_dim"])


@each_base
def test_the_mask_enters_by_a_fifth_channel(base: str) -> None:
    unet, _ = unets(base)
    z, mask = draw(1, 2, 4, *SIZE), torch.rand(2, 1, *SIZE)
    with torch.no_grad():
        made = unet.conv_in(torch.cat([z, mask], 1))
    x = np.concatenate([z.double().numpy(), mask.double().numpy()], axis=1)
    state = {k: v.double().numpy() for k, v in unet.conv_in.state_dict().items()}
    expected = convolution(x, state["weight"], state["bias"])
    assert relative_error(made, expected) <= TOLERANCE
    without = convolution(x[:, :4], state["weight"][:, :4], state["bias"])
    assert relative_error(made, without) > 1e-2


@each_base
def test_the_reference_unet_is_the_plain_one_at_timestep_zero(base: str) -> None:
    _, reference = unets(base)
    latent, tokens = draw(1, 2, 4, *SIZE), draw(2, 2, 3, context(base))
    condition = text_time(base, 2)
    with torch.no_grad():
        made = reference.capture(latent, tokens, condition)
    expected = hidden_states(
        plain(reference), latent.double(), 0, tokens.double(), added_cond_kwargs=added(condition)
    )
    assert list(expected) != []
    assert made.keys() == expected.keys()
    assert len(made) == LAYERS[base]
    for name, hidden in made.items():
        assert relative_error(hidden, expected[name]) <= TOLERANCE, name


def test_image_tokens_are_the_resamplers_of_the_last_hidden_state_but_one(
    pipeline: RefAdGenPipeline, inputs: Inputs
) -> None:
    encoder = pipeline.image_encoder
    for pictures, shown in ((inputs.pictures, True), (torch.zeros(1, 3, 64, 64), False)):
        small = F.interpolate(pictures, (32, 32), mode="bicubic", antialias=True).clamp(0, 1)
        mean, std = (torch.tensor(v)[:, None, None] for v in (CLIP_MEAN, CLIP_STD))
        pixels = (small - mean) / std if shown else torch.zeros_like(small)
        given = pipeline.encoder_pixels(pictures) if shown else torch.zeros_like(pixels)
        with torch.no_grad():
            made = pipeline.image_tokens(given)
            hidden = last_but_one(encoder.double(), pixels.double())
            encoder.float()
        weights = {k: v.double() for k, v in pipeline.resampler.state_dict().items()}
        assert relative_error(made, perceived(hidden, weights, heads=2)) <= TOLERANCE


def last_but_one(encoder: CLIPVisionModelWithProjection, pixels: Tensor) -> Tensor:
    """What leaves the encoder's last layer but one, by a hook on it."""
    seen: list[Tensor] = []
    layer = encoder.vision_model.encoder.layers[-2]
    hook = layer.register_forward_hook(
        lambda _m, _a, out: seen.append(out if isinstance(out, Tensor) else out[0])
    )
    encoder(pixels)
    hook.remove()
    return seen[0]


def perceived(hidden: Tensor, w: dict[str, Tensor], heads: int) -> Tensor:
    """The Resampler of depth 1, transcribed."""

    def norm(x: Tensor, name: str) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        scaled = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        return scaled * w[f"{name}.weight"] + w[f"{name}.bias"]

    image = hidden @ w["proj_in.weight"].T + w["proj_in.bias"]
    queries = w["latents"].repeat(len(hidden), 1, 1)
    x, y = norm(image, "layers.0.0.norm1"), norm(queries, "layers.0.0.norm2")
    q = y @ w["layers.0.0.to_q.weight"].T
    k, v = (torch.cat([x, y], 1) @ w["layers.0.0.to_kv.weight"].T).chunk(2, -1)
    size = q.shape[-1] // heads
    parts = [slice(h * size, (h + 1) * size) for h in range(heads)]
    mixed = torch.cat(
        [torch.softmax(q[..., s] @ k[..., s].mT / size**0.5, -1) @ v[..., s] for s in parts], -1
    )
    queries = queries + mixed @ w["layers.0.0.to_out.weight"].T
    inner = norm(queries, "layers.0.1.0") @ w["layers.0.1.1.weight"].T
    gelu = inner * 0.5 * (1 + torch.erf(inner / 2**0.5))
    queries = queries + gelu @ w["layers.0.1.3.weight"].T
    return norm(queries @ w["proj_out.weight"].T + w["proj_out.bias"], "norm_out")


def two_halves(base: str, side: int = 8) -> tuple[list[dict[str, Tensor]], Tensor, Tensor, Tensor]:
    """Hidden states of the unconditional and the conditional half, texts, and a mask."""
    _, reference = unets(base)
    latent = draw(1, 1, 4, side, side)
    with torch.no_grad():
        hidden = [
            reference.capture(latent, draw(s, 1, 3, context(base)), text_time(base, 1))
            for s in (2, 3)
        ]
    return (
        hidden,
        draw(4, 1, 5, context(base)),
        draw(5, 1, 5, context(base)),
        torch.rand(1, 1, *SIZE),
    )


def features_of(unet: GenerationUNet, hidden: list[dict[str, Tensor]]) -> ReferenceFeatures:
    """K_ref and V_ref of both halves, as the pipeline keeps them."""
    halves = [unet.project_references(h) for h in hidden]
    keys, values = (
        {n: torch.stack([half[i][n] for half in halves], 1) for n in hidden[0]} for i in (0, 1)
    )
    return ReferenceFeatures(keys, values)


@each_base
def test_both_guidance_contexts_follow_the_equation(base: str) -> None:
    unet, _ = unets(base)
    hidden, text, negative, mask = two_halves(base)
    z, scale, guidance = draw(6, 1, 4, *SIZE), 0.8, 4.0
    words = text_time(base, 1, seed=7), text_time(base, 1, seed=8)
    with torch.no_grad():
        features = features_of(unet, hidden)
        conditions = Conditions(text, negative, mask, features, {}, scale, words[1], words[0])
        made = guided_prediction(unet, conditions, Guidance(guidance))(z, torch.tensor(700))
        x = torch.cat([z, mask], 1).double()
        apart = [
            fused(plain(unet), unet.state_dict(), h, scale)(
                x, 700, c.double(), added_cond_kwargs=added(a)
            ).sample
            for h, c, a in zip(hidden, (negative, text), words, strict=True)
        ]
    expected = apart[0] + guidance * (apart[1] - apart[0])
    assert relative_error(made, expected) <= TOLERANCE
    assert relative_error(apart[0], apart[1]) > 1e-3


@each_base
def test_without_lambda_and_mask_it_is_the_plain_unet(base: str) -> None:
    unet, _ = unets(base)
    hidden, text, _, _ = two_halves(base)
    z, condition = draw(6, 1, 4, *SIZE), text_time(base, 1)
    with torch.no_grad():
        unet.conv_in.weight[:, 4:] = 0
        fusion = Fusion(*unet.project_references(hidden[1]), {}, scale=0.0)
        made = unet.predict(z, torch.zeros(1, 1, *SIZE), 400, text, fusion, condition)
        same = plain(unet, torch.float32)
        arguments = {"added_cond_kwargs": added(condition, torch.float32)}
        five = same(F.pad(z, (0, 0, 0, 0, 0, 1)), 400, text, **arguments).sample
        assert torch.equal(made, five)
        same.conv_in.weight = torch.nn.Parameter(same.conv_in.weight[:, :4].clone())
        four = same(z, 400, text, **arguments).sample
    assert relative_error(made, four) <= TOLERANCE


@pytest.mark.parametrize("schedule", [own_schedule, released_schedule])
@pytest.mark.parametrize("steps", [5, 20])
def test_the_sampler_is_ddim(schedule: object, steps: int) -> None:
    scheduler = schedule()  # pyright: ignore[reportCallIssue]
    own = schedule is own_schedule
    alphas = alpha_bars(zero_terminal_snr=own)
    times = trailing(steps) if own else leading(steps)
    start = draw(1, 2, 4, 6, 5)
    # A stand-in for the network that depends on all it is given.
    made = denoise(lambda z, t: torch.tanh(z) + 1e-3 * t, start, scheduler, steps)
    z, kind = start.double().numpy(), "v_prediction" if own else "epsilon"
    for t in times:
        before = t - 1000 // steps
        last = 1.0 if own else alphas[0]
        following = alphas[before] if before >= 0 else last
        z = ddim_step(z, np.tanh(z) + 1e-3 * t, kind, alphas[t], following)
    assert scheduler.timesteps.tolist() == times
    assert relative_error(made, z) <= TOLERANCE


@each_base
def test_the_cached_path_is_the_naive_one_bit_for_bit(base: str) -> None:
    """References projected once, against K_ref and V_ref projected again in every step."""
    unet, _ = unets(base)
    # A single token would be projected by another routine (a vector's) alone than in a batch.
    hidden, text, negative, mask = two_halves(base, side=16)
    start, words = draw(6, 1, 4, *SIZE), text_time(base, 1)
    with torch.no_grad():
        conditions = Conditions(
            text, negative, mask, features_of(unet, hidden), {}, 1.0, words, words
        )
        predict = guided_prediction(unet, conditions, Guidance(3.0))
        cached = denoise(predict, start, own_schedule(), 3)
        together = {n: torch.cat([h[n] for h in hidden]) for n in hidden[0]}
        both = None if words is None else TextTime.concatenate([words, words])

        def naive(z: Tensor, t: Tensor) -> Tensor:
            projected = unet.project_references(together)
            keys, values = ({n: x.contiguous() for n, x in kv.items()} for kv in projected)
            texts, fusion = torch.cat([negative, text]), Fusion(keys, values, {}, 1.0)
            halves = unet.predict(z, mask, t, texts, fusion, both)
            return halves[:1] + 3.0 * (halves[1:] - halves[:1])

        assert torch.equal(cached, denoise(naive, start, own_schedule(), 3))


@each_base
def test_what_the_guidance_halves_share_is_computed_once_and_stays_the_same(base: str) -> None:
    """Against diffusers' own forward of a doubled batch."""
    unet, _ = unets(base)
    hidden, text, negative, mask = two_halves(base)
    z, words = draw(6, 2, 4, *SIZE), text_time(base, 4, seed=7)
    masks, texts = mask.repeat(2, 1, 1, 1), torch.cat([negative, negative + 1, text, text + 1])
    with torch.no_grad():
        apart = {n: torch.cat([h[n] for h in hidden]) for n in hidden[0]}
        references = {n: h.repeat_interleave(2, dim=0) for n, h in apart.items()}
        fusion = Fusion(*unet.project_references(references), {}, 0.8)
        made = unet.predict(z, masks, 700, texts, fusion, words)
        expected = unet(
            torch.cat([z, masks], 1).repeat(2, 1, 1, 1),
            700,
            texts,
            added_cond_kwargs=added(words, torch.float32),
            cross_attention_kwargs={"fusion": fusion},
        ).sample
    assert relative_error(made, expected) <= TOLERANCE
    assert relative_error(made[:2], made[2:]) > 1e-3


@each_base
def test_the_afms_are_in_every_self_attention_by_the_plain_unets_own_account(base: str) -> None:
    unet, _ = unets(base)
    processors = plain(unet).attn_processors
    found = [n.removesuffix(".processor") for n in processors if n.endswith(".attn1.processor")]
    assert found == layer_names(unet) == list(unet.fusion_processors)
    assert len(found) == LAYERS[base]
