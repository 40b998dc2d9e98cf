# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import sys

import pytest
from transformers import HfArgumentParser

from paumer_hf.prediction.prediction_arguments import PredictionArguments
from paumer_hf.prediction.video_files import VideoOptions


def parse(*arguments):
    command = ["--model", "model", "--inputs", "a.png", "--output", "out", *arguments]
    (parsed,) = HfArgumentParser(PredictionArguments).parse_args_into_dataclasses(command)
    return parsed


def test_images_is_another_name_of_inputs():
    parser = HfArgumentParser(PredictionArguments)
    (parsed,) = parser.parse_args_into_dataclasses(["--model", "m", "--images", "a.png", "b", "--output", "out"])
    assert parsed.inputs == ["a.png", "b"]


def test_defaults(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    parsed = parse()
    assert parsed.pause_configs is None
    assert parsed.targets == {"min_speedup": None, "min_throughput": None, "max_drop": None}
    assert parsed.video_options == VideoOptions("gif")


def test_targets_and_options_of_videos():
    parsed = parse("--target_speedup", "1.5", "--target_throughput", "20", "--max_drop", "0.7")
    assert parsed.targets == {"min_speedup": 1.5, "min_throughput": 20, "max_drop": 0.7}
    flags = ["--format", "png", "--every_nth", "2", "--max_frames", "3", "--short_side", "4", "--figure_width", "500"]
    assert parse(*flags, "--save_label_maps").video_options == VideoOptions("png", 2, 3, 4, 500, True)


def test_unknown_formats_are_refused():
    with pytest.raises(SystemExit):
        parse("--format", "avi")
