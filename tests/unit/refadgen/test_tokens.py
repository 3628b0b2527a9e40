"""The word vocabulary: what it knows, what it warns of, how long a prompt may be."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from models.refadgen.tokens import (
    PAD,
    count_tokens,
    keep_words,
    token_ids,
    unknown_words,
    word_tokenizer,
)


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerFast:
    return word_tokenizer(["a", "red", "T-shirt", "on", "sand"], 8)


def test_prompts_are_padded_and_cut_to_the_same_length(tokenizer: PreTrainedTokenizerFast) -> None:
    ids = token_ids(tokenizer, ["a red t-shirt", "a " * 50, ""])
    assert ids.shape == (3, 8)
    words = tokenizer.convert_ids_to_tokens(ids[0].tolist())
    assert words == ["<start>", "a", "red", "t-shirt", "<end>", PAD, PAD, PAD]
    assert tokenizer.convert_ids_to_tokens(ids[1].tolist())[-1] == "<end>"


def test_case_and_commas_do_not_matter_to_words(tokenizer: PreTrainedTokenizerFast) -> None:
    assert unknown_words(tokenizer, "A Red t-shirt, on sand") == ()
    ids = token_ids(tokenizer, ["RED", "red"])
    assert ids[0].tolist() == ids[1].tolist()


def test_unknown_words_are_named_once_in_order(tokenizer: PreTrainedTokenizerFast) -> None:
    assert unknown_words(tokenizer, "a Plumbus on red plush, plush") == ("Plumbus", "plush")


def test_naming_unknown_words_leaves_the_tokenizer_as_it_is(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    token_ids(tokenizer, ["a"])
    core = tokenizer.backend_tokenizer
    before = core.truncation, core.padding
    assert unknown_words(tokenizer, "a Plumbus " * 9) == ("Plumbus",)
    assert (core.truncation, core.padding) == before
    assert before != (None, None)


def test_unknown_words_are_left_out_of_the_ids(tokenizer: PreTrainedTokenizerFast) -> None:
    ids = token_ids(tokenizer, ["a Plumbus red, sand", "blurry text, watermark", ""])
    words = tokenizer.convert_ids_to_tokens(ids[0].tolist())
    assert words == ["<start>", "a", "red", ",", "sand", "<end>", PAD, PAD]
    assert ids[1].tolist() == ids[2].tolist()


def test_a_vocabulary_can_be_cut_to_the_words_that_were_trained(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    cut = keep_words(tokenizer, ["Red", "sand"])
    assert unknown_words(cut, "a red on sand") == ("a", "on")
    known = ["red", "sand", ",", PAD]
    assert cut.convert_tokens_to_ids(known) == tokenizer.convert_tokens_to_ids(known)
    assert cut.model_max_length == 8


def test_the_whole_prompt_is_counted_even_if_it_will_be_cut(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    assert count_tokens(tokenizer, "a red") == 4
    assert count_tokens(tokenizer, "a " * 20) == 22


@given(st.lists(st.sampled_from(["a", "Red", "sand", "plumbus", ",", ", ", " ", "\u00e4"])))
def test_counted_are_the_tokens_that_are_read(words: list[str]) -> None:
    prompt = " ".join(words)
    closed = word_tokenizer(["a", "red", "sand"], 200)
    pad = closed.convert_tokens_to_ids(PAD)
    read = [t for t in token_ids(closed, [prompt])[0].tolist() if t != pad]
    assert count_tokens(closed, prompt) == len(read)


def test_the_vocabulary_is_not_built_again_for_each_prompt() -> None:
    class Large(PreTrainedTokenizerFast):
        def get_vocab(self) -> dict[str, int]:
            raise AssertionError("49,408 entries with CLIP")

    words = word_tokenizer(["a", "red", "cup"], 8)
    core = words.backend_tokenizer
    names = {"pad_token": PAD, "unk_token": words.unk_token}
    tokenizer = Large(tokenizer_object=core, model_max_length=8, **names)
    assert (
        token_ids(tokenizer, ["a Plumbus red cup"]).tolist()
        == token_ids(words, ["a red cup"]).tolist()
    )
    assert count_tokens(tokenizer, "a Plumbus red cup") == 5
    assert unknown_words(tokenizer, "a Plumbus") == ("Plumbus",)
    open_vocabulary = Large(tokenizer_object=core, model_max_length=8, pad_token=PAD)
    assert unknown_words(open_vocabulary, "a Plumbus") == ()


def test_it_survives_saving(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    prompt = "a Red plumbus, on sand"
    assert token_ids(again, [prompt]).tolist() == token_ids(tokenizer, [prompt]).tolist()
    assert unknown_words(again, prompt) == ("plumbus",)
    assert again.model_max_length == 8
