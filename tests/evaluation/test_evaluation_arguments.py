# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the command line of an evaluation."""

import dataclasses

import pytest
import torch
from transformers import HfArgumentParser

from paumer_hf.evaluation.evaluation_arguments import EvaluationArguments
from paumer_hf.evaluation.multi_scale import EvaluationSettings


RECIPE = {
    "eval_window_size": [768, 768],
    "eval_stride": [512, 512],
    "eval_resize_short_side": 512,
    "eval_resize_long_side": 2048,
    "seed": 9,
}


def read(*flags):
    (arguments,) = HfArgumentParser(EvaluationArguments).parse_args_into_dataclasses(["--model", "folder", *flags])
    return arguments


def test_without_flags_the_settings_are_the_default_ones():
    settings = read().settings()
    assert EvaluationSettings(**settings) == EvaluationSettings()
    decided_elsewhere = {"image_mean", "image_std"}
    assert set(settings) | decided_elsewhere == {field.name for field in dataclasses.fields(EvaluationSettings)}


def test_flags_become_settings():
    flags = "--window_size 64 48 --stride 32 24 --window_batch_size 2 --resize_short_side 100 --resize_long_side 300"
    more = "--scales 0.5 1 2 --flip --dtype bfloat16 --seed 3 --num_random_seeds 2"
    assert read(*flags.split(), *more.split()).settings(RECIPE) == {
        "window_size": [64, 48],
        "stride": [32, 24],
        "window_batch_size": 2,
        "resize_short_side": 100,
        "resize_long_side": 300,
        "scales": (0.5, 1.0, 2.0),
        "flip": True,
        "dtype": torch.bfloat16,
        "seed": 3,
        "num_random_seeds": 2,
    }


def test_multi_scale_is_that_of_the_paper():
    settings = read("--multi_scale").settings()
    assert settings["scales"] == (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
    assert settings["flip"]
    with pytest.raises(ValueError, match="Give either --scales or --multi_scale"):
        read("--multi_scale", "--scales", "0.5").settings()


@pytest.mark.parametrize(
    ("flags", "window_size", "stride", "short_side", "long_side"),
    [
        ((), [768, 768], [512, 512], 512, 2048),
        (("--window_size", "256", "256"), [256, 256], None, 512, 2048),
        (("--resize_short_side", "256"), [768, 768], [512, 512], 256, None),
    ],
)
def test_windows_and_resizing_of_a_recipe_hold_where_no_flag_says_otherwise(
    flags, window_size, stride, short_side, long_side
):
    settings = read(*flags).settings(RECIPE)
    assert (settings["window_size"], settings["stride"]) == (window_size, stride)
    assert (settings["resize_short_side"], settings["resize_long_side"]) == (short_side, long_side)
    assert settings["seed"] == 0, "only windows and resizing are a recipe's"
    EvaluationSettings(**settings)
