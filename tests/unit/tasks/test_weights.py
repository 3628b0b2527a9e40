"""Weights on disk: listed, verified, declared, imported, and refused by their licence."""

import json
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file
from typer.testing import CliRunner

from adloom.errors import CheckpointError, ConflictError, ModelError, NotFoundError
from adloom.weights_bill import BILL_FILE
from cli.main import app
from models.refadgen.resampler import Resampler
from tasks import resident
from tasks.environment import Rendering
from tasks.weights import Release, declare_weights, import_release, list_weights, verify_weights
from tests.unit.refadgen.bases import SD15
from tests.unit.refadgen.conftest import small_pipeline
from tests.unit.refadgen.starting_points import (
    VISION,
    ip_adapter,
    released_state,
    stable_diffusion,
)

SHIPPED = Path(__file__).parents[3] / "weights"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    small_pipeline().save_pretrained(tmp_path / "weights" / "tiny")
    return tmp_path / "weights"


def test_the_shipped_weights_are_those_on_their_bill_and_free_to_use() -> None:
    assert verify_weights("mini", SHIPPED).holds
    (mini,) = [w for w in list_weights(SHIPPED) if w.name == "mini"]
    assert mini.obstacles == ()
    assert mini.weights_hash == verify_weights("mini", SHIPPED).weights_hash


def test_weights_of_unstated_licence_load_only_if_the_settings_allow_it(root: Path) -> None:
    with pytest.raises(ModelError, match=r"licence unstated.*ADLOOM_ALLOW_NONCOMMERCIAL_WEIGHTS"):
        resident.renderer("tiny", Rendering(root))
    allowed = Rendering(root, allow_noncommercial_weights=True)
    assert resident.renderer("tiny", allowed).dtype == "float32"


def test_weights_that_forbid_commercial_use_are_refused_by_name(root: Path) -> None:
    declare_weights("tiny", root, origin="us", licence="Apache-2.0")
    assert resident.renderer("tiny", Rendering(root)).native_unit == 16
    declare_weights("tiny", root, origin="them", licence="CC-BY-NC-4.0", only=["vae"])
    with pytest.raises(ModelError, match=r"vae: CC-BY-NC-4\.0 \(them\)"):
        resident.renderer("tiny", Rendering(root))


def test_a_lora_must_be_free_for_commercial_use_too(root: Path, tmp_path: Path) -> None:
    declare_weights("tiny", root, origin="us", licence="Apache-2.0")
    lora = tmp_path / "lora.safetensors"
    save_file({"lora_unet_conv_out.lora_down.weight": torch.ones(2, 16, 3, 3),
               "lora_unet_conv_out.lora_up.weight": torch.ones(4, 2, 1, 1)}, lora)  # fmt: skip
    for licence in (None, "CC-BY-NC-4.0"):
        with pytest.raises(ModelError, match=r"lora\.safetensors.*ADLOOM_LORA_LICENCE"):
            resident.renderer("tiny", Rendering(root, lora=lora, lora_licence=licence))
    stated = resident.renderer("tiny", Rendering(root, lora=lora, lora_licence="MIT"))
    assert stated.weights_hash != resident.renderer("tiny", Rendering(root)).weights_hash
    declare_weights("tiny", root, origin="us", licence="CC-BY-NC-4.0")
    with pytest.raises(ModelError, match="adloom weights declare"):
        resident.renderer("tiny", Rendering(root, lora=lora, lora_licence="MIT"))


def test_a_declaration_of_some_components_leaves_the_others(root: Path) -> None:
    declare_weights("tiny", root, origin="us", licence="Apache-2.0")
    shown = declare_weights("tiny", root, origin="them", licence="MIT", only=["vae", "unet"])
    origins = {c: p.origin for p in shown.parts for c in p.components}
    assert (origins["vae"], origins["unet"], origins["resampler"]) == ("them", "them", "us")
    assert len(origins) == 8
    with pytest.raises(ModelError, match=r"no component scorer .*there are: image_encoder"):
        declare_weights("tiny", root, origin="us", licence="MIT", only=["scorer"])


def test_changed_missing_and_added_files_are_found(root: Path) -> None:
    with pytest.raises(ModelError, match="no bill of materials to verify by"):
        verify_weights("tiny", root)
    declare_weights("tiny", root, origin="us", licence="MIT")
    before = list_weights(root)[0].weights_hash
    assert verify_weights("tiny", root).holds
    assert verify_weights("tiny", root).weights_hash == before
    (root / "tiny" / "unet" / "config.json").write_text("{}")
    (root / "tiny" / "vae" / "config.json").unlink()
    (root / "tiny" / "vae" / "new.json").write_text("{}")
    found = verify_weights("tiny", root).differences
    assert found.changed == ("unet/config.json",)
    assert found.missing == ("vae/config.json",)
    assert found.unlisted == ("vae/new.json",)
    shown = list_weights(root)[0]
    assert shown.weights_hash == verify_weights("tiny", root).weights_hash != before
    assert "adloom weights verify tiny" in shown.obstacles[0]
    with pytest.raises(NotFoundError, match="tiny"):
        verify_weights("other", root)


def test_the_command_line_lists_verifies_and_declares(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADLOOM_WEIGHTS", str(root))
    run = CliRunner().invoke
    listed = json.loads(run(app, ["weights", "list", "--json"]).stdout)["weights"]
    assert [(w["name"], w["obstacles"]) for w in listed] == [
        ("tiny", [f"no {BILL_FILE}: licence unstated"])
    ]
    declared = run(app, ["weights", "declare", "tiny", "--origin", "us", "--licence", "MIT"])
    assert declared.exit_code == 0
    assert run(app, ["weights", "verify", "tiny"]).exit_code == 0
    (root / "tiny" / "unet" / "config.json").write_text("{}")
    broken = run(app, ["weights", "verify", "tiny"])
    assert broken.exit_code == 1
    assert "changed  unet/config.json" in broken.stdout


def test_weights_that_are_not_those_on_their_bill_are_refused(root: Path) -> None:
    declare_weights("tiny", root, origin="us", licence="Apache-2.0")
    index = root / "tiny" / "model_index.json"
    index.write_text(json.dumps({**json.loads(index.read_text()), "guidance_rescale": 0.7}))
    with pytest.raises(ModelError, match=r"adloom weights verify tiny.*adloom weights declare"):
        resident.renderer("tiny", Rendering(root))
    allowed = Rendering(root, allow_noncommercial_weights=True)
    assert resident.renderer("tiny", allowed).native_unit == 16
    declare_weights("tiny", root, origin="us", licence="Apache-2.0")
    assert resident.renderer("tiny", Rendering(root)).native_unit == 16


@pytest.mark.parametrize("bill", [b"{", b"\xff\xfe", b"[]"], ids=["cut", "not UTF-8", "other"])
def test_a_broken_bill_spoils_only_its_own_row_and_is_mended_by_a_declaration(
    root: Path, bill: bytes
) -> None:
    small_pipeline().save_pretrained(root / "whole")
    declare_weights("whole", root, origin="us", licence="MIT")
    (root / "tiny" / BILL_FILE).write_bytes(bill)
    tiny, whole = list_weights(root)
    assert "adloom weights declare" in tiny.obstacles[0]
    assert (tiny.parts, whole.obstacles) == ((), ())
    assert tiny.weights_hash == whole.weights_hash
    for refused in (verify_weights, lambda name, _: resident.renderer(name, Rendering(root))):
        with pytest.raises(ModelError, match=rf"{BILL_FILE}: no bill.*adloom weights declare"):
            refused("tiny", root)
    assert declare_weights("tiny", root, origin="us", licence="MIT").obstacles == ()
    assert verify_weights("tiny", root).holds


@pytest.mark.parametrize("licence", ["Apache-2.0", None])
def test_an_export_leaves_no_bill_of_what_lay_there_before(
    root: Path, tmp_path: Path, licence: str | None
) -> None:
    from training.__main__ import app as training

    out = tmp_path / "exported"
    small_pipeline(seed=5).save_pretrained(out)
    declare_weights(str(out), root, origin="them", licence="MIT")
    stated = ["--licence", licence] if licence else []
    done = CliRunner().invoke(training, ["export", str(root / "tiny"), str(out), *stated])
    assert done.exit_code == 0, done.output
    if licence is None:
        assert not (out / BILL_FILE).exists()
        return
    assert verify_weights(str(out), root).holds
    (shown,) = list_weights(tmp_path)
    assert shown.obstacles == ()
    assert [(p.licence, p.origin[:23]) for p in shown.parts] == [
        ("Apache-2.0", "trained by this project")
    ]


@pytest.fixture
def release(tmp_path: Path) -> Release:
    torch.manual_seed(0)
    context = SD15["cross_attention_dim"]
    projection = Resampler(
        dim=16, depth=1, dim_head=64, heads=1, num_queries=2, embedding_dim=VISION,
        output_dim=context, ff_mult=2,
    )  # fmt: skip
    state = released_state(UNet2DConditionModel(**SD15), projection)
    checkpoint = tmp_path / "mp_rank_00_model_states.pt"
    torch.save({"module": state}, checkpoint)
    base = str(stable_diffusion(tmp_path / "base", "sd15"))
    adapter = str(ip_adapter(tmp_path / "adapter", context))
    return Release(str(checkpoint), base, base, base, adapter)


def test_an_imported_release_has_a_bill_and_is_refused_until_allowed(
    release: Release, tmp_path: Path
) -> None:
    out = tmp_path / "weights" / "released"
    shown = import_release(release, out, "float32", offline=True)
    origins = {c: p.origin for p in shown.parts for c in p.components}
    assert origins["unet"] == origins["resampler"] == release.checkpoint
    assert origins["image_encoder"] == release.image_encoder
    assert verify_weights("released", out.parent).holds
    with pytest.raises(ModelError, match="licence unstated"):
        resident.renderer("released", Rendering(out.parent))
    allowed = Rendering(out.parent, allow_noncommercial_weights=True)
    assert resident.renderer("released", allowed).reference_frame == "aligned"
    with pytest.raises(ConflictError, match="is there already"):
        import_release(release, out, "float32", offline=True)


def test_the_command_line_imports_and_says_what_does_not_fit(
    release: Release, tmp_path: Path
) -> None:
    arguments = [
        "weights", "import", release.checkpoint, "--base", release.base,
        "--text-encoder", release.text_encoder, "--vae", release.vae,
        "--image-encoder", release.image_encoder, "--offline", "--licence", "MIT",
    ]  # fmt: skip
    made = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "half"), "--json"])
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["parts"][0]["licence"] == "MIT"
    held = torch.load(release.checkpoint, weights_only=True)
    del held["module"]["unet.conv_out.bias"]
    torch.save(held, release.checkpoint)
    failed = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "none")])
    assert isinstance(failed.exception, CheckpointError)
    assert "1 missing: unet.conv_out.bias" in str(failed.exception)
    assert not (tmp_path / "none").exists()
