"""Prompts -> what the Generation U-Net reads of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import CLIPTextModel, CLIPTextModelWithProjection, PreTrainedTokenizerBase

from adloom.errors import ModelError
from models.refadgen.checks import refuse
from models.refadgen.tokens import count_tokens, padded_ids, unknown_words


@dataclass(frozen=True, slots=True)
class TextFeatures:
    """hidden: (B, L, D); pooled: (B, P) where there are two encoders (SDXL), else None."""

    hidden: Tensor
    pooled: Tensor | None

    def __len__(self) -> int:
        return len(self.hidden)

    @property
    def nbytes(self) -> int:
        return self.hidden.nbytes + (0 if self.pooled is None else self.pooled.nbytes)

    def without(self, rows: Sequence[int]) -> "TextFeatures":
        """With zeros in these rows."""
        index = list(rows)
        hidden = self.hidden.clone()
        hidden[index] = 0
        if self.pooled is None:
            return TextFeatures(hidden, None)
        pooled = self.pooled.clone()
        pooled[index] = 0
        return TextFeatures(hidden, pooled)

    @staticmethod
    def concatenate(parts: Sequence["TextFeatures"]) -> "TextFeatures":
        pooled = [p.pooled for p in parts if p.pooled is not None]
        return TextFeatures(
            torch.cat([p.hidden for p in parts]), torch.cat(pooled) if pooled else None
        )


@dataclass(frozen=True, slots=True)
class TextEncoders:
    """One text encoder with its tokenizer (Stable Diffusion 1.x, 2.x, `mini`) or two (SDXL)."""

    tokenizer: PreTrainedTokenizerBase
    encoder: CLIPTextModel
    tokenizer_2: PreTrainedTokenizerBase | None = None
    encoder_2: CLIPTextModelWithProjection | None = None

    @property
    def max_tokens(self) -> int:
        """What every encoder reads of a prompt, start and end included."""
        return min(int(tokenizer.model_max_length) for tokenizer in self._tokenizers)

    def count_tokens(self, prompt: str) -> int:
        """Tokens of the whole prompt by the tokenizer that needs most, start and end included."""
        return max(count_tokens(tokenizer, prompt) for tokenizer in self._tokenizers)

    def unknown_words(self, prompt: str) -> tuple[str, ...]:
        """Words that the text encoder has never seen, and that are left out of what it reads."""
        return unknown_words(self.tokenizer, prompt)

    def encode(
        self, prompts: Sequence[str], argument: str = "prompts", *, truncate: bool = False
    ) -> TextFeatures:
        """RenderArgumentError, naming the `argument`, for a prompt beyond the encoders' length;
        with `truncate` its end is left out.

        One encoder: its last hidden state. Two: the last but one of each, side by side, and the
        second's projection, as SDXL reads them.
        """
        ids = _ids(self.tokenizer, prompts, argument, truncate).to(self.encoder.device)
        if self.tokenizer_2 is None or self.encoder_2 is None:
            return TextFeatures(self.encoder(ids).last_hidden_state, None)
        ids_2 = _ids(self.tokenizer_2, prompts, argument, truncate).to(self.encoder_2.device)
        first = self.encoder(ids, output_hidden_states=True)
        second = self.encoder_2(ids_2, output_hidden_states=True)
        hidden = torch.cat([first.hidden_states[-2], second.hidden_states[-2]], dim=-1)
        return TextFeatures(hidden, second.text_embeds)

    @property
    def _tokenizers(self) -> list[PreTrainedTokenizerBase]:
        return [t for t in (self.tokenizer, self.tokenizer_2) if t is not None]

    def check(self, context: int, pooled: int) -> None:
        """Refuse encoders that do not go with a U-Net that reads texts (B, L, context) and pooled
        embeddings (B, pooled); ModelError says what does."""
        pairs = [(self.tokenizer, self.encoder), (self.tokenizer_2, self.encoder_2)]
        for tokenizer, encoder in pairs[: 2 if self.encoder_2 is not None else 1]:
            limit = encoder.config.max_position_embeddings
            if tokenizer is None or tokenizer.model_max_length > limit:
                raise ModelError(
                    f"its tokenizer allows {getattr(tokenizer, 'model_max_length', 'no')} tokens, "
                    f"the text encoder reads {limit}",
                    where="tokenizer",
                    hint=f"set model_max_length to {limit}",
                )
        width = self.encoder.config.hidden_size
        if self.encoder_2 is not None:
            width += self.encoder_2.config.hidden_size
        if width != context:
            raise ModelError(
                f"the text encoder gives {width} numbers per token, the U-Net reads {context}",
                where="text_encoder",
                hint="take the text encoder of the U-Net's own base",
            )
        given = 0 if self.encoder_2 is None else self.encoder_2.config.projection_dim
        if given != pooled:
            raise ModelError(
                f"the U-Net needs pooled text embeddings of {pooled}, the encoders give {given}",
                where="text_encoder_2",
                hint="SDXL-shaped U-Nets need SDXL's second text encoder, others none",
            )


def _ids(
    tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], argument: str, truncate: bool
) -> Tensor:
    """(B, L)."""
    rows, limit = padded_ids(tokenizer, prompts, cut=truncate), tokenizer.model_max_length
    for i, row in enumerate(rows):
        if len(row) > limit:
            raise refuse(
                f"{argument}[{i}]",
                f"{len(row)} tokens, of which the text encoder reads {limit}",
                "shorten it, or let its end be left out: truncate_prompts=True",
            )
    return torch.tensor(rows)
