# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Whatever ends a training in the middle, it goes on as if nothing had happened."""

import json
import os
import random
import shutil
import signal
import subprocess
import time

import pytest
import torch
from safetensors.torch import load_file

from paumer_hf.training import PREEMPTED_EXIT_CODE


def assert_same_weights(first, second):
    first, second = (load_file(folder / "last" / "model.safetensors") for folder in (first, second))
    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] == []


def wait_for_step(process, folder, step, deadline=120):
    """Wait until a training has saved the checkpoint of a step."""
    end = time.monotonic() + deadline
    while not (folder / "checkpoints" / f"step-{step:08d}").exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.005)


def kill_at_random_moments(folder, command, start_process, number, max_steps, seed):
    """SIGKILL a training and go on, `number` times, at moments spread over its steps; then let it end."""
    generator = random.Random(seed)
    moments = sorted(generator.sample(range(1, max_steps - 4), number))
    for place, moment in enumerate(moments):
        process = start_process(command + (["--resume"] if place else []))
        wait_for_step(process, folder, moment)
        time.sleep(generator.uniform(0, 0.05))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert not (folder / "last").exists(), "the training ended before it could be killed"
    process = start_process([*command, "--resume"])
    printed, _ = process.communicate(timeout=280)
    assert process.returncode == 0, printed


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("streaming", [False, True])
def test_ten_sigkills_change_no_bit(
    tmp_path, train_command, start_process, run_process, make_street_folder, streaming
):
    """The processes are those of a user: `accelerate launch`, loader processes, SIGKILL at any moment of 200 steps."""
    fields = {"max_steps": 200, "save_steps": 1, "eval_steps": 100, "eval_max_samples": 1}
    fields |= {"dataset": "streets", "dataset_path": str(make_street_folder(24)), "streaming": streaming}
    fields |= {"class_names": [f"class {number}" for number in range(10)], "streaming_buffer_size": 5}
    run_process(train_command(**fields, output_dir=str(tmp_path / "whole")))
    command = train_command(**fields, output_dir=str(tmp_path / "killed"))
    kill_at_random_moments(tmp_path / "killed", command, start_process, 10, 200, seed=int(streaming))
    assert_same_weights(tmp_path / "whole", tmp_path / "killed")


@pytest.mark.slow
def test_sigterm_saves_and_ends_with_a_status_of_its_own(tmp_path, python_train_command, start_process, run_process):
    """SIGTERM reaches the whole group of processes, the loader's too, as when a scheduler takes a machine away."""
    fields = {"max_steps": 60, "save_steps": 1000, "eval_steps": 1000}
    run_process(python_train_command(**fields, output_dir=str(tmp_path / "whole")))
    command = python_train_command(**{**fields, "save_steps": 5}, output_dir=str(tmp_path / "ended"))
    process = start_process(command)
    wait_for_step(process, tmp_path / "ended", 5)
    os.killpg(process.pid, signal.SIGTERM)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == PREEMPTED_EXIT_CODE == 75, printed
    assert "SIGTERM ended the training after step" in printed
    assert not (tmp_path / "ended" / "last").exists()
    run_process([*command, "--resume"])
    assert_same_weights(tmp_path / "whole", tmp_path / "ended")


@pytest.mark.slow
def test_sigterm_to_one_of_two_processes_saves_in_both(tmp_path, train_command, start_process, run_process):
    command = train_command(2, max_steps=400, save_steps=5, eval_steps=1000, output_dir=str(tmp_path))
    process = start_process(command)
    wait_for_step(process, tmp_path, 5)
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
    os.kill(int(children[-1]), signal.SIGTERM)
    printed, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "SIGTERM ended the training after step" in printed
    newest = max((tmp_path / "checkpoints").iterdir())
    state = json.loads((newest / "training_state.json").read_text())
    assert {"random_states_0.json", "random_states_1.json"} <= set(state["files"])
    assert state["step"] % 5 or state["step"] < 400


@pytest.mark.slow
def test_a_full_disk_ends_the_training_with_its_last_checkpoint(tmp_path, python_train_command, run_process):
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small tmpfs cannot be mounted here")
    try:
        fields = {"max_steps": 12, "save_steps": 1, "save_total_limit": 20, "eval_steps": 1000}
        command = python_train_command(**fields, output_dir=str(folder))
        printed = run_process(command, code=1)
        assert "could not be saved" in printed
        assert "MiB are free there" in printed
        assert "Traceback" not in printed
        whole = sorted(path.name for path in (folder / "checkpoints").iterdir())
        assert whole
        assert all(name.startswith("step-") for name in whole)
        subprocess.run(["mount", "-o", "remount,size=64m", str(folder)], check=True)
        run_process([*command, "--resume"])
        assert (folder / "last" / "model.safetensors").exists()
    finally:
        subprocess.run(["umount", str(folder)], check=True)
