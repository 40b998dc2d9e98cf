# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""PAUMER models as ONNX files; needs onnx, onnxscript and onnxruntime, which the extra `onnx` installs."""

import importlib.metadata
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from paumer_hf import PaumerForSemanticSegmentation, PaumerImageProcessor, PauseConfig
from paumer_hf.export.export_check import LOGIT_TOLERANCE, CheckReport, check_export
from paumer_hf.export.fixed_module import FixedPaumer, exporting, fix_settings
from paumer_hf.export.metadata import write_metadata
from paumer_hf.export.onnx_paumer import OnnxPaumer
from paumer_hf.export.output_path import check_output_path


OPSET = 20
"""The version of ONNX's operators, the first with Gelu as one operator."""

# A file of ONNX holds no more than 2 GiB; what is not weights takes some of it.
MAX_ONE_FILE = 2**31 - 2**26


def export_onnx(
    model: PaumerForSemanticSegmentation,
    path: str | os.PathLike,
    pause_config: PauseConfig | Mapping | str | None = None,
    image_size: Sequence[int] | None = None,
    processor: PaumerImageProcessor | None = None,
    label_map: bool = False,
    *,
    tolerance: float = LOGIT_TOLERANCE,
) -> CheckReport:
    """Write a model as an ONNX file that takes any number of images of one size, under one pause configuration.

    The graph computes in float32. Input `pixel_values`, (batch, channels, height, width); outputs `logits`, (batch,
    classes, rows, columns), and if it is asked for `label_map`, (batch, height, width). The file is compared with
    PyTorch before it gets its name: where that fails, there is no file. `OnnxPaumer` runs it, and so does whatever
    reads ONNX; onnxruntime before 1.27 loses digits in layer normalisations of small variance.

    Args:
        model: The model; it is not changed.
        path: The file, which ends in `.onnx`. One of this name is replaced. Weights beyond 2 GiB, which no such file
            can hold, go to a file beside it with `.data` behind its name.
        pause_config: A `PauseConfig`, a mapping from layer to ratio, or a word as on command lines: "dense", the name
            of a preset, "default" or layers with ratios such as "3:0.4,5:0.4". None is the model's default.
        image_size: (height, width); None is the size that the model was trained for.
        processor: The image processor, whose normalisation the metadata say then.
        label_map: Whether the graph also returns the class of each pixel: uint8 up to 256 classes, otherwise int64.
        tolerance: By how much logits may differ from PyTorch's.

    Returns:
        By how much the file and PyTorch differ.

    Raises:
        ImportError: If onnx, onnxscript or onnxruntime is not installed.
        OSError: If the file cannot be written; most reasons are found before the export begins.
        ValueError: If the path, the pause configuration or the size is refused; `ExportCheckError` if the file does
            not compute what PyTorch does.
    """
    versions = _import_exporter()
    path = check_output_path(path, ".onnx")
    module = FixedPaumer(model, fix_settings(model, pause_config, image_size, label_map))
    graph = _make_graph(module)
    for name, text in write_metadata(model, module.settings, processor, versions).items():
        graph.metadata_props.add(key=name, value=text)
    path.parent.mkdir(parents=True, exist_ok=True)
    # A folder, as there may be two files, of which one names the other.
    with tempfile.TemporaryDirectory(prefix=f".{path.stem}.", dir=path.parent) as folder:
        temporary = Path(folder) / path.name
        _save(graph, temporary)
        exported = OnnxPaumer(temporary)
        report = check_export(module, exported.run, tolerance)
        for file in sorted(Path(folder).iterdir(), key=lambda file: file == temporary):
            os.replace(file, path.with_name(file.name))
    return report


def _import_exporter() -> dict[str, str]:
    """The versions of what makes the file."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"Exporting to ONNX needs {error.name}. Install it with: pip install 'paumer_hf[onnx]'"
        ) from error
    return {name: importlib.metadata.version(name) for name in ("onnx", "onnxscript")}


def _make_graph(module: FixedPaumer) -> Any:
    """The graph as onnx's `ModelProto`."""
    with exporting():
        program = torch.onnx.export(
            module,
            (module.example(),),
            dynamo=True,
            opset_version=OPSET,
            input_names=["pixel_values"],
            output_names=module.output_names,
            dynamic_shapes=({0: "batch"},),
            custom_translation_table={torch.ops.aten.sort.stable: _stable_sort()},
            verbose=False,
        )
    assert program is not None
    graph = program.model_proto
    _clear_notes(graph)
    return graph


def _stable_sort() -> Callable:
    """A translation of torch's stable sort, for which torch.onnx has none."""
    from onnxscript import opset20 as operators

    def sort(tensor: Any, stable: bool | None = None, dim: int = -1, descending: bool = False) -> Any:
        # ONNX says of TopK that of equal values the one of lower index comes first: of all values it is a stable sort.
        count = operators.Gather(operators.Shape(tensor), operators.Constant(value_ints=[dim]), axis=0)
        return operators.TopK(tensor, count, axis=dim, largest=int(descending), sorted=1)

    return sort


def _clear_notes(graph: Any) -> None:
    """Remove what torch notes at nodes and values, such as lines of source code with the paths of files."""
    inner = graph.graph
    for nodes in (inner.node, inner.value_info, inner.input, inner.output, inner.initializer):
        for node in nodes:
            node.ClearField("metadata_props")
            node.ClearField("doc_string")
    inner.ClearField("metadata_props")


def _save(graph: Any, path: Path) -> None:
    import onnx

    size = sum(len(weights.raw_data) for weights in graph.graph.initializer)
    if size <= MAX_ONE_FILE:
        onnx.save_model(graph, path)
    else:
        onnx.save_model(graph, path, save_as_external_data=True, location=f"{path.name}.data")


__all__ = ["MAX_ONE_FILE", "OPSET", "export_onnx"]
