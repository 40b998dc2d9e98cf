# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest
from PIL import Image

from paumer_hf import PaumerImageProcessor, PauseConfig
from paumer_hf.prediction.image_files import check_outputs, file_name, output_names, predict_files
from paumer_hf.prediction.timed_prediction import predict


CONFIGS = [PauseConfig(), PauseConfig({1: 0.4, 2: 0.5}), PauseConfig({1: 0.4}, "random", 0)]


@pytest.fixture
def files(tmp_path, photograph):
    folder = tmp_path / "images"
    folder.mkdir()
    photograph(seed=1).save(folder / "a.JPG", format="JPEG")
    photograph().save(folder / "b.png")
    return [folder / "a.JPG", folder / "b.png"]


@pytest.fixture
def run(tiny_model, tmp_path, palette):
    def run(paths, configs=CONFIGS, **options):
        return predict_files(tiny_model, PaumerImageProcessor(), paths, configs, tmp_path / "out", palette, **options)

    return run


def test_files_are_written(files, tmp_path, tiny_model, photograph, run):
    out = tmp_path / "out"
    figures = run(files)
    assert figures == [out / "a.png", out / "b.png"]
    names = ["dense", "1-0.4_2-0.5", "1-0.4_random_0"]
    expected = {f"{stem}_labels_{name}.png" for stem in "ab" for name in names}
    assert {path.name for path in out.iterdir()} == expected | {"a.png", "b.png", "a.json", "b.json"}
    with Image.open(out / "b_labels_1-0.4_2-0.5.png") as labels:
        assert labels.mode == "P"
        row = predict(tiny_model, PaumerImageProcessor(), photograph(), CONFIGS[1])
        assert np.array_equal(labels, row.label_map)

    figures[0].write_bytes(b"old")
    run(files[:1])
    with Image.open(figures[0]) as figure, Image.open(figures[1]) as other:
        assert figure.size == other.size


def test_the_numbers_are_those_of_the_pictures(files, tmp_path, tiny_model, photograph, run):
    configs = {CONFIGS[1]: "fast", CONFIGS[0]: "dense"}
    run(files[1:], configs, model_name="some/model", num_timed_calls=2)
    report = json.loads((tmp_path / "out" / "b.json").read_text())
    assert (report["image"], report["width"], report["height"], report["figure"]) == (str(files[1]), 45, 38, "b.png")
    assert report["conditions"]["model"] == "some/model"
    fast, dense = report["results"]
    assert (fast["name"], fast["pause_config"], dense["pause_config"]) == ("fast", "1:0.4,2:0.5", "")
    assert dense["active_share"] == 1
    # Of 30 patches 12 pause, then half of 18.
    assert fast["paused_share"] == {"1": 12 / 30, "2": 9 / 30}
    assert fast["active_share"] == pytest.approx(9 / 30)
    for row in report["results"]:
        with Image.open(tmp_path / "out" / row["label_map"]) as labels:
            counts = np.bincount(np.asarray(labels).ravel(), minlength=3)
        assert {entry["label"]: entry["pixels"] for entry in row["classes"]} == {
            label: count for label, count in enumerate(counts.tolist()) if count
        }
        assert sum(entry["share"] for entry in row["classes"]) == pytest.approx(1)
        assert {entry["name"] for entry in row["classes"]} <= {"road", "tree", "sky"}
        assert row["images_per_second"] == pytest.approx(1 / row["seconds_median"])
        assert row["num_timed_calls"] == 2


def test_files_of_one_name_do_not_replace_each_other(files, run):
    figures = run([files[1], files[1]], [PauseConfig()])
    assert [figure.name for figure in figures] == ["b.png", "b-2.png"]


def test_names(tmp_path):
    (tmp_path / "run.v2").mkdir()
    paths = [tmp_path / "run.v2", tmp_path / "a.b.png", tmp_path / "run.v2", tmp_path / "x" / "a.b.jpg"]
    assert output_names(paths) == ["run.v2", "a.b", "run.v2-2", "a.b-2"]
    assert [file_name(config) for config in CONFIGS] == ["dense", "1-0.4_2-0.5", "1-0.4_random_0"]


@pytest.mark.parametrize(("size", "expected"), [((45, 38), (24, 20)), ((100, 1), (2000, 20))])
def test_short_side(size, expected, tmp_path, photograph, run):
    photograph(*size).save(tmp_path / "image.png")
    run([tmp_path / "image.png"], [PauseConfig()], short_side=20, num_timed_calls=1)
    with Image.open(tmp_path / "out" / "image_labels_dense.png") as labels:
        assert labels.size == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"short_side": 0}, "`short_side` must be at least 1"),
        ({"figure_width": 0}, "`figure_width` must be at least 1"),
        ({"num_timed_calls": 0}, "`num_calls` must be at least 1"),
    ],
)
def test_options_that_are_refused(options, message, files, run):
    with pytest.raises(ValueError, match=message):
        run(files, **options)


def test_a_truncated_image_is_named(files, tmp_path, run):
    path = tmp_path / "half.png"
    path.write_bytes(files[1].read_bytes()[:600])
    with pytest.raises(ValueError, match=r"half\.png cannot be read as an image"):
        run([path])


def test_nothing_that_is_read_or_was_written_is_overwritten(files, tmp_path):
    folder = files[0].parent
    for output in (folder, folder / ".." / "images"):
        with pytest.raises(ValueError, match="must be another folder than that of the images"):
            check_outputs(files, output, ["a", "b"], CONFIGS)
        with pytest.raises(ValueError, match="must be another folder than that of the images"):
            check_outputs([folder], output, ["images"], CONFIGS)
    with pytest.raises(ValueError, match=r"`output_dir` must be a folder, but .*b\.png is a file"):
        check_outputs(files[:1], files[1], ["a"], CONFIGS)
    with pytest.raises(ValueError, match="Two files would be written to a_labels_dense"):
        check_outputs(files, tmp_path / "out", ["a", "a_labels_dense"], CONFIGS)
    check_outputs(files, folder / "out", ["a", "a_labels_fast"], CONFIGS)
