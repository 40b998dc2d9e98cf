# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import copy
import dataclasses
import json
import math
import random

import numpy as np
import pytest

from paumer_hf import PauseConfig
from paumer_hf.model.profile_point import ProfilePoint, as_profile_point


CONFIG = PauseConfig({3: 0.4, 5: 0.4})
OPTIONAL = {
    "mean_iou": 0.405,
    "mean_iou_interval": (0.39, 0.42),
    "mean_iou_difference": -0.007,
    "mean_iou_difference_interval": (-0.011, -0.002),
    "images_per_second": 12.5,
    "gigamacs": 1 / 3,
}


def draw_points(number):
    """Points with any of the optional fields, the same at each run."""
    generator = random.Random(0)
    points = []
    for _ in range(number):
        ratios = {layer: generator.random() for layer in generator.sample(range(1, 12), generator.randint(0, 3))}
        config = PauseConfig(ratios, generator.choice(["entropy", "random"]), generator.choice([None, 7]))
        values = {name: value for name, value in OPTIONAL.items() if generator.random() < 0.5}
        if "mean_iou" in values:
            values["mean_iou"] = generator.random()
        points.append(ProfilePoint(config, speedup=generator.uniform(0.5, 3), **values))
    return points


POINTS = [*draw_points(20), ProfilePoint(CONFIG, speedup=1.5, **OPTIONAL)]


@pytest.mark.parametrize("point", POINTS, ids=str)
def test_round_trips(point):
    copies = {
        "dict": ProfilePoint.from_dict(point.to_dict()),
        "json": ProfilePoint.from_dict(json.loads(json.dumps(point.to_dict(), allow_nan=False))),
        "door": as_profile_point(point.to_dict()),
        "deepcopy": copy.deepcopy(point),
        "copy": copy.copy(point),
        "replace": dataclasses.replace(point),
    }
    assert copies == dict.fromkeys(copies, point)
    assert {hash(value) for value in copies.values()} == {hash(point)}
    assert as_profile_point(point) is point


def test_dict_leaves_out_what_was_not_measured():
    values = ProfilePoint(CONFIG, speedup=1.5, mean_iou=0.4, mean_iou_interval=(0.3, 0.5)).to_dict()
    assert values == {
        "pause_config": {"pause_ratios": {"3": 0.4, "5": 0.4}, "criterion": "entropy", "seed": None},
        "mean_iou": 0.4,
        "mean_iou_interval": [0.3, 0.5],
        "speedup": 1.5,
    }


def test_values_become_plain():
    point = ProfilePoint(
        {"3": 0.4, 5: 0.4}, speedup=np.float32(1.5), mean_iou=np.float64(0.5), mean_iou_interval=[0, 1]
    )
    assert point == ProfilePoint(CONFIG, speedup=1.5, mean_iou=0.5, mean_iou_interval=(0.0, 1.0))
    assert type(point.speedup) is type(point.mean_iou) is float
    assert point.mean_iou_interval == (0.0, 1.0)
    json.dumps(point.to_dict(), allow_nan=False)
    with pytest.raises(dataclasses.FrozenInstanceError):
        point.speedup = 2.0


def test_names():
    assert ProfilePoint(CONFIG, speedup=1).name == "3:0.4,5:0.4"
    assert ProfilePoint(PauseConfig({3: 0.4}, "random"), speedup=1).name == "3:0.4 (random)"
    assert ProfilePoint(PauseConfig(), speedup=1).name == "the dense model"


@pytest.mark.parametrize("name", [*OPTIONAL, "speedup"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -2, 1e400])
def test_refuses_numbers_out_of_range(name, value):
    value = (value, value) if name.endswith("interval") else value
    with pytest.raises(
        ValueError, match=rf"`{name}` of 3:0\.4,5:0\.4 in a profile must be .*, but is .*; leave it out"
    ):
        ProfilePoint(CONFIG, **{"speedup": 1.5, name: value})


@pytest.mark.parametrize("name", [*OPTIONAL, "speedup"])
@pytest.mark.parametrize("value", ["0.5", True, [0.5], ("a", "b"), {}, 1j])
def test_refuses_types(name, value):
    with pytest.raises(TypeError, match=rf"`{name}` of 3:0\.4,5:0\.4 in a profile must be a (number|pair)"):
        ProfilePoint(CONFIG, **{"speedup": 1.5, name: value})


def test_bounds():
    """The ends of each range are in it, what lies just behind them is not."""
    for name, low in (("mean_iou", 0), ("mean_iou_difference", -1)):
        for value in (low, 1):
            ProfilePoint(CONFIG, speedup=1, **{name: value, f"{name}_interval": (value, value)})
        for value in (math.nextafter(low, -2), math.nextafter(1, 2)):
            for field, outside in ((name, value), (f"{name}_interval", sorted((0.5, value)))):
                with pytest.raises(ValueError, match=rf"`{field}` .* a fraction in \[{low}, 1\]"):
                    ProfilePoint(CONFIG, speedup=1, **{field: outside})
    for name in ("speedup", "images_per_second", "gigamacs"):
        ProfilePoint(CONFIG, **{"speedup": 1, name: 1e-300})
        with pytest.raises(ValueError, match=rf"`{name}` .* above 0 and finite, but is 0\.0"):
            ProfilePoint(CONFIG, **{"speedup": 1, name: 0})


def test_refuses_intervals():
    for value in ((0.1,), (0.1, 0.2, 0.3), 0.1, "01"):
        with pytest.raises(TypeError, match=r"`mean_iou_interval` .* must be a pair \(low, high\), but is"):
            ProfilePoint(CONFIG, speedup=1, mean_iou_interval=value)
    with pytest.raises(ValueError, match=r"lower end first, but is \(0\.3, 0\.2\)"):
        ProfilePoint(CONFIG, speedup=1, mean_iou_interval=(0.3, 0.2))


def test_speedup_is_always_known():
    with pytest.raises(TypeError, match=r"`speedup` .* must be a number, but is None"):
        ProfilePoint(CONFIG, speedup=None)
    with pytest.raises(ValueError, match="The field 'speedup' of a point of a profile is missing"):
        ProfilePoint.from_dict({"pause_config": {"3": 0.4}})


def test_refuses_configurations_and_fields():
    with pytest.raises(ValueError, match="layers count from 1"):
        ProfilePoint({0: 0.4}, speedup=1)
    with pytest.raises(ValueError, match="The field 'pause_config' of a point of a profile is missing"):
        ProfilePoint.from_dict({"speedup": 1})
    with pytest.raises(ValueError, match=r"Unknown field 'miou' of a point of a profile; the fields are \['pause_con"):
        ProfilePoint.from_dict({"pause_config": {}, "speedup": 1, "miou": 0.5})
    with pytest.raises(TypeError, match=r"A point of a profile must be a mapping with the fields .*, but is 3"):
        ProfilePoint.from_dict(3)
    for value in (3, None, "3:0.4", PauseConfig()):
        with pytest.raises(TypeError, match="`points` of a profile must be ProfilePoint or mappings of its fields"):
            as_profile_point(value)
