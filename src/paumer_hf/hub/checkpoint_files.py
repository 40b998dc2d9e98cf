# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Which files of a checkpoint's folder go to its page on the Hub, and which must not lie there."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open


CARD_NAME = "README.md"

REQUIRED = ("config.json", "pause_config.json", "preprocessor_config.json")

EXAMPLES = ("example.jpg", "example.png")
"""Names of an image on which the checkpoint is tried; without one an image is made up."""

INDEX_NAME = "model.safetensors.index.json"

MAX_BYTES_BESIDE_WEIGHTS = 10 * 2**20

WEIGHTS = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors")

_OTHERS = (INDEX_NAME, "LICENSE", "LICENSE.md", "LICENSE.txt", "NOTICE", *EXAMPLES)
_LEFT_OUT = (".gitattributes", CARD_NAME)
_PICKLES = {".bin", ".ckpt", ".dill", ".joblib", ".npy", ".npz", ".pickle", ".pkl", ".pt", ".pth"}

# Folders in which people keep files; a path in one of them says whose machine it was.
_MACHINE_PATH = re.compile(
    r"(?<![\w.~/)}:-])/(?:home|mnt|opt|root|scratch|srv|tmp|Users|var|work)/[\w./-]*\w|\b[A-Z]:\\+\w+"
)


def collect_files(folder: Path, linked: Iterable[str] = ()) -> dict[str, Path]:
    """The files of a checkpoint by their names on the page, without the card.

    Args:
        folder: The checkpoint, as `save_pretrained` wrote it.
        linked: Files of the folder that its card links to, which may be of any kind but pickles.

    Raises:
        ValueError: If the folder holds no model, a pickle, anything else that does not belong there, or a file that
            is empty, damaged or too large.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder; name one that `save_pretrained` wrote.")
    for name in REQUIRED:
        if not (folder / name).is_file():
            raise ValueError(
                f"{folder} holds no checkpoint, as {name} is missing; write model and image processor there with"
                " `save_pretrained`."
            )
    linked = set(linked)
    files = {}
    for path in sorted(path for path in folder.rglob("*") if not path.is_dir()):
        name = path.relative_to(folder).as_posix()
        if name not in _LEFT_OUT:
            check_kind(name, path, linked)
            files[name] = path
    if not any(WEIGHTS.fullmatch(name) for name in files):
        raise ValueError(f"{folder} holds no weights; save the model there, which writes model.safetensors.")
    for name, path in files.items():
        check_content(name, path)
    return files


def check_no_machine_paths(files: Mapping[str, Path]) -> None:
    """Refuse text that names folders of the machine it was made on.

    Args:
        files: Text files by their names on the page.

    Raises:
        ValueError: If one does, or is not UTF-8.
    """
    for name, path in files.items():
        text = read_text(path)
        if found := _MACHINE_PATH.search(text):
            raise ValueError(
                f"{name} names a path of your machine, {found[0]}, which everybody would read; write the name of"
                " what is meant instead."
            )


def check_kind(name: str, path: Path, linked: set[str]) -> None:
    """Refuse pickles, code and everything unknown by its name.

    Args:
        name: On the page.
        path: The file.
        linked: Names that the card links to.

    Raises:
        ValueError: If it is refused.
    """
    if path.suffix.lower() in _PICKLES:
        raise ValueError(
            f"{path} may be a pickle, which can run code when it is read; remove it, and save weights as safetensors."
        )
    if path.suffix == ".py":
        raise ValueError(f"{path} is code; remove it: --with_code adds the code of this package.")
    if name in (*REQUIRED, *_OTHERS) or WEIGHTS.fullmatch(name) or name in linked:
        return
    raise ValueError(f"{path} does not belong to a checkpoint; remove it, or link to it from the card.")


def check_content(name: str, path: Path) -> None:
    """Refuse what is empty, too large or damaged.

    Args:
        name: On the page.
        path: The file.

    Raises:
        ValueError: If it is refused.
    """
    size = path.stat().st_size
    if size == 0:
        raise ValueError(f"{path} is empty; write it again.")
    if WEIGHTS.fullmatch(name):
        try:
            with safe_open(path, framework="pt") as weights:
                weights.keys()
        except (SafetensorError, OSError) as error:
            raise ValueError(f"{path} is no whole safetensors file ({error}); save the model again.") from error
        return
    if size > MAX_BYTES_BESIDE_WEIGHTS:
        raise ValueError(
            f"{path} has {format_size(size)}, and files beside the weights at most"
            f" {format_size(MAX_BYTES_BESIDE_WEIGHTS)}; make it smaller or leave it out."
        )
    if path.suffix == ".json":
        read_json(path)


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        ValueError: If it is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8 ({error}); save it in that encoding.") from error


def read_json(path: Path) -> dict:
    """The object that a JSON file holds.

    Raises:
        ValueError: If it holds none.
    """
    try:
        contents = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON ({error}); write it again.") from error
    if not isinstance(contents, dict):
        raise ValueError(f"{path} must hold a JSON object, but holds {contents!r}; write it again.")
    return contents


def format_size(num_bytes: int) -> str:
    """A number of bytes for people, such as "25.0 MiB"."""
    size = float(num_bytes)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{num_bytes} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


__all__ = [
    "CARD_NAME",
    "EXAMPLES",
    "INDEX_NAME",
    "MAX_BYTES_BESIDE_WEIGHTS",
    "REQUIRED",
    "WEIGHTS",
    "check_content",
    "check_kind",
    "check_no_machine_paths",
    "collect_files",
    "format_size",
    "read_json",
    "read_text",
]
