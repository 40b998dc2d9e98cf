# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""PAUMER models as programs of torch.export, which run in PyTorch without this package."""

import json
import os
from collections.abc import Mapping, Sequence

import torch

from paumer_hf import PaumerForSemanticSegmentation, PaumerImageProcessor, PauseConfig
from paumer_hf.export.export_check import LOGIT_TOLERANCE, CheckReport, check_export
from paumer_hf.export.fixed_module import FixedPaumer, exporting, fix_settings
from paumer_hf.export.metadata import write_metadata
from paumer_hf.export.output_path import check_output_path
from paumer_hf.files import atomic_path


METADATA_NAME = "paumer_hf.json"


def export_program(
    model: PaumerForSemanticSegmentation,
    path: str | os.PathLike,
    pause_config: PauseConfig | Mapping | str | None = None,
    image_size: Sequence[int] | None = None,
    processor: PaumerImageProcessor | None = None,
    label_map: bool = False,
    *,
    tolerance: float = LOGIT_TOLERANCE,
) -> CheckReport:
    """Write a model as a `.pt2` file that takes any number of images of one size, under one pause configuration.

    `torch.export.load(path).module()(pixel_values)` gives a dictionary with `logits` and, if it is asked for,
    `label_map`. The metadata are the extra file `paumer_hf.json` in it. The file is compared with PyTorch before it
    gets its name: where that fails, there is no file.

    `torch.export.load` unpickles parts of what it reads, and a pickle can run any code: load only files whose origin
    you trust. An ONNX file holds no code.

    Args:
        model: The model; it is not changed.
        path: The file, which ends in `.pt2`. One of this name is replaced.
        pause_config: As in `export_onnx`.
        image_size: (height, width); None is the size that the model was trained for.
        processor: The image processor, whose normalisation the metadata say then.
        label_map: Whether the program also returns the class of each pixel.
        tolerance: By how much logits may differ from PyTorch's.

    Returns:
        By how much the file and PyTorch differ.

    Raises:
        OSError: If the file cannot be written; most reasons are found before the export begins.
        ValueError: If the path, the pause configuration or the size is refused; `ExportCheckError` if the file does
            not compute what PyTorch does.
    """
    path = check_output_path(path, ".pt2")
    module = FixedPaumer(model, fix_settings(model, pause_config, image_size, label_map))
    metadata = json.dumps(write_metadata(model, module.settings, processor, {}), indent=2)
    with exporting():
        batch = torch.export.Dim("batch", min=1)
        program = torch.export.export(module, (module.example(),), dynamic_shapes=({0: batch},), strict=False)
        with atomic_path(path) as temporary:
            try:
                torch.export.save(program, temporary, extra_files={METADATA_NAME: metadata})
            except RuntimeError as error:  # of torch's own writer of files, for a full disk too
                raise OSError(f"{path} cannot be written: {' '.join(str(error).split())}") from error
            return check_export(module, torch.export.load(temporary).module(), tolerance)


__all__ = ["METADATA_NAME", "export_program"]
