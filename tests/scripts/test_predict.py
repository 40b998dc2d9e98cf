# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from paumer_hf import PaumerForSemanticSegmentation, PaumerImageProcessor, PauseConfig


SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "predict.py"


@pytest.fixture
def run(tiny_model, tmp_path, monkeypatch):
    """A function that runs the script on a saved model with the preset "fast", in a folder with one image."""
    tiny_model.pause_presets = {"fast": PauseConfig({1: 0.5, 2: 0.5})}
    tiny_model.save_pretrained(tmp_path / "model")
    PaumerImageProcessor(size_divisor=8).save_pretrained(tmp_path / "model")
    (tmp_path / "images").mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 50, 3), dtype=np.uint8)).save(
        tmp_path / "images" / "street.png"
    )
    monkeypatch.chdir(tmp_path)

    def run_script(*arguments, images="images"):
        command = ["predict.py", "--model", "model", "--images", images, "--output", "out", "--device", "cpu"]
        monkeypatch.setattr(sys, "argv", [*command, "--no_tune_malloc", *arguments])
        runpy.run_path(str(SCRIPT), run_name="__main__")

    return run_script


def test_figure_and_label_maps(run, tmp_path, capsys):
    run("--pause_configs", "dense", "fast", "1:0.4,3:0.2", "dense")
    assert capsys.readouterr().out.splitlines() == [str(Path("out") / "street.png")]
    names = {path.name for path in (tmp_path / "out").iterdir()}
    labels = {f"street_labels_{name}.png" for name in ("dense", "1-0.5_2-0.5", "1-0.4_3-0.2")}
    assert names == labels | {"street.png", "street.json"}
    report = json.loads((tmp_path / "out" / "street.json").read_text())
    assert [row["name"] for row in report["results"]] == ["dense", "fast", "1:0.4,3:0.2"]
    assert [row["num_timed_calls"] for row in report["results"]] == [3] * 3
    assert report["conditions"]["model"] == "model"
    for name in labels:
        with Image.open(tmp_path / "out" / name) as label_map:
            assert label_map.size == (50, 30)
            assert np.asarray(label_map).max() < 3


def test_defaults_are_dense_and_the_default_of_the_model(run, tmp_path):
    run()  # the default of this model is dense as well
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"street.png", "street.json", "street_labels_dense.png"}


def test_a_folder_as_a_video(run, tmp_path, capsys):
    photograph = Image.open(tmp_path / "images" / "street.png")
    for number in range(3):
        photograph.rotate(number).save(tmp_path / "images" / f"street{number}.png")
    run("--as_video", "--format", "gif", "--pause_configs", "fast", "--max_frames", "3", "--frame_rate", "5")
    output = capsys.readouterr()
    assert output.out.splitlines() == [str(Path("out") / "images.gif")]
    assert "another" not in output.err  # nothing was chosen
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"images.gif", "images.json"}
    with Image.open(tmp_path / "out" / "images.gif") as animation:
        assert (animation.n_frames, animation.info["duration"]) == (3, 200)


def test_images_and_videos_together(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    frames = [Image.new("RGB", (50, 30), (60 * number,) * 3) for number in range(3)]
    frames[0].save(tmp_path / "images" / "street.gif", save_all=True, append_images=frames[1:])
    run("--pause_configs", "dense", "--timed_calls", "1")
    output = capsys.readouterr()
    assert output.out.splitlines() == [str(Path("out") / name) for name in ("street.png", "street-2.gif")]
    assert "Videos are written as gif; --format chooses another." in output.err
    reports = [json.loads((tmp_path / "out" / f"{name}.json").read_text()) for name in ("street", "street-2")]
    assert [report["results"][0]["num_timed_calls"] for report in reports] == [1, 3]


def test_a_target_chooses_the_configuration(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        PaumerForSemanticSegmentation, "select_pause_config", lambda self, **targets: PauseConfig({1: 0.5, 2: 0.5})
    )
    run("--max_drop", "0.0")
    assert "The target is met by 1:0.5,2:0.5." in capsys.readouterr().err
    report = json.loads((tmp_path / "out" / "street.json").read_text())
    assert [(row["name"], row["pause_config"]) for row in report["results"]] == [("fast", "1:0.5,2:0.5")]


def test_an_interrupt_is_no_traceback(run, tmp_path, capsys, monkeypatch):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("paumer_hf.prediction.image_files.compose_figure", interrupt)
    with pytest.raises(SystemExit) as stopped:
        run("--pause_configs", "dense")
    assert stopped.value.code == 130
    assert "interrupted" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "images", "message"),
    [
        (["--pause_configs", "faster"], "images", "Unknown pause configuration 'faster'"),
        (["--pause_configs", "1:0.4", "--criterion", "hope"], "images", "`criterion` must be one of"),
        (["--dataset", "camvid"], "images", "as many classes as the model, 3"),
        ([], "nowhere", "nowhere does not exist"),
        (["--short_side", "0"], "images", "`short_side` must be at least 1"),
        (["--output", "images"], "images", "must be another folder"),
        (["--pause_configs", "fast", "--target_speedup", "2"], "images", "but a target chooses one"),
        (["--target_speedup", "2"], "images", "no profile"),
        (["--format", "mp4"], "images", "is for videos, and there are only images"),
        (["--as_video"], "images/street.png", "names no folder"),
        (["--timed_calls", "0"], "images", "must be at least 1, but is 0"),
        (["--model", "no/such/folder"], "images", "there is no folder no/such/folder"),
    ],
)
def test_errors_are_one_message(arguments, images, message, run):
    with pytest.raises(SystemExit, match=message) as error:
        run(*arguments, images=images)
    assert str(error.value).startswith("predict.py: ")


def test_figures_for_documents_are_reduced(run, tmp_path):
    run("--pause_configs", "dense")
    with Image.open(tmp_path / "out" / "street.png") as figure:
        width, height = figure.size
    run("--pause_configs", "dense", "--figure_width", "200")
    with Image.open(tmp_path / "out" / "street.png") as figure:
        assert figure.size == (200, round(200 * height / width))
        assert figure.mode == "P"
    with pytest.raises(SystemExit, match="`figure_width` must be at least 1 pixel, but is 0"):
        run("--pause_configs", "dense", "--figure_width", "0")
