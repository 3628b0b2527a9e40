"""Grounding DINO and SAM 2, tiny and random, of the same classes as the real ones.

What they find means nothing; that photos, phrases, boxes and masks go through them as they should,
and that the pixels come back where they belong, does.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from adloom.cutouts import MaskOrigin
from adloom.errors import MaskError, ModelError
from models.segmentation.grounded import GroundedExtractor, Thresholds, spoken


def _detector(folder: Path) -> None:
    from transformers import (
        BertTokenizer,
        GroundingDinoConfig,
        GroundingDinoForObjectDetection,
        GroundingDinoImageProcessor,
        GroundingDinoProcessor,
        SwinConfig,
    )

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "?", "lamp", "product", "shoe"]
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(words))
    swin = SwinConfig(
        image_size=64, patch_size=4, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 1, 1],
        window_size=4, out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = GroundingDinoConfig(
        backbone_config=swin,
        text_config={
            "model_type": "bert", "vocab_size": len(words), "hidden_size": 16,
            "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16,
            "max_position_embeddings": 64,
        },
        num_queries=8, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, encoder_n_points=2,
        decoder_n_points=2, max_text_len=32,
    )  # fmt: skip
    torch.manual_seed(0)
    GroundingDinoForObjectDetection(config).save_pretrained(folder)
    size = {"shortest_edge": 64, "longest_edge": 96}
    GroundingDinoProcessor(
        GroundingDinoImageProcessor(size=size), BertTokenizer(str(folder / "vocab.txt"))
    ).save_pretrained(folder)


def _segmenter(folder: Path) -> None:
    from transformers import Sam2Config, Sam2Model

    config = Sam2Config(
        vision_config={
            "backbone_config": {
                "model_type": "sam2_hiera_det_model", "hidden_size": 8, "image_size": [128, 128],
                "blocks_per_stage": [1, 1, 2, 1], "embed_dim_per_stage": [8, 16, 32, 64],
                "num_attention_heads_per_stage": [1, 1, 1, 1],
                "window_size_per_stage": [4, 4, 4, 4],
                "global_attention_blocks": [3],
            },
            "backbone_channel_list": [64, 32, 16, 8],
            "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]],
            "fpn_hidden_size": 32,
        },
        prompt_encoder_config={"hidden_size": 32, "image_size": 128, "mask_input_channels": 4},
        mask_decoder_config={
            "hidden_size": 32, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 32,
        },
    )  # fmt: skip
    torch.manual_seed(0)
    Sam2Model(config).save_pretrained(folder)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    root = tmp_path_factory.mktemp("grounded")
    _detector(root / "dino")
    _segmenter(root / "sam2")
    return str(root / "dino"), str(root / "sam2")


def load(folders: tuple[str, str], box: float = 0.0) -> GroundedExtractor:
    return GroundedExtractor.load(*folders, offline=True, thresholds=Thresholds(box, 0.0))


@pytest.fixture(scope="module")
def extractor(folders: tuple[str, str]) -> GroundedExtractor:
    return load(folders)


PHOTO = np.random.default_rng(0).integers(0, 255, (90, 150, 3), np.uint8)


def test_boxes_lie_in_the_photo_and_have_area(extractor: GroundedExtractor) -> None:
    boxes = extractor.boxes(Image.fromarray(PHOTO), "lamp")
    assert len(boxes) >= 1
    assert (boxes >= 0).all()
    assert (boxes <= (150, 90, 150, 90)).all()
    assert (boxes[:, 2:] - boxes[:, :2] >= 1).all()


def test_a_mask_has_its_photos_size_and_is_found_the_same_way_twice(
    extractor: GroundedExtractor,
) -> None:
    first, second = (extractor.extract(PHOTO, "Home > Lamps") for _ in range(2))
    assert first.mask.shape == (90, 150)
    assert set(np.unique(first.mask)) <= {0, 255}
    assert 0.0 <= first.confidence <= 1.0
    assert np.array_equal(first.mask, second.mask)


def test_where_no_box_is_sure_enough_there_is_no_product(folders: tuple[str, str]) -> None:
    found = load(folders, box=1.1).extract(PHOTO, "lamp")
    assert (found.confidence, found.reason) == (0.0, "NOTHING_FOUND")
    assert not found.mask.any()


def test_real_alpha_is_taken_as_it_is(extractor: GroundedExtractor) -> None:
    alpha = np.zeros((90, 150), np.uint8)
    alpha[20:70, 30:90] = 255
    found = extractor.extract(np.dstack([PHOTO, alpha]))
    assert (found.origin, found.confidence) == (MaskOrigin.ALPHA, 1.0)
    assert np.array_equal(found.mask, alpha)
    with pytest.raises(MaskError, match="no photo"):
        extractor.extract(PHOTO[..., 0])


def test_the_version_names_both_models_and_follows_their_parameters(
    folders: tuple[str, str], extractor: GroundedExtractor
) -> None:
    assert extractor.version.startswith("dino-")
    assert "+sam2-" in extractor.version
    other = load(folders)
    assert other.version == extractor.version
    from transformers import (
        AutoModelForZeroShotObjectDetection,
        AutoProcessor,
        Sam2Model,
    )

    changed = Sam2Model.from_pretrained(folders[1])
    with torch.no_grad():
        next(changed.parameters()).add_(1e-3)
    assert (
        GroundedExtractor(
            AutoModelForZeroShotObjectDetection.from_pretrained(folders[0]),
            AutoProcessor.from_pretrained(folders[0]),
            changed,
            names=folders,
        ).version
        != extractor.version
    )


def test_what_cannot_be_loaded_is_named(folders: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="none"):
        GroundedExtractor.load(str(tmp_path / "none"), folders[1], offline=True)


@pytest.mark.parametrize(
    ("category", "words"),
    [
        ("Home > Lighting > Table lamps", "table lamps"),
        ("Apparel/Shoes & Socks", "shoes socks"),
        ("", "product"),
        (" > ", "product"),
    ],
)
def test_a_category_is_spoken_by_its_last_step(category: str, words: str) -> None:
    assert spoken(category) == words
