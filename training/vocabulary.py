"""Which words a model is trained on, and what it takes to go on from shipped weights."""

from pathlib import Path

from transformers import PreTrainedTokenizerFast

from adloom.errors import ModelError
from models.refadgen.pipeline import RefAdGenPipeline
from models.refadgen.tokens import word_tokenizer


def reopen(weights: Path, out: Path) -> None:
    """Shipped weights as a model to go on from, in a new folder: with all words, not those alone
    that it was trained with, and without their bill. ModelError for another vocabulary, or where
    weights lie already."""
    if (out / "model_index.json").exists():
        raise ModelError("weights lie there already", where=str(out), hint="a new folder")
    pipeline = RefAdGenPipeline.from_pretrained(weights)
    pipeline.tokenizer = all_words(pipeline, weights)
    pipeline.save_pretrained(out)


def all_words(pipeline: RefAdGenPipeline, weights: Path) -> PreTrainedTokenizerFast:
    """Shipped weights know the words that they were trained with alone; those that come now have
    their places in the text encoder. ModelError where they do not."""
    from training.scenes_synth import CAPTION_WORDS

    whole = word_tokenizer(CAPTION_WORDS, pipeline.tokenizer.model_max_length)
    vocabulary, known = whole.get_vocab(), pipeline.tokenizer.get_vocab()
    moved = sorted(word for word, place in known.items() if vocabulary.get(word) != place)
    if moved or len(vocabulary) != pipeline.text_encoder.config.vocab_size:
        raise ModelError(
            f"another vocabulary: {', '.join(moved[:5]) or 'of another size'}",
            where=str(weights),
            hint="start from weights of the present one, or `python -m training initialise`",
        )
    return whole
