"""The untrained model from Stable Diffusion, IP-Adapter-Plus and an image encoder."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline, StableDiffusionXLPipeline
from diffusers.models.embeddings import IPAdapterPlusImageProjection
from safetensors.torch import save_file

from adloom.errors import CheckpointError, ModelError
from models.refadgen.conversion.ip_adapter import read_resampler, resampler_of
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.sampling import generators_of, standard_normal
from models.refadgen.schedules import released_schedule
from tests.unit.refadgen.bases import BASES
from tests.unit.refadgen.equations import relative_error
from tests.unit.refadgen.starting_points import VISION, ip_adapter, resampler, stable_diffusion

PROMPT, NEGATIVE = "a red bottle on a table", "blue"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """By base: the Stable Diffusion folder and the adapter's."""
    root = tmp_path_factory.mktemp("starting-points")
    return {
        base: (
            stable_diffusion(root / base, base),
            ip_adapter(root / f"{base}-adapter", config["cross_attention_dim"]),
        )
        for base, config in BASES.items()
    }


def built(folders: dict[str, tuple[Path, Path]], base: str, **options: Any) -> RefAdGenPipeline:
    source, adapter = folders[base]
    made = RefAdGenPipeline.from_stable_diffusion(
        source, None, adapter, adapter, head_dim=8, local_files_only=True, **options
    )
    made.set_progress_bar_config(disable=True)
    return made


def rendered(
    pipeline: RefAdGenPipeline, negative: str | None = NEGATIVE, **changed: Any
) -> torch.Tensor:
    mask = torch.zeros(1, 1, 64, 32)
    mask[..., 20:60, 8:24] = 1
    features = pipeline.encode_references(torch.rand(1, 3, 64, 32))
    arguments = {"steps": 3, "guidance_scale": 5.0, "decode": False, **changed}
    return pipeline.render([PROMPT], [negative], features, mask, None, [7], **arguments)


def rendered_by_base(folder: Path, base: str, negative: str | None, **options: Any) -> torch.Tensor:
    kind: Any = StableDiffusionXLPipeline if base == "sdxl" else StableDiffusionPipeline
    plain = kind.from_pretrained(folder, **options)
    plain.scheduler = DDIMScheduler.from_config(plain.scheduler.config, clip_sample=False)
    plain.set_progress_bar_config(disable=True)
    return plain(
        PROMPT,
        negative_prompt=negative,
        height=64,
        width=32,
        num_inference_steps=3,
        guidance_scale=5.0,
        latents=standard_normal(generators_of([7]), (4, 32, 16)),
        output_type="latent",
    ).images


@pytest.mark.parametrize("negative", [NEGATIVE, "", None])
@pytest.mark.parametrize("base", BASES)
def test_without_lambda_it_renders_what_its_base_renders(
    folders: dict[str, tuple[Path, Path]], base: str, negative: str | None
) -> None:
    expected = rendered_by_base(folders[base][0], base, negative)
    pipeline = built(folders, base)
    with torch.no_grad():
        made = rendered(pipeline, negative, reference_scale=0.0)
        assert relative_error(made, expected) <= 1e-5
        assert relative_error(rendered(pipeline, negative), expected) > 1e-3


def test_no_negative_prompt_is_read_as_the_sdxl_base_reads_it(
    folders: dict[str, tuple[Path, Path]], tmp_path: Path
) -> None:
    source, adapter = folders["sdxl"]
    base = tmp_path / "base"
    shutil.copytree(source, base)
    index = base / "model_index.json"
    index.write_text(
        json.dumps({**json.loads(index.read_text()), "force_zeros_for_empty_prompt": False})
    )
    pipeline = built({"sdxl": (base, adapter)}, "sdxl")
    assert pipeline.config["force_zeros_for_empty_prompt"] is False
    as_text = rendered(pipeline, None, reference_scale=0.0)
    assert torch.equal(as_text, rendered(pipeline, "", reference_scale=0.0))
    assert relative_error(as_text, rendered_by_base(base, "sdxl", None)) <= 1e-5
    zeros = rendered(built(folders, "sdxl"), None, reference_scale=0.0)
    assert relative_error(as_text, zeros) > 1e-4


def test_both_unets_start_as_the_bases(folders: dict[str, tuple[Path, Path]]) -> None:
    pipeline = built(folders, "sd15")
    plain = StableDiffusionPipeline.from_pretrained(folders["sd15"][0]).unet.state_dict()
    reference, generation = pipeline.reference_unet.state_dict(), pipeline.unet.state_dict()
    assert all(torch.equal(reference[n], t) for n, t in plain.items())
    assert all(
        torch.equal(generation[n][:, :4], t) for n, t in plain.items() if n == "conv_in.weight"
    )
    assert all(torch.equal(generation[n], t) for n, t in plain.items() if n != "conv_in.weight")
    assert not generation["conv_in.weight"][:, 4:].any()
    for layer in pipeline.unet.fusion_processors:
        for which in ("to_k", "to_v"):
            copied = generation[f"{layer}.processor.{which}_ref.weight"]
            assert torch.equal(copied, plain[f"{layer}.{which}.weight"])
    pipeline.reference_unet.conv_in.weight.data.zero_()
    assert pipeline.unet.conv_in.weight[:, :4].any(), "the U-Nets share memory"


def test_the_sampler_is_the_bases_and_the_frame_the_papers(
    folders: dict[str, tuple[Path, Path]],
) -> None:
    pipeline = built(folders, "sd15")
    names = ("prediction_type", "timestep_spacing", "steps_offset", "set_alpha_to_one")
    made, released = pipeline.scheduler.config, released_schedule().config
    assert {n: made[n] for n in names} == {n: released[n] for n in names}
    assert pipeline.reference_frame == "aligned"
    assert (
        built(folders, "sd15", reference_frame="canonical", reference_size=64).reference_size == 64
    )


@pytest.mark.parametrize("base", ["sd15", "sdxl"])
def test_it_survives_saving(
    folders: dict[str, tuple[Path, Path]], base: str, tmp_path: Path
) -> None:
    pipeline = built(folders, base)
    pipeline.save_pretrained(tmp_path)
    again = RefAdGenPipeline.from_pretrained(tmp_path)
    again.set_progress_bar_config(disable=True)
    for name, network in pipeline.networks.items():
        state = again.networks[name].state_dict()
        assert all(torch.equal(state[n], t) for n, t in network.state_dict().items()), name
    torch.manual_seed(0)
    first = rendered(pipeline)
    torch.manual_seed(0)
    assert torch.allclose(first, rendered(again), atol=1e-4)


def test_a_vae_of_its_own_replaces_the_bases(
    folders: dict[str, tuple[Path, Path]], tmp_path: Path
) -> None:
    other = stable_diffusion(tmp_path / "other", "sd15", seed=9)
    source, adapter = folders["sd15"]
    for vae in (other, other / "vae"):
        pipeline = RefAdGenPipeline.from_stable_diffusion(source, vae, adapter, adapter, head_dim=8)
        weight = StableDiffusionPipeline.from_pretrained(other).vae.state_dict()[
            "quant_conv.weight"
        ]
        assert torch.equal(pipeline.vae.state_dict()["quant_conv.weight"], weight)


def test_parts_that_do_not_go_together_are_refused(
    folders: dict[str, tuple[Path, Path]], tmp_path: Path
) -> None:
    source, adapter = folders["sd15"]
    with pytest.raises(ModelError, match="tokens of 24 numbers, the Reference U-Net reads 16"):
        RefAdGenPipeline.from_stable_diffusion(
            source, None, folders["sd21"][1], adapter, head_dim=8
        )
    with pytest.raises(ModelError, match="cannot be loaded"):
        RefAdGenPipeline.from_stable_diffusion(tmp_path, None, adapter, adapter)
    with pytest.raises(ModelError, match=r"not one file ip-adapter-plus_sd15\.bin but none"):
        RefAdGenPipeline.from_stable_diffusion(source, None, tmp_path, adapter)


def test_diffusers_resampler_loads_by_the_key_map() -> None:
    torch.manual_seed(0)
    theirs = IPAdapterPlusImageProjection(
        embed_dims=VISION,
        output_dims=12,
        hidden_dims=16,
        depth=2,
        dim_head=8,
        heads=2,
        num_queries=3,
        ffn_ratio=2,
    )
    ours = resampler_of(theirs.state_dict(), "test", head_dim=8)
    hidden = torch.randn(2, 17, VISION)
    with torch.no_grad():
        assert relative_error(ours(hidden), theirs(hidden)) <= 1e-5


def test_both_of_the_releases_file_formats_are_read(tmp_path: Path) -> None:
    expected = resampler(16).state_dict()
    torch.save({"image_proj": expected, "ip_adapter": {}}, tmp_path / "a.bin")
    save_file({f"image_proj.{n}": t for n, t in expected.items()}, tmp_path / "a.safetensors")
    for name in ("a.bin", "a.safetensors"):
        read = read_resampler(tmp_path / name, head_dim=8).state_dict()
        assert all(torch.equal(read[n], t) for n, t in expected.items())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"latents": None}, "no Resampler: it lacks latents"),
        ({"norm_out.bias": None}, r"1 missing: norm_out\.bias"),
        ({"extra": torch.zeros(1)}, "1 surplus: extra"),
        (
            {"proj_in.bias": torch.zeros(3)},
            r"1 misshapen: proj_in\.bias \(3,\) instead of \(16,\)",
        ),
    ],
)
def test_other_adapters_are_refused_by_name(changes: dict[str, Any], message: str) -> None:
    state = {**resampler(16).state_dict(), **changes}
    with pytest.raises(CheckpointError, match=message):
        resampler_of({n: t for n, t in state.items() if t is not None}, "a.bin", head_dim=8)
