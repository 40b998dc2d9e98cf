# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
from PIL import Image

from paumer_hf.export import OnnxPaumer, onnx_benchmark
from paumer_hf.export.onnx_benchmark import benchmark_onnx, format_onnx_table


pytest.importorskip("onnx", reason="the extra `onnx` is not installed")
pytest.importorskip("onnxruntime", reason="the extra `onnx` is not installed")


@pytest.fixture
def images():
    generator = np.random.default_rng(5)
    return [Image.fromarray(generator.integers(0, 256, (50, 60, 3), dtype=np.uint8)) for _ in range(3)]


@pytest.fixture
def exported_once(monkeypatch, exported):
    """Takes the file of the fixture instead of exporting anew."""

    def export(model, path, *arguments):
        path.write_bytes(exported.read_bytes())

    monkeypatch.setattr(onnx_benchmark, "export_onnx", export)


def test_measures_both_on_all_images(model, processor, images, exported_once, two_threads):
    measured = benchmark_onnx(model, processor, iter(images), ["fast"], (37, 50), num_threads=1)
    assert torch.get_num_threads() == 2
    (row,) = measured["results"]
    assert (row["pause_config"], row["pause_preset"], row["num_images"]) == ("1:0.4,3:0.5", "fast", 3)
    assert 0 < row["largest_logit_difference"] < 1e-4
    assert row["equal_label_share"] == 1 - row["num_different_labels"] / (3 * 37 * 50)
    assert row["num_label_differences_beyond_ties"] == 0
    assert row["speedup_over_pytorch"] > 0
    assert row["file_bytes"] > 10_000
    conditions = measured["conditions"]
    assert conditions["num_threads"] == 1
    assert conditions["image_size"] == [37, 50]
    assert {"onnxruntime", "opset", "torch", "versions_of_export", "environment"} < set(conditions)
    table = format_onnx_table(measured["results"]).splitlines()
    assert len(table) == 3
    assert len({len(line) for line in table}) == 1
    assert table[2].startswith("| 1:0.4,3:0.5")


def test_differences_are_found(model, processor, images, exported_once, monkeypatch):
    """A file that computes something else: of each image, one row of patches with the classes shifted."""
    run = OnnxPaumer.run

    def differ(self, pixel_values):
        logits = run(self, pixel_values)["logits"].clone()
        logits[:, :, 0] = logits[:, :, 0].roll(1, dims=1)
        return {"logits": logits}

    monkeypatch.setattr(OnnxPaumer, "run", differ)
    (row,) = benchmark_onnx(model, processor, images, ["fast"], (37, 50))["results"]
    assert row["largest_logit_difference"] > 0.1
    assert 0.5 < row["equal_label_share"] < 1 - 3 * 50 / (3 * 37 * 50)
    assert row["num_different_labels"] > 3 * 50


def test_needs_images(model, processor, exported_once):
    with pytest.raises(ValueError, match="`images` and `pause_configs` must not be empty"):
        benchmark_onnx(model, processor, [], ["fast"], (37, 50))
    with pytest.raises(ValueError, match="`images` and `pause_configs` must not be empty"):
        benchmark_onnx(model, processor, [], [], (37, 50))
