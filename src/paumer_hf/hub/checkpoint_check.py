# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Whether a checkpoint does what its page promises: it loads whole, every preset runs and gives the same again."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from paumer_hf import PaumerForSemanticSegmentation, PaumerImageProcessor, PauseConfig
from paumer_hf.hub.checkpoint_files import EXAMPLES, read_json
from paumer_hf.model.pause_config_file import PAUSE_CONFIG_NAME, read_pause_config_file
from paumer_hf.search.search import digest_weights


@dataclass(frozen=True)
class CheckedCheckpoint:
    """A checkpoint that was tried.

    Attributes:
        model: The model, on the CPU, in eval mode.
        processor: Its image processor.
        image: On which it was tried.
        logits: From "dense", "default" and "preset NAME" to the logits of the image under it, (1, classes, rows,
            columns); without what pauses at random by no seed.
    """

    model: PaumerForSemanticSegmentation
    processor: PaumerImageProcessor
    image: Image.Image
    logits: dict[str, torch.Tensor]


def check_checkpoint(folder: Path) -> CheckedCheckpoint:
    """Load a checkpoint twice and run it dense, as by default and under every preset.

    Args:
        folder: The checkpoint.

    Raises:
        ValueError: If it cannot be loaded, lacks weights, has more than it should, or does not give the same twice.
    """
    config = read_json(folder / "config.json")
    if config.get("model_type") != PaumerForSemanticSegmentation.config_class.model_type:
        raise ValueError(f"{folder} holds a model of the type {config.get('model_type')!r}, not of PAUMER.")
    for name in ("config.json", "preprocessor_config.json"):
        if "auto_map" in read_json(folder / name):
            raise ValueError(f"{folder / name} names code in `auto_map`; remove it: --with_code writes it anew.")
    read_pause_config_file(folder / PAUSE_CONFIG_NAME)
    try:
        model = _load(folder)
        processor = PaumerImageProcessor.from_pretrained(folder)
    except (OSError, RuntimeError, TypeError) as error:
        message = " ".join(str(error).split())
        raise ValueError(f"{folder} cannot be loaded ({message}); save model and processor again.") from error
    _check_profile(folder, model)
    image = example_image(folder, processor)
    logits = compute_logits(model, processor, image)
    for name, again in compute_logits(_load(folder), processor, image).items():
        if not torch.equal(again, logits[name]):
            raise ValueError(f"{folder} gives other logits when it is loaded again ({name}); save the model again.")
    return CheckedCheckpoint(model, processor, image, logits)


def _check_profile(folder: Path, model: PaumerForSemanticSegmentation) -> None:
    """Refuse a profile that was measured of other weights, as a training leaves behind that does not drop it."""
    if model.pause_profile is None:
        return
    conditions = model.pause_profile.conditions
    measured = conditions.get("mean_iou_conditions", conditions).get("weights_sha256")
    if measured is not None and measured != digest_weights(model):
        raise ValueError(
            f"The profile in {folder / PAUSE_CONFIG_NAME} was measured of other weights; run"
            " scripts/search_pause_config.py again, or set model.pause_profile = None and save the model."
        )


def compute_logits(
    model: PaumerForSemanticSegmentation, processor: PaumerImageProcessor, image: Image.Image
) -> dict[str, torch.Tensor]:
    """The logits of an image, dense, by default and under every preset, in the form of `CheckedCheckpoint.logits`.

    Raises:
        ValueError: If a preset cannot run or gives what is not finite.
    """
    inputs = processor(image, return_tensors="pt")
    presets = {f"preset {name}": preset for name, preset in model.pause_presets.items()}
    found = {}
    for name, pause_config in {"dense": PauseConfig(), "default": model.pause_config, **presets}.items():
        try:
            with torch.no_grad():
                logits = model(**inputs, pause_config=pause_config).logits
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"The model cannot run as {name}, {pause_config.to_text()} ({error}).") from error
        if not torch.isfinite(logits).all():
            raise ValueError(f"The logits of the model as {name} are not finite; train it again.")
        if pause_config.criterion != "random" or pause_config.seed is not None:
            found[name] = logits.float().contiguous()
    return found


def example_image(folder: Path, processor: PaumerImageProcessor) -> Image.Image:
    """The example image of a checkpoint, or one of soft waves and noise, always the same.

    Raises:
        ValueError: If the image that is there cannot be read.
    """
    for name in EXAMPLES:
        if (folder / name).is_file():
            try:
                return Image.open(folder / name).convert("RGB")
            except OSError as error:
                raise ValueError(f"{folder / name} is no image ({error}); replace or remove it.") from error
    size = processor.size
    height, width = size.get("height") or 256, size.get("width") or 256
    rows, columns = np.mgrid[:height, :width] / max(height, width)
    waves = np.stack([np.sin(9 * rows + 4 * columns), np.cos(7 * columns), np.sin(11 * rows * columns)], axis=-1)
    noise = np.random.default_rng(0).normal(scale=0.2, size=waves.shape)
    return Image.fromarray((127.5 + 100 * (waves + noise)).clip(0, 255).astype(np.uint8))


def _load(folder: Path) -> PaumerForSemanticSegmentation:
    model, information = PaumerForSemanticSegmentation.from_pretrained(folder, output_loading_info=True)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if information[kind]:
            first = sorted(map(str, information[kind]))[0]
            raise ValueError(
                f"The weights in {folder} do not fit its config.json ({kind.replace('_', ' ')}, such as {first}); save"
                " the model again."
            )
    return model.eval()


__all__ = ["CheckedCheckpoint", "check_checkpoint", "compute_logits", "example_image"]
