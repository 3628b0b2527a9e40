"""Several workers train one model: the same steps, the mean of their gradients."""

import platform
import resource
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from models.refadgen.pipeline import RefAdGenPipeline
from tests.unit.refadgen.conftest import small_pipeline
from tests.unit.training.conftest import NATIVES, drawn_shard
from training.latents import encode_shard, save_buckets
from training.parallel import Workers, accelerator_of, run_together
from training.recipe import Training
from training.train import Trainer, train_worker


def _average(folder: Path, workers: Workers) -> None:
    read, unread = nn.Parameter(torch.zeros(2, 3)), nn.Parameter(torch.zeros(4))
    read.grad = torch.full((2, 3), float(workers.rank + 1))
    held = read.grad
    workers.average_gradients([read, unread])
    assert read.grad is held  # its place in memory is kept
    agreed = workers.agree(10.0 + workers.rank)
    torch.save((read.grad, unread.grad, agreed), folder / f"{workers.rank}.pt")


def _train(folder: Path, workers: Workers) -> None:
    pipeline = small_pipeline()
    buckets = [encode_shard(pipeline, drawn_shard(native, 12)) for native in NATIVES]
    cfg = Training(steps=3, batch=2, bf16=False, log_every=1)
    trainer = Trainer(pipeline, buckets, cfg, folder, workers)
    trainer.run()
    torch.save([p.detach() for p in trainer.parameters], folder / f"{workers.rank}.pt")


def _accelerated(folder: Path, workers: Workers) -> None:
    accelerator, again = accelerator_of(workers)
    torch.save((again.rank, again.count, accelerator.device.type), folder / f"{workers.rank}.pt")


def _train_and_end(folder: Path, workers: Workers) -> None:
    """As the `train` command does, from a saved pipeline to the trackers' end."""
    cfg = Training(steps=2, batch=2, bf16=False, log_every=1)
    model, encoded = folder / "model", folder / "buckets.pt"
    train_worker(model, encoded, folder / "run", cfg, False, None, False, workers)


def _touch_again(folder: Path, workers: Workers) -> None:
    def touch() -> None:
        blocks = [torch.ones(2**22) for _ in range(10)]  # 160 MiB
        del blocks

    for _ in range(3):
        touch()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    touch()
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    (folder / str(workers.rank)).write_text(str(faults))


def _fail(workers: Workers) -> None:
    if workers.rank == 1:
        raise ValueError("a worker's own trouble")


def _faults_are_telling() -> bool:
    """Whether freed blocks of glibc's fault page by page when they are touched again."""
    huge = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    return platform.libc_ver()[0] == "glibc" and not (
        huge.exists() and "[always]" in huge.read_text()
    )


@pytest.mark.skipif(not _faults_are_telling(), reason="no glibc, or huge pages everywhere")
def test_workers_keep_what_they_free(tmp_path: Path) -> None:
    run_together(2, partial(_touch_again, tmp_path))
    pages = 10 * 2**24 // resource.getpagesize()
    assert all(int((tmp_path / rank).read_text()) < pages / 2 for rank in "01")


def test_gradients_become_their_mean_and_rank_0_decides(tmp_path: Path) -> None:
    run_together(2, partial(_average, tmp_path))
    for rank in (0, 1):
        read, unread, agreed = torch.load(tmp_path / f"{rank}.pt")
        assert torch.equal(read, torch.full((2, 3), 1.5))
        assert torch.equal(unread, torch.zeros(4))
        assert agreed == 10.0


def test_workers_keep_the_same_weights_and_one_of_them_writes(tmp_path: Path) -> None:
    run_together(2, partial(_train, tmp_path))
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert len((tmp_path / "loss.csv").read_text().splitlines()) == 4


def test_accelerate_knows_the_workers_of_this_machine(tmp_path: Path) -> None:
    run_together(2, partial(_accelerated, tmp_path))
    seen = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    assert seen == [(0, 2, "cpu"), (1, 2, "cpu")]


def test_a_run_of_several_workers_comes_to_its_end(tmp_path: Path) -> None:
    pipeline = small_pipeline()
    pipeline.save_pretrained(tmp_path / "model")
    buckets = [encode_shard(pipeline, drawn_shard(native, 12)) for native in NATIVES]
    save_buckets(tmp_path / "buckets.pt", buckets)
    run_together(2, partial(_train_and_end, tmp_path))
    assert len((tmp_path / "run" / "loss.csv").read_text().splitlines()) == 3
    RefAdGenPipeline.from_pretrained(tmp_path / "run" / "ema")


def test_an_error_in_one_worker_ends_the_run() -> None:
    with pytest.raises(Exception, match="a worker's own trouble"):
        run_together(2, _fail)
