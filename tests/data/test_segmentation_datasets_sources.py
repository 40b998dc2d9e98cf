# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Where data sets are read from: releases, known copies and revisions on the Hub, streams; damaged samples by name."""

import dataclasses
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from PIL import Image

from paumer_hf.data import BadSampleError, SegmentationStream, get_dataset_description, load_segmentation_dataset
from paumer_hf.data.dataset_descriptions import DatasetDescription


SIZE = (6, 8)
PLAIN = DatasetDescription(name="plain", class_names=("a", "b", "c"))


def encode(array: np.ndarray) -> dict[str, Any]:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "PNG")
    return {"bytes": stream.getvalue(), "path": None}


def make_rows(count: int, **changes: dict[int, Any]) -> datasets.Dataset:
    """Rows of plain colours and labels; `changes` replaces what is stored, by column and number."""
    columns = {
        "id": [f"sample{number}" for number in range(count)],
        "image": [encode(np.full((*SIZE, 3), number, np.uint8)) for number in range(count)],
        "annotation": [encode(np.full(SIZE, number % 3, np.uint8)) for number in range(count)],
    }
    for column, values in changes.items():
        for number, value in values.items():
            columns[column][number] = value
    image = datasets.Image()
    features = datasets.Features({"id": datasets.Value("string"), "image": image, "annotation": image})
    return datasets.Dataset.from_dict(columns, features=features)


@pytest.fixture(autouse=True)
def private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()


@pytest.fixture
def parquet_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "parquet"
    folder.mkdir()
    make_rows(5).to_parquet(folder / "train-00000-of-00001.parquet")
    make_rows(2).to_parquet(folder / "validation-00000-of-00001.parquet")
    return folder


def test_a_damaged_row_is_named_and_leaves_the_others_alone(tmp_path: Path) -> None:
    whole = encode(np.zeros((*SIZE, 3), np.uint8))["bytes"]
    rows = make_rows(
        5,
        image={
            1: {"bytes": whole[: len(whole) // 2], "path": "frankfurt.png"},
            2: {"bytes": b"no image", "path": None},
        },
        annotation={3: encode(np.full(SIZE, 9, np.uint8))},
    )
    (tmp_path / "damaged").mkdir()
    rows.to_parquet(tmp_path / "damaged" / "train.parquet")
    samples = load_segmentation_dataset(PLAIN, "train", tmp_path / "damaged")
    assert [samples[number].id for number in (0, 4)] == ["sample0", "sample4"]
    for number, cause in (
        (1, r"'image' \(frankfurt.png\) cannot be decoded"),
        (2, r"'image' cannot be decoded \(UnidentifiedImageError"),
        (3, r"labels must be 0 to 2, or 255 where ignored, got \[9\]"),
    ):
        with pytest.raises(BadSampleError, match=rf"^sample 'sample{number}': {cause}") as caught:
            samples[number]
        assert caught.value.sample_id == f"sample{number}"


def test_an_image_folder_is_read_and_a_damaged_file_named(tmp_path: Path) -> None:
    folder = tmp_path / "images" / "train"
    folder.mkdir(parents=True)
    lines = []
    for number in range(3):
        for name, array in ((f"{number}.png", np.zeros((*SIZE, 3), np.uint8)), (f"{number}_is.png", np.ones(SIZE))):
            (folder / name).write_bytes(encode(array.astype(np.uint8))["bytes"])
        lines.append({"file_name": f"{number}.png", "annotation_file_name": f"{number}_is.png", "id": f"x{number}"})
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (folder / "1.png").write_bytes((folder / "1.png").read_bytes()[:40])

    samples = load_segmentation_dataset(PLAIN, "train", tmp_path / "images")
    (folder / "2.png").unlink()
    assert (samples[0].annotation == 1).all()
    with pytest.raises(BadSampleError, match=r"sample 'x1': 'image' \(.*1.png\) cannot be decoded"):
        samples[1]
    with pytest.raises(BadSampleError, match=r"sample 'x2': the file of 'image', '.*2.png', cannot be read"):
        samples[2]
    with pytest.raises(ValueError, match=r"only Parquet files can be read as a stream, but '.*images' has .*; leave"):
        load_segmentation_dataset(PLAIN, "train", tmp_path / "images", streaming=True)


def test_a_stream_has_the_samples_of_the_folder(parquet_folder: Path) -> None:
    read = load_segmentation_dataset(PLAIN, "train", parquet_folder)
    stream = load_segmentation_dataset(PLAIN, "train", parquet_folder, streaming=True, buffer_size=3)
    assert isinstance(stream, SegmentationStream)
    assert (len(stream), stream.buffer_size, stream.description) == (5, 3, PLAIN)
    for one, other in zip(read, stream, strict=True):
        assert one.id == other.id
        np.testing.assert_array_equal(np.asarray(one.image), np.asarray(other.image))
        np.testing.assert_array_equal(one.annotation, other.annotation)
    renamed = dataclasses.replace(PLAIN, validation_split="train")
    assert len(load_segmentation_dataset(renamed, "validation", parquet_folder, streaming=True)) == 5


def test_streams_are_refused_where_they_would_say_nothing(parquet_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no split 'test'; it has \['train', 'validation'\]"):
        load_segmentation_dataset(PLAIN, "test", parquet_folder, streaming=True)
    with pytest.raises(FileNotFoundError, match=r"path must be an existing folder or a Hub id, got '.*nothing'"):
        load_segmentation_dataset(PLAIN, "train", tmp_path / "nothing", streaming=True)
    with pytest.raises(ValueError, match="cache=True has no meaning here: a stream is for what"):
        load_segmentation_dataset(PLAIN, "train", parquet_folder, streaming=True, cache=True)
    make_rows(2).save_to_disk(tmp_path / "saved")
    with pytest.raises(ValueError, match=r"streaming=True has no meaning here: '.*saved' was written by save_to_disk"):
        load_segmentation_dataset(PLAIN, "train", tmp_path / "saved", streaming=True)
    with pytest.raises(ValueError, match="streaming=True has no meaning here: 'street_scenes' is drawn"):
        load_segmentation_dataset(get_dataset_description("street_scenes"), "train", streaming=True)


def test_revisions_are_refused_where_there_are_none(parquet_folder: Path) -> None:
    message = "revision='main' has no meaning here: "
    with pytest.raises(ValueError, match=message + "'.*parquet' is on this machine"):
        load_segmentation_dataset(PLAIN, "train", parquet_folder, revision="main")
    with pytest.raises(ValueError, match=message + "'street_scenes' is drawn"):
        load_segmentation_dataset(get_dataset_description("street_scenes"), "train", revision="main")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, parquet_folder: Path) -> list[tuple]:
    """What `datasets` was asked for; it finds the rows of a folder under any Hub id."""
    asked: list[tuple] = []
    load, build = datasets.load_dataset, datasets.load_dataset_builder

    def load_dataset(path: str, split: str, revision: str | None = None) -> Any:
        asked.append((path, split, revision))
        return load(str(parquet_folder), split=split)

    def load_dataset_builder(path: str, revision: str | None = None) -> Any:
        asked.append((path, revision))
        return build(str(parquet_folder))

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.setattr(datasets, "load_dataset_builder", load_dataset_builder)
    return asked


def test_the_revision_is_that_of_the_call_or_else_of_the_description(hub: list[tuple]) -> None:
    described = dataclasses.replace(PLAIN, path="owner/name", revision="tag")
    load_segmentation_dataset(described, "train")
    load_segmentation_dataset(described, "train", "owner/name")
    load_segmentation_dataset(described, "train", revision="branch")
    load_segmentation_dataset(described, "train", "other/name")
    load_segmentation_dataset(described, "train", "other/name", revision="branch")
    assert [revision for _, _, revision in hub] == ["tag", "tag", "branch", None, "branch"]
    hub.clear()
    load_segmentation_dataset(described, "train", streaming=True)
    load_segmentation_dataset(described, "train", "other/name", streaming=True, revision="branch")
    assert hub == [("owner/name", "tag"), ("other/name", "branch")]


def test_a_known_hub_id_is_described(hub: list[tuple]) -> None:
    cityscapes = get_dataset_description("cityscapes")
    for streaming in (False, True):
        with pytest.raises(ValueError, match="has no column 'semantic_segmentation'"):
            load_segmentation_dataset(cityscapes, "train", "Chris1/cityscapes", streaming=streaming)
    with pytest.raises(ValueError, match="'zhoubolei/scene_parse_150' is a data set made by a script"):
        load_segmentation_dataset(get_dataset_description("ade20k"), "train", "zhoubolei/scene_parse_150")


def test_an_official_release_is_read_in_place(make_cityscapes_release: Callable, tmp_path: Path) -> None:
    make_cityscapes_release(tmp_path / "release")
    description = get_dataset_description("cityscapes")
    samples = load_segmentation_dataset(description, "validation", tmp_path / "release")
    assert len(samples) == 2
    assert samples.description == description
    sample = samples[0]
    assert (sample.id, sample.image.mode) == ("frankfurt_000000_000019", "RGB")
    assert sample.annotation.shape == (sample.image.height, sample.image.width)
    assert set(np.unique(sample.annotation).tolist()) <= {*range(19), 255}
    with pytest.raises(ValueError, match=r"streaming=True has no meaning here: '.*release' is an official release"):
        load_segmentation_dataset(description, "train", tmp_path / "release", streaming=True)


def test_a_damaged_sample_of_a_release_is_named(make_cityscapes_release: Callable, tmp_path: Path) -> None:
    name = "leftImg8bit/val/lindau/lindau_000001_000019_leftImg8bit.png"
    make_cityscapes_release(tmp_path, zipped=False, changes={name: b"no image"})
    samples = load_segmentation_dataset(get_dataset_description("cityscapes"), "validation", tmp_path)
    assert samples[0].id == "frankfurt_000000_000019"
    with pytest.raises(BadSampleError, match=f"^sample 'lindau_000001_000019': .*{name}' cannot be decoded") as caught:
        samples[1]
    assert caught.value.sample_id == "lindau_000001_000019"
