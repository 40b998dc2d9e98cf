# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The frames of videos, of animated images and of folders of images, one after the other.

Video files are read by PyAV, which the extra `video` installs, animated images by Pillow. Only one frame is held at a
time.
"""

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from paumer_hf.model.image_reading import UNREADABLE
from paumer_hf.prediction.images import read_image, to_rgb


VIDEO_SUFFIXES = frozenset(
    f".{ending}"
    for ending in (
        *("3gp", "avi", "flv", "m2ts", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "mts", "ogv", "ts", "webm", "wmv"),
        "y4m",
    )
)
"""Endings of video files. Others are not given to FFmpeg, which takes even a text file for a video."""

ANIMATED_FORMATS = frozenset({"AVIF", "GIF", "PNG", "WEBP"})
"""Pillow's formats whose further images are frames; those of others are pages, or views of one scene."""

# What browsers take for an animation that does not say how long it shows a frame.
DEFAULT_DURATION = 0.1


class Frame(NamedTuple):
    """A frame of a video.

    Attributes:
        number: Its place among all frames of the video, from 0.
        time: Seconds from the first frame of the video.
        image: Upright, in RGB.
    """

    number: int
    time: float
    image: Image.Image


# The time of each frame in seconds, and a function that gives its image until the next is asked for.
Decoded = Generator[tuple[float, Callable[[], Image.Image]], None, None]


class Video:
    """Something with frames.

    Attributes:
        path: Where it lies.
        frame_rate: Frames per second, on average.
        num_frames: How many frames there are, if that is known before they are read.
    """

    def __init__(self, path: Path, frame_rate: float, num_frames: int | None) -> None:
        self.path = path
        self.frame_rate = frame_rate
        self.num_frames = num_frames

    def frames(self, every_nth: int = 1, max_frames: int | None = None) -> Generator[Frame, None, None]:
        """The frames in order, each decoded when it is asked for.

        Args:
            every_nth: Take the first frame and then every n-th.
            max_frames: Take at most so many.

        Raises:
            ValueError: If the video cannot be read to the end, has no frame or ends before it should, or an argument
                is less than 1.
        """
        _check_choice(every_nth, max_frames)
        taken, first_time = 0, 0.0
        with contextlib.closing(self._decode()) as decoded:
            for index, (time, make_image) in enumerate(decoded):
                if index % every_nth:
                    continue
                first_time = first_time if taken else time
                yield Frame(index, time - first_time, make_image())
                taken += 1
                if taken == max_frames:
                    return
        if not taken:
            raise ValueError(f"{self.path} holds no frame. Name another video.")

    def count(self, every_nth: int = 1, max_frames: int | None = None) -> int | None:
        """How many frames `frames` gives with these arguments, or None where that is not known."""
        _check_choice(every_nth, max_frames)
        if self.num_frames is None:
            return max_frames
        chosen = -(-self.num_frames // every_nth)
        return chosen if max_frames is None else min(chosen, max_frames)

    def _decode(self) -> Decoded:
        raise NotImplementedError


def _check_choice(every_nth: int, max_frames: int | None) -> None:
    for name, value in (("every_nth", every_nth), ("max_frames", max_frames)):
        if value is not None and value < 1:
            raise ValueError(f"`{name}` must be at least 1, but is {value}.")


class ImageSequence(Video):
    """Image files of one size, each a frame.

    Args:
        path: Their folder.
        files: The files in the order of the frames.
        frame_rate: Frames per second.

    Raises:
        ValueError: If there is no file, or the frame rate is not greater than 0.
    """

    def __init__(self, path: Path, files: Sequence[Path], frame_rate: float) -> None:
        if not files:
            raise ValueError(f"The folder {path} holds no image file. Name another folder.")
        if not frame_rate > 0:
            raise ValueError(f"`frame_rate` must be greater than 0, but is {frame_rate}.")
        super().__init__(path, frame_rate, len(files))
        self.files = tuple(files)

    def _decode(self) -> Decoded:
        sizes: list[tuple[int, int]] = []

        def read(file: Path) -> Image.Image:
            image = read_image(file)
            sizes.append(image.size)
            if sizes[-1] != sizes[0]:
                raise ValueError(
                    f"The frames of a video must have one size, but {file} has {image.width} x {image.height} pixels "
                    f"and the first of {self.path} has {sizes[0][0]} x {sizes[0][1]}. Predict them as separate images."
                )
            return image

        for index, file in enumerate(self.files):
            yield index / self.frame_rate, lambda file=file: read(file)  # type: ignore[misc]


class AnimatedImage(Video):
    """A GIF, WebP, PNG or AVIF file with several frames.

    Raises:
        ValueError: If the file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        try:
            with Image.open(path) as file:
                num_frames = getattr(file, "n_frames", 1)
                file.seek(0)
                file.load()
                duration = _duration(file)
        except UNREADABLE as error:
            raise ValueError(f"{path} cannot be read as an animated image: {error}") from error
        super().__init__(path, 1 / duration, num_frames)

    def _decode(self) -> Decoded:
        time, index = 0.0, 0
        try:
            with Image.open(self.path) as file:
                for index in range(getattr(file, "n_frames", 1)):
                    file.seek(index)
                    file.load()  # some formats tell the duration only then
                    yield time, lambda: to_rgb(file)
                    time += _duration(file)
        except UNREADABLE as error:
            raise _broken_video(self.path, index, error) from error


def _duration(file: Image.Image) -> float:
    """For how many seconds the frame that was loaded last is shown."""
    return float(file.info.get("duration") or 0) / 1000 or DEFAULT_DURATION


class VideoFile(Video):
    """A video file that PyAV reads; the first of its video streams.

    Raises:
        ValueError: If the file cannot be read or holds no video.
        ImportError: If PyAV is not installed.
    """

    def __init__(self, path: Path) -> None:
        with _open_video(path) as container:
            stream = container.streams.video[0]
            rate = float(stream.average_rate or stream.guessed_rate or 0) or 25.0
            seconds = (container.duration or 0) / 1e6
            super().__init__(path, rate, stream.frames or round(seconds * rate) or None)

    def _decode(self) -> Decoded:
        av, index = import_av(), 0
        try:
            with _open_video(self.path) as container:
                stream = container.streams.video[0]
                # Threads of the decoder would work on while the model is timed.
                stream.codec_context.thread_count = 1
                for packet in _watch_for_the_end(container, self.path):
                    if packet.stream.index != stream.index:
                        continue
                    for frame in packet.decode():
                        time = index / self.frame_rate if frame.time is None else frame.time
                        yield time, lambda frame=frame: _upright(frame)  # type: ignore[misc]
                        index += 1
        except av.error.FFmpegError as error:
            raise _broken_video(self.path, index, error.strerror or error) from error


def _watch_for_the_end(container: Any, path: Path) -> Iterator[Any]:
    """The packets of all streams.

    Raises:
        ValueError: If a packet is incomplete, or the streams end well before the end that the file announces. FFmpeg
            itself is silent then.
    """
    end, begin = 0.0, (container.start_time or 0) / 1e6
    for packet in container.demux():
        if packet.is_corrupt:
            raise ValueError(f"{path} is cut off or damaged {end:.1f} s after its begin. {_REMEDY}")
        if packet.pts is not None and packet.time_base:
            end = max(end, float((packet.pts + (packet.duration or 0)) * Fraction(packet.time_base)) - begin)
        yield packet
    announced = (container.duration or 0) / 1e6
    if announced - end > max(1.0, 0.05 * announced):
        raise ValueError(f"{path} ends after {end:.1f} s of {announced:.1f} s: it is cut off. {_REMEDY}")


_REMEDY = "Copy it again, or take fewer frames with max_frames."


def _broken_video(path: Path, index: int, error: object) -> ValueError:
    return ValueError(f"{path} cannot be read beyond frame {index}: {error}. {_REMEDY}")


def _upright(frame: Any) -> Image.Image:
    image = frame.to_image()
    # Both PyAV and Pillow count counter-clockwise.
    return image.rotate(frame.rotation, expand=True) if frame.rotation else image


@contextlib.contextmanager
def _open_video(path: Path) -> Iterator[Any]:
    av = import_av()
    try:
        # A file may be a list that names others; it must not reach the network.
        container = av.open(str(path), options={"protocol_whitelist": "file"})
    except (av.error.FFmpegError, OSError) as error:
        raise ValueError(
            f"{path} cannot be read as a video: {error.strerror or error}. It is none, or cut off."
        ) from error
    with container:
        if not container.streams.video:
            raise ValueError(f"{path} holds no video that can be read: it has none, or is cut off.")
        yield container


def import_av() -> Any:
    """PyAV.

    Raises:
        ImportError: If it is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise ImportError("Video files need PyAV. Install it with: pip install 'paumer_hf[video]'") from error
    return av


__all__ = [
    "ANIMATED_FORMATS",
    "DEFAULT_DURATION",
    "VIDEO_SUFFIXES",
    "AnimatedImage",
    "Frame",
    "ImageSequence",
    "Video",
    "VideoFile",
    "import_av",
]
