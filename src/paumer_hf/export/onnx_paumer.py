# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Runs what `export_onnx` wrote, with onnxruntime, which the extra `onnx` installs."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers.utils import ModelOutput

from paumer_hf import PaumerImageProcessor, PauseConfig
from paumer_hf.export.metadata import processor_of, read_metadata


PROCESSOR_NAME = "preprocessor_config.json"


@dataclass
class OnnxPaumerOutput(ModelOutput):
    """What `OnnxPaumer` returns; `PaumerImageProcessor.post_process_semantic_segmentation` takes it.

    Attributes:
        logits: (batch, classes, rows, columns), class logits for each patch.
        label_map: (batch, height, width), the class of each pixel, if the file was exported with it.
    """

    logits: torch.Tensor | None = None
    label_map: torch.Tensor | None = None


class OnnxPaumer:
    """A model in an ONNX file.

    Example:
        >>> model = OnnxPaumer.from_pretrained("fast.onnx")
        >>> outputs = model(**model.processor(image, return_tensors="np"))
        >>> label_map = model.processor.post_process_semantic_segmentation(outputs, target_sizes=[(360, 480)])[0]

    Attributes:
        path: The file.
        pause_config: The `PauseConfig` that is fixed in it.
        pause_preset: The name of the preset of the model that this was, or None.
        image_size: (height, width) that `pixel_values` must have.
        patch_size: Pixels along a side of a patch.
        id2label: From class to its name.
        metadata: All that the file says about itself.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        *,
        num_threads: int | None = None,
        providers: Sequence[str | tuple[str, dict]] = ("CPUExecutionProvider",),
    ) -> None:
        """Load a file.

        Args:
            path: The file that `export_onnx` wrote.
            num_threads: Threads of an operation, at least 1; None leaves it to onnxruntime, which takes all cores.
            providers: Execution providers of onnxruntime in the order of preference, each a name, or a name and
                options. All must be available.

        Raises:
            ImportError: If onnxruntime is not installed.
            FileNotFoundError: If there is no such file.
            ValueError: If the file is none of ONNX, or was not written by `export_onnx`, or an argument is refused.
        """
        self.path = Path(path)
        chosen = [providers] if isinstance(providers, str) else list(providers)
        self._session = _open_session(self.path, num_threads, chosen)
        self.metadata = read_metadata(self._session.get_modelmeta().custom_metadata_map, self.path)
        self.pause_config = PauseConfig.from_dict(self.metadata["pause_config"])
        self.pause_preset: str | None = self.metadata["pause_preset"]
        self.image_size: tuple[int, int] = tuple(self.metadata["image_size"])
        self.patch_size: int = self.metadata["patch_size"]
        self.id2label: dict[int, str] = dict(enumerate(self.metadata["class_names"]))
        self._output_names = [output.name for output in self._session.get_outputs()]
        self._num_channels = self._session.get_inputs()[0].shape[1]

    @classmethod
    def from_pretrained(cls, path_or_folder: str | os.PathLike, **kwargs: Any) -> "OnnxPaumer":
        """Load a file, or the only ONNX file of a folder.

        Args:
            path_or_folder: The file or folder.
            **kwargs: As in the constructor.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If the folder holds several, or the file is refused.
            ImportError: If onnxruntime is not installed.
        """
        path = Path(path_or_folder)
        if path.is_dir():
            files = sorted(path.glob("*.onnx"))
            if not files:
                raise FileNotFoundError(f"The folder {path} holds no file that ends in .onnx. Name another one.")
            if len(files) > 1:
                raise ValueError(
                    f"The folder {path} holds several exports, {[file.name for file in files]}. Name one."
                )
            path = files[0]
        return cls(path, **kwargs)

    @property
    def processor(self) -> PaumerImageProcessor:
        """The image processor that makes `pixel_values` of `image_size` from images of any size.

        Its normalisation is that in the metadata, or of the `preprocessor_config.json` beside the file.

        Raises:
            ValueError: If there is neither.
        """
        beside = None
        if "image_processor" not in self.metadata and (self.path.parent / PROCESSOR_NAME).is_file():
            beside = PaumerImageProcessor.from_pretrained(self.path.parent)
        return processor_of(self.metadata, beside)

    def __call__(
        self, pixel_values: np.ndarray | torch.Tensor | Sequence[np.ndarray | torch.Tensor]
    ) -> OnnxPaumerOutput:
        """Segment images.

        Args:
            pixel_values: (batch, channels, height, width) as `processor` makes them: an array, a tensor or a list of
                arrays or tensors of one image each.

        Returns:
            The outputs, as tensors on the CPU.

        Raises:
            ValueError: If `pixel_values` have another shape than the file takes.
        """
        return OnnxPaumerOutput(**self.run(pixel_values))

    def run(
        self, pixel_values: np.ndarray | torch.Tensor | Sequence[np.ndarray | torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        """The same as a call, as a dictionary of the outputs by name."""
        if isinstance(pixel_values, list | tuple):
            pixel_values = [_as_array(image) for image in pixel_values]
        array = np.ascontiguousarray(_as_array(pixel_values), dtype=np.float32)
        shape = (self._num_channels, *self.image_size)
        if array.ndim != 4 or array.shape[1:] != shape or not len(array):
            raise ValueError(
                f"`pixel_values` must have the shape (batch, {', '.join(map(str, shape))}) that {self.path.name} "
                f"takes, but has {array.shape}. Make them with `OnnxPaumer.processor`, or export for their size."
            )
        outputs = self._session.run(self._output_names, {"pixel_values": array})
        return {name: torch.from_numpy(values) for name, values in zip(self._output_names, outputs, strict=True)}


def onnxruntime_version() -> str:
    """The version of onnxruntime.

    Raises:
        ImportError: If it is not installed.
    """
    return _import_onnxruntime().__version__


def _import_onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError("OnnxPaumer needs onnxruntime. Install it with: pip install 'paumer_hf[onnx]'") from error
    return onnxruntime


def _open_session(path: Path, num_threads: int | None, providers: list[Any]) -> Any:
    onnxruntime = _import_onnxruntime()
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist. Name a file that scripts/export_onnx.py wrote.")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3  # errors; its warnings are for those who write optimisers
    if num_threads is not None:
        if isinstance(num_threads, bool) or not isinstance(num_threads, int) or num_threads < 1:
            raise ValueError(f"`num_threads` must be a whole number of at least 1, or None, but is {num_threads!r}.")
        options.intra_op_num_threads = num_threads
    _check_providers(providers, onnxruntime.get_available_providers(), "this onnxruntime has")
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # onnxruntime's exceptions have no class in common but this
        raise ValueError(f"{path} cannot be loaded as an ONNX file: {' '.join(str(error).split())}") from error
    _check_providers(providers, session.get_providers(), "onnxruntime could start")
    return session


def _check_providers(providers: list[Any], available: list[str], how: str) -> None:
    """Refuse a provider in whose place onnxruntime would take another one, with no more than a warning."""
    names = [provider if isinstance(provider, str) else provider[0] for provider in providers]
    missing = [name for name in names if name not in available]
    if missing or not names:
        found = repr(missing[0]) if missing else "none"
        raise ValueError(f"`providers` must name some of those that {how}, {available}, but names {found}.")


def _as_array(values: Any) -> Any:
    """A tensor as an array, which NumPy cannot make of every type; anything else as it is."""
    return values.detach().cpu().float().numpy() if isinstance(values, torch.Tensor) else values


__all__ = ["OnnxPaumer", "OnnxPaumerOutput", "onnxruntime_version"]
