# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from paumer_hf import PaumerImageProcessor, PauseConfig


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
        monkeypatch.setattr(sys, "argv", [*command, *arguments])
        runpy.run_path(str(SCRIPT), run_name="__main__")

    return run_script


def test_figure_and_label_maps(run, tmp_path, capsys):
    run("--pause_configs", "dense", "fast", "1:0.4,3:0.2", "dense")
    assert capsys.readouterr().out.splitlines() == [str(Path("out") / "street.png")]
    names = {path.name for path in (tmp_path / "out").iterdir()}
    labels = {f"street_labels_{name}.png" for name in ("dense", "1-0.5_2-0.5", "1-0.4_3-0.2")}
    assert names == labels | {"street.png"}
    for name in labels:
        with Image.open(tmp_path / "out" / name) as label_map:
            assert label_map.size == (50, 30)
            assert np.asarray(label_map).max() < 3


def test_defaults_are_dense_and_the_default_of_the_model(run, tmp_path):
    run()  # the default of this model is dense as well
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"street.png", "street_labels_dense.png"}


@pytest.mark.parametrize(
    ("arguments", "images", "message"),
    [
        (["--pause_configs", "faster"], "images", "Unknown pause configuration 'faster'"),
        (["--pause_configs", "1:0.4", "--criterion", "hope"], "images", "`criterion` must be one of"),
        (["--dataset", "camvid"], "images", "as many classes as the model, 3"),
        ([], "nowhere", "nowhere does not exist"),
        (["--short_side", "0"], "images", "`short_side` must be at least 1"),
        (["--output", "images"], "images", "must be another folder"),
        (["--model", "no/such/folder"], "images", "`model` cannot be loaded from no/such/folder"),
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
