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


def select_pause_configs(
    names: Sequence[str],
    num_layers: int,
    presets: Mapping[str, PauseConfig] | None = None,
    criteria: Iterable[str] = ("entropy",),
) -> list[PauseConfig]:
    """Return the pause configurations that a command line names, each once.

    Args:
        names: `dense`, `table_1`, names of presets, or text forms such as `3:0.4,5:0.4`.
        num_layers: Number of encoder layers.
        presets: Presets of the model; one that pauses at random stays so whatever `criteria` says.
        criteria: Criteria under which the configurations are taken. The dense model has none and appears once.

    Raises:
        ValueError: If a name is unknown, a text form cannot be read, or a layer does not exist.
    """
    presets = presets or {}
    selected: dict[PauseConfig, None] = {}
    for criterion in criteria:
        for name in names:
            if name == "table_1":
                found = table_1_configs(num_layers, criterion)
            elif name == "dense":
                found = [PauseConfig()]
            elif name in presets:
                is_random = presets[name].criterion == "random"
                found = [presets[name] if is_random else dataclasses.replace(presets[name], criterion=criterion)]
            elif ":" in name:
                found = [PauseConfig.from_text(name, criterion=criterion)]
            else:
                known = ", ".join(["dense", "table_1", *presets])
                raise ValueError(
                    f"Unknown pause configuration {name!r}. Known names: {known}. Others are written as "
                    "LAYER:RATIO,LAYER:RATIO, for example 3:0.4,5:0.4."
                )
            for pause_config in found:
                pause_config.validate(num_layers)
                selected[pause_config if pause_config else PauseConfig()] = None
    return list(selected)


__all__ = ["TABLE_1", "select_pause_configs", "table_1_configs"]
