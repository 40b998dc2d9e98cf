# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""From what a search found to the presets and the profile of a checkpoint."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from paumer_hf import PauseConfig
from paumer_hf.model.pause_config_file import PAUSE_CONFIG_NAME, read_pause_config_file, write_pause_config_file
from paumer_hf.model.pause_profile import PauseProfile
from paumer_hf.model.profile_point import ProfilePoint


PRESET_DROPS: Mapping[str, float] = {"accurate": 0.2, "balanced": 0.7, "fast": 2.0, "fastest": 5.0}
"""The rule of each preset: the fastest configuration that loses at most so many points of mean IoU."""


def read_row(row: Mapping[str, Any]) -> PauseConfig:
    """Return the configuration of a row of `search.json`."""
    return PauseConfig.from_text(row["pause_config"], row["criterion"], row["seed"])


def make_profile(rows: Sequence[Mapping[str, Any]], conditions: Mapping[str, Any]) -> PauseProfile:
    """Make the profile of a checkpoint from the rows of a search: what lies on the frontier, and the dense model.

    What only few rounds have timed stays out: of the frontier of a search with a wish, most.

    Args:
        rows: Rows of `search.json`.
        conditions: Under which they hold.
    """
    names = [field.name for field in dataclasses.fields(ProfilePoint) if field.name != "pause_config"]
    points = []
    for row in rows:
        is_known_well = row.get("is_confirmed", True)  # multiply-accumulates need no confirmation
        if (row["on_frontier"] and is_known_well) or not row["pause_config"]:
            values = {name: row[name] for name in names if row.get(name) is not None}
            points.append(ProfilePoint.from_dict({"pause_config": read_row(row), **values}))
    # Where the model lay says nothing to others; its weights are known by their digest.
    return PauseProfile(tuple(points), {name: value for name, value in conditions.items() if name != "model"})


def make_presets(profile: PauseProfile, drops: Mapping[str, float] = PRESET_DROPS) -> dict[str, PauseConfig]:
    """Return for each preset the fastest configuration that loses at most so many points of mean IoU.

    Args:
        profile: What was measured.
        drops: From names to points.
    """
    return {name: profile.select(max_drop=drop).pause_config for name, drop in drops.items()}


def join_names(presets: Mapping[str, PauseConfig]) -> dict[str, str]:
    """Return from the text forms of configurations to their names, `"accurate, balanced"` where these are several."""
    texts = dict.fromkeys(preset.to_text() for preset in presets.values())
    return {text: ", ".join(name for name, preset in presets.items() if preset.to_text() == text) for text in texts}


def write_presets(folder: str | Path, presets: Mapping[str, PauseConfig], profile: PauseProfile | None = None) -> Path:
    """Write presets into the folder of a checkpoint; presets of other names and the default stay.

    Args:
        folder: The folder of the checkpoint.
        presets: The presets.
        profile: The profile; None leaves the one that is there.

    Returns:
        The path of the file.
    """
    path = Path(folder) / PAUSE_CONFIG_NAME
    default, known, old = read_pause_config_file(path) if path.exists() else (PauseConfig(), {}, None)
    return write_pause_config_file(folder, default, {**known, **presets}, old if profile is None else profile)


def find_better_profile(folder: str | Path, profile: PauseProfile | None) -> str | None:
    """Say why the profile in the folder of a checkpoint says more than a new one of the same weights.

    Args:
        folder: The folder of the checkpoint.
        profile: The new profile; None replaces nothing.

    Returns:
        The reason, or None where the new one may take its place.
    """
    path = Path(folder) / PAUSE_CONFIG_NAME
    old = read_pause_config_file(path)[2] if path.exists() else None
    if old is None or profile is None:
        return None
    before, now = old.conditions, profile.conditions
    if before.get("weights_sha256") != now.get("weights_sha256"):
        return None
    if before.get("speed") == "measured" != now.get("speed"):
        return "the speeds of the profile that is there are measured, and these are not"
    if before.get("num_images", 0) > now.get("num_images", 0):
        return f"the profile that is there is of {before['num_images']} images, and this one of {now['num_images']}"
    return None


__all__ = [
    "PRESET_DROPS",
    "find_better_profile",
    "join_names",
    "make_presets",
    "make_profile",
    "read_row",
    "write_presets",
]
