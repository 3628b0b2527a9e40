"""The Resampler has the release's parameter names and shapes and computes its equations."""

import torch
from torch.nn import functional as F

from models.refadgen.resampler import Resampler

RELEASED = {
    "latents": (1, 16, 768),
    "proj_in.weight": (768, 1280),
    "proj_in.bias": (768,),
    "proj_out.weight": (768, 768),
    "proj_out.bias": (768,),
    "norm_out.weight": (768,),
    "norm_out.bias": (768,),
    "layers.0.0.norm1.weight": (768,),
    "layers.0.0.norm2.bias": (768,),
    "layers.3.0.to_q.weight": (768, 768),
    "layers.3.0.to_kv.weight": (1536, 768),
    "layers.3.0.to_out.weight": (768, 768),
    "layers.3.1.0.weight": (768,),
    "layers.3.1.1.weight": (3072, 768),
    "layers.3.1.3.weight": (768, 3072),
}


def test_names_and_shapes_are_the_releases() -> None:
    with torch.device("meta"):
        state = Resampler().state_dict()
    for name, shape in RELEASED.items():
        assert tuple(state[name].shape) == shape, name
    assert len(state) == 7 + 4 * 11
    assert not any(name.endswith(("to_q.bias", "to_kv.bias", "to_out.bias")) for name in state)


def test_it_equals_a_transcription_in_float64() -> None:
    torch.manual_seed(0)
    resampler = Resampler(
        dim=8,
        depth=2,
        dim_head=4,
        heads=2,
        num_queries=3,
        embedding_dim=6,
        output_dim=5,
        ff_mult=2,
    ).double()
    hidden = torch.randn(2, 7, 6, dtype=torch.float64)
    w = resampler.state_dict()
    image = hidden @ w["proj_in.weight"].T + w["proj_in.bias"]
    queries = w["latents"].repeat(2, 1, 1)

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        return F.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"])

    for n in (f"layers.{i}" for i in range(2)):
        x, y = norm(image, f"{n}.0.norm1"), norm(queries, f"{n}.0.norm2")
        q = y @ w[f"{n}.0.to_q.weight"].T
        k, v = (torch.cat([x, y], 1) @ w[f"{n}.0.to_kv.weight"].T).split(8, dim=-1)
        parts = [
            torch.softmax(q[..., s] @ k[..., s].mT / 2, -1) @ v[..., s]
            for s in (slice(0, 4), slice(4, 8))
        ]
        queries = queries + torch.cat(parts, -1) @ w[f"{n}.0.to_out.weight"].T
        inner = F.gelu(norm(queries, f"{n}.1.0") @ w[f"{n}.1.1.weight"].T)
        queries = queries + inner @ w[f"{n}.1.3.weight"].T
    expected = norm(queries @ w["proj_out.weight"].T + w["proj_out.bias"], "norm_out")
    assert torch.allclose(resampler(hidden), expected, atol=1e-10)
