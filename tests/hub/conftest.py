# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Fixtures of pages on the Hub: a tiny checkpoint with a card, a folder of model cards, a Hub on this machine."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

from paumer_hf import PaumerImageProcessor, PauseConfig


ROOT = Path(__file__).resolve().parents[2]
MINIHUB = ROOT.parent / "shared" / "tools" / "minihub" / "minihub.py"

CARD = """---
library_name: transformers
pipeline_tag: image-segmentation
license: apache-2.0
datasets:
- street_scenes
tags:
- paumer
metrics:
- mean_iou
model-index:
- name: tiny
  results:
  - task:
      type: image-segmentation
    dataset:
      type: street_scenes
      name: Street scenes
    metrics:
    - type: mean_iou
      value: 0.4
---

# Tiny

| preset | pauses after layer: ratio |
|---|---|
| fast | 1:0.25,2:0.5 |
| slow | 3:0.25 |
"""


@pytest.fixture
def card_text():
    """A valid card of the checkpoint of `make_checkpoint`."""
    return CARD


@pytest.fixture
def make_checkpoint(make_tiny_config, make_model):
    """A function that writes a checkpoint with two presets and a card into a folder, and returns the folder."""

    def make(folder, scale=1.0, card=CARD, **fields):
        model = make_model(make_tiny_config(**fields))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(scale)
        model.pause_presets = {"fast": PauseConfig({1: 0.25, 2: 0.5}), "slow": PauseConfig({3: 0.25})}
        model.save_pretrained(folder)
        PaumerImageProcessor(size={"height": 40, "width": 48}, size_divisor=8).save_pretrained(folder)
        if card is not None:
            (folder / "README.md").write_text(card)
        return folder

    return make


def _row(text, mean_iou, speed, **more):
    kept = {"criterion": "entropy", "seed": None, "num_images": 57, "on_frontier": True, **more}
    difference = {} if not text else {"mean_iou_difference": mean_iou - 0.4123}
    if text:
        low, high = difference["mean_iou_difference"] - 0.0131, difference["mean_iou_difference"] + 0.0127
        difference["mean_iou_difference_interval"] = [low, high]
    measured = {"images_per_second": 3.21 * speed, "speedup": speed, "gigamacs": 7.02 / speed}
    bounds = [mean_iou - 0.021, mean_iou + 0.019]
    return {"pause_config": text, "mean_iou": mean_iou, "mean_iou_interval": bounds, **difference, **measured, **kept}


ENVIRONMENT = {
    "model": "a/machine/path",
    "date": "2026-02-03T04:05:06+00:00",
    "device": "A device",
    "num_threads": 3,
    "python": "3.11.7",
    "torch": "2.13.0",
    "transformers": "5.23.0",
    "git": {"commit": "0123456789abcdef0123456789abcdef01234567", "dirty": False},
    "dtype": "float32",
    "attention": "sdpa",
    "compiled": False,
    "image_size": [44, 52],
    "batch_size": 2,
}

SEARCH = {
    "conditions": {
        **ENVIRONMENT,
        "model": "/home" + "/somebody/model",
        "split": "validation",
        "num_images": 57,
        "weights_dtype": "float32",
        "num_resamples": 1999,
        "confirmation_rounds": 13,
        "speed": "measured",
        "evaluation": {"window_size": [33, 35], "stride": [31, 29], "scales": [1.0], "flip": False, "seed": 8},
    },
    "results": [
        _row("", 0.4123, 1.0),
        _row("3:0.2", 0.4109, 1.17),
        _row("3:0.4", 0.4066, 1.38),
        _row("3:0.4,5:0.4", 0.3944, 1.71),
        _row("5:0.2", 0.4087, 1.11, on_frontier=False),
        {"pause_config": "5:0.4", "criterion": "entropy", "seed": None, "mean_iou": None, "on_frontier": False},
    ],
}

EVALUATION = {
    "conditions": {**ENVIRONMENT, "split": "validation", "num_random_seeds": 1, "seed": 0},
    "results": [
        {"pause_config": "", "criterion": "entropy", "num_images": 57, "mean_iou": 0.4124},
        {"pause_config": "3:0.4", "criterion": "entropy", "num_images": 57, "mean_iou": 0.4066},
        {"pause_config": "3:0.4", "criterion": "random", "num_images": 57, "mean_iou": 0.3777},
    ],
}

BENCHMARK = {
    "conditions": {**ENVIRONMENT, "num_rounds": 9},
    "results": [{"pause_config": "3:0.4", "criterion": "entropy", "images_per_second": 4.56, "speedup": 1.37}],
}

ONNX = {
    "conditions": {**ENVIRONMENT, "onnxruntime": "1.31.1"},
    "results": [
        {
            "pause_config": "3:0.4",
            "num_images": 23,
            "images_per_second": 6.78,
            "pytorch_images_per_second": 5.43,
            "speedup_over_pytorch": 1.249,
            "largest_logit_difference": 3.2e-6,
            "num_different_labels": 17,
            "num_label_differences_beyond_ties": 0,
        }
    ],
}

DESCRIPTION = {
    "title": "A tiny PAUMER",
    "repository": "tester/paumer-tiny",
    "summary": "A model for tests.",
    "dataset": "camvid",
    "dataset_title": "CamVid",
    "datasets": ["camvid"],
    "license": "apache-2.0",
    "recipes": ["scripts/recipes/camvid_vit_tiny.yaml"],
    "search": "results/search.json",
    "frontier": "results/search.png",
    "evaluation": "results/evaluation.json",
    "benchmark": "results/benchmark.json",
    "onnx": "results/onnx.json",
    "pictures": [{"file": "results/search.png", "caption": "What paused."}],
    "limits": ["It is tiny."],
}


@pytest.fixture
def make_card_sources(tmp_path):
    """A function that writes a folder of model cards with one description and its files, and returns the YAML's path.

    Keywords replace fields of the description; `results` replaces the contents of results files by their names.
    """

    def make(results=None, **fields):
        folder = tmp_path / "model_cards"
        (folder / "results").mkdir(parents=True, exist_ok=True)
        for path in [*(ROOT / "model_cards").glob("template*.md"), ROOT / "model_cards" / "published_results.yaml"]:
            shutil.copy(path, folder)
        recipe = tmp_path / "scripts" / "recipes" / "camvid_vit_tiny.yaml"
        recipe.parent.mkdir(parents=True, exist_ok=True)
        recipe.touch()
        contents = {
            "search": SEARCH,
            "evaluation": EVALUATION,
            "benchmark": BENCHMARK,
            "onnx": ONNX,
            **(results or {}),
        }
        for name, values in contents.items():
            (folder / "results" / f"{name}.json").write_text(json.dumps(values))
        Image.new("RGB", (8, 8)).save(folder / "results" / "search.png")
        path = folder / "paumer-tiny.yaml"
        path.write_text(yaml.safe_dump({**DESCRIPTION, **fields}, sort_keys=False))
        return path

    return make


@pytest.fixture
def search_results():
    """A copy of the contents of search.json."""
    return json.loads(json.dumps(SEARCH))


@pytest.fixture
def evaluation_results():
    """A copy of the contents of evaluation.json."""
    return json.loads(json.dumps(EVALUATION))


@pytest.fixture
def onnx_results():
    """A copy of the contents of onnx.json."""
    return json.loads(json.dumps(ONNX))


@pytest.fixture
def hub():
    """A Hub on this machine."""
    if not MINIHUB.is_file():
        pytest.skip("the stand-in for the Hub is not beside the repository")
    spec = importlib.util.spec_from_file_location("minihub", MINIHUB)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with module.MiniHub() as hub:
        yield hub


@pytest.fixture
def hub_environment(hub, tmp_path):
    """The environment of a process that takes the stand-in for the Hub."""
    settings = {"HF_ENDPOINT": hub.endpoint, "HF_HUB_DISABLE_XET": "1", "HF_HOME": str(tmp_path / "home")}
    settings |= {"HF_HUB_OFFLINE": "0", "HF_TOKEN": "hf_test", "OMP_NUM_THREADS": "1"}
    return {**os.environ, **settings, "HF_HUB_DISABLE_PROGRESS_BARS": "1"}


@pytest.fixture
def run_python(hub_environment):
    """A function that runs Python in that environment."""

    def run(*arguments, **settings):
        command = [sys.executable, *map(str, arguments)]
        environment = {**hub_environment, **settings}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)

    return run
