"""Going on from shipped weights: all words again, further samples, mirror images."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from adloom.errors import ModelError
from adloom.weights_bill import BILL_FILE
from models.refadgen.mini import build_mini
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.tokens import keep_words
from tests.unit.training.conftest import drawn_shard
from training.__main__ import BUCKETS, app
from training.latents import load_buckets
from training.scenes_synth import CAPTION_WORDS
from training.shards import write_shard
from training.vocabulary import reopen


def shipped(folder: Path) -> Path:
    """Weights as `export` leaves them: with the words of their captions alone."""
    pipeline = build_mini(CAPTION_WORDS)
    pipeline.tokenizer = keep_words(pipeline.tokenizer, {"a", "red", "cup"})
    pipeline.save_pretrained(folder)
    (folder / BILL_FILE).write_text("{}")
    return folder


def test_shipped_weights_take_in_all_words_again(tmp_path: Path) -> None:
    weights = shipped(tmp_path / "shipped")
    assert "marble" not in RefAdGenPipeline.from_pretrained(weights).tokenizer.get_vocab()
    reopen(weights, tmp_path / "open")
    whole = build_mini(CAPTION_WORDS).tokenizer.get_vocab()
    assert "marble" in whole
    assert RefAdGenPipeline.from_pretrained(tmp_path / "open").tokenizer.get_vocab() == whole
    assert not (tmp_path / "open" / BILL_FILE).exists()
    for taken in (weights, tmp_path / "open"):
        with pytest.raises(ModelError, match="weights lie there already"):
            reopen(weights, taken)


def test_weights_of_another_vocabulary_stay_closed(tmp_path: Path) -> None:
    build_mini(["a", "red", "bottle"]).save_pretrained(tmp_path / "other")
    with pytest.raises(ModelError, match="another vocabulary"):
        reopen(tmp_path / "other", tmp_path / "open")
    assert not (tmp_path / "open").exists()


def test_several_folders_and_mirror_images_are_encoded_into_one(tmp_path: Path) -> None:
    weights = shipped(tmp_path / "shipped")
    write_shard(tmp_path / "first", drawn_shard((64, 96), 3))
    write_shard(tmp_path / "second", drawn_shard((64, 96), 2, seed=1))
    write_shard(tmp_path / "second", drawn_shard((96, 64), 2))
    done = CliRunner().invoke(
        app,
        ["encode", str(weights), str(tmp_path / "first"), str(tmp_path / "out"), "--also",
         str(tmp_path / "second"), "--mirror"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    found = {b.native: b for b in load_buckets(tmp_path / "out" / BUCKETS)}
    assert {native: len(b) for native, b in found.items()} == {(64, 96): 10, (96, 64): 4}
    left = found[96, 64].frames[:, 0].tolist()
    assert left == [32, 32, 96 - 32, 96 - 32]
    assert "not known to these weights: on, table, white" in done.output
