# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""How fast many pause configurations are, timed in groups with the dense model in each."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from paumer_hf import PaumerForSemanticSegmentation, PauseConfig
from paumer_hf.evaluation.macs import count_macs
from paumer_hf.evaluation.results import environment_conditions
from paumer_hf.evaluation.throughput import measure_throughput
from paumer_hf.search.store import SearchStore


# Few enough for the dense model's turns to be seconds apart: a machine that slows down slows both.
GROUP_SIZE = 12

SWEEP, CONFIRMATION = "sweep", "confirmation"

# Robust standard deviations. So far from the others are few by nature, and most by a disturbed measurement.
_FAR = 2.5


@dataclass(frozen=True)
class SpeedSettings:
    """How speed is measured.

    Attributes:
        source: `"measured"`, or `"macs"` for what the multiply-accumulates predict, which is the same on any machine.
        image_size: Height and width in pixels.
        batch_size: Images in a call.
        sweep_rounds: How often each configuration is timed when all are.
        confirmation_rounds: How often those are timed that are chosen, lie on the frontier or are in doubt.
        num_threads: Threads of torch on the CPU; None keeps their number.
    """

    source: str = "measured"
    image_size: tuple[int, int] = (512, 512)
    batch_size: int = 1
    sweep_rounds: int = 3
    confirmation_rounds: int = 15
    num_threads: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be measured."""
        if self.source not in ("measured", "macs"):
            raise ValueError(f"The source of the speed must be 'measured' or 'macs', got {self.source!r}.")
        if len(self.image_size) != 2 or min(self.image_size) < 1:
            raise ValueError(f"image_size must be a height and a width of at least 1, got {tuple(self.image_size)}.")
        for name in ("sweep_rounds", "confirmation_rounds", "batch_size", "num_threads"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise ValueError(f"{name} must be at least 1, got {number}.")


class SpeedTable:
    """The speed of pause configurations: what the store has, and what is measured on demand.

    Args:
        model: The model, on the device and in the data type in which it is timed.
        settings: How speed is measured.
        store: Where timings are kept.
        progress: Whether to show a progress bar where there is a terminal.

    Attributes:
        conditions: What speeds hold under, in the words of `measure_throughput`.
    """

    def __init__(
        self, model: PaumerForSemanticSegmentation, settings: SpeedSettings, store: SearchStore, progress: bool = True
    ) -> None:
        self._model, self._settings, self._store, self._progress = model, settings, store, progress
        # Thousands are asked for again and again.
        self._known: dict[tuple[str, PauseConfig], Any] = {}
        self._macs: dict[PauseConfig, int] = {}
        self._asked: dict[str, dict[PauseConfig, None]] = {SWEEP: {}, CONFIRMATION: {}}
        self._dense_images_per_second: float | None = None
        self._rounds = {SWEEP: settings.sweep_rounds, CONFIRMATION: settings.confirmation_rounds}
        timed = {"image_size": settings.image_size, "batch_size": settings.batch_size, **_device_conditions(model)}
        timed["num_threads"] = settings.num_threads or timed["num_threads"]
        rounds_of_kinds = {"sweep_rounds": settings.sweep_rounds, "confirmation_rounds": settings.confirmation_rounds}
        self.conditions: dict[str, Any] = {"speed": settings.source, **timed, **rounds_of_kinds, "compiled": False}
        self._keys = {
            kind: f"{kind} {json.dumps({**timed, 'num_rounds': rounds}, sort_keys=True)}"
            for kind, rounds in self._rounds.items()
        }

    def measure(self, pause_configs: Sequence[PauseConfig], kind: str = SWEEP) -> None:
        """Time those that have no timing of this kind yet.

        Args:
            pause_configs: Configurations, each once.
            kind: `SWEEP` or `CONFIRMATION`, which differ in their number of rounds.
        """
        if self._settings.source == "macs":
            return
        self._asked[kind] |= dict.fromkeys(config for config in pause_configs if config)
        self._time_missing(pause_configs, kind)
        self._dense_images_per_second = self._summarise_dense()

    def _time_missing(self, pause_configs: Sequence[PauseConfig], kind: str) -> None:
        missing = [config for config in pause_configs if config and self._timing(kind, config) is None]
        if not missing:
            return
        word = "Timing" if kind == SWEEP else "Timing with more rounds"
        with tqdm(total=len(missing), desc=word, unit="config", disable=None if self._progress else True) as bar:
            for first in range(0, len(missing), GROUP_SIZE):
                group = missing[first : first + GROUP_SIZE]
                results = measure_throughput(
                    self._model,
                    group,
                    image_size=self._settings.image_size,
                    batch_size=self._settings.batch_size,
                    num_rounds=self._rounds[kind],
                    progress=False,
                    num_threads=self._settings.num_threads,
                )["results"]
                dense = {"dense_images_per_second": results[0]["images_per_second"]}
                timings = {
                    config: {"speedup": row["speedup"], **dense}
                    for config, row in zip(group, results[1:], strict=True)
                }
                self._store.add_timings(self._keys[kind], timings)
                self._known |= {(kind, config): timing for config, timing in timings.items()}
                bar.update(len(group))

    def speedup(self, pause_config: PauseConfig, kind: str = CONFIRMATION) -> float:
        """Return how many times as fast as the dense model a configuration is.

        Args:
            pause_config: A configuration that has been timed.
            kind: Which timing counts: that of the sweep, or that of the confirmation where there is one.
        """
        if not pause_config:
            return 1.0
        if self._settings.source == "macs":
            return self._count_macs(PauseConfig()) / self._count_macs(pause_config)
        timings = (self._timing(each, pause_config) for each in dict.fromkeys((kind, SWEEP)))
        return next(timing for timing in timings if timing is not None)["speedup"]

    def dense_images_per_second(self) -> float | None:
        """Return the dense model's images/s, the median over what was asked for; None without measurements.

        They are those of the confirmation as soon as one was asked for. What else an earlier search has timed, perhaps
        on a day when the machine was slower, does not count.
        """
        return self._dense_images_per_second

    def row(self, pause_config: PauseConfig, kind: str = CONFIRMATION) -> dict[str, Any]:
        """Return what is known of the speed of a configuration, in the keys of result files.

        The images/s are those of the dense model times the speed-up, since groups are timed at different moments.
        Where nothing is measured there are neither these, nor an efficiency, nor `is_confirmed`.

        Args:
            pause_config: A configuration that has been timed.
            kind: Which timing counts, see `speedup`.
        """
        speedup, dense = self.speedup(pause_config, kind), self.dense_images_per_second()
        row = {"speedup": speedup, "gigamacs": self._count_macs(pause_config) / 1e9}
        predicted = self._count_macs(PauseConfig()) / self._count_macs(pause_config)
        if self._settings.source == "macs":
            return {**row, "predicted_speedup": predicted}
        is_confirmed = not pause_config or (kind == CONFIRMATION and self._timing(kind, pause_config) is not None)
        measured = {} if dense is None else {"images_per_second": dense * speedup}
        compared = {"predicted_speedup": predicted, "efficiency": speedup / predicted}
        return {**measured, **row, **compared, "is_confirmed": is_confirmed}

    def _summarise_dense(self) -> float | None:
        kind = CONFIRMATION if self._asked[CONFIRMATION] else SWEEP
        timings = (self._timing(kind, config) for config in self._asked[kind])
        found = [timing["dense_images_per_second"] for timing in timings if timing is not None]
        return statistics.median(found) if found else None

    def _count_macs(self, pause_config: PauseConfig) -> int:
        if pause_config not in self._macs:
            self._macs[pause_config] = count_macs(self._model.config, self._settings.image_size, pause_config)
        return self._macs[pause_config]

    def _timing(self, kind: str, pause_config: PauseConfig) -> Any | None:
        """Return a timing that was made under the conditions of this table."""
        if (kind, pause_config) not in self._known:
            found = self._store.timing(self._keys[kind], pause_config)
            if found is None:
                return None
            self._known[kind, pause_config] = found
        return self._known[kind, pause_config]


def find_outliers(values: Sequence[float]) -> list[int]:
    """Return the indices of the values that are far from the median, measured by the median distance from it."""
    if not values:
        return []
    distances = np.abs(np.asarray(values) - np.median(values))
    deviation = 1.4826 * np.median(distances)  # the standard deviation if they were normally distributed
    return np.flatnonzero(distances > _FAR * deviation).tolist()


def _device_conditions(model: PaumerForSemanticSegmentation) -> dict[str, Any]:
    """Return what the speed of a model depends on beside the settings: device, threads, data type and so on."""
    parameter = next(model.parameters())
    named = ("device", "num_threads", "float32_matmul_precision", "torch", "environment")
    conditions = environment_conditions(parameter.device)
    return {
        **{name: conditions[name] for name in named},
        "dtype": str(parameter.dtype).removeprefix("torch."),
        "attention": model.config._attn_implementation,
    }


__all__ = ["CONFIRMATION", "GROUP_SIZE", "SWEEP", "SpeedSettings", "SpeedTable", "find_outliers"]
