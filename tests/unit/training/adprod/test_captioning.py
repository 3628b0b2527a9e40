"""Captions by a tiny random vision-language model."""

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from adloom.errors import ModelError
from tests.unit.training.adprod.pictures import ad
from training.adprod.captioning import QUESTIONS, VisionLanguageCaptioner

SPECIAL = ["<pad>", "<s>", "</s>", "<unk>", "<image>"]
WORDS = [*SPECIAL, "USER", "ASSISTANT", ":", "a", "red", "cup", "on", "marble", "picture", "of"]
TEMPLATE = (
    "{% for m in messages %}USER: {% for c in m['content'] %}{% if c['type'] == 'image' %}<image> "
    "{% else %}{{ c['text'] }}{% endif %}{% endfor %} ASSISTANT: {% endfor %}"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vlm")
    words = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", bos_token="<s>", eos_token="</s>",
        unk_token="<unk>", additional_special_tokens=["<image>"],
    )  # fmt: skip
    size = {"height": 28, "width": 28}
    LlavaProcessor(
        CLIPImageProcessorPil(size=size, crop_size=size, do_center_crop=False),
        tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    ).save_pretrained(path)
    vision = CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
        image_size=28, patch_size=14,
    )  # fmt: skip
    text = LlamaConfig(
        vocab_size=len(WORDS), hidden_size=16, intermediate_size=16, num_hidden_layers=1,
        num_attention_heads=2, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    torch.manual_seed(0)
    model = LlavaForConditionalGeneration(
        LlavaConfig(vision_config=vision, text_config=text, image_token_id=4)
    )
    model.generation_config.suppress_tokens = list(range(len(SPECIAL)))  # it shall say words
    model.save_pretrained(path)
    return path


def test_each_question_is_answered_and_the_same_picture_gets_the_same(folder: Path) -> None:
    captioner = VisionLanguageCaptioner.load(folder, offline=True)
    first, again = (captioner.captions(ad(1), "cup") for _ in range(2))
    assert first == again
    assert 1 <= len(first) <= len(QUESTIONS)
    assert all(set(caption.split()) <= set(WORDS) for caption in first)


def test_questions_name_the_category() -> None:
    assert all("{category}" in question for question in QUESTIONS)


def test_a_missing_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="captioner cannot be loaded"):
        VisionLanguageCaptioner.load(tmp_path, offline=True)
