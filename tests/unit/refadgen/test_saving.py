"""Saved, loaded, hashed: bit for bit, in any dtype and variant, offline; spoilt weights refused."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import UniPCMultistepScheduler
from safetensors.torch import load_file, save_file
from torch import Tensor

from adloom.errors import ModelError
from adloom.weights_bill import BILL_FILE, Part
from models.refadgen.checks import check_weights
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.renderer import RefAdGenRenderer
from models.refadgen.weights import components, weights_hash, write_bill
from tests.unit.refadgen.conftest import Inputs, small_pipeline

ROOT = Path(__file__).parents[3]
Render = Callable[..., Tensor]
IN_A_FRESH_PROCESS = """
import sys, torch
from models.refadgen.checks import check_weights
from models.refadgen.pipeline import RefAdGenPipeline
torch.set_num_threads(int(sys.argv[3]))
pipeline = RefAdGenPipeline.from_pretrained(sys.argv[1])
pipeline.set_progress_bar_config(disable=True)
i = torch.load(sys.argv[2] + "/inputs.pt", weights_only=True)
features = pipeline.encode_references(i["pictures"]).select(i["products"])
made = pipeline.render(
    i["prompts"], i["negatives"], features, i["masks"], i["frames"], i["seeds"], steps=3
)
torch.save(made, sys.argv[2] + "/made.pt")
torch.save({n: m.state_dict() for n, m in pipeline.networks.items()}, sys.argv[2] + "/state.pt")
"""


@pytest.fixture(scope="module")
def folder(pipeline: RefAdGenPipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved")
    pipeline.save_pretrained(path)
    return path


def test_a_saved_model_is_the_same_bit_for_bit_in_a_fresh_process(
    pipeline: RefAdGenPipeline, render: Render, inputs: Inputs, folder: Path, tmp_path: Path
) -> None:
    torch.save({f: getattr(inputs, f) for f in inputs.__slots__}, tmp_path / "inputs.pt")
    arguments = [str(folder), str(tmp_path), str(torch.get_num_threads())]
    subprocess.run(
        [sys.executable, "-c", IN_A_FRESH_PROCESS, *arguments],
        check=True,
        cwd=ROOT,
        capture_output=True,
    )
    there = torch.load(tmp_path / "state.pt", weights_only=True)
    assert there.keys() == pipeline.networks.keys()
    for name, network in pipeline.networks.items():
        state = network.state_dict()
        assert state.keys() == there[name].keys()
        assert all(torch.equal(there[name][n], t) for n, t in state.items()), name
    assert torch.equal(torch.load(tmp_path / "made.pt", weights_only=True), render())


@pytest.mark.parametrize("argument", ["dtype", "torch_dtype"])
def test_it_loads_in_the_dtype_asked_for(folder: Path, argument: str) -> None:
    loaded = RefAdGenPipeline.from_pretrained(folder, **{argument: torch.bfloat16})
    for name, network in loaded.to("cpu").networks.items():
        assert {p.dtype for p in network.parameters()} == {torch.bfloat16}, name


def test_without_a_dtype_all_parts_are_float32(folder: Path, tmp_path: Path) -> None:
    RefAdGenPipeline.from_pretrained(folder, dtype=torch.float16).save_pretrained(tmp_path)
    networks = RefAdGenPipeline.from_pretrained(tmp_path).networks
    assert {p.dtype for n in networks.values() for p in n.parameters()} == {torch.float32}


def test_variants_lie_side_by_side(folder: Path, tmp_path: Path) -> None:
    half = RefAdGenPipeline.from_pretrained(folder, dtype=torch.float16)
    half.save_pretrained(tmp_path, variant="fp16")
    assert (tmp_path / "unet" / "diffusion_pytorch_model.fp16.safetensors").is_file()
    again = RefAdGenPipeline.from_pretrained(tmp_path, variant="fp16", dtype=torch.float16)
    for name, network in half.networks.items():
        state = again.networks[name].state_dict()
        assert all(torch.equal(state[n], t) for n, t in network.state_dict().items()), name
    with pytest.raises((OSError, ValueError)):
        RefAdGenPipeline.from_pretrained(tmp_path)


def test_a_hub_id_is_loaded_from_the_cache_without_a_network(
    folder: Path, pipeline: RefAdGenPipeline, tmp_path: Path
) -> None:
    repository = tmp_path / "models--adloom--tiny"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    shutil.copytree(folder, repository / "snapshots" / ("0" * 40))
    options = {"cache_dir": tmp_path, "local_files_only": True}
    loaded = RefAdGenPipeline.from_pretrained("adloom/tiny", **options)
    ours, theirs = pipeline.unet.state_dict(), loaded.unet.state_dict()
    assert all(torch.equal(theirs[n], t) for n, t in ours.items())
    with pytest.raises(OSError, match="cached snapshot"):
        RefAdGenPipeline.from_pretrained("adloom/none", **options)


def test_another_scheduler_is_saved_with_the_model(folder: Path, tmp_path: Path) -> None:
    loaded = RefAdGenPipeline.from_pretrained(folder)
    loaded.scheduler = UniPCMultistepScheduler.from_config(loaded.scheduler.config)
    loaded.save_pretrained(tmp_path)
    again = RefAdGenPipeline.from_pretrained(tmp_path)
    assert isinstance(again.scheduler, UniPCMultistepScheduler)
    assert again.trained_schedule.ends_in_noise


AFM = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_v_ref.weight"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_spoilt_weights_are_found_at_load_and_named(
    folder: Path, tmp_path: Path, value: float
) -> None:
    model = shutil.copytree(folder, tmp_path / "model")
    path = model / "unet" / "diffusion_pytorch_model.safetensors"
    state = load_file(path)
    state[AFM][3, 2] = value
    save_file(state, path)
    expected = rf"unet\.{AFM}: 1 of 256 values are NaN or infinite".replace(".proc", r"\.proc")
    with pytest.raises(ModelError, match=expected):
        RefAdGenPipeline.from_pretrained(model)
    with pytest.raises(ModelError, match=expected):
        RefAdGenRenderer.load(model)


def test_missing_weights_are_found_at_load_and_named(folder: Path, tmp_path: Path) -> None:
    model = shutil.copytree(folder, tmp_path / "model")
    path = model / "unet" / "diffusion_pytorch_model.safetensors"
    state = load_file(path)
    del state[AFM]
    save_file(state, path)
    with pytest.raises(ModelError, match=rf"unet\.{AFM}: the weights lack this tensor"):
        RefAdGenRenderer.load(model)


def test_a_pickled_file_is_never_loaded(folder: Path, tmp_path: Path) -> None:
    model = shutil.copytree(folder, tmp_path / "model")
    safe = model / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save(load_file(safe), safe.with_suffix(".bin"))
    spoilt = load_file(safe)
    spoilt[AFM][3, 2] = float("nan")
    save_file(spoilt, safe)
    with pytest.raises(ModelError, match="NaN"):
        RefAdGenRenderer.load(model)
    safe.unlink()
    with pytest.raises(ModelError, match=r"no \.safetensors for unet, only pickled.*safetensors"):
        RefAdGenRenderer.load(model)


def test_large_values_are_no_infinite_ones() -> None:
    made = small_pipeline()
    made.unet.conv_out.weight.data.fill_(6e37)  # their sum is beyond float32
    check_weights(made.networks)


def test_weights_hash_names_the_content(pipeline: RefAdGenPipeline, tmp_path: Path) -> None:
    pipeline.save_pretrained(tmp_path / "a")
    pipeline.save_pretrained(tmp_path / "b")
    before = weights_hash(tmp_path / "a")
    assert before == weights_hash(tmp_path / "b")
    (tmp_path / "a" / "README.md").write_text("a model card decides no pixel")
    write_bill(tmp_path / "a", [Part(("unet",), "here", "MIT")])
    assert (tmp_path / "a" / BILL_FILE).is_file()
    assert before == weights_hash(tmp_path / "a")
    merges = tmp_path / "a" / "tokenizer" / "merges.txt"
    merges.write_text("a b")
    assert before != weights_hash(tmp_path / "a")
    merges.unlink()
    index = tmp_path / "a" / "model_index.json"
    content = json.loads(index.read_text())
    index.write_text(json.dumps({**content, "guidance_rescale": 0.7}))
    assert before != weights_hash(tmp_path / "a")
    with pytest.raises(ModelError, match=r"model_index\.json"):
        weights_hash(tmp_path)


@pytest.mark.parametrize(
    ("damaged", "message"),
    [
        (
            b'{"_class_name": "RefAdGen',
            r"model_index\.json: cannot be read: .*get the folder again",
        ),
        (b'{"vae": "\xff"}', r"model_index\.json: cannot be read"),
        (b'["vae"]', r"model_index\.json: holds list"),
    ],
    ids=["cut off", "not text", "a list"],
)
def test_a_damaged_index_is_named(damaged: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_bytes(damaged)
    for read in (components, RefAdGenRenderer.load):
        with pytest.raises(ModelError, match=message):
            read(tmp_path)
