# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from transformers.utils import logging

from paumer_hf import PaumerConfig, PaumerForSemanticSegmentation, PaumerImageProcessor, PauseConfig
from paumer_hf.conversion import ConversionError


NAMES = {0: "road", 1: "tree", 2: "sky"}


def test_from_backbone(vit, source, same_features):
    model = PaumerForSemanticSegmentation.from_backbone(source, num_labels=5, decoder_type="linear")
    assert (model.config.num_labels, model.config.decoder_type, model.training) == (5, "linear", False)
    assert model(torch.randn(1, 3, 32, 40), pause_config={1: 0.5}).logits.shape == (1, 5, 4, 5)
    same_features(model, vit)
    processor = PaumerImageProcessor.from_backbone(source, do_resize=False)
    assert (list(processor.image_mean), processor.do_resize) == ([0.1, 0.2, 0.3], False)


def test_from_backbone_says_what_is_new(source, caplog):
    logging.enable_propagation()
    try:
        PaumerForSemanticSegmentation.from_backbone(source, num_labels=5)
    finally:
        logging.disable_propagation()
    assert "the decoder and the auxiliary head are new" in caplog.text


def test_from_backbone_in_half_precision_and_as_a_subclass(source):
    class Mine(PaumerForSemanticSegmentation):
        pass

    model = Mine.from_backbone(source, id2label=NAMES, dtype=torch.bfloat16, attn_implementation="eager")
    assert type(model) is Mine
    assert model.dtype == torch.bfloat16
    assert model.config._attn_implementation == "eager"
    assert model.config.id2label == NAMES


def test_new_parts_are_initialised_as_those_of_a_new_model(source):
    model = PaumerForSemanticSegmentation.from_backbone(source, num_labels=5)
    assert 0.01 < model.paumer.auxiliary_head.weight.std() < 0.03
    assert not model.paumer.auxiliary_head.bias.any()
    assert 0.01 < model.decoder.class_embeddings.std() < 0.03


def test_position_embeddings_are_resized_to_another_image_size(vit, source, same_features):
    """A model of the new size gives there what interpolation at run time gives."""
    model = PaumerForSemanticSegmentation.from_backbone(source, num_labels=5, image_size=(48, 64))
    assert model.config.patch_grid == (6, 8)
    assert model.paumer.embeddings.position_embeddings.shape == (1, 1 + 48, 32)
    same_features(model, vit, 48, 64)


def test_arguments_of_from_pretrained_may_be_none(vit, source, same_features):
    """As scripts pass them on."""
    options = dict.fromkeys(("revision", "token", "cache_dir", "subfolder", "proxies", "dtype"))
    same_features(PaumerForSemanticSegmentation.from_backbone(source, num_labels=2, **options), vit)


def test_type_by_name_and_default_pause_configuration(source):
    model = PaumerForSemanticSegmentation.from_backbone(source, num_labels=2, dtype="bfloat16", pause_config={1: 0.5})
    assert model.dtype == torch.bfloat16
    assert model.pause_config == PauseConfig({1: 0.5})


def test_a_configuration_class_of_its_own(source):
    class MyConfig(PaumerConfig):
        pass

    class Mine(PaumerForSemanticSegmentation):
        config: MyConfig

    assert type(Mine.from_backbone(source, num_labels=2).config) is MyConfig


def test_the_processor_for_another_image_size(source):
    processor = PaumerImageProcessor.from_backbone(source, image_size=(48, 64))
    assert (processor.size["height"], processor.size["width"]) == (48, 64)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dtype": "auto"}, "`dtype` must be a floating-point type of torch or its name, such as 'bfloat16'"),
        ({"dtype": torch.int8}, "`dtype` must be a floating-point type"),
        ({"num_labels": -1}, "`num_labels` must be at least 1, but is -1"),
        ({"device_map": "auto"}, "There is no argument and no field of PaumerConfig called 'device_map'"),
        ({"hidden_size": 64}, "`hidden_size` is 32 in the source"),
        ({"pause_config": {7: 0.5}}, "7"),
    ],
    ids=str,
)
def test_refused_arguments(source, arguments, message):
    with pytest.raises(ValueError, match=message):
        PaumerForSemanticSegmentation.from_backbone(source, **{"num_labels": 2, **arguments})


def test_refused_arguments_of_the_processor(source):
    with pytest.raises(ConversionError, match="The image processor has no argument 'num_labels'"):
        PaumerImageProcessor.from_backbone(source, num_labels=3)
