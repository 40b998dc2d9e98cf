# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""From a source to a model or a folder; the mappings of the kinds of sources are tested in files of their own."""

import json

import pytest
import torch
from transformers import ViTModel

from paumer_hf import PaumerConfig, PaumerForSemanticSegmentation, PaumerImageProcessor
from paumer_hf.conversion import ConversionError, convert_weights, model_from_weights, read_weights


NAMES = {0: "road", 1: "tree", 2: "sky"}


def test_a_folder_is_written_whole(vit, source, tmp_path, same_features):
    report = convert_weights(source, tmp_path / "out", id2label=NAMES, config={"drop_path_rate": 0.1})
    assert report.origin == "hugging_face"
    assert report.new == ("the decoder", "the auxiliary head")
    assert set(report.unused) == {"classifier.weight", "classifier.bias"}
    for part in (str(source), str(tmp_path / "out"), "the auxiliary head", "classifier.weight"):
        assert part in str(report)
    model, information = PaumerForSemanticSegmentation.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not any(information.values())
    assert (model.config.id2label, model.config.drop_path_rate) == (NAMES, 0.1)
    same_features(model, vit)
    same_features(model, vit, 24, 48)
    processor = PaumerImageProcessor.from_pretrained(tmp_path / "out")
    assert list(processor.image_mean) == [0.1, 0.2, 0.3]
    assert list(processor.image_std) == [0.4, 0.5, 0.6]
    assert (processor.size["height"], processor.size["width"], processor.size_divisor) == (32, 32, 8)
    record = json.loads((tmp_path / "out" / "conversion.json").read_text())
    assert record["origin"] == "hugging_face"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "vit"]


@pytest.fixture
def with_decoder(make_tiny_config, make_model):
    """Converted weights with a decoder, as a Segmenter has them."""
    model = make_model(make_tiny_config())
    weights = read_weights_of(model)
    return model, weights


def read_weights_of(model):
    from paumer_hf.conversion import ConvertedWeights

    fields = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "patch_size")
    decoder = [name for name in PaumerConfig().to_dict() if name.startswith("decoder_")]
    config = {name: getattr(model.config, name) for name in (*fields, "image_size", *decoder)}
    state = {name: value for name, value in model.state_dict().items() if "auxiliary" not in name}
    return ConvertedWeights(
        "segmenter", {**config, "num_labels": 3}, state, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), id2label=dict(NAMES)
    )


def test_a_decoder_is_kept_with_its_classes(with_decoder, tiny_images):
    original, weights = with_decoder
    model = model_from_weights(weights)
    assert model.config.id2label == NAMES
    torch.testing.assert_close(model(tiny_images).logits, original(tiny_images).logits)
    renamed = model_from_weights(weights, id2label={0: "a", 1: "b", 2: "c"})
    assert renamed.config.label2id == {"a": 0, "b": 1, "c": 2}


def test_a_decoder_can_be_left_behind(with_decoder, tiny_images):
    original, weights = with_decoder
    model = model_from_weights(weights, keep_decoder=False, num_labels=7, config={"decoder_num_hidden_layers": 2})
    assert model(tiny_images).logits.shape == (3, 7, 5, 6)
    features = model.paumer(tiny_images).last_hidden_state
    torch.testing.assert_close(features, original.paumer(tiny_images).last_hidden_state)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_labels": 7}, "The decoder of the source has 3 classes, but `num_labels` is 7; leave it out"),
        ({"id2label": {0: "a", 1: "b"}}, "`id2label` must name the classes 0 to 2, each once, but names 2"),
        ({"keep_decoder": False}, "say by `num_labels` or `id2label` how many classes the new one shall have"),
        ({"keep_decoder": False, "num_labels": 4, "id2label": NAMES}, "must name the classes 0 to 3"),
        ({"keep_decoder": False, "id2label": {1: "a", 2: "b"}}, "must name the classes 0 to 1"),
        (
            {"config": {"hidden_size": 64}},
            "`hidden_size` is 32 in the source, and its weights fit nothing else, but 64 was given",
        ),
        (
            {"config": {"drop_path": 0.1}},
            "There is no argument and no field .* 'drop_path'; did you mean 'drop_path_r",
        ),
        ({"config": {"num_labels": 3}}, "`num_labels` is no further field .*; give `num_labels` by itself"),
        ({"config": {"num_prefix_position_embeddings": 0}}, "position_embeddings the shape"),
        ({"keep_decoder": False, "num_labels": 0}, "`num_labels` must be at least 1, but is 0"),
        ({"id2label": {"road": 0}}, "`id2label` must map the numbers of the classes to their names, but is"),
        ({"keep_decoder": False, "id2label": {}}, "`id2label` must name the classes"),
        (
            {"config": {"drop_path_rate": 2.0}},
            r"These weights and fields make no model: `drop_path_rate` must lie in \[0, 1\)",
        ),
        ({"image_size": 0}, "make no model: `image_size` must be positive"),
    ],
    ids=str,
)
def test_refused_fields(with_decoder, arguments, message):
    with pytest.raises(ConversionError, match=message):
        model_from_weights(with_decoder[1], **arguments)


def test_incomplete_or_foreign_weights_are_refused(with_decoder):
    _, weights = with_decoder
    removed = weights.state_dict.pop("paumer.layernorm.bias")
    with pytest.raises(ConversionError, match=r"The source has no weights for paumer\.layernorm\.bias"):
        model_from_weights(weights)
    weights.state_dict["paumer.layernorm.bias"] = removed[:5]
    with pytest.raises(ConversionError, match=r"paumer\.layernorm\.bias the shape \(5,\), .* asks for \(32,\)"):
        model_from_weights(weights)


def test_what_shapes_do_not_show_can_be_overruled(source, tmp_path):
    convert_weights(
        source,
        tmp_path / "out",
        num_labels=3,
        image_mean=[0.4, 0.4, 0.4],
        config={"hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-5},
    )
    config = PaumerForSemanticSegmentation.from_pretrained(tmp_path / "out").config
    assert (config.hidden_act, config.layer_norm_eps) == ("gelu_pytorch_tanh", 1e-5)
    processor = PaumerImageProcessor.from_pretrained(tmp_path / "out")
    assert (list(processor.image_mean), list(processor.image_std)) == ([0.4, 0.4, 0.4], [0.4, 0.5, 0.6])
    with pytest.raises(ConversionError, match="`image_std` must be three numbers"):
        convert_weights(source, tmp_path / "other", num_labels=3, image_std=[0.5])


def test_names_of_classes_as_a_list(source):
    assert model_from_weights(read_weights(source), id2label=["a", "b"]).config.id2label == {0: "a", 1: "b"}


def test_the_current_folder_can_be_the_output(source, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    convert_weights(source, ".", num_labels=3)
    assert (tmp_path / "here" / "config.json").is_file()


def test_arguments_are_checked(source):
    with pytest.raises(ConversionError, match=r"`kind` must be one of .* but is 'jax'"):
        read_weights(source, kind="jax")
    with pytest.raises(ConversionError, match="has 4 heads, but `num_attention_heads` is 2"):
        read_weights(source, num_attention_heads=2)


def test_an_existing_folder_is_left_alone(source, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(ConversionError, match="exists and is not empty"):
        convert_weights(source, tmp_path / "out", num_labels=3)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]
    (tmp_path / "empty").mkdir()
    convert_weights(source, tmp_path / "empty", num_labels=3)
    assert (tmp_path / "empty" / "config.json").is_file()


def test_a_failure_while_saving_leaves_nothing_behind(source, tmp_path, monkeypatch):
    def fail(self, folder, **kwargs):
        raise OSError("No space left on device")

    monkeypatch.setattr(PaumerImageProcessor, "save_pretrained", fail)
    with pytest.raises(OSError, match="No space left"):
        convert_weights(source, tmp_path / "out", num_labels=3)
    assert [path.name for path in tmp_path.iterdir()] == ["vit"]


def test_a_base_model_has_the_same_encoder_as_a_classifier(vit, source, tmp_path):
    base = ViTModel(vit.config, add_pooling_layer=True).eval()
    base.load_state_dict(vit.vit.state_dict(), strict=False)
    base.save_pretrained(tmp_path / "base")
    weights = read_weights(tmp_path / "base")
    for name, value in read_weights(source).state_dict.items():
        assert weights.state_dict[name].equal(value), name
