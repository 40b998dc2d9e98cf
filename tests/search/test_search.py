# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of whole searches with a tiny model: their numbers, interruptions, and what is written."""

import contextlib
import json
import random

import pytest
import torch

from paumer_hf import PaumerForSemanticSegmentation, PauseConfig
from paumer_hf.evaluation.macs import predict_speedup
from paumer_hf.evaluation.multi_scale import EvaluationSettings
from paumer_hf.evaluation.results import read_results, write_results
from paumer_hf.evaluation.semantic_evaluation import evaluate_model
from paumer_hf.search import procedures
from paumer_hf.search import speed as speed_module
from paumer_hf.search.presets import make_presets, make_profile, read_row, write_presets
from paumer_hf.search.search import STORE_NAME, describe_choice, digest_weights
from paumer_hf.search.store import SearchStore


DENSE = PauseConfig()


class Kept:
    """What searches have kept: (configuration, image) pairs, and (configuration, sweep or confirmation)."""

    def __init__(self):
        self.entries = []
        self.left = None

    def begin(self):
        """Interrupt where the number of entries that may be kept is used up."""
        if self.left == 0:
            raise KeyboardInterrupt
        if self.left is not None:
            self.left -= 1


@pytest.fixture
def kept(monkeypatch):
    """What all searches keep; `left` lets that many more writes pass."""
    kept = Kept()
    add_counts, add_timings = SearchStore.add_counts, SearchStore.add_timings

    def spy_counts(self, image, pause_configs, counts):
        kept.begin()
        add_counts(self, image, pause_configs, counts)
        kept.entries.extend((config, image) for config in pause_configs)

    def spy_timings(self, kind, timings):
        kept.begin()
        add_timings(self, kind, timings)
        kept.entries.extend((config, kind.split()[0]) for config in timings if config)

    monkeypatch.setattr(SearchStore, "add_counts", spy_counts)
    monkeypatch.setattr(SearchStore, "add_timings", spy_timings)
    return kept


@pytest.fixture
def timed(monkeypatch):
    """Makes timings depend on the configuration and the number of rounds alone."""

    def measure(model, pause_configs, num_rounds, **_):
        speedups = [1.0]
        for config in pause_configs:
            noise = random.Random(f"{config} {num_rounds}").uniform(0.95, 1.05)
            speedups.append(predict_speedup(model.config, (16, 16), config) * noise)
        return {"results": [{"images_per_second": 10 * s, "speedup": s, "seconds_median": 0.1 / s} for s in speedups]}

    monkeypatch.setattr(speed_module, "measure_throughput", measure)


def test_rows_are_those_of_evaluations_with_intervals(search, search_model, make_samples):
    found = search()
    configs = [read_row(row) for row in found["results"]]
    assert len(set(configs)) == 1 + 6 + 12
    evaluated = evaluate_model(search_model, make_samples(), configs, num_resamples=20)
    for row, expected in zip(found["results"], evaluated, strict=True):
        lists = ("per_category_iou", "per_category_accuracy")
        assert {name: row.get(name) for name in expected if name not in lists} == {
            name: value for name, value in expected.items() if name not in lists
        }
        assert row["speedup"] == predict_speedup(search_model.config, (16, 16), read_row(row))
        assert "images_per_second" not in row
        others = [other for other in found["results"] if other["speedup"] >= row["speedup"] and other is not row]
        assert row["on_frontier"] == all(other["mean_iou"] < row["mean_iou"] for other in others)
    assert found["frontier"] == [row["pause_config"] for row in found["results"] if row["on_frontier"]]
    assert found["choice"] is None
    assert found["conditions"]["num_images"] == 4
    assert found["conditions"]["max_gain"] is None


def test_windows_and_random_pausing_reach_the_evaluation(search, search_model, make_samples):
    settings = {"window_size": (12, 12), "stride": (8, 8)}
    found = search(
        settings=EvaluationSettings(**settings), criterion="random", seed=5, max_pause_layers=1, num_resamples=0
    )
    configs = [read_row(row) for row in found["results"]]
    assert {config.seed for config in configs if config} == {5}
    evaluated = evaluate_model(search_model, make_samples(), configs, **settings)
    assert [row["mean_iou"] for row in found["results"]] == [row["mean_iou"] for row in evaluated]


@pytest.mark.parametrize(
    "wish", [{"target_speedup": 1.2}, {"target_speedup": 1.0}, {"max_drop": 1.0}, {"target_speedup": 1.5}]
)
def test_the_choice_is_the_best_of_the_grid(search, wish):
    choice = search(**wish)["choice"]
    rows = search()["results"]
    if "max_drop" in wish:
        dense = rows[0]["mean_iou"]
        rows = [row for row in rows if 100 * (dense - row["mean_iou"]) <= wish["max_drop"]]
        assert choice["speedup"] == max(row["speedup"] for row in rows)
    else:
        rows = [row for row in rows if row["speedup"] >= wish["target_speedup"]]
        assert choice["mean_iou"] == max(row["mean_iou"] for row in rows)
    assert choice["pause_config"] in [row["pause_config"] for row in rows]


def test_the_same_arguments_find_the_same(search, without_dates, tmp_path):
    fields = {"target_speedup": 1.2, "max_gain": 1.0, "criterion": "random", "seed": 1}
    found = [without_dates(search(**fields, output=str(tmp_path / name))) for name in "ab"]
    assert found[0] == found[1]
    assert found[0] == without_dates(search(**fields, output=str(tmp_path / "a"))), "from the store alone"


@pytest.mark.parametrize("fields", [{"max_gain": 3.0}, {"target_speedup": 1.2}, {"procedure": "greedy"}])
def test_an_interrupted_search_ends_as_one_that_was_not(
    search, kept, timed, without_dates, tmp_path, fields, monkeypatch
):
    monkeypatch.setattr(speed_module, "GROUP_SIZE", 4)
    monkeypatch.setattr(procedures, "PASS_SIZE", 6)
    fields = {**fields, "speed": "measured", "num_resamples": 5}
    expected = without_dates(search(**fields, output=str(tmp_path / "whole")))
    assert any(row["is_confirmed"] for row in expected["results"][1:])
    entries = kept.entries
    kept.entries, found, runs = [], None, 0
    while found is None:
        kept.left, runs = 3, runs + 1
        with contextlib.suppress(KeyboardInterrupt):
            found = search(**fields, output=str(tmp_path / "interrupted"))
    assert runs > 3, "it must have been interrupted for this to mean much"
    assert len(kept.entries) == len(set(kept.entries)), "nothing is measured twice"
    assert set(kept.entries) == set(entries)
    assert without_dates(found) == expected


def test_another_wish_measures_only_what_is_new(search, kept, timed, without_dates, tmp_path):
    fields = {"speed": "measured", "target_speedup": 1.3}
    expected = without_dates(search(**fields, output=str(tmp_path / "alone")))
    kept.entries = []
    search(speed="measured", max_drop=5.0)
    search(speed="measured")
    before = len(kept.entries)
    # What others have left changes nothing of what it finds.
    assert without_dates(search(**fields)) == expected
    assert len(kept.entries) == len(set(kept.entries))
    new = kept.entries[before:]
    assert all(kind == "confirmation" for _, kind in new), "only what decides is timed with more rounds"


@pytest.mark.parametrize("of_sweep", [11.0, 9.0])
def test_images_per_second_are_those_beside_the_dense_model_of_the_confirmation(search, monkeypatch, of_sweep):
    """The machine of the sweep was faster or slower by a tenth: what it reached then must not count."""

    def measure(model, pause_configs, num_rounds, **_):
        dense = of_sweep if num_rounds == 5 else 10.0
        speedups = [1.0, *(predict_speedup(model.config, (16, 16), config) for config in pause_configs)]
        return {"results": [{"images_per_second": dense * speedup, "speedup": speedup} for speedup in speedups]}

    monkeypatch.setattr(speed_module, "measure_throughput", measure)
    for target in (11.5, 12.0, 12.5, 13.0, 14.0):
        found = search(speed="measured", target_throughput=target)
        rows = found["results"]
        assert rows[0]["images_per_second"] == 10.0
        assert all(row["images_per_second"] == pytest.approx(10 * row["speedup"]) for row in rows)
        assert found["choice"]["images_per_second"] >= target
        assert found["choice"]["is_confirmed"]
        fast = [row for row in search()["results"] if 10 * row["speedup"] >= target]
        assert found["choice"]["mean_iou"] == max(row["mean_iou"] for row in fast)
        judged = [(row["speedup"] * of_sweep >= target, row["speedup"] * 10 >= target) for row in rows]
        assert any(before != after for before, after in judged), "else this means little"
    assert all(row["is_confirmed"] for row in search(speed="measured")["results"] if row["on_frontier"])


def test_presets_and_profile_are_read_back_with_the_same_choices(search, search_model, tmp_path):
    search_model.save_pretrained(tmp_path / "model")
    found = search()
    profile = make_profile(found["results"], found["conditions"])
    write_presets(tmp_path / "model", make_presets(profile), profile)
    model = PaumerForSemanticSegmentation.from_pretrained(tmp_path / "model")
    assert model.pause_profile == profile
    for wish, name in (({"target_speedup": 1.2}, "min_speedup"), ({"max_drop": 0.7}, "max_drop")):
        choice = read_row(search(**wish)["choice"])
        assert model.select_pause_config(**{name: next(iter(wish.values()))}) == choice
    assert model.pause_presets["balanced"] == choice
    assert json.loads(json.dumps(model.pause_profile.conditions))["evaluation"]["window_size"] is None


def test_results_can_be_written_and_read(search, tmp_path):
    for fields in ({}, {"max_gain": 0.0}, {"procedure": "greedy"}):
        found = search(**fields)
        write_results(tmp_path / "search.json", found)
        read = read_results(tmp_path / "search.json")
        assert read["frontier"] == found["frontier"]
        assert [row["pause_config"] for row in read["results"]] == [row["pause_config"] for row in found["results"]]
        assert make_profile(read["results"], read["conditions"]).dense.mean_iou == found["results"][0]["mean_iou"]


def test_a_choice_is_described_in_one_sentence(search):
    assert "to the dense model, 95 % interval" in describe_choice(search(target_speedup=1.2)["choice"], 4)
    text = describe_choice(search(target_speedup=1.2, num_resamples=0)["choice"], 4)
    assert "to the dense model)" in text
    dense = describe_choice(search(max_drop=0.0, layers=[3], ratios=[0.0001])["choice"], 4)
    assert "times as fast as the dense model, mIoU" in dense
    row = {"pause_config": "", "speedup": 1.0, "images_per_second": 12.3456, "mean_iou": 0.41234}
    expected = "dense: 1.000 times as fast as the dense model, 12.35 images/s, mIoU 41.23 on 9 images."
    assert describe_choice(row, 9) == expected


def test_a_store_of_another_model_or_data_set_is_refused(search, search_model, make_samples):
    search(layers=[1])
    with pytest.raises(ValueError, match="holds measurements of another data set"):
        search(make_samples(seed=1), layers=[1])
    with pytest.raises(ValueError, match="holds measurements with num_images = 4, but now num_images = 3"):
        search(make_samples(3), layers=[1])
    with pytest.raises(ValueError, match="holds measurements with evaluation = "):
        search(layers=[1], settings=EvaluationSettings(flip=True))
    torch.manual_seed(1)
    other = PaumerForSemanticSegmentation(search_model.config)
    with pytest.raises(ValueError, match="holds measurements with weights_sha256 = "):
        search(model=other, layers=[1])
    search(layers=[2])


def test_what_cannot_be_searched_is_refused_before_the_store_is_made(search, tmp_path):
    for fields, message in (
        ({"layers": [4]}, "names layer 4, but the model has 4 layers"),
        ({"ratios": [1.5]}, "ratios must lie in"),
        ({"target_speedup": 1.5, "max_drop": 1.0}, "one wish"),
        ({"image_size": [0]}, "image_size"),
    ):
        with pytest.raises(ValueError, match=message):
            search(**fields)
    assert not (tmp_path / "out").exists()
    with pytest.raises(
        ValueError, match=r"at least 40 times as fast as the dense model; the fastest, 1:0.6,2:0.6, is"
    ):
        search(target_speedup=40.0)
    assert (tmp_path / "out" / STORE_NAME).exists()


def test_a_model_in_another_data_type_is_timed_as_it_is_evaluated(search, make_samples, monkeypatch):
    dtypes = []

    def measure(model, pause_configs, **_):
        dtypes.append(model.dtype)
        results = [{"images_per_second": 1.0, "speedup": 1.0, "seconds_median": 1.0}]
        return {"results": results * (1 + len(pause_configs))}

    monkeypatch.setattr(speed_module, "measure_throughput", measure)
    settings = EvaluationSettings(dtype=torch.bfloat16)
    found = search(make_samples(2), speed="measured", layers=[1], settings=settings)
    assert set(dtypes) == {torch.bfloat16}
    assert found["conditions"]["dtype"] == "bfloat16"
    assert found["conditions"]["weights_dtype"] == "float32"


def test_weights_have_a_digest_of_their_own():
    first = torch.nn.Linear(2, 3)
    second = torch.nn.Linear(2, 3)
    assert digest_weights(first) != digest_weights(second)
    second.load_state_dict(first.state_dict())
    assert digest_weights(first) == digest_weights(second)
