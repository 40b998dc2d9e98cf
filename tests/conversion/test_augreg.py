# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""ViTs with random weights in the layout of AugReg compute the same after conversion as a reference written here."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from paumer_hf import PaumerConfig, PaumerForSemanticSegmentation
from paumer_hf.conversion.augreg import convert_augreg
from paumer_hf.conversion.source_files import Source, read_source
from paumer_hf.conversion.source_weights import ConversionError


PARITY = Path(__file__).parents[3] / "shared" / "data" / "parity" / "augreg_npz"
WIDTH, HEADS, PATCH, DEPTH, INNER = 32, 4, 8, 2, 40


def make_tensors():
    """Random weights of a ViT for 4 x 4 patches under the names of AugReg."""
    shapes = {"cls": (1, 1, WIDTH), "Transformer/posembed_input/pos_embedding": (1, 17, WIDTH)}
    shapes |= {"embedding/kernel": (PATCH, PATCH, 3, WIDTH), "embedding/bias": (WIDTH,)}
    shapes |= {"head/kernel": (WIDTH, 7), "head/bias": (7,)}
    shapes |= {"pre_logits/kernel": (WIDTH, WIDTH), "pre_logits/bias": (WIDTH,)}
    norms = ["Transformer/encoder_norm"]
    for index in range(DEPTH):
        block = f"Transformer/encoderblock_{index}"
        attention, mlp = f"{block}/MultiHeadDotProductAttention_1", f"{block}/MlpBlock_3"
        for name in ("query", "key", "value"):
            shapes[f"{attention}/{name}/kernel"] = (WIDTH, HEADS, WIDTH // HEADS)
            shapes[f"{attention}/{name}/bias"] = (HEADS, WIDTH // HEADS)
        shapes |= {f"{attention}/out/kernel": (HEADS, WIDTH // HEADS, WIDTH), f"{attention}/out/bias": (WIDTH,)}
        shapes |= {f"{mlp}/Dense_0/kernel": (WIDTH, INNER), f"{mlp}/Dense_0/bias": (INNER,)}
        shapes |= {f"{mlp}/Dense_1/kernel": (INNER, WIDTH), f"{mlp}/Dense_1/bias": (WIDTH,)}
        norms += [f"{block}/LayerNorm_0", f"{block}/LayerNorm_2"]
    tensors = {name: 0.2 * torch.randn(shape) for name, shape in shapes.items()}
    for name in norms:
        tensors |= {f"{name}/scale": 1 + 0.2 * torch.randn(WIDTH), f"{name}/bias": 0.2 * torch.randn(WIDTH)}
    return tensors


def reference(tensors, pixels, side):
    """The normalised tokens of a batch of images, by the weights in the layout of AugReg, in plain operations."""

    def norm(name, x):
        return F.layer_norm(x, x.shape[-1:], tensors[f"{name}/scale"], tensors[f"{name}/bias"], 1e-6)

    kernel = tensors["embedding/kernel"]
    patch = kernel.shape[0]
    rows, columns = pixels.shape[-2] // patch, pixels.shape[-1] // patch
    cut = pixels.unflatten(3, (columns, patch)).unflatten(2, (rows, patch))
    x = torch.einsum("bcripj,ijcd->brpd", cut, kernel).flatten(1, 2) + tensors["embedding/bias"]
    positions = tensors["Transformer/posembed_input/pos_embedding"]
    image = positions[:, 1:].transpose(1, 2).unflatten(2, (side, side))
    image = F.interpolate(image, size=(rows, columns), mode="bilinear").flatten(2).transpose(1, 2)
    x = torch.cat([tensors["cls"].expand(len(x), -1, -1), x], dim=1) + torch.cat([positions[:, :1], image], dim=1)
    for index in range(sum(name.endswith("LayerNorm_0/scale") for name in tensors)):
        block = f"Transformer/encoderblock_{index}"
        attention, mlp = f"{block}/MultiHeadDotProductAttention_1", f"{block}/MlpBlock_3"
        y = norm(f"{block}/LayerNorm_0", x)
        q, k, v = (
            torch.einsum("bnd,dhe->bnhe", y, tensors[f"{attention}/{name}/kernel"])
            + tensors[f"{attention}/{name}/bias"]
            for name in ("query", "key", "value")
        )
        weights = (torch.einsum("bnhe,bmhe->bhnm", q, k) / q.shape[-1] ** 0.5).softmax(-1)
        y = torch.einsum("bhnm,bmhe->bnhe", weights, v)
        x = x + torch.einsum("bnhe,hed->bnd", y, tensors[f"{attention}/out/kernel"]) + tensors[f"{attention}/out/bias"]
        y = norm(f"{block}/LayerNorm_2", x) @ tensors[f"{mlp}/Dense_0/kernel"] + tensors[f"{mlp}/Dense_0/bias"]
        x = x + F.gelu(y) @ tensors[f"{mlp}/Dense_1/kernel"] + tensors[f"{mlp}/Dense_1/bias"]
    return norm("Transformer/encoder_norm", x)


def make_source(tensors):
    return Source("weights.npz", Path("weights.npz"), tensors, {}, None, None)


def tokens(converted, pixels):
    model = PaumerForSemanticSegmentation(PaumerConfig(**converted.config)).eval()
    missing, unexpected = model.load_state_dict(converted.state_dict, strict=False)
    assert not unexpected
    assert all(name.startswith(("decoder.", "paumer.auxiliary_head.")) for name in missing)
    with torch.no_grad():
        return model.paumer.to(pixels.dtype)(pixels).last_hidden_state


@pytest.mark.parametrize("size", [(32, 32), (48, 48), (24, 40), (16, 64)])
def test_the_tokens_are_those_of_the_original_at_every_size(size):
    tensors = make_tensors()
    pixels = torch.randn(2, 3, *size, dtype=torch.float64)
    expected = reference({name: tensor.double() for name, tensor in tensors.items()}, pixels, 4)
    torch.testing.assert_close(tokens(convert_augreg(make_source(tensors)), pixels), expected, atol=1e-8, rtol=0)


def test_the_weights_are_read_from_a_file(tmp_path):
    tensors = make_tensors()
    np.savez(tmp_path / "weights.npz", **{name: tensor.numpy() for name, tensor in tensors.items()})
    converted = convert_augreg(read_source(tmp_path / "weights.npz"))
    expected = convert_augreg(make_source(tensors))
    assert converted.config == expected.config
    assert all(torch.equal(tensor, expected.state_dict[name]) for name, tensor in converted.state_dict.items())


def test_features_of_the_original():
    if not PARITY.is_dir():
        pytest.skip(f"needs {PARITY}")
    expected = load_file(PARITY / "expected.safetensors")
    source = read_source(PARITY / "weights.npz")
    found = tokens(convert_augreg(source), expected["pixel_values"])
    torch.testing.assert_close(found, expected["features"], atol=1e-5, rtol=0)
    by_reference = reference(source.tensors, expected["pixel_values"], 8)
    torch.testing.assert_close(by_reference, expected["features"], atol=1e-5, rtol=0)


def test_what_the_shapes_do_not_say():
    tensors = make_tensors()
    converted = convert_augreg(make_source(tensors))
    assert (converted.image_mean, converted.image_std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert set(converted.unused) == {name for name in tensors if name.startswith(("head", "pre_logits"))}
    assert all(tensor.dtype == torch.float32 and tensor.is_contiguous() for tensor in converted.state_dict.values())
    key_bias = tensors["Transformer/encoderblock_1/MultiHeadDotProductAttention_1/key/bias"]
    # It changes no output: softmax does not see what is added to all keys.
    assert torch.equal(converted.state_dict["paumer.encoder.layers.1.attention.k_proj.bias"], key_bias.flatten())


QUERY = "Transformer/encoderblock_0/MultiHeadDotProductAttention_1/query/kernel"
POSITIONS = "Transformer/posembed_input/pos_embedding"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cls": None}, "'cls' is missing"),
        ({QUERY: None}, f"'{QUERY}' is missing"),
        ({QUERY: torch.zeros(32, 32)}, f"'{QUERY}' has the shape .* must have 3 dimensions"),
        ({QUERY: torch.zeros(32, 3, 10)}, "3 heads of 10 do not share the width 32"),
        ({QUERY: torch.zeros(32, 2, 16)}, r"'Transformer/encoderblock_0/.*/query/bias' has the shape \(4, 8\)"),
        (
            {"Transformer/encoder_norm/scale": torch.zeros(31)},
            r"'Transformer/encoder_norm/scale' has the shape \(31,\)",
        ),
        ({"Transformer/encoderblock_0/Adapter/kernel": torch.zeros(3)}, "no place for 1 of the weights, .*Adapter"),
        ({"conv_root/kernel": torch.zeros(7, 7, 3, 64)}, "this is a hybrid"),
        ({POSITIONS: torch.zeros(1, 16, 32)}, "16 positions are not those of .CLS. and a square grid"),
        ({"embedding/kernel": torch.zeros(8, 16, 3, 32)}, "patches of 8 x 16 pixels in 3 channels"),
        ({"embedding/kernel": torch.zeros(8, 8, 1, 32)}, "patches of 8 x 8 pixels in 1 channels"),
    ],
)
def test_weights_of_another_network_are_refused(change, message):
    tensors = {name: tensor for name, tensor in {**make_tensors(), **change}.items() if tensor is not None}
    with pytest.raises(ConversionError, match=message):
        convert_augreg(make_source(tensors))
