# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The metadata of a card, which the Hub reads: what the model is, of what data, and what was measured."""

from collections.abc import Mapping
from typing import Any

import yaml

from paumer_hf.hub.card_check import FIXED_METADATA
from paumer_hf.hub.card_description import CardSources
from paumer_hf.model.profile_point import ProfilePoint


TAGS = ("vision", "semantic-segmentation", "token-pausing", "paumer")


def format_metadata(sources: CardSources, presets: Mapping[str, ProfilePoint]) -> str:
    """The metadata as YAML, with an entry of `model-index` for the dense model and each preset."""
    description = sources.description
    licence = {name: getattr(description, name) for name in ("license", "license_name", "license_link")}
    optional = {**licence, "base_model": description.base_model}
    metadata = {
        **FIXED_METADATA,
        **{name: value for name, value in optional.items() if value is not None},
        "datasets": list(description.datasets),
        "tags": [*TAGS, *(["custom_code"] if description.with_code else [])],
        "metrics": ["mean_iou"],
        "model-index": [
            {
                "name": description.repository.rpartition("/")[2],
                "results": [_entry(sources, name, point) for name, point in presets.items()],
            }
        ],
    }
    return yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True, width=1000)


def _entry(sources: CardSources, name: str, point: ProfilePoint) -> dict[str, Any]:
    """What was measured of one preset."""
    which = "dense" if name == "dense" else f"preset {name}, {point.pause_config.to_text() or 'dense'}"
    mean_iou = None if point.mean_iou is None else round(point.mean_iou, 4)
    speed = None if point.images_per_second is None else round(point.images_per_second, 2)
    metrics = [("mean_iou", "mIoU", mean_iou), ("images_per_second", "images/s", speed)]
    return {
        "task": {"type": "image-segmentation", "name": "Semantic segmentation"},
        "dataset": {
            "type": sources.description.datasets[0],
            "name": sources.description.dataset_title,
            "split": sources.search["conditions"]["split"],
        },
        "metrics": [
            {"type": kind, "name": f"{title} ({which})", "value": value}
            for kind, title, value in metrics
            if value is not None
        ],
    }


__all__ = ["TAGS", "format_metadata"]
