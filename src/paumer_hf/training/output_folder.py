# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The folder of a training: one training at a time, never written over, and told when its recipe has changed."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from paumer_hf.training.checkpoints import list_checkpoints
from paumer_hf.training.recipe import TrainingRecipe


LOCK_SECONDS = 10.0
"""How long to wait for a training that was killed: its loader processes, which end later, hold the lock too."""

# What may differ between two parts of a training without a word: it changes no weight.
FREE_FIELDS = {"output_dir", "resume", "dry_run", "report_to", "num_workers", "logging_steps", "save_total_limit"}


def check_output_folder(recipe: TrainingRecipe, output: Path) -> None:
    """Refuse to write over another training."""
    if not recipe.resume and list_checkpoints(output / "checkpoints"):
        raise FileExistsError(
            f"`output_dir` {output} holds checkpoints of another training. Pass --resume to go on with it, or name "
            "another folder."
        )


def check_steps(recipe: TrainingRecipe, step: int) -> None:
    """Refuse to go on with a training that is done."""
    if step >= recipe.max_steps:
        raise ValueError(
            f"The training in {recipe.output_dir} has done {step} steps and `max_steps` is {recipe.max_steps}. Raise "
            "`max_steps` to go on."
        )


@contextlib.contextmanager
def lock_output_folder(output: Path, is_main_process: bool) -> Iterator[None]:
    """Keep the folder to this training while the context is open; a process that is killed lets it go.

    A launcher that is killed can leave its training running: a second one must not write into the same folder.

    Raises:
        OSError: If another process trains there.
    """
    if not is_main_process:
        yield
        return
    output.mkdir(parents=True, exist_ok=True)
    lock = FileLock(output / ".lock")
    try:
        lock.acquire(timeout=LOCK_SECONDS)
    except Timeout:
        raise BlockingIOError(
            f"Another process trains in `output_dir` {output}. Wait for it or end it, or name another folder."
        ) from None
    with lock:
        yield


def tell_changes(recipe: TrainingRecipe, previous: Mapping[str, Any] | None) -> list[str]:
    """A line for each field of a recipe that is not as it was when the checkpoint was written."""
    now = dataclasses.asdict(recipe)
    return [
        f"`{name}` was {previous[name]!r} when the checkpoint was written and is {value!r} now.\n"
        for name, value in now.items()
        if previous is not None and name in previous and name not in FREE_FIELDS and previous[name] != value
    ]


__all__ = ["check_output_folder", "check_steps", "lock_output_folder", "tell_changes"]
