# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import sys

import pytest

from paumer_hf.prediction.inputs import find_images, find_inputs
from paumer_hf.prediction.video_frames import AnimatedImage, ImageSequence, VideoFile


@pytest.fixture
def folder(tmp_path, photograph):
    folder = tmp_path / "images"
    folder.mkdir()
    photograph().save(folder / "b.png")
    photograph(seed=1).save(folder / "a.JPG", format="JPEG")
    (folder / "notes.txt").write_text("no image")
    (folder / "._a.JPG").write_text("what some systems leave beside an image")
    return folder


def test_images_of_a_folder_are_sorted(folder):
    assert find_images([folder]) == [folder / "a.JPG", folder / "b.png"]
    assert find_images([folder / "b.png", folder]) == [folder / "b.png", folder / "a.JPG", folder / "b.png"]
    assert find_inputs([folder]) == ([folder / "a.JPG", folder / "b.png"], [])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "at least one image"),
        (["missing.png"], "missing.png does not exist"),
        (["empty"], "empty holds no image"),
        (["images/notes.txt"], r"notes.txt cannot be read as an image"),
    ],
)
@pytest.mark.parametrize("find", [find_images, find_inputs])
def test_paths_that_are_refused(find, names, message, folder, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=message):
        find([tmp_path / name for name in names])


def test_only_where_videos_are_taken_too_a_file_could_be_one(folder):
    with pytest.raises(ValueError, match=r"; video files must end in one of \.3gp \.avi"):
        find_inputs([folder / "notes.txt"])
    with pytest.raises(ValueError, match=r"cannot be read as an image: [^;]*\.$"):
        find_images([folder / "notes.txt"])


def test_images_animations_and_videos_are_told_apart(folder, make_animation, make_video, grey_frames, photograph):
    animations = [make_animation(grey_frames(3), name) for name in ("d.gif", "e.webp", "f.png")]
    photograph().save(folder / "still.gif")
    photograph().save(folder / "pages.tif", save_all=True, append_images=[photograph()])
    video = make_video(grey_frames(3)).rename(folder / "c.MP4")
    images, videos = find_inputs([folder, *animations])
    assert [path.name for path in images] == ["a.JPG", "b.png", "pages.tif", "still.gif"]
    assert [(type(found), found.path) for found in videos] == [
        (VideoFile, video),
        *((AnimatedImage, path) for path in animations),
    ]


def test_a_folder_as_a_video_is_in_the_order_of_its_numbers(tmp_path, photograph):
    names = ["frame1.png", "frame2.png", "frame10.png", "frame010.png", "other.png"]
    for name in names:
        photograph().save(tmp_path / name)
    images, (video,) = find_inputs([tmp_path], as_video=True)
    assert images == []
    assert type(video) is ImageSequence
    assert [file.name for file in video.files] == [
        "frame1.png",
        "frame2.png",
        "frame010.png",
        "frame10.png",
        "other.png",
    ]
    assert video.frame_rate == 10
    assert find_inputs([tmp_path], as_video=True, frame_rate=2.5)[1][0].frame_rate == 2.5


def test_files_beside_a_folder_that_is_a_video_stay_images(folder, tmp_path, photograph):
    photograph().save(tmp_path / "single.png")
    images, (video,) = find_inputs([folder, tmp_path / "single.png"], as_video=True)
    assert images == [tmp_path / "single.png"]
    assert video.path == folder


def test_flags_without_anything_to_apply_to_are_refused(folder, tmp_path):
    with pytest.raises(
        ValueError, match="`as_video` makes a folder of images one video, but `inputs` names no folder"
    ):
        find_inputs([folder / "b.png"], as_video=True)
    with pytest.raises(ValueError, match="`frame_rate` is for folders"):
        find_inputs([folder], frame_rate=5.0)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty holds no image file"):
        find_inputs([tmp_path / "empty"], as_video=True)


def test_without_pyav_a_video_names_the_extra_and_images_need_nothing(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    assert len(find_inputs([folder])[0]) == 2
    (folder / "c.mp4").write_bytes(b"")
    with pytest.raises(ImportError, match=r"paumer_hf\[video\]"):
        find_inputs([folder])
