# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of what can still matter, against its definition."""

import math

import pytest

from paumer_hf import PauseConfig
from paumer_hf.model.profile_point import ProfilePoint
from paumer_hf.search.candidates import CandidateGrid
from paumer_hf.search.prospects import Prospects
from paumer_hf.search.wishes import Wish


DENSE = PauseConfig()
CONFIGS = CandidateGrid([3, 5, 8], [0.2, 0.5], max_pause_layers=3, num_layers=12).list_all()


def can_matter(config, known, speeds, wish, max_gain):
    """Whether a configuration could be what is asked for with all that it may have: by each that pauses less."""

    def is_gentler(other):
        counts = (one.num_active(10_000, 12) for one in (other, config))
        return all(more >= less for more, less in zip(*counts, strict=True))

    best_case = min((known[other] + max_gain / 100 for other in known if is_gentler(other)), default=math.inf)
    if wish.max_drop is not None:
        least = known[DENSE] - wish.max_drop / 100
        rivals = [other for other in known if known[other] >= least]
        if best_case < least:
            return False
        return all((speeds[config], best_case) > (speeds[other], known[other]) for other in rivals)
    if wish.min_speedup is not None:
        rivals = [other for other in known if speeds[other] >= wish.min_speedup]
        return speeds[config] >= wish.min_speedup and all(best_case > known[other] for other in rivals)
    return all(best_case > known[other] for other in known if speeds[other] >= speeds[config])


@pytest.mark.parametrize("wish", [Wish(), Wish(min_speedup=1.3), Wish(max_drop=2.0)])
@pytest.mark.parametrize("max_gain", [0.5, math.inf])
@pytest.mark.parametrize("num_known", [1, 5, 15])
def test_hopes_are_those_of_the_definition(made_up, wish, max_gain, num_known):
    hopeful = 0
    for seed in range(4):
        speeds, accuracies = made_up.tables(CONFIGS, seed, 0.5)
        prospects = Prospects(CONFIGS, 12, wish, max_gain)
        for config, speedup in speeds.items():
            prospects.set_speed(ProfilePoint(config, speedup=speedup))
        known = {config: accuracies[config] for config in CONFIGS[:num_known]}
        for config, mean_iou in known.items():
            prospects.set_accuracy(config, mean_iou)
        hopes = prospects.list_hopes()
        others = [config for config in CONFIGS if config not in known]
        assert set(hopes) == {c for c in others if can_matter(c, known, speeds, wish, max_gain)}
        assert len(hopes) == len(set(hopes))
        if wish.max_drop is not None:
            assert hopes == sorted(hopes, key=lambda config: -speeds[config])
        hopeful += len(hopes)
    assert hopeful > 0


def test_a_speed_that_is_corrected_counts():
    prospects = Prospects(CONFIGS, 12, Wish(min_speedup=1.5), math.inf)
    assert not prospects.is_any_fitting
    for config in CONFIGS:
        prospects.set_speed(ProfilePoint(config, speedup=1.6 if config == CONFIGS[3] else 1.0))
    prospects.set_accuracy(DENSE, 0.5)
    assert prospects.is_any_fitting
    assert prospects.list_hopes() == [CONFIGS[3]]
    prospects.set_speed(ProfilePoint(CONFIGS[3], speedup=1.4))
    assert prospects.list_hopes() == []
    assert not prospects.is_any_fitting


def test_one_that_is_as_fast_and_better_leaves_out_another():
    gentle, rival, other = PauseConfig({3: 0.2}), PauseConfig({8: 0.5}), PauseConfig({3: 0.5})
    for speedup, hopes in ((1.3, []), (1.31, [other])):
        prospects = Prospects([DENSE, gentle, rival, other], 12, Wish(), 0.5)
        for config, value in ((DENSE, 1.0), (gentle, 1.1), (rival, 1.3), (other, speedup)):
            prospects.set_speed(ProfilePoint(config, speedup=value))
        for config, mean_iou in ((DENSE, 0.5), (gentle, 0.4), (rival, 0.45)):
            prospects.set_accuracy(config, mean_iou)
        assert prospects.list_hopes() == hopes


def test_single_layers_come_first_where_they_bound_the_others():
    singles = [config for config in CONFIGS if len(config.pause_ratios) <= 1]
    assert Prospects(CONFIGS, 12, Wish(), 1.0).list_first() == singles
    assert Prospects(CONFIGS, 12, Wish(), math.inf).list_first() == [DENSE]
