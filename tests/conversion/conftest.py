# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Fixtures for conversion: converted weights at work, random weights, and the networks that their origins computed."""

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from transformers import ViTConfig, ViTForImageClassification

from paumer_hf import PaumerConfig, PaumerForSemanticSegmentation
from paumer_hf.conversion.source_files import read_source


PARITY = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "parity"


def segmenter_layer_shapes(prefix, width, mlp):
    return {
        f"{prefix}.norm1.weight": (width,),
        f"{prefix}.norm1.bias": (width,),
        f"{prefix}.attn.qkv.weight": (3 * width, width),
        f"{prefix}.attn.qkv.bias": (3 * width,),
        f"{prefix}.attn.proj.weight": (width, width),
        f"{prefix}.attn.proj.bias": (width,),
        f"{prefix}.norm2.weight": (width,),
        f"{prefix}.norm2.bias": (width,),
        f"{prefix}.mlp.fc1.weight": (mlp, width),
        f"{prefix}.mlp.fc1.bias": (mlp,),
        f"{prefix}.mlp.fc2.weight": (width, mlp),
        f"{prefix}.mlp.fc2.bias": (width,),
    }


def segmenter_shapes_of(
    *, grid=(4, 4), patch=8, width=32, decoder="mask_transformer", decoder_layers=2, distilled=False
):
    shapes = {
        "encoder.cls_token": (1, 1, width),
        "encoder.pos_embed": (1, 1 + distilled + grid[0] * grid[1], width),
        "encoder.patch_embed.proj.weight": (width, 3, patch, patch),
        "encoder.patch_embed.proj.bias": (width,),
        "encoder.norm.weight": (width,),
        "encoder.norm.bias": (width,),
        "encoder.head.weight": (7, width),
        "encoder.head.bias": (7,),
    }
    if distilled:
        shapes |= {"encoder.dist_token": (1, 1, width), "encoder.head_dist.weight": (7, width)}
    for index in range(3):
        shapes |= segmenter_layer_shapes(f"encoder.blocks.{index}", width, 48)
    if decoder == "linear":
        return shapes | {"decoder.head.weight": (5, width), "decoder.head.bias": (5,)}
    for index in range(decoder_layers):
        shapes |= segmenter_layer_shapes(f"decoder.blocks.{index}", width, 56)
    return shapes | {
        "decoder.cls_emb": (1, 5, width),
        "decoder.proj_patch": (width, width),
        "decoder.proj_classes": (width, width),
        "decoder.proj_dec.weight": (width, width),
        "decoder.proj_dec.bias": (width,),
        "decoder.decoder_norm.weight": (width,),
        "decoder.decoder_norm.bias": (width,),
        "decoder.mask_norm.weight": (5,),
        "decoder.mask_norm.bias": (5,),
    }


class Segmenter:
    """The original network, from its own weights, in float64."""

    def __init__(self, state, heads, decoder_heads, grid):
        self.state = {name: tensor.double() for name, tensor in state.items()}
        self.heads, self.decoder_heads, self.grid = heads, decoder_heads, grid

    def linear(self, name, x):
        return F.linear(x, self.state[f"{name}.weight"], self.state.get(f"{name}.bias"))

    def norm(self, name, x):
        return F.layer_norm(x, x.shape[-1:], self.state[f"{name}.weight"], self.state[f"{name}.bias"], eps=1e-5)

    def block(self, name, x, heads):
        batch, tokens, width = x.shape
        qkv = self.linear(f"{name}.attn.qkv", self.norm(f"{name}.norm1", x))
        query, key, value = qkv.reshape(batch, tokens, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
        shares = (query @ key.transpose(-1, -2) * (width // heads) ** -0.5).softmax(-1)
        x = x + self.linear(f"{name}.attn.proj", (shares @ value).transpose(1, 2).reshape(batch, tokens, width))
        hidden = F.gelu(self.linear(f"{name}.mlp.fc1", self.norm(f"{name}.norm2", x)))
        return x + self.linear(f"{name}.mlp.fc2", hidden)

    def blocks(self, name, x, heads):
        index = 0
        while f"{name}.{index}.norm1.weight" in self.state:
            x = self.block(f"{name}.{index}", x, heads)
            index += 1
        return x

    def encode(self, images):
        projection = self.state["encoder.patch_embed.proj.weight"]
        patches = F.conv2d(
            images, projection, self.state.get("encoder.patch_embed.proj.bias"), stride=projection.shape[-1]
        )
        rows, columns = patches.shape[-2:]
        prefix = [
            self.state[f"encoder.{name}"] for name in ("cls_token", "dist_token") if f"encoder.{name}" in self.state
        ]
        num_prefix = len(prefix)
        x = torch.cat([*(token.expand(len(images), 1, -1) for token in prefix), patches.flatten(2).mT], dim=1)
        positions = self.state["encoder.pos_embed"]
        if (rows, columns) != self.grid:
            image = positions[:, num_prefix:].reshape(1, *self.grid, -1).permute(0, 3, 1, 2)
            image = F.interpolate(image, size=(rows, columns), mode="bilinear")
            positions = torch.cat([positions[:, :num_prefix], image.flatten(2).mT], dim=1)
        x = self.norm("encoder.norm", self.blocks("encoder.blocks", x + positions, self.heads))
        return x, x[:, num_prefix:], (rows, columns)

    def decode(self, x):
        if "decoder.head.weight" in self.state:
            return self.linear("decoder.head", x)
        classes = self.state["decoder.cls_emb"]
        x = torch.cat([self.linear("decoder.proj_dec", x), classes.expand(len(x), -1, -1)], dim=1)
        x = self.norm("decoder.decoder_norm", self.blocks("decoder.blocks", x, self.decoder_heads))
        number = classes.shape[1]
        patches, classes = (
            x[:, :-number] @ self.state["decoder.proj_patch"],
            x[:, -number:] @ self.state["decoder.proj_classes"],
        )
        patches, classes = (part / part.norm(dim=-1, keepdim=True) for part in (patches, classes))
        return self.norm("decoder.mask_norm", patches @ classes.mT)

    def __call__(self, images):
        height, width = images.shape[-2:]
        side = self.state["encoder.patch_embed.proj.weight"].shape[-1]
        padded = F.pad(images, (0, -width % side, 0, -height % side))
        tokens, patches, (rows, columns) = self.encode(padded)
        logits = self.decode(patches).mT.unflatten(2, (rows, columns))
        pixels = F.interpolate(logits, size=padded.shape[-2:], mode="bilinear")
        return tokens, logits, pixels[..., :height, :width]


def mmseg_layer_shapes(prefix, width, norms=("ln1", "ln2")):
    before, after = norms
    return {
        f"{prefix}.{before}.weight": (width,),
        f"{prefix}.{before}.bias": (width,),
        f"{prefix}.attn.attn.in_proj_weight": (3 * width, width),
        f"{prefix}.attn.attn.in_proj_bias": (3 * width,),
        f"{prefix}.attn.attn.out_proj.weight": (width, width),
        f"{prefix}.attn.attn.out_proj.bias": (width,),
        f"{prefix}.{after}.weight": (width,),
        f"{prefix}.{after}.bias": (width,),
        f"{prefix}.ffn.layers.0.0.weight": (40, width),
        f"{prefix}.ffn.layers.0.0.bias": (40,),
        f"{prefix}.ffn.layers.1.weight": (width, 40),
        f"{prefix}.ffn.layers.1.bias": (width,),
    }


def mmseg_shapes_of(*, grid=(4, 4), patch=8, width=32, decoder="mask", bias=False, norms=("ln1", "ln2")):
    shapes = {
        "backbone.cls_token": (1, 1, width),
        "backbone.pos_embed": (1, 1 + grid[0] * grid[1], width),
        "backbone.patch_embed.projection.weight": (width, 3, patch, patch),
        f"backbone.{norms[0]}.weight": (width,),
        f"backbone.{norms[0]}.bias": (width,),
    }
    if bias:
        shapes["backbone.patch_embed.projection.bias"] = (width,)
    for index in range(3):
        shapes |= mmseg_layer_shapes(f"backbone.layers.{index}", width, norms)
    if decoder == "linear":
        return shapes | {
            "decode_head.conv_seg.weight": (5, width, 1, 1),
            "decode_head.conv_seg.bias": (5,),
        }
    inner = 24 if width == 32 else width
    for index in range(2):
        shapes |= mmseg_layer_shapes(f"decode_head.layers.{index}", inner, norms)
    return shapes | {
        "decode_head.cls_emb": (1, 5, inner),
        "decode_head.dec_proj.weight": (inner, width),
        "decode_head.dec_proj.bias": (inner,),
        "decode_head.decoder_norm.weight": (inner,),
        "decode_head.decoder_norm.bias": (inner,),
        "decode_head.patch_proj.weight": (inner, inner),
        "decode_head.classes_proj.weight": (inner, inner),
        "decode_head.mask_norm.weight": (5,),
        "decode_head.mask_norm.bias": (5,),
    }


def mmseg_model_of(*, grid=(4, 4), patch=8, decoder="mask", **backbone):
    head = {"type": "SegmenterMaskTransformerHead", "num_layers": 2, "num_heads": 3, "embed_dims": 24}
    return {
        "type": "EncoderDecoder",
        "backbone": {
            "type": "VisionTransformer",
            "img_size": (grid[0] * patch, grid[1] * patch),
            "patch_size": patch,
            "embed_dims": 32,
            "num_layers": 3,
            "num_heads": 4,
            "final_norm": True,
            "norm_cfg": {"type": "LN", "eps": 1e-3, "requires_grad": True},
            "with_cls_token": True,
            "interpolate_mode": "bicubic",
            **backbone,
        },
        "decode_head": {
            **({"type": "FCNHead", "num_convs": 0} if decoder == "linear" else head),
            "in_channels": 32,
            "num_classes": 5,
        },
    }


@pytest.fixture
def segmenter_shapes():
    """A function to the names and shapes of the weights of an original Segmenter with 5 classes."""
    return segmenter_shapes_of


@pytest.fixture
def segmenter():
    """A class whose objects compute what the original Segmenter computes."""
    return Segmenter


@pytest.fixture
def mmseg_shapes():
    """A function to the names and shapes of the weights of a Segmenter of mmsegmentation with 5 classes."""
    return mmseg_shapes_of


@pytest.fixture
def mmseg_model():
    """A function to the configuration of the model that `mmseg_shapes` describes."""
    return mmseg_model_of


@pytest.fixture
def save_mmseg(tmp_path):
    """A function that writes a checkpoint as mmsegmentation does, and reads it as a source."""

    def write(state, *, meta=None, beside=None):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        torch.save({"meta": meta or {}, "state_dict": state}, folder / "iter_160000.pth")
        if beside is not None:
            (folder / "model_config.json").write_text(json.dumps(beside))
        return read_source(folder / "iter_160000.pth")

    return write


@pytest.fixture
def run_converted():
    """A function from converted weights and images to last hidden states, logits and those of all pixels."""

    def run(converted, images):
        model = PaumerForSemanticSegmentation(PaumerConfig(**converted.config)).eval()
        missing, unexpected = model.load_state_dict(converted.state_dict, strict=False)
        assert set(missing) == {"paumer.auxiliary_head.weight", "paumer.auxiliary_head.bias"}
        assert not unexpected
        model = model.to(images.dtype)
        with torch.no_grad():
            logits = model(images).logits
            pixels = model.upsample_logits(logits, images.shape[-2:])
            return model.paumer(images).last_hidden_state, logits, pixels

    return run


@pytest.fixture
def fill_state():
    """A function from names and shapes to random weights, those of normalisations around one, all rather large."""

    def fill(shapes, norms=("norm", "ln")):
        generator = torch.Generator().manual_seed(2)
        state = {}
        for name, shape in shapes.items():
            noise = 0.3 * torch.randn(shape, generator=generator)
            is_scale = name.endswith("weight") and any(norm in name for norm in norms)
            state[name] = 1 + noise if is_scale else noise
        return state

    return fill


@pytest.fixture
def parity_folder():
    """A function from the name of a fixture with the outputs of the original code to its folder."""

    def find(name):
        if not (PARITY / name).is_dir():
            pytest.skip(f"{PARITY / name} is not there")
        return PARITY / name

    return find


@pytest.fixture
def vit():
    """A small ViT of transformers, every parameter of which matters."""
    config = ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, image_size=32, patch_size=8
    )
    model = ViTForImageClassification(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape))
    return model


@pytest.fixture
def source(vit, tmp_path):
    vit.save_pretrained(tmp_path / "vit")
    processor = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}
    (tmp_path / "vit" / "preprocessor_config.json").write_text(json.dumps(processor))
    return tmp_path / "vit"


@pytest.fixture
def same_features():
    """A function that compares the encoder of a model with that of a ViT of transformers at an image size."""

    def compare(model, vit, height=32, width=32):
        images = torch.randn(2, 3, height, width)
        with torch.no_grad():
            expected = vit.vit(images, interpolate_pos_encoding=True).last_hidden_state
            torch.testing.assert_close(model.paumer(images).last_hidden_state, expected, rtol=1e-4, atol=1e-4)

    return compare
