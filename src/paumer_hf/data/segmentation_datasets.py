# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Samples of a segmentation data set: an image and one class per pixel, from a folder, the Hub or a generator."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from PIL import Image, ImageOps

from paumer_hf.data.dataset_descriptions import MAX_RAW_VALUE, DatasetDescription
from paumer_hf.data.street_scenes import StreetScenes
from paumer_hf.data.transforms import IGNORE_INDEX


RAW_LABEL_MODES = ("1", "L", "P", "I", "I;16", "I;16L", "I;16B", "I;16N")
"""Pillow modes with one integer per pixel; in mode P that integer is the place in the palette."""


class Rows(Protocol):
    """What samples are read from: a `datasets.Dataset` or anything that is indexed like one."""

    def __len__(self) -> int:
        """Count the rows."""

    def __getitem__(self, index: int, /) -> Mapping[str, Any]:
        """Read a row: column name to value."""


class SegmentationSample(NamedTuple):
    """An RGB image and its annotation: uint8 classes (height, width), 255 where ignored."""

    id: str
    image: Image.Image
    annotation: np.ndarray


class SegmentationDataset:
    """Samples with labels as the description says.

    Args:
        rows: rows with the columns that the description names, images decoded.
        description: meaning of columns and labels.
        cache: keep every sample in memory once it has been read.
    """

    def __init__(self, rows: Rows, description: DatasetDescription, *, cache: bool = False) -> None:
        """Prepare the table of labels; nothing is read yet."""
        self.description = description
        self._rows = rows
        self._cache: dict[int, SegmentationSample] | None = {} if cache else None
        self._label_table = _make_label_table(description)

    def __len__(self) -> int:
        """Count the samples."""
        return len(self._rows)

    def __iter__(self) -> Iterator[SegmentationSample]:
        """Read the samples in order."""
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> SegmentationSample:
        """Read a sample."""
        length = len(self)
        if not -length <= index < length:
            raise IndexError(
                f"index must be in [{-length}, {length}), got {index}; the data set has {length} samples."
            )
        index = int(index) % length

        if self._cache is None:
            return self._read(index)
        if index not in self._cache:
            self._cache[index] = self._read(index)
        return self._cache[index]

    def _read(self, index: int) -> SegmentationSample:
        description = self.description
        row = self._rows[index]
        sample_id = str(row.get(description.id_column or "", index))

        image = row[description.image_column]
        ImageOps.exif_transpose(image, in_place=True)
        if image.mode != "RGB":
            image = image.convert("RGB")

        annotation = self._map_labels(row[description.annotation_column], sample_id)
        if annotation.shape != (image.height, image.width):
            raise ValueError(
                f"sample '{sample_id}': the annotation must have the size of the image, {(image.height, image.width)}"
                f" (height, width), got {annotation.shape}; correct or remove that sample."
            )
        return SegmentationSample(sample_id, image, annotation)

    def _map_labels(self, label_image: Image.Image, sample_id: str) -> np.ndarray:
        if label_image.mode not in RAW_LABEL_MODES:
            raise ValueError(
                f"sample '{sample_id}': '{self.description.annotation_column}' must hold one integer per pixel (Pillow"
                f" modes L, P or I;16), got mode {label_image.mode}; convert colours to class numbers first."
            )
        raw = np.asarray(label_image)
        if raw.dtype == np.bool_:
            raw = raw.astype(np.uint8)
        if raw.dtype != np.uint8:
            # The last place of the table is that of values which no 16-bit image can hold.
            raw = raw.astype(np.int64)
            raw = np.where((raw < 0) | (raw > MAX_RAW_VALUE), MAX_RAW_VALUE + 1, raw)

        if self.description.label_mapping is None:
            self._check_classes(raw, sample_id)
        return self._label_table[raw]

    def _check_classes(self, raw: np.ndarray, sample_id: str) -> None:
        """Refuse values that are no class: without a mapping they can only be a mistake in the description."""
        strange = (raw >= self.description.num_labels) & (raw != IGNORE_INDEX)
        if strange.any():
            raise ValueError(
                f"sample '{sample_id}': labels must be 0 to {self.description.num_labels - 1}, or 255 where ignored,"
                f" got {np.unique(raw[strange]).tolist()[:10]}; pass label_mapping=... to say what these values mean."
            )


def _make_label_table(description: DatasetDescription) -> np.ndarray:
    """Class of each raw value, 255 for those that have none."""
    mapping = description.label_mapping
    if mapping is None:
        mapping = {label: label for label in range(description.num_labels)}
    table = np.full(MAX_RAW_VALUE + 2, IGNORE_INDEX, dtype=np.uint8)
    for value, label in mapping.items():
        table[value] = label
    return table


GENERATORS = {"street_scenes": StreetScenes}
"""Data sets that are made, not read: name to class of rows, called with the split and options."""


def load_segmentation_dataset(
    description: DatasetDescription,
    split: str,
    path: str | Path | None = None,
    *,
    cache: bool | None = None,
    **generator_options: Any,
) -> SegmentationDataset:
    """Load one split of a data set.

    Args:
        description: the data set.
        split: "train" or "validation" for the splits that the description calls so, else the data set's own name of a
            split.
        path: folder (parquet files, an image folder, or one written by `save_to_disk`) or Hub id, in place of the one
            in the description.
        cache: keep decoded samples in memory; None keeps those of generated data sets only.
        **generator_options: for generated data sets, e.g. `size`, `num_samples` and `seed`.

    Returns:
        The samples.
    """
    path = description.path if path is None else os.path.expanduser(path)
    generator = GENERATORS.get(description.name) if path is None else None
    if generator is not None:
        rows = generator(split, **generator_options)
        return SegmentationDataset(rows, description, cache=cache is not False)

    if path is None:
        raise ValueError(
            f"the data set '{description.name}' has no default path; pass path=... with the folder or Hub id where it"
            " lies."
        )
    if generator_options:
        raise ValueError(
            f"{', '.join(sorted(generator_options))}: options of generated data sets, but '{description.name}' is read"
            f" from '{path}'; leave them out."
        )
    own_split = {"train": description.train_split, "validation": description.validation_split}.get(split, split)
    return SegmentationDataset(_load_rows(str(path), own_split, description), description, cache=bool(cache))


def _load_rows(path: str, split: str, description: DatasetDescription) -> Rows:
    """Read the rows, check that the columns are there and that the image columns are decoded as images."""
    import datasets

    rows = _load_from_disk(path, split) if _is_saved_to_disk(path) else _load_by_name(path, split)

    needed = [description.image_column, description.annotation_column]
    for column in needed:
        if column not in rows.column_names:
            raise ValueError(
                f"'{path}' has no column '{column}'; it has {sorted(rows.column_names)}. Name the right ones with"
                " image_column and annotation_column."
            )
    # Names are welcome, not needed: without them samples are numbered.
    rows = rows.select_columns([*needed, *({description.id_column} & set(rows.column_names))])
    for column in (description.image_column, description.annotation_column):
        if not isinstance(rows.features[column], datasets.Image):
            rows = rows.cast_column(column, datasets.Image())
    return rows


def _is_saved_to_disk(path: str) -> bool:
    return any((Path(path) / name).is_file() for name in ("dataset_dict.json", "state.json"))


def _load_from_disk(path: str, split: str) -> Any:
    import datasets

    loaded = datasets.load_from_disk(path)
    if isinstance(loaded, datasets.Dataset):
        # One split saved alone: its folder is the choice of the split, unless it says that it is another one.
        if loaded.split is not None and str(loaded.split) != split:
            raise _split_error(path, split, [str(loaded.split)])
        return loaded
    if split not in loaded:
        raise _split_error(path, split, list(loaded))
    return loaded[split]


def _load_by_name(path: str, split: str) -> Any:
    import datasets

    if Path(path).is_absolute() or path.startswith((".", "~")):
        path = str(Path(path).expanduser())
        if not Path(path).exists():
            raise FileNotFoundError(f"path must be an existing folder or a Hub id, got '{path}'; correct it.")
    try:
        return datasets.load_dataset(path, split=split)
    except ValueError as error:
        names = datasets.get_dataset_split_names(path)
        if split in names:
            raise
        raise _split_error(path, split, names) from error


def _split_error(path: str, split: str, names: list[str]) -> ValueError:
    return ValueError(
        f"'{path}' has no split '{split}'; it has {sorted(names)}. Name the right one with train_split or"
        " validation_split."
    )


__all__ = ["SegmentationDataset", "SegmentationSample", "load_segmentation_dataset"]
