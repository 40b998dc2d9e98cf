# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Whether an exported model computes what PyTorch computes, up to what float32 leaves open.

Two programs that add float32 numbers in different orders differ in the last digits. Where a choice hangs on such a
digit they may choose differently, and both are right: which of two patches of the same entropy pauses, and which of
two classes of the same score a pixel has. Such a difference is counted, and excused only where PyTorch's own numbers
show the tie.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping

import torch

from paumer_hf import PaumerForSemanticSegmentation, PauseConfig
from paumer_hf.export.fixed_module import FixedPaumer
from paumer_hf.model.pause_config import num_paused
from paumer_hf.model.pausing import entropy
from paumer_hf.model.segmentation_maps import segmentation_map, segmentation_scores


LOGIT_TOLERANCE = 1e-4
"""By how much logits may differ."""

PAUSE_TIE = 1e-5
"""Entropies, in nats, of the last patch that pauses and the first that does not are a tie if they are nearer."""

# Rounding of a bilinear interpolation in float32, relative to the largest logit.
_INTERPOLATION_ROUNDING = 1e-6

Runner = Callable[[torch.Tensor], Mapping[str, torch.Tensor]]


class ExportCheckError(ValueError):
    """An exported model computes something else than PyTorch."""


@dataclasses.dataclass(frozen=True)
class LabelDifference:
    """How two label maps of an image differ.

    Attributes:
        num_pixels: Pixels of the image.
        num_different: Pixels of another class.
        largest_margin: By how much the first logits prefer their class to the other one at such a pixel, at most.
        num_beyond_ties: Pixels of another class whose margin is more than the difference of the logits explains.
    """

    num_pixels: int
    num_different: int
    largest_margin: float
    num_beyond_ties: int


@dataclasses.dataclass(frozen=True)
class CheckReport:
    """What a check found.

    Attributes:
        num_images: Images compared.
        largest_logit_difference: Over all images but those of `num_pause_ties`.
        num_pixels: Pixels whose classes were compared, 0 without label maps.
        num_label_ties: Pixels of another class, all of them ties.
        num_pause_ties: Images in which another patch paused, all of them ties.
    """

    num_images: int
    largest_logit_difference: float
    num_pixels: int
    num_label_ties: int
    num_pause_ties: int


def check_export(module: FixedPaumer, run: Runner, tolerance: float = LOGIT_TOLERANCE) -> CheckReport:
    """Compare an exported model with PyTorch on batches of 1, 2 and 3 images of noise and of shapes.

    Args:
        module: What was exported.
        run: From pixel values to the outputs of the exported model by name.
        tolerance: By how much logits may differ.

    Raises:
        ExportCheckError: If an output is missing or has another shape, or values differ and not for a tie.
    """
    differences: list[float] = []
    labels: list[LabelDifference] = []
    num_images = 0
    for name, pixel_values in _check_inputs(module):
        where = f"for a batch of {len(pixel_values)} images of {name}"
        with torch.inference_mode():
            expected, found = module(pixel_values), run(pixel_values)
            margins = pause_margins(module.model, pixel_values, module.settings.pause_config)
        _check_shapes(expected, found, where)
        num_images += len(pixel_values)
        for index, margin in enumerate(margins.tolist()):
            difference = float((expected["logits"][index] - found["logits"][index]).abs().max())
            if difference <= tolerance:
                differences.append(difference)
                labels += _check_labels(module, expected["logits"][index], found, index, difference, where)
            elif not margin < PAUSE_TIE:
                raise ExportCheckError(
                    f"The logits of the export and of PyTorch differ by {difference:.3g} {where}, more than "
                    f"{tolerance:g}. If the model enlarges rounding, as the normalisation of the masks of few classes "
                    "does, give a larger `tolerance`."
                )
    num_pause_ties = num_images - len(differences)
    if num_pause_ties > num_images // 2:
        raise ExportCheckError(
            f"The logits of the export and of PyTorch differ by more than {tolerance:g} for {num_pause_ties} of "
            f"{num_images} images, in which patches have so nearly the same entropy that rounding decides which "
            "pause: this cannot be checked. Export a trained model."
        )
    return CheckReport(
        num_images,
        max(differences),
        sum(compared.num_pixels for compared in labels),
        sum(compared.num_different for compared in labels),
        num_pause_ties,
    )


def _check_labels(
    module: FixedPaumer,
    logits: torch.Tensor,
    found: Mapping[str, torch.Tensor],
    index: int,
    difference: float,
    where: str,
) -> list[LabelDifference]:
    """Compare the label map of one image, where there is one, with what the image processor makes of the logits."""
    if not module.settings.label_map:
        return []
    size, patch_size = module.settings.image_size, module.model.config.patch_size
    labels = segmentation_map(logits, size, size, patch_size)
    compared = compare_labels(logits, labels, found["label_map"][index].long(), size, patch_size, difference)
    if compared.num_beyond_ties:
        raise ExportCheckError(
            f"The label maps of the export and of PyTorch differ in {compared.num_beyond_ties} of "
            f"{compared.num_pixels} pixels {where}, where PyTorch prefers its class by up to "
            f"{compared.largest_margin:.3g}."
        )
    return [compared]


def compare_labels(
    logits: torch.Tensor,
    labels: torch.Tensor,
    other_labels: torch.Tensor,
    image_size: tuple[int, int],
    patch_size: int,
    logit_difference: float,
) -> LabelDifference:
    """Compare the label map of an image with that of other logits.

    Scores of pixels are weighted means of logits. Where logits differ by at most d, a class that was ahead by more
    than 2 d stays ahead, so that another class with a smaller margin is a tie, up to the rounding of the
    interpolation.

    Args:
        logits: (classes, rows, columns).
        labels: (height, width), the classes of `logits`.
        other_labels: (height, width), the classes of the other logits.
        image_size: (height, width).
        patch_size: Pixels along a side of a patch.
        logit_difference: By how much the other logits differ at most.
    """
    different = labels != other_labels
    num_different = int(different.sum())
    if not num_different:
        return LabelDifference(labels.numel(), 0, 0.0, 0)
    scores = segmentation_scores(logits, image_size, image_size, patch_size)[:, different]
    chosen = scores.gather(0, other_labels[different][None].clamp(0, len(scores) - 1))[0]
    margins = scores.max(dim=0).values - chosen
    allowed = 2 * logit_difference + _INTERPOLATION_ROUNDING * max(1.0, float(logits.abs().max()))
    beyond = (margins > allowed) | (other_labels[different] >= len(scores))
    return LabelDifference(labels.numel(), num_different, float(margins.max()), int(beyond.sum()))


def pause_margins(
    model: PaumerForSemanticSegmentation, pixel_values: torch.Tensor, pause_config: PauseConfig
) -> torch.Tensor:
    """How clearly it is decided which patches pause: for each image the smallest gap over the pause layers.

    The gap is that of the entropies, in nats, between the most uncertain patch that pauses and the least uncertain
    that does not. Where nothing pauses, or at random, there is none to be unclear: infinity.

    Args:
        model: The model.
        pixel_values: (batch, channels, height, width).
        pause_config: What pauses.

    Returns:
        (batch,).
    """
    margins = torch.full((len(pixel_values),), float("inf"))
    if not pause_config or pause_config.criterion == "random":
        return margins
    states = model.paumer(pixel_values, pause_config=pause_config, output_hidden_states=True).hidden_states
    for layer, ratio in pause_config.pause_ratios.items():
        patches = states[layer][:, model.config.num_prefix_tokens :]
        scores = entropy(model.paumer.auxiliary_head(patches)).sort(dim=1).values.cpu().float()
        count = num_paused(scores.shape[1], ratio)
        if count:
            margins = margins.minimum(scores[:, count] - scores[:, count - 1])
    return margins


def _check_inputs(module: FixedPaumer) -> Iterator[tuple[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    shape = (module.model.config.num_channels, *module.settings.image_size)
    for batch_size in (1, 3, 2):
        yield "noise", torch.randn(batch_size, *shape, generator=generator)
    for batch_size in (1, 3):
        yield "shapes", _shapes(batch_size, shape, generator)


def _shapes(batch_size: int, shape: tuple[int, int, int], generator: torch.Generator) -> torch.Tensor:
    """Images as cameras see them: even areas with a slope and edges between them, with a little noise."""
    images = 0.05 * torch.randn(batch_size, *shape, generator=generator)
    rows = torch.linspace(-1, 1, shape[1])[:, None]
    columns = torch.linspace(-1, 1, shape[2])[None, :]
    for image in images:
        for _ in range(6):
            slope = torch.rand(2, generator=generator) * 2 - 1
            edge = torch.rand(1, generator=generator) - 0.5
            colour = torch.rand(shape[0], 1, 1, generator=generator) * 2 - 1
            image += colour * (0.5 + 0.5 * rows) * (slope[0] * rows + slope[1] * columns > edge)
    return images


def _check_shapes(expected: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor], where: str) -> None:
    for name, values in expected.items():
        if name not in found:
            raise ExportCheckError(f"The export has no output `{name}`.")
        if found[name].shape != values.shape or found[name].dtype != values.dtype:
            raise ExportCheckError(
                f"`{name}` of the export has the shape {tuple(found[name].shape)} and the type {found[name].dtype} "
                f"{where}, but PyTorch's has {tuple(values.shape)} and {values.dtype}."
            )


__all__ = [
    "LOGIT_TOLERANCE",
    "PAUSE_TIE",
    "CheckReport",
    "ExportCheckError",
    "LabelDifference",
    "check_export",
    "compare_labels",
    "pause_margins",
]
