# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""From a row as it is stored to a sample: an RGB image and one class per pixel, or an error that names the sample."""

import contextlib
import io
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from paumer_hf.data.dataset_descriptions import DatasetDescription
from paumer_hf.data.label_maps import LabelMapError, LabelTable


FILE_FAULTS = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)
"""What is wrong with a file itself. Other errors are those of a disk or a network, which may work the next time."""


class SegmentationSample(NamedTuple):
    """An RGB image and its annotation: uint8 classes (height, width), 255 where ignored."""

    id: str
    image: Image.Image
    annotation: np.ndarray


class BadSampleError(ValueError):
    """A sample that cannot be read, whenever it is tried.

    Args:
        message: which sample it is and what is wrong with it, `sample 'ID': CAUSE`.
        sample_id: the id; None takes it from the message. The loader processes of PyTorch pass on nothing of an error
            but the text of its traceback, of which the message is the last part.
    """

    def __init__(self, message: str, sample_id: str | None = None) -> None:
        super().__init__(message)
        if sample_id is None:
            found = re.findall(r"^(?:\S*BadSampleError: )?sample '(.*?)': ", message, flags=re.MULTILINE)
            sample_id = found[-1] if found else ""
        self.sample_id: str = sample_id

    @classmethod
    def about(cls, sample_id: str, cause: str) -> "BadSampleError":
        """Make the error from the id and the rest of the sentence."""
        return cls(f"sample '{sample_id}': {cause}", sample_id)


class SampleDecoder:
    """Decodes rows as a description says.

    Args:
        description: meaning of columns and labels.
    """

    def __init__(self, description: DatasetDescription) -> None:
        """Prepare the table of labels."""
        self.description = description
        self._label_table = LabelTable(description)

    def decode(self, row: Mapping[str, Any], index: int) -> SegmentationSample:
        """Make a sample of a row.

        Args:
            row: the columns that the description names. An image is a Pillow image, or as `datasets` stores it: its
                encoded bytes, the path of its file, or a dictionary of `bytes` and `path`.
            index: number of the row, which is its id where there is no column of ids.

        Returns:
            The sample.

        Raises:
            BadSampleError: If the sample cannot be decoded or is not what the description says.
        """
        sample_id = str(row.get(self.description.id_column or "", index))
        image = _decode_column(row, self.description.image_column, sample_id, mode="RGB")
        label_image = _decode_column(row, self.description.annotation_column, sample_id)
        try:
            annotation = self._label_table(label_image)
        except LabelMapError as error:
            raise BadSampleError.about(sample_id, str(error)) from error
        if annotation.shape != (image.height, image.width):
            raise BadSampleError.about(
                sample_id,
                f"the annotation must have the size of the image, {(image.height, image.width)} (height, width), got"
                f" {annotation.shape}; correct or remove that sample.",
            )
        return SegmentationSample(sample_id, image, annotation)


def _decode_column(row: Mapping[str, Any], column: str, sample_id: str, mode: str | None = None) -> Image.Image:
    """Read an image in full, so that a file that ends too early is noticed, and turn it as its EXIF entry says."""
    image, path = row[column], ""
    if not isinstance(image, Image.Image):
        encoded, path = _split_value(image, column, sample_id)
        image = io.BytesIO(_read_file(path, column, sample_id) if encoded is None else encoded)
    try:
        if isinstance(image, io.BytesIO):
            image = Image.open(image)
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        return image if mode in (None, image.mode) else image.convert(mode)
    except MemoryError:
        raise
    # Pillow passes on whatever its decoders meet in a broken file.
    except Exception as error:
        where = f" ({path})" if path else ""
        cause = f"'{column}'{where} cannot be decoded ({type(error).__name__}: {error})"
        raise BadSampleError.about(sample_id, f"{cause}; replace or remove that sample.") from error


def _split_value(value: Any, column: str, sample_id: str) -> tuple[bytes | None, str]:
    """The encoded bytes and the path of what is stored for an image; at least one of them is there."""
    if isinstance(value, Mapping):
        encoded, path = value.get("bytes"), value.get("path")
    else:
        encoded = value if isinstance(value, bytes) else None
        path = value if isinstance(value, str) else None
    if encoded is None and path is None:
        found = "nothing" if value is None or isinstance(value, Mapping) else type(value).__name__
        raise BadSampleError.about(
            sample_id,
            f"'{column}' must hold an image, its encoded bytes or the path of its file, got {found}; replace or remove"
            " that sample.",
        )
    return encoded, path or ""


def _read_file(path: str, column: str, sample_id: str) -> bytes:
    try:
        with open_file(path) as file:
            return file.read()
    except FILE_FAULTS as error:
        cause = f"the file of '{column}', '{path}', cannot be read ({type(error).__name__})"
        raise BadSampleError.about(sample_id, f"{cause}; restore it, or remove that sample.") from error
    except Exception as error:
        error.add_note(f"It happened while '{path}', '{column}' of the sample '{sample_id}', was read.")
        raise


def open_file(path: str) -> contextlib.AbstractContextManager[Any]:
    """Open a file for reading bytes, by its path or by an address such as `hf://datasets/...`."""
    if "://" not in path:
        return open(path, "rb")
    import fsspec

    return fsspec.open(path, "rb")


__all__ = ["BadSampleError", "SampleDecoder", "SegmentationSample", "open_file"]
