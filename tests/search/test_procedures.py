# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The procedures of the search, against exhaustive and independent references on made-up tables."""

import itertools
import math
import time

import pytest

from paumer_hf import PauseConfig
from paumer_hf.model.profile_point import ProfilePoint
from paumer_hf.search import procedures
from paumer_hf.search.candidates import CandidateGrid
from paumer_hf.search.procedures import PauseSearch, frontier_points
from paumer_hf.search.speed import CONFIRMATION, SWEEP
from paumer_hf.search.wishes import Wish


DENSE = PauseConfig()
GRID = CandidateGrid([3, 5, 8], [0.2, 0.4, 0.6, 0.8], max_pause_layers=2, num_layers=12)
CONFIGS = GRID.list_all()
FRONTIER = Wish()
WISHES = [FRONTIER, Wish(min_speedup=1.3), Wish(min_throughput=15.0), Wish(max_drop=2.0), Wish(max_drop=0.0)]


@pytest.fixture(autouse=True)
def small_passes(monkeypatch):
    """Passes after which much is still open, although there are few candidates."""
    monkeypatch.setattr(procedures, "PASS_SIZE", 8)


def frontier_of(speeds, accuracies):
    """Those that no other exceeds, by comparing each with each; of equal ones the first."""
    names = list(speeds)

    def beats(other, config):
        if (speeds[other], accuracies[other]) == (speeds[config], accuracies[config]):
            return names.index(other) < names.index(config)
        return speeds[other] >= speeds[config] and accuracies[other] >= accuracies[config]

    return {config for config in names if not any(beats(other, config) for other in names)}


def choice_of(speeds, accuracies, wish):
    """What is asked for, by looking at all."""
    if wish.max_drop is not None:
        least = accuracies[DENSE] - wish.max_drop / 100 - 1e-11
        return max((c for c in speeds if accuracies[c] >= least), key=lambda c: (speeds[c], accuracies[c]))
    enough = wish.min_speedup or wish.min_throughput / 10
    return max((c for c in speeds if speeds[c] >= enough), key=lambda c: (accuracies[c], speeds[c]))


def search_all(made_up, sweep, accuracies, wish=FRONTIER, confirmation=None, max_gain=math.inf, grid=GRID):
    speed, accuracy = made_up.speed(sweep, confirmation), made_up.accuracy(accuracies)
    search = PauseSearch(speed, accuracy, grid, wish)
    return search, search.exhaustive(max_gain), speed, accuracy


@pytest.mark.parametrize("wish", WISHES)
@pytest.mark.parametrize("max_gain", [0.0, 0.5, 2.0, math.inf])
def test_what_is_left_out_cannot_win(made_up, wish, max_gain):
    left_out = 0
    for seed in range(4):
        # Every other table has equal values.
        gain = 1.0 if math.isinf(max_gain) else max_gain
        tables = made_up.tables(CONFIGS, seed, gain, digits=2 if seed % 2 and not gain else None)
        speeds, accuracies = tables
        search, choice, _, accuracy = search_all(made_up, *tables, wish, max_gain=max_gain)
        if wish.given:
            assert choice.pause_config == choice_of(speeds, accuracies, wish)
        else:
            assert choice is None
            assert {point.pause_config for point in search.frontier()} == frontier_of(speeds, accuracies)
        asked = list(itertools.chain(*accuracy.passes))
        assert len(asked) == len(set(asked)), "nothing is evaluated twice"
        assert search.evaluated == {config: accuracies[config] for config in asked}
        left_out += len(CONFIGS) - len(asked)
    # Without an assumption the frontier needs all, and so does a wish that only the dense model fulfils.
    needs_all = math.isinf(max_gain) and wish in (FRONTIER, Wish(max_drop=0.0))
    assert (left_out == 0) == needs_all, "something must be left out for this to mean much"


def test_an_assumption_that_does_not_hold_can_lose_the_best(made_up):
    """So that the test above means something."""
    speeds, accuracies = made_up.tables(CONFIGS, 0)
    surprising = PauseConfig({3: 0.8, 5: 0.8})
    accuracies[surprising] = 0.7
    assert search_all(made_up, speeds, accuracies, Wish(min_speedup=1.3), max_gain=0.5)[1].mean_iou < 0.7
    for wish in (Wish(min_speedup=1.3), Wish(max_drop=0.0)):
        assert search_all(made_up, speeds, accuracies, wish)[1].pause_config == surprising


def test_only_what_is_fast_enough_is_evaluated_without_an_assumption(made_up):
    speeds, accuracies = made_up.tables(CONFIGS, 1)
    _, _, speed, accuracy = search_all(made_up, speeds, accuracies, Wish(min_speedup=1.2))
    assert set(speed.measured[SWEEP]) == set(CONFIGS) - {DENSE}, "all are timed"
    asked = list(itertools.chain(*accuracy.passes))
    assert set(asked) == {DENSE, *(config for config in CONFIGS if speeds[config] >= 1.2)}
    assert len(asked) < len(CONFIGS)
    assert max(map(len, accuracy.passes)) == 8


@pytest.mark.parametrize("max_gain", [1.0, math.inf])
def test_a_choice_that_was_fast_by_luck_gives_way_to_the_best_that_is(made_up, max_gain):
    wish = Wish(min_speedup=1.4)
    for seed in range(5):
        sweep, accuracies = made_up.tables(CONFIGS, seed, 1.0)
        confirmation = {config: speedup * 0.97 if config else 1.0 for config, speedup in sweep.items()}
        tables = (sweep, accuracies, wish, confirmation)
        search, choice, speed, _ = search_all(made_up, *tables, max_gain=max_gain)
        known = {**sweep, **{config: confirmation[config] for config in speed.measured[CONFIRMATION]}}
        assert choice.speedup == confirmation[choice.pause_config]
        assert choice.pause_config == choice_of(known, accuracies, wish)
        assert {point.pause_config: point.speedup for point in map(search.point, known)} == known


def test_what_a_lucky_one_has_left_out_matters_again(made_up):
    lucky, hidden, slower = PauseConfig({5: 0.8}), PauseConfig({3: 0.4, 8: 0.4}), PauseConfig({3: 0.8})
    sweep = {**dict.fromkeys(CONFIGS, 1.1), DENSE: 1.0, lucky: 1.5, hidden: 1.45, slower: 1.6}
    accuracies = {**dict.fromkeys(CONFIGS, 0.52), DENSE: 0.6, lucky: 0.55, hidden: 0.5, slower: 0.45}
    for of_lucky, expected in ((1.5, lucky), (1.3, hidden)):
        confirmation = {**sweep, lucky: of_lucky}
        tables = (sweep, accuracies, Wish(min_speedup=1.4), confirmation)
        search, choice, _, _ = search_all(made_up, *tables, max_gain=0.0)
        assert choice.pause_config == expected
        assert (hidden in search.evaluated) == (expected == hidden)


def test_the_whole_frontier_is_confirmed_and_nothing_else(made_up):
    sweep, accuracies = made_up.tables(CONFIGS, 3, 1.0)
    noise, _ = made_up.tables(CONFIGS, 4)
    confirmation = {config: 0.5 * (sweep[config] + noise[config]) for config in CONFIGS}
    search, _, speed, _ = search_all(made_up, sweep, accuracies, confirmation=confirmation, max_gain=1.0)
    confirmed = speed.measured[CONFIRMATION]
    assert len(confirmed) < len(CONFIGS) * 2 / 3
    known = {**sweep, **{config: confirmation[config] for config in confirmed}}
    found = {point.pause_config for point in search.frontier()}
    assert found == frontier_of(known, accuracies)
    assert found <= {DENSE, *confirmed}


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        (
            Wish(min_speedup=9.0),
            r"is at least 9 times as fast as the dense model; the fastest, 3:0.8,5:0.8, is [0-9.]+",
        ),
        (Wish(min_throughput=900.0), r"as fast as 900 images/s.*the fastest, 3:0.8,5:0.8, reaches [0-9.]+ images/s"),
    ],
)
def test_an_impossible_speed_is_refused_with_the_nearest_before_any_evaluation(made_up, wish, message):
    speeds, accuracies = made_up.tables(CONFIGS, 0)
    speeds[PauseConfig({3: 0.8, 5: 0.8})] = 4.0
    speed, accuracy = made_up.speed(speeds), made_up.accuracy(accuracies)
    with pytest.raises(ValueError, match=message):
        PauseSearch(speed, accuracy, GRID, wish).exhaustive()
    assert accuracy.passes == []


def test_a_speed_that_no_confirmation_reaches_is_refused(made_up):
    sweep, accuracies = made_up.tables(CONFIGS, 0)
    fast = dict.fromkeys([config for config in CONFIGS if sweep[config] > 2], 1.5)
    with pytest.raises(
        ValueError, match=r"at least 2 times as fast as the dense model; the fastest, .* is 1\.\d+ tim"
    ):
        search_all(made_up, sweep, accuracies, Wish(min_speedup=2.0), {**sweep, **fast})


def greedy_of(speeds, accuracies, worth_of_doubling, max_pause_layers):
    """The paper's second procedure, on pairs of layer and ratio: sweep, fix the best, sweep beside it."""

    def worth(pairs):
        config = PauseConfig(dict(pairs))
        return 100 * accuracies[config] + worth_of_doubling * math.log2(speeds[config])

    fixed, swept = frozenset(), [frozenset()]
    while len(fixed) < max_pause_layers:
        used = {layer for layer, _ in fixed}
        sweep = [fixed | {pair} for pair in itertools.product(GRID.layers, GRID.ratios) if pair[0] not in used]
        swept += sweep
        best = max(sweep, key=worth)
        if worth(best) <= worth(fixed):
            break
        fixed = best
    return PauseConfig(dict(fixed)), {PauseConfig(dict(pairs)) for pairs in swept}


def test_greedy_is_the_procedure_of_the_paper(made_up):
    grid = CandidateGrid(GRID.layers, GRID.ratios, max_pause_layers=3, num_layers=12)
    depths = set()
    tables = [made_up.tables(grid.list_all(), seed, 1.0) for seed in range(3)]
    for (speeds, accuracies), worth in itertools.product(tables, (0.5, 3.0, 4.0, 6.0, 40.0)):
        speed, accuracy, lines = made_up.speed(speeds), made_up.accuracy(accuracies), []
        search = PauseSearch(speed, accuracy, grid, FRONTIER, lines.append)
        assert search.greedy(worth) is None
        best, swept = greedy_of(speeds, accuracies, worth, 3)
        assert search.evaluated.keys() == search.considered.keys() == swept
        assert {*speed.measured[SWEEP], DENSE} == swept, "no other is timed"
        named = [line.rpartition(" ")[2] for line in lines if line.startswith("Best with")]
        assert (named[-1:] or [""]) == [best.to_text()]
        depths.add(len(best.pause_ratios))
        assert {point.pause_config for point in search.frontier()} == frontier_of(
            {config: speeds[config] for config in search.considered}, accuracies
        )
    assert depths == {0, 1, 2, 3}, "the tables must lead to all depths for this to mean much"


def test_greedy_chooses_among_what_it_has_swept(made_up):
    speeds, accuracies = made_up.tables(CONFIGS, 2)
    wish = Wish(min_speedup=1.2)
    search = PauseSearch(made_up.speed(speeds), made_up.accuracy(accuracies), GRID, wish)
    choice = search.greedy(4.0)
    swept = {config: speeds[config] for config in search.considered}
    assert choice.pause_config == choice_of(swept, accuracies, wish)
    search = PauseSearch(made_up.speed(speeds), made_up.accuracy(accuracies), GRID, Wish(min_speedup=50))
    with pytest.raises(ValueError, match="at least 50 times as fast"):
        search.greedy(4.0)


def test_a_frontier_holds_each_speed_once_and_nothing_unevaluated():
    def point(layer, speedup, mean_iou):
        return ProfilePoint(PauseConfig({layer: 0.5}), speedup=speedup, mean_iou=mean_iou)

    equal, slower, worse = point(2, 1.5, 0.4), point(3, 1.4, 0.4), point(4, 1.5, 0.3)
    best, first, unknown = point(5, 1.2, 0.5), point(1, 1.5, 0.4), point(6, 2.0, None)
    assert frontier_points([first, equal, slower, worse, best, unknown]) == [best, first]
    assert frontier_points([]) == []


def test_thousands_of_candidates_are_kept_in_order_quickly(made_up, monkeypatch):
    monkeypatch.setattr(procedures, "PASS_SIZE", 48)
    grid = CandidateGrid([3, 4, 5, 6, 7, 8, 9], [0.2, 0.4, 0.6, 0.8], max_pause_layers=3, num_layers=12)
    configs = grid.list_all()
    assert len(configs) > 2500
    tables = made_up.tables(configs, 0, 0.5)
    start = time.perf_counter()
    _, _, _, accuracy = search_all(made_up, *tables, Wish(min_speedup=1.5), max_gain=5.0, grid=grid)
    seconds = time.perf_counter() - start
    assert len(accuracy.passes) > 5
    assert seconds / len(accuracy.passes) < 2
