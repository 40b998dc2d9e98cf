# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The data set that a command line names for an evaluation, by itself or by the recipe of a training."""

from collections.abc import Iterable
from typing import Any

from paumer_hf.data import SegmentationDataset, SegmentationStream, get_dataset_description, load_segmentation_dataset
from paumer_hf.data.dataset_descriptions import DATASET_DESCRIPTIONS
from paumer_hf.data.hub_datasets import HUB_DATASETS
from paumer_hf.evaluation.evaluation_arguments import DatasetArguments
from paumer_hf.training.preparation import describe_dataset, load_split
from paumer_hf.training.recipe import TrainingRecipe, read_recipe


def load_evaluation_data(
    arguments: DatasetArguments, class_names: Iterable[str]
) -> tuple[SegmentationDataset | SegmentationStream, dict[str, Any]]:
    """Load the split of the data set that is named.

    Args:
        arguments: Its name, or a recipe.
        class_names: Classes of the model, for a data set that is not registered.

    Returns:
        The data set, and the fields of `EvaluationSettings` that arguments and recipe decide.

    Raises:
        ValueError: If none is named or two are, or the data set cannot be loaded.
        SystemExit: With one sentence, if the recipe cannot be read.
    """
    recipe = _read_recipe(arguments)
    settings = arguments.settings(vars(recipe) if recipe is not None else None)
    if recipe is not None:
        return load_split(recipe, describe_dataset(recipe), arguments.split), settings
    if arguments.dataset is None:
        raise ValueError("Name the data set by --dataset, or by the --recipe of a training.")
    names = {} if arguments.dataset in {*DATASET_DESCRIPTIONS, *HUB_DATASETS} else {"class_names": class_names}
    description = get_dataset_description(arguments.dataset, **names)
    path, revision = arguments.dataset_path, arguments.dataset_revision
    return load_segmentation_dataset(description, arguments.split, path, revision=revision), settings


def _read_recipe(arguments: DatasetArguments) -> TrainingRecipe | None:
    """The recipe that is named, if any, with the place of the data set that the flags say."""
    if arguments.recipe is None:
        return None
    if arguments.dataset is not None:
        raise ValueError("Name the data set by either --dataset or --recipe.")
    place = {name: getattr(arguments, name) for name in ("dataset_path", "dataset_revision")}
    flags = [text for name, value in place.items() if value is not None for text in (f"--{name}", value)]
    return read_recipe(["--config", arguments.recipe, *flags])


__all__ = ["load_evaluation_data"]
