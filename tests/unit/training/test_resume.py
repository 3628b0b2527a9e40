"""A run that was killed and resumed is the run that was not: the same losses, the same weights."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.unit.refadgen.conftest import small_pipeline
from tests.unit.training.conftest import NATIVES, drawn_shard
from training.checkpoints import WEIGHTS, read_checkpoint
from training.latents import encode_shard, save_buckets

RECIPE = """
steps: 16
batch: 4
lr: 3.0e-3
warmup: 3
ema_decay: 0.9
noise_offset: 0.05
min_snr_gamma: 5.0
bf16: true
log_every: 1
max_minutes: null
save_steps: 5
threads: [1]
"""


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    """An untrained model, encoded samples and a recipe."""
    pipeline = small_pipeline()
    pipeline.save_pretrained(tmp_path / "model")
    (tmp_path / "encoded").mkdir()
    buckets = [encode_shard(pipeline, drawn_shard(native, 12)) for native in NATIVES]
    save_buckets(tmp_path / "encoded" / "buckets.pt", buckets)
    (tmp_path / "exact.yaml").write_text(RECIPE)
    return tmp_path


def training(folder: Path, out: str, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "training", "train", "model", "encoded", out,
               "--recipe", "exact.yaml", *options]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    return subprocess.Popen(
        command, cwd=folder, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def kill_at(run: subprocess.Popen[str], log: Path, step: int) -> None:
    """SIGKILL as soon as the log shows the step."""
    limit = time.monotonic() + 120
    while run.poll() is None and time.monotonic() < limit:
        if log.is_file() and len(log.read_text().splitlines()) > step:
            run.send_signal(signal.SIGKILL)
            break
        time.sleep(0.002)
    output, _ = run.communicate()
    assert run.returncode == -signal.SIGKILL, output


def losses(folder: Path) -> dict[int, str]:
    with (folder / "loss.csv").open(newline="") as f:
        return {int(row["step"]): row["loss"] for row in csv.DictReader(f)}


def test_killed_twice_it_has_the_losses_and_weights_of_the_unbroken_run(prepared: Path) -> None:
    whole = training(prepared, "whole")
    output, _ = whole.communicate(timeout=120)
    assert whole.returncode == 0, output
    kill_at(training(prepared, "broken"), prepared / "broken" / "loss.csv", 6)
    kill_at(training(prepared, "broken", "--resume"), prepared / "broken" / "loss.csv", 12)
    last = training(prepared, "broken", "--resume")
    output, _ = last.communicate(timeout=120)
    assert last.returncode == 0, output
    assert losses(prepared / "broken") == losses(prepared / "whole")
    assert sorted(losses(prepared / "whole")) == list(range(1, 17))
    ours, theirs = (read_checkpoint(prepared / name).tensors for name in ("broken", "whole"))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_finished_run_is_not_overwritten(prepared: Path) -> None:
    (prepared / "out").mkdir()
    (prepared / "out" / WEIGHTS).write_bytes(b"of a run")
    again = training(prepared, "out")
    output, _ = again.communicate(timeout=120)
    assert again.returncode != 0
    assert "a run lies there already" in output
    assert (prepared / "out" / WEIGHTS).read_bytes() == b"of a run"
