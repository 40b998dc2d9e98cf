# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The pause configurations of the paper's Table 1, and the names by which command lines choose configurations."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from paumer_hf import PauseConfig


# The pair of layers of the columns with two is not legible in the paper; 3 and 5 is a reading.
_PAUSE_RATIOS: tuple[dict[int, float], ...] = (
    {3: 0.2},
    {3: 0.4},
    {3: 0.6},
    {5: 0.2},
    {5: 0.4},
    {5: 0.6},
    {5: 0.8},
    {3: 0.2, 5: 0.2},
    {3: 0.3, 5: 0.3},
    {3: 0.4, 5: 0.4},
    {3: 0.2, 5: 0.2, 7: 0.2},
    {3: 0.3, 5: 0.3, 7: 0.3},
    {3: 0.4, 5: 0.4, 7: 0.4},
)

TABLE_1: Mapping[str, PauseConfig] = {
    pause_config.to_text(): pause_config for pause_config in map(PauseConfig, _PAUSE_RATIOS)
}


def table_1_configs(num_layers: int, criterion: str = "entropy", seed: int | None = None) -> list[PauseConfig]:
    """Return the configurations of Table 1, without those that pause after layers which the model does not have.

    Args:
        num_layers: Number of encoder layers; nothing pauses after the last.
        criterion: `"entropy"` or `"random"`.
        seed: Seed of random pausing.
    """
    return [
        PauseConfig.from_dict({**pause_config.to_dict(), "criterion": criterion, "seed": seed})
        for pause_config in TABLE_1.values()
        if max(pause_config.pause_ratios) < num_layers
    ]


def read_pause_config(
    name: str,
    num_layers: int,
    presets: Mapping[str, PauseConfig] | None = None,
    criterion: str = "entropy",
    seed: int | None = None,
) -> PauseConfig:
    """Return the pause configuration that a word of a command line means.

    Args:
        name: `dense`, the name of a preset, or layers with ratios such as `3:0.4,5:0.4`.
        num_layers: Number of encoder layers.
        presets: Presets of the model, which keep their own criterion and seed.
        criterion: Criterion of layers with ratios.
        seed: Seed of layers with ratios that pause at random.

    Raises:
        ValueError: If the name is unknown, the layers cannot be read, or one of them does not exist.
    """
    presets = presets or {}
    if name == "dense":
        return PauseConfig()
    if name in presets:
        found = presets[name]
    elif ":" in name:
        found = PauseConfig.from_text(name, criterion=criterion, seed=seed if criterion == "random" else None)
    else:
        known = ", ".join(dict.fromkeys(["dense", *sorted(presets)]))
        raise ValueError(
            f"Unknown pause configuration {name!r}. Name one of {known}, or layers with ratios such as '3:0.4,5:0.4'."
        )
    found.validate(num_layers)
    return found


def select_pause_configs(
    names: Sequence[str],
    num_layers: int,
    presets: Mapping[str, PauseConfig] | None = None,
    criteria: Iterable[str] = ("entropy",),
) -> list[PauseConfig]:
    """Return the pause configurations that a command line names, each once.

    Args:
        names: `table_1` for all of the paper's, or what `read_pause_config` reads.
        num_layers: Number of encoder layers.
        presets: Presets of the model; one that pauses at random stays so whatever `criteria` says.
        criteria: Criteria under which the configurations are taken. The dense model has none and appears once.

    Raises:
        ValueError: If a name is unknown, a text form cannot be read, or a layer does not exist.
    """
    selected: dict[PauseConfig, None] = {}
    for criterion in criteria:
        for name in names:
            if name == "table_1":
                selected |= dict.fromkeys(table_1_configs(num_layers, criterion))
                continue
            found = read_pause_config(name, num_layers, presets, criterion)
            if found.criterion != "random":  # a preset
                found = dataclasses.replace(found, criterion=criterion)
            selected[found if found else PauseConfig()] = None
    return list(selected)


__all__ = ["TABLE_1", "read_pause_config", "select_pause_configs", "table_1_configs"]
