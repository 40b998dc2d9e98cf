# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Shards: every sample once and in order, in files that `datasets` takes for its own."""

import io
import json

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from paumer_hf.data import dataset_shards
from paumer_hf.data.dataset_shards import FEATURES, encode_annotation, plan_shards, write_shard
from paumer_hf.data.official_releases import ReleaseEntry, ReleaseSample


def make_entries(sizes):
    return tuple(
        ReleaseEntry(f"{index:04d}", f"{index}.jpg", f"{index}.png", size) for index, size in enumerate(sizes)
    )


def make_samples(count, image_bytes=100):
    generator = np.random.default_rng(0)
    for index in range(count):
        annotation = generator.integers(0, 256, (4, 6)).astype(np.uint8)
        yield ReleaseSample(f"s{index:03d}", generator.bytes(image_bytes), f"s{index:03d}_image.jpg", annotation)


@pytest.mark.parametrize("shard_bytes", [1, 70, 500, 10**9])
@pytest.mark.parametrize("seed", range(5))
def test_a_plan_holds_every_sample_once_and_in_order_in_shards_of_the_size(shard_bytes, seed):
    sizes = np.random.default_rng(seed).integers(1, 100, 40).tolist()
    splits = {"train": make_entries(sizes), "validation": make_entries(sizes[:3])}
    shards = plan_shards(splits, shard_bytes)
    for split, entries in splits.items():
        of_split = [shard for shard in shards if shard.split == split]
        assert tuple(entry for shard in of_split for entry in shard.entries) == entries
        assert all(0 < shard.num_bytes < shard_bytes + max(sizes) for shard in of_split)
        count = len(of_split)
        assert [shard.name for shard in of_split] == [
            f"data/{split}-{index:05d}-of-{count:05d}.parquet" for index in range(count)
        ]


def test_shards_of_a_plan_are_about_equal():
    shards = plan_shards({"train": make_entries([10] * 101)}, 250)
    assert len(shards) == 5  # 1010 bytes
    assert {len(shard.entries) for shard in shards} == {20, 21}


def test_a_sample_larger_than_a_shard_has_its_own():
    shards = plan_shards({"train": make_entries([1, 1000, 1])}, 100)
    assert [[entry.id for entry in shard.entries] for shard in shards] == [["0000", "0001"], ["0002"]]
    assert shards[-1].name == "data/train-00001-of-00002.parquet"


def test_the_schema_is_that_of_datasets(tmp_path):
    write_shard(make_samples(2), tmp_path / "a.parquet")
    image = datasets.Image()
    features = datasets.Features({"id": datasets.Value("string"), "image": image, "annotation": image})
    schema, expected = pq.read_schema(tmp_path / "a.parquet"), features.arrow_schema
    assert schema.equals(expected)
    found, wanted = (json.loads(each.metadata[b"huggingface"])["info"]["features"] for each in (schema, expected))
    assert found == wanted == FEATURES
    assert datasets.Features.from_arrow_schema(schema) == features


def test_rows_are_the_samples(tmp_path):
    samples, advanced = list(make_samples(5)), []
    size = write_shard(samples, tmp_path / "a.parquet", advance=advanced.append)
    table = pq.read_table(tmp_path / "a.parquet")
    assert size == {"num_examples": 5, "num_bytes": table.nbytes}
    assert advanced == [1] * 5
    for row, sample in zip(table.to_pylist(), samples, strict=True):
        assert (row["id"], row["image"]) == (sample.id, {"bytes": sample.image, "path": sample.image_name})
        assert row["annotation"]["path"] == f"{sample.id}.png"
        with Image.open(io.BytesIO(row["annotation"]["bytes"])) as image:
            assert (image.format, image.mode) == ("PNG", "L")
            np.testing.assert_array_equal(np.asarray(image), sample.annotation)


@pytest.mark.parametrize(("image_bytes", "rows"), [(10, [100, 100, 50]), (400, [40, 40, 40, 40, 40, 40, 10])])
def test_row_groups_are_small_in_rows_and_in_bytes(tmp_path, monkeypatch, image_bytes, rows):
    annotation = len(encode_annotation(np.zeros((4, 6), np.uint8)))
    monkeypatch.setattr(dataset_shards, "ROW_GROUP_BYTES", 40 * (400 + annotation))
    samples = (sample._replace(annotation=np.zeros((4, 6), np.uint8)) for sample in make_samples(250, image_bytes))
    write_shard(samples, tmp_path / "a.parquet")
    metadata = pq.read_metadata(tmp_path / "a.parquet")
    assert [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)] == rows


def test_the_same_samples_are_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_shard(make_samples(150), tmp_path / name / f"{name}.parquet")
    assert (tmp_path / "a" / "a.parquet").read_bytes() == (tmp_path / "b" / "b.parquet").read_bytes()


def test_a_failure_leaves_no_file(tmp_path):
    def broken():
        yield from make_samples(120)
        raise ValueError("broken")

    with pytest.raises(ValueError, match=r"^broken$"):
        write_shard(broken(), tmp_path / "a.parquet")
    assert list(tmp_path.iterdir()) == []


def test_an_annotation_comes_back_whatever_its_values():
    annotation = np.arange(256, dtype=np.uint8).reshape(8, 32)
    with Image.open(io.BytesIO(encode_annotation(annotation))) as image:
        np.testing.assert_array_equal(np.asarray(image), annotation)
