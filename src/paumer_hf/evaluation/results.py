# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Results: JSON files with the conditions under which numbers hold, and tables of them."""

import datetime
import json
import math
import os
import platform
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers

from paumer_hf.files import atomic_path


RECORDED_VARIABLES = ("GLIBC_TUNABLES", "KMP_", "LD_PRELOAD", "MALLOC_", "MKL_", "OMP_")
"""Beginnings of the names of environment variables that change how fast a computation is."""

# Key, heading, and form of a number in a table, in the order of the columns.
_COLUMNS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("pause_config", "pause configuration", lambda text: text or "dense"),
    ("criterion", "criterion", str),
    ("mean_iou", "mIoU", lambda value: f"{100 * value:.2f}"),
    ("mean_iou_interval", "95 %", lambda bounds: _interval_in_percent(bounds, ".1f")),
    ("mean_iou_spread", "± seeds", lambda value: f"{100 * value:.2f}"),
    ("mean_iou_difference", "difference", lambda value: f"{100 * value:+.2f}"),
    ("mean_iou_difference_interval", "95 % of it", lambda bounds: _interval_in_percent(bounds, "+.2f")),
    ("mean_accuracy", "class accuracy", lambda value: f"{100 * value:.2f}"),
    ("overall_accuracy", "pixel accuracy", lambda value: f"{100 * value:.2f}"),
    ("images_per_second", "images/s", lambda value: f"{value:.4g}"),
    ("gigamacs", "GMACs", lambda value: f"{value:.4g}"),
    ("speedup", "speed-up", lambda value: f"{value:.3f}"),
    ("predicted_speedup", "by MACs", lambda value: f"{value:.3f}"),
    ("efficiency", "efficiency", lambda value: f"{value:.3f}"),
)


def environment_conditions(device: torch.device | str = "cpu") -> dict[str, Any]:
    """Return what a measurement depends on beside its own settings: machine, versions, commit, environment.

    Args:
        device: Where the model runs.
    """
    device = torch.device(device)
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else _cpu_name(),
        "num_threads": torch.get_num_threads(),
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "platform": platform.platform(),
        "git": _git_state(),
        "environment": {
            name: value for name, value in sorted(os.environ.items()) if name.startswith(RECORDED_VARIABLES)
        },
    }


def write_results(path: str | Path, results: Mapping[str, Any]) -> None:
    """Write results as JSON in one step, so that no reader ever sees half a file. nan and infinity become null."""
    write_text(path, json.dumps(_finite(results), indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def write_text(path: str | Path, text: str) -> None:
    """Write a text file in one step; missing folders are made."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_results(path: str | Path) -> dict[str, Any]:
    """Read a file of `write_results`.

    Raises:
        ValueError: If the file is no JSON object with a list of `results`.
    """
    try:
        contents = json.loads(Path(path).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path} is no JSON file ({error}). Name a file that evaluate.py or benchmark.py wrote."
        ) from None
    if not isinstance(contents, dict) or not isinstance(contents.get("results"), list):
        raise ValueError(f"{path} has no list of results. Name a file that evaluate.py or benchmark.py wrote.")
    return contents


def join_results(
    evaluations: Sequence[Mapping[str, Any]], timings: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Join the mean IoU and the throughput of each pause configuration that has both.

    Pausing at random processes as many tokens as pausing by entropy. Where random pausing was not timed, it takes the
    throughput of the same configuration by entropy.

    Args:
        evaluations: Results of `evaluate_model`.
        timings: Results of `measure_throughput`.
    """
    timed = {(timing["pause_config"], timing["criterion"]): timing for timing in timings}
    joined = []
    for evaluation in evaluations:
        text, criterion = evaluation["pause_config"], evaluation["criterion"]
        timing = timed.get((text, criterion), timed.get((text, "entropy")))
        if timing is not None:
            joined.append({**timing, **evaluation})
    return joined


def format_table(results: Sequence[Mapping[str, Any]], markdown: bool = False) -> str:
    """Return a table of results, one line each, with the columns that any of them has.

    The columns are aligned in both forms.

    Args:
        results: Results of `evaluate_model` or `measure_throughput`, or both joined.
        markdown: Whether to write a Markdown table.
    """
    columns = [column for column in _COLUMNS if any(column[0] in result for result in results)]
    cells = [[heading for _, heading, _ in columns]]
    cells += [[_cell(result, key, form) for key, _, form in columns] for result in results]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    is_text = [key in ("pause_config", "criterion") for key, _, _ in columns]
    rule = [
        "-" * width if left or not markdown else "-" * (width - 1) + ":"
        for width, left in zip(widths, is_text, strict=True)
    ]
    lines = []
    for line in [cells[0], rule, *cells[1:]]:
        padded = [
            cell.ljust(width) if left else cell.rjust(width)
            for cell, width, left in zip(line, widths, is_text, strict=True)
        ]
        lines.append(f"| {' | '.join(padded)} |" if markdown else "  ".join(padded).rstrip())
    return "\n".join(lines) + "\n"


def _cell(result: Mapping[str, Any], key: str, form: Callable[[Any], str]) -> str:
    value = result.get(key)
    if value is None or (key == "criterion" and not result["pause_config"]):
        return ""
    return form(value)


def _interval_in_percent(bounds: Sequence[float | None], form: str) -> str:
    """Write an interval of fractions as `41.2 to 43.9`; a bound that was nan is read from a file as None."""
    return " to ".join("?" if bound is None else format(100 * bound, form) for bound in bounds)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _git_state() -> dict[str, Any] | None:
    """Return the commit of the checkout that this package runs from and whether files differ; None if installed."""
    package = Path(__file__).resolve().parents[1]

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(package), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()

    try:
        # An environment inside another project's checkout must not report that project's commit.
        if Path(git("rev-parse", "--show-toplevel")) / "src" / "paumer_hf" != package:
            return None
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None


__all__ = [
    "RECORDED_VARIABLES",
    "environment_conditions",
    "format_table",
    "join_results",
    "read_results",
    "write_results",
    "write_text",
]
