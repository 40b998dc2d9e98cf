# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The folder of a training belongs to one training at a time."""

import subprocess
import sys

import pytest

from paumer_hf.training import output_folder
from paumer_hf.training.output_folder import check_output_folder, check_steps, lock_output_folder, tell_changes
from paumer_hf.training.recipe import TrainingRecipe


def test_a_folder_with_checkpoints_is_not_written_over(tmp_path):
    (tmp_path / "checkpoints" / "step-00000001").mkdir(parents=True)
    with pytest.raises(FileExistsError, match="holds checkpoints of another training"):
        check_output_folder(TrainingRecipe(), tmp_path)
    check_output_folder(TrainingRecipe(resume=True), tmp_path)


def test_a_training_that_is_done_is_not_gone_on_with():
    with pytest.raises(ValueError, match="has done 7 steps and `max_steps` is 7"):
        check_steps(TrainingRecipe(max_steps=7), 7)
    check_steps(TrainingRecipe(max_steps=8), 7)


@pytest.mark.slow
def test_two_processes_cannot_train_in_one_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(output_folder, "LOCK_SECONDS", 0.1)
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from paumer_hf.training.output_folder import lock_output_folder\n"
        "with lock_output_folder(Path(sys.argv[1]), True):\n"
        "    print('in', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"in\n"
        with pytest.raises(OSError, match="Another process trains in"), lock_output_folder(tmp_path, True):
            pass
        with lock_output_folder(tmp_path, False):  # the other processes of a training leave the lock to the main one
            pass
        other.kill()
    with lock_output_folder(tmp_path, True):
        pass


def test_changed_fields_are_told_and_those_without_effect_are_not():
    previous = {"learning_rate": 0.1, "num_workers": 3, "batch_size": 8, "seed": 0}
    told = tell_changes(TrainingRecipe(learning_rate=0.2, num_workers=1), previous)
    assert told == ["`learning_rate` was 0.1 when the checkpoint was written and is 0.2 now.\n"]
    assert tell_changes(TrainingRecipe(), None) == []
