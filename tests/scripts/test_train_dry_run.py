# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""`train.py --dry_run` says what it found and trains nothing."""

import pytest


RECIPE = """
scene_size: [32, 32]
crop_size: [32, 32]
num_train_scenes: 4
num_validation_scenes: 2
batch_size: 4
max_steps: 2
config_overrides: {hidden_size: 16, num_hidden_layers: 4, num_attention_heads: 2, patch_size: 8}
"""


@pytest.fixture
def arguments(tmp_path):
    (tmp_path / "base.yaml").write_text(RECIPE)
    (tmp_path / "own.yaml").write_text("extends: base.yaml\nbatch_size: 2\n")
    return ["train.py", "--config", tmp_path / "own.yaml", "--output_dir", tmp_path / "run", "--dry_run"]


def test_it_describes_the_training_and_leaves_nothing(arguments, run_script, tmp_path, capsys):
    run_script(*arguments)
    text = capsys.readouterr().out
    assert "  max_steps: 2\n" in text
    assert "batch size: 2\n  processes: 1\n" in text
    assert "none found" in text
    assert not (tmp_path / "run").exists()


def test_problems_end_it_with_an_error(arguments, run_script, capsys):
    with pytest.raises(SystemExit, match="the training cannot start; problems found: 2"):
        run_script(*arguments, "--eval_pause_configs", "dense", "9:0.5", "--init_from", "runs/gone/last")
    assert "start weights: not found: " in capsys.readouterr().out


def test_one_process_of_several_speaks_for_all(arguments, run_script, monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    run_script(*arguments)
    assert "processes: 2\n" in capsys.readouterr().out
    monkeypatch.setenv("RANK", "1")
    run_script(*arguments)
    assert capsys.readouterr().out == ""
