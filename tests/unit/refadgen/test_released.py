"""The authors' checkpoint: its exact layout in, a folder that renders out; nothing else gets in."""

import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from adloom.errors import CheckpointError, ModelError
from models.refadgen.conversion.released import (
    CHECKPOINT_FILE,
    Sources,
    base_config,
    import_released,
    networks_of,
)
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.resampler import Resampler
from tests.unit.refadgen.bases import SD15
from tests.unit.refadgen.starting_points import (
    ip_adapter,
    released_state,
    resampler,
    stable_diffusion,
)

FIRST = "down_blocks.0.attentions.0.transformer_blocks.0.attn1"
AFM = f"unet.{FIRST}.processor.to_k_ref.weight"


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    root = tmp_path_factory.mktemp("released")
    base = stable_diffusion(root / "base", "sd15")
    other = stable_diffusion(root / "other", "sd15", seed=5)
    adapter = ip_adapter(root / "adapter", SD15["cross_attention_dim"])
    return Sources(base, text_encoder=other, vae=base, image_encoder=adapter)


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    torch.manual_seed(1)
    return released_state(UNet2DConditionModel(**SD15), resampler(SD15["cross_attention_dim"]))


def saved(state: dict[str, Tensor], folder: Path) -> Path:
    """As DeepSpeed writes it: other things stand beside the weights."""
    path = folder / CHECKPOINT_FILE
    torch.save(
        {
            "module": state,
            "ds_config": {"zero_optimization": {"stage": 2}},
            "ds_version": "0.16",
            "param_shapes": [{n: t.shape for n, t in state.items()}],
        },
        path,
    )
    return path


def imported(path: Path, sources: Sources) -> RefAdGenPipeline:
    made = import_released(path, sources, torch.float32, head_dim=8, local_files_only=True)
    made.set_progress_bar_config(disable=True)
    return made


def test_every_tensor_arrives_where_it_belongs(
    state: dict[str, Tensor], sources: Sources, tmp_path: Path
) -> None:
    made = imported(saved(state, tmp_path), sources)
    parts = {"unet": made.unet, "ref_unet": made.reference_unet, "proj": made.resampler}
    for prefix, network in parts.items():
        loaded = network.state_dict()
        assert {f"{prefix}.{n}" for n in loaded} == {n for n in state if n.startswith(f"{prefix}.")}
        assert all(torch.equal(t, state[f"{prefix}.{n}"]) for n, t in loaded.items())


def test_the_base_gives_the_tokenizer_and_another_the_text_encoder(
    state: dict[str, Tensor], sources: Sources, tmp_path: Path
) -> None:
    made = imported(saved(state, tmp_path), sources).text_encoder.state_dict()
    path = Path(sources.text_encoder)
    expected = type(imported(tmp_path / CHECKPOINT_FILE, sources).text_encoder).from_pretrained(
        path / "text_encoder"
    )
    assert all(torch.equal(made[n], t) for n, t in expected.state_dict().items())


def test_the_imported_folder_renders_with_the_released_sampler(
    state: dict[str, Tensor], sources: Sources, tmp_path: Path
) -> None:
    imported(saved(state, tmp_path).parent, sources).save_pretrained(tmp_path / "model")
    model = RefAdGenPipeline.from_pretrained(tmp_path / "model")
    model.set_progress_bar_config(disable=True)
    assert (model.reference_frame, model.scheduler.config["prediction_type"]) == (
        "aligned",
        "epsilon",
    )
    mask = torch.zeros(1, 1, 64, 32)
    mask[..., 20:60, 8:24] = 1
    features = model.encode_references(torch.rand(1, 3, 64, 32))
    made = model.render(["a cup"], [""], features, mask, None, [1], steps=2, guidance_scale=7.5)
    assert made.shape == (1, 3, 64, 32)
    assert bool(torch.isfinite(made).all())


@pytest.mark.parametrize("how", ["only under adapter_modules", "numbered among themselves"])
def test_afm_weights_are_read_from_either_place(state: dict[str, Tensor], how: str) -> None:
    if how == "only under adapter_modules":
        given = {n: t for n, t in state.items() if ".processor." not in n}
    else:
        given = {_renumbered(n): t for n, t in state.items()}
    made = networks_of(given, base_of(SD15), "test", head_dim=8).unet.state_dict()
    assert torch.equal(made[AFM.removeprefix("unet.")], state[AFM])
    assert len([n for n in made if ".processor." in n]) == 32


def _renumbered(name: str) -> str:
    if not name.startswith("adapter_modules."):
        return name
    start, number, rest = name.split(".", 2)
    return f"{start}.{int(number) // 2}.{rest}"


def base_of(config: dict[str, Any]) -> dict[str, Any]:
    with torch.device("meta"):
        return {k: v for k, v in UNet2DConditionModel(**config).config.items() if k[0] != "_"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unet.conv_out.bias": None}, r"1 missing: unet\.conv_out\.bias"),
        ({"ref_unet.conv_in.weight": None}, r"1 missing: ref_unet\.conv_in\.weight"),
        ({"proj.norm_out.bias": None}, r"1 missing: proj\.norm_out\.bias"),
        ({"ema.decay": torch.zeros(1)}, r"1 surplus: ema\.decay"),
        (
            {"unet.conv_in.weight": torch.zeros(8, 4, 3, 3)},
            r"unet\.conv_in\.weight \(8, 4, 3, 3\) instead of \(8, 5, 3, 3\)",
        ),
        (
            {"adapter_modules.1.to_k_ref.weight": torch.zeros(8, 8)},
            r"1 surplus: adapter_modules\.1\.to_k_ref\.weight",
        ),
        ({AFM: torch.zeros(8, 8)}, r"adapter_modules\.0\.to_k_ref\.weight and .* differ"),
        ({"proj.latents": None}, "no Resampler: it lacks latents"),
    ],
)
def test_what_does_not_fit_is_listed_by_name(
    state: dict[str, Tensor], changes: dict[str, Tensor | None], message: str
) -> None:
    given = {n: t for n, t in {**state, **changes}.items() if t is not None}
    with pytest.raises(CheckpointError, match=message):
        networks_of(given, base_of(SD15), "test", head_dim=8)


def test_all_that_is_wrong_is_listed_at_once_but_not_without_end() -> None:
    torch.manual_seed(1)
    state = released_state(UNet2DConditionModel(**SD15), resampler(16))
    wrong = {n.replace("ref_unet.", "refer."): t for n, t in state.items()}
    with pytest.raises(CheckpointError, match=r"missing: .* and \d+ more; .*surplus: .* more"):
        networks_of(wrong, base_of(SD15), "test", head_dim=8)


class RunsCode:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("import pathlib; pathlib.Path('ran').touch()",))


def test_a_pickle_that_needs_code_is_refused_and_does_not_run(
    sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"module": RunsCode()}, tmp_path / CHECKPOINT_FILE)
    with pytest.raises(ModelError, match="needs code to be read, which is never run"):
        import_released(tmp_path, sources)
    (tmp_path / CHECKPOINT_FILE).write_bytes(pickle.dumps(RunsCode()))
    with pytest.raises(ModelError, match="needs code to be read, which is never run"):
        import_released(tmp_path, sources)
    assert not (tmp_path / "ran").exists()


def test_other_files_are_refused(
    state: dict[str, Tensor], sources: Sources, tmp_path: Path
) -> None:
    path = tmp_path / CHECKPOINT_FILE
    with pytest.raises(ModelError, match=r"not one file .* but none"):
        import_released(tmp_path, sources)
    path.write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(ModelError, match=CHECKPOINT_FILE):
        import_released(path, sources)
    torch.save(torch.zeros(3), path)
    with pytest.raises(ModelError, match="holds a Tensor, not tensors by name"):
        import_released(path, sources)
    torch.save({"module": {"epoch": 3}}, path)
    with pytest.raises(ModelError, match="no tensors under epoch"):
        import_released(path, sources)
    bad = {**state, "unet.conv_out.bias": torch.full((4,), float("nan"))}
    with pytest.raises(ModelError, match=r"unet\.conv_out\.bias: 4 of 4 values are NaN"):
        import_released(saved(bad, tmp_path), sources, head_dim=8)


def test_at_full_size_names_and_shapes_fit() -> None:
    """Stable Diffusion 1.5 and the released Resampler, in shapes alone."""
    with torch.device("meta"):
        plain = UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8)
        made = networks_of(
            released_state(plain, Resampler()), base_of({"cross_attention_dim": 768}), "test"
        )
    counts = {
        name: sum(p.numel() for p in network.parameters())
        for name, network in (("unet", made.unet), ("reference", made.reference_unet))
    }
    afm = sum(p.numel() for n, p in made.unet.named_parameters() if ".processor." in n)
    assert counts["reference"] == 859_520_964  # Stable Diffusion 1.5's
    assert counts["unet"] - afm == 859_520_964 + 320 * 9  # and the mask's channel
    assert afm == 2 * (5 * 320**2 + 5 * 640**2 + 6 * 1280**2)
    assert tuple(made.unet.conv_in.weight.shape) == (320, 5, 3, 3)
    assert tuple(made.resampler.latents.shape) == (1, 16, 768)
    assert made.resampler.config["heads"] == 12


def test_the_base_gives_the_configuration_without_its_weights(
    sources: Sources, tmp_path: Path
) -> None:
    shutil.copytree(Path(sources.base) / "unet", tmp_path / "unet")
    (tmp_path / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    config = base_config(tmp_path, local_files_only=True)
    assert config["block_out_channels"] == list(SD15["block_out_channels"])
    assert config["addition_embed_type"] is None
    with pytest.raises(ModelError, match="cannot be loaded"):
        base_config(tmp_path / "none", local_files_only=True)
