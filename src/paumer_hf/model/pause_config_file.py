# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""`pause_config.json`: the default, the presets and the measured profile of a checkpoint, beside its weights."""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .pause_config import PauseConfig, as_pause_config
from .pause_profile import PauseProfile, as_pause_profile


PAUSE_CONFIG_NAME = "pause_config.json"

FIELDS = ("default", "presets", "profile")


def write_pause_config_file(
    folder: str | os.PathLike,
    default: PauseConfig,
    presets: Mapping[str, PauseConfig],
    profile: PauseProfile | None = None,
) -> Path:
    """Write `pause_config.json`, with the profile if there is one, in one step; return its path."""
    contents: dict[str, Any] = {
        "default": default.to_dict(),
        "presets": {name: as_pause_config(preset).to_dict() for name, preset in presets.items()},
    }
    if profile is not None:
        contents["profile"] = profile.to_dict()
    path = Path(folder) / PAUSE_CONFIG_NAME
    descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=".pause_config", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(contents, file, indent=2)
            file.write("\n")
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def _umask() -> int:
    """The permission bits that new files of this process do not get; mkstemp's own are for temporary secrets."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def read_pause_config_file(
    path: str | os.PathLike,
) -> tuple[PauseConfig, dict[str, PauseConfig], PauseProfile | None]:
    """Read the default, the presets and the profile, None if there is none, from a `pause_config.json`.

    Raises:
        ValueError: If the file is not JSON, has an unknown field, or holds a configuration or profile that is refused.
    """
    try:
        contents = json.loads(Path(path).read_text(encoding="utf-8"))
        if not isinstance(contents, dict):
            raise ValueError(f"it must hold an object with the fields 'default' and 'presets', not {contents!r}.")
        unknown = [name for name in contents if name not in FIELDS]
        if unknown:
            raise ValueError(
                f"unknown field {unknown[0]!r}; the fields are {list(FIELDS)}. A newer version of paumer_hf may have "
                "written it: upgrade the package."
            )
        presets = contents.get("presets", {})
        if not isinstance(presets, dict):
            raise ValueError(f"'presets' must be an object from names to configurations, not {presets!r}.")
        default = as_pause_config(contents.get("default", {}))
        presets = {name: as_pause_config(preset) for name, preset in presets.items()}
        profile = as_pause_profile(contents["profile"]) if "profile" in contents else None
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is not a valid pause configuration file: {error}") from error
    return default, presets, profile


__all__ = ["PAUSE_CONFIG_NAME", "read_pause_config_file", "write_pause_config_file"]
