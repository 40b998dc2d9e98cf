# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Recipes as YAML files, which may extend each other: a file says only what differs from the one that it extends."""

import difflib
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml


EXTENDS = "extends"

# Fields that hold fields of something else: a later file or a flag replaces the keys that it names. Every other field,
# lists and `label_mapping` among them, is one value and replaced as a whole.
MERGED_FIELDS = ("config_overrides",)


def read_recipe_file(path: Path, names: Sequence[str]) -> dict[str, Any]:
    """The fields of a recipe file and of those that it extends.

    `extends: OTHER.yaml`, relative to the folder of the file that says so, begins with the fields of the other file,
    which may extend a further one. What a file says itself wins.

    Args:
        path: The file.
        names: The names of all fields that there are.

    Returns:
        From the name of each field that any of the files has to its value, not yet checked.

    Raises:
        OSError: If a file cannot be read.
        ValueError: If a file is no mapping in YAML, has an unknown field, or extends itself, directly or by others.
    """
    chain: list[Path] = []
    contents: list[dict[str, Any]] = []
    next_path: Path | None = path
    while next_path is not None:
        if any(next_path.samefile(earlier) for earlier in chain):
            way = ", which extends ".join(str(file) for file in [*chain, next_path])
            raise ValueError(f"`{EXTENDS}` goes in a circle: {way}. Remove it from one of these files.")
        chain.append(next_path)
        fields = _read_mapping(next_path)
        next_path = _extended_path(next_path, fields.pop(EXTENDS, None))
        _check_names(chain[-1], fields, names)
        contents.append(fields)
    return functools.reduce(merge_fields, reversed(contents))


def merge_fields(fields: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    """Fields with those that win over them in their place; `config_overrides` is merged key by key.

    A later `config_overrides` that is None takes all of the earlier ones away.
    """
    merged = {**fields, **later}
    for name in MERGED_FIELDS:
        values = (fields.get(name), later.get(name))
        if all(isinstance(value, Mapping) for value in values):
            merged[name] = {**fields[name], **later[name]}
    return merged


def _extended_path(path: Path, extended: Any) -> Path | None:
    """The file that the file `path` extends, if it says `extended`."""
    if extended is None:
        return None
    if not isinstance(extended, str):
        raise ValueError(f"{path}: `{EXTENDS}` must name one YAML file, but is {extended!r}.")
    other = path.parent / Path(extended).expanduser()
    if not other.is_file():
        raise ValueError(
            f"{path} extends {extended!r}, but there is no file {other}. Name one relative to the folder of {path}."
        )
    return other


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path} must hold a mapping of recipe fields, but holds {type(values).__name__}.")
    return values


def _check_names(path: Path, fields: Mapping[str, Any], names: Sequence[str]) -> None:
    for name in fields:
        if name not in names:
            close = difflib.get_close_matches(str(name), names, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else f"; the fields are {list(names)}."
            raise ValueError(f"{path} has the unknown field {name!r}{hint}")


__all__ = ["merge_fields", "read_recipe_file"]
