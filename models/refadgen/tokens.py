"""Prompt text -> token ids. `mini` knows a closed vocabulary of words; SD1.5 brings CLIP's."""

from collections.abc import Iterable, Sequence

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

START, END, PAD, UNKNOWN = "<start>", "<end>", "<pad>", "<unknown>"
SPECIAL = (PAD, START, END, UNKNOWN, ",")


def word_tokenizer(words: Iterable[str], max_length: int) -> PreTrainedTokenizerFast:
    """A tokenizer with one token per lower-case word; the ids follow the words' order."""
    vocabulary = {w: i for i, w in enumerate([*SPECIAL, *sorted({w.lower() for w in words})])}
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
    encoded = tokenizer(
        list(prompts),
        padding="max_length",
        truncation=True,
        max_length=tokenizer.model_max_length,
        return_attention_mask=False,
    )
    return torch.tensor(encoded["input_ids"])


def count_tokens(tokenizer: PreTrainedTokenizerBase, prompt: str) -> int:
    """How many tokens the whole prompt takes, start and end included."""
    return len(tokenizer(prompt, truncation=False)["input_ids"])  # pyright: ignore[reportArgumentType]


def unknown_words(tokenizer: PreTrainedTokenizerBase, prompt: str) -> tuple[str, ...]:
    """The prompt's words that the vocabulary lacks, each once, in their order. None where the
    tokenizer splits unknown words into pieces that it knows."""
    if UNKNOWN not in tokenizer.get_vocab():
        return ()
    unknown = tokenizer.unk_token_id
    encoded = tokenizer(prompt, truncation=False, return_offsets_mapping=True)
    pairs = zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)  # pyright: ignore[reportArgumentType]
    return tuple(dict.fromkeys(prompt[a:b] for token, (a, b) in pairs if token == unknown))
