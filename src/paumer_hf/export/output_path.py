# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Whether a file can be written to a path, asked before the long work that it is to hold."""

import os
import tempfile
from pathlib import Path


def check_output_path(path: str | os.PathLike, suffix: str) -> Path:
    """Check a path that a file is to be written to; nothing is left there, also no folder.

    Args:
        path: The file, which may exist.
        suffix: What its name must end in.

    Returns:
        The path.

    Raises:
        ValueError: If it does not end in the suffix.
        OSError: If it is a folder, or no file can be made there.
    """
    path = Path(path)
    if path.suffix != suffix:
        raise ValueError(f"`path` must end in {suffix}, but is {path}.")
    if path.is_dir():
        raise IsADirectoryError(f"{path} cannot be written, as it is a folder. Name a file.")
    # Folders that are missing are made later, in the nearest one that is there.
    nearest = next(folder for folder in path.absolute().parents if os.path.lexists(folder))
    try:
        # A trial, as permissions do not tell of file systems that cannot be written to.
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        reason = error.strerror or error
        raise OSError(f"{path} cannot be written, as no file can be made in {nearest}: {reason}.") from error
    return path


__all__ = ["check_output_path"]
