# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the speeds of many configurations: what is timed, and that nothing is timed twice."""

import statistics

import pytest

from paumer_hf import PauseConfig
from paumer_hf.evaluation.macs import count_macs, predict_speedup
from paumer_hf.search import speed as speed_module
from paumer_hf.search.speed import CONFIRMATION, GROUP_SIZE, SWEEP, SpeedSettings, SpeedTable, find_outliers
from paumer_hf.search.store import SearchStore


DENSE = PauseConfig()
CONFIGS = [PauseConfig({1: ratio / 100}) for ratio in range(10, 10 + GROUP_SIZE + 5)]
SETTINGS = SpeedSettings(image_size=(16, 24), sweep_rounds=2, confirmation_rounds=4, num_threads=1)


@pytest.fixture
def store(tmp_path):
    with SearchStore(tmp_path / "search.sqlite", {}) as store:
        yield store


@pytest.fixture
def timed(monkeypatch):
    """Replaces the measurement; the groups that were timed, with their settings."""
    calls = []

    def measure(model, pause_configs, **settings):
        calls.append((list(pause_configs), settings))
        dense = 10.0 + len(calls)
        variants = [DENSE, *pause_configs]
        speedups = [1 + config.pause_ratios.get(1, 0) * settings["num_rounds"] for config in variants]
        return {
            "results": [
                {"images_per_second": dense * speedup, "speedup": speedup, "seconds_median": 1 / speedup}
                for speedup in speedups
            ]
        }

    monkeypatch.setattr(speed_module, "measure_throughput", measure)
    return calls


def test_all_are_timed_once_in_groups_and_found_again(search_model, store, timed):
    table = SpeedTable(search_model, SETTINGS, store, progress=False)
    table.measure([DENSE, *CONFIGS])
    assert [config for group, _ in timed for config in group] == CONFIGS
    assert [len(group) for group, _ in timed] == [GROUP_SIZE, 5]
    settings = timed[0][1]
    expected = {"image_size": (16, 24), "batch_size": 1, "num_rounds": 2, "num_threads": 1}
    assert settings.items() >= expected.items()
    rows = [table.row(config) for config in CONFIGS]
    again = SpeedTable(search_model, SETTINGS, store, progress=False)
    again.measure([DENSE, *CONFIGS])
    assert len(timed) == 2, "nothing is timed twice"
    assert [again.row(config) for config in CONFIGS] == rows


def test_an_interruption_loses_no_group(search_model, store, timed, monkeypatch):
    measure = speed_module.measure_throughput

    def interrupted(*arguments, **settings):
        if len(timed) == 1:
            raise KeyboardInterrupt
        return measure(*arguments, **settings)

    monkeypatch.setattr(speed_module, "measure_throughput", interrupted)
    with pytest.raises(KeyboardInterrupt):
        SpeedTable(search_model, SETTINGS, store).measure(CONFIGS)
    monkeypatch.setattr(speed_module, "measure_throughput", measure)
    table = SpeedTable(search_model, SETTINGS, store)
    table.measure(CONFIGS)
    assert [config for group, _ in timed for config in group] == CONFIGS
    groups = [len(group) for group, _ in timed]
    assert table.dense_images_per_second() == statistics.median([11.0] * groups[0] + [12.0] * groups[1])
    other = SpeedTable(search_model, SETTINGS, store)
    other.measure(CONFIGS[-1:])
    assert other.dense_images_per_second() == 12.0, "what others have asked for does not count"


def test_a_row_says_which_timing_counts(search_model, store, timed):
    table = SpeedTable(search_model, SETTINGS, store)
    config = CONFIGS[0]
    table.measure([config])
    sweep = table.row(config, SWEEP)
    assert table.row(config) == sweep, "before a confirmation the sweep counts"
    assert sweep["is_confirmed"] is False
    table.measure([config], CONFIRMATION)
    confirmed = table.row(config)
    assert timed[-1][1]["num_rounds"] == 4
    assert confirmed["is_confirmed"] is True
    assert (sweep["speedup"], confirmed["speedup"]) == (pytest.approx(1.2), pytest.approx(1.4))
    assert confirmed["images_per_second"] == pytest.approx(12.0 * 1.4), "of the dense model beside it"
    assert confirmed["efficiency"] == confirmed["speedup"] / confirmed["predicted_speedup"]
    assert table.row(config, SWEEP) == {**sweep, "images_per_second": pytest.approx(12.0 * 1.2)}
    dense = table.row(DENSE)
    assert (dense["speedup"], dense["images_per_second"], dense["is_confirmed"]) == (1.0, 12.0, True)


@pytest.mark.parametrize(
    "fields", [{"image_size": (24, 16)}, {"batch_size": 2}, {"sweep_rounds": 3}, {"num_threads": 2}]
)
def test_timings_under_other_conditions_do_not_count(search_model, store, timed, fields):
    SpeedTable(search_model, SETTINGS, store).measure(CONFIGS[:2])
    other = SpeedTable(search_model, SpeedSettings(**{**vars(SETTINGS), **fields}), store)
    other.measure(CONFIGS[:2])
    assert len(timed) == 2
    SpeedTable(search_model, SETTINGS, store).measure(CONFIGS[:2])
    assert len(timed) == 2


def test_timings_with_other_memory_do_not_count(search_model, store, timed, monkeypatch):
    monkeypatch.delenv("MALLOC_TOP_PAD_", raising=False)
    SpeedTable(search_model, SETTINGS, store).measure(CONFIGS[:2])
    monkeypatch.setenv("MALLOC_TOP_PAD_", "500000000")
    SpeedTable(search_model, SETTINGS, store).measure(CONFIGS[:2])
    assert len(timed) == 2


def test_more_confirmation_rounds_leave_the_sweep_as_it_is(search_model, store, timed):
    SpeedTable(search_model, SETTINGS, store).measure(CONFIGS[:2])
    table = SpeedTable(search_model, SpeedSettings(**{**vars(SETTINGS), "confirmation_rounds": 9}), store)
    table.measure(CONFIGS[:2])
    assert len(timed) == 1


def test_speed_by_macs_times_nothing(search_model, store, timed):
    table = SpeedTable(search_model, SpeedSettings(source="macs", image_size=(16, 24)), store)
    table.measure(CONFIGS)
    table.measure(CONFIGS, CONFIRMATION)
    assert timed == []
    predicted = predict_speedup(search_model.config, (16, 24), CONFIGS[0])
    gigamacs = count_macs(search_model.config, (16, 24), CONFIGS[0]) / 1e9
    expected = {"speedup": predicted, "predicted_speedup": predicted, "gigamacs": gigamacs}
    assert table.row(CONFIGS[0]) == expected
    assert table.row(DENSE)["speedup"] == 1.0


def test_outliers_are_far_from_the_others_on_either_side():
    usual = [0.95 + 0.001 * number for number in range(40)]
    assert find_outliers(usual) == []
    assert find_outliers([0.9, *usual, 1.04]) == [0, 41]
    assert find_outliers([0.9, *usual, 100.0]) == [0, 41], "one that is absurd hides no other"
    assert find_outliers([10 * value for value in [0.9, *usual]]) == [0]
    assert find_outliers([1.0, 1.0, 1.1]) == [2]
    assert find_outliers([]) == find_outliers([0.5]) == find_outliers([0.5, 0.9]) == []


def test_a_model_is_really_timed(search_model, store):
    table = SpeedTable(search_model, SpeedSettings(image_size=(64, 64), sweep_rounds=1), store)
    table.measure([PauseConfig({1: 0.9})])
    row = table.row(PauseConfig({1: 0.9}))
    assert row["speedup"] > 0
    assert row["images_per_second"] == pytest.approx(table.dense_images_per_second() * row["speedup"])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"source": "guess"}, "must be 'measured' or 'macs', got 'guess'"),
        ({"image_size": (16, 16, 16)}, r"image_size must be a height and a width of at least 1, got \(16, 16, 16\)"),
        ({"image_size": (0, 16)}, "image_size must be a height and a width"),
        ({"sweep_rounds": 0}, "sweep_rounds must be at least 1, got 0"),
        ({"confirmation_rounds": 0}, "confirmation_rounds must be at least 1"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"num_threads": 0}, "num_threads must be at least 1"),
    ],
)
def test_what_cannot_be_measured_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        SpeedSettings(**fields)
