# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import json
import sys

import numpy as np
import pytest
import torch

from paumer_hf import PauseConfig
from paumer_hf.export import OnnxPaumer, export_onnx, onnx_export
from paumer_hf.export.export_check import ExportCheckError


onnx = pytest.importorskip("onnx", reason="the extra `onnx` is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="the extra `onnx` is not installed")
pytest.importorskip("onnxscript", reason="the extra `onnx` is not installed")

SIZE = (37, 50)


def test_file_tells_what_it_is_to_others(exported):
    """With onnx and onnxruntime alone."""
    graph = onnx.load(exported)
    onnx.checker.check_model(graph, full_check=True)
    assert [(opset.domain, opset.version) for opset in graph.opset_import] == [("", onnx_export.OPSET)]
    # That of the label map; position embeddings are not interpolated at every call.
    assert [node.op_type for node in graph.graph.node].count("Resize") == 1
    metadata = {entry.key: json.loads(entry.value) for entry in graph.metadata_props}
    session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
    assert {n: json.loads(text) for n, text in session.get_modelmeta().custom_metadata_map.items()} == metadata
    assert metadata["paumer_hf.pause_preset"] == "fast"
    assert metadata["paumer_hf.pause_config"]["pause_ratios"] == {"1": 0.4, "3": 0.5}
    assert metadata["paumer_hf.image_processor"]["image_std"] == [0.5, 0.6, 0.7]
    assert {"torch", "onnx", "onnxscript", "paumer_hf"} < set(metadata["paumer_hf.versions"])
    inputs, outputs = session.get_inputs(), session.get_outputs()
    assert [(value.name, value.type, value.shape) for value in inputs + outputs] == [
        ("pixel_values", "tensor(float)", ["batch", 3, 37, 50]),
        ("logits", "tensor(float)", ["batch", 3, 5, 7]),
        ("label_map", "tensor(uint8)", ["batch", 37, 50]),
    ]
    found = session.run(["logits"], {"pixel_values": np.zeros((4, 3, 37, 50), dtype=np.float32)})[0]
    assert found.shape == (4, 3, 5, 7)


def test_file_has_no_traces_of_the_machine(exported):
    assert list(exported.parent.iterdir()) == [exported]
    contents = exported.read_bytes()
    for trace in (b"stack_trace", b".py", str(exported.parent).encode()):
        assert trace not in contents


def _graph_of(path):
    """The graph of a file, before its metadata were added."""
    graph = onnx.load(path)
    graph.ClearField("metadata_props")
    return graph


def test_failed_check_leaves_nothing(model, exported, tmp_path, monkeypatch):
    def differ(self, pixel_values):
        return {**run(self, pixel_values), "logits": run(self, pixel_values)["logits"] + 0.5}

    monkeypatch.setattr(onnx_export, "_make_graph", lambda module: _graph_of(exported))

    run = OnnxPaumer.run
    target = tmp_path / "new" / "model.onnx"
    monkeypatch.setattr(OnnxPaumer, "run", differ)
    with pytest.raises(ExportCheckError, match=r"differ by 0\.5 for a batch of 1 images"):
        export_onnx(model, target, "fast", SIZE, label_map=True)
    assert list(target.parent.iterdir()) == []
    target.write_text("before")
    with pytest.raises(ExportCheckError):
        export_onnx(model, target, "fast", SIZE, label_map=True)
    assert target.read_text() == "before"
    export_onnx(model, target, "fast", SIZE, label_map=True, tolerance=0.6)
    assert OnnxPaumer(target).pause_preset == "fast"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.slow
def test_a_sort_that_is_not_ours_is_noticed(model, tmp_path, monkeypatch):
    """The check sees that the patches of highest entropy pause instead of those of lowest."""
    from onnxscript import opset20 as operators

    def sort(tensor, stable=None, dim=-1, descending=False):
        count = operators.Gather(operators.Shape(tensor), operators.Constant(value_ints=[dim]), axis=0)
        return operators.TopK(tensor, count, axis=dim, largest=1, sorted=1)

    monkeypatch.setattr(onnx_export, "_stable_sort", lambda: sort)
    with pytest.raises(ExportCheckError, match="The logits of the export and of PyTorch differ by"):
        export_onnx(model, tmp_path / "model.onnx", {1: 0.4}, SIZE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("element_type", ["float32", "int64"])
@pytest.mark.parametrize("descending", [False, True])
def test_sort_is_stable(element_type, descending):
    """Many equal values: onnxruntime must keep their order as torch does."""
    from onnx import TensorProto, helper

    kind = TensorProto.FLOAT if element_type == "float32" else TensorProto.INT64
    topk = helper.make_node("TopK", ["x", "k"], ["values", "indices"], axis=1, largest=int(descending), sorted=1)
    graph = helper.make_graph(
        [topk],
        "sort",
        [helper.make_tensor_value_info("x", kind, [2, 500])],
        [helper.make_tensor_value_info("indices", TensorProto.INT64, [2, 500])],
        [helper.make_tensor("k", TensorProto.INT64, [1], [500])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", onnx_export.OPSET)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    values = torch.randint(0, 9, (2, 500)).to(getattr(torch, element_type))
    expected = values.sort(dim=1, stable=True, descending=descending).indices
    assert session.run(None, {"x": values.numpy()})[0].tolist() == expected.tolist()


def _differs_little(model, path, pause_config, size=SIZE, batch_size=3):
    """The file and the model, on images that the check did not see."""
    pixel_values = torch.randn(batch_size, 3, *size, generator=torch.Generator().manual_seed(7))
    with torch.inference_mode():
        expected = model(pixel_values, pause_config=pause_config).logits
    return float((OnnxPaumer(path)(pixel_values).logits - expected).abs().max()) < 1e-4


@pytest.mark.slow
def test_encoders_of_other_origins(make_calm_config, encoder_fields, make_model, tmp_path):
    model = make_model(make_calm_config(**encoder_fields))
    export_onnx(model, tmp_path / "model.onnx", {1: 0.4, 3: 0.5}, SIZE)
    assert _differs_little(model, tmp_path / "model.onnx", {1: 0.4, 3: 0.5})


@pytest.mark.slow
@pytest.mark.parametrize("decoder_type", ["mask_transformer", "linear"])
@pytest.mark.parametrize(
    "pause_config",
    [PauseConfig(), PauseConfig({1: 0.3, 2: 0.3, 3: 0.3}), PauseConfig({1: 0.4, 3: 0.5}, criterion="random", seed=5)],
    ids=["dense", "three_layers", "random"],
)
def test_decoders_and_pause_configurations(make_calm_config, make_model, tmp_path, decoder_type, pause_config):
    model = make_model(make_calm_config(decoder_type=decoder_type))
    report = export_onnx(model, tmp_path / "model.onnx", pause_config, SIZE, label_map=True)
    assert report.largest_logit_difference < 1e-4
    assert report.num_pixels == report.num_images * 37 * 50
    for batch_size in (1, 2, 5):
        assert _differs_little(model, tmp_path / "model.onnx", pause_config, batch_size=batch_size)
    assert OnnxPaumer(tmp_path / "model.onnx").pause_config == pause_config


@pytest.mark.slow
def test_many_classes_and_weights_beside_the_file(make_calm_config, make_model, tmp_path, monkeypatch):
    """As for weights of more than 2 GiB: the second file has a name that the first finds wherever both are moved."""
    monkeypatch.setattr(onnx_export, "MAX_ONE_FILE", 0)
    model = make_model(make_calm_config(id2label={label: str(label) for label in range(300)}))
    export_onnx(model, tmp_path / "model.onnx", "dense", label_map=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "model.onnx.data"]
    moved = tmp_path.rename(tmp_path.with_name("moved"))
    outputs = OnnxPaumer(moved / "model.onnx")(torch.randn(1, 3, 40, 48))
    assert outputs.label_map.dtype == torch.int64
    assert _differs_little(model, moved / "model.onnx", PauseConfig(), (40, 48))


def test_refusals(model, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"`path` must end in \.onnx"):
        export_onnx(model, tmp_path / "model.pt")
    with pytest.raises(ValueError, match="without a seed"):
        export_onnx(model, tmp_path / "model.onnx", PauseConfig({1: 0.4}, criterion="random"))
    for library in ("onnx", "onnxscript", "onnxruntime"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, library, None)
            with pytest.raises(
                ImportError, match=rf"needs {library}\. Install it with: pip install 'paumer_hf\[onnx\]"
            ):
                export_onnx(model, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []
