# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What a command line chooses: the model, its pause configurations, and the colours of the classes."""

import os
from collections.abc import Sequence

import torch
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from paumer_hf import PaumerForSemanticSegmentation, PaumerImageProcessor, PauseConfig
from paumer_hf.data.dataset_descriptions import default_palette, get_dataset_description
from paumer_hf.evaluation import table_1
from paumer_hf.visualization import Colour


def load_model(
    name_or_path: str, device: str | torch.device | None = None
) -> tuple[PaumerForSemanticSegmentation, PaumerImageProcessor]:
    """The model in eval mode, and its image processor.

    Args:
        name_or_path: Folder or Hub id.
        device: Where the model computes; a GPU where there is one if it is not given.

    Raises:
        ValueError: If they cannot be loaded from there.
    """
    if not os.path.isdir(name_or_path):
        try:
            validate_repo_id(name_or_path)
        except HFValidationError as error:
            raise ValueError(
                f"`model` must be the folder of a checkpoint or a Hub id, OWNER/NAME, but there is no folder "
                f"{name_or_path}, and that is no id either."
            ) from error
    try:
        model = PaumerForSemanticSegmentation.from_pretrained(name_or_path)
        processor = PaumerImageProcessor.from_pretrained(name_or_path)
    except OSError as error:
        said = " ".join(str(error).split())
        cause = "" if error.__cause__ is None else " ".join(str(error.__cause__).split())
        cause = "" if cause in said else f" ({cause})"
        raise ValueError(f"`model` cannot be loaded from {name_or_path}: {said}{cause}") from error
    try:
        model = model.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    except (AssertionError, RuntimeError) as error:  # how torch says that there is no such device
        raise ValueError(f"The model cannot be moved to the device {device!r}: {error}") from error
    return model.eval(), processor


def read_pause_config(
    text: str, model: PaumerForSemanticSegmentation, criterion: str = "entropy", seed: int | None = None
) -> PauseConfig:
    """The pause configuration that a word of a command line means.

    Args:
        text: "dense" for none, "default" for the model's own, the name of one of the model's presets, or layers with
            ratios such as "3:0.4,5:0.4".
        model: The model that it is for.
        criterion: For layers with ratios: "entropy" or "random".
        seed: For the random criterion.

    Raises:
        ValueError: If it means nothing, or does not fit the model.
    """
    presets = {**model.pause_presets, "default": model.pause_config}
    return table_1.read_pause_config(text, model.config.num_hidden_layers, presets, criterion, seed)


def choose_pause_configs(
    model: PaumerForSemanticSegmentation,
    texts: Sequence[str] | None = None,
    criterion: str = "entropy",
    seed: int | None = None,
    *,
    min_speedup: float | None = None,
    min_throughput: float | None = None,
    max_drop: float | None = None,
) -> dict[PauseConfig, str]:
    """The pause configurations that a command line names, each once, or the one that meets its target.

    Args:
        model: The model that they are for.
        texts: What `read_pause_config` reads; dense and the model's default if neither this nor a target is given.
        criterion: For layers with ratios: "entropy" or "random".
        seed: For the random criterion.
        min_speedup: Target: at least so many times as fast as the dense model, by the model's profile.
        min_throughput: Target: at least so many images per second, by the model's profile.
        max_drop: Target: at most so many points of mIoU lost, by the model's profile.

    Returns:
        From each configuration to its name: the word that named it, or of a target the preset that it is; empty where
        the layers are its name.

    Raises:
        ValueError: If a word means nothing, words and a target are given, or the model has nothing for the target.
    """
    targets = {"min_speedup": min_speedup, "min_throughput": min_throughput, "max_drop": max_drop}
    if all(target is None for target in targets.values()):
        chosen: dict[PauseConfig, str] = {}
        for text in texts or ("dense", "default"):
            pause_config = read_pause_config(text, model, criterion, seed)
            chosen.setdefault(pause_config, "" if ":" in text else text)
        return chosen
    if texts:
        raise ValueError(
            f"`pause_configs` names configurations ({', '.join(texts)}), but a target chooses one. Give either "
            "pause_configs, or target_speedup, target_throughput or max_drop."
        )
    selected = model.select_pause_config(**targets)
    names = (name for name, preset in model.pause_presets.items() if preset == selected)
    return {selected: next(names, "")}


def read_palette(dataset: str | None, num_labels: int) -> tuple[Colour, ...]:
    """The colours of a data set's classes, or distinct ones where none is named.

    Raises:
        ValueError: If the data set is unknown or has another number of classes than the model.
    """
    if dataset is None:
        return default_palette(num_labels)
    palette = get_dataset_description(dataset).palette
    if len(palette) != num_labels:
        raise ValueError(
            f"`dataset` must have as many classes as the model, {num_labels}, but {dataset!r} has {len(palette)}. "
            "Leave it out to have colours made."
        )
    return palette


__all__ = ["choose_pause_configs", "load_model", "read_palette", "read_pause_config"]
