# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Searches whose few rounds have mistaken some configurations for faster or slower than they are."""

import math

import numpy as np
import pytest

from paumer_hf import PauseConfig
from paumer_hf.search.candidates import CandidateGrid
from paumer_hf.search.procedures import PauseSearch
from paumer_hf.search.speed import CONFIRMATION
from paumer_hf.search.wishes import Wish


DENSE = PauseConfig()
GRID = CandidateGrid([3, 5, 8], [0.2, 0.4, 0.6, 0.8], max_pause_layers=2, num_layers=12)
CONFIGS = GRID.list_all()
FRONTIER = Wish()


@pytest.fixture
def noisy_search(made_up, monkeypatch):
    """A function that searches after a sweep in which some were `factors` as fast as they are; others as they are."""

    def run(factors, seed=0, wish=FRONTIER, is_confirming=True, is_greedy=False, max_gain=math.inf):
        truth, accuracies = made_up.tables(CONFIGS, seed, 0.5)
        sweep = {config: truth[config] * factors.get(config, 1.0) for config in CONFIGS}
        speed = made_up.speed(sweep, truth, predict(truth, seed))
        with monkeypatch.context() as patch:
            if not is_confirming:
                patch.setattr(PauseSearch, "_confirm", lambda self, pause_configs: [])
            search = PauseSearch(speed, made_up.accuracy(accuracies), GRID, wish)
            search.choice = search.greedy() if is_greedy else search.exhaustive(max_gain)
        return search, speed

    return run


def predict(truth, seed):
    """What operations predict: off by some percent, differently for each."""
    rng = np.random.default_rng(seed)
    return {config: speedup / rng.uniform(0.93, 0.99) for config, speedup in truth.items()}


def names(points):
    return {point.pause_config for point in points}


def beaten(made_up, seed):
    """The configurations beside a frontier, those first that come nearest to it in speed."""
    truth, accuracies = made_up.tables(CONFIGS, seed, 0.5)
    lacking = {
        config: max(truth[other] / truth[config] for other in CONFIGS if accuracies[other] >= accuracies[config])
        for config in CONFIGS
    }
    return sorted((config for config in CONFIGS if lacking[config] > 1.02), key=lambda config: lacking[config])


@pytest.mark.parametrize("seed", range(4))
def test_what_noise_made_fast_is_not_in_the_frontier(noisy_search, made_up, seed):
    true_frontier = names(noisy_search({}, seed)[0].frontier())
    lucky = beaten(made_up, seed)[:3]
    factors = dict.fromkeys(lucky, 1.25)
    misled, _ = noisy_search(factors, seed, is_confirming=False)
    assert names(misled.frontier()) & set(lucky), "without the confirmation it is"
    search, speed = noisy_search(factors, seed)
    assert names(search.frontier()) == true_frontier
    assert names(search.frontier()) <= {DENSE, *speed.measured[CONFIRMATION]}
    assert all(point.speedup == speed.tables[CONFIRMATION][point.pause_config] for point in search.frontier() if
               point.pause_config)  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("max_gain", [1.0, math.inf])
def test_what_noise_made_slow_is_back_in_the_frontier(noisy_search, seed, max_gain):
    true_frontier = names(noisy_search({}, seed)[0].frontier())
    unlucky = sorted(true_frontier - {DENSE}, key=CONFIGS.index)[1::3]
    factors = dict.fromkeys(unlucky, 0.75)
    misled, _ = noisy_search(factors, seed, is_confirming=False)
    assert not names(misled.frontier()) >= set(unlucky), "without the confirmation it is not"
    search, speed = noisy_search(factors, seed, max_gain=max_gain)
    assert names(search.frontier()) == true_frontier
    assert len(speed.measured[CONFIRMATION]) < len(CONFIGS) * 2 / 3, "most others are timed once"


def test_a_contradiction_beside_the_frontier_is_cleared_up_too(noisy_search, made_up):
    """It stands in the table of all, where an earlier pause would be slower than a later one."""
    slow = beaten(made_up, 0)[-1]
    factors = {slow: 0.85}
    truth, _ = made_up.tables(CONFIGS, 0, 0.5)
    assert noisy_search(factors, is_confirming=False)[0].speed_row(slow)["speedup"] < 0.9 * truth[slow]
    assert noisy_search(factors)[0].speed_row(slow)["speedup"] == truth[slow]


def test_noise_everywhere_leaves_only_confirmed_timings_in_the_frontier(noisy_search):
    """As on a busy machine: no timing of the sweep is right, and the search ends all the same."""
    for seed in range(6):
        rng = np.random.default_rng(seed)
        factors = dict(zip(CONFIGS, rng.normal(1, 0.06, len(CONFIGS)), strict=True))
        factors[DENSE] = 1.0
        search, speed = noisy_search(factors, seed)
        confirmed = {DENSE, *speed.measured[CONFIRMATION]}
        assert names(search.frontier()) <= confirmed
        misled, _ = noisy_search(factors, seed, is_confirming=False)
        truth = speed.tables[CONFIRMATION]
        exaggerated = np.mean([point.speedup / truth[point.pause_config] for point in misled.frontier()])
        assert exaggerated > 1.02, "the curse of those that win"
        assert all(point.speedup == truth[point.pause_config] for point in search.frontier())


def test_a_speed_that_noise_has_hidden_is_found(noisy_search, made_up):
    """By more than what near misses of the speed are timed again for."""
    wish = Wish(min_speedup=1.4)
    best = noisy_search({}, wish=wish)[0].choice.pause_config
    assert noisy_search({best: 0.8}, wish=wish, is_confirming=False)[0].choice.pause_config != best
    assert noisy_search({best: 0.8}, wish=wish)[0].choice.pause_config == best


def test_the_greedy_procedure_follows_confirmed_timings(noisy_search):
    swept = noisy_search({}, is_greedy=True)[0].considered
    single = [config for config in CONFIGS if len(config.pause_ratios) == 1]
    for lucky in single:
        factors = {lucky: 1.6}
        search, _ = noisy_search(factors, is_greedy=True)
        assert search.considered == swept
    assert any(
        noisy_search({lucky: 1.6}, is_greedy=True, is_confirming=False)[0].considered != swept for lucky in single
    )


def test_a_machine_that_was_slow_in_the_sweep_hides_nothing(made_up):
    """The dense model is faster when it is timed again, and so are the images/s of all that were timed before."""
    chosen, hidden = PauseConfig({3: 0.8}), PauseConfig({5: 0.4})
    speeds = {**dict.fromkeys(CONFIGS, 1.05), DENSE: 1.0, chosen: 1.8, hidden: 1.28}
    accuracies = {**dict.fromkeys(CONFIGS, 0.5), DENSE: 0.6, chosen: 0.52, hidden: 0.58}
    speed = made_up.speed(speeds)

    def row(pause_config, kind):
        dense = 10.0 if speed.measured[CONFIRMATION] else 9.0
        speedup = speed.speedup(pause_config, kind)
        return {"images_per_second": dense * speedup, "speedup": speedup, "gigamacs": 1.0}

    speed.row = row
    wish = Wish(min_throughput=12.6)
    choice = PauseSearch(speed, made_up.accuracy(accuracies), GRID, wish).exhaustive(math.inf)
    assert choice.pause_config == hidden
    assert choice.images_per_second == 12.8
