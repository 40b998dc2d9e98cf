# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import contextlib
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from paumer_hf.prediction import frame_writers
from paumer_hf.prediction.frame_writers import check_png_folder, gif_writer, mp4_codec, mp4_writer, png_writer


# Not the darkest of the colours that Pillow takes for the same, so that those beside them are tempting.
RED, TEAL = (203, 31, 31), (23, 143, 151)


def scene(seed, size=(50, 40)):
    """A photograph that differs from seed to seed, with a square of red and one of teal."""
    width, height = size
    ramp = np.linspace(seed * 20, 120 + seed * 20, width * height).reshape(height, width, 1)
    image = Image.fromarray(np.repeat(ramp, 3, axis=2).astype(np.uint8))
    image.paste(RED, (0, 0, 10, 10))
    image.paste(TEAL, (20, 20, 30, 30))
    return image


def written_gif(path):
    with Image.open(path) as file:
        frames, durations = [], []
        for number in range(file.n_frames):
            file.seek(number)
            frames.append(np.asarray(file.convert("RGB")).astype(int))
            durations.append(file.info["duration"])
        return frames, durations, file.info.get("loop")


# --- GIF ---


def test_a_gif_has_the_frames_and_repeats_for_ever(tmp_path):
    path = tmp_path / "new" / "drive.gif"
    with gif_writer(path, 10) as write:
        for number in range(5):
            write(scene(number), number / 10)
    frames, durations, loop = written_gif(path)
    assert (durations, loop) == ([100] * 5, 0)
    for number, frame in enumerate(frames):
        assert np.abs(frame - np.asarray(scene(number))).mean() < 5


def test_kept_colours_are_exact_in_every_frame(tmp_path):
    neighbours = [(200, 28, 28), (20, 140, 148)]  # which a palette for the first frame would have instead
    first = scene(0)
    for place, colour in enumerate(neighbours):
        first.paste(colour, (35, 20 * place, 50, 20 * place + 20))
    with gif_writer(tmp_path / "drive.gif", 10, [RED, TEAL]) as write:
        for number, image in enumerate([first, scene(3), scene(6)]):
            write(image, number / 10)
    frames, _, _ = written_gif(tmp_path / "drive.gif")
    for frame in frames:
        assert (frame[:10, :10] == RED).all()
        assert (frame[20:30, 20:30] == TEAL).all()


def test_more_colours_to_keep_than_a_palette_has(tmp_path):
    with gif_writer(tmp_path / "drive.gif", 10, [RED, *((level, level, 0) for level in range(256)), TEAL]) as write:
        write(scene(0), 0)
    frames, _, _ = written_gif(tmp_path / "drive.gif")
    assert (frames[0][:10, :10] == RED).all()


@pytest.mark.parametrize("rate", [30, 24, 12.5, 1])
def test_a_gif_plays_as_fast_as_its_source(rate, tmp_path):
    with gif_writer(tmp_path / "drive.gif", rate) as write:
        for number in range(40):
            write(Image.new("RGB", (4, 4), (number, 0, 0)), number / rate)
    _, durations, _ = written_gif(tmp_path / "drive.gif")
    assert sum(durations) == pytest.approx(40_000 / rate, abs=10)
    assert max(durations) - min(durations) <= 10


def test_frames_that_a_gif_cannot_show_so_shortly_take_their_time(tmp_path):
    with gif_writer(tmp_path / "drive.gif", 100) as write:
        for number in range(5):
            write(Image.new("RGB", (4, 4), (number, 0, 0)), number / 100)
    assert written_gif(tmp_path / "drive.gif")[1] == [20] * 5


# --- MP4 ---


@pytest.fixture
def read_mp4():
    av = pytest.importorskip("av", reason="videos need PyAV, the extra `video`")

    def read(path):
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            frames = [(frame.time, frame.to_image()) for frame in container.decode(stream)]
            codec = stream.codec_context
            return frames, (codec.name, codec.pix_fmt, codec.colorspace), container.duration / 1e6

    return read


@pytest.mark.parametrize(("codec", "name"), [("libx264", "h264"), ("mpeg4", "mpeg4")])
def test_an_mp4_has_the_frames_at_their_times(codec, name, tmp_path, read_mp4, monkeypatch):
    monkeypatch.setattr(frame_writers, "mp4_codec", lambda: codec)
    times, size = [0, 0.1, 0.2, 0.45, 0.5], (51, 39)
    with mp4_writer(tmp_path / "drive.mp4", 10) as write:
        for number, time in enumerate(times):
            write(scene(number, size), time)
    frames, (codec_name, pixels, colorspace), duration = read_mp4(tmp_path / "drive.mp4")
    assert [time for time, _ in frames] == pytest.approx(times, abs=1e-3)
    assert duration == pytest.approx(0.6, abs=0.02)
    assert (codec_name, pixels) == (name, "yuv420p")
    if codec == "libx264":
        assert colorspace == 6
    for number, (_, image) in enumerate(frames):
        assert image.size == (52, 40)
        read = np.asarray(image).astype(int)
        assert np.abs(read[2:8, 2:8] - RED).max() <= 16
        assert np.abs(read[22:28, 22:28] - TEAL).max() <= 16
        assert np.abs(read[:39, :51] - np.asarray(scene(number, size))).mean() < 6
        assert read[39:, :50].min() > 230  # paper


def test_an_mp4_can_be_played_before_it_is_there(tmp_path):
    pytest.importorskip("av", reason="videos need PyAV, the extra `video`")
    with mp4_writer(tmp_path / "drive.mp4", 10) as write:
        write(scene(0), 0)
    content = (tmp_path / "drive.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_times_that_do_not_advance_are_no_error(tmp_path, read_mp4):
    with mp4_writer(tmp_path / "drive.mp4", 10) as write:
        for number, time in enumerate([0, 0.1, 0.1, 0.05, 0.3]):
            write(scene(number), time)
    times = [time for time, _ in read_mp4(tmp_path / "drive.mp4")[0]]
    assert len(times) == 5
    assert times == sorted(times)


def test_the_codec_is_one_that_this_pyav_has(monkeypatch):
    av = pytest.importorskip("av", reason="videos need PyAV, the extra `video`")

    def refuse(name, mode):
        raise av.codec.codec.UnknownCodecError(name)

    assert mp4_codec() in ("libx264", "mpeg4")
    monkeypatch.setattr(av.codec, "Codec", refuse)
    assert mp4_codec() == "mpeg4"


def test_an_mp4_without_pyav_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ImportError, match=r"paumer_hf\[video\]"), mp4_writer(tmp_path / "drive.mp4", 10):
        pass
    assert list(tmp_path.iterdir()) == []


# --- PNG ---


def test_pngs_are_numbered_and_replace_those_before(tmp_path):
    for count in (3, 2):
        with png_writer(tmp_path / "frames") as write:
            for number in range(count):
                write(scene(number), 0)
        assert [file.name for file in tmp_path.iterdir()] == ["frames"]
        assert {file.name for file in (tmp_path / "frames").glob("*.png")} == {
            f"00000{number}.png" for number in range(count)
        }
        with Image.open(tmp_path / "frames" / "000001.png") as image:
            assert np.array_equal(image, scene(1))


def test_a_folder_with_anything_else_is_not_replaced(tmp_path):
    (tmp_path / "frames").mkdir()
    for name in ("notes.txt", "000000.png"):  # other programs number their frames alike
        check_png_folder(tmp_path / "frames")
        (tmp_path / "frames" / name).write_text("precious")
        with pytest.raises(ValueError, match="frames was not written by this program"):
            check_png_folder(tmp_path / "frames")
        (tmp_path / "frames" / name).unlink()
    with png_writer(tmp_path / "frames") as write:
        write(scene(0), 0)
    (tmp_path / "frames" / "notes.txt").write_text("precious")
    for check in (check_png_folder, lambda path: png_writer(path).__enter__()):
        with pytest.raises(ValueError, match="frames holds more than the frames that would be replaced"):
            check(tmp_path / "frames")
    assert (tmp_path / "frames" / "notes.txt").read_text() == "precious"
    check_png_folder(tmp_path / "nowhere")


# --- all or nothing ---


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
@pytest.mark.parametrize("name", ["drive.gif", "drive.mp4", "drive"])
@pytest.mark.parametrize("count", [0, 2])
def test_what_fails_leaves_what_was_there(name, error, count, tmp_path):
    if name == "drive.mp4":
        pytest.importorskip("av", reason="videos need PyAV, the extra `video`")
    path = tmp_path / name
    writer = {".gif": lambda: gif_writer(path, 10), ".mp4": lambda: mp4_writer(path, 10)}
    open_writer = writer.get(path.suffix, lambda: png_writer(path))
    with open_writer() as write:
        write(scene(0), 0)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}

    def fail():
        with open_writer() as write:
            for number in range(count):
                write(scene(number), number)
            raise error("stopped")

    with pytest.raises(error):
        fail()
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_an_mp4_that_cannot_be_written_is_named(tmp_path):
    pytest.importorskip("av", reason="videos need PyAV, the extra `video`")
    with contextlib.suppress(FileNotFoundError):
        Path(tmp_path / "drive.mp4").unlink()
    with (
        pytest.raises(OSError, match=r"drive\.mp4 cannot be written"),
        mp4_writer(tmp_path / "drive.mp4", 10) as write,
    ):
        write(Image.new("RGB", (40000, 2)), 0)  # wider than a video may be
    assert list(tmp_path.iterdir()) == []


def test_very_slow_videos(tmp_path, read_mp4):
    with mp4_writer(tmp_path / "drive.mp4", 0.0001) as write:
        write(scene(0), 0)
        write(scene(1), 10_000)
    assert [time for time, _ in read_mp4(tmp_path / "drive.mp4")[0]] == [0, 10_000]
