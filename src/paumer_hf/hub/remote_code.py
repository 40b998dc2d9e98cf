# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The code of the model as files beside a checkpoint, for users who do not have this package."""

import copy
import json
from pathlib import Path
from typing import Any

from transformers.dynamic_module_utils import custom_object_save

from paumer_hf import PaumerForSemanticSegmentation, PaumerImageProcessor
from paumer_hf.hub.checkpoint_files import read_json


def write_remote_code(
    model: PaumerForSemanticSegmentation, processor: PaumerImageProcessor, source: Path, output: Path
) -> dict[str, Path]:
    """Write the code, and the two configurations with the entries by which Auto classes find it.

    The classes stay as they are: what this process saves later carries no code.

    Args:
        model: The model of the checkpoint.
        processor: Its image processor.
        source: The checkpoint, which is not changed.
        output: Folder to write to.

    Returns:
        The files by their names on the page.
    """
    output.mkdir(parents=True, exist_ok=True)
    for_model: dict[str, Any] = {}
    for_processor: dict[str, Any] = {}
    custom_object_save(_twin(model.config, "AutoConfig"), output, for_model)
    custom_object_save(_twin(model, "AutoModelForSemanticSegmentation"), output, for_model)
    custom_object_save(_twin(processor, "AutoImageProcessor"), output, for_processor)
    for name, entries in (("config.json", for_model), ("preprocessor_config.json", for_processor)):
        contents = {**read_json(source / name), **entries}
        text = json.dumps(contents, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        (output / name).write_text(text, encoding="utf-8")
    return {path.name: path for path in sorted(output.iterdir())}


def _twin(value: Any, auto_class: str) -> Any:
    """A shallow copy that says of itself that it is saved with code."""
    twin = copy.copy(value)
    twin._auto_class = auto_class
    return twin


__all__ = ["write_remote_code"]
