# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of what a search is made for."""

import pytest

from paumer_hf import PauseConfig
from paumer_hf.model.profile_point import ProfilePoint
from paumer_hf.search.wishes import Wish


def test_a_wish_says_what_is_given_and_what_is_fast_enough():
    point = ProfilePoint(PauseConfig({1: 0.5}), speedup=1.5, images_per_second=20.0)
    assert Wish().given == {}
    assert Wish().is_fast_enough(point)
    assert not Wish().is_about_speed
    assert Wish(max_drop=0.0).given == {"max_drop": 0.0}
    assert Wish(max_drop=0.0).is_fast_enough(point)
    assert not Wish(max_drop=0.0).is_about_speed
    for enough, wishes in ((True, (1.5, 20.0)), (False, (1.51, 20.1))):
        speedup, throughput = Wish(min_speedup=wishes[0]), Wish(min_throughput=wishes[1])
        assert speedup.is_about_speed
        assert throughput.is_about_speed
        assert speedup.is_fast_enough(point) is enough
        assert throughput.is_fast_enough(point) is enough
    assert not Wish(min_throughput=1.0).is_fast_enough(ProfilePoint(PauseConfig(), speedup=1.0))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"min_speedup": 1.5, "max_drop": 1.0}, "one wish, got min_speedup and max_drop"),
        ({"min_speedup": 0.0}, "min_speedup must be a positive number, got 0.0"),
        ({"min_speedup": float("nan")}, "min_speedup must be a positive number, got nan"),
        ({"min_throughput": float("inf")}, "min_throughput must be a positive number, got inf"),
        ({"max_drop": -0.1}, "max_drop must be 0 or more points of mean IoU, got -0.1"),
    ],
)
def test_wishes_that_mean_nothing_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Wish(**fields)


def test_what_lacks_a_few_percent_is_nearly_fast_enough():
    for wish in (Wish(min_speedup=2.0), Wish(min_throughput=2.0)):
        points = [ProfilePoint(PauseConfig({1: 0.5}), speedup=s, images_per_second=s) for s in (1.89, 1.91, 1.99, 2.0)]
        assert [wish.is_nearly_fast_enough(point) for point in points] == [False, True, True, False]
    for wish in (Wish(), Wish(max_drop=1.0)):
        assert not wish.is_nearly_fast_enough(ProfilePoint(PauseConfig({1: 0.5}), speedup=1.0))
