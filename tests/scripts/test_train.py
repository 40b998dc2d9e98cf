# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Train, evaluate and time by the scripts, one after the other, as the README says."""

import json

import pytest


TINY = "{hidden_size: 16, num_hidden_layers: 6, num_attention_heads: 2, patch_size: 8, decoder_num_hidden_layers: 1}"


@pytest.fixture
def trained(run_script, tmp_path, capsys):
    """The folder of a training of two steps."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "scene_size: [32, 32]\ncrop_size: [32, 32]\nnum_train_scenes: 4\nnum_validation_scenes: 2\nbatch_size: 2\n"
        f"max_steps: 2\nnum_workers: 0\nconfig_overrides: {TINY}\n"
    )
    run_script(
        "train.py", "--config", recipe, "--output_dir", tmp_path / "run", "--eval_pause_configs", "dense", "3:0.5"
    )
    assert "3:0.5  mIoU" in capsys.readouterr().out
    return tmp_path / "run"


def test_evaluate_and_benchmark_what_was_trained(trained, run_script, tmp_path, capsys):
    model = trained / "last"
    evaluation, benchmark = tmp_path / "results" / "evaluation.json", tmp_path / "results" / "benchmark.json"
    data = ["--dataset", "street_scenes", "--max_samples", "2", "--num_random_seeds", "2"]
    configurations = ["--pause_configs", "dense", "3:0.4", "--criteria", "entropy", "random"]
    run_script("evaluate.py", "--model", model, *data, *configurations, "--output", evaluation)
    contents = json.loads(evaluation.read_text())
    found = [(result["pause_config"], result["criterion"]) for result in contents["results"]]
    assert found == [("", "entropy"), ("3:0.4", "entropy"), ("3:0.4", "random")]
    assert len(contents["results"][2]["mean_iou_per_seed"]) == 2
    assert contents["conditions"]["torch"]
    assert evaluation.with_suffix(".md").read_text().startswith("| pause configuration")

    pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")
    timing = ["--image_size", "32", "--rounds", "2", "--pause_configs", "3:0.4", "--tune_malloc", "false"]
    run_script("benchmark.py", "--model", model, *timing, "--evaluation", evaluation, "--output", benchmark)
    timed = json.loads(benchmark.read_text())
    assert [result["pause_config"] for result in timed["results"]] == ["", "3:0.4"]
    assert all(result["images_per_second"] > 0 for result in timed["results"])
    assert timed["results"][1]["predicted_speedup"] > 1
    assert benchmark.with_suffix(".png").stat().st_size > 10_000
    assert "efficiency" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        ("evaluate.py", ["--dataset", "street_scenes", "--pause_configs", "quick"], "quick"),
        ("evaluate.py", ["--dataset", "camvid"], "no default path"),
        ("evaluate.py", ["--dataset", "street_scenes", "--pause_configs", "6:0.4"], "layer 6"),
        ("benchmark.py", ["--size", "tiny", "--tune_malloc", "false"], "Give either --model or --size"),
        ("benchmark.py", ["--evaluation", "nowhere.json", "--tune_malloc", "false"], r"nowhere\.json"),
    ],
)
def test_bad_arguments_end_in_one_sentence(trained, run_script, script, arguments, message):
    with pytest.raises(SystemExit, match=message):
        run_script(script, "--model", trained / "last", *arguments)
