# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Exported tiny models: an export takes seconds, so that each is made once."""

import pytest

from paumer_hf import PaumerImageProcessor, PauseConfig


FAST = PauseConfig({1: 0.4, 3: 0.5})


@pytest.fixture
def make_calm_config(make_tiny_config):
    """A function as `make_tiny_config`: to tiny configurations whose masks are not normalised so that rounding grows.

    The deviation of three classes can be almost nothing, and dividing by it makes differences in the last digit large.
    """

    def make(**fields):
        return make_tiny_config(**{**fields, "decoder_layer_norm_eps": 1e-3})

    return make


@pytest.fixture
def model(make_calm_config, make_model):
    """A tiny model with the preset "fast"."""
    model = make_model(make_calm_config())
    model.pause_presets = {"fast": FAST}
    return model


@pytest.fixture
def processor():
    """An image processor whose normalisation is not the default."""
    return PaumerImageProcessor(size_divisor=8, image_mean=(0.1, 0.2, 0.3), image_std=(0.5, 0.6, 0.7))


@pytest.fixture(scope="session")
def exported_files(tmp_path_factory):
    """The folder of the files that `exported` made."""
    return tmp_path_factory.mktemp("exported")


@pytest.fixture
def exported(model, processor, exported_files):
    """The preset "fast" of the tiny model with label maps, for 37 x 50 pixels, no multiple of the patch size."""
    pytest.importorskip("onnxruntime", reason="the extra `onnx` is not installed")
    pytest.importorskip("onnxscript", reason="the extra `onnx` is not installed")
    from paumer_hf.export import export_onnx

    path = exported_files / "fast.onnx"
    if not path.exists():
        export_onnx(model, path, "fast", (37, 50), processor, label_map=True)
    return path
