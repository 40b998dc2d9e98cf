# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of training writes its results."""

import json


def test_writes_results_with_conditions_and_a_table(tmp_path, run_script):
    small = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "patch_size": 8}
    flags = ["--scene_size", "32", "32", "--crop_size", "32", "32", "--num_train_scenes", "4", "--batch_size", "2"]
    flags += ["--config_overrides", json.dumps(small), "--num_workers", "0", "--num_steps", "2"]
    flags += ["--num_warmup_steps", "0", "--worker_counts", "0", "--loader_seconds", "0.1"]
    run_script("benchmark_training.py", *flags, "--output", tmp_path / "training.json")
    results = json.loads((tmp_path / "training.json").read_text())
    assert results["conditions"]["batch_size"] == 2
    assert results["conditions"]["num_threads"] >= 1
    assert results["results"][0]["step"]["num_steps"] == 2
    assert "images/s of the loader alone" in (tmp_path / "training.md").read_text()
