# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of timing presets and profile on the device at hand."""

import json
import math

import numpy as np
import pytest

from paumer_hf import PauseConfig
from paumer_hf.evaluation import calibrate_throughput, calibration, throughput
from paumer_hf.evaluation.macs import count_macs
from paumer_hf.model.pause_profile import PauseProfile, ProfilePoint


SIZE = (40, 48)
A, B, C = PauseConfig({1: 0.2}), PauseConfig({1: 0.5}), PauseConfig({1: 0.5, 2: 0.5})
CONDITIONS = {"device": "elsewhere", "image_size": [40, 48], "batch_size": 4, "dataset": "camvid"}
PROFILE = PauseProfile(
    (
        ProfilePoint(PauseConfig(), speedup=1, mean_iou=0.4, images_per_second=100),
        ProfilePoint(A, speedup=1.2, mean_iou=0.39, mean_iou_interval=(0.38, 0.41), images_per_second=120),
        ProfilePoint(B, speedup=1.5, mean_iou_difference=-0.02, mean_iou_difference_interval=(-0.03, -0.01)),
        ProfilePoint(C, speedup=2.0, mean_iou=0.35, gigamacs=7),
    ),
    CONDITIONS,
)


class Stopwatch:
    """In place of the measurement: each configuration takes the seconds that it is told."""

    def __init__(self, seconds, spread=0.0):
        self.seconds = {PauseConfig(): 1.0, **seconds}
        self.spread = spread
        self.calls = []

    def __call__(self, model, pause_configs, **options):
        self.calls.append((list(pause_configs), options))
        assert pause_configs[0] == PauseConfig()
        results = [
            {
                "pause_config": config.to_text(),
                "images_per_second": options["batch_size"] / self.seconds[config],
                "seconds_median": self.seconds[config],
                "seconds_interquartile_range": self.spread * self.seconds[config],
                "speedup": self.seconds[PauseConfig()] / self.seconds[config],
                "gigamacs": 1 + len(config.pause_ratios),
            }
            for config in pause_configs
        ]
        conditions = {"device": "here", "num_threads": 1, "image_size": list(options["image_size"])}
        more = {"batch_size": options["batch_size"], "dtype": "float32", "compiled": False}
        return {"conditions": conditions | more, "results": results}


@pytest.fixture
def time_as(monkeypatch):
    """A function that lets each configuration take so many seconds; the dense model takes one."""

    def replace(seconds, spread=0.0):
        stopwatch = Stopwatch(seconds, spread)
        monkeypatch.setattr(calibration, "measure_throughput", stopwatch)
        return stopwatch

    return replace


@pytest.fixture
def profiled(tiny_model):
    tiny_model.pause_profile = PROFILE
    tiny_model.pause_presets = {"fast": C, "quick": C, "none": PauseConfig()}
    return tiny_model


def test_times_on_this_device(profiled, monkeypatch):
    """The real measurement, but for the clock, which runs unevenly: whatever runs beside it, speed-ups are noise."""
    ticks = iter(np.random.default_rng(0).uniform(0.0008, 0.0012, 10_000).cumsum().tolist())
    monkeypatch.setattr(throughput.time, "perf_counter", lambda: next(ticks))
    before = (profiled.pause_profile, dict(profiled.pause_presets), profiled.training)
    found = calibrate_throughput(profiled, SIZE, 2, seconds=0.05, progress=False)
    assert [row.here.pause_config for row in found.rows] == [PauseConfig(), C, A, B]
    for row in found.rows:
        point = row.here
        assert point.gigamacs == count_macs(profiled.config, SIZE, point.pause_config) / 1e9
        # The median of ratios is not the ratio of medians, but near it.
        assert point.images_per_second / found.profile.dense.images_per_second == pytest.approx(point.speedup, rel=0.3)
    assert found.profile.conditions["image_size"] == [40, 48]
    assert found.profile.conditions["batch_size"] == 2
    assert found.profile.conditions["num_rounds"] >= 3
    assert found.profile.conditions["mean_iou_conditions"] == CONDITIONS
    assert found.profile == PauseProfile.from_dict(json.loads(json.dumps(found.profile.to_dict())))
    assert (profiled.pause_profile, dict(profiled.pause_presets), profiled.training) == before
    profiled.pause_profile = found.profile
    assert profiled.select_pause_config(max_drop=100) in [PauseConfig(), A, B, C]


def test_speeds_are_of_here_and_mean_iou_is_of_the_profile(profiled, time_as):
    time_as({A: 0.8, B: 0.5, C: 0.625})
    found = calibrate_throughput(profiled, SIZE, 4)
    points = {point.pause_config: point for point in found.profile.points}
    assert {config: point.speedup for config, point in points.items()} == {PauseConfig(): 1, A: 1.25, B: 2, C: 1.6}
    assert points[A].images_per_second == 5
    assert points[C].gigamacs == 3
    kept = ("mean_iou", "mean_iou_interval", "mean_iou_difference", "mean_iou_difference_interval")
    for expected in PROFILE.points:
        assert all(getattr(points[expected.pause_config], name) == getattr(expected, name) for name in kept)
    # The profile would take C for both.
    assert PROFILE.select(min_speedup=1.7).pause_config == C
    assert found.profile.select(min_speedup=1.7).pause_config == B
    assert found.profile.select(min_throughput=5.5).pause_config == B


def test_ranks_and_notes(profiled, time_as):
    time_as({A: 1.25, B: 0.5, C: 0.625})
    found = calibrate_throughput(profiled, SIZE, 4)
    ranks = {row.here.pause_config: (row.rank, row.profile_rank) for row in found.rows}
    assert ranks == {PauseConfig(): (3, 4), A: (4, 3), B: (1, 2), C: (2, 1)}
    assert found.notes == (
        "The profile was timed under other conditions: device elsewhere there and here here.",
        "1:0.2 is no faster than the dense model here: 0.800 times as fast.",
        "The order by speed is not that of the profile: 1:0.2 is faster than the dense model in the profile (1.200 "
        "against 1.000 times the dense model) and slower here (0.800 against 1.000); fast, quick (1:0.5,2:0.5) is "
        "faster than 1:0.5 in the profile (2.000 against 1.500 times the dense model) and slower here (1.600 against "
        "2.000).",
    )


def test_a_changed_order_must_be_more_than_noise(profiled, time_as):
    same = "The order by speed is that of the profile."
    seconds = {A: 0.9, B: 0.5, C: 0.6}
    time_as(seconds, spread=0.25)
    assert same in calibrate_throughput(profiled, SIZE).notes
    time_as(seconds, spread=0.15)
    assert same not in calibrate_throughput(profiled, SIZE).notes
    time_as({A: 0.9, B: 0.5, C: 0.505})
    assert same in calibrate_throughput(profiled, SIZE).notes
    time_as({A: 0.9, B: 0.5, C: 0.52})
    assert same not in calibrate_throughput(profiled, SIZE).notes


def test_many_changes_of_the_order_are_counted(profiled, time_as):
    time_as({A: 2.0, B: 3.0, C: 4.0})
    (note,) = [note for note in calibrate_throughput(profiled, SIZE).notes if note.startswith("The order")]
    assert note.count(" is faster than ") == 3
    assert note.endswith("; and 3 more pairs.")


def test_text_is_a_table(profiled, time_as):
    time_as({A: 0.8, B: 0.5, C: 0.4})
    profiled.pause_config = A
    lines = str(calibrate_throughput(profiled, SIZE, 4)).splitlines()
    assert lines[:6] == [
        "preset       pause configuration   mIoU  images/s  speed-up  in the profile  rank  rank in the profile",
        "-----------  -------------------  -----  --------  --------  --------------  ----  -------------------",
        "             dense                40.00         4     1.000           1.000     4                    4",
        "fast, quick  1:0.5,2:0.5          35.00        10     2.500           2.000     1                    1",
        "default      1:0.2                39.00         5     1.250           1.200     3                    3",
        "             1:0.5                              8     2.000           1.500     2                    2",
    ]
    assert lines[6] == ""
    assert lines[-1] == "The order by speed is that of the profile."


def test_without_a_profile_there_are_speeds_alone(tiny_model, time_as):
    tiny_model.pause_presets = {"fast": {1: 0.5}}
    time_as({B: 0.5})
    found = calibrate_throughput(tiny_model, SIZE)
    assert [(row.rank, row.profile_rank, row.profile_speedup) for row in found.rows] == [
        (2, None, None),
        (1, None, None),
    ]
    assert found.notes == ("The checkpoint has no profile to compare with, so that no mean IoU is known.",)
    assert "mean_iou_conditions" not in found.profile.conditions
    assert found.profile.select(min_speedup=1.5).pause_config == B
    assert "profile" not in str(found).splitlines()[0]


def test_given_configurations_are_timed_instead(profiled, time_as):
    stopwatch = time_as({A: 0.8, C: 0.4, PauseConfig({3: 0.1}): 0.9})
    found = calibrate_throughput(profiled, SIZE, pause_configs=[{3: 0.1}, "fast", A, C, PauseConfig(), {}])
    assert [row.here.pause_config for row in found.rows] == [PauseConfig(), PauseConfig({3: 0.1}), C, A]
    assert all(configs == [row.here.pause_config for row in found.rows] for configs, _ in stopwatch.calls)
    # What is not in the profile has no rank beside it.
    assert [row.rank for row in found.rows] == [3, None, 1, 2]
    assert found.rows[1].here.mean_iou is None
    assert found.rows[2].presets == ("fast", "quick")


def test_a_calibration_of_a_calibration_keeps_where_the_mean_iou_comes_from(profiled, time_as):
    time_as({A: 0.8, B: 0.5, C: 0.4})
    first = calibrate_throughput(profiled, SIZE)
    profiled.pause_profile = first.profile
    second = calibrate_throughput(profiled, SIZE)
    assert second.profile == first.profile
    assert second.profile.conditions["mean_iou_conditions"] == CONDITIONS
    assert second.notes == ("The order by speed is that of the profile.",)


@pytest.mark.parametrize(
    ("seconds_of_calls", "budget", "rounds", "calls"),
    [
        ([1.0, 0.5, 0.5], 20, 7, 1),
        ([1.0, 0.5, 0.5], 100, 25, 1),
        ([1.0, 0.5, 0.5], 1, 3, 1),
        ([0.004, 0.002], 0.5, 16, 5),
    ],
)
def test_rounds_fit_the_budget(seconds_of_calls, budget, rounds, calls):
    chosen = calibration._choose_rounds(seconds_of_calls, budget)
    assert chosen["num_rounds"] == rounds
    assert chosen["calls_per_round"] == calls
    total = (3 + rounds * calls) * sum(seconds_of_calls)
    assert total <= budget or rounds == 3
    assert total + calls * sum(seconds_of_calls) > budget or rounds == 25


def test_options_reach_the_measurement(profiled, time_as):
    stopwatch = time_as({A: 0.8, B: 0.5, C: 0.4})
    calibrate_throughput(profiled, SIZE, 3, seconds=28.5, num_threads=2, compile=True, seed=5, progress=False)
    shared = {"image_size": SIZE, "batch_size": 3, "num_threads": 2, "seed": 5, "progress": False}
    first, second = (options for _, options in stopwatch.calls)
    assert first == {**shared, "num_rounds": 1}
    assert second == {**shared, "num_rounds": 7, "calls_per_round": 1, "compile": True}


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"image_size": 512},
            TypeError,
            r"`image_size` must be a height and a width, such as \(512, 512\), but is 512",
        ),
        ({"image_size": (512,)}, ValueError, "image_size must be a height and a width"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
        ({"seconds": 0}, ValueError, "`seconds` must be a number above 0, but is 0"),
        ({"seconds": math.nan}, ValueError, "`seconds` must be a number above 0, but is nan"),
        ({"seconds": "20"}, ValueError, "`seconds` must be a number above 0, but is '20'"),
        ({"num_threads": 0}, ValueError, "num_threads must be at least 1"),
        (
            {"pause_configs": "fast"},
            TypeError,
            r"`pause_configs` must be a list, such as \[\{3: 0\.4\}\], but is 'fast'",
        ),
        ({"pause_configs": {3: 0.4}}, TypeError, "`pause_configs` must be a list"),
        ({"pause_configs": []}, ValueError, "no configuration that pauses, .*: name some in `pause_configs`"),
        ({"pause_configs": [{}]}, ValueError, "no configuration that pauses, .*: name some in `pause_configs`"),
        ({"pause_configs": [{9: 0.4}]}, ValueError, "names layer 9, but the model has 4 layers"),
        ({"pause_configs": ["slow"]}, ValueError, "Unknown pause preset 'slow'"),
    ],
    ids=str,
)
def test_refuses(profiled, options, error, message):
    with pytest.raises(error, match=message):
        calibrate_throughput(profiled, **{"image_size": SIZE, **options})


def test_refuses_a_model_with_nothing_to_time(tiny_model):
    for presets in ({}, {"dense": PauseConfig()}):
        tiny_model.pause_presets = presets
        with pytest.raises(ValueError, match=r"neither given nor in the model: pass `pause_configs`.*pause_presets"):
            calibrate_throughput(tiny_model, SIZE)
