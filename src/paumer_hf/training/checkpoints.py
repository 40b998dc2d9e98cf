# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Folders that are either whole or not there: training checkpoints and saved models."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from accelerate import Accelerator


STEP_PREFIX = "step-"
STATE_NAME = "training_state.json"


def replace_folder(path: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` fill a new folder and put it at `path` when it is complete, in place of what was there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    previous = path.with_name(f".{path.name}.old")
    if previous.exists() and not path.exists():  # killed between the two renames below
        os.rename(previous, path)
    for leftover in (temporary, previous):
        shutil.rmtree(leftover, ignore_errors=True)
    temporary.mkdir()
    write(temporary)
    if path.exists():
        os.rename(path, previous)
    os.rename(temporary, path)
    shutil.rmtree(previous, ignore_errors=True)


def save_checkpoint(accelerator: Accelerator, folder: Path, step: int, state: dict[str, Any], limit: int) -> None:
    """Save what a training needs to go on after `step` steps, and remove all but the newest `limit` checkpoints.

    Args:
        accelerator: Holds the model, the optimiser and all random states; every process calls this.
        folder: Folder of the checkpoints, on a file system that all processes share.
        step: Number of steps done.
        state: What else the training has to remember; JSON.
        limit: Number of checkpoints that are kept.
    """
    target = folder / f"{STEP_PREFIX}{step:08d}"
    temporary = folder / f".{target.name}.new"
    if accelerator.is_main_process:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(temporary))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        (temporary / STATE_NAME).write_text(json.dumps({"step": step, **state}, indent=2) + "\n", encoding="utf-8")
        shutil.rmtree(target, ignore_errors=True)
        os.rename(temporary, target)
        for old in list_checkpoints(folder)[:-limit]:
            shutil.rmtree(old)


def list_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, oldest first. A checkpoint gets its name when it is whole."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.name.startswith(STEP_PREFIX) and path.is_dir())


def load_checkpoint(accelerator: Accelerator, folder: Path) -> dict[str, Any]:
    """Go back to the newest checkpoint in a folder; returns what was saved as `state`, with `step`.

    Raises:
        FileNotFoundError: If there is none.
    """
    found = list_checkpoints(folder)
    if not found:
        raise FileNotFoundError(
            f"`resume` needs a checkpoint in {folder}, but there is none. Start without `--resume`, or name the "
            "`output_dir` of the training that is to go on."
        )
    accelerator.load_state(str(found[-1]))
    accelerator.step = 0  # Checkpoints lie between steps; how many batches make one may have changed.
    return json.loads((found[-1] / STATE_NAME).read_text(encoding="utf-8"))


__all__ = ["list_checkpoints", "load_checkpoint", "replace_folder", "save_checkpoint"]
