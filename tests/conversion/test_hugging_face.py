# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Models of transformers with random weights compute the same after they were saved and converted."""

import dataclasses
import json

import pytest
import torch
import transformers

from paumer_hf import PaumerConfig, PaumerForSemanticSegmentation
from paumer_hf.conversion.hugging_face import convert_hugging_face
from paumer_hf.conversion.source_files import read_source
from paumer_hf.conversion.source_weights import ConversionError


SIZES = {"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 32, "image_size": 32, "patch_size": 8}
VIT = {**SIZES, "intermediate_size": 48}
DINOV2 = {**SIZES, "mlp_ratio": 3}
GATED = {"use_gated_mlp": True, "hidden_act": "silu", "num_register_tokens": 4}

# From a name to a class of models, a class of configurations, and fields.
MODELS = {
    "vit": ("ViTModel", "ViTConfig", VIT),
    "vit_without_biases": ("ViTModel", "ViTConfig", {**VIT, "qkv_bias": False, "hidden_act": "gelu_new"}),
    "vit_classifier": ("ViTForImageClassification", "ViTConfig", VIT),
    "vit_masked": ("ViTForMaskedImageModeling", "ViTConfig", {**VIT, "encoder_stride": 8}),
    "deit": ("DeiTModel", "DeiTConfig", VIT),
    "deit_classifier": ("DeiTForImageClassificationWithTeacher", "DeiTConfig", VIT),
    "dinov2": ("Dinov2Model", "Dinov2Config", DINOV2),
    "dinov2_gated": ("Dinov2ForImageClassification", "Dinov2Config", {**DINOV2, "use_swiglu_ffn": True}),
    "dinov2_backbone": ("Dinov2Backbone", "Dinov2Config", {**DINOV2, "use_mask_token": False}),
    "dinov2_registers": ("Dinov2WithRegistersForImageClassification", "Dinov2WithRegistersConfig", DINOV2),
    "dinov2_registers_gated": (
        "Dinov2WithRegistersModel",
        "Dinov2WithRegistersConfig",
        {**DINOV2, "use_swiglu_ffn": True, "num_register_tokens": 2},
    ),
    "dinov3": ("DINOv3ViTModel", "DINOv3ViTConfig", VIT),
    "dinov3_gated_registers": ("DINOv3ViTModel", "DINOv3ViTConfig", {**VIT, **GATED, "rope_theta": 50.0}),
    "dinov3_biases": (
        "DINOv3ViTModel",
        "DINOv3ViTConfig",
        {**VIT, "key_bias": True, "proj_bias": False, "mlp_bias": False, "pos_embed_rescale": None},
    ),
}
ENCODERS = ("vit", "deit", "dinov2", "dinov2_with_registers")


@pytest.fixture(autouse=True)
def quiet():
    verbosity = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    yield
    transformers.logging.enable_progress_bar()
    transformers.logging.set_verbosity(verbosity)


@pytest.fixture
def save(tmp_path):
    """A function from a name in MODELS to such a model, none of whose parameters are trivial, and its saved source."""

    def make(name, **fields):
        model_class, config_class, defaults = MODELS[name]
        config = getattr(transformers, config_class)(**{**defaults, **fields})
        model = getattr(transformers, model_class)(config).eval()
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for key, parameter in model.named_parameters():
                noise = 0.2 * torch.randn(parameter.shape, generator=generator)
                parameter.copy_(1 + noise if "norm" in key and key.endswith("weight") else noise)
        model.save_pretrained(tmp_path)
        return model, read_source(tmp_path)

    return make


def load(converted):
    model = PaumerForSemanticSegmentation(PaumerConfig(**converted.config)).eval()
    missing, unexpected = model.load_state_dict(converted.state_dict, strict=False)
    assert not unexpected
    assert all(name.startswith(("decoder.", "paumer.auxiliary_head.")) for name in missing)
    return model.paumer


def largest_difference(original, converted, size, **kwargs):
    pixels = torch.randn(2, 3, *size, dtype=torch.float64)
    encoder = next((getattr(original, name) for name in ENCODERS if hasattr(original, name)), original).double()
    hooked = []
    # A backbone returns maps of features; what its last normalisation gives is what the others return.
    norm = encoder.norm if hasattr(encoder, "norm") else encoder.layernorm
    hook = norm.register_forward_hook(lambda module, inputs, output: hooked.append(output))
    with torch.no_grad():
        encoder(pixels, **kwargs)
        found = load(converted).double()(pixels).last_hidden_state
    hook.remove()
    assert found.shape == hooked[-1].shape
    return (found - hooked[-1]).abs().max().item()


@pytest.mark.parametrize("name", MODELS)
def test_the_tokens_are_those_of_the_original_at_every_size(name, save):
    original, source = save(name)
    converted = convert_hugging_face(source)
    for size in [(32, 32), (48, 48), (24, 24), (40, 24), (16, 64)]:
        is_interpolated_on_request = name.startswith(("vit", "deit")) and size != (32, 32)
        kwargs = {"interpolate_pos_encoding": True} if is_interpolated_on_request else {}
        assert largest_difference(original, converted, size, **kwargs) < 1e-5


@pytest.mark.parametrize(
    ("name", "unused"),
    [
        ("vit", {"pooler.dense.weight", "pooler.dense.bias"}),
        ("vit_classifier", {"classifier.weight", "classifier.bias"}),
        ("vit_masked", {"vit.embeddings.mask_token", "decoder.0.weight", "decoder.0.bias"}),
        (
            "deit_classifier",
            {f"{head}_classifier.{part}" for head in ("cls", "distillation") for part in ("weight", "bias")},
        ),
        ("dinov2_gated", {"dinov2.embeddings.mask_token", "classifier.weight", "classifier.bias"}),
        ("dinov2_backbone", set()),
        ("dinov3", {"embeddings.mask_token"}),
    ],
)
def test_what_is_left_out_is_named(name, unused, save):
    assert set(convert_hugging_face(save(name)[1]).unused) == unused


def test_a_grid_that_is_not_square_is_that_of_the_image_size(save):
    original, source = save("vit", image_size=(24, 40))
    converted = convert_hugging_face(source)
    assert converted.config["image_size"] == (24, 40)
    assert largest_difference(original, converted, (24, 40)) < 1e-5


def test_pixels_that_fill_no_patch_do_not_count(save):
    original, source = save("vit", image_size=37, patch_size=(8, 8))
    converted = convert_hugging_face(source)
    assert converted.config["image_size"] == (32, 32)
    assert largest_difference(original, converted, (32, 32), interpolate_pos_encoding=True) < 1e-5


def test_fields_that_config_json_leaves_out_have_the_defaults_of_transformers(save):
    _, source = save("dinov3", image_size=224)
    fields = ("layer_norm_eps", "rope_theta", "image_size", "hidden_act", "key_bias", "query_bias", "use_gated_mlp")
    short = {key: value for key, value in source.config.items() if key not in fields}
    converted = convert_hugging_face(dataclasses.replace(source, config=short))
    assert converted.config == convert_hugging_face(source).config
    assert (converted.config["layer_norm_eps"], converted.config["key_bias"]) == (1e-5, False)


def test_the_biases_of_keys_are_theirs(save):
    # Without rotary positions they change nothing: softmax does not see what is added to all keys.
    _, source = save("vit")
    found = convert_hugging_face(source).state_dict["paumer.encoder.layers.1.attention.k_proj.bias"]
    assert torch.equal(found, source.tensors["encoder.layer.1.attention.attention.key.bias"])


def test_half_precision_becomes_float32_without_shared_memory(save, tmp_path):
    original, _ = save("dinov2_gated")
    original.bfloat16().save_pretrained(tmp_path)
    tensors = convert_hugging_face(read_source(tmp_path)).state_dict
    assert all(tensor.dtype == torch.float32 and tensor.is_contiguous() for tensor in tensors.values())
    assert len({tensor.untyped_storage().data_ptr() for tensor in tensors.values()}) == len(tensors)


def test_images_are_normalised_as_the_processor_says(save):
    _, source = save("vit")
    processor = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}
    converted = convert_hugging_face(dataclasses.replace(source, processor=processor))
    assert (converted.image_mean, converted.image_std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert not converted.notes
    converted = convert_hugging_face(dataclasses.replace(source, processor={**processor, "do_normalize": False}))
    assert (converted.image_mean, converted.image_std) == ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


@pytest.mark.parametrize(("name", "mean"), [("vit", 0.5), ("deit", 0.485), ("dinov2", 0.485), ("dinov3", 0.485)])
def test_without_a_processor_images_are_normalised_as_published_models_do_it(name, mean, save):
    converted = convert_hugging_face(save(name)[1])
    assert converted.image_mean[0] == mean
    assert any("No preprocessor_config.json" in note for note in converted.notes)


def test_zero_biases_and_positions_that_stay_are_noted(save):
    notes = " ".join(convert_hugging_face(save("dinov3_biases")[1]).notes)
    assert "no output biases" in notes
    assert "no MLP biases" in notes
    assert "pos_embed" not in notes
    assert "`pos_embed_rescale`" in " ".join(convert_hugging_face(save("dinov3")[1]).notes)


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("vit", {"patch_size": (8, 16)}, r"`patch_size` is \[8, 16\], but PAUMER's patches are square"),
        ("vit", {"num_channels": 1}, "`num_channels` is 1"),
        ("vit", {"head_dim": 16}, "`head_dim` is 16"),
        ("dinov3", {"query_bias": False}, "`query_bias` and `value_bias` differ"),
    ],
)
def test_models_that_paumer_cannot_represent_are_refused(name, fields, message, save):
    with pytest.raises(ConversionError, match=message):
        convert_hugging_face(save(name, **fields)[1])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model_type": "bert"}, "`model_type` is 'bert'"),
        ({"hidden_size": "wide"}, "transformers does not accept its config.json.*hidden_size"),
        ({"hidden_size": 64}, "`hidden_size` is 64 by config.json, but 32 by the weights"),
        ({"num_hidden_layers": 3}, "`num_hidden_layers` is 3 by config.json, but 2 by the weights"),
        ({"intermediate_size": 64}, "`intermediate_size` is 64 by config.json, but 48 by the weights"),
        ({"patch_size": 16}, "`patch_size` is 16 by config.json, but 8 by the weights"),
        ({"image_size": 48}, r"17 positions, but .* make 1 \+ 6 \* 6"),
        ({"image_size": [48]}, r"`image_size` is \[48\]"),
        ({"num_attention_heads": 5}, "5 attention heads do not divide the `hidden_size` 32"),
        ({"num_attention_heads": 0}, "0 attention heads do not divide"),
        ({"qkv_bias": False}, "no place for 6 of the weights, .*query.bias"),
    ],
)
def test_a_configuration_of_another_model_is_refused(fields, message, save):
    _, source = save("vit")
    with pytest.raises(ConversionError, match=message):
        convert_hugging_face(dataclasses.replace(source, config={**source.config, **fields}))


def test_without_config_json_it_says_that_one_is_needed(save):
    _, source = save("vit")
    with pytest.raises(ConversionError, match="there is no config"):
        convert_hugging_face(dataclasses.replace(source, config=None))


KEY = "vit.encoder.layer.1.attention.output.dense.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({KEY: None}, f"the weight '{KEY}' is missing"),
        ({KEY: torch.zeros(32, 31)}, rf"'{KEY}' has the shape \(32, 31\)"),
        ({"vit.adapter.weight": torch.zeros(3)}, "no place for 1 of the weights, 'vit.adapter.weight'"),
        ({"vit.embeddings.cls_token": None}, "one weight must be called 'embeddings.cls_token', .* there are 0"),
        ({"other.embeddings.cls_token": torch.zeros(1, 1, 32)}, "there are 2"),
        ({"vit.embeddings.cls_token": torch.tensor(0.0)}, r"has the shape \(\), but must have 3 dimensions"),
    ],
)
def test_weights_of_another_network_are_refused(change, message, save):
    _, source = save("vit_classifier")
    tensors = {key: value for key, value in {**source.tensors, **change}.items() if value is not None}
    with pytest.raises(ConversionError, match=message):
        convert_hugging_face(dataclasses.replace(source, tensors=tensors))


@pytest.mark.parametrize("mean", [[0.5], 0.5, ["a", "b", "c"]])
def test_a_normalisation_of_another_number_of_channels_is_refused(mean, save):
    _, source = save("vit")
    processor = {"image_mean": mean, "image_std": [0.5, 0.5, 0.5]}
    with pytest.raises(ConversionError, match=r"`image_mean` of .* must be three numbers"):
        convert_hugging_face(dataclasses.replace(source, processor=processor))


def test_the_fields_can_be_written_to_json(save):
    fields = convert_hugging_face(save("dinov3_gated_registers")[1]).config
    assert json.loads(json.dumps(fields)) == {**fields, "image_size": [32, 32]}
