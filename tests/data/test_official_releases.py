# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Releases of Cityscapes and ADE20K: what is found and paired, what a sample is, and what is refused by name."""

import copy
import io
import itertools
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from paumer_hf.data.cityscapes import LABELS
from paumer_hf.data.dataset_descriptions import get_dataset_description
from paumer_hf.data.official_releases import ReleaseError, ReleaseRows, find_release, open_release


SAMPLE = Path(__file__).resolve().parents[3] / "shared" / "data" / "ade20k_sample"
TRAIN_IMAGE = "leftImg8bit/train/bochum/bochum_000001_000019_leftImg8bit.png"
TRAIN_LABELS = "gtFine/train/bochum/bochum_000001_000019_gtFine_labelIds.png"
ADE_IMAGE = "ADEChallengeData2016/images/validation/ADE_val_00000001.jpg"
ADE_LABELS = "ADEChallengeData2016/annotations/validation/ADE_val_00000001.png"
CITYSCAPES_IDS = {
    "train": ["aachen_000000_000019", "aachen_000002_000019", "bochum_000001_000019"],
    "validation": ["frankfurt_000000_000019", "lindau_000001_000019"],
}
ADE20K_IDS = {
    "train": [f"ADE_train_0000000{number}" for number in (1, 2, 3)],
    "validation": ["ADE_val_00000001", "ADE_val_00000002"],
}


def encode(image: Image.Image, form: str = "PNG", **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def png(array: np.ndarray) -> bytes:
    return encode(Image.fromarray(array))


def ids_of(release) -> dict[str, list[str]]:
    return {split: [entry.id for entry in entries] for split, entries in release.splits.items()}


def find_entry(release, sample_id: str):
    return next(entry for entries in release.splits.values() for entry in entries if entry.id == sample_id)


@pytest.fixture(params=["cityscapes-archives", "cityscapes-folder", "ade20k-archives", "ade20k-folder"])
def released(request, tmp_path, make_cityscapes_release, make_ade20k_release):
    """Name and paths of a release, and the contents of its files."""
    name, form = request.param.split("-")
    make = make_cityscapes_release if name == "cityscapes" else make_ade20k_release
    paths = make(tmp_path / "release", zipped=form == "archives")
    make(tmp_path / "unpacked", zipped=False)
    return name, paths, tmp_path / "unpacked"


def test_splits_are_found_and_sorted(released) -> None:
    name, paths, unpacked = released
    release = open_release(name, paths)
    assert release.description is get_dataset_description(name) or release.description == get_dataset_description(name)
    assert list(release.splits) == ["train", "validation"]
    assert ids_of(release) == (CITYSCAPES_IDS if name == "cityscapes" else ADE20K_IDS)
    top = unpacked if name == "cityscapes" else unpacked / "ADEChallengeData2016"
    for entry in itertools.chain(*release.splits.values()):
        sizes = [(top / file).stat().st_size for file in (entry.image, entry.annotation)]
        assert entry.num_bytes == sum(sizes)


def test_samples_are_the_files_with_train_ids(released) -> None:
    name, paths, unpacked = released
    train_ids = {value: value - 1 for value in range(151)}
    if name == "cityscapes":
        train_ids = {label.id: label.train_id for label in LABELS}
    train_ids |= {0: 255, 255: 255}
    top = unpacked if name == "cityscapes" else unpacked / "ADEChallengeData2016"
    with open_release(name, paths) as release:
        for entry in itertools.chain(*release.splits.values()):
            sample = release.read(entry)
            assert sample.id == entry.id
            assert sample.image_name == Path(entry.image).name
            assert sample.image == (top / entry.image).read_bytes()
            with Image.open(top / entry.annotation) as image:
                raw = np.asarray(image)
            assert sample.annotation.dtype == np.uint8
            np.testing.assert_array_equal(sample.annotation, [[train_ids[value] for value in row] for row in raw])
            # Every class is there, so that no value of the mapping is left out.
            assert set(np.unique(sample.annotation)) == {*range(release.description.num_labels), 255}


def test_rows_are_read_as_samples(released) -> None:
    name, paths, _ = released
    release = open_release(name, paths)
    rows = ReleaseRows(release, "validation")
    assert [rows.sample_id(index) for index in range(len(rows))] == ids_of(release)["validation"]
    row, sample = rows[1], release.read(release.splits["validation"][1])
    assert set(row) == {"id", "image", "annotation"}
    assert (row["id"], row["annotation"].mode) == (sample.id, "L")
    np.testing.assert_array_equal(np.asarray(row["annotation"]), sample.annotation)
    np.testing.assert_array_equal(np.asarray(row["image"]), np.asarray(Image.open(io.BytesIO(sample.image))))
    with pytest.raises(ReleaseError, match=r"has no split 'test'; it has \['train', 'validation'\].*test split"):
        ReleaseRows(release, "test")


def test_a_release_can_be_sent_to_another_process(released) -> None:
    name, paths, _ = released
    release = open_release(name, paths)
    rows = ReleaseRows(release, "train")
    expected = np.asarray(rows[0]["image"])
    received = copy.deepcopy(rows)
    release.close()
    np.testing.assert_array_equal(np.asarray(received[0]["image"]), expected)
    np.testing.assert_array_equal(np.asarray(rows[0]["image"]), expected)


# --- where a release may be ---


def test_all_forms_of_cityscapes_are_the_same(tmp_path: Path, make_cityscapes_release) -> None:
    archives = make_cityscapes_release(tmp_path / "archives")
    [folder] = make_cityscapes_release(tmp_path / "folder", zipped=False)
    forms = [archives, archives[::-1], [tmp_path / "archives"], [folder], folder, str(folder)]
    forms += [[folder / "gtFine", folder / "leftImg8bit"], [archives[0], folder / "gtFine"]]
    releases = [open_release("cityscapes", paths) for paths in forms]
    for release in releases:
        assert release.splits == releases[0].splits
        assert release.read(release.splits["train"][1]).image == releases[0].read(releases[0].splits["train"][1]).image


def test_all_forms_of_ade20k_are_the_same(tmp_path: Path, make_ade20k_release) -> None:
    [archive] = make_ade20k_release(tmp_path / "archives")
    [folder] = make_ade20k_release(tmp_path / "folder", zipped=False)
    top = folder / "ADEChallengeData2016"
    flat = Path(shutil.make_archive(str(tmp_path / "flat"), "zip", top))
    forms = [[archive], [archive.parent], [folder], [top], [top / "images", top / "annotations"], [flat]]
    releases = [open_release("ade20k", paths) for paths in forms]
    for release in releases:
        assert release.splits == releases[0].splits
        np.testing.assert_array_equal(
            release.read(release.splits["train"][2]).annotation,
            releases[0].read(releases[0].splits["train"][2]).annotation,
        )


def test_a_release_of_one_split_has_that_split(tmp_path: Path, make_ade20k_release) -> None:
    release = open_release("ade20k", make_ade20k_release(tmp_path, train=0))
    assert list(release.splits) == ["validation"]
    with pytest.raises(ReleaseError, match=r"has no split 'train'; it has \['validation'\]"):
        ReleaseRows(release, "train")


def test_the_fingerprint_tells_inputs_apart(tmp_path: Path, make_cityscapes_release) -> None:
    def fingerprint(name: str, **options) -> str:
        return open_release("cityscapes", make_cityscapes_release(tmp_path / name, **options)).fingerprint

    first = fingerprint("first")
    assert re.fullmatch("[0-9a-f]{64}", first)
    assert fingerprint("again") == first
    assert fingerprint("other files", changes={"README": b"Other.", "gtFine/train/x.png": b"1"}) == first
    assert fingerprint("fewer", train=2) != first
    # In the same number of bytes only the CRC tells.
    labels = np.full((32, 64), 7, np.uint8)
    changed = [{TRAIN_LABELS: encode(Image.fromarray(labels + shift), compress_level=0)} for shift in (0, 1)]
    assert len(changed[0][TRAIN_LABELS]) == len(changed[1][TRAIN_LABELS])
    assert fingerprint("changed 0", changes=changed[0]) != fingerprint("changed 1", changes=changed[1])
    folder = fingerprint("folder", zipped=False)
    assert folder != first
    assert fingerprint("another folder", zipped=False) == folder
    assert fingerprint("a smaller folder", zipped=False, changes={TRAIN_LABELS: png(labels)}) != folder


def test_a_release_is_found_where_it_is(released, tmp_path: Path) -> None:
    name, _, unpacked = released
    description = get_dataset_description(name)
    for path in (tmp_path / "release", unpacked, str(unpacked)):
        release = find_release(description, path)
        assert release is not None
        assert list(release.splits) == ["train", "validation"]
    other = get_dataset_description("ade20k" if name == "cityscapes" else "cityscapes")
    assert find_release(other, tmp_path / "release") is None
    assert find_release(get_dataset_description("camvid"), tmp_path / "release") is None


def test_other_places_are_no_release(tmp_path: Path) -> None:
    (tmp_path / "images" / "validation").mkdir(parents=True)
    (tmp_path / "images" / "validation" / "mine.jpg").write_bytes(b"")
    (tmp_path / "train-00000-of-00001.parquet").write_bytes(b"")
    for name in ("cityscapes", "ade20k"):
        description = get_dataset_description(name)
        for path in (None, tmp_path, tmp_path / "nothing", "owner/name", tmp_path / "train-00000-of-00001.parquet"):
            assert find_release(description, path) is None


def test_half_a_release_is_found_and_refused(tmp_path: Path, make_cityscapes_release, make_ade20k_release) -> None:
    description = get_dataset_description("cityscapes")
    images, labels = make_cityscapes_release(tmp_path / "archives")
    with pytest.raises(
        ReleaseError, match=r"no file gtFine/.* of Cityscapes; name gtFine_trainvaltest\.zip, or the f"
    ):
        find_release(description, images)
    images.unlink()
    with pytest.raises(ReleaseError, match=r"gtFine_trainvaltest\.zip: there is no file leftImg8bit/"):
        find_release(description, labels.parent)
    [archive] = make_ade20k_release(tmp_path / "ade20k")
    with pytest.raises(ReleaseError, match=r"there is no file leftImg8bit/"):
        find_release(description, archive)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("label_mapping", {7: 0}),
        ("class_names", ("road", "other")),
        ("annotation_column", "labels"),
        ("image_column", "left"),
        ("annotation_channel", 0),
    ],
)
def test_a_description_of_something_else_is_refused(
    tmp_path: Path, make_cityscapes_release, field: str, value: object
) -> None:
    make_cityscapes_release(tmp_path)
    with pytest.raises(ValueError, match=r"must be .* official release of Cityscapes.* leave it out"):
        find_release(get_dataset_description("cityscapes", **{field: value}), tmp_path)


def test_names_and_paths_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'camvid' has no official release .* \['ade20k', 'cityscapes'\]"):
        open_release("camvid", [tmp_path])
    with pytest.raises(ValueError, match="paths must name the archives or folders of ADE20K, got none"):
        open_release("ade20k", [])


# --- files that do not fit together ---


def test_files_without_their_other_half_are_named(tmp_path: Path, make_cityscapes_release) -> None:
    stray = [f"gtFine/val/ulm/ulm_00000{number}_000019_gtFine_labelIds.png" for number in range(5)]
    changes = {TRAIN_LABELS: None, **dict.fromkeys(stray, png(np.zeros((32, 64), np.uint8)))}
    with pytest.raises(ReleaseError) as caught:
        open_release("cityscapes", make_cityscapes_release(tmp_path, changes=changes))
    message = str(caught.value)
    assert re.search(rf"1 without annotation: .*leftImg8bit_trainvaltest\.zip: '{TRAIN_IMAGE}'", message)
    assert re.search(rf"5 without image: .*{stray[0]}.*{stray[1]}.*{stray[2]}' and 2 more", message)
    assert stray[3] not in message


def test_a_file_that_is_there_twice_is_refused(tmp_path: Path, make_cityscapes_release) -> None:
    archives = make_cityscapes_release(tmp_path / "archives")
    [folder] = make_cityscapes_release(tmp_path / "folder", zipped=False)
    with pytest.raises(ReleaseError, match=r"is there twice: .*leftImg8bit_trainvaltest\.zip: .* and .*folder: "):
        open_release("cityscapes", [*archives, folder])
    moved = TRAIN_IMAGE.replace("/bochum/", "/aachen/")
    changes = {moved: png(np.zeros((32, 64, 3), np.uint8))}
    with pytest.raises(ReleaseError, match=rf"two files have the id 'bochum_000001_000019': .*{TRAIN_IMAGE}.*{moved}"):
        open_release("cityscapes", make_cityscapes_release(tmp_path / "moved", changes=changes))


# --- samples that cannot be read ---


def read_changed(make, folder: Path, name: str, sample_id: str, changes: dict, zipped: bool = True) -> str:
    """The message that reading a sample ends with; its neighbours are read."""
    release = open_release(name, make(folder, changes=changes, zipped=zipped))
    others = [entry for entry in itertools.chain(*release.splits.values()) if entry.id != sample_id]
    assert all(release.read(entry).annotation.size for entry in others)
    with pytest.raises(ReleaseError) as caught:
        release.read(find_entry(release, sample_id))
    entry = find_entry(release, sample_id)
    with pytest.raises(ReleaseError, match=re.escape(str(caught.value))):
        release.read_images(entry)
    return str(caught.value)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7])
@pytest.mark.parametrize("changed", [TRAIN_IMAGE, TRAIN_LABELS])
def test_png_files_that_were_cut_off_are_refused(
    tmp_path: Path, make_cityscapes_release, changed: str, share: float
) -> None:
    noise = np.random.default_rng(0).integers(0, 34, (32, 64, 3), np.uint8)
    whole = png(noise if changed == TRAIN_IMAGE else noise[..., 0])
    changes = {changed: whole[: int(share * len(whole))]}
    message = read_changed(
        make_cityscapes_release, tmp_path, "cityscapes", "bochum_000001_000019", changes, zipped=False
    )
    assert re.search(rf"'{changed}' cannot be decoded .* get the file again", message)


@pytest.mark.parametrize("share", [0.0, 0.4, 0.8])
def test_jpeg_files_that_were_cut_off_are_refused(tmp_path: Path, make_ade20k_release, share: float) -> None:
    whole = encode(Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)), "JPEG")
    changes = {ADE_IMAGE: whole[: int(share * len(whole))]}
    message = read_changed(make_ade20k_release, tmp_path, "ade20k", "ADE_val_00000001", changes)
    assert f"ADEChallengeData2016.zip: '{ADE_IMAGE}' cannot be decoded" in message


def test_unknown_label_ids_are_named(tmp_path: Path, make_cityscapes_release) -> None:
    labels = np.full((32, 64), 33, np.uint8)
    labels[3, 4], labels[5, 6] = 34, 200
    message = read_changed(
        make_cityscapes_release, tmp_path, "cityscapes", "bochum_000001_000019", {TRAIN_LABELS: png(labels)}
    )
    assert re.search(rf"'{TRAIN_LABELS}': labels must be .*-1, 0 to 33, 255, got \[34, 200\]", message)


def test_values_above_150_are_named(tmp_path: Path, make_ade20k_release) -> None:
    labels = np.full((32, 48), 150, np.uint8)
    labels[3, 4] = 151
    message = read_changed(make_ade20k_release, tmp_path, "ade20k", "ADE_val_00000001", {ADE_LABELS: png(labels)})
    assert re.search(rf"'{ADE_LABELS}': labels must be among the known raw values 0 to 150, got \[151\]", message)


def test_colours_in_place_of_label_ids_are_refused(tmp_path: Path, make_cityscapes_release) -> None:
    changes = {TRAIN_LABELS: png(np.zeros((32, 64, 3), np.uint8))}
    message = read_changed(make_cityscapes_release, tmp_path, "cityscapes", "bochum_000001_000019", changes)
    assert re.search(rf"'{TRAIN_LABELS}': .*must hold one integer per pixel .* mode RGB", message)


def test_sizes_must_be_equal(tmp_path: Path, make_cityscapes_release) -> None:
    changes = {TRAIN_LABELS: png(np.zeros((64, 32), np.uint8))}
    message = read_changed(make_cityscapes_release, tmp_path, "cityscapes", "bochum_000001_000019", changes)
    assert f"{TRAIN_LABELS}' must have the size of its image, (32, 64) (height, width), got (64, 32)" in message


def test_a_damaged_file_in_an_archive_is_refused(tmp_path: Path, make_ade20k_release) -> None:
    [archive] = make_ade20k_release(tmp_path)
    with zipfile.ZipFile(archive) as opened:
        place = opened.getinfo(ADE_IMAGE).header_offset + 30 + len(ADE_IMAGE) + 200
    content = bytearray(archive.read_bytes())
    content[place] ^= 0xFF
    archive.write_bytes(content)
    release = open_release("ade20k", archive)
    with pytest.raises(ReleaseError, match=rf"ADEChallengeData2016\.zip: '{ADE_IMAGE}' cannot be read"):
        release.read(find_entry(release, "ADE_val_00000001"))


# --- unusual samples that are right ---


def test_sizes_are_compared_as_images_are_shown(tmp_path: Path, make_ade20k_release) -> None:
    exif = Image.Exif()
    exif[274] = 6  # to be turned by 90 degrees
    photograph = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8))
    content = encode(photograph, "JPEG", exif=exif)
    labels = np.full((48, 32), 150, np.uint8)
    changes = {ADE_IMAGE: content, ADE_LABELS: png(labels)}
    release = open_release("ade20k", make_ade20k_release(tmp_path / "turned", changes=changes))
    entry = find_entry(release, "ADE_val_00000001")
    assert release.read(entry).image == content
    image, annotation = release.read_images(entry)
    assert (image.height, image.width) == annotation.shape == (48, 32)

    message = read_changed(make_ade20k_release, tmp_path / "not", "ade20k", "ADE_val_00000001", {ADE_IMAGE: content})
    assert "must have the size of its image, (48, 32) (height, width), got (32, 48)" in message


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_images_keep_their_mode(tmp_path: Path, make_ade20k_release, mode: str) -> None:
    content = encode(Image.new(mode, (48, 32)), "JPEG")
    release = open_release("ade20k", make_ade20k_release(tmp_path, changes={ADE_IMAGE: content}))
    entry = find_entry(release, "ADE_val_00000001")
    assert release.read(entry).image == content
    assert release.read_images(entry)[0].mode == mode


@pytest.mark.skipif(not SAMPLE.is_dir(), reason="the sample of ADE20K is not there")
def test_three_photographs_of_ade20k_are_read() -> None:
    release = find_release(get_dataset_description("ade20k"), SAMPLE)
    assert release is not None
    assert ids_of(release) == {"validation": [f"ADE_val_0000000{number}" for number in (1, 2, 3)]}
    names = release.description.class_names
    seen = [
        {names[label] for label in np.unique(release.read(entry).annotation) if label < 255}
        for entry in release.splits["validation"]
    ]
    assert all({"wall", "sky"} & classes for classes in seen)
