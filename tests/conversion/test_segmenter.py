# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Segmenter's checkpoints: converted, they compute what a plain program of the original network computes."""

import dataclasses

import pytest
import torch
import yaml
from safetensors.torch import load_file

from paumer_hf.conversion.segmenter import convert_segmenter
from paumer_hf.conversion.source_files import read_source
from paumer_hf.conversion.source_weights import ConversionError


# The sizes of the network that `segmenter_shapes` describes, and its heads.
WIDTH, MLP, LAYERS, CLASSES, HEADS = 32, 48, 3, 5, 4


def variant_of(*, grid=(4, 4), patch=8, decoder="mask_transformer", distilled=False, **net):
    return {
        "dataset_kwargs": {"normalization": "vit"},
        "net_kwargs": {
            "backbone": "vit_tiny_patch16_384",
            "d_model": WIDTH,
            "n_heads": HEADS,
            "n_layers": LAYERS,
            "patch_size": patch,
            "image_size": [grid[0] * patch, grid[1] * patch],
            "n_cls": CLASSES,
            "normalization": "vit",
            "distilled": distilled,
            "decoder": {"name": decoder, **({} if decoder == "linear" else {"n_layers": 2, "dropout": 0.2})},
            **net,
        },
    }


@pytest.fixture
def save(tmp_path):
    """A function that writes a checkpoint as Segmenter's training does, and reads it as a source."""

    def write(state, variant=None):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        torch.save(
            {"model": state, "optimizer": {"state": {}}, "n_cls": CLASSES, "epoch": 3}, folder / "checkpoint.pth"
        )
        if variant is not None:
            (folder / "variant.yml").write_text(yaml.safe_dump(variant))
        return read_source(folder / "checkpoint.pth")

    return write


def images_of(*size):
    return torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def assert_same(found, expected, tolerance=1e-9):
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, atol=tolerance, rtol=0)


NETWORKS = {
    "mask": {},
    "mask-not-square": {"grid": (3, 5), "patch": 16},
    "linear": {"decoder": "linear", "grid": (5, 3)},
    "distilled": {"distilled": True, "grid": (3, 4)},
}


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_computes_what_the_original_does_at_every_size(
    network, save, fill_state, run_converted, segmenter_shapes, segmenter
):
    state = fill_state(segmenter_shapes(**network))
    converted = convert_segmenter(save(state, variant_of(**network)))
    grid, patch = network.get("grid", (4, 4)), network.get("patch", 8)
    reference = segmenter(state, HEADS, HEADS, grid)
    stored = (grid[0] * patch, grid[1] * patch)
    for size in (stored, (stored[0] + 3 * patch, stored[1] + patch), (stored[0] - 3, stored[1] + 5)):
        images = images_of(*size)
        assert_same(run_converted(converted, images), reference(images))
    assert converted.origin == "segmenter"
    assert converted.id2label is None
    assert converted.notes == []
    assert converted.config["image_size"] == stored


def test_weights_share_no_memory_with_each_other_or_the_source(save, fill_state, segmenter_shapes):
    source = save(fill_state(segmenter_shapes()), variant_of())
    weights = list(convert_segmenter(source).state_dict.values())
    assert all(weight.dtype == torch.float32 and weight.is_contiguous() for weight in weights)
    memory = {weight.untyped_storage().data_ptr() for weight in weights}
    assert len(memory) == len(weights)
    assert not memory & {tensor.untyped_storage().data_ptr() for tensor in source.tensors.values()}


def test_half_precision_weights_keep_their_values(save, fill_state, segmenter_shapes):
    state = {name: tensor.half() for name, tensor in fill_state(segmenter_shapes()).items()}
    converted = convert_segmenter(save(state, variant_of()))
    assert converted.state_dict["paumer.embeddings.cls_token"].dtype == torch.float32
    assert torch.equal(converted.state_dict["paumer.embeddings.cls_token"], state["encoder.cls_token"].float())


@pytest.mark.parametrize(("distilled", "mean"), [(False, 0.5), (True, 0.485)])
def test_without_a_variant_the_published_models_are_assumed_and_noted(
    distilled, mean, save, fill_state, run_converted, segmenter_shapes, segmenter
):
    state = fill_state(segmenter_shapes(width=128, distilled=distilled))
    converted = convert_segmenter(save(state))
    images = images_of(40, 24)
    assert_same(run_converted(converted, images), segmenter(state, 2, 2, (4, 4))(images))
    assert converted.image_mean[0] == mean
    said = " ".join(converted.notes)
    assert "heads" in said
    assert "4 x 4" in said
    assert "normalised" in said


def test_a_configuration_of_something_else_counts_as_none(save, fill_state, segmenter_shapes):
    converted = convert_segmenter(save(fill_state(segmenter_shapes(width=64)), {"hidden_size": 3}))
    assert converted.config["num_attention_heads"] == 1
    assert len(converted.notes) == 3


def test_positions_without_variant_must_be_a_square(save, fill_state, segmenter_shapes):
    with pytest.raises(ConversionError, match=r"15 position embeddings.*variant\.yml"):
        convert_segmenter(save(fill_state(segmenter_shapes(grid=(3, 5)))), num_attention_heads=4)


def test_heads_are_asked_for_where_nothing_says_them(save, fill_state, run_converted, segmenter_shapes, segmenter):
    state = fill_state(segmenter_shapes())
    with pytest.raises(ConversionError, match="`num_attention_heads`"):
        convert_segmenter(save(state))
    converted = convert_segmenter(save(state), num_attention_heads=8)
    images = images_of(32, 32)
    assert_same(run_converted(converted, images), segmenter(state, 8, 8, (4, 4))(images))
    for heads in (5, 0):
        with pytest.raises(ConversionError, match=f"{heads} attention heads"):
            convert_segmenter(save(state), num_attention_heads=heads)


def test_heads_that_are_given_must_be_those_of_the_variant(save, fill_state, segmenter_shapes):
    source = save(fill_state(segmenter_shapes()), variant_of())
    assert convert_segmenter(source, num_attention_heads=HEADS).config["num_attention_heads"] == HEADS
    with pytest.raises(ConversionError, match=r"n_heads` is 4.*given as 2"):
        convert_segmenter(source, num_attention_heads=2)


def test_decoder_heads_are_as_stated_or_one_for_each_64(save, fill_state, run_converted, segmenter_shapes, segmenter):
    state = fill_state(segmenter_shapes())
    variant = variant_of(decoder="mask_transformer")
    variant["net_kwargs"]["decoder"]["n_heads"] = 2
    images = images_of(32, 32)
    converted = convert_segmenter(save(state, variant))
    assert_same(run_converted(converted, images), segmenter(state, HEADS, 2, (4, 4))(images))
    wide = convert_segmenter(save(fill_state(segmenter_shapes(width=128)), variant_of(d_model=128)))
    assert wide.config["num_attention_heads"] == HEADS
    assert wide.config["decoder_num_attention_heads"] == 2
    variant["net_kwargs"]["decoder"]["n_heads"] = 3
    with pytest.raises(ConversionError, match="3 attention heads"):
        convert_segmenter(save(state, variant))


CONTRADICTIONS = {
    "d_model": (64, "32"),
    "n_layers": (12, "3"),
    "patch_size": (16, "8"),
    "n_cls": (150, "5"),
    "image_size": ([32, 40], "16"),
    "distilled": (True, "False"),
}


@pytest.mark.parametrize("field", CONTRADICTIONS)
def test_a_variant_that_contradicts_the_weights_is_refused_with_both_values(field, save, fill_state, segmenter_shapes):
    stated, found = CONTRADICTIONS[field]
    source = save(fill_state(segmenter_shapes()), variant_of(**{field: stated}))
    with pytest.raises(ConversionError) as refused:
        convert_segmenter(source)
    message = str(refused.value)
    assert all(part in message for part in ("variant.yml", f"net_kwargs.{field}", str(stated), found))


@pytest.mark.parametrize(("decoder", "stated"), [("linear", "mask_transformer"), ("mask_transformer", "linear")])
def test_a_variant_of_the_other_decoder_is_refused(decoder, stated, save, fill_state, segmenter_shapes):
    source = save(fill_state(segmenter_shapes(decoder=decoder)), variant_of(decoder=stated))
    with pytest.raises(ConversionError, match=f"'{stated}'.*'{decoder}'"):
        convert_segmenter(source)


def test_the_weights_tell_the_number_of_decoder_layers(save, fill_state, run_converted, segmenter_shapes, segmenter):
    state = fill_state(segmenter_shapes(decoder_layers=1))
    converted = convert_segmenter(save(state, variant_of()))
    assert converted.config["decoder_num_hidden_layers"] == 1
    assert converted.config["decoder_dropout_prob"] == 0.2
    assert ["2 layers" in note and "1" in note for note in converted.notes] == [True]
    images = images_of(32, 32)
    assert_same(run_converted(converted, images), segmenter(state, HEADS, HEADS, (4, 4))(images))


def test_normalization_goes_by_the_variant(save, fill_state, segmenter_shapes):
    state = fill_state(segmenter_shapes())
    deit = convert_segmenter(save(state, variant_of(normalization="deit")))
    assert (deit.image_mean, deit.image_std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    by_dataset = variant_of(normalization=None)
    by_dataset["dataset_kwargs"]["normalization"] = "deit"
    assert convert_segmenter(save(state, by_dataset)).image_mean == deit.image_mean
    with pytest.raises(ConversionError, match=r"'clip'.*'deit', 'vit'"):
        convert_segmenter(save(state, variant_of(normalization="clip")))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n_heads", "four"),
        ("n_heads", True),
        ("n_heads", 0),
        pytest.param("n_heads", 16**5000, id="n_heads-huge"),
        ("image_size", [32]),
        ("image_size", [32, 32.5]),
        ("image_size", {"height": 32}),
        ("normalization", 3),
        ("decoder", "mask_transformer"),
        ("decoder", {"dropout": 2}),
        ("decoder", {"n_layers": 2.5}),
        ("decoder", {"name": 7}),
    ],
)
def test_fields_of_a_wrong_type_are_refused_by_name(field, value, save, fill_state, segmenter_shapes):
    source = save(fill_state(segmenter_shapes()))
    variant = variant_of()
    variant["net_kwargs"][field] = value
    source = dataclasses.replace(source, config=variant)
    with pytest.raises(ConversionError, match=rf"variant\.yml says `net_kwargs\.{field}.*belongs there"):
        convert_segmenter(source)


def test_one_number_is_a_square_image_size(save, fill_state, segmenter_shapes):
    converted = convert_segmenter(save(fill_state(segmenter_shapes()), variant_of(image_size=32)))
    assert converted.config["image_size"] == (32, 32)


def test_a_number_of_heads_that_the_width_does_not_have_is_refused(save, fill_state, segmenter_shapes):
    with pytest.raises(ConversionError, match="32 channels cannot be shared by 5 attention heads"):
        convert_segmenter(save(fill_state(segmenter_shapes()), variant_of(n_heads=5)))


@pytest.mark.parametrize(
    "key", ["encoder.norm.bias", "encoder.blocks.1.attn.qkv.bias", "decoder.proj_patch", "encoder.cls_token"]
)
def test_a_missing_weight_is_named(key, save, fill_state, segmenter_shapes):
    state = fill_state(segmenter_shapes())
    del state[key]
    with pytest.raises(ConversionError, match=f"'{key}' is missing"):
        convert_segmenter(save(state, variant_of()))


@pytest.mark.parametrize("key", ["encoder.blocks.0.ls1.gamma", "decoder.extra.weight", "head.weight"])
def test_a_weight_without_place_is_named(key, save, fill_state, segmenter_shapes):
    state = {**fill_state(segmenter_shapes()), key: torch.zeros(3)}
    with pytest.raises(ConversionError, match=f"no place for 1 of the weights, '{key}'"):
        convert_segmenter(save(state, variant_of()))


@pytest.mark.parametrize(
    ("key", "shape"),
    [
        ("encoder.patch_embed.proj.weight", (WIDTH, 4, 8, 8)),
        ("encoder.blocks.2.mlp.fc1.weight", (MLP + 1, WIDTH)),
        ("decoder.proj_classes", (WIDTH, WIDTH, 1)),
    ],
)
def test_a_weight_of_wrong_shape_is_named(key, shape, save, fill_state, segmenter_shapes):
    state = {**fill_state(segmenter_shapes()), key: torch.zeros(shape)}
    with pytest.raises(ConversionError, match=f"'{key}' has the shape"):
        convert_segmenter(save(state, variant_of()))


def test_patches_that_are_not_square_are_refused(save, fill_state, segmenter_shapes):
    state = {**fill_state(segmenter_shapes()), "encoder.patch_embed.proj.weight": torch.zeros(WIDTH, 3, 8, 16)}
    with pytest.raises(ConversionError, match="8 x 16 pixels"):
        convert_segmenter(save(state, variant_of()))


def test_an_encoder_without_layers_is_refused(save, fill_state, segmenter_shapes):
    state = {name: value for name, value in fill_state(segmenter_shapes()).items() if "encoder.blocks" not in name}
    with pytest.raises(ConversionError, match=r"no layer encoder\.blocks\.0"):
        convert_segmenter(save(state, variant_of()))


def test_biases_that_no_layer_has_are_zero(save, fill_state, run_converted, segmenter_shapes, segmenter):
    missing = ("attn.qkv.bias", "attn.proj.bias", "fc1.bias", "fc2.bias", "patch_embed.proj.bias")
    state = {name: value for name, value in fill_state(segmenter_shapes()).items() if not name.endswith(missing)}
    converted = convert_segmenter(save(state, variant_of()))
    images = images_of(32, 32)
    assert_same(run_converted(converted, images), segmenter(state, HEADS, HEADS, (4, 4))(images))
    assert converted.config["qkv_bias"] is False
    assert len(converted.notes) == 3
    assert "attn.proj, mlp.fc1, mlp.fc2, attn.qkv" in converted.notes[-1]


def test_an_encoder_alone_gives_no_decoder(save, fill_state, segmenter_shapes):
    state = {name: value for name, value in fill_state(segmenter_shapes()).items() if name.startswith("encoder.")}
    converted = convert_segmenter(save(state, variant_of()))
    assert not converted.has_decoder
    assert not {"num_labels", "decoder_type"} & set(converted.config)


def test_heads_of_the_classification_are_unused(save, fill_state, segmenter_shapes):
    converted = convert_segmenter(save(fill_state(segmenter_shapes(distilled=True)), variant_of(distilled=True)))
    assert set(converted.unused) == {"encoder.head.weight", "encoder.head.bias", "encoder.head_dist.weight"}


@pytest.mark.parametrize(
    "name",
    ["segmenter_vit_mask", "segmenter_vit_mask_nonsquare", "segmenter_vit_linear", "segmenter_deit_distilled_mask"],
)
def test_agrees_with_outputs_of_the_original_code(name, parity_folder, run_converted):
    folder = parity_folder(name)
    converted = convert_segmenter(read_source(folder / "checkpoint.pth"))
    expected = load_file(folder / "expected.safetensors")
    for size in ("train_size", "other_size"):
        found = run_converted(converted, expected[f"{size}.pixel_values"])
        kinds = ("encoder_features", "mask_logits", "full_logits")
        assert_same(found, [expected[f"{size}.{kind}"] for kind in kinds], tolerance=1e-4)
