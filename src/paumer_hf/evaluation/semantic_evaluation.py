# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Mean IoU of one model under many pause configurations, in one pass over a data set."""

import contextlib
import dataclasses
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from paumer_hf import PaumerForSemanticSegmentation, PauseConfig
from paumer_hf.data import image_to_tensor
from paumer_hf.evaluation.mean_iou import ConfusionMatrix, compute_mean_iou
from paumer_hf.evaluation.sliding_window import derive_seed, sliding_window_logits


@dataclass(frozen=True)
class EvaluationSettings:
    """How an image becomes a label map; the fields are the conditions under which a mean IoU holds.

    Args:
        image_mean: Mean of each channel that the model was trained with.
        image_std: Standard deviation of each channel that the model was trained with.
        window_size: Height and width of sliding windows; `None` passes the whole image at once.
        stride: Step of sliding windows; the window size where it is not given.
        window_batch_size: Number of windows that pass the model together.
        resize_short_side: Shorter side in pixels to which images are resized; `None` keeps their size. Predictions
            are always compared at the size of the reference.
        dtype: Data type of autocast, such as `torch.bfloat16`; `None` computes in the model's own.
        seed: Seed of random pausing where a pause configuration has none.
        num_random_seeds: Number of seeds that a configuration with random pausing is averaged over.
    """

    image_mean: Sequence[float] = (0.5, 0.5, 0.5)
    image_std: Sequence[float] = (0.5, 0.5, 0.5)
    window_size: tuple[int, int] | None = None
    stride: tuple[int, int] | None = None
    window_batch_size: int = 4
    resize_short_side: int | None = None
    dtype: torch.dtype | None = None
    seed: int = 0
    num_random_seeds: int = 1

    def __post_init__(self) -> None:
        """Refuse settings that contradict each other."""
        if self.stride is not None and self.window_size is None:
            raise ValueError(f"stride={self.stride} needs window_size. Give both or neither.")
        for name in ("window_size", "stride"):
            sides = getattr(self, name)
            if sides is not None and (len(sides) != 2 or min(sides) < 1):
                raise ValueError(f"{name} must be a height and a width of at least 1, got {tuple(sides)}.")
        if self.num_random_seeds < 1:
            raise ValueError(f"num_random_seeds must be at least 1, got {self.num_random_seeds}.")
        if self.resize_short_side is not None and self.resize_short_side < 1:
            raise ValueError(f"resize_short_side must be at least 1, got {self.resize_short_side}.")


def evaluate_model(
    model: PaumerForSemanticSegmentation,
    dataset: Any,
    pause_configs: Sequence[PauseConfig],
    *,
    max_samples: int | None = None,
    rank: int = 0,
    world_size: int = 1,
    reduce: Callable[[Tensor], Tensor] | None = None,
    progress: bool = True,
    **settings: Any,
) -> list[dict[str, Any]]:
    """Evaluate a model under several pause configurations, decoding each image once.

    Args:
        model: A segmentation model; its training mode is restored afterwards.
        dataset: A `SegmentationDataset`.
        pause_configs: What to evaluate; `PauseConfig()` is the dense model.
        max_samples: Number of images, from the first; `None` takes all.
        rank: Number of this process, which evaluates every `world_size`-th image.
        world_size: Number of processes.
        reduce: With several processes, sums a tensor over them (for example
            `functools.partial(accelerator.reduce, reduction="sum")`), so that each returns the results of all images.
        progress: Whether to show a progress bar where there is a terminal.
        **settings: The fields of `EvaluationSettings`.

    Returns:
        For each configuration its `pause_config` (text form, empty for dense), `criterion`, `seed`, `num_images` and
        the results of `compute_mean_iou`. With several random seeds the results are means over the seeds, beside
        `mean_iou_per_seed` and its standard deviation `mean_iou_spread`.
    """
    checked = EvaluationSettings(**settings)
    if not pause_configs:
        raise ValueError("pause_configs is empty. Name at least one; PauseConfig() is the dense model.")
    num_images = len(dataset) if max_samples is None else min(max_samples, len(dataset))
    if num_images < 1:
        raise ValueError(f"There is nothing to evaluate: the data set has {len(dataset)} images, {max_samples=}.")
    runs = [_with_seeds(pause_config, checked) for pause_config in pause_configs]
    matrices = confusion_matrices(
        model,
        dataset,
        [seeded for run in runs for seeded in run],
        checked,
        indices=range(rank, num_images, world_size),
        progress=progress,
    )
    if reduce is not None:
        matrices = reduce(matrices)
    elif world_size > 1:
        raise ValueError(
            f"world_size={world_size} needs reduce, which sums a tensor over the processes. Without it use "
            "confusion_matrices and sum what it returns."
        )
    remaining = iter(matrices.unbind())
    results = []
    for run in runs:
        per_seed = [compute_mean_iou(next(remaining)) for _ in run]
        configuration = {"pause_config": run[0].to_text(), "criterion": run[0].criterion, "seed": run[0].seed}
        results.append({**configuration, "num_images": num_images, **_average(per_seed)})
    return results


def confusion_matrices(
    model: PaumerForSemanticSegmentation,
    dataset: Any,
    pause_configs: Sequence[PauseConfig],
    settings: EvaluationSettings,
    indices: Sequence[int],
    progress: bool = True,
) -> Tensor:
    """Count the confusion matrix of each pause configuration over some images of a data set.

    Returns:
        int64 `(pause configurations, num_labels, num_labels)` on the model's device.
    """
    num_labels = model.config.num_labels
    if dataset.description.num_labels != num_labels:
        raise ValueError(
            f"The model has {num_labels} classes, the data set {dataset.description.name!r} has "
            f"{dataset.description.num_labels}. Take the data set that the model was trained for."
        )
    device = next(model.parameters()).device
    counted = [ConfusionMatrix(num_labels, device=device) for _ in pause_configs]
    with _inference(model, device, settings.dtype):
        for index in tqdm(indices, desc="Evaluating", unit="image", disable=None if progress else True):
            sample = dataset[index]
            size = tuple(sample.annotation.shape)
            if (sample.image.height, sample.image.width) != size:
                raise ValueError(
                    f"Image {sample.id!r} is {sample.image.height} x {sample.image.width} pixels (height x width), "
                    f"its annotation {size[0]} x {size[1]}. They must have the same size."
                )
            image = _resized(sample.image, settings.resize_short_side)
            pixel_values = image_to_tensor(image, settings.image_mean, settings.image_std)[None].to(device)
            references = torch.as_tensor(sample.annotation).to(device)
            for confusion, pause_config in zip(counted, pause_configs, strict=True):
                predictions = predict_labels(model, pixel_values, derive_seed(pause_config, index), settings, size)
                confusion.update(predictions, references)
    return torch.stack([confusion.matrix for confusion in counted])


def predict_labels(
    model: PaumerForSemanticSegmentation,
    pixel_values: Tensor,
    pause_config: PauseConfig,
    settings: EvaluationSettings,
    size: tuple[int, int],
) -> Tensor:
    """Return the label maps `(batch, *size)` of images, whole or by sliding windows."""
    if settings.window_size is None:
        patch_logits = model(pixel_values, pause_config=pause_config).logits
        logits = model.upsample_logits(patch_logits, tuple(pixel_values.shape[-2:]))
    else:
        stride = settings.stride or settings.window_size
        logits = sliding_window_logits(
            model, pixel_values, settings.window_size, stride, pause_config, settings.window_batch_size
        )
    if tuple(logits.shape[-2:]) != size:
        logits = functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)
    return logits.argmax(1)


def _with_seeds(pause_config: PauseConfig, settings: EvaluationSettings) -> list[PauseConfig]:
    """Return the configuration once, or once per seed where it pauses at random."""
    if not pause_config or pause_config.criterion != "random":
        return [pause_config]
    first = settings.seed if pause_config.seed is None else pause_config.seed
    return [dataclasses.replace(pause_config, seed=first + number) for number in range(settings.num_random_seeds)]


def _average(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Average the results of several seeds; those of one are returned as they are."""
    if len(results) == 1:
        return results[0]
    average: dict[str, Any] = {}
    for name, value in results[0].items():
        values = torch.tensor([result[name] for result in results], dtype=torch.float64)
        mean = values.nanmean(0)
        average[name] = mean.tolist() if isinstance(value, list) else mean.item()
    per_seed = [result["mean_iou"] for result in results]
    return {**average, "mean_iou_per_seed": per_seed, "mean_iou_spread": statistics.stdev(per_seed)}


def _resized(image: Image.Image, short_side: int | None) -> Image.Image:
    if short_side is None:
        return image
    scale = short_side / min(image.size)
    width, height = (round(side * scale) for side in image.size)
    return image.resize((width, height), Image.Resampling.BILINEAR)


@contextlib.contextmanager
def _inference(model: torch.nn.Module, device: torch.device, dtype: torch.dtype | None) -> Iterator[None]:
    """Switch a model to evaluation without gradients, and back to its training mode afterwards."""
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode(), torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
            yield
    finally:
        model.train(was_training)


__all__ = ["EvaluationSettings", "confusion_matrices", "evaluate_model", "predict_labels"]
