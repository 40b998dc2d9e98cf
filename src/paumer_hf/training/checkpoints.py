# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Folders that are either whole or not there: training checkpoints and saved models."""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from safetensors import SafetensorError


STEP_PREFIX = "step-"
STATE_NAME = "training_state.json"

# What writers raise when they cannot write: the disk is full, a quota is reached, a folder is gone.
WRITE_ERRORS = (OSError, RuntimeError, SafetensorError)


class CheckpointError(OSError):
    """A checkpoint or a model could not be saved."""


def replace_folder(path: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` fill a new folder and put it at `path` when it is complete, in place of what was there.

    Raises:
        CheckpointError: If it cannot be written; what was there stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    previous = path.with_name(f".{path.name}.old")
    if previous.exists() and not path.exists():  # killed between the two renames below
        os.rename(previous, path)
    for leftover in (temporary, previous):
        shutil.rmtree(leftover, ignore_errors=True)
    try:
        temporary.mkdir()
        write(temporary)
        _flush(temporary)
    except WRITE_ERRORS as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise CheckpointError(_explain(path, error)) from error
    if path.exists():
        os.rename(path, previous)
    os.rename(temporary, path)
    shutil.rmtree(previous, ignore_errors=True)


def save_checkpoint(
    accelerator: Accelerator,
    folder: Path,
    step: int,
    write: Callable[[Path], Mapping[str, Any]],
    *,
    limit: int,
    best_step: int | None = None,
) -> None:
    """Save what a training needs to go on after `step` steps, then remove old checkpoints.

    A checkpoint lists its files with their sizes and checksums, and gets its name when it is complete.

    Args:
        accelerator: Knows the processes; every process calls this.
        folder: Folder of the checkpoints, on a file system that all processes share.
        step: Number of steps done.
        write: Writes files into the folder that it is given, in every process, and returns what else the training has
            to remember, for JSON; that of the main process counts.
        limit: Number of newest checkpoints that are kept.
        best_step: Step of one more checkpoint that is kept, if it is there.

    Raises:
        CheckpointError: In every process, if one cannot write; older checkpoints stay.
    """
    target = folder / f"{STEP_PREFIX}{step:08d}"
    temporary = folder / f".{target.name}.new"
    with _together(accelerator, target, temporary):
        if accelerator.is_main_process:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
    with _together(accelerator, target, temporary):
        state = write(temporary)
    with _together(accelerator, target, temporary):
        if accelerator.is_main_process:
            contents = {"step": step, **state, "files": _list_files(temporary)}
            (temporary / STATE_NAME).write_text(json.dumps(contents, indent=2) + "\n", encoding="utf-8")
            _flush(temporary)
            shutil.rmtree(target, ignore_errors=True)
            os.rename(temporary, target)
            _flush_folder(folder)
    if accelerator.is_main_process:
        _prune(folder, target.name, limit, f"{STEP_PREFIX}{best_step or 0:08d}")


def _prune(folder: Path, newest: str, limit: int, best: str) -> None:
    """Remove all but the newest checkpoints up to the one just written, and damaged ones that were passed over."""
    found = list_checkpoints(folder)
    whole = [path for path in found if path.name <= newest]
    later = [path for path in found if path.name > newest]  # this training began before them
    for path in (*later, *(path for path in whole[:-limit] if path.name != best)):
        try:
            hidden = path.with_name(f".{path.name}.old")
            shutil.rmtree(hidden, ignore_errors=True)
            os.rename(path, hidden)  # half of a checkpoint must not have its name
            shutil.rmtree(hidden)
        except OSError as error:  # the new checkpoint is safe, so nothing is lost
            print(f"The old checkpoint {path} cannot be removed: {error}.")  # noqa: T201  the user has to know


@contextlib.contextmanager
def _together(accelerator: Accelerator, target: Path, temporary: Path) -> Any:
    """Let every process do its part; if one fails, remove what was begun and fail in all, so that none waits."""
    error: Exception | None = None
    try:
        yield
    except WRITE_ERRORS as raised:
        error = raised
    failed = torch.tensor(int(error is not None), device=accelerator.device)
    if accelerator.reduce(failed, reduction="sum").item() == 0:
        return
    if accelerator.is_main_process:
        shutil.rmtree(temporary, ignore_errors=True)
    kept = list_checkpoints(target.parent)
    last = f"The last checkpoint is {kept[-1]}" if kept else "There is no checkpoint yet"
    reason = error or OSError("another process could not write its part")
    raise CheckpointError(f"{_explain(target, reason)} {last}; go on with --resume.") from error


def _explain(path: Path, error: Exception) -> str:
    """What failed, where, and how much room there is."""
    try:
        free = f"{shutil.disk_usage(path.parent).free / 2**20:.0f} MiB are free there"
    except OSError as other:
        free = f"its folder cannot be read: {other}"
    return f"{path} could not be saved ({error}); {free}. Make room, or name another `output_dir`."


def _list_files(folder: Path) -> dict[str, dict[str, Any]]:
    return {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": _checksum(path)}
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(folder: Path) -> None:
    """Have the files on the disk before their folder gets its name: after a power cut it could be there alone."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    _flush_folder(folder)


def _flush_folder(folder: Path) -> None:
    if os.name == "posix":  # elsewhere folders cannot be opened
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def list_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.name.startswith(STEP_PREFIX) and path.is_dir())


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What a checkpoint remembers, after its files have been checked.

    Raises:
        ValueError: If it is not whole; says why.
    """
    try:
        state = json.loads((path / STATE_NAME).read_text(encoding="utf-8"))
        files = state["files"]
    except FileNotFoundError:
        raise ValueError(f"{STATE_NAME} is missing") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{STATE_NAME} cannot be read or does not list the files ({error!r})") from error
    for name, expected in files.items():
        file = path / name
        if not file.is_file():
            raise ValueError(f"{name} is missing")
        if file.stat().st_size != expected["bytes"]:
            raise ValueError(f"{name} has {file.stat().st_size} bytes instead of {expected['bytes']}")
        if _checksum(file) != expected["sha256"]:
            raise ValueError(f"{name} has another checksum than when it was written")
    return state


def find_checkpoint(accelerator: Accelerator, folder: Path) -> tuple[Path, dict[str, Any]]:
    """The newest whole checkpoint in a folder, and what it remembers; says which were skipped and why.

    Raises:
        FileNotFoundError: If there is none.
    """
    found: list[Any] = [None]
    if accelerator.is_main_process:  # one process reads them all; the others take its word
        found = [_newest_whole(folder)]
    broadcast_object_list(found)
    if found[0] is None:
        raise FileNotFoundError(
            f"`resume` needs a whole checkpoint in {folder}, but there is none. Start without `--resume`, or name the "
            "`output_dir` of the training that is to go on."
        )
    path, state = found[0]
    return Path(path), state


def _newest_whole(folder: Path) -> tuple[str, dict[str, Any]] | None:
    for path in reversed(list_checkpoints(folder)):
        try:
            state = read_checkpoint(path)
        except (ValueError, OSError) as error:
            print(f"Skipping the checkpoint {path}: {error}.")  # noqa: T201  the user has to know
            continue
        return str(path), state
    return None


__all__ = [
    "CheckpointError",
    "find_checkpoint",
    "list_checkpoints",
    "read_checkpoint",
    "replace_folder",
    "save_checkpoint",
]
