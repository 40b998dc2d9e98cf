# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Parquet shards of a segmentation data set, in the form that `datasets` and the viewer of the Hub read.

What is written is a function of the samples and of the versions of pyarrow and Pillow.
"""

import io
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from paumer_hf.data.official_releases import ReleaseEntry, ReleaseSample
from paumer_hf.files import atomic_path


if TYPE_CHECKING:
    import pyarrow


# A reader takes one row group at a time, and shuffles among several.
ROW_GROUP_ROWS = 100
ROW_GROUP_BYTES = 32_000_000

FEATURES = {
    "id": {"dtype": "string", "_type": "Value"},
    "image": {"_type": "Image"},
    "annotation": {"_type": "Image"},
}
"""Columns and their kinds as `datasets` writes them into the schema of a file."""

# Pages end where the content says so: of a file that changes in one place, the Hub stores the other pages once.
CHUNKING = {"min_chunk_size": 256 * 1024, "max_chunk_size": 1024 * 1024, "norm_level": 0}


@dataclass(frozen=True)
class Shard:
    """A file to write: its split, its name inside the folder, and its samples."""

    split: str
    name: str
    entries: tuple[ReleaseEntry, ...]

    @property
    def num_bytes(self) -> int:
        """Size of the samples in the release, in bytes."""
        return sum(entry.num_bytes for entry in self.entries)


def plan_shards(splits: Mapping[str, Sequence[ReleaseEntry]], shard_bytes: int) -> list[Shard]:
    """Divide the samples of each split, in their order, among shards of about equal size.

    Args:
        splits: Entries of each split.
        shard_bytes: Size in bytes that a shard has at most, about: it may have one sample more.
    """
    shards = []
    for split, entries in splits.items():
        sizes = [entry.num_bytes for entry in entries]
        total = max(1, sum(sizes))
        number = -(-total // shard_bytes)
        starts = itertools.accumulate(sizes[:-1], initial=0)
        places = [min(start * number // total, number - 1) for start in starts]
        # A sample larger than a shard leaves the next places empty: only those with samples become files.
        groups = [
            tuple(entry for _, entry in pairs)
            for _, pairs in itertools.groupby(zip(places, entries, strict=True), key=lambda pair: pair[0])
        ]
        names = [f"data/{split}-{index:05d}-of-{len(groups):05d}.parquet" for index in range(len(groups))]
        shards += [Shard(split, name, group) for name, group in zip(names, groups, strict=True)]
    return shards


def write_shard(
    samples: Iterable[ReleaseSample], path: str | os.PathLike, *, advance: Callable[[int], Any] = lambda number: None
) -> dict[str, int]:
    """Write samples to a parquet file; the file is there when it is whole, not before.

    Args:
        samples: The samples, read one by one.
        path: The file.
        advance: Called with the number of samples that were added.

    Returns:
        `num_examples` and `num_bytes`, the size of the samples in memory.
    """
    import pyarrow.parquet as pq

    schema = _make_schema()
    size = {"num_examples": 0, "num_bytes": 0}
    options = {"compression": "none", "use_dictionary": False, "write_statistics": ["id"], "write_page_index": True}
    with (
        atomic_path(path) as temporary,
        pq.ParquetWriter(temporary, schema, use_content_defined_chunking=CHUNKING, **options) as writer,
    ):
        for batch in _batches(samples, schema, advance):
            writer.write_batch(batch, row_group_size=len(batch))
            size["num_examples"] += len(batch)
            size["num_bytes"] += batch.nbytes
        writer.add_key_value_metadata({"content_defined_chunking": json.dumps(CHUNKING)})
    return size


def _make_schema() -> "pyarrow.Schema":
    import pyarrow as pa

    image = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    types = {"Value": pa.string(), "Image": image}
    fields = [pa.field(name, types[feature["_type"]]) for name, feature in FEATURES.items()]
    return pa.schema(fields, metadata={"huggingface": json.dumps({"info": {"features": FEATURES}})})


def _batches(
    samples: Iterable[ReleaseSample], schema: "pyarrow.Schema", advance: Callable[[int], Any]
) -> Iterator["pyarrow.RecordBatch"]:
    """One batch for each row group."""
    import pyarrow as pa

    rows: list[dict[str, Any]] = []
    num_bytes = 0
    for sample in samples:
        rows.append(_make_row(sample))
        num_bytes += sum(len(rows[-1][column]["bytes"]) for column in ("image", "annotation"))
        advance(1)
        if len(rows) == ROW_GROUP_ROWS or num_bytes >= ROW_GROUP_BYTES:
            yield pa.RecordBatch.from_pylist(rows, schema=schema)
            rows, num_bytes = [], 0
    if rows:
        yield pa.RecordBatch.from_pylist(rows, schema=schema)


def _make_row(sample: ReleaseSample) -> dict[str, Any]:
    annotation = {"bytes": encode_annotation(sample.annotation), "path": f"{sample.id}.png"}
    return {
        "id": sample.id,
        "image": {"bytes": sample.image, "path": sample.image_name},
        "annotation": annotation,
    }


def encode_annotation(annotation: np.ndarray) -> bytes:
    """Train ids (height, width), uint8, as a PNG image of one channel."""
    stream = io.BytesIO()
    Image.fromarray(annotation).save(stream, "PNG", optimize=False, compress_level=6)
    return stream.getvalue()


__all__ = ["FEATURES", "Shard", "encode_annotation", "plan_shards", "write_shard"]
