# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of measuring throughput."""

import json
import sys

import pytest
import torch

from paumer_hf import PaumerConfig, PaumerForSemanticSegmentation, PauseConfig
from paumer_hf.evaluation import throughput
from paumer_hf.evaluation.macs import count_macs, predict_speedup
from paumer_hf.evaluation.throughput import TUNED_MALLOC, measure_throughput, restart_with_tuned_malloc


PAUSED = [PauseConfig({1: 0.5}), PauseConfig({1: 0.5}, criterion="random", seed=0)]


@pytest.fixture(scope="module")
def model():
    config = PaumerConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=8, num_labels=3
    )
    return PaumerForSemanticSegmentation(config)


class Clock:
    """Time that passes only when the model runs, at a speed that differs between rounds and configurations."""

    def __init__(self):
        self.now = 0.0
        self.calls = []
        self.slowness = 1.0

    def perf_counter(self):
        return self.now

    def forward(self, pause_config):
        self.calls.append(pause_config)
        self.now += self.slowness * (0.5 if pause_config else 1.0)
        if len(self.calls) % 3 == 0:
            self.slowness *= 3  # the machine slows down from round to round


@pytest.fixture
def clock(monkeypatch, model):
    clock = Clock()
    monkeypatch.setattr(throughput.time, "perf_counter", clock.perf_counter)
    hook = model.register_forward_pre_hook(
        lambda module, args, kwargs: clock.forward(kwargs["pause_config"]), with_kwargs=True
    )
    yield clock
    hook.remove()


def test_speedup_is_taken_round_by_round(model, clock):
    measured = measure_throughput(model, PAUSED, image_size=(32, 32), batch_size=2, num_rounds=4, num_warmups=0)
    dense, *paused = measured["results"]
    assert dense["speedup"] == dense["predicted_speedup"] == dense["efficiency"] == 1.0
    assert dense["seconds_median"] == pytest.approx((3 + 9) / 2)
    assert dense["images_per_second"] == pytest.approx(2 / 6)
    for result, pause_config in zip(paused, PAUSED, strict=True):
        assert result["speedup"] == pytest.approx(2.0)
        predicted = predict_speedup(model.config, (32, 32), pause_config)
        assert result["predicted_speedup"] == predicted
        assert result["efficiency"] == pytest.approx(2.0 / predicted)
        assert result["gigamacs"] == count_macs(model.config, (32, 32), pause_config) / 1e9
        assert result["pause_config"] == "1:0.5"
    assert [result["criterion"] for result in paused] == ["entropy", "random"]


def test_each_round_runs_every_variant_once_in_an_order_of_the_seed(model, clock):
    options = {"image_size": (32, 32), "num_warmups": 2, "calls_per_round": 2}
    measure_throughput(model, [*PAUSED, PauseConfig(), PAUSED[0]], num_rounds=5, **options)
    calls = list(clock.calls)
    assert len(calls) == 3 * 2 + 5 * 3 * 2
    rounds = [calls[start : start + 6] for start in range(6, len(calls), 6)]
    orders = [tuple(order[::2]) for order in rounds]
    assert all(order[::2] == order[1::2] and set(order) == {PauseConfig(), *PAUSED} for order in rounds)
    assert len(set(orders)) > 1
    for seed, equal in ((0, True), (1, False)):
        clock.calls.clear()
        measure_throughput(model, PAUSED, num_rounds=5, seed=seed, **options)
        assert (clock.calls == calls) == equal


def test_conditions_stand_beside_the_numbers(model, two_threads):
    model.train()
    measured = measure_throughput(model, [], image_size=(16, 24), batch_size=3, num_rounds=1, num_threads=1, seed=7)
    conditions = measured["conditions"]
    expected = {
        "image_size": [16, 24], "batch_size": 3, "dtype": "float32", "attention": "sdpa", "compiled": False,
        "num_threads": 1, "seed": 7, "num_rounds": 1,
    }  # fmt: skip
    assert {name: conditions[name] for name in expected} == expected
    assert {"date", "device", "torch", "transformers", "python", "git", "environment"} <= set(conditions)
    json.dumps(measured)
    assert measured["results"][0]["seconds_interquartile_range"] == 0.0
    assert torch.get_num_threads() == 2
    assert model.training


@pytest.mark.parametrize("name", ["batch_size", "num_rounds", "calls_per_round"])
def test_counts_below_one_are_refused(model, name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        measure_throughput(model, [], **{name: 0})


def test_image_size_other_than_height_and_width_is_refused(model):
    with pytest.raises(ValueError, match="image_size must be a height and a width"):
        measure_throughput(model, [], image_size=(32,))


def test_restart_sets_what_is_missing_and_only_once(monkeypatch):
    started = []
    monkeypatch.setattr(throughput.os, "execve", lambda *arguments: started.append(arguments))
    monkeypatch.setattr(throughput.platform, "libc_ver", lambda: ("glibc", "2.36"))
    for name in TUNED_MALLOC:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MALLOC_TOP_PAD_", "1")
    restart_with_tuned_malloc()
    program, arguments, environment = started[0]
    assert program == arguments[0] == sys.executable
    assert arguments[1:] == sys.orig_argv[1:]
    assert {name: environment[name] for name in TUNED_MALLOC} == {**TUNED_MALLOC, "MALLOC_TOP_PAD_": "1"}
    for name in TUNED_MALLOC:
        monkeypatch.setenv(name, environment[name])
    restart_with_tuned_malloc()
    assert len(started) == 1


def test_no_restart_where_the_allocator_is_another(monkeypatch):
    monkeypatch.setattr(throughput.os, "execve", lambda *arguments: pytest.fail("must not restart"))
    monkeypatch.setattr(throughput.platform, "libc_ver", lambda: ("", ""))
    monkeypatch.delenv("MALLOC_MMAP_MAX_", raising=False)
    restart_with_tuned_malloc()
