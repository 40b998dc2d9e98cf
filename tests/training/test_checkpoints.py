# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Folders are whole or not there."""

import pytest

from paumer_hf.training.checkpoints import list_checkpoints, load_checkpoint, replace_folder


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

    with pytest.raises(OSError, match="disk full"):
        replace_folder(target, fail)
    assert (target / "a").read_text() == "1"


def test_checkpoints_are_listed_in_order_without_unfinished_ones(tmp_path):
    for name in ("step-00000010", "step-00000002", ".step-00000020.new", "best"):
        (tmp_path / name).mkdir()
    assert [path.name for path in list_checkpoints(tmp_path)] == ["step-00000002", "step-00000010"]
    assert list_checkpoints(tmp_path / "nowhere") == []


def test_going_on_without_a_checkpoint_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="`resume` needs a checkpoint"):
        load_checkpoint(None, tmp_path)
