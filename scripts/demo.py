# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Train a small PAUMER on drawn street scenes, then measure it at many pause configurations: what `make demo` runs.

    python scripts/demo.py

It runs the commands that a user would run, one after the other, and leaves everything in runs/demo. What is there
already is not done again; remove the folder to start anew.
"""

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import torch
from transformers import AutoModelForSemanticSegmentation

import paumer_hf
from paumer_hf.data import get_dataset_description, load_segmentation_dataset
from paumer_hf.evaluation.throughput import TUNED_MALLOC


SCRIPTS = Path(__file__).parent
OUTPUT = Path("runs/demo")
MODEL = OUTPUT / "last"
PICTURES = OUTPUT / "pictures"
NUM_SCENES = 4


def main() -> None:
    """Train, evaluate, time, draw, reload."""
    if not (OUTPUT / "results.json").exists():
        print("Training a small PAUMER on street scenes; this takes a few minutes.")
        recipe = ["--config", SCRIPTS / "recipes" / "street_scenes_demo.yaml", "--output_dir", OUTPUT]
        resume = ["--resume"] if list((OUTPUT / "checkpoints").glob("step-*")) else []
        precision = fastest_precision()
        # accelerate would take one thread where it is not told to take more.
        launch = ["--num_cpu_threads_per_process", torch.get_num_threads(), "--num_processes", "1"]
        launch += ["--num_machines", "1", "--dynamo_backend", "no", "--mixed_precision", precision]
        launch.append(SCRIPTS / "train.py")
        run("-m", "accelerate.commands.launch", *launch, *recipe, "--mixed_precision", precision, *resume)

    evaluation, benchmark = OUTPUT / "evaluation.json", OUTPUT / "benchmark.json"
    if not evaluation.exists():
        configurations = ["--pause_configs", "dense", "table_1", "--criteria", "entropy", "random"]
        data = ["--dataset", "street_scenes", "--num_random_seeds", "3"]
        run(SCRIPTS / "evaluate.py", "--model", MODEL, *data, *configurations, "--output", evaluation)
    if not benchmark.exists():
        timing = ["--image_size", "128", "--batch_size", "8", "--pause_configs", "table_1"]
        run(SCRIPTS / "benchmark.py", "--model", MODEL, *timing, "--evaluation", evaluation, "--output", benchmark)
    if len(list(PICTURES.glob("validation-?????.png"))) < NUM_SCENES:
        scenes = write_scenes(OUTPUT / "scenes")
        configurations = ["--pause_configs", "dense", "3:0.4", "3:0.4,5:0.4,7:0.4"]
        looks = ["--dataset", "street_scenes", "--output", PICTURES]
        run(SCRIPTS / "predict.py", "--model", MODEL, "--images", scenes, *configurations, *looks)
    report(evaluation, benchmark)


def run(*arguments: object) -> None:
    """Show a command of this environment's Python and run it."""
    command = [str(argument) for argument in arguments]
    print(f"\n$ python {shlex.join(command)}", flush=True)
    start = time.monotonic()
    source = str(Path(paumer_hf.__file__).parents[1])
    search_path = os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH")]))
    environment = {**TUNED_MALLOC, **os.environ, "PYTHONPATH": search_path}
    result = subprocess.run([sys.executable, *command], env=environment)
    if result.returncode:
        raise SystemExit(f"demo.py: that command ended with status {result.returncode}.")
    print(f"({time.monotonic() - start:.0f} s)", flush=True)


def fastest_precision() -> str:
    """`bf16` where this processor multiplies bfloat16 matrices faster than float32 ones, else `no`."""
    seconds = {}
    for name, dtype in (("no", torch.float32), ("bf16", torch.bfloat16)):
        matrix = torch.ones(1024, 1024, dtype=dtype)
        matrix @ matrix
        start = time.perf_counter()
        for _ in range(5):
            matrix @ matrix
        seconds[name] = time.perf_counter() - start
    return min(seconds, key=lambda name: seconds[name])


def write_scenes(folder: Path) -> Path:
    """Write some held-out scenes as PNG files."""
    folder.mkdir(parents=True, exist_ok=True)
    scenes = load_segmentation_dataset(get_dataset_description("street_scenes"), "validation", num_samples=NUM_SCENES)
    for sample in scenes:
        sample.image.save(folder / f"{sample.id}.png")
    return folder


def report(evaluation: Path, benchmark: Path) -> None:
    """Reload the model as a user would, and print the table and where the pictures are."""
    model = AutoModelForSemanticSegmentation.from_pretrained(MODEL)
    dense = json.loads(evaluation.read_text(encoding="utf-8"))["results"][0]
    print(f"\nReloaded {type(model).__name__} with {model.num_parameters():,} parameters from {MODEL}.")
    print(f"Dense mIoU on held-out scenes: {100 * dense['mean_iou']:.1f}\n")
    print(benchmark.with_suffix(".md").read_text(encoding="utf-8"))
    print(f"mIoU against images/s: {benchmark.with_suffix('.png')}")
    print(f"Segmentation, pauses and entropy: {PICTURES}")


if __name__ == "__main__":
    main()
