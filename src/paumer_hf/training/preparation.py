# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""From the fields of a recipe to what a training works with: data, augmentation, model and image processor."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError

from paumer_hf import PaumerConfig, PaumerForSemanticSegmentation, PaumerImageProcessor, PauseConfig
from paumer_hf.conversion import ConvertedWeights, model_from_weights, read_weights
from paumer_hf.data import (
    DatasetDescription,
    SegmentationDataset,
    TrainingTransform,
    get_dataset_description,
    load_segmentation_dataset,
)
from paumer_hf.training.recipe import TrainingRecipe


Channels = tuple[float, ...]

# What Segmenter and the ViTs that it starts from take as mean and as standard deviation.
DEFAULT_NORMALISATION = (0.5, 0.5, 0.5)


def describe_dataset(recipe: TrainingRecipe) -> DatasetDescription:
    """The data set of a recipe: the registered description, with what the recipe says instead."""
    names = ("image_column", "annotation_column", "id_column", "train_split", "validation_split", "label_mapping")
    overrides: dict[str, Any] = {name: getattr(recipe, name) for name in names if getattr(recipe, name) is not None}
    if recipe.class_names is not None:
        overrides["class_names"] = tuple(recipe.class_names)
    return get_dataset_description(recipe.dataset, **overrides)


def load_split(recipe: TrainingRecipe, description: DatasetDescription, split: str) -> SegmentationDataset:
    """The training or validation split of a recipe's data set."""
    options: dict[str, Any] = {}
    if description.name == "street_scenes" and recipe.dataset_path is None:
        number = recipe.num_train_scenes if split == "train" else recipe.num_validation_scenes
        options = {"size": pair(recipe.scene_size), "num_samples": number}
    return load_segmentation_dataset(description, split, recipe.dataset_path, **options)


def is_paumer_checkpoint(name_or_path: str) -> bool:
    """Whether a folder or Hub id holds a PAUMER checkpoint, and not weights of another origin."""
    if Path(name_or_path).is_file():
        return False
    try:
        fields, _ = PaumerConfig.get_config_dict(name_or_path)
    except (OSError, ValueError, AttributeError):  # no configuration, or none that is a mapping
        return False
    return fields.get("model_type") == PaumerConfig.model_type


def read_starting_weights(recipe: TrainingRecipe) -> ConvertedWeights | None:
    """The converted weights that a recipe starts from, if `init_from` names any of another origin.

    Raises:
        ConversionError: If they cannot be converted.
    """
    if recipe.init_from is None or is_paumer_checkpoint(recipe.init_from):
        return None
    return read_weights(recipe.init_from)


def normalisation(recipe: TrainingRecipe, weights: ConvertedWeights | None = None) -> tuple[Channels, Channels]:
    """Mean and standard deviation of each channel: the recipe's, else those of what it starts from, else 0.5.

    Args:
        recipe: The recipe.
        weights: What `read_starting_weights` returned for it.
    """
    if recipe.image_mean is not None and recipe.image_std is not None:
        return tuple(recipe.image_mean), tuple(recipe.image_std)  # `init_from` need not be read, or be there
    mean: Channels = DEFAULT_NORMALISATION
    std: Channels = DEFAULT_NORMALISATION
    if weights is not None:
        mean, std = weights.image_mean, weights.image_std
    elif recipe.init_from is not None and is_paumer_checkpoint(recipe.init_from):
        try:
            processor = PaumerImageProcessor.from_pretrained(recipe.init_from)
            if processor.do_normalize:
                mean, std = _three(processor.image_mean), _three(processor.image_std)
            else:
                mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
        except OSError:
            pass  # a checkpoint without an image processor says nothing
    return tuple(recipe.image_mean or mean), tuple(recipe.image_std or std)


def _three(values: float | Sequence[float]) -> Channels:
    """One value for each channel; image processors take one number for all as well."""
    return (float(values),) * 3 if isinstance(values, int | float) else tuple(values)


def with_normalisation(recipe: TrainingRecipe, weights: ConvertedWeights | None = None) -> TrainingRecipe:
    """The recipe with the normalisation that it means written out."""
    mean, std = normalisation(recipe, weights)
    return dataclasses.replace(recipe, image_mean=list(mean), image_std=list(std))


def make_transform(recipe: TrainingRecipe) -> TrainingTransform:
    """The augmentation of a recipe."""
    mean, std = normalisation(recipe)
    return TrainingTransform(
        crop_size=pair(recipe.crop_size),
        resize_short_side=recipe.resize_short_side,
        scale_range=pair(recipe.scale_range),
        cat_max_ratio=recipe.cat_max_ratio,
        flip_probability=recipe.flip_probability,
        photometric_distortion=recipe.photometric_distortion,
        image_mean=(mean[0], mean[1], mean[2]),
        image_std=(std[0], std[1], std[2]),
    )


def make_model(
    recipe: TrainingRecipe, description: DatasetDescription, weights: ConvertedWeights | None = None
) -> PaumerForSemanticSegmentation:
    """A new model, or the one that the recipe starts from, with the classes of the data set.

    Args:
        recipe: The recipe.
        description: Its data set.
        weights: What `read_starting_weights` returned for it; None reads them here.

    Raises:
        ValueError: If the fields make no model, or the checkpoint to start from has another number of classes.
    """
    known = {field.name for field in dataclasses.fields(PaumerConfig)}
    unknown = sorted(set(recipe.config_overrides or {}) - known)
    if unknown:
        raise ValueError(f"`config_overrides` has the unknown field {unknown[0]!r}; the fields are {sorted(known)}.")
    try:
        model = _make_model(recipe, description, weights or read_starting_weights(recipe))
    except (StrictDataclassError, RuntimeError) as error:
        raise ValueError(f"The recipe makes no model: {error}") from error
    if recipe.gradient_checkpointing:
        model.gradient_checkpointing_enable()
    return model


def _make_model(
    recipe: TrainingRecipe, description: DatasetDescription, weights: ConvertedWeights | None
) -> PaumerForSemanticSegmentation:
    names = ("train_pause_layers", "train_pause_ratios", "train_num_pause_layers", "train_pause_criterion")
    fields = {name: getattr(recipe, name) for name in names if getattr(recipe, name) is not None}
    fields = {"train_pause_seed": recipe.seed, **fields, **(recipe.config_overrides or {})}
    labels = {"id2label": description.id2label, "label2id": description.label2id}
    if recipe.init_from is None:
        fields = {"image_size": pair(recipe.crop_size), **fields}
        return PaumerForSemanticSegmentation(PaumerConfig.from_size(recipe.model_size, **labels, **fields))
    if weights is not None:
        _check_classes(recipe, weights.config.get("num_labels"), description)
        if weights.config.get("position_embedding_type") != "rotary":
            # As Segmenter does: position embeddings are learned on for the grid of the training crops.
            fields = {"image_size": pair(recipe.crop_size), **fields}
        image_size = fields.pop("image_size", None)
        return model_from_weights(weights, id2label=description.id2label, image_size=image_size, config=fields)
    _check_classes(recipe, PaumerConfig.from_pretrained(recipe.init_from).num_labels, description)
    # Half-precision checkpoints too: mixed precision computes in less, the weights are trained in float32.
    return PaumerForSemanticSegmentation.from_pretrained(recipe.init_from, dtype=torch.float32, **labels, **fields)


def _check_classes(recipe: TrainingRecipe, num_labels: int | None, description: DatasetDescription) -> None:
    if num_labels not in (None, description.num_labels):
        raise ValueError(
            f"`init_from` {recipe.init_from} has {num_labels} classes, but the data set {description.name!r} "
            f"has {description.num_labels}. Start from a checkpoint of the same classes."
        )


def make_processor(recipe: TrainingRecipe, patch_size: int) -> PaumerImageProcessor:
    """The image processor that belongs to a recipe's model."""
    mean, std = normalisation(recipe)
    height, width = pair(recipe.crop_size)
    return PaumerImageProcessor(
        size={"height": height, "width": width},
        image_mean=list(mean),
        image_std=list(std),
        size_divisor=patch_size,
    )


def read_pause_config(text: str) -> PauseConfig:
    """A pause configuration from its text form, or `dense`."""
    return PauseConfig() if text == "dense" else PauseConfig.from_text(text)


def pair(values: list | None) -> Any:
    """A list of two from a recipe as the tuple that functions take; None stays None."""
    return None if values is None else (values[0], values[1])


__all__ = [
    "describe_dataset",
    "is_paumer_checkpoint",
    "load_split",
    "make_model",
    "make_processor",
    "make_transform",
    "normalisation",
    "pair",
    "read_pause_config",
    "read_starting_weights",
    "with_normalisation",
]
