# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""How far an exported model and PyTorch agree over the images of a data set, with float64 as the judge.

Both round in float32, each in an order of its own, so that a pixel whose two best classes have the same score up to
rounding may get either. No program in float32 can do better: PyTorch itself decides some of these pixels otherwise
than the same model in float64 does. Hence both are also compared with that.
"""

from typing import Any

import torch

from paumer_hf import PaumerForSemanticSegmentation
from paumer_hf.export.export_check import LOGIT_TOLERANCE, PAUSE_TIE, compare_labels, pause_margins
from paumer_hf.export.onnx_paumer import OnnxPaumer, OnnxPaumerOutput


class Agreement:
    """Counts what differs between the logits and label maps of a file, of PyTorch and of PyTorch in float64."""

    def __init__(
        self, model: PaumerForSemanticSegmentation, exact_model: PaumerForSemanticSegmentation, exported: OnnxPaumer
    ) -> None:
        """Begin to count.

        Args:
            model: The model in float32, in evaluation mode.
            exact_model: The same in float64; it may serve several files.
            exported: The file that was made from it.
        """
        self._model = model
        self._exact_model = exact_model
        self._exported = exported
        self._processor = exported.processor
        self._num_pixels = 0
        self._largest_margin = 0.0
        self._largest: dict[str, float] = dict.fromkeys(
            ("logit_difference", "difference_from_float64", "pytorch_difference_from_float64"), 0.0
        )
        self._counts: dict[str, int] = dict.fromkeys(
            (
                "pause_ties",
                "different_patches",
                "different_labels",
                "label_differences_beyond_ties",
                "labels_other_than_float64",
                "pytorch_labels_other_than_float64",
            ),
            0,
        )

    @torch.inference_mode()
    def add(self, pixel_values: torch.Tensor, expected: torch.Tensor, found: torch.Tensor) -> None:
        """Compare one image.

        Args:
            pixel_values: (1, channels, height, width).
            expected: (1, classes, rows, columns), the logits of PyTorch.
            found: The same of the file.
        """
        pause_config = self._exported.pause_config
        exact = self._exact_model(pixel_values.double(), pause_config=pause_config).logits
        difference = _difference(expected, found)
        self._raise_largest("logit_difference", difference)
        self._raise_largest("difference_from_float64", _difference(found, exact))
        self._raise_largest("pytorch_difference_from_float64", _difference(expected, exact))
        if not difference <= LOGIT_TOLERANCE:
            margins = pause_margins(self._model, pixel_values, pause_config)
            self._counts["pause_ties"] += int((margins < PAUSE_TIE).sum())
        self._counts["different_patches"] += int((expected.argmax(dim=1) != found.argmax(dim=1)).sum())
        labels, found_labels, exact_labels = map(self._label_map, (expected, found, exact))
        size, patch_size = self._exported.image_size, self._exported.patch_size
        allowed = min(difference, LOGIT_TOLERANCE)
        compared = compare_labels(expected[0], labels, found_labels, size, patch_size, allowed)
        self._num_pixels += compared.num_pixels
        self._largest_margin = max(self._largest_margin, compared.largest_margin)
        self._counts["different_labels"] += compared.num_different
        self._counts["label_differences_beyond_ties"] += compared.num_beyond_ties
        self._counts["labels_other_than_float64"] += int((found_labels != exact_labels).sum())
        self._counts["pytorch_labels_other_than_float64"] += int((labels != exact_labels).sum())

    def summary(self) -> dict[str, Any]:
        """What was found.

        Returns:
            `largest_logit_difference` between the file and PyTorch; `largest_difference_from_float64` of the file's
            logits and `largest_pytorch_difference_from_float64`; `num_pause_ties`, images in which rounding let
            another patch pause; `num_different_patches`, patches whose class differs, as the model predicts them;
            `equal_label_share` of the pixels of the label maps that the image processor makes of the logits,
            `num_different_labels`, of these `num_label_differences_beyond_ties` that rounding does not explain, and
            `largest_label_margin`, by how much PyTorch prefers its class at a pixel of another label;
            `num_labels_other_than_float64` of the file's pixels and `num_pytorch_labels_other_than_float64`.

        Raises:
            ValueError: If nothing was compared.
        """
        if not self._num_pixels:
            raise ValueError("There is nothing to sum up: no image was added.")
        return {
            **{f"largest_{name}": value for name, value in self._largest.items()},
            **{f"num_{name}": count for name, count in self._counts.items()},
            "equal_label_share": 1 - self._counts["different_labels"] / self._num_pixels,
            "largest_label_margin": self._largest_margin,
        }

    def _raise_largest(self, name: str, value: float) -> None:
        # torch's comparison keeps what is not a number, which `max` may drop
        self._largest[name] = float(torch.tensor([self._largest[name], value]).max())

    def _label_map(self, logits: torch.Tensor) -> torch.Tensor:
        sizes = [self._exported.image_size]
        return self._processor.post_process_semantic_segmentation(OnnxPaumerOutput(logits), target_sizes=sizes)[0]


def _difference(logits: torch.Tensor, other_logits: torch.Tensor) -> float:
    return float((logits - other_logits).abs().max())


__all__ = ["Agreement"]
