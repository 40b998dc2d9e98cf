# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Segmenters of mmsegmentation: converted, they compute what a plain program of the original network computes."""

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from paumer_hf.conversion.mmsegmentation import convert_mmsegmentation
from paumer_hf.conversion.source_files import read_source
from paumer_hf.conversion.source_weights import ConversionError


CLASSES = 5
NAMES = ["road", "tree", "sky", "car", "person"]


def as_python(value):
    """A value as mmengine and mmcv write it into a checkpoint."""
    if isinstance(value, dict):
        return "dict(" + ", ".join(f"{key}={as_python(item)}" for key, item in value.items()) + ")"
    return repr(value)


def config_text(**variables):
    return "".join(f"{name} = {as_python(value)}\n" for name, value in variables.items())


class Network:
    """The original network, from its own weights, in float64, with torch's own attention."""

    def __init__(
        self, state, heads, decoder_heads, grid, *, eps=1e-6, decoder_eps=1e-5, mode="bicubic", norms=("ln1", "ln2")
    ):
        self.state = {name: tensor.double() for name, tensor in state.items()}
        self.heads, self.decoder_heads, self.grid, self.mode = heads, decoder_heads, grid, mode
        self.eps, self.decoder_eps, self.norms = eps, decoder_eps, norms

    def get(self, name):
        return self.state.get(name)

    def linear(self, name, x):
        return F.linear(x, self.state[f"{name}.weight"], self.get(f"{name}.bias"))

    def norm(self, name, x, eps):
        return F.layer_norm(x, x.shape[-1:], self.state[f"{name}.weight"], self.state[f"{name}.bias"], eps=eps)

    def layer(self, name, x, heads, eps):
        normed = self.norm(f"{name}.{self.norms[0]}", x, eps).transpose(0, 1)
        attention = f"{name}.attn.attn"
        attended, _ = F.multi_head_attention_forward(
            *(normed, normed, normed, x.shape[-1], heads),
            in_proj_weight=self.state[f"{attention}.in_proj_weight"],
            in_proj_bias=self.get(f"{attention}.in_proj_bias"),
            bias_k=None,
            bias_v=None,
            add_zero_attn=False,
            dropout_p=0.0,
            out_proj_weight=self.state[f"{attention}.out_proj.weight"],
            out_proj_bias=self.get(f"{attention}.out_proj.bias"),
        )
        x = x + attended.transpose(0, 1)
        hidden = F.gelu(self.linear(f"{name}.ffn.layers.0.0", self.norm(f"{name}.{self.norms[1]}", x, eps)))
        return x + self.linear(f"{name}.ffn.layers.1", hidden)

    def __call__(self, images):
        height, width = images.shape[-2:]
        kernel = self.state["backbone.patch_embed.projection.weight"]
        side = kernel.shape[-1]
        images = F.pad(images, (0, -width % side, 0, -height % side))
        patches = F.conv2d(images, kernel, self.get("backbone.patch_embed.projection.bias"), stride=side)
        rows, columns = patches.shape[-2:]
        x = torch.cat([self.state["backbone.cls_token"].expand(len(images), 1, -1), patches.flatten(2).mT], dim=1)
        positions = self.state["backbone.pos_embed"]
        image = positions[:, 1:].mT.unflatten(2, self.grid)
        image = F.interpolate(image, size=(rows, columns), mode=self.mode, align_corners=False)
        x = x + torch.cat([positions[:, :1], image.flatten(2).mT], dim=1)
        for index in range(3):
            x = self.layer(f"backbone.layers.{index}", x, self.heads, self.eps)
        x = self.norm(f"backbone.{self.norms[0]}", x, self.eps)
        logits = self.decode(x[:, 1:]).mT.unflatten(2, (rows, columns))
        pixels = F.interpolate(logits, size=images.shape[-2:], mode="bilinear", align_corners=False)
        return x, logits, pixels[..., :height, :width]

    def decode(self, x):
        if "decode_head.cls_emb" not in self.state:
            kernel = self.state["decode_head.conv_seg.weight"]
            return F.conv2d(x.mT.unsqueeze(3), kernel, self.state["decode_head.conv_seg.bias"]).squeeze(3).mT
        classes = self.state["decode_head.cls_emb"].expand(len(x), -1, -1)
        x = torch.cat([self.linear("decode_head.dec_proj", x), classes], dim=1)
        for index in range(2):
            x = self.layer(f"decode_head.layers.{index}", x, self.decoder_heads, self.decoder_eps)
        x = self.norm("decode_head.decoder_norm", x, self.decoder_eps)
        patches = F.normalize(self.linear("decode_head.patch_proj", x[:, :-CLASSES]), dim=2)
        classes = F.normalize(self.linear("decode_head.classes_proj", x[:, -CLASSES:]), dim=2)
        return self.norm("decode_head.mask_norm", patches @ classes.mT, self.decoder_eps)


@pytest.fixture
def compare(run_converted):
    """A function that compares a converted network with the original at several sizes."""

    def check(converted, network, grid=(4, 4), patch=8):
        stored = (grid[0] * patch, grid[1] * patch)
        for height, width in (stored, (stored[0] + 3 * patch, stored[1] + patch), (stored[0] - 3, stored[1] + 5)):
            generator = torch.Generator().manual_seed(3)
            images = torch.randn(2, 3, height, width, generator=generator, dtype=torch.float64)
            for found, expected in zip(run_converted(converted, images), network(images), strict=True):
                torch.testing.assert_close(found, expected, atol=1e-9, rtol=0)

    return check


NETWORKS = {
    "mask": {},
    "mask-not-square": {"grid": (3, 5), "patch": 16},
    "linear": {"decoder": "linear", "grid": (5, 3)},
}
NORM_0 = {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375], "to_rgb": True}
NORM_1 = {"type": "SegDataPreProcessor", "mean": NORM_0["mean"], "std": NORM_0["std"], "bgr_to_rgb": True}


def metas_of(model):
    """The configuration as each version keeps it: `meta`, and what lies beside the file."""
    return {
        "0.x": ({"CLASSES": tuple(NAMES), "config": config_text(img_norm_cfg=NORM_0, model=model)}, None),
        "1.x": (
            {"dataset_meta": {"classes": NAMES}, "cfg": config_text(model={**model, "data_preprocessor": NORM_1})},
            None,
        ),
        "1.x-apart": (
            {"dataset_meta": {"CLASSES": NAMES}, "cfg": config_text(data_preprocessor=NORM_1, model=model)},
            None,
        ),
        "beside": ({"CLASSES": NAMES}, {**model, "data_preprocessor": NORM_1}),
        "beside-as-model": ({"CLASSES": NAMES}, {"model": {**model, "data_preprocessor": NORM_1}}),
        "beside-and-inside": ({"CLASSES": NAMES, "cfg": config_text(data_preprocessor=NORM_1)}, model),
        "inside-and-beside": (
            {
                "CLASSES": NAMES,
                "cfg": config_text(data_preprocessor={"mean": [0, 0, 0], "std": [1, 1, 1]}, model=model),
            },
            {"data_preprocessor": NORM_1},
        ),
    }


@pytest.mark.parametrize("version", metas_of({}))
@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_computes_what_the_original_does_at_every_size(
    network, version, save_mmseg, fill_state, compare, mmseg_shapes, mmseg_model
):
    grid, patch = network.get("grid", (4, 4)), network.get("patch", 8)
    state = fill_state(mmseg_shapes(**network))
    meta, beside = metas_of(mmseg_model(**network))[version]
    converted = convert_mmsegmentation(save_mmseg(state, meta=meta, beside=beside))
    compare(converted, Network(state, 4, 3, grid, eps=1e-3), grid, patch)
    assert converted.origin == "mmsegmentation"
    assert converted.config["image_size"] == (grid[0] * patch, grid[1] * patch)
    assert converted.image_mean == pytest.approx((0.485, 0.456, 0.406))
    assert converted.image_std == pytest.approx((0.229, 0.224, 0.225))
    assert converted.id2label == dict(enumerate(NAMES))
    assert converted.notes == ["The source has no backbone.patch_embed.projection.bias; PAUMER's is zero."]


def test_without_configuration_segmenters_defaults_are_taken_and_noted(save_mmseg, fill_state, compare, mmseg_shapes):
    state = fill_state(mmseg_shapes(width=128, bias=True))
    converted = convert_mmsegmentation(save_mmseg(state))
    compare(converted, Network(state, 2, 2, (4, 4)))
    assert (converted.image_mean, converted.image_std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert converted.id2label is None
    said = ["heads the encoder", "1e-06", "4 x 4", "heads the decoder", "1e-05", "normalised"]
    assert [part in note for part, note in zip(said, converted.notes, strict=True)] == [True] * 6


def test_the_caller_can_say_the_heads_but_not_others_than_the_configuration(
    save_mmseg, fill_state, compare, mmseg_shapes, mmseg_model
):
    state = fill_state(mmseg_shapes())
    with pytest.raises(ConversionError, match="`num_attention_heads`"):
        convert_mmsegmentation(save_mmseg(state))
    compare(convert_mmsegmentation(save_mmseg(state), num_attention_heads=8), Network(state, 8, 8, (4, 4)))
    source = save_mmseg(state, beside=mmseg_model())
    assert convert_mmsegmentation(source, num_attention_heads=4).config["num_attention_heads"] == 4
    with pytest.raises(ConversionError, match=r"backbone\.num_heads` is 4.*given as 2"):
        convert_mmsegmentation(source, num_attention_heads=2)


def test_what_a_configuration_leaves_out_is_as_in_mmsegmentation(save_mmseg, fill_state, compare, mmseg_shapes):
    state = fill_state(mmseg_shapes(width=48))
    beside = {
        "backbone": {"type": "VisionTransformer", "img_size": 32},
        "decode_head": {"num_heads": 4, "drop_rate": 0.1},
    }
    converted = convert_mmsegmentation(save_mmseg(state, beside=beside))
    compare(converted, Network(state, 12, 4, (4, 4), eps=1e-5))
    assert converted.config["decoder_dropout_prob"] == 0.1
    assert any("12" in note for note in converted.notes)


def test_interpolation_and_activation_go_by_the_configuration(
    save_mmseg, fill_state, compare, mmseg_shapes, mmseg_model
):
    state = fill_state(mmseg_shapes())
    beside = mmseg_model(interpolate_mode="bilinear", act_cfg={"type": "GELU"})
    beside["decode_head"]["norm_cfg"] = {"type": "LN", "eps": 1e-2}
    converted = convert_mmsegmentation(save_mmseg(state, beside=beside))
    compare(converted, Network(state, 4, 3, (4, 4), eps=1e-3, decoder_eps=1e-2, mode="bilinear"))
    beside = mmseg_model(act_cfg={"type": "ReLU"})
    beside["decode_head"]["act_cfg"] = {"type": "SiLU"}
    config = convert_mmsegmentation(save_mmseg(state, beside=beside)).config
    assert (config["hidden_act"], config["decoder_hidden_act"]) == ("relu", "silu")


def test_names_of_early_versions_and_a_bias_of_the_patches_are_taken(
    save_mmseg, fill_state, compare, mmseg_shapes, mmseg_model
):
    norms = ("norm1", "norm2")
    state = fill_state(mmseg_shapes(norms=norms, bias=True))
    converted = convert_mmsegmentation(save_mmseg(state, beside=mmseg_model()))
    compare(converted, Network(state, 4, 3, (4, 4), eps=1e-3, norms=norms))


def test_attention_without_biases_stays_so_in_the_encoder(save_mmseg, fill_state, compare, mmseg_shapes, mmseg_model):
    missing = ("in_proj_bias", "out_proj.bias")
    state = {name: value for name, value in fill_state(mmseg_shapes()).items() if not name.endswith(missing)}
    converted = convert_mmsegmentation(save_mmseg(state, beside=mmseg_model()))
    compare(converted, Network(state, 4, 3, (4, 4), eps=1e-3))
    assert converted.config["qkv_bias"] is False
    assert "paumer.encoder.layers.0.attention.q_proj.bias" not in converted.state_dict


def test_the_configuration_beside_the_weights_goes_before_that_inside(
    save_mmseg, fill_state, mmseg_shapes, mmseg_model
):
    state = fill_state(mmseg_shapes())
    other = {"model": mmseg_model(num_heads=8), "data_preprocessor": {"mean": [0, 0, 0], "std": [1, 1, 1]}}
    beside = {**mmseg_model(), "data_preprocessor": NORM_1}
    for inside in (config_text(**other), "no Python ("):
        converted = convert_mmsegmentation(save_mmseg(state, meta={"cfg": inside}, beside=beside))
        assert converted.config["num_attention_heads"] == 4
        assert converted.image_mean == pytest.approx((0.485, 0.456, 0.406))
        assert len(converted.notes) == 1


@pytest.mark.parametrize(
    "norm",
    [
        {"img_norm_cfg": {**NORM_0, "to_rgb": False}},
        {"data_preprocessor": {**NORM_1, "bgr_to_rgb": False}},
        {"data_preprocessor": {**NORM_1, "bgr_to_rgb": None}},
    ],
)
def test_a_network_for_bgr_is_turned_to_rgb(norm, save_mmseg, fill_state, compare, mmseg_shapes, mmseg_model):
    state = fill_state(mmseg_shapes())
    converted = convert_mmsegmentation(save_mmseg(state, meta={"cfg": config_text(model=mmseg_model(), **norm)}))
    assert converted.image_mean == pytest.approx((0.406, 0.456, 0.485))
    assert converted.image_std == pytest.approx((0.225, 0.224, 0.229))
    assert any("BGR" in note for note in converted.notes)
    network = Network(state, 4, 3, (4, 4), eps=1e-3)
    compare(converted, lambda images: network(images[:, [2, 1, 0]]))


@pytest.mark.parametrize(
    "norm",
    [
        {"img_norm_cfg": {**NORM_0, "to_rgb": None}},
        {"data_preprocessor": {**NORM_1, "bgr_to_rgb": False, "rgb_to_bgr": True}},
        {"data_preprocessor": {"mean": NORM_1["mean"], "std": NORM_1["std"]}},
    ],
)
def test_a_network_for_rgb_stays_so(norm, save_mmseg, fill_state, mmseg_shapes, mmseg_model):
    source = save_mmseg(fill_state(mmseg_shapes()), meta={"cfg": config_text(model=mmseg_model(), **norm)})
    converted = convert_mmsegmentation(source)
    assert converted.image_mean == pytest.approx((0.485, 0.456, 0.406))
    assert not any("BGR" in note for note in converted.notes)


def test_idle_weights_are_unused(save_mmseg, fill_state, mmseg_shapes, mmseg_model):
    state = fill_state(mmseg_shapes())
    idle = ["decode_head.conv_seg.weight", "decode_head.conv_seg.bias", "auxiliary_head.0.convs.0.conv.weight"]
    converted = convert_mmsegmentation(save_mmseg(state | dict.fromkeys(idle, torch.zeros(3)), beside=mmseg_model()))
    assert converted.unused == idle


def test_a_backbone_alone_gives_no_decoder(save_mmseg, fill_state, mmseg_shapes, mmseg_model):
    state = {name: value for name, value in fill_state(mmseg_shapes()).items() if name.startswith("backbone.")}
    converted = convert_mmsegmentation(save_mmseg(state, meta={"CLASSES": NAMES}, beside=mmseg_model()))
    assert not converted.has_decoder
    assert not {"num_labels", "decoder_type"} & set(converted.config)
    assert len(converted.notes) == 2


def test_a_meta_that_holds_nothing_is_none(save_mmseg, fill_state, mmseg_shapes, mmseg_model):
    source = save_mmseg(fill_state(mmseg_shapes()), meta="written by hand", beside=mmseg_model())
    assert convert_mmsegmentation(source).id2label is None


@pytest.mark.parametrize("names", [NAMES[:4], "roads", [1, 2, 3, 4, 5]])
def test_names_that_do_not_fit_are_left_out_with_a_note(names, save_mmseg, fill_state, mmseg_shapes, mmseg_model):
    converted = convert_mmsegmentation(
        save_mmseg(fill_state(mmseg_shapes()), meta={"CLASSES": names}, beside=mmseg_model())
    )
    assert converted.id2label is None
    assert "names of the classes" in converted.notes[-1]


def test_agrees_with_outputs_of_the_original_code(parity_folder, run_converted):
    folder = parity_folder("mmseg_segmenter_vit_mask")
    converted = convert_mmsegmentation(read_source(folder / "checkpoint.pth"))
    expected = load_file(folder / "expected.safetensors")
    for size in ("train_size", "other_size"):
        tokens, logits, _ = run_converted(converted, expected[f"{size}.pixel_values"])
        features = tokens[:, 1:].mT.unflatten(2, logits.shape[-2:])
        torch.testing.assert_close(features, expected[f"{size}.encoder_features"], atol=1e-4, rtol=0)
        torch.testing.assert_close(logits, expected[f"{size}.mask_logits"], atol=1e-4, rtol=0)
    assert converted.id2label == {index: f"class{index}" for index in range(5)}
