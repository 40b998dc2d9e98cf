# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Finds the images and the videos among files and folders."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from paumer_hf.model.image_reading import UNREADABLE
from paumer_hf.prediction.video_frames import (
    ANIMATED_FORMATS,
    VIDEO_SUFFIXES,
    AnimatedImage,
    ImageSequence,
    Video,
    VideoFile,
)


DEFAULT_FRAME_RATE = 10.0


def find_images(paths: Sequence[str | os.PathLike]) -> list[Path]:
    """The image files among files and folders, those of a folder sorted by name.

    Raises:
        ValueError: If a path does not exist, a folder holds no image, or a file cannot be read as one.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            images = _files_of(path, _image_suffixes())
            if not images:
                raise ValueError(
                    f"The folder {path} holds no image file. Name another folder or the files themselves."
                )
            found += images
        else:
            found.append(_existing(path))
    if not found:
        raise ValueError("`images` must name at least one image file or folder, but is empty.")
    for path in found:
        _is_animated(path, "")
    return found


def find_inputs(
    paths: Sequence[str | os.PathLike], as_video: bool = False, frame_rate: float | None = None
) -> tuple[list[Path], list[Video]]:
    """The images and the videos among files and folders, those of a folder sorted by name.

    Args:
        paths: Image files, animated images, video files, and folders of them.
        as_video: Take the images of each folder as the frames of one video. Numbers in their names are sorted by
            value.
        frame_rate: Frames per second of such a video; 10 if it is not given.

    Returns:
        The image files, and what has several frames.

    Raises:
        ValueError: If a path does not exist or is no image and no video, a folder holds none, or `as_video` or
            `frame_rate` have nothing to apply to.
        ImportError: If there are video files and PyAV is not installed.
    """
    places = [Path(path) for path in paths]
    if not places:
        raise ValueError("`inputs` must name at least one image, video or folder, but is empty.")
    if as_video and not any(path.is_dir() for path in places):
        raise ValueError("`as_video` makes a folder of images one video, but `inputs` names no folder. Name one.")
    if frame_rate is not None and not as_video:
        raise ValueError("`frame_rate` is for folders that are taken as_video; videos keep theirs. Leave it out.")
    images: list[Path] = []
    videos: list[Video] = []
    for path in places:
        if path.is_dir() and as_video:
            files = sorted(_files_of(path, _image_suffixes()), key=_natural_order)
            videos.append(ImageSequence(path, files, DEFAULT_FRAME_RATE if frame_rate is None else frame_rate))
            continue
        files = _files_of(path, _image_suffixes() | VIDEO_SUFFIXES) if path.is_dir() else [_existing(path)]
        if not files:
            raise ValueError(f"The folder {path} holds no image and no video. Name another folder or the files.")
        for file in files:
            if file.suffix.lower() in VIDEO_SUFFIXES:
                videos.append(VideoFile(file))
            elif _is_animated(file, f"; video files must end in one of {' '.join(sorted(VIDEO_SUFFIXES))}"):
                videos.append(AnimatedImage(file))
            else:
                images.append(file)
    return images, videos


def _image_suffixes() -> set[str]:
    # Pillow recognises MPEG videos but cannot read them.
    return set(Image.registered_extensions()) - VIDEO_SUFFIXES


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"{path} does not exist. Name image files, video files or folders of them.")
    return path


def _files_of(folder: Path, suffixes: set[str] | frozenset[str]) -> list[Path]:
    """The files with these endings, sorted by name, without hidden ones."""
    files = (file for file in folder.iterdir() if not file.name.startswith(".") and file.is_file())
    return sorted(file for file in files if file.suffix.lower() in suffixes)


def _natural_order(path: Path) -> list[tuple[int, int, str]]:
    """A key that puts frame2 before frame10."""
    parts = re.split(r"(\d+)", path.name)
    return [(1, int(part), part) if place % 2 else (0, 0, part) for place, part in enumerate(parts)]


def _is_animated(path: Path, hint: str) -> bool:
    """Whether an image file has several frames.

    Raises:
        ValueError: If it cannot be read as an image; the hint says what else it could have been.
    """
    try:
        with Image.open(path) as file:
            return file.format in ANIMATED_FORMATS and getattr(file, "is_animated", False)
    except UNREADABLE as error:
        raise ValueError(f"{path} cannot be read as an image: {error}{hint}.") from error


__all__ = ["DEFAULT_FRAME_RATE", "find_images", "find_inputs"]
