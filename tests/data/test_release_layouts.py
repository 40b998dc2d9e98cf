# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Which archives and trees of a release a path stands for."""

from pathlib import Path

import pytest

from paumer_hf.data.release_files import FolderFiles, ReleaseError, ZipFiles
from paumer_hf.data.release_layouts import LAYOUTS, find_archives, find_trees, open_sources, without_top


CITYSCAPES, ADE20K = LAYOUTS["cityscapes"], LAYOUTS["ade20k"]


def match(layout, name: str) -> list[tuple]:
    """Kind, split and id of a file, if it is of the layout."""
    name = without_top(layout, name)
    found = [(kind, getattr(layout, kind).pattern.fullmatch(name)) for kind in ("images", "annotations")]
    return [(kind, layout.splits[groups["split"]], groups["id"]) for kind, groups in found if groups]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("leftImg8bit/train/ulm/ulm_000001_000019_leftImg8bit.png", [("images", "train", "ulm_000001_000019")]),
        ("gtFine/val/lindau/lindau_2_3_gtFine_labelIds.png", [("annotations", "validation", "lindau_2_3")]),
        ("leftImg8bit/test/berlin/berlin_1_2_leftImg8bit.png", []),
        ("gtFine/test/berlin/berlin_1_2_gtFine_labelIds.png", []),
        ("leftImg8bit/train_extra/ulm/ulm_1_2_leftImg8bit.png", []),
        ("gtFine/train/ulm/ulm_1_2_gtFine_labelTrainIds.png", []),
        ("gtFine/train/ulm/ulm_1_2_gtFine_color.png", []),
        ("gtFine/train/ulm/ulm_1_2_gtFine_instanceIds.png", []),
        ("gtCoarse/train/ulm/ulm_1_2_gtCoarse_labelIds.png", []),
        ("leftImg8bit/train/ulm/._ulm_1_2_leftImg8bit.png", []),
        ("leftImg8bit/train/ulm_1_2_leftImg8bit.png", []),
        ("other/leftImg8bit/train/ulm/ulm_1_2_leftImg8bit.png", []),
    ],
)
def test_files_of_cityscapes(name: str, expected: list) -> None:
    assert match(CITYSCAPES, name) == expected


@pytest.mark.parametrize("top", ["", "ADEChallengeData2016/"])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("images/training/ADE_train_00000001.jpg", [("images", "train", "ADE_train_00000001")]),
        ("annotations/validation/ADE_val_00002000.png", [("annotations", "validation", "ADE_val_00002000")]),
        ("images/training/ADE_train_00000001.png", []),
        ("images/ADE_train_00000001.jpg", []),
        ("images/testing/ADE_test_00000001.jpg", []),
        ("images/training/._ADE_train_00000001.jpg", []),
        ("__MACOSX/images/training/ADE_train_00000001.jpg", []),
    ],
)
def test_files_of_ade20k(top: str, name: str, expected: list) -> None:
    assert match(ADE20K, top + name) == expected


def test_an_archive_is_itself(tmp_path: Path, make_ade20k_release) -> None:
    [archive] = make_ade20k_release(tmp_path)
    renamed = archive.rename(tmp_path / "mine.ZIP")
    [source] = open_sources(ADE20K, renamed)
    assert isinstance(source, ZipFiles)


def test_a_folder_has_trees(tmp_path: Path, make_cityscapes_release, make_ade20k_release) -> None:
    make_cityscapes_release(tmp_path, zipped=False)
    make_ade20k_release(tmp_path, zipped=False)
    assert find_trees(CITYSCAPES, tmp_path) == ["leftImg8bit", "gtFine"]
    assert find_trees(ADE20K, tmp_path) == ["ADEChallengeData2016/images", "ADEChallengeData2016/annotations"]
    assert find_trees(ADE20K, tmp_path / "ADEChallengeData2016") == ["images", "annotations"]
    [source] = open_sources(CITYSCAPES, tmp_path)
    assert isinstance(source, FolderFiles)
    assert {name.split("/")[0] for name in source.files} == {"leftImg8bit", "gtFine"}


@pytest.mark.parametrize("tree", ["leftImg8bit", "gtFine"])
def test_a_tree_is_part_of_the_folder_it_is_in(tmp_path: Path, make_cityscapes_release, tree: str) -> None:
    make_cityscapes_release(tmp_path, zipped=False)
    [source] = open_sources(CITYSCAPES, tmp_path / tree)
    assert source.path == tmp_path
    assert source.files
    assert all(name.startswith(f"{tree}/") for name in source.files)


def test_a_folder_has_archives(tmp_path: Path, make_cityscapes_release, make_ade20k_release) -> None:
    archives = make_cityscapes_release(tmp_path)
    assert find_archives(CITYSCAPES, tmp_path) == archives
    assert [source.path for source in open_sources(CITYSCAPES, tmp_path)] == archives
    archives = make_ade20k_release(tmp_path)
    assert [source.path for source in open_sources(ADE20K, tmp_path)] == archives


def test_a_tree_goes_before_its_archive(tmp_path: Path, make_cityscapes_release) -> None:
    archives = make_cityscapes_release(tmp_path)
    make_cityscapes_release(tmp_path / "unpacked", zipped=False)
    (tmp_path / "unpacked" / "leftImg8bit").rename(tmp_path / "leftImg8bit")
    (tmp_path / "gtFine" / "train" / "ulm").mkdir(parents=True)  # no file of a release
    sources = open_sources(CITYSCAPES, tmp_path)
    assert [source.path for source in sources] == [tmp_path, archives[1]]
    assert all(name.startswith("leftImg8bit/") for name in sources[0].files)


def test_what_is_nothing_of_the_release_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    with pytest.raises(ReleaseError, match=r"has nothing of ADE20K: neither images/.* nor ADEChallengeData2016\.zip;"):
        open_sources(ADE20K, tmp_path)
    with pytest.raises(ReleaseError, match="nothing does not exist; name the archives or the folder of Cityscapes"):
        open_sources(CITYSCAPES, tmp_path / "nothing")
    (tmp_path / "release.tar").write_bytes(b"")
    with pytest.raises(ReleaseError, match=r"release\.tar must be a \.zip archive of Cityscapes or a folder"):
        open_sources(CITYSCAPES, tmp_path / "release.tar")
