# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Files of strangers as pictures for the page: upright, in RGB and small enough, or refused in one sentence."""

import os
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from paumer_hf.data.street_scenes import draw_street_scene
from paumer_hf.model.image_reading import UNREADABLE
from paumer_hf.prediction.images import to_rgb
from paumer_hf.prediction.inputs import find_images


MAX_PIXELS = 50_000_000
"""Larger images are refused by what their header says, before their pixels take memory."""

MAX_SIDE = 640
"""Larger images are reduced to this longer side in pixels, so that a CPU answers in seconds."""

MIN_SIDE = 16
"""Images with a shorter side in pixels, also after they were reduced, are refused."""

# Formats that run no program when they are opened, as PostScript does.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")

NUM_DRAWN_EXAMPLES = 3

# What decoders raise for damaged files beside what Pillow documents.
_DAMAGED = (*UNREADABLE, struct.error, KeyError, IndexError, TypeError, ZeroDivisionError, OverflowError, MemoryError)


@dataclass(frozen=True)
class Picture:
    """An upright RGB image for the model, and what was done to it, in sentences for the user."""

    image: Image.Image
    notes: tuple[str, ...] = ()


def read_picture(path: str | os.PathLike, max_side: int = MAX_SIDE) -> Picture:
    """An image file as a picture of at most `max_side` pixels along its longer side; of an animation its first frame.

    Raises:
        ValueError: If the file is none of `FORMATS`, is damaged, has more than `MAX_PIXELS` pixels, or is too narrow.
    """
    name = Path(path).name
    try:
        # Pillow warns of images that are large but still allowed; here `MAX_PIXELS` decides.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            file = Image.open(path, formats=FORMATS)
        with file:
            return _to_picture(file, name, max_side)
    except FileNotFoundError:
        raise ValueError(f"{name} is no longer there: uploads are deleted after a while. Upload it again.") from None
    except Image.DecompressionBombError:
        raise ValueError(_too_large(f"{name} has far too many pixels")) from None
    except UnidentifiedImageError:
        raise ValueError(f"{name} is no image that can be read here. Upload one as {_formats()}.") from None
    except _Refused as refusal:
        raise ValueError(str(refusal)) from None
    except _DAMAGED as error:
        raise ValueError(f"{name} is damaged or incomplete ({error}). Upload another copy of it.") from error


class _Refused(Exception):  # noqa: N818  an answer to the user; unlike ValueError no decoder raises it
    """An image that could be read, but is not wanted."""


def _to_picture(file: Image.Image, name: str, max_side: int) -> Picture:
    if file.width * file.height > MAX_PIXELS:
        raise _Refused(_too_large(f"{name} has {file.width:,} x {file.height:,} pixels"))
    notes = []
    # Some cameras add a second, small picture to a JPEG file; that is no animation.
    if file.format != "MPO" and getattr(file, "is_animated", False):
        notes.append(f"{name} holds several frames; only the first one is segmented.")
    original = file.size
    file.draft(file.mode, _reduced(file.size, 2 * max_side))  # a large JPEG is decoded at a fraction of its size
    image = to_rgb(file)
    if file.getexif().get(0x0112, 1) >= 5:  # lies on its side
        original = original[1], original[0]
    size = _reduced(original, max_side)
    if min(size) < MIN_SIDE:
        raise _Refused(
            f"{name} is {_in_pixels(size)} large, reduced to a longer side of at most {max_side}, but must have at "
            f"least {MIN_SIDE} along each side. Upload a larger or less narrow image."
        )
    if size != original:
        notes.append(
            f"{name} was reduced from {_in_pixels(original)} to {_in_pixels(size)}: the longer side may have at most "
            f"{max_side}."
        )
    if size != image.size:
        image = image.resize(size, Image.Resampling.LANCZOS)
    return Picture(image, tuple(notes))


def _reduced(size: tuple[int, int], max_side: int) -> tuple[int, int]:
    scale = min(1.0, max_side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _in_pixels(size: tuple[int, int]) -> str:
    return f"{size[0]:,} x {size[1]:,} pixels"


def _too_large(finding: str) -> str:
    return f"{finding}; at most {MAX_PIXELS // 1_000_000} million are taken. Reduce the image and upload it again."


def _formats() -> str:
    names = [{"WEBP": "WebP"}.get(name, name) for name in FORMATS]
    return f"{', '.join(names[:-1])} or {names[-1]}"


def example_pictures(folder: str | os.PathLike | None = None, max_side: int = MAX_SIDE) -> list[tuple[str, Picture]]:
    """Pictures to begin with, and their captions: the images of a folder, or drawn street scenes without one.

    Args:
        folder: Folder of image files; the caption of each is the stem of its name.
        max_side: Of the pictures, in pixels.

    Raises:
        ValueError: If the folder holds no image, or a file is refused by `read_picture`.
    """
    if folder is None:
        scenes = [draw_street_scene(seed=7, index=index, size=(384, 512))[0] for index in range(NUM_DRAWN_EXAMPLES)]
        return [(f"Drawn street {number}", Picture(scene)) for number, scene in enumerate(scenes, start=1)]
    # What was done to an example is of no interest to the user, who did not choose its size.
    return [
        (path.stem.replace("_", " "), Picture(read_picture(path, max_side).image)) for path in find_images([folder])
    ]


__all__ = ["FORMATS", "MAX_PIXELS", "MAX_SIDE", "MIN_SIDE", "Picture", "example_pictures", "read_picture"]
