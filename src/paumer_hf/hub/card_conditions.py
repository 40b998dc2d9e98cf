# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Under which conditions the numbers of a card hold, in words; what names a machine's folders is left out."""

from collections.abc import Mapping, Sequence
from typing import Any


def describe_accuracy(conditions: Mapping[str, Any], dataset_title: str, num_images: int) -> str:
    """How mean IoU was measured, from the conditions of search.json or evaluation.json."""
    settings = conditions.get("evaluation", conditions)
    parts = [f"{dataset_title}, {count(num_images, 'image')} of the split `{conditions['split']}`"]
    if settings.get("window_size"):
        parts.append(f"sliding windows of {size(settings['window_size'])} pixels, stride {size(settings['stride'])}")
    if settings.get("resize_short_side"):
        parts.append(f"shorter side resized to {settings['resize_short_side']} pixels")
    scales = settings.get("scales") or [1.0]
    parts.append("single scale" if list(scales) == [1.0] else f"scales {', '.join(map(str, scales))}")
    if settings.get("flip"):
        parts.append("averaged with mirror images")
    parts.append(f"computed in {settings.get('dtype') or conditions['weights_dtype']}")
    if conditions.get("num_resamples"):
        parts.append(f"95 % intervals by resampling the images {conditions['num_resamples']} times")
    return f"{'; '.join(parts)}; seed {settings.get('seed', 0)}."


def describe_speed(conditions: Mapping[str, Any]) -> str:
    """How speed was measured, from the conditions of search.json or benchmark.json."""
    parts = [f"{conditions['device']}, {count(conditions['num_threads'], 'thread')}", conditions["dtype"]]
    parts.append(f"batches of {count(conditions['batch_size'], 'image')} of {size(conditions['image_size'])} pixels")
    parts.append(f"{conditions['attention']} attention")
    parts.append("compiled" if conditions.get("compiled") else "not compiled")
    if conditions.get("speed") == "macs":
        return f"{', '.join(parts)}. The speed-up is that of the multiply-accumulates; it was not timed."
    rounds = conditions.get("confirmation_rounds") or conditions.get("num_rounds")
    if rounds:
        parts.append(f"median of {rounds} rounds in which dense model and configurations took turns")
    return f"{', '.join(parts)}."


def describe_software(conditions: Mapping[str, Any]) -> str:
    """Versions, commit and day of a measurement."""
    versions = [("Python", "python"), ("torch", "torch"), ("transformers", "transformers"), ("onnxruntime",) * 2]
    parts = [f"{name} {conditions[key]}" for name, key in versions if conditions.get(key)]
    git = conditions.get("git")
    if git is None:
        commit = "an installed package without a commit"
    else:
        commit = f"commit `{git['commit'][:12]}` of paumer_hf{' with changes' if git['dirty'] else ''}"
    return f"{', '.join([*parts, commit])}; {conditions['date'][:10]}."


def size(sides: Sequence[int]) -> str:
    """(height, width) as people write it."""
    return " x ".join(map(str, sides))


def count(quantity: int, noun: str) -> str:
    """A number with its noun: "1 thread", "2 threads"."""
    return f"{quantity} {noun}{'' if quantity == 1 else 's'}"


__all__ = ["count", "describe_accuracy", "describe_software", "describe_speed", "size"]
