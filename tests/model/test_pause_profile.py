# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import copy
import dataclasses
import importlib.util
import json
import math
import random
import re
import sys
from pathlib import Path

import pytest

from paumer_hf import PauseConfig
from paumer_hf.model import pause_profile as pause_profile_module
from paumer_hf.model.pause_profile import PauseProfile, ProfilePoint, as_pause_profile


DENSE = ProfilePoint(PauseConfig(), speedup=1, mean_iou=0.412, images_per_second=20)
SLOW = ProfilePoint(PauseConfig({3: 0.2}), speedup=1.2, mean_iou=0.413, images_per_second=24)
MIDDLE = ProfilePoint(PauseConfig({3: 0.4}), speedup=1.5, mean_iou=0.405, images_per_second=30)
WORSE = ProfilePoint(PauseConfig({4: 0.4}), speedup=1.4, mean_iou=0.400, images_per_second=28)
FAST = ProfilePoint(PauseConfig({3: 0.6, 5: 0.6}), speedup=2.1, mean_iou=0.370, images_per_second=42)
POINTS = (DENSE, SLOW, MIDDLE, WORSE, FAST)
CONDITIONS = {"device": "AMD EPYC", "image_size": [256, 256], "versions": {"torch": "2.13"}, "seed": None}


@pytest.fixture
def profile():
    return PauseProfile(POINTS, CONDITIONS)


def draw_profile(seed, accuracies=True):
    """A profile with random speeds and accuracies, some of which were not measured."""
    generator = random.Random(seed)
    points = [ProfilePoint(PauseConfig(), speedup=1, mean_iou=0.4, images_per_second=10)]
    for layer in range(1, 9):
        speedup = generator.choice([generator.uniform(0.8, 3), 1.5])
        known = accuracies and generator.random() < 0.8
        rates = {"images_per_second": 10 * speedup * generator.uniform(0.95, 1.05)} if generator.random() < 0.8 else {}
        drop = generator.choice([generator.uniform(-0.01, 0.1), 0.03125])
        if known and generator.random() < 0.5:
            rates["mean_iou"] = 0.4 - drop
        elif known:
            rates["mean_iou_difference"] = -drop
        points.append(ProfilePoint(PauseConfig({layer: 0.5}), speedup=speedup, **rates))
    generator.shuffle(points)
    return PauseProfile(points)


# --- value semantics ---


def test_round_trips(profile):
    for expected in (profile, *map(draw_profile, range(10)), PauseProfile((DENSE,))):
        copies = {
            "dict": PauseProfile.from_dict(expected.to_dict()),
            "json": PauseProfile.from_dict(json.loads(json.dumps(expected.to_dict(), allow_nan=False))),
            "deepcopy": copy.deepcopy(expected),
            "replace": dataclasses.replace(expected),
            "dictionaries": PauseProfile([point.to_dict() for point in expected.points], expected.conditions),
            "door": as_pause_profile(expected.to_dict()),
        }
        assert copies == dict.fromkeys(copies, expected)
        assert {hash(value) for value in copies.values()} == {hash(expected)}
        assert as_pause_profile(expected) is expected


def test_is_frozen_and_apart_from_what_it_was_made_of(profile):
    conditions = {"image_size": (32, 48), "nested": {"a": 1}}
    made = PauseProfile(POINTS, conditions)
    assert made.conditions == {"image_size": [32, 48], "nested": {"a": 1}}
    conditions["nested"]["a"] = 2
    made.to_dict()["conditions"]["nested"]["a"] = 3
    assert made.conditions["nested"] == {"a": 1}
    with pytest.raises(dataclasses.FrozenInstanceError):
        profile.points = ()
    assert profile != made
    assert profile.dense == DENSE


def test_takes_another_copy_of_the_classes(profile, monkeypatch):
    """As code from the Hub brings along: nothing in it is an instance of the classes here."""
    package = importlib.util.module_from_spec(importlib.util.spec_from_loader("second_copy", None, is_package=True))
    package.__path__ = [str(Path(pause_profile_module.__file__).parent)]
    monkeypatch.setitem(sys.modules, "second_copy", package)
    for name in ("pause_config", "profile_point", "pause_profile"):
        monkeypatch.setitem(sys.modules, f"second_copy.{name}", None)
        del sys.modules[f"second_copy.{name}"]
    other_module = importlib.import_module("second_copy.pause_profile")
    other = other_module.PauseProfile.from_dict(profile.to_dict())
    assert not isinstance(other, PauseProfile)
    assert not isinstance(other.points[0], ProfilePoint)
    assert as_pause_profile(other) == profile
    assert PauseProfile(other.points, CONDITIONS) == profile
    assert ProfilePoint(other.points[2].pause_config, speedup=1.5).pause_config == MIDDLE.pause_config


# --- refusals ---


@pytest.mark.parametrize(
    ("points", "error", "message"),
    [
        ((), ValueError, r"must hold the dense model.*ProfilePoint\(PauseConfig\(\), speedup=1\.0"),
        ((MIDDLE,), ValueError, "must hold the dense model"),
        ((DENSE, MIDDLE, MIDDLE), ValueError, r"each configuration once, but hold 3:0\.4 again"),
        (
            (DENSE, dataclasses.replace(DENSE, pause_config=PauseConfig(criterion="random"))),
            ValueError,
            "each configuration once, but hold the dense model again",
        ),
        ((dataclasses.replace(DENSE, speedup=1.1),), ValueError, r"`speedup` of the dense model .* be 1, but is 1\.1"),
        (
            (dataclasses.replace(DENSE, mean_iou=None), MIDDLE),
            ValueError,
            r"`mean_iou` of 3:0\.4 .* dense model, which is missing: give it, or `mean_iou_difference`",
        ),
        ({"points": []}, TypeError, "`points` of a profile must be a sequence"),
        ("abc", TypeError, "`points` of a profile must be a sequence"),
        (None, TypeError, "`points` of a profile must be a sequence"),
        ([3], TypeError, "`points` of a profile must be ProfilePoint or mappings of its fields, but hold 3"),
    ],
)
def test_refuses_points(points, error, message):
    with pytest.raises(error, match=message):
        PauseProfile(points)


@pytest.mark.parametrize("conditions", [{"a": math.nan}, {"a": object()}, {"a": {1, 2}}, {("a", 1): 1}])
def test_refuses_conditions_that_json_cannot_hold(conditions):
    with pytest.raises(ValueError, match="`conditions` of a profile must be what JSON can hold"):
        PauseProfile(POINTS, conditions)
    with pytest.raises(TypeError, match="`conditions` of a profile must be a mapping"):
        PauseProfile(POINTS, [1])


def test_refuses_what_is_no_profile():
    with pytest.raises(
        ValueError, match=r"Unknown field 'rows' of a profile; the fields are \['points', 'conditions'\]"
    ):
        as_pause_profile({"points": [DENSE], "rows": []})
    for value in (3, None, "profile", [DENSE], DENSE):
        with pytest.raises(
            TypeError, match=r"A profile must be a PauseProfile or a mapping of the form of its to_dict"
        ):
            as_pause_profile(value)


def test_points_must_fit_the_model(profile):
    profile.validate(6)
    with pytest.raises(ValueError, match=r"The point 3:0\.6,5:0\.6 of the profile .*layer 5, but the model has 5 lay"):
        profile.validate(5)


# --- choosing ---


@pytest.mark.parametrize(
    ("wishes", "expected"),
    [
        ({"min_speedup": 1.5}, MIDDLE),
        ({"min_speedup": 1.3}, MIDDLE),
        ({"min_speedup": 1.0}, SLOW),
        ({"min_speedup": 0.1}, SLOW),
        ({"min_speedup": 1.501}, FAST),
        ({"max_drop": 0.7}, MIDDLE),
        ({"max_drop": 0.69}, SLOW),
        ({"max_drop": 0}, SLOW),
        ({"max_drop": 100}, FAST),
        ({"min_throughput": 25}, MIDDLE),
        ({"min_throughput": 42}, FAST),
        ({"min_speedup": 1.3, "max_drop": 1.3}, MIDDLE),
        ({"min_speedup": 1.3, "max_drop": 1.3, "min_throughput": 10}, MIDDLE),
        ({"min_speedup": 1.1, "min_throughput": 40}, FAST),
    ],
    ids=str,
)
def test_select(profile, wishes, expected):
    assert profile.select(**wishes) == expected


def reference(profile, min_speedup=None, max_drop=None, min_throughput=None):
    """All points that fulfil the wishes, the best first, written down another way."""
    rows = []
    for point in profile.points:
        drop = 0 if point == profile.dense else None
        if drop is None and point.mean_iou_difference is not None:
            drop = -100 * point.mean_iou_difference
        elif drop is None and point.mean_iou is not None:
            drop = round(100 * (profile.dense.mean_iou - point.mean_iou), 9)
        if min_speedup is not None and point.speedup < min_speedup:
            continue
        if max_drop is not None and (drop is None or drop > max_drop):
            continue
        if min_throughput is not None and (
            point.images_per_second is None or point.images_per_second < min_throughput
        ):
            continue
        rows.append((point, math.inf if drop is None else drop))
    if min_speedup is None and min_throughput is None:
        return sorted(rows, key=lambda row: (-row[0].speedup, row[1]))
    return sorted(rows, key=lambda row: (row[1], row[0].speedup if row[1] == math.inf else -row[0].speedup))


@pytest.mark.parametrize("accuracies", [True, False])
def test_select_against_a_reference(accuracies):
    generator = random.Random(1)
    found = failed = 0
    for seed in range(40):
        profile = draw_profile(seed, accuracies)
        for _ in range(20):
            wishes = {"min_speedup": generator.uniform(0.5, 3.2), "min_throughput": generator.uniform(5, 32)}
            if accuracies:
                wishes["max_drop"] = generator.uniform(0, 10)
            wishes = {name: value for name, value in wishes.items() if generator.random() < 0.6}
            if not wishes:
                continue
            expected = reference(profile, **wishes)
            if expected:
                assert profile.select(**wishes) == expected[0][0]
                found += 1
            else:
                with pytest.raises(ValueError, match="No configuration of the profile"):
                    profile.select(**wishes)
                failed += 1
    assert min(found, failed) > 40


def test_only_timed_configurations_are_taken_by_what_they_pause():
    """Where nothing is known of the mean IoU, the slowest that is fast enough pauses least."""
    speeds = {1: 2.0, 2: 1.5, 3: 1.2}
    timed = [ProfilePoint(PauseConfig({layer: 0.5}), speedup=speedup) for layer, speedup in speeds.items()]
    profile = PauseProfile([DENSE, *timed])
    assert profile.select(min_speedup=1.3) == timed[1]
    assert profile.select(min_speedup=1) == DENSE
    measured = PauseProfile([DENSE, *timed, FAST])
    assert measured.select(min_speedup=1.3) == FAST
    with pytest.raises(
        ValueError, match=r"`max_drop` needs the mean IoU.*wish for `min_speedup`.*search_pause_config"
    ):
        profile.select(max_drop=1)
    without = PauseProfile([ProfilePoint(PauseConfig(), speedup=1), timed[0]])
    with pytest.raises(ValueError, match=r"`min_throughput` needs the images per second.*calibrate_throughput"):
        without.select(min_throughput=1)


def test_the_dense_model_is_chosen_where_pausing_does_not_help():
    slower = ProfilePoint(PauseConfig({3: 0.4}), speedup=0.9, mean_iou=0.4)
    assert PauseProfile((slower, DENSE)).select(max_drop=5) == DENSE
    assert PauseProfile((DENSE,)).select(max_drop=5) == PauseProfile((DENSE,)).select(min_speedup=1) == DENSE


def test_wishes_that_nothing_fulfils_are_named(profile):
    with pytest.raises(ValueError, match="No configuration") as info:
        profile.select(min_speedup=3)
    assert str(info.value) == (
        "No configuration of the profile is at least 3 times as fast as the dense model; the fastest, 3:0.6,5:0.6, is "
        "2.1 times as fast and loses 4.2 points of mIoU."
    )
    with pytest.raises(ValueError, match="No configuration") as info:
        profile.select(min_throughput=100.5, max_drop=1)
    assert str(info.value) == (
        "No configuration of the profile is as fast as 100.5 images/s on the profile's device, AMD EPYC; the fastest, "
        "3:0.6,5:0.6, reaches 42 images/s and loses 4.2 points of mIoU."
    )
    with pytest.raises(ValueError, match=r"at least 5 times as fast.*as fast as 500 images/s"):
        profile.select(min_speedup=5, min_throughput=500)


def test_contradictory_wishes_are_answered_by_what_fulfils_the_others(profile):
    with pytest.raises(ValueError, match="No configuration") as info:
        profile.select(min_speedup=2, max_drop=0.7)
    assert str(info.value) == (
        "No configuration of the profile fulfils min_speedup=2 and max_drop=0.7 together, though each alone. With "
        "max_drop=0.7 the fastest, 3:0.4, is 1.5 times as fast and loses 0.7 points of mIoU. With min_speedup=2 the "
        "most accurate, 3:0.6,5:0.6, is 2.1 times as fast and loses 4.2 points of mIoU."
    )
    with pytest.raises(ValueError, match=r"With min_speedup=1\.3 the most accurate, 3:0\.4, .* loses 0\.7 points"):
        profile.select(min_speedup=1.3, max_drop=0)
    gain = dataclasses.replace(FAST, mean_iou=0.4131)
    with pytest.raises(ValueError, match=r"the fastest, 3:0\.6,5:0\.6, is 2\.1 times as fast and gains 0\.11 points"):
        PauseProfile((DENSE, gain)).select(min_speedup=2.2)
    with pytest.raises(ValueError, match=r"the fastest, the dense model, is 1 times as fast and loses no mIoU"):
        PauseProfile((DENSE,)).select(min_speedup=2.2)


def test_what_a_refusal_offers_can_be_asked_for():
    """Speeds are rounded down and losses up, so that the numbers of the message are fulfilled."""
    generator = random.Random(2)
    offers = 0
    for seed in range(60):
        profile = draw_profile(seed)
        bounds = {"min_speedup": generator.uniform(1.5, 4), "max_drop": generator.uniform(0, 2)}
        try:
            profile.select(**bounds)
        except ValueError as error:
            pattern = r"is ([\d.]+) times as fast and loses ([\d.]+) points"
            for speedup, drop in re.findall(pattern, str(error)):
                point = profile.select(min_speedup=float(speedup), max_drop=float(drop))
                assert point.speedup >= float(speedup)
                assert profile.drop(point) <= float(drop)
                offers += 1
    assert offers > 30


@pytest.mark.parametrize(
    ("wishes", "error", "message"),
    [
        ({}, ValueError, "Nothing is wished for: give at least one of `min_speedup` .*`max_drop` .*`min_throughput`"),
        ({"max_drop": -0.1}, ValueError, r"`max_drop` must be finite and at least 0, in points of mIoU .* is -0\.1"),
        ({"min_speedup": 0}, ValueError, r"`min_speedup` must be finite and above 0, but is 0\.0"),
        ({"min_speedup": -1}, ValueError, r"`min_speedup` must be finite and above 0, but is -1"),
        ({"min_throughput": 0}, ValueError, r"`min_throughput` must be finite and above 0"),
    ],
)
def test_refuses_wishes(profile, wishes, error, message):
    with pytest.raises(error, match=message):
        profile.select(**wishes)


@pytest.mark.parametrize("name", ["min_speedup", "max_drop", "min_throughput"])
@pytest.mark.parametrize("value", [math.nan, math.inf, "2", True, [2], "fast"])
def test_refuses_wishes_that_are_no_numbers(profile, name, value):
    with pytest.raises(ValueError if isinstance(value, float) else TypeError, match=f"`{name}` must be "):
        profile.select(**{name: value})
