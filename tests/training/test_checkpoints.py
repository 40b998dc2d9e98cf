# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Folders are whole or not there, and what is not whole is not gone on from."""

import json
import os
import resource
import shutil
import subprocess

import pytest
from accelerate import Accelerator

from paumer_hf.training.checkpoints import (
    CheckpointError,
    find_checkpoint,
    list_checkpoints,
    read_checkpoint,
    replace_folder,
    save_checkpoint,
)


@pytest.fixture(scope="module")
def accelerator():
    return Accelerator(cpu=True)


def write(folder):
    (folder / "weights").write_bytes(bytes(range(200)))
    (folder / "part").mkdir()
    (folder / "part" / "more").write_bytes(b"more")
    return {"best": 0.5}


def names(folder):
    return [path.name for path in list_checkpoints(folder)]


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    target = tmp_path / "best"
    replace_folder(target, lambda folder: (folder / "a").write_text("1"))
    replace_folder(target, lambda folder: (folder / "b").write_text("2"))
    assert [path.name for path in target.iterdir()] == ["b"]
    assert [path.name for path in tmp_path.iterdir()] == ["best"]


def test_a_failed_write_keeps_the_old_folder(tmp_path):
    target = tmp_path / "best"
    replace_folder(target, lambda folder: (folder / "a").write_text("1"))

    def fail(folder):
        (folder / "a").write_text("2")
        raise OSError("disk full")

    with pytest.raises(CheckpointError, match=r"best could not be saved \(disk full\); \d+ MiB are free there"):
        replace_folder(target, fail)
    assert (target / "a").read_text() == "1"
    assert [path.name for path in tmp_path.iterdir()] == ["best"]


def test_a_folder_comes_back_after_a_kill_between_the_two_renames(tmp_path):
    (tmp_path / ".best.old").mkdir()
    (tmp_path / ".best.old" / "a").write_text("1")
    with pytest.raises(CheckpointError):
        replace_folder(tmp_path / "best", lambda folder: (folder / "no" / "such").write_text(""))
    assert (tmp_path / "best" / "a").read_text() == "1"


def test_checkpoints_are_listed_in_order_without_unfinished_ones(tmp_path):
    for name in ("step-00000010", "step-00000002", ".step-00000020.new", "best"):
        (tmp_path / name).mkdir()
    assert names(tmp_path) == ["step-00000002", "step-00000010"]
    assert list_checkpoints(tmp_path / "nowhere") == []


def test_a_checkpoint_remembers_its_files_and_its_state(tmp_path, accelerator):
    save_checkpoint(accelerator, tmp_path, 3, write, limit=2)
    state = read_checkpoint(tmp_path / "step-00000003")
    assert (state["step"], state["best"]) == (3, 0.5)
    assert {name: entry["bytes"] for name, entry in state["files"].items()} == {"part/more": 4, "weights": 200}


def test_old_checkpoints_are_removed_but_for_the_best(tmp_path, accelerator):
    for step in (1, 2, 3, 4, 5):
        save_checkpoint(accelerator, tmp_path, step, write, limit=2, best_step=2 if step >= 2 else None)
    assert names(tmp_path) == ["step-00000002", "step-00000004", "step-00000005"]


def damage_size(path):
    (path / "weights").write_bytes(b"short")


def damage_content(path):
    (path / "weights").write_bytes(bytes(200))


def damage_state(path):
    text = (path / "training_state.json").read_text()
    (path / "training_state.json").write_text(text[: len(text) // 2])


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (damage_size, "weights has 5 bytes instead of 200"),
        (damage_content, "weights has another checksum"),
        (damage_state, "training_state.json cannot be read"),
        (lambda path: (path / "weights").unlink(), "weights is missing"),
        (lambda path: (path / "training_state.json").unlink(), "training_state.json is missing"),
        (lambda path: (path / "training_state.json").write_text("[]"), "does not list the files"),
    ],
)
def test_a_damaged_checkpoint_is_skipped_with_the_reason(tmp_path, accelerator, capsys, damage, reason):
    for step in (1, 2):
        save_checkpoint(accelerator, tmp_path, step, write, limit=2)
    damage(tmp_path / "step-00000002")
    path, state = find_checkpoint(accelerator, tmp_path)
    assert (path.name, state["step"]) == ("step-00000001", 1)
    printed = capsys.readouterr().out
    assert "Skipping the checkpoint" in printed
    assert "step-00000002: " in printed
    assert reason in printed


def test_a_damaged_checkpoint_does_not_count_among_those_that_are_kept(tmp_path, accelerator):
    for step in (10, 20):
        save_checkpoint(accelerator, tmp_path, step, write, limit=2)
    damage_content(tmp_path / "step-00000020")
    save_checkpoint(accelerator, tmp_path, 15, write, limit=1)
    assert names(tmp_path) == ["step-00000015"]
    assert find_checkpoint(accelerator, tmp_path)[1]["step"] == 15


def test_going_on_without_a_whole_checkpoint_is_refused(tmp_path, accelerator):
    with pytest.raises(FileNotFoundError, match="`resume` needs a whole checkpoint"):
        find_checkpoint(accelerator, tmp_path)
    save_checkpoint(accelerator, tmp_path, 1, write, limit=2)
    damage_size(tmp_path / "step-00000001")
    with pytest.raises(FileNotFoundError, match="`resume` needs a whole checkpoint"):
        find_checkpoint(accelerator, tmp_path)


def test_a_file_that_cannot_be_written_leaves_the_last_checkpoint(tmp_path, accelerator):
    """The limit on the size of files is the nearest thing to a quota that needs no rights."""
    save_checkpoint(accelerator, tmp_path, 1, write, limit=2)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(
            CheckpointError, match=r"step-00000002 could not be saved .* The last checkpoint is .*1; go"
        ):
            save_checkpoint(accelerator, tmp_path, 2, write, limit=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]
    assert read_checkpoint(tmp_path / "step-00000001")["step"] == 1


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system of one MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small tmpfs needs root")
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a small tmpfs cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_the_last_checkpoint(small_disk, accelerator):
    def write_much(folder):
        (folder / "weights").write_bytes(bytes(600 * 1024))
        return {}

    save_checkpoint(accelerator, small_disk, 1, write_much, limit=2)
    with pytest.raises(CheckpointError, match=r"No space left on device.*MiB are free there"):
        save_checkpoint(accelerator, small_disk, 2, write_much, limit=2)
    assert [path.name for path in small_disk.iterdir()] == ["step-00000001"]
    assert json.loads((small_disk / "step-00000001" / "training_state.json").read_text())["step"] == 1
    assert read_checkpoint(small_disk / "step-00000001")["step"] == 1
