"""Prompt text -> token ids. `mini` knows a closed vocabulary of words; SD1.5 brings CLIP's."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import cast

import torch
from tokenizers import Encoding, Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

START, END, PAD, UNKNOWN = "<start>", "<end>", "<pad>", "<unknown>"
SPECIAL = (PAD, START, END, UNKNOWN, ",")


def word_tokenizer(words: Iterable[str], max_length: int) -> PreTrainedTokenizerFast:
    """A tokenizer with one token per lower-case word; the ids follow the words' order."""
    vocabulary = {w: i for i, w in enumerate([*SPECIAL, *sorted({w.lower() for w in words})])}
    return _of_vocabulary(vocabulary, max_length)


def keep_words(tokenizer: PreTrainedTokenizerFast, words: Iterable[str]) -> PreTrainedTokenizerFast:
    """A `word_tokenizer` that knows no others than `words`, with the ids it had: words that never
    came in training then count as unknown."""
    kept = {*SPECIAL, *(w.lower() for w in words)}
    vocabulary = {w: i for w, i in tokenizer.get_vocab().items() if w in kept}
    return _of_vocabulary(vocabulary, tokenizer.model_max_length)


def _of_vocabulary(vocabulary: dict[str, int], max_length: int) -> PreTrainedTokenizerFast:
    core = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    core.normalizer = normalizers.Lowercase()  # pyright: ignore[reportAttributeAccessIssue]
    core.pre_tokenizer = pre_tokenizers.Sequence(  # pyright: ignore[reportAttributeAccessIssue]
        [pre_tokenizers.Split(",", "isolated"), pre_tokenizers.WhitespaceSplit()]
    )
    ends = [(START, vocabulary[START]), (END, vocabulary[END])]
    core.post_processor = processors.TemplateProcessing(  # pyright: ignore[reportAttributeAccessIssue]
        single=f"{START} $A {END}", special_tokens=ends
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        model_max_length=max_length,
        pad_token=PAD,
        bos_token=START,
        eos_token=END,
        unk_token=UNKNOWN,
    )


def token_ids(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str]) -> Tensor:
    """(B, L): every prompt cut or padded to the tokenizer's length."""
    return torch.tensor(padded_ids(tokenizer, prompts, cut=True))


def padded_ids(
    tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], *, cut: bool
) -> list[list[int]]:
    """Every prompt padded to the tokenizer's length; a longer one is cut, or as long as it is.
    Words that a closed vocabulary lacks are left out: their token was never trained.
    `unknown_words` names them."""
    encoded = tokenizer(
        [_known_part(tokenizer, p) for p in prompts],
        padding="max_length",
        truncation=cut,
        max_length=tokenizer.model_max_length,
        return_attention_mask=False,
    )
    return cast(list[list[int]], encoded["input_ids"])


def count_tokens(tokenizer: PreTrainedTokenizerBase, prompt: str) -> int:
    """How many tokens the prompt's known words take, start and end included.

    Asked of the tokenizer's core, at a tenth of what calling the tokenizer costs: a plan counts
    every prompt of a catalogue.
    """
    ids = _encoded(tokenizer, prompt).ids
    if not _is_closed(tokenizer) or (unknown := tokenizer.unk_token_id) not in ids:
        return len(ids)
    comma = tokenizer.convert_tokens_to_ids(",")
    known, phrases, in_phrase = 0, 0, 0
    for token in (*ids[1:-1], comma):
        if token == comma:
            known, phrases, in_phrase = known + in_phrase, phrases + bool(in_phrase), 0
        elif token != unknown:
            in_phrase += 1
    return 2 + known + max(0, phrases - 1)  # start and end, words, commas between phrases


@lru_cache(maxsize=64)
def _encoded(tokenizer: PreTrainedTokenizerBase, prompt: str) -> Encoding:
    """Kept for the next question about the same prompt: a plan asks two of each."""
    return _core_of(tokenizer).encode(prompt)


@lru_cache(maxsize=8)
def _core_of(tokenizer: PreTrainedTokenizerBase) -> Tokenizer:
    """A copy of the tokenizer's core that neither cuts nor pads."""
    core = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess]
    core.no_truncation()
    core.no_padding()
    return core


def unknown_words(tokenizer: PreTrainedTokenizerBase, prompt: str) -> tuple[str, ...]:
    """The prompt's words that the vocabulary lacks, each once, in their order. None where the
    tokenizer splits unknown words into pieces that it knows."""
    if not _is_closed(tokenizer):
        return ()
    return tuple(dict.fromkeys(prompt[a:b] for a, b in _unknown_spans(tokenizer, prompt)))


def _is_closed(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether it is a `word_tokenizer`. CLIP's own unknown token is another. The vocabulary is not
    asked: it is a new dictionary at each call, of 49,408 entries with CLIP."""
    return tokenizer.unk_token == UNKNOWN


def _known_part(tokenizer: PreTrainedTokenizerBase, prompt: str) -> str:
    """Without unknown words, and without the commas of phrases that had no other."""
    spans = _unknown_spans(tokenizer, prompt) if _is_closed(tokenizer) else []
    if not spans:
        return prompt
    starts, ends = [0, *(b for _, b in spans)], [*(a for a, _ in spans), len(prompt)]
    kept = "".join(prompt[a:b] for a, b in zip(starts, ends, strict=True))
    return ",".join(phrase for phrase in kept.split(",") if phrase.strip())


def _unknown_spans(tokenizer: PreTrainedTokenizerBase, prompt: str) -> list[tuple[int, int]]:
    """Asked of the core's copy: a call of the tokenizer sets how its own cuts and pads, which other
    threads may be about to rely on."""
    encoded, unknown = _encoded(tokenizer, prompt), tokenizer.unk_token_id
    ids = encoded.ids
    if unknown not in ids:
        return []
    return [span for token, span in zip(ids, encoded.offsets, strict=True) if token == unknown]
