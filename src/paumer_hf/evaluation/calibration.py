# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""How fast the presets of a checkpoint are on the device at hand, beside the profile that was measured elsewhere.

Speed-ups differ between devices, sizes of images and batches. A calibration measures them in seconds and keeps the
mean IoU of the profile, which does not depend on the device.
"""

import dataclasses
import itertools
import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from paumer_hf import PaumerForSemanticSegmentation, PauseConfig
from paumer_hf.evaluation.throughput import measure_throughput
from paumer_hf.model.pause_config import as_pause_config
from paumer_hf.model.pause_profile import PauseProfile, ProfilePoint, as_pause_profile


MIN_ROUNDS = 3
MAX_ROUNDS = 25

# One timing of the fastest configuration lasts at least so long, where the clock and the start of a call do not count.
SECONDS_OF_A_TIMING = 0.01

# Two configurations whose times differ by less than this share are taken as equally fast, whatever the spread is.
SMALLEST_DIFFERENCE = 0.02

# Pairs of configurations in another order than in the profile that are spelled out.
MAX_PAIRS = 3

# What a difference in speed may come from, and what to call it.
CONDITIONS = {
    "device": "device",
    "num_threads": "threads",
    "image_size": "image size",
    "batch_size": "batch size",
    "dtype": "data type",
    "compiled": "compiled",
    "attention": "attention",
    "torch": "torch",
    "environment": "environment variables",
}


@dataclasses.dataclass(frozen=True)
class CalibrationRow:
    """One configuration as it was timed here, beside the profile.

    Args:
        here: With the speed of this device, and the mean IoU of the profile where it has one.
        presets: Names of the model's presets that mean this configuration; "default" is the model's own default.
        spread: Interquartile range of the times over their median.
        rank: Place by speed here, 1 is the fastest. Where there is a profile, only the configurations in it have one.
        profile_speedup: The speed-up in the profile; None where it does not hold the configuration.
        profile_rank: Place by speed in the profile, among the configurations that were timed here.
    """

    here: ProfilePoint
    presets: tuple[str, ...] = ()
    spread: float = 0.0
    rank: int | None = None
    profile_speedup: float | None = None
    profile_rank: int | None = None

    @property
    def name(self) -> str:
        """The presets and the configuration."""
        if self.presets and self.here.pause_config:
            return f"{', '.join(self.presets)} ({self.here.name})"
        return self.here.name


@dataclasses.dataclass(frozen=True)
class Calibration:
    """What `calibrate_throughput` measured; as text it is a table, followed by what is worth knowing.

    Args:
        profile: The profile of this device; its `select` chooses by the speeds measured here. Assign it to
            `model.pause_profile` for `model.select_pause_config`.
        rows: The dense model and each configuration, beside the profile of the checkpoint.
        notes: Sentences: which configuration is no faster than the dense model here, which order has changed.
    """

    profile: PauseProfile
    rows: tuple[CalibrationRow, ...]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        return f"{_format_table(self.rows)}\n" + "".join(f"{note}\n" for note in self.notes)


def calibrate_throughput(
    model: PaumerForSemanticSegmentation,
    image_size: Sequence[int],
    batch_size: int = 1,
    *,
    pause_configs: Sequence[PauseConfig | Mapping | str] | None = None,
    seconds: float = 20.0,
    num_threads: int | None = None,
    compile: bool = False,
    seed: int = 0,
    progress: bool = True,
) -> Calibration:
    """Time the presets of a model, and the configurations of its profile, on the device that the model is on.

    All of them are timed interleaved, as `measure_throughput` does. The model, its presets and its profile stay as
    they are.

    Args:
        model: The model, on the device and in the data type in which it will be used.
        image_size: Height and width of the random images, in pixels.
        batch_size: Number of images in a call.
        pause_configs: What to time instead: configurations in any form that a call takes.
        seconds: How long the timing should last, about; a first round tells how many rounds fit in. There are at least
            3 and at most 25, and compiling comes on top.
        num_threads: Threads of torch on the CPU during the measurement; None keeps their number.
        compile: Whether to compile the model, once for each configuration.
        seed: Seed of the images and of the order in each round.
        progress: Whether to show a progress bar where there is a terminal.

    Raises:
        ValueError: If there is nothing to time, a configuration is refused, or a number is out of range.
        TypeError: If an argument is of the wrong type.
    """
    if isinstance(image_size, str) or not isinstance(image_size, Sequence):
        raise TypeError(f"`image_size` must be a height and a width, such as (512, 512), but is {image_size!r}.")
    if isinstance(seconds, bool) or not isinstance(seconds, numbers.Real) or not 0 < seconds < math.inf:
        raise ValueError(f"`seconds` must be a number above 0, but is {seconds!r}.")
    # Code that a checkpoint brought along has classes of its own.
    profile = None if model.pause_profile is None else as_pause_profile(model.pause_profile)
    presets = {**model.pause_presets, "default": model.pause_config}
    presets = {name: as_pause_config(preset) for name, preset in presets.items()}
    if pause_configs is None:
        chosen = [*presets.values(), *(point.pause_config for point in (profile.points if profile else ()))]
        remedy = "pass `pause_configs`, such as [{3: 0.4}, {3: 0.4, 5: 0.4}], or assign `model.pause_presets`"
    else:
        if isinstance(pause_configs, (str, Mapping)) or not isinstance(pause_configs, Sequence):
            raise TypeError(f"`pause_configs` must be a list, such as [{{3: 0.4}}], but is {pause_configs!r}.")
        chosen = [as_pause_config(model.resolve_pause_config(value)) for value in pause_configs]
        remedy = "name some in `pause_configs`, or leave it out for the presets and the profile"
    variants = list(dict.fromkeys([PauseConfig(), *(config for config in chosen if config)]))
    if len(variants) == 1:
        raise ValueError(f"There is no configuration that pauses, neither given nor in the model: {remedy}.")

    options: dict[str, Any] = {"image_size": image_size, "batch_size": batch_size, "num_threads": num_threads}
    options |= {"seed": seed, "progress": progress}
    first = measure_throughput(model, variants, num_rounds=1, **options)["results"]
    rounds = _choose_rounds([result["seconds_median"] for result in first], float(seconds))
    measured = measure_throughput(model, variants, compile=compile, **rounds, **options)

    rows = _rank(_compare(variants, measured["results"], presets, profile))
    conditions = dict(measured["conditions"])
    if profile is not None:  # a calibration of a calibration hands on where the mean IoU comes from
        conditions["mean_iou_conditions"] = profile.conditions.get("mean_iou_conditions", profile.conditions)
    notes = _notes(rows, profile, conditions)
    return Calibration(PauseProfile(tuple(row.here for row in rows), conditions), tuple(rows), tuple(notes))


def _choose_rounds(seconds_of_calls: Sequence[float], budget: float) -> dict[str, int]:
    """How many rounds, and calls in a timing, last about as long as the budget."""
    calls_per_round = max(1, math.ceil(SECONDS_OF_A_TIMING / min(seconds_of_calls)))
    # Three calls of each configuration are not rounds of the timing: two of the first round, and one to warm up.
    num_rounds = int((budget / sum(seconds_of_calls) - 3) / calls_per_round)
    return {"num_rounds": min(max(num_rounds, MIN_ROUNDS), MAX_ROUNDS), "calls_per_round": calls_per_round}


def _compare(
    variants: Sequence[PauseConfig],
    results: Sequence[Mapping[str, Any]],
    presets: Mapping[str, PauseConfig],
    profile: PauseProfile | None,
) -> list[CalibrationRow]:
    """Put what was measured beside the profile."""
    known = {point.pause_config or PauseConfig(): point for point in (profile.points if profile else ())}
    rows = []
    for variant, result in zip(variants, results, strict=True):
        values = known[variant].to_dict() if variant in known else {}
        kept = {name: value for name, value in values.items() if name.startswith("mean_iou")}
        speeds = {name: result[name] for name in ("images_per_second", "speedup", "gigamacs")}
        rows.append(
            CalibrationRow(
                here=ProfilePoint(variant, **speeds, **kept),
                presets=tuple(name for name, preset in presets.items() if preset and preset == variant),
                spread=result["seconds_interquartile_range"] / result["seconds_median"],
                profile_speedup=values.get("speedup"),
            )
        )
    return rows


def _rank(rows: Sequence[CalibrationRow]) -> list[CalibrationRow]:
    """The rows with their ranks, among those that can be compared with the profile if there are any."""
    shared = [row for row in rows if row.profile_speedup is not None]
    here = sorted(shared or rows, key=lambda row: -row.here.speedup)
    there = sorted(shared, key=lambda row: -(row.profile_speedup or 0))
    return [
        dataclasses.replace(
            row,
            rank=here.index(row) + 1 if row in here else None,
            profile_rank=there.index(row) + 1 if row in there else None,
        )
        for row in rows
    ]


def _notes(rows: Sequence[CalibrationRow], profile: PauseProfile | None, conditions: Mapping[str, Any]) -> list[str]:
    notes = []
    if profile is None:
        notes.append("The checkpoint has no profile to compare with, so that no mean IoU is known.")
    else:
        if profile.conditions.get("speed") == "macs":
            notes.append("The speed-ups of the profile are those of the multiply-accumulates: they were not timed.")
        differing = [
            f"{what} {_in_words(profile.conditions[name])} there and {_in_words(conditions.get(name))} here"
            for name, what in CONDITIONS.items()
            if name in profile.conditions and profile.conditions[name] != conditions.get(name)
        ]
        if differing and profile.conditions.get("speed") != "macs":
            notes.append(f"The profile was timed under other conditions: {'; '.join(differing)}.")
    notes += [
        f"{row.name} is no faster than the dense model here: {row.here.speedup:.3f} times as fast."
        for row in rows
        if row.here.pause_config and row.here.speedup <= 1
    ]
    shared = [row for row in rows if row.profile_speedup is not None]
    return [*notes, _note_on_order(shared)] if len(shared) > 1 else notes


def _note_on_order(rows: Sequence[CalibrationRow]) -> str:
    """Whether the order by speed is that of the profile, up to differences that a repetition would show as well."""
    swapped = []
    for pair in itertools.combinations(rows, 2):
        slow, fast = sorted(pair, key=lambda row: row.profile_speedup or 0)
        gain_there = (fast.profile_speedup or 1) / (slow.profile_speedup or 1) - 1
        loss_here = slow.here.speedup / fast.here.speedup - 1
        if gain_there > SMALLEST_DIFFERENCE and loss_here > max(SMALLEST_DIFFERENCE, (slow.spread + fast.spread) / 2):
            swapped.append(
                f"{fast.name} is faster than {slow.name} in the profile ({fast.profile_speedup:.3f} against "
                f"{slow.profile_speedup:.3f} times the dense model) and slower here ({fast.here.speedup:.3f} against "
                f"{slow.here.speedup:.3f})"
            )
    if not swapped:
        return "The order by speed is that of the profile."
    more = f"; and {len(swapped) - MAX_PAIRS} more pairs" if len(swapped) > MAX_PAIRS else ""
    return f"The order by speed is not that of the profile: {'; '.join(swapped[:MAX_PAIRS])}{more}."


def _in_words(condition: Any) -> str:
    if isinstance(condition, Mapping):
        return " ".join(f"{name}={value}" for name, value in condition.items()) or "none"
    return " x ".join(map(str, condition)) if isinstance(condition, (list, tuple)) else str(condition)


def _format_table(rows: Sequence[CalibrationRow]) -> str:
    """One line for each configuration; columns that would be empty are left out."""
    columns = {
        "preset": [", ".join(row.presets) for row in rows],
        "pause configuration": [row.here.name if row.here.pause_config else "dense" for row in rows],
        "mIoU": [_cell(row.here.mean_iou, lambda value: f"{100 * value:.2f}") for row in rows],
        "images/s": [_cell(row.here.images_per_second, "{:.4g}".format) for row in rows],
        "speed-up": [_cell(row.here.speedup, "{:.3f}".format) for row in rows],
        "in the profile": [_cell(row.profile_speedup, "{:.3f}".format) for row in rows],
        "rank": [_cell(row.rank, str) for row in rows],
        "rank in the profile": [_cell(row.profile_rank, str) for row in rows],
    }
    lines: list[list[str]] = [[] for _ in range(len(rows) + 2)]
    for heading, cells in columns.items():
        if not any(cells):
            continue
        width = max(map(len, [heading, *cells]))
        is_text = heading in ("preset", "pause configuration")
        for line, cell in zip(lines, [heading, "-" * width, *cells], strict=True):
            line.append(cell.ljust(width) if is_text else cell.rjust(width))
    return "".join("  ".join(line).rstrip() + "\n" for line in lines)


def _cell(value: Any, form: Callable[[Any], str]) -> str:
    return "" if value is None else form(value)


__all__ = ["Calibration", "CalibrationRow", "calibrate_throughput"]
