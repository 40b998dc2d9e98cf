# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Searches whose process is killed at any moment and started again."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


# Forks a search from a process that has imported everything, kills it after a random time, and does so until one ends.
KILLED_AT_RANDOM = """
import json, os, random, runpy, signal, sys, time
import torch
from pathlib import Path
from paumer_hf import PaumerConfig, PaumerForSemanticSegmentation
from paumer_hf.evaluation.macs import predict_speedup
from paumer_hf.evaluation.multi_scale import EvaluationSettings
from paumer_hf.search import procedures, search, speed
from paumer_hf.search.search_arguments import SearchArguments
from paumer_hf.search.store import SearchStore, key_of

folder, conftest, source = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
Samples = runpy.run_path(conftest)["Samples"]
torch.set_num_threads(1)
torch.manual_seed(0)
config = PaumerConfig(hidden_size=16, num_hidden_layers=4, num_attention_heads=2, intermediate_size=32, num_labels=4,
    decoder_num_hidden_layers=1, image_size=16, patch_size=4, initializer_range=0.5)
model = PaumerForSemanticSegmentation(config).eval()
speed.GROUP_SIZE, procedures.PASS_SIZE = 3, 5

def measure(model, pause_configs, num_rounds, **_):
    time.sleep(0.03)
    speedups = [1.0]
    for config in pause_configs:
        noise = random.Random(f"{config} {num_rounds}").uniform(0.95, 1.05)
        speedups.append(predict_speedup(model.config, (16, 16), config) * noise)
    return {"results": [{"images_per_second": 9 * s, "speedup": s, "seconds_median": 1 / s} for s in speedups]}

speed.measure_throughput = measure
add_counts, add_timings = SearchStore.add_counts, SearchStore.add_timings

def spy_counts(self, image, pause_configs, counts):
    repeated = [key_of(config) for config in pause_configs if image in self.counted_images(config)]
    (folder / "repeated").open("a").write("".join(f"{key} {image}\\n" for key in repeated))
    add_counts(self, image, pause_configs, counts)

def spy_timings(self, kind, timings):
    repeated = [key_of(config) for config in timings if config and self.timing(kind, config) is not None]
    (folder / "repeated").open("a").write("".join(f"{key} {kind}\\n" for key in repeated))
    add_timings(self, kind, timings)

SearchStore.add_counts, SearchStore.add_timings = spy_counts, spy_timings

def run(name):
    arguments = SearchArguments(model="model", ratios=[0.3, 0.6], speed=source, num_resamples=20, max_gain=5.0,
        output=str(folder / name))
    found = search.run_search(model, Samples(6), EvaluationSettings(), arguments, progress=False)
    del found["conditions"]["date"]
    (folder / name / "found.json").write_text(json.dumps(found, sort_keys=True))

start = time.perf_counter()
run("whole")
seconds, kills = time.perf_counter() - start, 0
chance = random.Random(0)
while True:
    child = os.fork()
    if child == 0:
        try:
            run("killed")
        except BaseException:
            import traceback
            (folder / "failed").write_text(traceback.format_exc())
        os._exit(0)
    deadline = time.monotonic() + chance.uniform(0.05, 0.25) * seconds if kills < 25 else float("inf")
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            kills += 1
            break
        time.sleep(0.001)
    else:
        break
print(kills)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("source", ["measured", "macs"])
def test_killed_at_random_it_repeats_nothing_and_ends_the_same(tmp_path, source):
    conftest = str(Path(__file__).with_name("conftest.py"))
    command = [sys.executable, "-c", KILLED_AT_RANDOM, str(tmp_path), conftest, source]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=250, check=False)
    assert ran.returncode == 0, ran.stderr
    assert not (tmp_path / "failed").exists(), (tmp_path / "failed").read_text(encoding="utf-8")
    assert int(ran.stdout) >= 3, "it must have been killed for this to mean much"
    assert (tmp_path / "repeated").read_text(encoding="utf-8") == ""
    whole, killed = (json.loads((tmp_path / name / "found.json").read_text()) for name in ("whole", "killed"))
    assert killed == whole
    assert any(row["mean_iou"] is not None for row in whole["results"][1:])
