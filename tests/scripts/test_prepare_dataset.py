# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""From archives as they are downloaded to a data set folder, by the command that users run."""

import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image

from paumer_hf.data import get_dataset_description, load_segmentation_dataset


ROOT = Path(__file__).resolve().parents[2]
ADE20K_SAMPLE = ROOT.parent / "shared" / "data" / "ade20k_sample"

# From the label table of Cityscapes: labelId of each train id.
CITYSCAPES_LABEL_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)

CITY_IMAGE = "leftImg8bit/train/bochum/bochum_000001_000019_leftImg8bit.png"
CITY_LABELS = "gtFine/train/bochum/bochum_000001_000019_gtFine_labelIds.png"
ADE_IMAGE = "ADEChallengeData2016/images/training/ADE_train_00000002.jpg"
ADE_LABELS = "ADEChallengeData2016/annotations/training/ADE_train_00000002.png"


@pytest.fixture(autouse=True)
def private_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()


def read_files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def read_members(paths):
    members = {}
    for path in paths:
        with zipfile.ZipFile(path) as archive:
            members |= {name: archive.read(name) for name in archive.namelist()}
    return members


def train_ids(dataset, raw):
    """Train ids of raw labels, by the tables of the two benchmarks."""
    if dataset == "ade20k":
        return (raw.astype(int) - 1).astype(np.uint8)  # 0, void, becomes 255
    expected = np.full(raw.shape, 255, np.uint8)
    for train_id, label_id in enumerate(CITYSCAPES_LABEL_IDS):
        expected[raw == label_id] = train_id
    return expected


def member_names(dataset, sample_id, split):
    """Names of the image and of the annotation of a sample inside the release."""
    if dataset == "ade20k":
        folder = {"train": "training"}.get(split, split)
        top = "ADEChallengeData2016"
        return f"{top}/images/{folder}/{sample_id}.jpg", f"{top}/annotations/{folder}/{sample_id}.png"
    place = f"{ {'validation': 'val'}.get(split, split) }/{sample_id.partition('_')[0]}/{sample_id}"
    return f"leftImg8bit/{place}_leftImg8bit.png", f"gtFine/{place}_gtFine_labelIds.png"


@pytest.fixture(params=["cityscapes", "ade20k"])
def dataset(request):
    return request.param


@pytest.fixture
def make_release(dataset, make_cityscapes_release, make_ade20k_release):
    return make_cityscapes_release if dataset == "cityscapes" else make_ade20k_release


def test_what_datasets_reads_is_what_was_released(run_script, dataset, make_release, tmp_path, capsys):
    paths = make_release(tmp_path / "release")
    run_script("prepare_dataset.py", dataset, *paths, "--output", tmp_path / "folder")
    printed = capsys.readouterr().out
    assert "3 train and 2 validation samples in 2 shards.\n" in printed
    assert ("NOTICE: The licence of 'cityscapes' forbids" in printed) == (dataset == "cityscapes")

    members = read_members(paths)
    loaded = datasets.load_dataset(str(tmp_path / "folder"))
    assert {split: len(rows) for split, rows in loaded.items()} == {"train": 3, "validation": 2}
    for split, rows in loaded.items():
        assert rows["id"] == sorted(rows["id"])
        assert list(rows.features) == ["id", "image", "annotation"]
        stored = rows.cast_column("image", datasets.Image(decode=False))
        for row, encoded in zip(rows, stored, strict=True):
            image, labels = member_names(dataset, row["id"], split)
            assert encoded["image"] == {"bytes": members[image], "path": Path(image).name}
            raw = np.asarray(Image.open(io.BytesIO(members[labels])))
            np.testing.assert_array_equal(np.asarray(row["annotation"]), train_ids(dataset, raw))
    names = json.loads((tmp_path / "folder" / "id2label.json").read_text())
    assert (len(names), names["0"]) == ((19, "road") if dataset == "cityscapes" else (150, "wall"))


def test_the_package_reads_the_same_from_the_folder_as_from_the_release(run_script, dataset, make_release, tmp_path):
    paths = make_release(tmp_path / "release")
    run_script("prepare_dataset.py", dataset, *paths, "--output", tmp_path / "folder", "--shard_bytes", 1)
    description = get_dataset_description(dataset)
    for split in ("train", "validation"):
        prepared, released = (
            load_segmentation_dataset(description, split, tmp_path / name) for name in ("folder", "release")
        )
        assert len(prepared) == len(released) > 1
        for index in range(len(prepared)):
            sample, expected = prepared[index], released[index]
            assert (sample.id, sample.image.tobytes()) == (expected.id, expected.image.tobytes())
            np.testing.assert_array_equal(sample.annotation, expected.annotation)


def test_archives_and_folders_give_the_same_data(run_script, dataset, make_release, tmp_path):
    found = []
    for zipped in (True, False):
        paths = make_release(tmp_path / f"release {zipped}", zipped=zipped)
        run_script("prepare_dataset.py", dataset, *paths, "--output", tmp_path / f"folder {zipped}")
        found.append(read_files(tmp_path / f"folder {zipped}"))
    # Where a release was read from shows in its fingerprint alone.
    assert {name for name in found[0] if found[0][name] != found[1].get(name)} == {
        "preparation.json",
        "checksums.sha256",
    }
    assert found[0].keys() == found[1].keys()


def test_prepared_twice_is_the_same_and_says_so(run_script, dataset, make_release, tmp_path, capsys):
    for name in ("first", "second"):  # archives that were packed at another time are the same release
        paths = make_release(tmp_path / name / "release")
        run_script(
            "prepare_dataset.py", dataset, *paths, "--output", tmp_path / name / "folder", "--shard_bytes", 3000
        )
    first, second = (read_files(tmp_path / name / "folder") for name in ("first", "second"))
    assert first == second
    assert len([name for name in first if name.startswith("data/train")]) > 1
    capsys.readouterr()
    run_script("prepare_dataset.py", dataset, *paths, "--output", tmp_path / "first" / "folder", "--shard_bytes", 3000)
    assert "is finished: it was made from this release, and its checksums fit." in capsys.readouterr().out
    assert read_files(tmp_path / "first" / "folder") == first


def encode(array):
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "PNG")
    return stream.getvalue()


def break_release(dataset, mistake, members):
    """Changes that break a release, and the words that the refusal must have in it."""
    image, labels = (CITY_IMAGE, CITY_LABELS) if dataset == "cityscapes" else (ADE_IMAGE, ADE_LABELS)
    raw = np.asarray(Image.open(io.BytesIO(members[labels])))
    unknown = raw.copy()
    unknown[0, 0] = 77 if dataset == "cityscapes" else 151
    return {
        "missing annotation": ({labels: None}, ("1 without annotation: ", image)),
        "missing image": ({image: None}, ("1 without image: ", labels)),
        "wrong size": ({labels: encode(raw[:-1])}, (labels, f"got {raw[:-1].shape}")),
        "unknown label": ({labels: encode(unknown)}, (labels, str(unknown[0, 0]))),
        "truncated image": ({image: members[image][: len(members[image]) // 2]}, (image, "truncated")),
        "truncated annotation": ({labels: members[labels][: len(members[labels]) // 2]}, (labels, "truncated")),
        "climbing path": ({f"{Path(image).parent}/../../../../evil.png": members[image]}, ("/../../../../evil.png",)),
    }[mistake]


@pytest.mark.parametrize(
    "mistake",
    [
        *("missing annotation", "missing image", "wrong size", "unknown label", "truncated image"),
        *("truncated annotation", "climbing path"),
    ],
)
def test_a_broken_release_is_refused_by_name(run_script, dataset, make_release, tmp_path, mistake):
    members = read_members(make_release(tmp_path / "whole"))
    changes, words = break_release(dataset, mistake, members)
    paths = make_release(tmp_path / "broken" / "release", changes=changes)
    before = read_files(tmp_path)
    arguments = ("--output", tmp_path / "broken" / "folder", "--shard_bytes", 1)
    with pytest.raises(SystemExit, match=r"^prepare_dataset\.py: ") as info:
        run_script("prepare_dataset.py", dataset, *paths, *arguments)
    assert all(word in str(info.value) for word in words), info.value
    assert "\n" not in str(info.value)
    assert read_files(tmp_path) == before
    assert sorted(path.name for path in (tmp_path / "broken").iterdir()) == ["release"]


def test_a_missing_split_must_be_allowed(run_script, make_ade20k_release, tmp_path, capsys):
    arguments = ("ade20k", *make_ade20k_release(tmp_path / "release", train=0), "--output", tmp_path / "folder")
    with pytest.raises(SystemExit, match=r"^prepare_dataset\.py: .*'train'"):
        run_script("prepare_dataset.py", *arguments)
    assert not (tmp_path / "folder").exists()
    run_script("prepare_dataset.py", *arguments, "--allow_missing_splits")
    assert list(datasets.load_dataset(str(tmp_path / "folder"))) == ["validation"]
    assert "2 validation samples in 1 shard.\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--push_to_hub", "a/b/c"), "--push_to_hub a/b/c cannot be reached: Repo id must be"),
        (("--push_to_hub", "a/b"), "--push_to_hub a/b cannot be reached: "),
        (("--shard_bytes", 0), "shard_bytes must be positive, got 0"),
    ],
    ids=str,
)
def test_mistakes_end_in_one_sentence_before_the_work(
    run_script, make_ade20k_release, tmp_path, monkeypatch, arguments, message
):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    paths = make_ade20k_release(tmp_path / "release")
    with pytest.raises(SystemExit, match=r"^prepare_dataset\.py: ") as info:
        run_script("prepare_dataset.py", "ade20k", *paths, "--output", tmp_path / "folder", *arguments)
    assert message in str(info.value)
    assert "\n" not in str(info.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["release"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_killed_and_run_again_is_as_if_run_once(make_cityscapes_release, tmp_path, number):
    paths = make_cityscapes_release(tmp_path / "release", train=40, val=10, size=(128, 256))

    def command(output):
        script = str(ROOT / "scripts" / "prepare_dataset.py")
        options = ["--output", str(output), "--shard_bytes", "1"]
        return [sys.executable, script, "cityscapes", *map(str, paths), *options]

    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command(tmp_path / "folder"), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    shards = tmp_path / ".folder.partial" / "content" / "data"
    while process.poll() is None and len(list(shards.glob("[!.]*"))) < 5:
        time.sleep(0.001)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode not in (0, None), "it must be killed before its end"
    assert not (tmp_path / "folder").exists()
    if number == signal.SIGINT:
        assert "prepare_dataset.py: interrupted; " in errors
        assert "run the same again to go on" in errors
        assert "Traceback" not in errors

    for output in ("folder", "once"):
        result = subprocess.run(
            command(tmp_path / output), env=environment, capture_output=True, text=True, timeout=120
        )
        assert result.returncode == 0, result.stderr
        assert ("going on in" in result.stdout) == (output == "folder")
        assert ("of them from before" in result.stdout) == (output == "folder")
    assert read_files(tmp_path / "folder") == read_files(tmp_path / "once")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "once", "release"]


@pytest.mark.skipif(not ADE20K_SAMPLE.is_dir(), reason="the images of ADE20K are not beside the repository")
def test_photographs_of_ade20k(run_script, tmp_path):
    run_script(
        "prepare_dataset.py", "ade20k", ADE20K_SAMPLE, "--output", tmp_path / "folder", "--allow_missing_splits"
    )
    rows = datasets.load_dataset(str(tmp_path / "folder"), split="validation")
    assert rows["id"] == [f"ADE_val_{number:08d}" for number in (1, 2, 3)]
    for row in rows:
        labels = np.asarray(Image.open(ADE20K_SAMPLE / "annotations" / "validation" / f"{row['id']}.png"))
        np.testing.assert_array_equal(np.asarray(row["annotation"]), train_ids("ade20k", labels))
        with Image.open(ADE20K_SAMPLE / "images" / "validation" / f"{row['id']}.jpg") as image:
            np.testing.assert_array_equal(np.asarray(row["image"]), np.asarray(image))
