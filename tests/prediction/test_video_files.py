# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import json
import sys

import numpy as np
import pytest
from PIL import Image

from paumer_hf import PaumerImageProcessor, PauseConfig
from paumer_hf.prediction.timed_prediction import TimedPredictor, predict
from paumer_hf.prediction.video_files import VideoOptions, default_video_format, predict_videos
from paumer_hf.prediction.video_frames import AnimatedImage, Video, VideoFile


DENSE, PAUSED = PauseConfig(), PauseConfig({1: 0.4, 2: 0.5})


class MadeVideo(Video):
    """Frames out of nowhere; the last of them may raise an error."""

    def __init__(self, path, images, error=None):
        super().__init__(path, 10.0, None)
        self.images, self.error = images, error

    def _decode(self):
        for number, image in enumerate(self.images):
            yield number / 10, lambda image=image: image
        if self.error is not None:
            raise self.error


@pytest.fixture
def run(tiny_model, tmp_path, palette):
    predictor = TimedPredictor(tiny_model, PaumerImageProcessor(), {DENSE: "dense", PAUSED: "fast"})

    def run(*videos, **options):
        return predict_videos(
            predictor, videos, tmp_path / "out", palette, VideoOptions(**options), model_name="some/model"
        )

    return run


@pytest.fixture
def scenes(photograph):
    return [photograph(seed=number) for number in range(5)]


def read_report(tmp_path, name="drive"):
    return json.loads((tmp_path / "out" / f"{name}.json").read_text())


def test_a_gif_of_all_frames(tmp_path, scenes, run):
    assert run(MadeVideo(tmp_path / "drive", scenes)) == [tmp_path / "out" / "drive.gif"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"drive.gif", "drive.json"}
    with Image.open(tmp_path / "out" / "drive.gif") as animation:
        assert (animation.n_frames, animation.info["duration"], animation.info["loop"]) == (5, 100, 0)


def test_an_mp4_keeps_the_frame_rate(tmp_path, scenes, run, make_video):
    (path,) = run(VideoFile(make_video(scenes, rate=5)), format="mp4", figure_width=301)
    assert path == tmp_path / "out" / "drive.mp4"
    written = VideoFile(path)
    assert written.frame_rate == pytest.approx(5)
    frames = list(written.frames())
    assert [frame.time for frame in frames] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8], abs=1e-3)
    assert frames[0].image.width == 302
    assert read_report(tmp_path)["conditions"]["codec"] in ("libx264", "mpeg4")


def test_every_nth_frame_plays_as_fast_as_before(tmp_path, scenes, run, make_animation):
    run(AnimatedImage(make_animation(scenes, duration=50)), every_nth=2)
    with Image.open(tmp_path / "out" / "drive.gif") as animation:
        assert (animation.n_frames, animation.info["duration"]) == (3, 100)
    report = read_report(tmp_path)
    assert (report["num_frames"], report["every_nth"], report["frame_rate"]) == (3, 2, 10)


def test_pngs_of_all_frames(tmp_path, scenes, run):
    assert run(MadeVideo(tmp_path / "drive", scenes), format="png", max_frames=2) == [
        tmp_path / "out" / "drive_frames"
    ]
    files = sorted((tmp_path / "out" / "drive_frames").glob("*.png"))
    assert [file.name for file in files] == ["000000.png", "000001.png"]
    sizes = set()
    for file in files:
        with Image.open(file) as picture:
            sizes.add(picture.size)
    assert len(sizes) == 1


def test_label_maps_and_numbers_of_all_frames(tmp_path, scenes, run, tiny_model):
    run(MadeVideo(tmp_path / "drive", scenes), save_label_maps=True)
    report = read_report(tmp_path)
    assert [row["name"] for row in report["results"]] == ["dense", "fast"]
    for row, config in zip(report["results"], (DENSE, PAUSED), strict=True):
        counts = np.zeros(3, int)
        for number, scene in enumerate(scenes):
            with Image.open(tmp_path / "out" / row["label_maps"] / f"{number:06d}.png") as labels:
                expected = predict(tiny_model, PaumerImageProcessor(), scene, config).label_map
                assert np.array_equal(labels, expected)
                counts += np.bincount(np.asarray(labels).ravel(), minlength=3)
        assert {entry["label"]: entry["pixels"] for entry in row["classes"]} == {
            label: count for label, count in enumerate(counts.tolist()) if count
        }
        assert row["num_timed_calls"] == 5
        assert row["images_per_second"] == pytest.approx(1 / row["seconds_median"])
    assert report["results"][1]["paused_share"] == {"1": 12 / 30, "2": 9 / 30}
    assert (report["width"], report["height"], report["num_frames"]) == (45, 38, 5)
    assert report["conditions"]["model"] == "some/model"


def test_frames_are_resized_first(tmp_path, scenes, run):
    run(MadeVideo(tmp_path / "drive", scenes), short_side=20, save_label_maps=True)
    assert read_report(tmp_path)["height"] == 20
    with Image.open(tmp_path / "out" / "drive_labels_dense" / "000000.png") as labels:
        assert labels.size == (24, 20)


def test_frames_of_another_size_fit_in(tmp_path, photograph, run):
    run(MadeVideo(tmp_path / "drive", [photograph(45, 38), photograph(90, 50)]), format="png")
    sizes = set()
    for file in (tmp_path / "out" / "drive_frames").glob("*.png"):
        with Image.open(file) as picture:
            sizes.add(picture.size)
    assert len(sizes) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("cut off")])
@pytest.mark.parametrize("form", ["gif", "mp4", "png"])
def test_what_ends_early_leaves_what_was_there(error, form, tmp_path, scenes, run):
    if form == "mp4":
        pytest.importorskip("av", reason="videos need PyAV, the extra `video`")
    run(MadeVideo(tmp_path / "drive", scenes[:2]), format=form, save_label_maps=True)
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    for images in (scenes[2:], []):
        with pytest.raises(type(error)):
            run(MadeVideo(tmp_path / "drive", images, error), format=form, save_label_maps=True)
        assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every_nth": 0}, "`every_nth` must be at least 1"),
        ({"max_frames": 0}, "`max_frames` must be at least 1"),
        ({"short_side": 0}, "`short_side` must be at least 1"),
        ({"figure_width": 20}, "`figure_width` must be at least 200"),
        ({"format": "avi"}, "`format` of videos must be one of gif, mp4, png, but is 'avi'"),
    ],
)
def test_options_that_are_refused(options, message, tmp_path, scenes, run):
    with pytest.raises(ValueError, match=message):
        run(MadeVideo(tmp_path / "drive", scenes), **options)
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def test_a_video_without_frames_is_named(tmp_path, run):
    with pytest.raises(ValueError, match="drive holds no frame"):
        run(MadeVideo(tmp_path / "drive", []))


def test_a_folder_of_other_things_is_not_replaced(tmp_path, scenes, run):
    precious = tmp_path / "out" / "drive_labels_dense" / "notes.txt"
    precious.parent.mkdir(parents=True)
    precious.write_text("precious")
    with pytest.raises(ValueError, match="drive_labels_dense was not written by this program"):
        run(MadeVideo(tmp_path / "drive", scenes), save_label_maps=True)
    assert precious.read_text() == "precious"


def test_the_folder_of_the_videos_is_not_written_to(tmp_path, scenes, run):
    with pytest.raises(ValueError, match="must be another folder"):
        run(MadeVideo(tmp_path / "out" / "drive.mp4", scenes))


def test_videos_of_one_name_do_not_replace_each_other(tmp_path, scenes, run):
    written = run(
        MadeVideo(tmp_path / "a" / "drive.mp4", scenes[:1]), MadeVideo(tmp_path / "b" / "drive.mov", scenes[:1])
    )
    assert [path.name for path in written] == ["drive.gif", "drive-2.gif"]


def test_the_format_depends_on_what_is_installed(monkeypatch):
    pytest.importorskip("av", reason="videos need PyAV, the extra `video`")
    assert default_video_format() == "mp4"
    monkeypatch.setitem(sys.modules, "av", None)
    assert default_video_format() == "gif"
