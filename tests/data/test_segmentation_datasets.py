# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Reading data sets: labels as raw integers, mapped by a table; errors that name what there is."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from PIL import Image

from paumer_hf.data.dataset_descriptions import DatasetDescription, get_dataset_description
from paumer_hf.data.segmentation_datasets import SegmentationDataset, load_segmentation_dataset


PAIR = DatasetDescription(name="pair", class_names=("a", "b", "c"), label_mapping={0: 0, 7: 1, 40000: 2})
SIZE = (6, 8)
CAMVID = Path(__file__).resolve().parents[3] / "shared" / "data" / "camvid"


class Row:
    """Rows that hold one sample, given as columns."""

    def __init__(self, **columns: Any) -> None:
        self.columns, self.reads = columns, 0

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        self.reads += 1
        return {"id": "only", "image": Image.new("RGB", (SIZE[1], SIZE[0])), **self.columns}


def raw_labels(dtype: type = np.uint8) -> np.ndarray:
    raw = np.zeros(SIZE, dtype=dtype)
    raw[1, :3] = 7
    raw[2] = 11
    return raw


def png(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "PNG")
    return stream.getvalue()


def make_rows(count: int) -> datasets.Dataset:
    columns: dict[str, list] = {"id": [], "image": [], "annotation": []}
    for index in range(count):
        columns["id"].append(f"sample{index}")
        columns["image"].append({"bytes": png(np.full((*SIZE, 3), 10 * index, np.uint8)), "path": None})
        columns["annotation"].append({"bytes": png(raw_labels()), "path": None})
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
    make_rows(3).to_parquet(folder / "train-00000-of-00001.parquet")
    make_rows(2).to_parquet(folder / "validation-00000-of-00001.parquet")
    return folder


def expected_labels() -> np.ndarray:
    labels = np.zeros(SIZE, np.uint8)
    labels[1, :3] = 1
    labels[2] = 255
    return labels


def check_split(samples: SegmentationDataset, count: int) -> None:
    assert len(samples) == count
    assert [sample.id for sample in samples] == [f"sample{index}" for index in range(count)]
    sample = samples[1]
    assert sample.image.mode == "RGB"
    assert sample.image.size == (SIZE[1], SIZE[0])
    assert sample.image.getpixel((0, 0)) == (10, 10, 10)
    assert sample.annotation.dtype == np.uint8
    np.testing.assert_array_equal(sample.annotation, expected_labels())


def test_a_folder_of_parquet_files_is_read(parquet_folder: Path) -> None:
    check_split(load_segmentation_dataset(PAIR, "train", parquet_folder), 3)
    check_split(load_segmentation_dataset(PAIR, "validation", str(parquet_folder)), 2)


def test_a_folder_written_by_save_to_disk_is_read(tmp_path: Path) -> None:
    datasets.DatasetDict({"train": make_rows(3), "val": make_rows(2)}).save_to_disk(tmp_path / "dict")
    description = get_dataset_description(
        tmp_path / "dict", class_names=("a", "b", "c"), label_mapping={0: 0, 7: 1}, validation_split="val"
    )
    check_split(load_segmentation_dataset(description, "train"), 3)
    check_split(load_segmentation_dataset(description, "validation"), 2)
    with pytest.raises(ValueError, match=r"has no split 'test'; it has \['train', 'val'\]"):
        load_segmentation_dataset(description, "test")

    make_rows(2).save_to_disk(tmp_path / "single")
    check_split(load_segmentation_dataset(PAIR, "train", tmp_path / "single"), 2)


def test_columns_of_encoded_bytes_are_decoded(tmp_path: Path) -> None:
    rows = datasets.Dataset.from_dict({"picture": [png(np.zeros((*SIZE, 3), np.uint8))], "mask": [png(raw_labels())]})
    (tmp_path / "bytes").mkdir()
    rows.to_parquet(tmp_path / "bytes" / "train.parquet")
    description = get_dataset_description(
        tmp_path / "bytes", class_names=("a", "b"), label_mapping={0: 0, 7: 1}, image_column="picture",
        annotation_column="mask", id_column=None,
    )  # fmt: skip
    sample = load_segmentation_dataset(description, "train")[0]
    assert sample.id == "0"
    np.testing.assert_array_equal(sample.annotation, expected_labels())


def test_a_missing_split_names_those_there_are(parquet_folder: Path) -> None:
    with pytest.raises(ValueError, match=r"has no split 'test'; it has \['train', 'validation'\].*validation_split"):
        load_segmentation_dataset(PAIR, "test", parquet_folder)


def test_a_missing_column_names_those_there_are(parquet_folder: Path) -> None:
    description = DatasetDescription(name="pair", class_names=("a",), annotation_column="mask")
    with pytest.raises(ValueError, match=r"has no column 'mask'; it has \['annotation', 'id', 'image'\]"):
        load_segmentation_dataset(description, "train", parquet_folder)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"path must be an existing folder or a Hub id, got '.*nothing'"):
        load_segmentation_dataset(PAIR, "train", tmp_path / "nothing")


def test_camvid_asks_for_its_path() -> None:
    with pytest.raises(ValueError, match=r"'camvid' has no default path; pass path="):
        load_segmentation_dataset(get_dataset_description("camvid"), "train")


def test_options_of_generated_data_sets_are_refused_for_others(parquet_folder: Path) -> None:
    with pytest.raises(ValueError, match=r"num_samples: options of generated data sets, but 'pair'"):
        load_segmentation_dataset(PAIR, "train", parquet_folder, num_samples=3)


def palette_image() -> Image.Image:
    image = Image.fromarray(raw_labels()).convert("L")
    image = Image.frombytes("P", image.size, image.tobytes())
    # Colours that would give other values, were they used.
    image.putpalette([200, 100, 50] * 256)
    return image


@pytest.mark.parametrize(
    "label_image",
    [
        Image.fromarray(raw_labels()),
        palette_image(),
        Image.fromarray(raw_labels(np.uint16)),
        Image.fromarray(raw_labels(np.int32)),
    ],
    ids=lambda image: image.mode,
)
def test_labels_are_raw_integers_in_every_mode(label_image: Image.Image) -> None:
    sample = SegmentationDataset(Row(annotation=label_image), PAIR)[0]
    np.testing.assert_array_equal(sample.annotation, expected_labels())


def test_large_and_negative_raw_values_are_mapped_or_ignored() -> None:
    raw = np.array([[40000, 65535, 0, 39999]], dtype=np.uint16)
    row = Row(image=Image.new("RGB", (4, 1)), annotation=Image.fromarray(raw))
    np.testing.assert_array_equal(SegmentationDataset(row, PAIR)[0].annotation, [[2, 255, 0, 255]])

    raw = np.array([[-1, 70000, 7, 2_000_000]], dtype=np.int32)
    row = Row(image=Image.new("RGB", (4, 1)), annotation=Image.fromarray(raw))
    np.testing.assert_array_equal(SegmentationDataset(row, PAIR)[0].annotation, [[255, 255, 1, 255]])


def test_mapping_follows_the_dictionary_for_every_8_bit_value() -> None:
    raw = np.arange(256, dtype=np.uint8).reshape(16, 16)
    row = Row(image=Image.new("RGB", (16, 16)), annotation=Image.fromarray(raw))
    expected = [[PAIR.label_mapping.get(int(value), 255) for value in line] for line in raw]
    np.testing.assert_array_equal(SegmentationDataset(row, PAIR)[0].annotation, expected)


def test_cached_samples_are_read_once() -> None:
    row = Row(annotation=Image.fromarray(raw_labels()))
    cached = SegmentationDataset(row, PAIR, cache=True)
    assert cached[0] is cached[-1]
    assert row.reads == 1
    uncached = SegmentationDataset(row, PAIR)
    assert uncached[0] is not uncached[0]


def test_an_index_beyond_the_end_is_refused() -> None:
    with pytest.raises(IndexError, match=r"index must be in \[-1, 1\), got 1"):
        SegmentationDataset(Row(annotation=Image.fromarray(raw_labels())), PAIR)[1]


def test_street_scenes_are_loaded_by_name() -> None:
    description = get_dataset_description("street_scenes")
    samples = load_segmentation_dataset(description, "validation", size=(32, 48), num_samples=4, seed=3)
    assert len(samples) == 4
    assert samples.description is description
    sample = samples[2]
    assert sample.id == "validation-00002"
    assert sample.annotation.shape == (32, 48)
    assert sample.annotation.max() < description.num_labels
    assert samples[2] is sample
    again = load_segmentation_dataset(description, "validation", size=(32, 48), num_samples=4, seed=3, cache=False)
    assert again[2] is not again[2]
    np.testing.assert_array_equal(again[2].annotation, sample.annotation)


@pytest.mark.skipif(not CAMVID.is_dir(), reason="CamVid does not lie beside the repository")
def test_camvid_is_read() -> None:
    description = get_dataset_description("camvid")
    samples = load_segmentation_dataset(description, "validation", CAMVID)
    assert len(samples) == 101
    image, annotation = samples[0].image, samples[0].annotation
    assert image.size == (480, 360)
    assert annotation.shape == (360, 480)
    assert set(np.unique(annotation).tolist()) <= {*range(11), 255}
    # Sky lies above road.
    rows = np.arange(360)[:, None] * np.ones((1, 480))
    assert rows[annotation == 0].mean() < 150 < rows[annotation == 3].mean()


def test_samples_without_a_name_are_numbered(tmp_path: Path) -> None:
    """Most data sets of the Hub have the columns `image` and `annotation` alone."""
    images = [Image.new("RGB", (4, 3)), Image.new("RGB", (4, 3))]
    rows = datasets.Dataset.from_dict(
        {"image": images, "annotation": [Image.new("L", (4, 3))] * 2},
        features=datasets.Features({"image": datasets.Image(), "annotation": datasets.Image()}),
        split="train",
    )
    rows.save_to_disk(tmp_path)
    description = get_dataset_description("mine", class_names=["a", "b"])
    assert [sample.id for sample in load_segmentation_dataset(description, "train", tmp_path)] == ["0", "1"]
    with pytest.raises(ValueError, match="has no split 'validation'"):
        load_segmentation_dataset(description, "validation", tmp_path)
