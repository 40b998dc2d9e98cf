# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import re
from pathlib import Path

import pytest

from paumer_hf.figures.commands import FIGURES, build_parser, read_sample, timing_caption


ROOT = Path(__file__).resolve().parents[2]


def test_every_figure_is_a_sub_command_and_stands_in_the_docstring_of_the_script(capsys):
    assert set(FIGURES) == {
        "pause_map",
        "entropy_violins",
        "trade_off",
        "architectures",
        "single_layer_sweep",
        "two_layer_sweep",
        "first_correct_layer",
    }
    script = (ROOT / "scripts" / "draw_figure.py").read_text(encoding="utf-8")
    assert set(re.findall(r"draw_figure\.py ([a-z_]+) --", script)) == set(FIGURES)
    for name in FIGURES:
        with pytest.raises(SystemExit):
            build_parser().parse_args([name, "--help"])
        assert "--output" in capsys.readouterr().out


def test_defaults():
    arguments = build_parser().parse_args(["entropy_violins", "--model", "m", "--output", "f.png"])
    assert (arguments.share, arguments.split, arguments.window_size, arguments.results) == (
        0.1,
        "validation",
        None,
        None,
    )
    arguments = build_parser().parse_args(["architectures", "--results", "r", "--output", "f.png"])
    assert (ROOT / arguments.published).is_file()


class Samples(list):
    """A data set of samples that have nothing but an id."""


class Sample:
    def __init__(self, id):
        self.id = id


def test_samples_by_number_and_by_id():
    dataset = Samples([Sample("street"), Sample("2"), Sample("7")])
    assert read_sample(dataset, "street") is dataset[0]
    assert read_sample(dataset, "2") is dataset[2]
    assert read_sample(dataset, "7") is dataset[2]
    for name in ("3", "-1", "square"):
        with pytest.raises(ValueError, match="must be a number below 3 or an id of the split"):
            read_sample(dataset, name)


def test_conditions_of_the_timing():
    conditions = {"device": "a CPU", "num_threads": 2, "image_size": [360, 480], "batch_size": 1, "dtype": "float32"}
    assert timing_caption(conditions) == "Speed: a CPU, 2 threads, 480 x 360 pixels, batch 1, float32."
    assert timing_caption({"num_threads": 1}) == "Speed: 1 thread."
    assert timing_caption({}) == ""
