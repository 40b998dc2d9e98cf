# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""From the fields of a recipe to what a training works with: data, augmentation, model and image processor."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType, DynamoBackend
from huggingface_hub.errors import StrictDataclassError
from torch.distributed.fsdp import CPUOffloadPolicy, MixedPrecisionPolicy

from paumer_hf import PaumerConfig, PaumerForSemanticSegmentation, PaumerImageProcessor, PauseConfig
from paumer_hf.conversion import ConvertedWeights, model_from_weights, read_weights
from paumer_hf.data import (
    DatasetDescription,
    SegmentationDataset,
    SegmentationStream,
    TrainingTransform,
    get_dataset_description,
    load_segmentation_dataset,
)
from paumer_hf.data.hub_datasets import describe_source, resolve_revision
from paumer_hf.data.transforms import IGNORE_INDEX
from paumer_hf.evaluation.table_1 import read_pause_config
from paumer_hf.training.recipe import TrainingRecipe


Channels = tuple[float, ...]

# What Segmenter and the ViTs that it starts from take as mean and as standard deviation.
DEFAULT_NORMALISATION = (0.5, 0.5, 0.5)


def make_accelerator(recipe: TrainingRecipe) -> Accelerator:
    """The accelerator of a recipe, in the processes that a launcher has started.

    Raises:
        ValueError: If the launcher was told to share the weights among processes in a way that is not supported.
    """
    accelerator = Accelerator(
        mixed_precision=recipe.mixed_precision, log_with=recipe.report_to, project_dir=recipe.output_dir
    )
    kind = accelerator.distributed_type
    supported = (DistributedType.NO, DistributedType.MULTI_CPU, DistributedType.MULTI_GPU, DistributedType.FSDP)
    if kind not in supported:
        raise ValueError(
            f"Training runs on one process, with DDP or with FSDP, but the launcher was told to use {kind.value}. "
            "Choose one of these by `accelerate config` or by flags of `accelerate launch`."
        )
    if kind == DistributedType.FSDP and accelerator.state.fsdp_plugin.fsdp_version != 2:
        raise ValueError(
            "FSDP is supported in its second version, but the launcher was told to use the first. Pass "
            "`--fsdp_version 2` to `accelerate launch`."
        )
    if kind == DistributedType.FSDP:
        _set_up_fsdp(accelerator.state.fsdp_plugin)
    if accelerator.state.dynamo_plugin.backend != DynamoBackend.NO:
        raise ValueError(
            "Training is not compiled, because every pause configuration would be compiled anew, but the launcher was "
            "told to. Pass `--dynamo_backend no` to `accelerate launch`."
        )
    accelerator.gradient_accumulation_steps = 1  # whatever the launcher says: `per_device_batch_size` decides
    return accelerator


def _set_up_fsdp(plugin: Any) -> None:
    """Compute as DDP does, and refuse what training does not support."""
    settings = {
        "fsdp_offload_params": isinstance(plugin.cpu_offload, CPUOffloadPolicy),
        "fsdp_activation_checkpointing": plugin.activation_checkpointing,
    }
    for name, is_set in settings.items():
        if is_set:
            raise ValueError(
                f"Training does not support `{name}`, which the launcher was told to use. Turn it off; the recipe's "
                "`gradient_checkpointing` saves memory."
            )
    # accelerate would reduce gradients and return losses in half precision besides autocast, which DDP does not.
    plugin.mixed_precision_policy = MixedPrecisionPolicy()


def num_accumulated_batches(batch_size: int, num_processes: int, per_device_batch_size: int | None) -> int:
    """The number of batches that each process computes for one step of the optimiser.

    Args:
        batch_size: Images of a step over all processes.
        num_processes: Number of processes.
        per_device_batch_size: Most images that a process computes at once; None for its whole part.

    Raises:
        ValueError: If there are more processes than images.
    """
    if num_processes > batch_size:
        raise ValueError(
            f"`batch_size` must be at least the number of processes, but is {batch_size} with {num_processes} "
            "processes. Start fewer processes, or raise `batch_size`."
        )
    largest_part = -(-batch_size // num_processes)
    return -(-largest_part // (per_device_batch_size or largest_part))


def with_dataset_revision(recipe: TrainingRecipe, previous: Mapping[str, Any] | None) -> TrainingRecipe:
    """The recipe with the commit of the Hub's data set written out: the one of the checkpoint, else the newest.

    A data set that changes while a training runs for days, or between two parts of it, would make it another training.

    Args:
        recipe: The recipe.
        previous: The fields that the checkpoint was written with, if the training goes on.
    """
    description = describe_dataset(recipe)
    path = recipe.dataset_path or description.path
    if path is None:
        return recipe
    revision = recipe.dataset_revision
    if revision is None and previous is not None and previous.get("dataset_path") == recipe.dataset_path:
        revision = previous.get("dataset_revision")
    revision = resolve_revision(path, revision or describe_source(description, path).revision)
    return dataclasses.replace(recipe, dataset_revision=revision)


def describe_dataset(recipe: TrainingRecipe) -> DatasetDescription:
    """The data set of a recipe: the registered description, with what the recipe says instead."""
    names = ("image_column", "annotation_column", "id_column", "train_split", "validation_split", "label_mapping")
    overrides: dict[str, Any] = {name: getattr(recipe, name) for name in names if getattr(recipe, name) is not None}
    if recipe.class_names is not None:
        overrides["class_names"] = tuple(recipe.class_names)
    return get_dataset_description(recipe.dataset, **overrides)


def load_split(
    recipe: TrainingRecipe, description: DatasetDescription, split: str
) -> SegmentationDataset | SegmentationStream:
    """The training or validation split of a recipe's data set."""
    options: dict[str, Any] = {"revision": recipe.dataset_revision}
    if split == "train" and recipe.streaming:
        options |= {"streaming": True, "buffer_size": recipe.streaming_buffer_size}
    if description.name == "street_scenes" and recipe.dataset_path is None:
        number = recipe.num_train_scenes if split == "train" else recipe.num_validation_scenes
        options |= {"size": pair(recipe.scene_size), "num_samples": number}
    return load_segmentation_dataset(description, split, recipe.dataset_path, **options)


def is_paumer_checkpoint(name_or_path: str, revision: str | None = None) -> bool:
    """Whether a folder or Hub id holds a PAUMER checkpoint, and not weights of another origin."""
    if Path(name_or_path).is_file():
        return False
    try:
        fields, _ = PaumerConfig.get_config_dict(name_or_path, revision=revision or "main")
    except (OSError, ValueError, AttributeError):  # no configuration, or none that is a mapping
        return False
    return fields.get("model_type") == PaumerConfig.model_type


def read_starting_weights(recipe: TrainingRecipe) -> ConvertedWeights | None:
    """The converted weights that a recipe starts from, if `init_from` names any of another origin.

    Raises:
        ConversionError: If they cannot be converted.
    """
    if recipe.init_from is None or is_paumer_checkpoint(recipe.init_from, recipe.init_revision):
        return None
    return read_weights(
        recipe.init_from,
        kind=recipe.init_kind,
        num_attention_heads=recipe.init_num_attention_heads,
        revision=recipe.init_revision,
    )


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
    elif recipe.init_from is not None and is_paumer_checkpoint(recipe.init_from, recipe.init_revision):
        try:
            processor = PaumerImageProcessor.from_pretrained(recipe.init_from, revision=recipe.init_revision or "main")
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
        resize_long_side=recipe.resize_long_side,
        scale_range=pair(recipe.scale_range),
        cat_max_ratio=recipe.cat_max_ratio,
        flip_probability=recipe.flip_probability,
        photometric_distortion=recipe.photometric_distortion,
        hue_degrees=recipe.hue_degrees,
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
    if model.config.semantic_loss_ignore_index != IGNORE_INDEX:
        raise ValueError(
            f"`semantic_loss_ignore_index` must be {IGNORE_INDEX} in training, which is how data sets mark what is "
            f"ignored, but is {model.config.semantic_loss_ignore_index}. Set it in `config_overrides`."
        )
    if recipe.gradient_checkpointing:
        # transformers 5.23 has the second name, which warns of the first in older versions.
        enable: Any = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
        enable()
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
    revision = recipe.init_revision or "main"
    num_labels = PaumerConfig.from_pretrained(recipe.init_from, revision=revision).num_labels
    _check_classes(recipe, num_labels, description)
    fields |= {"dtype": torch.float32, **labels}
    # Half-precision checkpoints too: mixed precision computes in less, the weights are trained in float32.
    model = PaumerForSemanticSegmentation.from_pretrained(recipe.init_from, revision=revision, **fields)
    model.pause_profile = None  # what was measured of these weights does not hold for those of the training
    return model


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


def read_eval_pause_configs(recipe: TrainingRecipe, model: PaumerForSemanticSegmentation) -> list[PauseConfig]:
    """What a recipe evaluates; a training that pauses at random is evaluated so, with the seed of the recipe.

    Raises:
        ValueError: If one means nothing, or does not fit the model.
    """
    criterion = recipe.train_pause_criterion or "entropy"
    num_layers = model.config.num_hidden_layers
    return [
        read_pause_config(text, num_layers, model.pause_presets, criterion, recipe.seed)
        for text in recipe.eval_pause_configs
    ]


def pair(values: list | None) -> Any:
    """A list of two from a recipe as the tuple that functions take; None stays None."""
    return None if values is None else (values[0], values[1])


__all__ = [
    "describe_dataset",
    "is_paumer_checkpoint",
    "load_split",
    "make_accelerator",
    "make_model",
    "make_processor",
    "make_transform",
    "normalisation",
    "num_accumulated_batches",
    "pair",
    "read_eval_pause_configs",
    "read_starting_weights",
    "with_dataset_revision",
    "with_normalisation",
]
