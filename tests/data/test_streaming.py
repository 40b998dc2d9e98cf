# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Streams: an order that depends on seed and epoch alone, read from any place and by any process."""

import copy
import io
import itertools
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from paumer_hf.data import streaming
from paumer_hf.data.dataset_descriptions import DatasetDescription
from paumer_hf.data.sample_decoding import BadSampleError
from paumer_hf.data.streaming import SegmentationStream


DESCRIPTION = DatasetDescription(name="made", class_names=("a", "b", "c"))
ROW_GROUPS = [[3, 4], [5], [2, 1, 4]]
"""Numbers of rows of the row groups of each file."""

NUM_ROWS = 19


def encode(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "PNG")
    return stream.getvalue()


def write_file(path: str | Path, numbers: Sequence[int], row_groups: Sequence[int], **changes: list) -> str:
    """Write rows that are told apart by their numbers: names, colours and labels follow from them."""
    struct = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    columns = {
        "unused": pa.array([b"x" * 100] * len(numbers)),
        "id": pa.array([f"sample{number}" for number in numbers]),
        "image": pa.array([{"bytes": encode(np.full((2, 3, 3), number, np.uint8))} for number in numbers], struct),
        "annotation": pa.array([encode(np.full((2, 3), number % 3, np.uint8)) for number in numbers]),
        **changes,
    }
    table = pa.table({name: values for name, values in columns.items() if values is not None})
    with fsspec.open(str(path), "wb") as file, pq.ParquetWriter(file, table.schema) as writer:
        start = 0
        for size in row_groups:
            writer.write_table(table.slice(start, size), row_group_size=size)
            start += size
    return str(path)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("parquet")
    paths, start = [], 0
    for place, row_groups in enumerate(ROW_GROUPS):
        numbers = range(start, start + sum(row_groups))
        paths.append(write_file(folder / f"train-{place}.parquet", numbers, row_groups))
        start += sum(row_groups)
    return paths


@pytest.fixture
def stream(files: list[str]) -> SegmentationStream:
    return SegmentationStream(files, DESCRIPTION, buffer_size=4)


def number_of(sample: streaming.SegmentationSample) -> int:
    number = sample.image.getpixel((0, 0))[0]
    assert sample.id == f"sample{number}"
    assert (sample.annotation == number % 3).all()
    return number


def read_epoch(stream: SegmentationStream, epoch: int, seed: int = 0) -> list[int]:
    return [number_of(stream.read(epoch, place, seed)) for place in range(len(stream))]


def expected_order(epoch: int, seed: int, buffer_size: int) -> list[int]:
    """The order, from what the documentation says of it."""
    starts = np.cumsum([0] + [size for row_groups in ROW_GROUPS for size in row_groups])
    row_groups = [range(start, stop) for start, stop in itertools.pairwise(starts)]
    shuffled = np.random.default_rng([seed, 3, epoch]).permutation(len(row_groups))
    rows = [row for place in shuffled for row in row_groups[place]]
    order = []
    for block in range(-(-len(rows) // buffer_size)):
        part = np.array(rows[block * buffer_size : (block + 1) * buffer_size])
        order += part[np.random.default_rng([seed, 2, epoch, block]).permutation(len(part))].tolist()
    return order


@pytest.mark.parametrize("buffer_size", [1, 4, 7, 19, 100])
def test_an_epoch_is_the_documented_permutation(files: list[str], buffer_size: int) -> None:
    """A checkpoint that goes on under other versions of anything must meet the same order."""
    stream = SegmentationStream(files, DESCRIPTION, buffer_size=buffer_size)
    assert len(stream) == NUM_ROWS
    for epoch, seed in [(0, 0), (1, 0), (0, 5)]:
        found = read_epoch(stream, epoch, seed)
        assert sorted(found) == list(range(NUM_ROWS))
        assert found == expected_order(epoch, seed, buffer_size)


def test_epochs_and_seeds_have_orders_of_their_own(stream: SegmentationStream) -> None:
    orders = [tuple(read_epoch(stream, epoch, seed)) for epoch in range(3) for seed in range(3)]
    assert len(set(orders)) == 9


def test_rows_of_far_apart_files_meet_in_a_block(stream: SegmentationStream) -> None:
    """Blocks are not the same sets of samples in each epoch, as they were without a permutation of the row groups."""
    assert len({frozenset(read_epoch(stream, epoch)[:4]) for epoch in range(8)}) > 4


def test_any_place_can_be_read_at_any_time(stream: SegmentationStream) -> None:
    orders = [read_epoch(stream, epoch, seed=3) for epoch in range(3)]
    rng = np.random.default_rng(0)
    for _ in range(60):
        epoch, place = int(rng.integers(3)), int(rng.integers(NUM_ROWS))
        assert number_of(stream.read(epoch, place, 3)) == orders[epoch][place]
    with pytest.raises(IndexError, match=r"place must be in \[0, 19\), got 19"):
        stream.read(0, NUM_ROWS, 3)


def test_the_order_of_the_files_is_that_of_the_indices(stream: SegmentationStream) -> None:
    assert [number_of(sample) for sample in stream] == list(range(NUM_ROWS))
    assert [number_of(stream[index]) for index in (17, 3, -1, 4)] == [17, 3, 18, 4]
    for index in (NUM_ROWS, -NUM_ROWS - 1):
        with pytest.raises(IndexError, match=r"index must be in \[-19, 19\)"):
            stream[index]


def test_reading_on_reads_each_row_once_and_elsewhere_a_block(
    stream: SegmentationStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    monkeypatch.setattr(streaming, "READ_ROWS", 1)
    original = SegmentationStream._read_file

    def count(self, file, row_groups):
        for row in original(self, file, row_groups):
            read.append(row[0])
            yield row

    monkeypatch.setattr(SegmentationStream, "_read_file", count)
    decoded = []
    monkeypatch.setattr(stream._decoder, "decode", lambda row, index: decoded.append(set(row)))

    for place in range(NUM_ROWS):
        stream.read(0, place, 0)
    assert sorted(read) == list(range(NUM_ROWS))
    read.clear()
    decoded.clear()
    for place in (13, 12, 14):  # of one block
        stream.read(1, place, 0)
    assert decoded == [{"id", "image", "annotation"}] * 3
    assert 4 <= len(read) < 4 + max(size for row_groups in ROW_GROUPS for size in row_groups)


class Places(Dataset):
    """Numbers of the samples at the places of an epoch."""

    def __init__(self, stream: SegmentationStream) -> None:
        self.stream = stream

    def __len__(self) -> int:
        return len(self.stream)

    def __getitem__(self, place: int) -> int:
        return int(self.stream.read(1, place, 0).id.removeprefix("sample"))


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_each_loader_process_sees_the_whole_stream(stream: SegmentationStream, method: str) -> None:
    expected = read_epoch(stream, 1)
    stream.read(1, 5, 0)  # a file is open when the processes start
    loader = DataLoader(Places(stream), batch_size=3, num_workers=2, multiprocessing_context=method)
    assert [int(number) for batch in loader for number in batch] == expected
    assert number_of(stream.read(1, 6, 0)) == expected[6]


def test_a_forked_process_opens_files_of_its_own(stream: SegmentationStream, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of its parent are at places that both would move."""
    opened = []
    original = streaming.open_file
    monkeypatch.setattr(streaming, "open_file", lambda path: opened.append(path) or original(path))
    expected = read_epoch(stream, 0)[-1]
    for process, opens in ((os.getpid(), False), (-1, True), (-1, False), (-2, True)):
        monkeypatch.setattr(os, "getpid", lambda process=process: process)
        opened.clear()
        assert number_of(stream.read(0, NUM_ROWS - 1, 0)) == expected
        assert bool(opened) == opens


def test_a_copy_reads_the_same(stream: SegmentationStream) -> None:
    stream.read(0, 7, 0)
    assert read_epoch(copy.deepcopy(stream), 0) == read_epoch(stream, 0)


def test_addresses_are_read_as_files_are(files: list[str]) -> None:
    path = write_file("memory://stream/train.parquet", range(5), [3, 2])
    remote = SegmentationStream([path], DESCRIPTION, buffer_size=2)
    assert sorted(read_epoch(remote, 0)) == list(range(5))


def test_samples_without_a_name_have_the_numbers_of_their_rows(tmp_path: Path) -> None:
    paths = [write_file(tmp_path / f"{start}.parquet", range(start, start + 3), [2, 1], id=None) for start in (0, 3)]
    stream = SegmentationStream(paths, DESCRIPTION, buffer_size=4)
    samples = [stream.read(0, place, 0) for place in range(6)]
    assert sorted(sample.id for sample in samples) == [str(number) for number in range(6)]
    assert all(str(sample.image.getpixel((0, 0))[0]) == sample.id for sample in samples)


def test_a_bad_sample_is_named_and_does_not_stop_the_others(tmp_path: Path) -> None:
    annotations = [encode(np.zeros((2, 3), np.uint8))] * 4
    annotations[2] = annotations[2][:20]
    path = write_file(tmp_path / "train.parquet", range(4), [4], annotation=pa.array(annotations))
    stream = SegmentationStream([path], DESCRIPTION, buffer_size=4)
    found, refused = [], []
    for place in range(4):
        try:
            found.append(stream.read(0, place, 0).id)
        except BadSampleError as error:
            refused.append(error.sample_id)
    assert sorted(found) == ["sample0", "sample1", "sample3"]
    assert refused == ["sample2"]


def test_what_is_no_parquet_file_or_lacks_a_column_is_named(tmp_path: Path) -> None:
    (tmp_path / "no.parquet").write_bytes(b"something else")
    with pytest.raises(ValueError, match=r"no.parquet' is no Parquet file that can be read \(.*download it again"):
        SegmentationStream([str(tmp_path / "no.parquet")], DESCRIPTION)
    path = write_file(tmp_path / "train.parquet", range(2), [2], annotation=None)
    with pytest.raises(
        ValueError, match=r"train.parquet' has no column 'annotation'; it has \['id', 'image', 'unused"
    ):
        SegmentationStream([path], DESCRIPTION)
    with pytest.raises(ValueError, match="buffer_size must be at least 1, got 0"):
        SegmentationStream([path], DESCRIPTION, buffer_size=0)


def test_a_file_that_changes_is_named(tmp_path: Path) -> None:
    path = write_file(tmp_path / "train.parquet", range(4), [4])
    stream = SegmentationStream([path], DESCRIPTION, buffer_size=2)
    write_file(path, range(4), [2, 2])
    with pytest.raises(ValueError, match=r"train.parquet' is not the file any more that was opened at the start"):
        stream[0]


def test_reading_goes_on_after_a_failure(stream: SegmentationStream, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = read_epoch(stream, 0)
    stream.read(0, 0, 0)

    def fail(path: str) -> None:
        raise ConnectionError("the network is away")

    with monkeypatch.context() as patch:
        patch.setattr(streaming, "open_file", fail)
        with pytest.raises(ConnectionError, match="the network is away"):
            read_epoch(stream, 0)
    assert read_epoch(stream, 0) == expected


@pytest.mark.slow
def test_a_process_that_read_a_stream_ends_in_order(files: list[str]) -> None:
    """Some ways to read Parquet files leave threads behind, which abort the process at its end."""
    # The bare package stands in for the whole one, whose import of transformers would take most of the time.
    code = (
        "import sys, types; package = types.ModuleType('paumer_hf'); package.__path__ = [sys.argv[1]];"
        "sys.modules['paumer_hf'] = package;"
        "from paumer_hf.data import DatasetDescription, SegmentationStream;"
        "made = DatasetDescription(name='made', class_names=('a', 'b', 'c'));"
        "SegmentationStream(sys.argv[2:], made, buffer_size=4).read(0, 9, 0)"
    )
    package = Path(streaming.__file__).parents[1]
    for _ in range(5):
        subprocess.run([sys.executable, "-c", code, str(package), *files], check=True)
