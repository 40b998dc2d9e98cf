# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Samples of a segmentation data set: an image and one class per pixel, from a folder, the Hub or a generator."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from paumer_hf.data.dataset_descriptions import DatasetDescription
from paumer_hf.data.hub_datasets import describe_source
from paumer_hf.data.official_releases import ReleaseError, ReleaseRows, find_release
from paumer_hf.data.sample_decoding import BadSampleError, SampleDecoder, SegmentationSample
from paumer_hf.data.streaming import SegmentationStream
from paumer_hf.data.street_scenes import StreetScenes


class Rows(Protocol):
    """What samples are read from: a `datasets.Dataset` or anything that is indexed like one."""

    def __len__(self) -> int:
        """Count the rows."""

    def __getitem__(self, index: int, /) -> Mapping[str, Any]:
        """Read a row: column name to value."""


class SegmentationDataset:
    """Samples with labels as the description says.

    Args:
        rows: rows with the columns that the description names. An image is a Pillow image, or as `datasets` stores it:
            its encoded bytes, the path of its file, or a dictionary of `bytes` and `path`.
        description: meaning of columns and labels.
        cache: keep every sample in memory once it has been read.
    """

    def __init__(self, rows: Rows, description: DatasetDescription, *, cache: bool = False) -> None:
        """Prepare the decoder; nothing is read yet."""
        self.description = description
        self._rows = rows
        self._cache: dict[int, SegmentationSample] | None = {} if cache else None
        self._decoder = SampleDecoder(description)

    def __len__(self) -> int:
        """Count the samples."""
        return len(self._rows)

    def __iter__(self) -> Iterator[SegmentationSample]:
        """Read the samples in order."""
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> SegmentationSample:
        """Read a sample.

        Raises:
            BadSampleError: If the sample cannot be decoded or is not what the description says.
        """
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
        try:
            row = self._rows[index]
        except ReleaseError as error:
            sample_id = self._rows.sample_id(index) if isinstance(self._rows, ReleaseRows) else str(index)
            raise BadSampleError.about(sample_id, str(error)) from error
        return self._decoder.decode(row, index)


GENERATORS = {"street_scenes": StreetScenes}
"""Data sets that are made, not read: name to class of rows, called with the split and options."""


def load_segmentation_dataset(
    description: DatasetDescription,
    split: str,
    path: str | Path | None = None,
    *,
    cache: bool | None = None,
    revision: str | None = None,
    streaming: bool = False,
    buffer_size: int = 512,
    **generator_options: Any,
) -> SegmentationDataset | SegmentationStream:
    """Load one split of a data set.

    Args:
        description: the data set.
        split: "train" or "validation" for the splits that the description calls so, else the data set's own name of a
            split.
        path: folder (Parquet files, an image folder, one written by `save_to_disk`, or an official release), archive
            of an official release, or Hub id, in place of the one in the description.
        cache: keep decoded samples in memory; None keeps those of generated data sets only.
        revision: commit, tag or branch of a Hub data set; None takes the description's own.
        streaming: read Parquet files row by row where they are, without downloading them or converting them first.
        buffer_size: number of rows of a stream that are shuffled together and kept in memory, not decoded.
        **generator_options: for generated data sets, e.g. `size`, `num_samples` and `seed`.

    Returns:
        The samples; a `SegmentationStream` if `streaming` is on.

    Raises:
        ValueError: If there is no such data set, split or column, or an option does not fit the data set.
        FileNotFoundError: If the folder does not exist.
    """
    if path is None or str(path) == description.path:
        revision = revision or description.revision
    path = description.path if path is None else os.path.expanduser(path)
    if path is None and description.name in GENERATORS:
        _refuse(f"'{description.name}' is drawn when it is read", revision=revision, streaming=streaming)
        drawn = GENERATORS[description.name](split, **generator_options)
        return SegmentationDataset(drawn, description, cache=cache is not False)

    if path is None:
        raise ValueError(
            f"the data set '{description.name}' has no default path; pass path=..., on command lines --dataset_path,"
            " with the folder or Hub id where it lies."
        )
    if generator_options:
        raise ValueError(
            f"{', '.join(sorted(generator_options))}: options of generated data sets, but '{description.name}' is read"
            f" from '{path}'; leave them out."
        )
    if Path(path).exists():
        _refuse(f"'{path}' is on this machine, and revisions are of the Hub", revision=revision)
    release = find_release(description, path)
    if release is not None:
        _refuse(f"'{path}' is an official release, which is read in place", streaming=streaming)
        return SegmentationDataset(ReleaseRows(release, split), description, cache=bool(cache))

    description = describe_source(description, path)
    split = {"train": description.train_split, "validation": description.validation_split}.get(split, split)
    if streaming:
        _refuse("a stream is for what does not fit into memory", cache=cache)
        files = _find_parquet_files(path, split, revision)
        return SegmentationStream(files, description, buffer_size=buffer_size)
    return SegmentationDataset(_load_rows(path, split, description, revision), description, cache=bool(cache))


def _refuse(reason: str, **options: Any) -> None:
    """Refuse options that are given, because they would say nothing."""
    for name, value in options.items():
        if value:
            raise ValueError(f"{name}={value!r} has no meaning here: {reason}; leave it out.")


def _load_rows(path: str, split: str, description: DatasetDescription, revision: str | None) -> Rows:
    """Read the rows, and check that the columns are there; images stay encoded, for what is wrong with one to show."""
    import datasets

    rows = _load_from_disk(path, split) if _is_saved_to_disk(path) else _load_by_name(path, split, revision)

    needed = [description.image_column, description.annotation_column]
    for column in needed:
        if column not in rows.column_names:
            raise ValueError(
                f"'{path}' has no column '{column}'; it has {sorted(rows.column_names)}. Name the right ones with"
                " image_column and annotation_column."
            )
    # Names are welcome, not needed: without them samples are numbered.
    rows = rows.select_columns([*needed, *({description.id_column} & set(rows.column_names))])
    for column in needed:
        rows = rows.cast_column(column, datasets.Image(decode=False))
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


def _load_by_name(path: str, split: str, revision: str | None) -> Any:
    import datasets

    _check_folder(path)
    try:
        with _one_error_for_connections(path):
            return datasets.load_dataset(path, split=split, revision=revision)
    except ValueError as error:
        names = datasets.get_dataset_split_names(path, revision=revision)
        if split in names:
            raise
        raise _split_error(path, split, names) from error


def _find_parquet_files(path: str, split: str, revision: str | None) -> list[str]:
    """The files of a split, on this machine or, by address and commit, on the Hub."""
    import datasets

    _check_folder(path)
    if _is_saved_to_disk(path):
        _refuse(f"'{path}' was written by save_to_disk, and is read in place", streaming=True)
    with _one_error_for_connections(path):
        found = datasets.load_dataset_builder(path, revision=revision).config.data_files or {}
    files = {str(name): [str(file) for file in of_split] for name, of_split in found.items()}
    if split not in files:
        raise _split_error(path, split, list(files))
    others = [file for file in files[split] if not file.endswith(".parquet")]
    if others:
        raise ValueError(
            f"only Parquet files can be read as a stream, but '{path}' has {others[0]}; leave streaming out, or take"
            " the revision refs/convert/parquet, where the Hub keeps a copy of most data sets as Parquet files."
        )
    return files[split]


@contextlib.contextmanager
def _one_error_for_connections(path: str) -> Iterator[None]:
    """Turn what the HTTP library raises, which differs between versions of the Hub's client, into one error."""
    try:
        yield
    except (OSError, ValueError, TypeError, KeyError, NotImplementedError):
        raise
    except Exception as error:
        cause = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConnectionError(
            f"the data set '{path}' cannot be loaded ({cause}); run the same command again."
        ) from error


def _check_folder(path: str) -> None:
    if (Path(path).is_absolute() or path.startswith(".")) and not Path(path).exists():
        raise FileNotFoundError(f"path must be an existing folder or a Hub id, got '{path}'; correct it.")


def _split_error(path: str, split: str, names: list[str]) -> ValueError:
    return ValueError(
        f"'{path}' has no split '{split}'; it has {sorted(names)}. Name the right one with train_split or"
        " validation_split."
    )


__all__ = ["BadSampleError", "SegmentationDataset", "SegmentationSample", "load_segmentation_dataset"]
