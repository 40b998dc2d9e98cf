# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import copy
import dataclasses
import importlib.util
import json
import math
import random
import sys
from fractions import Fraction

import numpy as np
import pytest

from paumer_hf import PauseConfig
from paumer_hf.model import pause_config as pause_config_module
from paumer_hf.model.pause_config import as_pause_config, num_paused


def draw_configs(number):
    """Valid configurations of all kinds, the same at each run."""
    generator = random.Random(0)
    configs = [PauseConfig(), PauseConfig({1: 1 / 3}), PauseConfig({2: 1e-7}), PauseConfig({1: math.nextafter(1, 0)})]
    for _ in range(number):
        layers = generator.sample(range(1, 30), generator.randint(0, 4))
        ratios = {layer: generator.choice([generator.random(), 0.4, 0.25, 0]) for layer in layers}
        seed = generator.choice([None, 0, generator.randrange(2**31)])
        configs.append(PauseConfig(ratios, criterion=generator.choice(["entropy", "random"]), seed=seed))
    return configs


CONFIGS = draw_configs(40)


@pytest.fixture
def other_class(monkeypatch):
    """PauseConfig of a second copy of the module, as code from the Hub brings along."""
    name = "second_copy_of_pause_config"
    spec = importlib.util.spec_from_file_location(name, pause_config_module.__file__)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module.PauseConfig


# --- value semantics ---


def test_is_immutable():
    ratios = {3: 0.4}
    config = PauseConfig(ratios)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.criterion = "random"
    with pytest.raises(TypeError):
        config.pause_ratios[3] = 0.5
    ratios[5] = 0.4
    assert config == PauseConfig({3: 0.4})


def test_pause_ratios_are_a_mapping_in_ascending_order():
    ratios = PauseConfig({5: 0.2, 3: 0.4, 10: 0.1}).pause_ratios
    assert list(ratios.items()) == [(3, 0.4), (5, 0.2), (10, 0.1)]
    assert len(ratios) == 3
    assert ratios[5] == 0.2
    assert ratios.get(4) is None
    assert 4 not in ratios
    with pytest.raises(KeyError):
        ratios[4]
    assert ratios == {3: 0.4, 5: 0.2, 10: 0.1}


def test_order_and_zero_ratios_do_not_matter():
    config = PauseConfig({3: 0.4, 5: 0.2})
    for other in (PauseConfig({5: 0.2, 3: 0.4}), PauseConfig({5: 0.2, 4: 0, 3: 0.4, 7: 0.0})):
        assert other == config
        assert hash(other) == hash(config)
        assert repr(other) == repr(config)
        assert other.to_text() == config.to_text()
    assert PauseConfig({1: 0}) == PauseConfig() == PauseConfig({})
    assert PauseConfig({"3": 0.4}) == PauseConfig({3: 0.4})
    assert PauseConfig({3: 0}).pause_ratios == {}


def test_numbers_of_numpy_are_numbers():
    config = PauseConfig({np.int64(3): np.float32(0.5)}, criterion="random", seed=np.int32(7))
    assert config == PauseConfig({3: 0.5}, criterion="random", seed=7)
    assert json.loads(json.dumps(config.to_dict())) == config.to_dict()


def test_different_configurations_are_unequal():
    config = PauseConfig({3: 0.4}, criterion="random", seed=1)
    others = [
        PauseConfig({3: 0.5}, criterion="random", seed=1),
        PauseConfig({4: 0.4}, criterion="random", seed=1),
        PauseConfig({3: 0.4}, criterion="random", seed=2),
        PauseConfig({3: 0.4}, criterion="random"),
        PauseConfig({3: 0.4}, seed=1),
    ]
    assert len({config, *others}) == 6
    assert config != {3: 0.4}


def test_keys_a_table():
    table = {PauseConfig({3: 0.4, 5: 0.2}): "a", PauseConfig(): "b"}
    assert table[PauseConfig({5: 0.2, 3: 0.4})] == "a"
    assert table[PauseConfig({1: 0.0})] == "b"


def test_truth_is_whether_anything_pauses():
    assert PauseConfig({1: 0.1})
    assert not PauseConfig()
    assert not PauseConfig({1: 0.0}, criterion="random", seed=1)


# --- round trips ---


@pytest.mark.parametrize("config", CONFIGS, ids=repr)
def test_round_trips(config):
    copies = {
        "dict": PauseConfig.from_dict(config.to_dict()),
        "json dict": as_pause_config(json.loads(json.dumps(config.to_dict()))),
        "text": PauseConfig.from_text(config.to_text(), criterion=config.criterion, seed=config.seed),
        "repr": eval(repr(config)),
        "fields": PauseConfig(config.pause_ratios, config.criterion, config.seed),
        "asdict": PauseConfig(**dataclasses.asdict(config)),
        "copy": copy.copy(config),
        "deepcopy": copy.deepcopy(config),
        "replace": dataclasses.replace(config),
        "door": as_pause_config(config),
    }
    assert copies == dict.fromkeys(copies, config)
    assert {hash(value) for value in copies.values()} == {hash(config)}


def test_text():
    assert PauseConfig().to_text() == ""
    assert PauseConfig({5: 0.25, 3: 0.4}, criterion="random", seed=1).to_text() == "3:0.4,5:0.25"
    assert PauseConfig.from_text(" 5:0.25 , 3 : 0.4,") == PauseConfig({3: 0.4, 5: 0.25})
    assert PauseConfig.from_text("") == PauseConfig()
    assert PauseConfig.from_text("3:.4", "random", 7) == PauseConfig({3: 0.4}, "random", 7)


def test_text_keeps_the_number_of_paused_patches():
    config = PauseConfig({1: 1 / 3})
    assert PauseConfig.from_text(config.to_text()).num_active(9, 2) == config.num_active(9, 2) == [9, 6]


def test_repr_is_short():
    assert repr(PauseConfig()) == "PauseConfig()"
    assert repr(PauseConfig({5: 0.4, 3: 0.25})) == "PauseConfig({3: 0.25, 5: 0.4})"
    assert repr(PauseConfig({3: 0.4}, "random", 0)) == "PauseConfig({3: 0.4}, criterion='random', seed=0)"


def test_dict_has_only_what_json_has():
    assert PauseConfig({3: 0.4}, "random", 5).to_dict() == {
        "pause_ratios": {"3": 0.4},
        "criterion": "random",
        "seed": 5,
    }


def test_replace_validates():
    config = PauseConfig({3: 0.4})
    assert dataclasses.replace(config, criterion="random", seed=3) == PauseConfig({3: 0.4}, "random", 3)
    assert dataclasses.replace(config, pause_ratios={1: 0.1}) == PauseConfig({1: 0.1})
    with pytest.raises(ValueError, match="ratios in"):
        dataclasses.replace(config, pause_ratios={1: 1})


# --- refusals ---


@pytest.mark.parametrize(
    ("ratios", "error", "message"),
    [
        ({0: 0.4}, ValueError, r"`pause_ratios` names layer 0, but layers count from 1"),
        ({-3: 0.4}, ValueError, r"`pause_ratios` names layer -3, but layers count from 1"),
        ({"0": 0.4}, ValueError, r"layer 0, but layers count from 1"),
        ({1.0: 0.4}, TypeError, r"`pause_ratios` must have integer layers as keys, but has 1\.0"),
        ({True: 0.4}, TypeError, r"integer layers as keys, but has True"),
        ({None: 0.4}, TypeError, r"integer layers as keys, but has None"),
        ({"three": 0.4}, TypeError, r"integer layers as keys, but has 'three'"),
        ({3: 1}, ValueError, r"`pause_ratios` must have ratios in \[0, 1\).*layer 3 has 1; at least one patch"),
        ({3: 1.5}, ValueError, r"ratios in \[0, 1\).*layer 3 has 1\.5"),
        ({3: -0.1}, ValueError, r"ratios in \[0, 1\).*layer 3 has -0\.1"),
        ({3: math.nan}, ValueError, r"ratios in \[0, 1\).*layer 3 has nan"),
        ({3: math.inf}, ValueError, r"ratios in \[0, 1\).*layer 3 has inf"),
        ({3: -math.inf}, ValueError, r"ratios in \[0, 1\).*layer 3 has -inf"),
        ({3: "0.4"}, TypeError, r"`pause_ratios` must have numbers as ratios, but layer 3 has '0\.4'"),
        ({3: True}, TypeError, r"numbers as ratios, but layer 3 has True"),
        ({3: False}, TypeError, r"numbers as ratios, but layer 3 has False"),
        ({3: None}, TypeError, r"numbers as ratios, but layer 3 has None"),
        ({3: 0.4, "3": 0.5}, ValueError, r"`pause_ratios` names a layer more than once"),
        ([0.4, 0.4], TypeError, r"`pause_ratios` must be a mapping.*\[0\.4, 0\.4\].*PauseConfig\.from_text"),
        ("3:0.4", TypeError, r"`pause_ratios` must be a mapping.*'3:0\.4'.*PauseConfig\.from_text"),
        (None, TypeError, r"`pause_ratios` must be a mapping.*None"),
    ],
)
def test_refuses_pause_ratios(ratios, error, message):
    with pytest.raises(error, match=message):
        PauseConfig(ratios)


@pytest.mark.parametrize("criterion", ["Entropy", "margin", "", None, 1, ["entropy"]])
def test_refuses_criterion(criterion):
    with pytest.raises(ValueError, match=r"`criterion` must be one of \['entropy', 'random'\], but is ") as info:
        PauseConfig({1: 0.1}, criterion=criterion)
    assert repr(criterion) in str(info.value)


@pytest.mark.parametrize(
    ("seed", "error", "message"),
    [
        (-1, ValueError, r"`seed` must lie in \[0, 2\*\*31\), but is -1"),
        (2**31, ValueError, r"`seed` must lie in \[0, 2\*\*31\), but is 2147483648"),
        (1.0, TypeError, r"`seed` must be an integer or None, but is 1\.0"),
        ("1", TypeError, r"`seed` must be an integer or None, but is '1'"),
        (True, TypeError, r"`seed` must be an integer or None, but is True"),
    ],
)
def test_refuses_seed(seed, error, message):
    with pytest.raises(error, match=message):
        PauseConfig({1: 0.1}, criterion="random", seed=seed)


@pytest.mark.parametrize("text", ["3", "3:", ":0.4", "3=0.4", "3:0.4;5:0.4", "a:0.4", "3:b", "3.0:0.4", "3:0.4:1"])
def test_refuses_text(text):
    with pytest.raises(ValueError, match=r"written LAYER:RATIO,LAYER:RATIO such as '3:0\.4,5:0\.4', but ") as info:
        PauseConfig.from_text(text)
    assert repr(text) in str(info.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3:0.4,3:0.5", r"'3:0\.4,3:0\.5' names layer 3 more than once"),
        ("3:nan", r"ratios in \[0, 1\).*nan"),
        ("3:inf", r"ratios in \[0, 1\).*inf"),
        ("3:1.0", r"ratios in \[0, 1\).*1\.0"),
        ("0:0.5", r"layers count from 1"),
    ],
)
def test_refuses_values_in_text(text, message):
    with pytest.raises(ValueError, match=message):
        PauseConfig.from_text(text)


def test_refuses_unknown_fields():
    fields = r"Unknown field 'ratios'.*\['pause_ratios', 'criterion', 'seed'\]"
    with pytest.raises(ValueError, match=fields):
        PauseConfig.from_dict({"ratios": {3: 0.4}})
    with pytest.raises(ValueError, match=fields):
        as_pause_config({"pause_ratios": {3: 0.4}, "ratios": {}})


def test_validate():
    for layer in (1, 2, 3):
        PauseConfig({layer: 0.4}).validate(4)
    PauseConfig().validate(1)
    PauseConfig({9: 0.0}).validate(4)
    for layer in (4, 5, 400):
        message = rf"`pause_ratios` names layer {layer}, but the model has 4 layers.*Name layers from 1 to 3"
        with pytest.raises(ValueError, match=message):
            PauseConfig({1: 0.1, layer: 0.4}).validate(4)
    with pytest.raises(ValueError, match=r"the model has 1 layers.*Use PauseConfig\(\)"):
        PauseConfig({1: 0.4}).validate(1)


# --- counts ---


def test_num_paused_is_the_exact_floor():
    """Against exact fractions of the decimal ratio: 0.29 * 100 is below 29 in binary floating point."""
    for hundredths in range(100):
        for num_active in (1, 2, 3, 7, 30, 100, 197, 576, 1024):
            expected = math.floor(Fraction(hundredths, 100) * num_active)
            assert num_paused(num_active, hundredths / 100) == expected, (num_active, hundredths)
    assert num_paused(9, 1 / 3) == 3
    assert num_paused(1, 0.999999999999) == 0
    assert num_paused(1000, math.nextafter(1, 0)) == 999


def test_num_active_is_a_share_of_the_still_active():
    assert PauseConfig().num_active(30, 4) == [30, 30, 30, 30]
    assert PauseConfig({1: 0.5}).num_active(30, 4) == [30, 15, 15, 15]
    assert PauseConfig({1: 0.4, 3: 0.4}).num_active(30, 4) == [30, 18, 18, 11]
    assert PauseConfig({3: 0.4, 5: 0.4, 7: 0.4}).num_active(1024, 12) == [1024] * 3 + [615] * 2 + [369] * 2 + [222] * 5
    assert PauseConfig({1: 0.9, 2: 0.9, 3: 0.9}).num_active(1, 4) == [1, 1, 1, 1]


# --- the door ---


def test_door_accepts_all_forms():
    expected = PauseConfig({3: 0.4, 5: 0.2})
    presets = {"fast": expected, "mapping": {3: 0.4, 5: 0.2}, "dict": expected.to_dict()}
    forms = [expected, {3: 0.4, 5: 0.2}, {"5": 0.2, "3": 0.4}, expected.to_dict(), {"pause_ratios": {3: 0.4, 5: 0.2}}]
    for value in [*forms, *presets]:
        assert as_pause_config(value, presets) == expected
    assert as_pause_config({}) == PauseConfig()
    assert as_pause_config({"criterion": "random"}) == PauseConfig(criterion="random")


def test_door_accepts_another_copy_of_the_class(other_class):
    for config in CONFIGS:
        other = other_class(dict(config.pause_ratios), config.criterion, config.seed)
        assert not isinstance(other, PauseConfig)
        brought = as_pause_config(other)
        assert isinstance(brought, PauseConfig)
        assert brought == config


def test_model_accepts_another_copy_of_the_class(other_class, tiny_model, tiny_images):
    expected = tiny_model(tiny_images, pause_config=PauseConfig({1: 0.4}))
    output = tiny_model(tiny_images, pause_config=other_class({1: 0.4}))
    assert output.logits.equal(expected.logits)
    assert output.pause_map.equal(expected.pause_map)
    tiny_model.pause_config = other_class({1: 0.4})
    assert tiny_model.pause_config == PauseConfig({1: 0.4})


def test_door_refuses():
    presets = {"small": {}, "fast": PauseConfig({3: 0.4})}
    with pytest.raises(
        ValueError, match=r"preset 'slow': the presets are \['fast', 'small'\].*`model\.pause_presets`"
    ):
        as_pause_config("slow", presets)
    with pytest.raises(ValueError, match=r"preset '3:0\.4': the model has no presets.*PauseConfig\.from_text"):
        as_pause_config("3:0.4")
    for value in (3, 0.4, [3, 0.4], None, object()):
        with pytest.raises(TypeError, match="`pause_config` must be None, a PauseConfig, a mapping"):
            as_pause_config(value)
