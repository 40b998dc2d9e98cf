# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Conditions in words."""

from paumer_hf.hub.card_conditions import count, describe_accuracy, describe_software, describe_speed, size


def test_accuracy(search_results, evaluation_results):
    assert describe_accuracy(search_results["conditions"], "CamVid", 57) == (
        "CamVid, 57 images of the split `validation`; sliding windows of 33 x 35 pixels, stride 31 x 29; single scale;"
        " computed in float32; 95 % intervals by resampling the images 1999 times; seed 8."
    )
    more = {"resize_short_side": 512, "scales": [0.5, 1.0], "flip": True}
    text = describe_accuracy({**evaluation_results["conditions"], **more}, "X", 1)
    assert text == (
        "X, 1 image of the split `validation`; shorter side resized to 512 pixels; scales 0.5, 1.0; averaged with"
        " mirror images; computed in float32; seed 0."
    )


def test_speed(search_results):
    conditions = search_results["conditions"]
    assert describe_speed(conditions) == (
        "A device, 3 threads, float32, batches of 2 images of 44 x 52 pixels, sdpa attention, not compiled, median of"
        " 13 rounds in which dense model and configurations took turns."
    )
    assert describe_speed({**conditions, "speed": "macs"}).endswith("it was not timed.")
    assert ", compiled" in describe_speed({**conditions, "compiled": True})


def test_software_without_folders(search_results):
    conditions = search_results["conditions"]
    text = "Python 3.11.7, torch 2.13.0, transformers 5.23.0, "
    assert describe_software(conditions) == f"{text}commit `0123456789ab` of paumer_hf; 2026-02-03."
    dirty = {**conditions, "git": {**conditions["git"], "dirty": True}, "onnxruntime": "1.2"}
    assert "onnxruntime 1.2, commit `0123456789ab` of paumer_hf with changes" in describe_software(dirty)
    assert "without a commit" in describe_software({**conditions, "git": None})


def test_words():
    assert (count(1, "seed"), count(2, "seed"), size([3, 4])) == ("1 seed", "2 seeds", "3 x 4")
