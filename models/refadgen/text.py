"""Prompts -> what the Generation U-Net reads of them."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import CLIPTextModel, CLIPTextModelWithProjection, PreTrainedTokenizerBase

from adloom.errors import ModelError
from models.refadgen.tokens import count_tokens, token_ids


class PromptCutWarning(UserWarning):
    """A prompt is longer than the text encoder reads; its end has no effect."""


@dataclass(frozen=True, slots=True)
class TextFeatures:
    """hidden: (B, L, D); pooled: (B, P) where there are two encoders (SDXL), else None."""

    hidden: Tensor
    pooled: Tensor | None


@dataclass(frozen=True, slots=True)
class TextEncoders:
    """One text encoder with its tokenizer (Stable Diffusion 1.x, 2.x, `mini`) or two (SDXL)."""

    tokenizer: PreTrainedTokenizerBase
    encoder: CLIPTextModel
    tokenizer_2: PreTrainedTokenizerBase | None = None
    encoder_2: CLIPTextModelWithProjection | None = None

    def encode(self, prompts: Sequence[str]) -> TextFeatures:
        """Prompts beyond the encoders' length are cut.

        One encoder: its last hidden state. Two: the last but one of each, side by side, and the
        second's projection, as SDXL reads them.
        """
        ids = token_ids(self.tokenizer, prompts).to(self.encoder.device)
        if self.tokenizer_2 is None or self.encoder_2 is None:
            return TextFeatures(self.encoder(ids).last_hidden_state, None)
        ids_2 = token_ids(self.tokenizer_2, prompts).to(self.encoder_2.device)
        first = self.encoder(ids, output_hidden_states=True)
        second = self.encoder_2(ids_2, output_hidden_states=True)
        hidden = torch.cat([first.hidden_states[-2], second.hidden_states[-2]], dim=-1)
        return TextFeatures(hidden, second.text_embeds)

    def warn_of_cut(self, **arguments: Sequence[str]) -> None:
        """A PromptCutWarning for every prompt that is longer than what is read, by argument."""
        limit = self.tokenizer.model_max_length
        for name, prompts in arguments.items():
            for i, prompt in enumerate(prompts):
                count = count_tokens(self.tokenizer, prompt)
                if count > limit:
                    warnings.warn(
                        f"{name}[{i}]: {count} tokens, of which the text encoder reads {limit}: "
                        "its end has no effect (shorten it, or say what matters first)",
                        PromptCutWarning,
                        stacklevel=3,
                    )

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
