# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import shutil
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from paumer_hf import PauseConfig
from paumer_hf.export import OnnxPaumer


onnx = pytest.importorskip("onnx", reason="the extra `onnx` is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="the extra `onnx` is not installed")


@pytest.fixture
def images():
    """Two images of other sizes than the model's."""
    generator = np.random.default_rng(3)
    return [Image.fromarray(generator.integers(0, 256, (*size, 3), dtype=np.uint8)) for size in ((30, 90), (80, 45))]


def test_attributes(exported, model):
    found = OnnxPaumer.from_pretrained(exported)
    assert found.pause_config == PauseConfig({1: 0.4, 3: 0.5})
    assert found.pause_preset == "fast"
    assert found.id2label == {0: "road", 1: "tree", 2: "sky"}
    assert (found.image_size, found.patch_size) == ((37, 50), 8)


@pytest.mark.parametrize("tensors", ["pt", "np", None])
def test_is_used_as_the_model_is(exported, model, images, tensors):
    """From images to label maps of their own sizes; the image processor treats the outputs as PyTorch's."""
    found = OnnxPaumer.from_pretrained(exported.parent, num_threads=1)
    outputs = found(**found.processor(images, return_tensors=tensors))
    pixel_values = found.processor(images, return_tensors="pt").pixel_values
    with torch.inference_mode():
        expected = model(pixel_values, pause_config="fast")
    torch.testing.assert_close(outputs.logits, expected.logits, rtol=0, atol=1e-4)
    sizes = [(30, 90), (80, 45)]
    maps = found.processor.post_process_semantic_segmentation(outputs, target_sizes=sizes)
    assert [tuple(label_map.shape) for label_map in maps] == sizes
    for label_map, other in zip(
        maps, found.processor.post_process_semantic_segmentation(expected, target_sizes=sizes), strict=True
    ):
        assert label_map.equal(other)
    fixed = found.processor.post_process_semantic_segmentation(expected, target_sizes=[(37, 50)] * 2)
    assert outputs.label_map.long().equal(torch.stack(fixed))


@pytest.mark.parametrize("shape", [(1, 3, 40, 48), (3, 37, 50), (1, 1, 37, 50), (0, 3, 37, 50)])
def test_wrong_sizes_are_refused(exported, shape):
    message = r"`pixel_values` must have the shape \(batch, 3, 37, 50\) that fast.onnx takes, but has"
    with pytest.raises(ValueError, match=message):
        OnnxPaumer(exported)(torch.zeros(shape))


@pytest.mark.parametrize("kind", [list, tuple])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_lists_of_tensors_are_cast_as_one_tensor_is(exported, kind, dtype):
    found, images = OnnxPaumer(exported), torch.randn(2, 3, 37, 50).to(dtype)
    assert found(kind(images)).logits.equal(found(images).logits)
    assert found(kind(images.requires_grad_())).logits.equal(found(images).logits)


@pytest.mark.parametrize("num_threads", [0, -3, True, 1.5, "2"])
def test_numbers_of_threads_that_are_none_are_refused(exported, num_threads):
    message = rf"`num_threads` must be a whole number of at least 1, or None, but is {num_threads!r}\."
    with pytest.raises(ValueError, match=message):
        OnnxPaumer(exported, num_threads=num_threads)


@pytest.mark.parametrize(
    ("providers", "named"),
    [
        (["NoProvider", "CPUExecutionProvider"], "'NoProvider'"),
        (["CPUExecutionProvider", ("NoProvider", {})], "'NoProvider'"),
        ("NoProvider", "'NoProvider'"),
        ([], "none"),
    ],
)
def test_providers_that_are_not_there_are_refused(exported, providers, named):
    message = rf"`providers` must name .* onnxruntime has, \[.*'CPUExecutionProvider'.*\], but names {named}\."
    with pytest.raises(ValueError, match=message):
        OnnxPaumer(exported, providers=providers)


def test_providers_that_do_not_start_are_refused(exported, monkeypatch):
    """As where the package has one whose libraries are missing: onnxruntime warns, and takes the CPU."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["NoProvider", "CPUExecutionProvider"])
    with (
        pytest.warns(UserWarning, match="NoProvider"),
        pytest.raises(
            ValueError, match=r"that onnxruntime could start, \['CPUExecutionProvider'\], but names 'NoProv"
        ),
    ):
        OnnxPaumer(exported, providers=["NoProvider"])
    assert OnnxPaumer(exported, providers=[("CPUExecutionProvider", {})]).pause_preset == "fast"


def _without(exported, path, name):
    """The file without an entry of its metadata."""
    graph = onnx.load(exported)
    kept = {entry.key: entry.value for entry in graph.metadata_props if entry.key != name}
    graph.ClearField("metadata_props")
    for key, value in kept.items():
        graph.metadata_props.add(key=key, value=value)
    onnx.save_model(graph, path)


def test_processor_beside_the_file(exported, processor, images, tmp_path):
    _without(exported, tmp_path / "model.onnx", "paumer_hf.image_processor")
    found = OnnxPaumer.from_pretrained(tmp_path)
    with pytest.raises(ValueError, match="The export has no image processor"):
        _ = found.processor
    processor.save_pretrained(tmp_path)
    expected = OnnxPaumer(exported).processor(images, return_tensors="pt").pixel_values
    assert found.processor(images, return_tensors="pt").pixel_values.equal(expected)


def test_files_that_are_no_export_are_refused(exported, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"missing\.onnx does not exist"):
        OnnxPaumer.from_pretrained(tmp_path / "missing.onnx")
    with pytest.raises(FileNotFoundError, match=r"holds no file that ends in \.onnx"):
        OnnxPaumer.from_pretrained(tmp_path)
    (tmp_path / "text.onnx").write_text("no graph")
    with pytest.raises(ValueError, match=r"text\.onnx cannot be loaded as an ONNX file"):
        OnnxPaumer.from_pretrained(tmp_path / "text.onnx")
    _without(exported, tmp_path / "other.onnx", "paumer_hf.pause_config")
    with pytest.raises(ValueError, match=r"other\.onnx is no export of PAUMER.*'paumer_hf\.pause_config'"):
        OnnxPaumer.from_pretrained(tmp_path / "other.onnx")
    with pytest.raises(ValueError, match=r"holds several exports, \['other\.onnx', 'text\.onnx'\]\. Name one"):
        OnnxPaumer.from_pretrained(tmp_path)


def test_cut_file_is_refused(exported, tmp_path):
    shutil.copy(exported, tmp_path / "cut.onnx")
    with open(tmp_path / "cut.onnx", "r+b") as file:
        file.truncate(exported.stat().st_size // 2)
    with pytest.raises(ValueError, match=r"cut\.onnx cannot be loaded as an ONNX file"):
        OnnxPaumer(tmp_path / "cut.onnx")


def test_without_onnxruntime(exported, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r"OnnxPaumer needs onnxruntime\. Install it with: pip install 'paumer_hf\["):
        OnnxPaumer(exported)
