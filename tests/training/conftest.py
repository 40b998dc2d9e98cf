# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""A tiny training as its user runs it: `accelerate launch scripts/train.py` in processes of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from paumer_hf.data.street_scenes import StreetScenes


ROOT = Path(__file__).parents[2]
TINY_MODEL = {
    "hidden_size": 16,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "patch_size": 8,
    "decoder_num_hidden_layers": 1,
    "hidden_dropout_prob": 0.1,
    "drop_path_rate": 0.1,
}
FIELDS = {
    "scene_size": [32, 32],
    "crop_size": [32, 32],
    "num_train_scenes": 6,
    "num_validation_scenes": 3,
    "config_overrides": TINY_MODEL,
    "batch_size": 4,
    "warmup_steps": 1,
    "learning_rate": 1e-3,
    "num_workers": 1,
    "logging_steps": 5,
    "eval_pause_configs": ["dense", "3:0.5"],
}


@pytest.fixture
def train_command():
    """A function from fields of a recipe, the number of processes and flags of the launcher to a command line."""

    def make(num_processes: int = 1, launcher: tuple[str, ...] = (), **fields) -> list[str]:
        # With --cpu the launcher starts one process whatever it is asked for; the environment says CPU to each.
        kind = launcher or (("--multi_gpu",) if num_processes > 1 else ("--cpu",))
        command = [sys.executable, "-m", "accelerate.commands.launch", "--num_machines", "1"]
        command += ["--mixed_precision", "no", "--dynamo_backend", "no", "--num_cpu_threads_per_process", "1"]
        command += ["--num_processes", str(num_processes), "--main_process_port", "0", *kind]
        return [*command, str(ROOT / "scripts" / "train.py"), *_flags({**FIELDS, **fields})]

    return make


@pytest.fixture
def python_train_command():
    """A function from fields of a recipe to a command line without a launcher."""

    def make(**fields) -> list[str]:
        return [sys.executable, str(ROOT / "scripts" / "train.py"), *_flags({**FIELDS, **fields})]

    return make


def _flags(fields) -> list[str]:
    flags = []
    for name, value in fields.items():
        values = value if isinstance(value, list) else [json.dumps(value) if isinstance(value, dict) else value]
        flags += [f"--{name}", *map(str, values)]
    return flags


@pytest.fixture
def start_process():
    """A function that starts a command in a session of its own, which a test can kill as a whole."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src"), "HF_HUB_OFFLINE": "1"}
    environment["ACCELERATE_USE_CPU"] = "true"
    started = []

    def start(command: list[str]) -> subprocess.Popen:
        process = subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, 9)
        process.communicate()


@pytest.fixture
def run_process(start_process):
    """A function that runs a command to its end, which must be good, and returns what it printed."""

    def run(command: list[str], code: int = 0) -> str:
        process = start_process(command)
        printed, _ = process.communicate(timeout=280)
        assert process.returncode == code, printed
        return printed

    return run


@pytest.fixture
def make_street_folder(tmp_path):
    """A function from a number of scenes to a folder of drawn ones that `load_dataset` reads, in three shards."""

    def make(number: int) -> Path:
        import datasets

        folder = tmp_path / "street_folder"
        for split, count in (("train", number), ("validation", 3)):
            rows = [dict(row) for row in map(StreetScenes(split, (32, 32), count).__getitem__, range(count))]
            split_rows = datasets.Dataset.from_list(rows)
            for image in ("image", "annotation"):
                split_rows = split_rows.cast_column(image, datasets.Image())
            for shard in range(3):
                path = folder / "data" / f"{split}-{shard:05d}-of-00003.parquet"
                path.parent.mkdir(parents=True, exist_ok=True)
                split_rows.shard(3, shard, contiguous=True).to_parquet(path)
        return folder

    return make
