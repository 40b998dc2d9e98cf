# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What searches are tried on: made-up tables of speed and accuracy, and a tiny model with a few images."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from paumer_hf import PaumerConfig, PaumerForSemanticSegmentation
from paumer_hf.data import SegmentationSample
from paumer_hf.evaluation import results
from paumer_hf.evaluation.multi_scale import EvaluationSettings
from paumer_hf.search.search import run_search
from paumer_hf.search.search_arguments import SearchArguments
from paumer_hf.search.speed import CONFIRMATION, SWEEP


NUM_LABELS = 4


class MadeUpSpeed:
    """Speeds from tables; remembers what was measured. There are efficiencies where predictions are given."""

    def __init__(self, sweep, confirmation=None, predicted=None):
        self.tables = {SWEEP: sweep, CONFIRMATION: confirmation or sweep}
        self.predicted = predicted
        self.measured = {SWEEP: {}, CONFIRMATION: {}}

    def measure(self, pause_configs, kind=SWEEP):
        assert not self.measured[kind].keys() & {config for config in pause_configs if config}, "measured again"
        self.measured[kind] |= dict.fromkeys(config for config in pause_configs if config)

    def speedup(self, pause_config, kind=CONFIRMATION):
        if not pause_config:
            return 1.0
        assert pause_config in self.measured[kind]
        return self.tables[kind][pause_config]

    def row(self, pause_config, kind=CONFIRMATION):
        speedup = self.speedup(pause_config, kind)
        row = {"images_per_second": 10 * speedup, "speedup": speedup, "gigamacs": 1.0}
        return row if self.predicted is None else {**row, "efficiency": speedup / self.predicted[pause_config]}


class MadeUpAccuracy:
    """Mean IoUs from a table; remembers each pass over the images."""

    def __init__(self, table):
        self.table = table
        self.passes = []

    def evaluate(self, pause_configs):
        self.passes.append(dict.fromkeys(pause_configs))

    def mean_iou(self, pause_config):
        assert any(pause_config in of_pass for of_pass in self.passes)
        return self.table[pause_config]


@pytest.fixture(autouse=True)
def no_git(monkeypatch):
    """Searches ask for the commit, which takes longer than they do."""
    monkeypatch.setattr(results, "_git_state", lambda: None)


@pytest.fixture
def made_up():
    """Makers of made-up tables, for any configurations."""
    return SimpleNamespace(speed=MadeUpSpeed, accuracy=MadeUpAccuracy, tables=make_tables)


def make_tables(configs, seed, max_gain=0.0, num_layers=12, digits=None):
    """Speeds and mean IoUs such that pausing more never gains more than `max_gain` points."""
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0, 1, num_layers)
    idle = np.array([[1 - count / 1000 for count in config.num_active(1000, num_layers)] for config in configs])
    lost = idle @ weights / num_layers
    mean_iou = 0.6 - 0.1 * lost - 0.8 * lost**2 + rng.uniform(0, max_gain / 100, len(configs)) * (lost > 0)
    speedup = 1 / (1 - 0.8 * idle.mean(1)) * rng.uniform(0.97, 1.03, len(configs))
    if digits is not None:  # so that some are equal
        mean_iou, speedup = mean_iou.round(digits), speedup.round(digits)
    speedup[[not config for config in configs]] = 1.0
    return dict(zip(configs, speedup.tolist(), strict=True)), dict(zip(configs, mean_iou.tolist(), strict=True))


class Samples:
    """Images of different sizes with random labels; counts how often each is decoded."""

    description = SimpleNamespace(name="samples", num_labels=NUM_LABELS)

    def __init__(self, number=4, seed=0):
        rng = np.random.default_rng(seed)
        self.samples = []
        for index in range(number):
            size = (12 + 4 * (index % 2), 16)
            image = Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8))
            labels = rng.choice(np.array([0, 1, 2, 3, 255], np.uint8), size)
            self.samples.append(SegmentationSample(str(index), image, labels))
        self.decoded = []

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        self.decoded.append(index)
        return self.samples[index]


@pytest.fixture
def make_samples():
    """A function from a number of images and a seed to a data set."""
    return Samples


@pytest.fixture(scope="session")
def search_model():
    """Four layers, of which three can be followed by a pause."""
    torch.manual_seed(0)
    config = PaumerConfig(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=32,
        decoder_num_hidden_layers=1,
        image_size=16,
        patch_size=4,
        num_labels=NUM_LABELS,
        initializer_range=0.5,
    )
    return PaumerForSemanticSegmentation(config).eval()


@pytest.fixture
def make_arguments(tmp_path):
    """A function from fields to arguments of a search by MACs among 16 configurations, with results in `tmp_path`."""

    def make(**fields):
        given = {
            "model": "model",
            "ratios": [0.3, 0.6],
            "speed": "macs",
            "num_resamples": 20,
            "output": str(tmp_path / "out"),
            "max_gain": float("inf"),
        }
        return SearchArguments(**{**given, **fields})

    return make


@pytest.fixture
def search(search_model, make_arguments, make_samples):
    """A function that searches with fields of arguments, on four images unless others are given."""

    def run(dataset=None, report=lambda line: None, model=search_model, settings=None, **fields):
        dataset = make_samples() if dataset is None else dataset
        return run_search(
            model, dataset, settings or EvaluationSettings(), make_arguments(**fields), report, progress=False
        )

    return run


@pytest.fixture
def without_dates():
    """A function that takes the moment out of what a search found."""

    def clean(found):
        conditions = {name: value for name, value in found["conditions"].items() if name != "date"}
        return {**found, "conditions": conditions}

    return clean
