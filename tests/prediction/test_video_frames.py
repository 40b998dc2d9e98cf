# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import struct
import sys

import numpy as np
import pytest
from PIL import Image

from paumer_hf.prediction.video_frames import AnimatedImage, ImageSequence, Video, VideoFile


class CountedVideo(Video):
    """Ten frames, of which it remembers which were made into images."""

    def __init__(self, path, count=10):
        super().__init__(path, 5.0, count)
        self.made, self.decoded, self.closed = [], 0, False

    def _decode(self):
        def make(number):
            self.made.append(number)
            return Image.new("RGB", (8, 8))

        try:
            for number in range(self.num_frames):
                self.decoded += 1
                yield 3 + number / 5, lambda number=number: make(number)
        finally:
            self.closed = True


@pytest.mark.parametrize(
    ("every_nth", "max_frames", "expected"),
    [(1, None, list(range(10))), (3, None, [0, 3, 6, 9]), (4, 2, [0, 4]), (1, 20, list(range(10))), (11, None, [0])],
)
def test_only_chosen_frames_are_made(every_nth, max_frames, expected, tmp_path):
    video = CountedVideo(tmp_path)
    frames = list(video.frames(every_nth, max_frames))
    assert [frame.number for frame in frames] == expected == video.made
    assert [frame.time for frame in frames] == pytest.approx([number / 5 for number in expected])
    assert video.count(every_nth, max_frames) == len(expected)
    assert video.decoded <= (expected[-1] + 1 if max_frames else 10)


def test_frames_are_read_when_they_are_asked_for(tmp_path):
    video = CountedVideo(tmp_path)
    frames = video.frames()
    next(frames)
    assert video.decoded == 1
    frames.close()
    assert video.closed


@pytest.mark.parametrize("choice", [{"every_nth": 0}, {"max_frames": 0}])
def test_choices_that_are_refused(choice, tmp_path):
    (name,) = choice
    with pytest.raises(ValueError, match=f"`{name}` must be at least 1, but is 0"):
        next(CountedVideo(tmp_path).frames(**choice))
    with pytest.raises(ValueError, match=f"`{name}` must be at least 1, but is 0"):
        CountedVideo(tmp_path).count(**choice)


def test_a_video_without_frames_is_named(tmp_path):
    with pytest.raises(ValueError, match="holds no frame"):
        list(CountedVideo(tmp_path, count=0).frames())


def test_the_length_may_be_unknown(tmp_path):
    video = Video(tmp_path, 10.0, None)
    assert (video.count(), video.count(2), video.count(2, 7)) == (None, None, 7)


# --- folders ---


def test_a_sequence_of_images(tmp_path, photograph):
    files = [tmp_path / f"{number}.png" for number in range(3)]
    for number, file in enumerate(files):
        photograph(seed=number).save(file)
    frames = list(ImageSequence(tmp_path, files, 4.0).frames())
    assert [frame.time for frame in frames] == [0, 0.25, 0.5]
    for number, frame in enumerate(frames):
        assert np.array_equal(frame.image, photograph(seed=number))


def test_images_of_two_sizes_are_no_sequence(tmp_path, photograph):
    photograph(9, 5).save(tmp_path / "a.png")
    photograph(5, 9).save(tmp_path / "b.png")
    frames = ImageSequence(tmp_path, [tmp_path / "a.png", tmp_path / "b.png"], 4.0).frames()
    assert next(frames).image.size == (9, 5)
    with pytest.raises(ValueError, match=r"must have one size, but .*b\.png has 5 x 9 pixels .* has 9 x 5"):
        next(frames)


def test_sequences_that_are_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no image file"):
        ImageSequence(tmp_path, [], 10.0)
    for rate in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="`frame_rate` must be greater than 0, but is"):
            ImageSequence(tmp_path, [tmp_path / "a.png"], rate)


# --- animated images ---


@pytest.mark.parametrize("name", ["drive.gif", "drive.webp", "drive.png"])
def test_animated_images(name, make_animation, grey_frames):
    video = AnimatedImage(make_animation(grey_frames(4), name, duration=[200, 50, 100, 100]))
    assert (video.num_frames, video.frame_rate) == (4, 5)
    frames = list(video.frames())
    assert [frame.time for frame in frames] == pytest.approx([0, 0.2, 0.25, 0.35])
    for frame, expected in zip(frames, grey_frames(4), strict=True):
        assert np.array_equal(frame.image, expected)


def test_an_animated_image_that_is_cut_off_is_named(make_animation, photograph):
    path = make_animation([photograph(seed=number) for number in range(4)])
    path.write_bytes(path.read_bytes()[:-700])
    with pytest.raises(ValueError, match=r"drive\.gif cannot be read beyond frame 3: .* Copy it again"):
        list(AnimatedImage(path).frames())


# --- video files ---


@pytest.mark.parametrize("name", ["drive.mp4", "drive.webm", "drive.mov", "drive.mkv", "drive.avi"])
def test_video_files(name, make_video, grey_frames):
    video = VideoFile(make_video(grey_frames(6), name, rate=5))
    assert video.frame_rate == pytest.approx(5)
    assert video.count() == 6
    frames = list(video.frames())
    assert [frame.time for frame in frames] == pytest.approx([number / 5 for number in range(6)], abs=2e-3)
    for frame, expected in zip(frames, grey_frames(6), strict=True):
        assert frame.image.mode == "RGB"
        assert np.abs(np.asarray(frame.image).astype(int) - np.asarray(expected)).max() <= 6
    assert len({np.asarray(frame.image).tobytes() for frame in frames}) == 6


def test_videos_are_turned_upright(make_video, photograph):
    # The left half white: turned clockwise by a quarter, the upper half.
    image = Image.new("RGB", (64, 32))
    image.paste((255, 255, 255), (0, 0, 32, 32))
    path = make_video([image] * 3)
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40
    assert struct.unpack_from(">9i", content, matrix) == (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    struct.pack_into(">9i", content, matrix, 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    frame = next(VideoFile(path).frames()).image
    assert frame.size == (32, 64)
    assert np.asarray(frame)[:28].min() > 200
    assert np.asarray(frame)[36:].max() < 50


@pytest.mark.parametrize(("name", "share"), [("drive.mp4", 0.6), ("drive.mp4", 0.999), ("drive.webm", 0.6)])
def test_a_video_that_is_cut_off_is_named(name, share, make_video, photograph):
    path = make_video([photograph(64, 48, seed=number) for number in range(60)], name)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    video = VideoFile(path)
    with pytest.raises(ValueError, match=rf"drive\.{name[6:]} (is cut off|ends after|cannot be read beyond)"):
        list(video.frames())
    assert len(list(video.frames(max_frames=20))) == 20


@pytest.mark.parametrize("content", [b"", b"no video" * 50])
def test_what_is_no_video_is_named(content, tmp_path):
    pytest.importorskip("av", reason="videos need PyAV, the extra `video`")
    (tmp_path / "drive.mp4").write_bytes(content)
    with pytest.raises(ValueError, match=r"drive\.mp4 cannot be read as a video: Invalid data.*cut off"):
        VideoFile(tmp_path / "drive.mp4")


def test_sound_alone_is_no_video(tmp_path):
    av = pytest.importorskip("av", reason="videos need PyAV, the extra `video`")
    with av.open(str(tmp_path / "drive.mkv"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), dtype=np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(ValueError, match=r"drive\.mkv holds no video that can be read"):
        VideoFile(tmp_path / "drive.mkv")


def test_without_pyav_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ImportError, match=r"Video files need PyAV.*pip install 'paumer_hf\[video\]'"):
        VideoFile(tmp_path / "drive.mp4")
