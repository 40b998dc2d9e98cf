# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""An evaluation on several processes gives what it gives on one, to the last bit."""

import datetime
import json
import multiprocessing
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from paumer_hf import PaumerConfig, PaumerForSemanticSegmentation, PauseConfig
from paumer_hf.data import BadSampleError, SegmentationSample
from paumer_hf.evaluation.semantic_evaluation import evaluate_model


NUM_IMAGES = 23  # neither two nor three processes get as many each
NUM_LABELS = 5
BAD = {7: "straße/7", 10: "", 14: "straße/14", 21: "21\U0001f6e3"}
CONFIGS = [PauseConfig({1: 0.4}), PauseConfig({1: 0.5}, criterion="random")]
EVALUATIONS = {
    "one scale": {"on_bad_sample": "skip"},
    # Of several processes one only has an image that cannot be read.
    "several scales": {"max_samples": 8, "scales": (0.5, 1.0), "flip": True, "on_bad_sample": "skip"},
}


class Samples:
    """Generated images of different sizes, some of which cannot be read."""

    description = SimpleNamespace(name="generated", num_labels=NUM_LABELS)

    def __len__(self):
        return NUM_IMAGES

    def __getitem__(self, index):
        if index in BAD:
            raise BadSampleError(f"sample {index} cannot be read", BAD[index])
        rng = np.random.default_rng(index)
        size = tuple(int(side) for side in rng.integers(17, 33, 2))
        image = Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8))
        return SegmentationSample(str(index), image, rng.choice(np.array([0, 1, 2, 3, 255], np.uint8), size))


def evaluate(rank, world_size, folder):
    """Evaluate as one of several processes; write the results and the summed counts."""
    torch.set_num_threads(1)
    summed = []

    def reduce(tensor):
        if world_size > 1:
            torch.distributed.all_reduce(tensor)
        summed.append(tensor.tolist())
        return tensor

    if world_size > 1:
        torch.distributed.init_process_group(
            "gloo",
            init_method=f"file://{folder}/rendezvous-of-{world_size}",
            rank=rank,
            world_size=world_size,
            timeout=datetime.timedelta(seconds=60),
        )
    torch.manual_seed(0)
    config = PaumerConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        decoder_num_hidden_layers=1,
        image_size=24,
        patch_size=8,
        num_labels=NUM_LABELS,
    )
    model, samples = PaumerForSemanticSegmentation(config), Samples()
    place = {"rank": rank, "world_size": world_size, "reduce": reduce, "progress": False}
    results = {
        name: evaluate_model(model, samples, CONFIGS, **place, **fields) for name, fields in EVALUATIONS.items()
    }
    path = Path(folder) / f"{rank}-of-{world_size}.json"
    path.write_text(json.dumps({"results": results, "summed": summed}), encoding="utf-8")


def run_processes(folder, *numbers_of_processes):
    """Evaluate on each of the numbers of processes; all are copies of this one, so that none imports torch anew."""
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(target=evaluate, args=(rank, world_size, folder), daemon=True)
        for world_size in numbers_of_processes
        for rank in range(world_size)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * len(processes)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the processes are made by fork")
@pytest.mark.parametrize("num_processes", [2, 3])
def test_any_number_of_processes_gives_the_results_of_one(tmp_path, num_processes):
    run_processes(tmp_path, 1, num_processes)
    of_one = (tmp_path / "0-of-1.json").read_text(encoding="utf-8")
    for rank in range(num_processes):
        assert (tmp_path / f"{rank}-of-{num_processes}.json").read_text(encoding="utf-8") == of_one

    one_scale, several_scales = json.loads(of_one)["results"].values()
    for result in one_scale:
        assert result["bad_samples"] == list(BAD.values())
        assert result["num_images"] == NUM_IMAGES - len(BAD)
    assert [(result["num_images"], result["bad_samples"]) for result in several_scales] == [(7, [BAD[7]])] * 2
    assert len({result["mean_iou"] for result in one_scale + several_scales}) == 4, "results must differ to mean much"
