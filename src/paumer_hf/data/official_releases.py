# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Reading Cityscapes and ADE20K as their publishers release them, from archives or folders, and checking them."""

import hashlib
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from paumer_hf.data.dataset_descriptions import DatasetDescription
from paumer_hf.data.label_maps import LabelMapError, LabelTable
from paumer_hf.data.release_files import ReleaseError, ReleaseFiles
from paumer_hf.data.release_layouts import (
    LAYOUTS,
    Layout,
    Part,
    find_archives,
    find_trees,
    name_paths,
    open_sources,
    without_top,
)


SPLITS = ("train", "validation")
FORMATS = ("PNG", "JPEG")
MAX_NAMED_FILES = 3


@dataclass(frozen=True)
class ReleaseEntry:
    """A sample that has not been read.

    Args:
        id: the name that the publisher gave it.
        image: name of its image in the release.
        annotation: name of its annotation in the release.
        num_bytes: length of both files together, not compressed.
    """

    id: str
    image: str
    annotation: str
    num_bytes: int


class ReleaseSample(NamedTuple):
    """A sample that has been read: the image file as it is, and uint8 classes (height, width), 255 where ignored."""

    id: str
    image: bytes
    image_name: str
    annotation: np.ndarray


class _Place(NamedTuple):
    """Where a file of the release is."""

    source: ReleaseFiles
    name: str

    def __str__(self) -> str:
        return f"{self.source.path}: '{self.name}'"


class OfficialRelease:
    """A release whose files have been listed and paired. It can be sent to other processes, which open it themselves.

    Args:
        layout: what is where in it.
        sources: archives and folders that hold its files.

    Raises:
        ReleaseError: If a part is missing, a file is there twice, or an image or annotation lacks the other.
    """

    description: DatasetDescription
    """The data set, with classes as `read` returns them."""

    splits: Mapping[str, tuple[ReleaseEntry, ...]]
    """Samples of "train" and "validation", sorted by id; a split without any is left out."""

    fingerprint: str
    """SHA-256 over ids, names, sizes and, in archives, CRCs of the files that samples are made of."""

    def __init__(self, layout: Layout, sources: Sequence[ReleaseFiles]) -> None:
        self.description = layout.description
        self._label_table = LabelTable(layout.raw)
        self._sources = tuple(sources)
        places = _find_places(layout, sources)
        images, annotations = (_find_part(layout, part, places, sources) for part in layout.parts)
        _check_pairs(images, annotations, places)

        self._places = {name: places[name] for part in (images, annotations) for name in part.values()}
        entries: dict[str, list[ReleaseEntry]] = {split: [] for split in SPLITS}
        for split, sample_id in sorted(images):
            image, annotation = images[split, sample_id], annotations[split, sample_id]
            num_bytes = self._file(image).size + self._file(annotation).size
            entries[split].append(ReleaseEntry(sample_id, image, annotation, num_bytes))
        self.splits = {split: tuple(of_split) for split, of_split in entries.items() if of_split}
        self.fingerprint = self._make_fingerprint()

    def _file(self, name: str) -> Any:
        source, own_name = self._places[name]
        return source.files[own_name]

    def _make_fingerprint(self) -> str:
        digest = hashlib.sha256(self.description.name.encode())
        for split, entries in self.splits.items():
            for entry in entries:
                files = [self._file(name) for name in (entry.image, entry.annotation)]
                fields = [split, entry.id, entry.image, entry.annotation, *((file.size, file.crc) for file in files)]
                digest.update(json.dumps(fields).encode())
        return digest.hexdigest()

    def read(self, entry: ReleaseEntry) -> ReleaseSample:
        """Read and check a sample.

        Args:
            entry: one of `splits`.

        Returns:
            The image file, byte for byte, and the classes.

        Raises:
            ReleaseError: If a file is damaged or cut off, if the sizes differ, or if the annotation has a value that
                the data set does not know.
        """
        content = self._read_file(entry.image)
        _, annotation = self._decode(entry, content)
        return ReleaseSample(entry.id, content, entry.image.rpartition("/")[2], annotation)

    def read_images(self, entry: ReleaseEntry) -> tuple[Image.Image, np.ndarray]:
        """Read and check a sample as `read` does.

        Args:
            entry: one of `splits`.

        Returns:
            The decoded image, turned as its EXIF orientation says, in the mode that it is stored in; and the classes.

        Raises:
            ReleaseError: As `read` does.
        """
        return self._decode(entry, self._read_file(entry.image))

    def _read_file(self, name: str) -> bytes:
        source, own_name = self._places[name]
        return source.read(own_name)

    def _decode(self, entry: ReleaseEntry, content: bytes) -> tuple[Image.Image, np.ndarray]:
        image = _decode_image(content, self._places[entry.image])
        annotation_place = self._places[entry.annotation]
        label_image = _decode_image(self._read_file(entry.annotation), annotation_place)
        try:
            annotation = self._label_table(label_image)
        except LabelMapError as error:
            raise ReleaseError(f"{annotation_place}: {error}") from error
        if annotation.shape != (image.height, image.width):
            raise ReleaseError(
                f"{annotation_place} must have the size of its image, {(image.height, image.width)} (height, width),"
                f" got {annotation.shape}; get both files again from their publisher."
            )
        return image, annotation

    def close(self) -> None:
        """Let go of open archives; reading opens them again."""
        for source in self._sources:
            source.close()

    def __enter__(self) -> "OfficialRelease":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _decode_image(content: bytes, place: _Place) -> Image.Image:
    """The whole image, turned as `SegmentationDataset` turns it, so that the same sizes are compared."""
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
    except MemoryError:
        raise
    # Decoders raise whatever the damage leads them to.
    except Exception as error:
        cause = f"{type(error).__name__}: {error}"
        if isinstance(error, UnidentifiedImageError):
            cause = f"it is no {' or '.join(FORMATS)} file"
        raise ReleaseError(f"{place} cannot be decoded ({cause}); get the file again from its publisher.") from error
    return image


_Part = dict[tuple[str, str], str]  # split and id of a sample to the name of its file


def _find_places(layout: Layout, sources: Sequence[ReleaseFiles]) -> dict[str, _Place]:
    """Where each file is, by its name from the tree on."""
    places: dict[str, _Place] = {}
    for source in sources:
        for own_name in source.files:
            name = without_top(layout, own_name)
            if not any(part.pattern.fullmatch(name) for part in layout.parts):
                continue
            if name in places:
                raise ReleaseError(f"{name} is there twice: {places[name]} and {_Place(source, own_name)}; name one.")
            places[name] = _Place(source, own_name)
    return places


def _find_part(layout: Layout, part: Part, places: Mapping[str, _Place], sources: Sequence[ReleaseFiles]) -> _Part:
    found: _Part = {}
    for name, place in places.items():
        match = part.pattern.fullmatch(name)
        if match is None:
            continue
        key = layout.splits[match["split"]], match["id"]
        if key in found:
            raise ReleaseError(f"two files have the id '{key[1]}': {places[found[key]]} and {place}; remove one.")
        found[key] = name
    if not found:
        raise ReleaseError(
            f"{name_paths(source.path for source in sources)}: there is no file {part.files} of the training or"
            f" validation split of {layout.title}; name {part.archive}, or the folder that has '{part.tree}', too."
        )
    return found


def _check_pairs(images: _Part, annotations: _Part, places: Mapping[str, _Place]) -> None:
    problems = []
    for present, absent, lack in ((images, annotations, "annotation"), (annotations, images, "image")):
        alone = [str(places[present[key]]) for key in sorted(present.keys() - absent.keys())]
        if alone:
            more = f" and {len(alone) - MAX_NAMED_FILES} more" if len(alone) > MAX_NAMED_FILES else ""
            problems.append(f"{len(alone)} without {lack}: {', '.join(alone[:MAX_NAMED_FILES])}{more}")
    if problems:
        raise ReleaseError(
            f"every image must have an annotation and every annotation an image, but there are"
            f" {'; '.join(problems)}. Complete the release, or remove what is over."
        )


def open_release(name: str, paths: Sequence[str | os.PathLike] | str | os.PathLike) -> OfficialRelease:
    """Open an official release; its files are listed and paired, but not read.

    Args:
        name: "cityscapes" or "ade20k".
        paths: the archives, or the folders with what was in them, in any order; or one folder that has all.

    Returns:
        The release. A partial one has the splits that are there.

    Raises:
        ValueError: If the name is unknown or there is no path.
        ReleaseError: If the files are not those of the release.
    """
    if name not in LAYOUTS:
        raise ValueError(f"'{name}' has no official release that is known here; known are {sorted(LAYOUTS)}.")
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    if not paths:
        raise ValueError(f"paths must name the archives or folders of {LAYOUTS[name].title}, got none.")
    layout = LAYOUTS[name]
    sources = [source for path in paths for source in open_sources(layout, Path(path).expanduser())]
    return OfficialRelease(layout, sources)


def find_release(description: DatasetDescription, path: str | os.PathLike | None) -> OfficialRelease | None:
    """Open the official release of a data set if it is at a path.

    Args:
        description: the data set.
        path: an archive, a folder, or anything else that a data set is read from.

    Returns:
        The release; None if the data set has no official release that is known here, or if `path` is no .zip archive
        and no folder that has files of it.

    Raises:
        ReleaseError: If files of the release are there, but not all of them.
        ValueError: If the description does not fit the release.
    """
    layout = LAYOUTS.get(description.name)
    if layout is None or path is None:
        return None
    place = Path(path).expanduser()
    is_archive = place.is_file() and place.suffix.lower() == ".zip"
    if not is_archive and not (place.is_dir() and (find_trees(layout, place) or find_archives(layout, place))):
        return None
    _check_description(description, layout, place)
    return open_release(description.name, [place])


def _check_description(description: DatasetDescription, layout: Layout, path: Path) -> None:
    """Refuse what would be understood of columns and values that a release does not have."""
    for field in ("image_column", "annotation_column", "label_mapping", "annotation_channel", "num_labels"):
        expected, found = getattr(layout.description, field), getattr(description, field)
        if found != expected:
            raise ValueError(
                f"{field} must be {expected} where '{path}' is read as the official release of {layout.title}, whose"
                f" labels are mapped to its {layout.description.num_labels} classes, got {found}; leave it out."
            )


class ReleaseRows:
    """One split of a release as rows with the columns id, image and annotation, a label image of classes.

    Args:
        release: the release.
        split: "train" or "validation".

    Raises:
        ReleaseError: If the release does not have that split.
    """

    def __init__(self, release: OfficialRelease, split: str) -> None:
        if split not in release.splits:
            raise ReleaseError(
                f"the official release of {release.description.name} that was opened has no split '{split}'; it has"
                f" {list(release.splits)}. The official test split has no annotations and is not read."
            )
        self._release = release
        self._entries = release.splits[split]

    def __len__(self) -> int:
        return len(self._entries)

    def sample_id(self, index: int) -> str:
        """The id of a row, without reading it."""
        return self._entries[index].id

    def __getitem__(self, index: int, /) -> dict[str, Any]:
        """Read and check a row; raises ReleaseError as `OfficialRelease.read` does."""
        entry = self._entries[index]
        image, annotation = self._release.read_images(entry)
        return {"id": entry.id, "image": image, "annotation": Image.fromarray(annotation)}


__all__ = [
    "OfficialRelease",
    "ReleaseEntry",
    "ReleaseError",
    "ReleaseRows",
    "ReleaseSample",
    "find_release",
    "open_release",
]
