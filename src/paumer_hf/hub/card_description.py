# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What a model card is rendered from: a small YAML file of names, and the results files that it points to."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from paumer_hf.data.dataset_descriptions import DATASET_DESCRIPTIONS, DatasetDescription
from paumer_hf.evaluation.results import read_results
from paumer_hf.search.presets import PRESET_DROPS


@dataclass(frozen=True)
class CardDescription:
    """The fields of a card's YAML file. Files are named relative to the folder of the file.

    Attributes:
        title: Heading of the card.
        repository: Hub id, OWNER/NAME.
        summary: What the model is, in one sentence.
        dataset: Registered name of the data set.
        dataset_title: Its name for people.
        datasets: Hub ids or names for the metadata.
        license: For the metadata; "other" needs the two fields that follow.
        recipes: Recipes of the training, in their order, relative to the repository.
        search: search.json of scripts/search_pause_config.py.
        frontier: Picture of mIoU against speed.
        license_name: Name of a licence that the Hub does not know.
        license_link: Its address.
        base_model: Hub id of the model that the training began with, if one.
        with_code: Whether the model's code goes along with it to the Hub.
        evaluation: evaluation.json of scripts/evaluate.py, with pausing by entropy and at random.
        benchmark: benchmark.json of scripts/benchmark.py.
        onnx: Results of scripts/benchmark_onnx.py.
        pictures: Pictures of what paused where, each with `file` and `caption`.
        preset_drops: The rule of the presets, as in `make_presets`.
        limits: Sentences on limits of this model alone.
    """

    title: str
    repository: str
    summary: str
    dataset: str
    dataset_title: str
    datasets: list[str]
    license: str
    recipes: list[str]
    search: str
    frontier: str
    license_name: str | None = None
    license_link: str | None = None
    base_model: str | None = None
    with_code: bool = True
    evaluation: str | None = None
    benchmark: str | None = None
    onnx: str | None = None
    pictures: list[dict[str, str]] = field(default_factory=list)
    preset_drops: dict[str, float] = field(default_factory=lambda: dict(PRESET_DROPS))
    limits: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class CardSources:
    """A description with the contents of its results files.

    Attributes:
        name: Name of the card, that of its file.
        description: The description.
        dataset: Description of the data set.
        search: Contents of search.json.
        evaluation: Contents of evaluation.json, or None.
        benchmark: Contents of benchmark.json, or None.
        onnx: Contents of the results of ONNX, or None.
    """

    name: str
    description: CardDescription
    dataset: DatasetDescription
    search: Mapping[str, Any]
    evaluation: Mapping[str, Any] | None
    benchmark: Mapping[str, Any] | None
    onnx: Mapping[str, Any] | None


def read_card_sources(path: Path) -> CardSources:
    """Read a card's YAML file and every results file that it names.

    Args:
        path: The YAML file.

    Raises:
        ValueError: If a field is unknown, missing or of the wrong type, or a file is missing or no results file.
    """
    description = _read_description(path)
    if description.dataset not in DATASET_DESCRIPTIONS:
        raise ValueError(
            f"`dataset` in {path} must be one of {sorted(DATASET_DESCRIPTIONS)}, but is {description.dataset!r}."
        )
    for name in [description.frontier, *(picture["file"] for picture in description.pictures)]:
        _existing(path, name)
    for name in description.recipes:
        if not (path.parent.parent / name).is_file():
            raise ValueError(f"{path} names the recipe {name}, which is missing; correct its name.")
    search = read_results(_existing(path, description.search))
    optional = (description.evaluation, description.benchmark, description.onnx)
    results = [None if name is None else read_results(_existing(path, name)) for name in optional]
    return CardSources(path.stem, description, DATASET_DESCRIPTIONS[description.dataset], search, *results)


def _read_description(path: Path) -> CardDescription:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no YAML ({' '.join(str(error).split())}); correct it.") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path} must hold fields with values, but holds {values!r}.")
    fields = {item.name: item for item in dataclasses.fields(CardDescription)}
    for name in values:
        if name not in fields:
            raise ValueError(f"Unknown field {name!r} in {path}; the fields are {list(fields)}.")
    nothing = dataclasses.MISSING
    for name, item in fields.items():
        if name not in values and item.default is nothing and item.default_factory is nothing:
            raise ValueError(f"The field {name!r} in {path} is missing; add it.")
    _check_types(path, values)
    return CardDescription(**values)


def _check_types(path: Path, values: Mapping[str, Any]) -> None:
    lists = ("datasets", "recipes", "pictures", "limits")
    kinds = {**dict.fromkeys(lists, list), "preset_drops": dict, "with_code": bool}
    optional = {item.name for item in dataclasses.fields(CardDescription) if item.default is None}
    for name, value in values.items():
        kind = kinds.get(name, str)
        if not (value is None and name in optional) and not isinstance(value, kind):
            raise ValueError(f"`{name}` in {path} must be a {kind.__name__}, but is {value!r}.")
    for picture in values.get("pictures", []):
        if not isinstance(picture, dict) or set(picture) != {"file", "caption"}:
            raise ValueError(f"`pictures` in {path} must each have `file` and `caption`, but one is {picture!r}.")


def _existing(path: Path, name: str) -> Path:
    place = path.parent / name
    if not place.is_file():
        raise ValueError(f"{path} names {name}, but {place} is missing; make it with the command that writes it.")
    return place


__all__ = ["CardDescription", "CardSources", "read_card_sources"]
