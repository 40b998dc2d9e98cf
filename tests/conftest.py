# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Fixtures for all tests: a tiny architecture, a model of it with weights that matter, images and data sets for it."""

import gc
import io
import os
import zipfile


# Before the libraries that read them are imported. What a user has set stays.
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a model that is nowhere is not looked for on the Hub
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny tensors gain nothing from a second thread

import numpy as np
import pytest
import torch
from PIL import Image

from paumer_hf import PaumerConfig, PaumerForSemanticSegmentation


# The encoders of other origins, as what differs from `tiny_config`.
ENCODER_FIELDS = {
    "distilled": {"use_distillation_token": True, "qkv_bias": False},
    "layer_scale_registers": {
        "layer_scale_init_value": 0.1,
        "num_register_tokens": 3,
        "num_prefix_position_embeddings": 1,
        "position_interpolation_mode": "bicubic",
        "position_interpolation_antialias": True,
    },
    "patch_positions_only": {"num_register_tokens": 2, "num_prefix_position_embeddings": 0},
    "dinov3": {
        "position_embedding_type": "rotary",
        "num_register_tokens": 2,
        "key_bias": False,
        "layer_scale_init_value": 1.0,
        "use_gated_mlp": True,
        "hidden_act": "silu",
        "layer_norm_eps": 1e-5,
        "decoder_layer_norm_eps": 1e-3,
    },
}


def pytest_collection_finish():
    """Look for garbage among what tests make only, not among the half million objects of the imported libraries."""
    gc.collect()
    gc.freeze()


@pytest.fixture(params=ENCODER_FIELDS)
def encoder_fields(request):
    """The fields of `PaumerConfig` that give the encoder of another origin."""
    return dict(ENCODER_FIELDS[request.param])


@pytest.fixture(autouse=True)
def seeded():
    """Every test starts from the same random numbers, whichever ran before it."""
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def no_git():
    """Results name no commit: to ask git for it takes longer than most of what is measured here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("paumer_hf.evaluation.results._git_state", lambda: None)
        yield


@pytest.fixture
def two_threads():
    """Torch computes with two threads: a number that what sets or records it can be told by."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def make_tiny_config():
    """A function from fields that differ to the tiny configuration with them."""
    return _tiny_config


@pytest.fixture
def tiny_config():
    """Four layers, 5 x 6 patches of 8 pixels, three classes, no dropout: training mode computes what eval mode does.

    No two sizes are equal, so that a mistaken one fails.
    """
    return _tiny_config()


def _tiny_config(**fields):
    tiny = {
        "hidden_size": 32,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "image_size": (40, 48),
        "patch_size": 8,
        "decoder_num_hidden_layers": 1,
        "decoder_hidden_size": 24,
        "decoder_num_attention_heads": 2,
        "decoder_intermediate_size": 40,
        "decoder_dropout_prob": 0.0,
        "id2label": {0: "road", 1: "tree", 2: "sky"},
    }
    return PaumerConfig(**{**tiny, **fields})


@pytest.fixture(scope="session")
def make_model():
    """A function from a configuration to a model in eval mode, all of whose parameters differ from trivial values."""

    def make(config, model_class=PaumerForSemanticSegmentation):
        model = model_class(config).eval()
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                noise = torch.randn(parameter.shape, generator=generator)
                is_scale = "layernorm" in name and name.endswith("weight")
                parameter.copy_(1 + 0.2 * noise if is_scale else 0.2 * noise)
        return model

    return make


@pytest.fixture
def tiny_model(tiny_config, make_model):
    """A PaumerForSemanticSegmentation of `tiny_config`."""
    return make_model(tiny_config)


@pytest.fixture
def tiny_images():
    """Three images of the size of `tiny_config`, (3, 3, 40, 48)."""
    return torch.randn(3, 3, 40, 48, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="session")
def make_cityscapes_release():
    """A function that writes a tiny Cityscapes as it is released, and returns the paths of its archives or folder."""
    return _write_cityscapes


@pytest.fixture(scope="session")
def make_ade20k_release():
    """A function that writes a tiny ADE20K as it is released, and returns the path of its archive or folder."""
    return _write_ade20k


CITIES = {"train": ("aachen", "bochum"), "val": ("frankfurt", "lindau"), "test": ("berlin",)}


def _write_cityscapes(folder, *, zipped=True, train=3, val=2, test=1, size=(32, 64), changes=None):
    images, labels = {"README": b"Images."}, {"README": b"Labels.", "license.txt": b"Terms."}
    for split, count in (("train", train), ("val", val), ("test", test)):
        for index in range(count):
            city = CITIES[split][index % len(CITIES[split])]
            stem = f"{split}/{city}/{city}_{index:06d}_000019"
            # Label 34 is none: what is stored as 255 is the licence plate, -1.
            raw = _bands(size, 35, index)
            raw[raw == 34] = 255
            images[f"leftImg8bit/{stem}_leftImg8bit.png"] = _encode(_paint(raw), "PNG")
            labels[f"gtFine/{stem}_gtFine_labelIds.png"] = _encode(raw, "PNG")
            labels[f"gtFine/{stem}_gtFine_color.png"] = _encode(_paint(raw), "PNG")
            labels[f"gtFine/{stem}_gtFine_instanceIds.png"] = _encode(raw.astype(np.uint16), "PNG")
            labels[f"gtFine/{stem}_gtFine_polygons.json"] = b"{}"
    parts = {"leftImg8bit_trainvaltest.zip": images, "gtFine_trainvaltest.zip": labels}
    return _write_release(folder, parts, changes or {}, zipped)


def _write_ade20k(folder, *, zipped=True, train=3, validation=2, size=(32, 48), changes=None):
    top = "ADEChallengeData2016"
    members = {f"{top}/objectInfo150.txt": b"Idx\tName", f"{top}/sceneCategories.txt": b""}
    for split, short, count in (("training", "train", train), ("validation", "val", validation)):
        for index in range(count):
            raw = _bands(size, 151, index)
            image = _paint(raw)
            name = f"{split}/ADE_{short}_{index + 1:08d}"
            # Some of the photographs are grey.
            members[f"{top}/images/{name}.jpg"] = _encode(image[..., 0] if index == 1 else image, "JPEG")
            members[f"{top}/annotations/{name}.png"] = _encode(raw, "PNG")
    return _write_release(folder, {f"{top}.zip": members}, changes or {}, zipped)


def _write_release(folder, parts, changes, zipped):
    """Write each part as an archive, or all into one folder; `changes` replaces members, None removes one."""
    folder.mkdir(parents=True, exist_ok=True)
    extra = {name: content for name, content in changes.items() if not any(name in part for part in parts.values())}
    parts = {archive: {**part, **extra} if place == 0 else part for place, (archive, part) in enumerate(parts.items())}
    for archive, members in parts.items():
        kept = {name: changes.get(name, content) for name, content in members.items()}
        kept = {name: content for name, content in kept.items() if content is not None}
        if zipped:
            with zipfile.ZipFile(folder / archive, "w", zipfile.ZIP_DEFLATED) as file:
                for name, content in kept.items():
                    file.writestr(name, content)
            continue
        for name, content in kept.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
    return [folder / archive for archive in parts] if zipped else [folder]


def _bands(size, number, shift):
    """Label maps with every value from 0 to `number` - 1, in bands that begin at `shift`."""
    pixels = size[0] * size[1]
    return ((np.arange(pixels) * number // pixels + shift) % number).astype(np.uint8).reshape(size)


def _paint(raw):
    """An image whose colours depend on the labels."""
    noise = np.random.default_rng(int(raw[0, 0])).integers(0, 16, (*raw.shape, 3))
    return ((raw[..., None].astype(int) * (7, 29, 53) + noise) % 256).astype(np.uint8)


def _encode(array, form):
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, form)
    return stream.getvalue()
