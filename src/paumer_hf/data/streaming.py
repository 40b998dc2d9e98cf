# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Samples read from Parquet files where they are, on the Hub or on a disk, in an order that can be entered anywhere.

Parquet files consist of row groups that are found and read alone. An epoch is a permutation of the row groups; its
rows are divided into blocks of as many rows as the buffer holds, and each block is a permutation of its own. Both
follow from seed and epoch alone, so a place of an epoch means the same sample in every process, whatever was read
before. What lies before a place is passed over by the numbers of rows that the files state, without being read.
"""

import contextlib
import itertools
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from tqdm import tqdm

from paumer_hf.data.dataset_descriptions import DatasetDescription
from paumer_hf.data.sample_decoding import SampleDecoder, SegmentationSample, open_file


if TYPE_CHECKING:
    import pyarrow.parquet as pq

READ_BYTES = 8 * 1024 * 1024
"""What is read of a column at once: without it that is the whole row group, which some files have only one of."""

READ_ROWS = 16
SECONDS_BEFORE_PROGRESS = 2.0

NumberedRow = tuple[int, dict[str, Any]]


class _RowGroup(NamedTuple):
    """Rows that are stored together: their file, their place in it, and the number of the first row in the whole."""

    file: int
    place: int
    first_row: int
    num_rows: int


class _Reading(NamedTuple):
    """Where a reader stands: whose it is, in which order it reads, and the block that it read last."""

    process: int
    order: tuple[int, int] | None
    blocks: Iterator[list[NumberedRow]]
    block: int
    rows: list[NumberedRow]


class SegmentationStream:
    """Samples of Parquet files, read as they are needed.

    The rows of one block are kept in memory as they are stored, and only the samples that are asked for are decoded.
    To go on to the next block reads its rows; to go anywhere else, back or ahead, opens the files anew and reads that
    block and less than a row group before it.

    In a training, every loader process of every process reads the whole stream by itself, as it needs samples of each
    block: with 4 of them, each byte is read 4 times and 4 blocks are in memory. Where reading takes the time, and not
    decoding, take fewer.

    Args:
        files: Parquet files of the split, by paths or by addresses such as `hf://datasets/...`.
        description: meaning of columns and labels.
        buffer_size: number of rows of a block, at least 1. A block of one epoch mixes those row groups that happen to
            follow each other; larger blocks mix more, and take more memory.

    Raises:
        ValueError: If a file is no Parquet file or lacks a column, or if `buffer_size` is too small.
    """

    def __init__(self, files: Sequence[str], description: DatasetDescription, *, buffer_size: int = 512) -> None:
        """Read which row groups there are, and nothing more."""
        if buffer_size < 1:
            raise ValueError(f"buffer_size must be at least 1, got {buffer_size}; pass e.g. 512.")
        self.description = description
        self.buffer_size = buffer_size
        self._files = tuple(files)
        self._decoder = SampleDecoder(description)
        self._columns: list[list[str]] = []
        self._row_groups: list[_RowGroup] = []
        self._reading: _Reading | None = None
        self._num_rows = 0
        for path in tqdm(self._files, desc="Opening", unit="file", disable=None, delay=SECONDS_BEFORE_PROGRESS):
            self._add_file(path)

    def _add_file(self, path: str) -> None:
        file = len(self._columns)
        with _open_parquet(path) as parquet:
            self._columns.append(self._choose_columns(path, parquet.schema_arrow.names))
            for place, num_rows in enumerate(_row_group_sizes(parquet)):
                self._row_groups.append(_RowGroup(file, place, self._num_rows, num_rows))
                self._num_rows += num_rows

    def _choose_columns(self, path: str, names: list[str]) -> list[str]:
        needed = [self.description.image_column, self.description.annotation_column]
        for column in needed:
            if column not in names:
                raise ValueError(
                    f"'{path}' has no column '{column}'; it has {sorted(names)}. Name the right ones with image_column"
                    " and annotation_column."
                )
        # Names are welcome, not needed: without them samples are numbered.
        return [*needed, *(name for name in names if name == self.description.id_column)]

    def __len__(self) -> int:
        """Count the samples."""
        return self._num_rows

    def __iter__(self) -> Iterator[SegmentationSample]:
        """Read the samples in the order of the files."""
        return (self[index] for index in range(len(self)))

    def __getstate__(self) -> dict[str, Any]:
        """An open file cannot be sent to another process; the receiver opens its own."""
        return {**vars(self), "_reading": None}

    def __getitem__(self, index: int) -> SegmentationSample:
        """Read a sample by its number in the order of the files.

        Raises:
            BadSampleError: If the sample cannot be decoded or is not what the description says.
        """
        length = len(self)
        if not -length <= index < length:
            raise IndexError(
                f"index must be in [{-length}, {length}), got {index}; the data set has {length} samples."
            )
        return self._read(None, int(index) % length)

    def read(self, epoch: int, place: int, seed: int) -> SegmentationSample:
        """Read the sample at a place of a shuffled epoch.

        Args:
            epoch: number of the epoch, from 0.
            place: place in the epoch, from 0 to the number of samples - 1.
            seed: seed of the order, not negative.

        Returns:
            The sample, which is a function of the arguments, the files and `buffer_size`.

        Raises:
            BadSampleError: If the sample cannot be decoded or is not what the description says.
        """
        if not 0 <= place < len(self):
            raise IndexError(f"place must be in [0, {len(self)}), got {place}; an epoch has {len(self)} samples.")
        return self._read((seed, epoch), place)

    def _read(self, order: tuple[int, int] | None, place: int) -> SegmentationSample:
        block, offset = divmod(place, self.buffer_size)
        number, row = self._rows_of_block(order, block)[offset]
        return self._decoder.decode(row, number)

    def _rows_of_block(self, order: tuple[int, int] | None, block: int) -> list[NumberedRow]:
        # A forked process inherits the open files of its parent, which moves the places in them.
        wanted, reading = (os.getpid(), order), self._reading
        is_open = reading is not None and (reading.process, reading.order) == wanted
        if reading is not None and is_open and reading.block == block:
            return reading.rows
        if reading is not None and is_open and reading.block == block - 1:
            blocks = reading.blocks
        else:
            blocks = self._read_blocks(order, block)
        # The old rows go before new ones come, and where reading fails nobody goes on with half a block.
        self._reading = reading = None
        rows = next(blocks)
        self._reading = _Reading(*wanted, blocks, block, rows)
        return rows

    def _read_blocks(self, order: tuple[int, int] | None, first: int) -> Iterator[list[NumberedRow]]:
        """The blocks of an order from one on; None is the order of the files."""
        row_groups = self._row_groups
        if order is not None:
            seed, epoch = order
            row_groups = [
                row_groups[place] for place in np.random.default_rng([seed, 3, epoch]).permutation(len(row_groups))
            ]
        rows = self._read_rows(row_groups, first * self.buffer_size)
        for block in itertools.count(first):
            block_rows = list(itertools.islice(rows, self.buffer_size))
            if order is not None:
                permutation = np.random.default_rng([seed, 2, epoch, block]).permutation(len(block_rows))
                block_rows = [block_rows[place] for place in permutation]
            yield block_rows

    def _read_rows(self, row_groups: Sequence[_RowGroup], start: int) -> Iterator[NumberedRow]:
        """The rows of row groups with their numbers, from the row `start` of these row groups on."""
        ends = list(itertools.accumulate(row_group.num_rows for row_group in row_groups))
        passed = sum(end <= start for end in ends)
        start -= ends[passed - 1] if passed else 0
        for file, of_file in itertools.groupby(row_groups[passed:], key=lambda row_group: row_group.file):
            yield from itertools.islice(self._read_file(file, list(of_file)), start, None)
            start = 0

    def _read_file(self, file: int, row_groups: Sequence[_RowGroup]) -> Iterator[NumberedRow]:
        path = self._files[file]
        with _open_parquet(path) as parquet:
            if _row_group_sizes(parquet) != [group.num_rows for group in self._row_groups if group.file == file]:
                raise ValueError(f"'{path}' is not the file any more that was opened at the start; start again.")
            # Without threads of pyarrow, which do not outlive a fork and must not outlive the interpreter.
            batches = parquet.iter_batches(
                READ_ROWS, [group.place for group in row_groups], columns=self._columns[file], use_threads=False
            )
            rows = itertools.chain.from_iterable(batch.to_pylist() for batch in batches)
            numbers = (range(group.first_row, group.first_row + group.num_rows) for group in row_groups)
            yield from zip(itertools.chain.from_iterable(numbers), rows, strict=True)


@contextlib.contextmanager
def _open_parquet(path: str) -> "Iterator[pq.ParquetFile]":
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with open_file(path) as file, pq.ParquetFile(file, buffer_size=READ_BYTES, pre_buffer=False) as parquet:
            yield parquet
    except pa.ArrowException as error:
        raise ValueError(
            f"'{path}' is no Parquet file that can be read ({error}); write or download it again."
        ) from error


def _row_group_sizes(parquet: "pq.ParquetFile") -> list[int]:
    metadata = parquet.metadata
    return [metadata.row_group(place).num_rows for place in range(metadata.num_row_groups)]


__all__ = ["SegmentationStream"]
