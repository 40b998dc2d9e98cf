# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads what other publications measured, group by group: only within a group do absolute numbers compare."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


FAMILIES = ("pausing", "merging", "sharing", "clustering", "pruning", "dense")

_TEXTS = ("architecture", "family", "backbone", "dataset")
_NUMBERS = (
    "mean_iou",
    "dense_mean_iou",
    "mean_iou_change",
    "images_per_second",
    "dense_images_per_second",
    "speedup",
)


@dataclass(frozen=True)
class PublishedResult:
    """One model of a publication.

    Attributes:
        architecture: Name of the method.
        family: How it saves computation, one of `FAMILIES`.
        backbone: Short name of the size, such as "Ti".
        dataset: Short name of the data set, such as "ade20k".
        speedup: Images/s over those of the source's own dense model; None where it has none.
        mean_iou_change: mIoU minus that of the source's own dense model, in points; None where it has none.
        mean_iou: In percent; None where the source prints the change alone.
        images_per_second: None where the source prints the speed-up alone.
        dense_mean_iou: Of the source's own dense model, in percent.
        dense_images_per_second: Of the source's own dense model.
    """

    architecture: str
    family: str
    backbone: str
    dataset: str
    speedup: float | None = None
    mean_iou_change: float | None = None
    mean_iou: float | None = None
    images_per_second: float | None = None
    dense_mean_iou: float | None = None
    dense_images_per_second: float | None = None


@dataclass(frozen=True)
class PublishedGroup:
    """What one source measured in one way.

    Attributes:
        name: Short name.
        source: Where the numbers stand.
        device: What was timed on, or that the source does not say so.
        protocol: How it was timed.
        results: The models.
    """

    name: str
    source: str
    device: str
    protocol: str
    results: tuple[PublishedResult, ...]


def read_published_results(path: str | Path) -> list[PublishedGroup]:
    """Read a file such as `model_cards/published_results.yaml`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no YAML, or a group or a result lacks a field, has an unknown one or a wrong value.
    """
    try:
        contents = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no YAML file: {error}") from None
    groups = contents.get("groups") if isinstance(contents, Mapping) else None
    if not isinstance(groups, list) or not groups:
        raise ValueError(f"{path} must have a list `groups` of what each source measured. Add one.")
    return [_read_group(group, f"{path}, group {place}") for place, group in enumerate(groups, start=1)]


def _read_group(group: Any, where: str) -> PublishedGroup:
    names = ("name", "source", "device", "protocol")
    _check_fields(group, (*names, "results"), (*names, "results"), where)
    for name in names:
        if not isinstance(group[name], str) or not group[name]:
            raise ValueError(f"{where}: `{name}` must be a text, but is {group[name]!r}.")
    if not isinstance(group["results"], list) or not group["results"]:
        raise ValueError(f"{where}: `results` must be a list of models. Add one.")
    results = tuple(
        _read_result(result, f"{where} ({group['name']}), result {place}")
        for place, result in enumerate(group["results"], start=1)
    )
    return PublishedGroup(**{name: group[name] for name in names}, results=results)


def _read_result(result: Any, where: str) -> PublishedResult:
    _check_fields(result, _TEXTS, (*_TEXTS, *_NUMBERS), where)
    for name in _TEXTS:
        if not isinstance(result[name], str):
            raise ValueError(f"{where}: `{name}` must be a text, but is {result[name]!r}. Put quotes around it.")
    for name in _NUMBERS:
        value = result.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ValueError(f"{where}: `{name}` must be a number, but is {value!r}.")
    if result["family"] not in FAMILIES:
        raise ValueError(f"{where}: `family` must be one of {', '.join(FAMILIES)}, but is {result['family']!r}.")
    fields = dict(result)
    _derive(fields, "mean_iou_change", "mean_iou", lambda value, dense: value - dense, where)
    _derive(fields, "speedup", "images_per_second", lambda value, dense: value / dense, where)
    found = PublishedResult(**fields)
    relative = found.speedup is not None and found.mean_iou_change is not None
    if not relative and (found.mean_iou is None or found.images_per_second is None):
        raise ValueError(
            f"{where}: give mIoU and images/s, or speed-up and change of mIoU over the source's own dense model."
        )
    return found


def _derive(fields: dict[str, Any], name: str, absolute: str, compute: Any, where: str) -> None:
    """Compute a relative number from the absolute ones, unless it stands alone."""
    value, dense = fields.get(absolute), fields.get(f"dense_{absolute}")
    if value is None or dense is None:
        return
    if fields.get(name) is not None:
        raise ValueError(f"{where}: `{name}` follows from `{absolute}` and `dense_{absolute}`. Leave it out.")
    if dense <= 0:
        raise ValueError(f"{where}: `dense_{absolute}` must be positive, but is {dense}.")
    fields[name] = compute(value, dense)


def _check_fields(values: Any, needed: tuple[str, ...], known: tuple[str, ...], where: str) -> None:
    if not isinstance(values, Mapping):
        raise ValueError(f"{where}: must have the fields {', '.join(needed)}, but is {values!r}.")
    missing = [name for name in needed if name not in values]
    unknown = [str(name) for name in values if name not in known]
    if missing:
        raise ValueError(f"{where}: `{missing[0]}` is missing.")
    if unknown:
        raise ValueError(f"{where}: `{unknown[0]}` is no known field. Use {', '.join(known)}.")


__all__ = ["FAMILIES", "PublishedGroup", "PublishedResult", "read_published_results"]
