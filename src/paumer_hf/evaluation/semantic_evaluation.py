# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Mean IoU of one model under many pause configurations, in one pass over a data set."""

import contextlib
import dataclasses
import itertools
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from paumer_hf import PaumerForSemanticSegmentation, PauseConfig
from paumer_hf.data import BadSampleError, SegmentationSample
from paumer_hf.evaluation.bootstrap import add_intervals
from paumer_hf.evaluation.mean_iou import ReferenceMap, summarise_counts
from paumer_hf.evaluation.multi_scale import EvaluationSettings, ImagePasses, scaled_pixel_values
from paumer_hf.evaluation.shared_layers import shared_logits
from paumer_hf.evaluation.sliding_window import derive_seed


class ImageCounts(NamedTuple):
    """What the evaluation of one image counted.

    Attributes:
        place: Its index in the data set.
        sample_id: Its id where it could not be read, else None.
        counts: int64 `(pause configurations, 3, num_labels)`, see `class_counts`; zeros where it could not be read.
    """

    place: int
    sample_id: str | None
    counts: Tensor


def evaluate_model(
    model: PaumerForSemanticSegmentation,
    dataset: Any,
    pause_configs: Sequence[PauseConfig],
    *,
    max_samples: int | None = None,
    on_bad_sample: Literal["stop", "skip"] = "stop",
    rank: int = 0,
    world_size: int = 1,
    reduce: Callable[[Tensor], Tensor] | None = None,
    progress: bool = True,
    num_resamples: int = 0,
    **settings: Any,
) -> list[dict[str, Any]]:
    """Evaluate a model under several pause configurations, which share the layers that are alike.

    On any number of processes the results are the same: those of all images.

    Args:
        model: A segmentation model; its training mode is restored afterwards.
        dataset: A `SegmentationDataset`.
        pause_configs: What to evaluate; `PauseConfig()` is the dense model.
        max_samples: Number of images, from the first; `None` takes all.
        on_bad_sample: Whether an image that cannot be read ends the evaluation or is left out of it.
        rank: Number of this process, which evaluates every `world_size`-th image.
        world_size: Number of processes.
        reduce: With several processes, sums a tensor over them (for example
            `functools.partial(accelerator.reduce, reduction="sum")`), so that each returns the results of all images.
        progress: Whether to show a progress bar where there is a terminal.
        num_resamples: Number of resampled data sets from which 95 % intervals are taken; 0 leaves them out.
        **settings: The fields of `EvaluationSettings`.

    Returns:
        For each configuration its `pause_config` (text form, empty for dense), `criterion`, `seed`, `num_images` (that
        were evaluated) and the results of `compute_mean_iou`. With several random seeds the results are means over the
        seeds, beside `mean_iou_per_seed` and its standard deviation `mean_iou_spread`. With `num_resamples` also what
        `add_intervals` adds. If images were skipped,
        `bad_samples` lists their ids in the order of the data set.

    Raises:
        BadSampleError: If an image cannot be read and `on_bad_sample` is `"stop"`.
        ValueError: If the arguments contradict each other, the model or the data, or no image can be read.
    """
    checked = EvaluationSettings(**settings)
    if not pause_configs:
        raise ValueError("pause_configs is empty. Name at least one; PauseConfig() is the dense model.")
    num_images = len(dataset) if max_samples is None else min(max_samples, len(dataset))
    if num_images < 1:
        raise ValueError(f"There is nothing to evaluate: the data set has {len(dataset)} images, {max_samples=}.")
    if reduce is None and world_size > 1:
        raise ValueError(f"world_size={world_size} needs reduce, which sums a tensor over the processes.")
    runs = [with_seeds(pause_config, checked) for pause_config in pause_configs]
    seeded = [pause_config for run in runs for pause_config in run]
    # Also of a process that has no image: those that sum must have the same shape on all.
    shape = (num_images, len(seeded), 3, model.config.num_labels)
    counts = torch.zeros(shape, dtype=torch.int64, device=next(model.parameters()).device)
    indices = range(rank, num_images, world_size)
    bad_samples = _collect(
        counts, count_images(model, dataset, seeded, checked, indices, on_bad_sample, progress=progress)
    )
    bad_ids = list(bad_samples.values())
    if reduce is not None:
        counts = reduce(counts)
        if on_bad_sample == "skip":
            bad_ids = _gather_texts(bad_samples, num_images, reduce, counts.device)
    if len(bad_ids) == num_images:
        raise ValueError(f"None of the {num_images} images can be read; the first is {bad_ids[0]!r}.")
    split = counts.split([len(run) for run in runs], dim=1)
    rows = [summarise_run(run, part) for run, part in zip(runs, split, strict=True)]
    for row in rows:
        row["num_images"] = num_images - len(bad_ids)
    if num_resamples:
        rows = add_intervals(
            rows, [part.movedim(1, 0).cpu().numpy() for part in split], num_resamples, progress=progress
        )
    return [{**row, "bad_samples": bad_ids} if bad_ids else row for row in rows]


def count_images(
    model: PaumerForSemanticSegmentation,
    dataset: Any,
    pause_configs: Sequence[PauseConfig],
    settings: EvaluationSettings,
    indices: Sequence[int],
    on_bad_sample: Literal["stop", "skip"] = "stop",
    progress: bool = True,
    description: str = "Evaluating",
) -> Iterator[ImageCounts]:
    """Count each image of a data set under several pause configurations, which share the layers that are alike.

    Args:
        model: A segmentation model; its training mode is restored afterwards.
        dataset: A `SegmentationDataset`.
        pause_configs: The configurations; those that pause at random have a seed.
        settings: How an image becomes a label map.
        indices: Places of the images.
        on_bad_sample: Whether an image that cannot be read ends the evaluation or is left out of it.
        progress: Whether to show a progress bar where there is a terminal.
        description: What the progress bar says.

    Yields:
        The counts of each image.

    Raises:
        BadSampleError: If an image cannot be read and `on_bad_sample` is `"stop"`.
        ValueError: If the model and the data set differ in their number of classes.
    """
    if on_bad_sample not in ("stop", "skip"):
        raise ValueError(f"on_bad_sample must be 'stop' or 'skip', got {on_bad_sample!r}.")
    num_labels = model.config.num_labels
    if dataset.description.num_labels != num_labels:
        raise ValueError(
            f"The model has {num_labels} classes, the data set {dataset.description.name!r} has "
            f"{dataset.description.num_labels}. Take the data set that the model was trained for."
        )
    device = next(model.parameters()).device
    with _evaluating(model):
        for index in tqdm(indices, desc=description, unit="image", disable=None if progress else True):
            try:
                sample = _read_sample(dataset, index)
            except BadSampleError as error:
                if on_bad_sample == "stop":
                    raise
                nothing = torch.zeros(len(pause_configs), 3, num_labels, dtype=torch.int64, device=device)
                yield ImageCounts(index, error.sample_id, nothing)
                continue
            with torch.inference_mode(), torch.autocast(device.type, settings.dtype, settings.dtype is not None):
                counts = _count_image(model, sample, index, pause_configs, settings, device)
            yield ImageCounts(index, None, counts)


def _count_image(
    model: PaumerForSemanticSegmentation,
    sample: SegmentationSample,
    index: int,
    pause_configs: Sequence[PauseConfig],
    settings: EvaluationSettings,
    device: torch.device,
) -> Tensor:
    images = [pixel_values.to(device) for pixel_values in scaled_pixel_values(sample.image, settings)]
    references = torch.as_tensor(sample.annotation).to(device)
    passes = ImagePasses(images, settings, (references.shape[0], references.shape[1]))
    reference_map = ReferenceMap(references, model.config.num_labels)
    counts = torch.zeros(len(pause_configs), 3, model.config.num_labels, dtype=torch.int64, device=device)
    seeded = [derive_seed(pause_config, index) for pause_config in pause_configs]
    if len(seeded) == 1:
        # Nothing is shared: with one input at a time the states of the others take no memory.
        inputs = [next(shared_logits(model, [model_input], seeded))[1][0] for model_input in passes.inputs]
        counts[0] = reference_map.count(passes.label_maps(model, inputs)[0])
        return counts
    for number, logits in shared_logits(model, passes.inputs, seeded):
        counts[number] = reference_map.count(passes.label_maps(model, logits)[0])
    return counts


def _collect(counts: Tensor, counted: Iterator[ImageCounts]) -> dict[int, str]:
    """Write the counts of each image to its place, and return the ids of those that could not be read."""
    bad_samples = {}
    for image in counted:
        counts[image.place] = image.counts
        if image.sample_id is not None:
            bad_samples[image.place] = image.sample_id
    return bad_samples


def summarise_run(run: Sequence[PauseConfig], counts: Tensor) -> dict[str, Any]:
    """Summarise the counts `(images, seeds, 3, num_labels)` of one pause configuration under its seeds."""
    configuration = {"pause_config": run[0].to_text(), "criterion": run[0].criterion, "seed": run[0].seed}
    return {**configuration, **_average([summarise_counts(of_seed) for of_seed in counts.sum(0)])}


def _read_sample(dataset: Any, index: int) -> SegmentationSample:
    sample = dataset[index]
    size = (sample.image.height, sample.image.width)
    if sample.annotation.shape != size:
        raise BadSampleError(
            f"sample {sample.id!r}: the image is {size[0]} x {size[1]} pixels (height x width), its annotation "
            f"{' x '.join(map(str, sample.annotation.shape))}. They must have the same size.",
            sample.id,
        )
    return sample


def _gather_texts(
    texts: Mapping[int, str], num_places: int, reduce: Callable[[Tensor], Tensor], device: torch.device
) -> list[str]:
    """Return the texts of all processes in the order of their places, of which no two processes have the same.

    Processes can only sum tensors: first the lengths, from which each knows where its characters stand, then those.
    """
    encoded = {place: text.encode("utf-8", "surrogateescape") + b"\0" for place, text in texts.items()}
    lengths = torch.zeros(num_places, dtype=torch.int64, device=device)
    for place, characters in encoded.items():
        lengths[place] = len(characters)
    ends = [0, *itertools.accumulate(reduce(lengths).tolist())]
    if ends[-1] == 0:
        return []
    written = torch.zeros(ends[-1], dtype=torch.int64, device=device)
    for place, characters in encoded.items():
        written[ends[place] : ends[place + 1]] = torch.tensor(list(characters), device=device)
    joined = bytes(reduce(written).tolist())
    pieces = [joined[start : end - 1] for start, end in itertools.pairwise(ends) if end > start]
    return [piece.decode("utf-8", "surrogateescape") for piece in pieces]


def with_seeds(pause_config: PauseConfig, settings: EvaluationSettings) -> list[PauseConfig]:
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


@contextlib.contextmanager
def _evaluating(model: torch.nn.Module) -> Iterator[None]:
    """Switch a model to evaluation, and back to its training mode afterwards."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


__all__ = [
    "EvaluationSettings",
    "ImageCounts",
    "count_images",
    "evaluate_model",
    "summarise_run",
    "with_seeds",
]
