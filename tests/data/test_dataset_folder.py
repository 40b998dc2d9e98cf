# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The folder of a release: the same bytes whatever happened on the way, and nothing half-written."""

import hashlib
import io
import json
import re
import shutil
import subprocess

import datasets
import numpy as np
import pytest
from PIL import Image

from paumer_hf.data.dataset_descriptions import DatasetDescription
from paumer_hf.data.dataset_folder import write_dataset_folder
from paumer_hf.data.dataset_shards import plan_shards
from paumer_hf.data.official_releases import ReleaseEntry, ReleaseError, ReleaseSample


DOCUMENTS = {"README.md", "checksums.sha256", "id2label.json", "preparation.json"}
COUNTS = {"train": 7, "validation": 4}


class Release:
    """A release in memory. `failures`: exceptions that reading these samples raises; `reads`: what was read."""

    def __init__(self, counts=COUNTS, fingerprint="f00"):
        self.description = DatasetDescription(name="ade20k", class_names=("wall", "sky", "tree"))
        self.splits = {split: tuple(self._entry(split, place) for place in range(counts[split])) for split in counts}
        self.fingerprint = fingerprint
        self.failures, self.reads = {}, []

    @staticmethod
    def _entry(split, place):
        return ReleaseEntry(f"{split}_{place:03d}", f"{split}_{place:03d}.png", "", 100)

    def read(self, entry):
        if entry.id in self.failures:
            raise self.failures[entry.id]
        self.reads.append(entry.id)
        generator = np.random.default_rng(sum(entry.id.encode()) + int(entry.id[-3:]) * 1000)
        annotation = generator.choice([0, 1, 2, 255], (5, 8)).astype(np.uint8)
        stream = io.BytesIO()
        Image.fromarray(generator.integers(0, 256, (5, 8, 3), dtype=np.uint8)).save(stream, "PNG")
        return ReleaseSample(entry.id, stream.getvalue(), entry.image, annotation)


def write(release, output, **options):
    """Write with about two samples in a shard: 4 shards of the training split, 2 of the validation split."""
    return write_dataset_folder(release, output, **{"shard_bytes": 200, "progress": False, **options})


def read_files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def expected(tmp_path):
    """The files of the folder as they are written without interruption."""
    write(Release(), tmp_path / "expected" / "folder")
    return read_files(tmp_path / "expected" / "folder")


@pytest.fixture(autouse=True)
def private_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()


# --- what is in it ---


def test_the_same_release_is_the_same_bytes(tmp_path, expected):
    shards = {f"data/train-{k:05d}-of-00004.parquet" for k in range(4)}
    shards |= {f"data/validation-{k:05d}-of-00002.parquet" for k in range(2)}
    assert set(expected) == shards | DOCUMENTS
    folder = write(Release(), tmp_path / "elsewhere" / "other name")
    assert read_files(folder.path) == expected
    assert not any(str(tmp_path).encode() in content for content in expected.values())
    assert str(folder).endswith("7 train and 4 validation samples in 6 shards.")


@pytest.mark.parametrize("streaming", [False, True])
def test_datasets_reads_what_the_release_has(tmp_path, streaming):
    release = Release()
    write(release, tmp_path / "folder")
    loaded = datasets.load_dataset(str(tmp_path / "folder"), streaming=streaming)
    assert set(loaded) == {"train", "validation"}
    for split, rows in loaded.items():
        image = datasets.Image()
        assert rows.features == {"id": datasets.Value("string"), "image": image, "annotation": image}
        samples = [release.read(entry) for entry in release.splits[split]]
        for row, sample in zip(rows, samples, strict=True):
            assert row["id"] == sample.id
            np.testing.assert_array_equal(np.asarray(row["annotation"]), sample.annotation)
            np.testing.assert_array_equal(np.asarray(row["image"]), np.asarray(Image.open(io.BytesIO(sample.image))))
        rows = rows.cast_column("image", datasets.Image(decode=False))
        stored = [row["image"] for row in rows]
        assert stored == [{"bytes": sample.image, "path": sample.image_name} for sample in samples]


def test_the_card_has_the_sizes_that_datasets_finds(tmp_path):
    write(Release(), tmp_path / "folder")
    text = (tmp_path / "folder" / "README.md").read_text()
    stated = dict(re.findall(r"name: (train|validation)\n    num_bytes: (\d+)", text))
    found = datasets.load_dataset(str(tmp_path / "folder"))["train"].info
    assert found.splits["train"].num_bytes == int(stated["train"])
    assert found.splits["validation"].num_bytes == int(stated["validation"])
    files = (tmp_path / "folder" / "data").iterdir()
    assert f"download_size: {sum(path.stat().st_size for path in files)}\n" in text


def test_checksums_fit_all_files(tmp_path, expected):
    lines = expected["checksums.sha256"].decode().splitlines()
    stated = {name: checksum for checksum, _, name in (line.partition("  ") for line in lines)}
    assert list(stated) == sorted(stated)
    assert stated == {
        name: hashlib.sha256(content).hexdigest() for name, content in expected.items() if name != "checksums.sha256"
    }


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not installed")
def test_sha256sum_reads_the_checksums(tmp_path, expected):
    command = ["sha256sum", "--check", "--strict", "checksums.sha256"]
    subprocess.run(command, cwd=tmp_path / "expected" / "folder", check=True, capture_output=True)


def test_names_of_labels_are_read_as_transformers_has_them(expected):
    assert {int(label): name for label, name in json.loads(expected["id2label.json"]).items()} == {
        0: "wall",
        1: "sky",
        2: "tree",
    }


# --- interruptions ---


@pytest.mark.parametrize("kind", [KeyboardInterrupt, OSError])
@pytest.mark.parametrize(("last", "num_kept"), [("train_002", 1), ("train_006", 3), ("validation_003", 5)])
def test_an_interruption_is_taken_up(tmp_path, expected, kind, last, num_kept):
    release, output, said = Release(), tmp_path / "folder", []
    release.failures = {last: kind("disk full")}
    with pytest.raises(kind, match=rf"{num_kept} finished shards are kept in .*\.folder\.partial: run the same again"):
        write(release, output)
    assert [path.name for path in tmp_path.iterdir() if path.name != "expected"] == [".folder.partial"]

    release.failures, release.reads = {}, []
    folder = write(release, output, say=said.append)
    assert read_files(output) == expected
    assert folder.num_kept == num_kept
    assert str(folder).endswith(f"in 6 shards, {num_kept} of them from before.")
    assert said == [f"going on in {tmp_path / '.folder.partial'}: {num_kept} of 6 shards are there already."]
    kept = [entry.id for shard in plan_shards(release.splits, 200)[:num_kept] for entry in shard.entries]
    everything = [entry.id for split in COUNTS for entry in release.splits[split]]
    assert release.reads == everything[len(kept) :], "only what is missing is read"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["expected", "folder"]


def test_an_interruption_before_the_first_shard_leaves_nothing(tmp_path):
    release = Release()
    release.failures = {"train_000": KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt, match=r"^interrupted; nothing is left behind\.$"):
        write(release, tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []


def interrupt(output, last="train_006", **changes):
    """Leave a partial folder with the shards before that of a sample."""
    release = Release(**changes)
    release.failures = {last: KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt):
        write(release, output)
    return output.with_name(f".{output.name}.partial")


@pytest.mark.parametrize("failure", [ReleaseError("train_006.png is truncated"), RuntimeError("a mistake")], ids=repr)
def test_a_refused_sample_leaves_nothing_of_this_run_or_an_earlier_one(tmp_path, failure):
    output = tmp_path / "folder"
    interrupt(output, "train_004")
    release = Release()
    release.failures = {"train_006": failure}
    with pytest.raises(type(failure), match=f"^{failure}$"):
        write(release, output)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("release", "options", "differing"),
    [
        (Release(fingerprint="other"), {}, "fingerprint"),
        (Release({"train": 6, "validation": 4}, "other"), {}, "fingerprint, splits"),
        (Release(), {"shard_bytes": 300}, "shard_bytes"),
    ],
    ids=["release", "samples", "size of shards"],
)
def test_another_release_or_option_starts_anew(tmp_path, release, options, differing):
    partial, said = interrupt(tmp_path / "folder"), []
    write(release, tmp_path / "folder", say=said.append, **options)
    assert said == [f"starting anew: what lies in {partial} was made otherwise, there differs {differing}."]
    write(release, tmp_path / "direct", **options)
    assert read_files(tmp_path / "folder") == read_files(tmp_path / "direct")


def test_other_versions_of_the_encoders_start_anew(tmp_path, monkeypatch, expected):
    said = []
    interrupt(tmp_path / "folder")
    monkeypatch.setattr("PIL.__version__", "1.0")
    folder = write(Release(), tmp_path / "folder", say=said.append)
    assert folder.num_kept == 0
    assert said[0].endswith("there differs libraries.")
    assert read_files(tmp_path / "folder") == expected


@pytest.mark.parametrize("damage", ["shard changed", "shard cut", "shard gone", "record cut", "strange files"])
def test_a_damaged_partial_folder_does_no_harm(tmp_path, expected, damage):
    partial, said = interrupt(tmp_path / "folder"), []
    first = partial / "content" / "data" / "train-00000-of-00004.parquet"
    if damage == "shard changed":
        first.write_bytes(first.read_bytes()[:-9] + b"x" + first.read_bytes()[-8:])
    elif damage == "shard cut":
        first.write_bytes(first.read_bytes()[:100])
    elif damage == "shard gone":
        first.unlink()
    elif damage == "record cut":
        record = partial / "progress.json"
        record.write_text(record.read_text()[:-20])
    else:
        (partial / "content" / "data" / ".train-00001-of-00004.123.new.parquet").write_bytes(b"PAR1")
        (partial / "content" / "README.md").write_text("half")
    folder = write(Release(), tmp_path / "folder", say=said.append)
    assert read_files(tmp_path / "folder") == expected
    assert folder.num_kept == {"record cut": 0, "strange files": 3}.get(damage, 2)
    if damage in ("shard changed", "shard cut"):
        assert said[-1] == "data/train-00000-of-00004.parquet does not fit its checksum and is written again."


def test_one_process_at_a_time(tmp_path, expected):
    release, output = Release(), tmp_path / "folder"

    def read_while_another_begins(entry):
        with pytest.raises(OSError, match=r"another process is writing to .*\.folder\.partial; wait for its end"):
            write(Release(), output)
        return Release().read(entry)

    release.read = read_while_another_begins
    write(release, output)
    assert read_files(output) == expected


# --- what is there before ---


def test_a_finished_folder_is_not_made_again(tmp_path, expected):
    release, said, output = Release(), [], tmp_path / "expected" / "folder"
    release.failures = {entry.id: AssertionError() for entries in release.splits.values() for entry in entries}
    (tmp_path / "expected" / ".folder.partial").mkdir()  # of a run that was killed just before its end
    (tmp_path / "expected" / ".folder.partial" / "progress.json").write_text("{}")
    folder = write(release, output, say=said.append)
    assert said == [f"{output} is finished: it was made from this release, and its checksums fit."]
    assert folder.num_kept == folder.num_shards == 6
    assert read_files(tmp_path / "expected") == {f"folder/{name}": content for name, content in expected.items()}


def test_an_empty_folder_is_filled(tmp_path, expected):
    (tmp_path / "folder").mkdir()
    write(Release(), tmp_path / "folder")
    assert read_files(tmp_path / "folder") == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("other release", "was made otherwise: in its preparation.json differs fingerprint; name another folder"),
        ("shard changed", "train-00002-of-00004.parquet is missing or has changed; remove"),
        ("shard gone", "train-00002-of-00004.parquet is missing or has changed; remove"),
        ("no checksums", "is there and is no finished data set folder; name another or remove it"),
        ("foreign folder", "is there and is no finished data set folder; name another or remove it"),
        ("file", "is there and is no finished data set folder; name another or remove it"),
    ],
)
def test_what_is_there_is_never_replaced(tmp_path, expected, change, message):
    release, output = Release(), tmp_path / "expected" / "folder"
    shard = output / "data" / "train-00002-of-00004.parquet"
    if change == "other release":
        release.fingerprint = "other"
    elif change == "shard changed":
        shard.write_bytes(shard.read_bytes() + b"x")
    elif change == "shard gone":
        shard.unlink()
    elif change == "no checksums":
        (output / "checksums.sha256").unlink()
    else:
        output = tmp_path / "mine"
        if change == "file":
            output.write_text("mine")
        else:
            output.mkdir()
            (output / "letter.txt").write_text("mine")
    before = read_files(tmp_path)
    with pytest.raises(FileExistsError, match=message):
        write(release, output)
    assert read_files(tmp_path) == before


# --- what cannot be done ---


@pytest.mark.parametrize(("free", "has_room"), [(1154, False), (1155, True)])
def test_the_disk_must_have_room_for_what_is_missing(tmp_path, monkeypatch, free, has_room):
    usage = shutil.disk_usage(tmp_path)._replace(free=free)  # 11 samples of 100 bytes, and 5 % more
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    if has_room:
        write(Release(), tmp_path / "folder")
        return
    with pytest.raises(OSError, match=r"must have 0\.00 GB free, but has 0\.00 GB; make room or name another folder"):
        write(Release(), tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []


def test_the_disk_need_not_have_room_for_what_is_there(tmp_path, monkeypatch):
    interrupt(tmp_path / "folder")
    usage = shutil.disk_usage(tmp_path)._replace(free=600)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert write(Release(), tmp_path / "folder").num_kept == 3


@pytest.mark.parametrize("missing", ["train", "validation"])
def test_a_missing_split_is_refused_unless_it_is_allowed(tmp_path, missing):
    counts = {split: count for split, count in COUNTS.items() if split != missing}
    for release in (Release(counts), Release({**counts, missing: 0})):
        with pytest.raises(
            ValueError, match=rf"has no samples of \['{missing}'\]; complete it, or allow_missing_splits"
        ):
            write(release, tmp_path / "folder")
        assert not (tmp_path / "folder").exists()
    write(Release(counts), tmp_path / "folder", allow_missing_splits=True)
    loaded = datasets.load_dataset(str(tmp_path / "folder"))
    assert {split: len(rows) for split, rows in loaded.items()} == counts


def test_a_release_without_samples_is_refused_in_any_case(tmp_path):
    with pytest.raises(ValueError, match=r"has no samples of \['train', 'validation'\]; complete it\.$"):
        write(Release({}), tmp_path / "folder", allow_missing_splits=True)


@pytest.mark.parametrize("shard_bytes", [0, -5])
def test_shards_have_a_size(tmp_path, shard_bytes):
    with pytest.raises(ValueError, match=f"shard_bytes must be positive, got {shard_bytes}; 500000000 is usual"):
        write(Release(), tmp_path / "folder", shard_bytes=shard_bytes)
