# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Where the official releases of Cityscapes and ADE20K have their images and annotations."""

import dataclasses
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from paumer_hf.data import ade20k, cityscapes
from paumer_hf.data.dataset_descriptions import ADE20K, CITYSCAPES, DatasetDescription
from paumer_hf.data.release_files import FolderFiles, ReleaseError, ReleaseFiles, ZipFiles


@dataclass(frozen=True)
class Part:
    """The images or the annotations.

    Args:
        archive: archive that they are released in.
        tree: folder in it that they are in.
        files: a glob pattern that finds any of them.
        pattern: names of those of the training and validation splits; the groups `split` and `id` say whose.
    """

    archive: str
    tree: str
    files: str
    pattern: re.Pattern[str]


@dataclass(frozen=True)
class Layout:
    """An official release.

    Args:
        title: name of the data set, as it is written.
        description: how it is described when it has been prepared.
        raw: how its annotation files are described.
        tops: folders that the trees may be in, with a "/" at the end; "" where they need not be in any.
        splits: split that each name in `pattern` stands for.
        images: where the images are.
        annotations: where the annotations are.
    """

    title: str
    description: DatasetDescription
    raw: DatasetDescription
    tops: Sequence[str]
    splits: Mapping[str, str]
    images: Part
    annotations: Part

    @property
    def parts(self) -> tuple[Part, Part]:
        """Both parts."""
        return self.images, self.annotations


# A name that begins with a dot is a file of the operating system, and is put beside the others by copying.
_STEM = r"[^/.][^/]*"

LAYOUTS = {
    "cityscapes": Layout(
        title="Cityscapes",
        description=CITYSCAPES,
        raw=dataclasses.replace(
            CITYSCAPES, label_mapping=cityscapes.LABEL_MAPPING, ignored_values=cityscapes.IGNORED_VALUES
        ),
        tops=("",),
        splits={"train": "train", "val": "validation"},
        images=Part(
            archive="leftImg8bit_trainvaltest.zip",
            tree="leftImg8bit",
            files="leftImg8bit/*/*/*_leftImg8bit.png",
            pattern=re.compile(rf"leftImg8bit/(?P<split>train|val)/{_STEM}/(?P<id>{_STEM})_leftImg8bit\.png"),
        ),
        # Files of train ids are not released, whoever made them had a choice: train ids are derived from label ids.
        annotations=Part(
            archive="gtFine_trainvaltest.zip",
            tree="gtFine",
            files="gtFine/*/*/*_gtFine_labelIds.png",
            pattern=re.compile(rf"gtFine/(?P<split>train|val)/{_STEM}/(?P<id>{_STEM})_gtFine_labelIds\.png"),
        ),
    ),
    "ade20k": Layout(
        title="ADE20K",
        description=ADE20K,
        raw=dataclasses.replace(ADE20K, label_mapping=ade20k.LABEL_MAPPING, ignored_values=ade20k.IGNORED_VALUES),
        tops=("ADEChallengeData2016/", ""),
        splits={"training": "train", "validation": "validation"},
        images=Part(
            archive="ADEChallengeData2016.zip",
            tree="images",
            files="images/*/ADE_*.jpg",
            pattern=re.compile(r"images/(?P<split>training|validation)/(?P<id>ADE_(?:train|val)_\d{8})\.jpg"),
        ),
        annotations=Part(
            archive="ADEChallengeData2016.zip",
            tree="annotations",
            files="annotations/*/ADE_*.png",
            pattern=re.compile(r"annotations/(?P<split>training|validation)/(?P<id>ADE_(?:train|val)_\d{8})\.png"),
        ),
    ),
}


def open_sources(layout: Layout, path: Path) -> list[ReleaseFiles]:
    """Open what a path has of a release.

    Args:
        layout: the release.
        path: an archive, a folder that has trees or archives of the release, or one of its trees.

    Returns:
        The archives and folders with its files, and maybe others. Where a folder has a tree and its archive, that is
        the tree.

    Raises:
        ReleaseError: If there is nothing of the release.
    """
    if path.is_file():
        if path.suffix.lower() != ".zip":
            raise ReleaseError(
                f"{path} must be a .zip archive of {layout.title} or a folder; unpack any other archive and name the"
                " folder."
            )
        return [ZipFiles(path)]
    if not path.exists():
        raise ReleaseError(f"{path} does not exist; name the archives or the folder of {layout.title}.")

    if path.name in [part.tree for part in layout.parts] and not find_trees(layout, path):
        return [FolderFiles(path.parent, [path.name])]
    trees = find_trees(layout, path)
    archives = find_archives(layout, path, trees)
    if not trees and not archives:
        raise ReleaseError(
            f"{path} has nothing of {layout.title}: neither {_listed(part.files for part in layout.parts)} nor"
            f" {_listed(part.archive for part in layout.parts)}; name the folder that has them, or the archives."
        )
    sources: list[ReleaseFiles] = [ZipFiles(archive) for archive in archives]
    return [FolderFiles(path, trees), *sources] if trees else sources


def find_trees(layout: Layout, folder: Path) -> list[str]:
    """The trees of a release that are in a folder and have files, relative to it."""
    return [
        f"{top}{part.tree}"
        for top in layout.tops
        for part in layout.parts
        if next((folder / top).glob(part.files), None) is not None
    ]


def find_archives(layout: Layout, folder: Path, trees: Sequence[str] = ()) -> list[Path]:
    """The archives of a release that are in a folder, without those of trees that are there too."""
    found = {part.tree for part in layout.parts for tree in trees if tree.endswith(part.tree)}
    names = dict.fromkeys(part.archive for part in layout.parts if part.tree not in found)
    return [folder / name for name in names if (folder / name).is_file()]


def without_top(layout: Layout, name: str) -> str:
    """The name of a file from the tree on."""
    for top in layout.tops:
        if top and name.startswith(top):
            return name.removeprefix(top)
    return name


def name_paths(paths: Iterable[str | os.PathLike]) -> str:
    """Paths for a message."""
    return _listed(os.fspath(path) for path in paths)


def _listed(names: Iterable[str]) -> str:
    return " and ".join(dict.fromkeys(names))


__all__ = ["LAYOUTS", "Layout", "Part", "find_archives", "find_trees", "name_paths", "open_sources", "without_top"]
