# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Mean intersection over union from one confusion matrix over a whole data set."""

from typing import Any

import numpy as np
import torch
from torch import Tensor


def to_label_tensor(labels: Any, device: torch.device | str | None = None) -> Tensor:
    """Turn a label map (tensor, array or nested list) into a flat int64 tensor."""
    tensor = labels if isinstance(labels, Tensor) else torch.as_tensor(np.asarray(labels).astype(np.int64))
    if tensor.is_floating_point() or tensor.is_complex():
        raise ValueError(f"Label maps hold integers, got dtype {tensor.dtype}. Take the argmax of the logits first.")
    return tensor.to(device=device, dtype=torch.int64).flatten()


def _check_range(name: str, labels: Tensor, num_labels: int, ignore_index: int) -> None:
    if labels.numel() == 0:
        return
    low, high = (int(value) for value in labels.aminmax())
    if low < 0 or high >= num_labels:
        raise ValueError(
            f"{name} must lie in 0 .. {num_labels - 1} (num_labels={num_labels}) wherever the reference is not "
            f"ignore_index={ignore_index}, got {low if low < 0 else high}. Check num_labels and the label mapping of "
            "the data set."
        )


class ConfusionMatrix:
    """Counts, over any number of label maps, how often each class was predicted for each class.

    The matrix is a plain tensor, so the counts of several processes are joined by summing it, for example with
    `accelerator.reduce(confusion_matrix.matrix, reduction="sum")`.

    Args:
        num_labels: Number of classes.
        ignore_index: Reference value whose pixels are left out.
        device: Where the matrix lives and label maps are counted.

    Attributes:
        matrix: int64 `(num_labels, num_labels)`: row = reference class, column = predicted class.
    """

    def __init__(self, num_labels: int, ignore_index: int = 255, device: torch.device | str | None = None):
        if num_labels < 1:
            raise ValueError(f"num_labels must be at least 1, got {num_labels}.")
        self.num_labels = num_labels
        self.ignore_index = ignore_index
        self.matrix = torch.zeros(num_labels, num_labels, dtype=torch.int64, device=device)

    def update(self, predictions: Any, references: Any, counts: Any = None) -> None:
        """Add label maps of equal size; predictions may be anything where the reference is ignored.

        Args:
            predictions: Predicted classes, integers of any shape.
            references: Reference classes, as many.
            counts: How often each pair occurs, as many; once each by default.
        """
        predicted = to_label_tensor(predictions, self.matrix.device)
        reference = to_label_tensor(references, self.matrix.device)
        if predicted.shape != reference.shape:
            raise ValueError(
                f"predictions ({predicted.numel()} pixels) and references ({reference.numel()} pixels) must have the "
                "same size. Upsample the predictions to the size of the references."
            )
        counted = reference != self.ignore_index
        predicted, reference = predicted[counted], reference[counted]
        _check_range("predictions", predicted, self.num_labels, self.ignore_index)
        _check_range("references", reference, self.num_labels, self.ignore_index)
        cells = reference * self.num_labels + predicted
        if counts is None:
            self.matrix += torch.bincount(cells, minlength=self.num_labels**2).view_as(self.matrix)
        else:
            self.matrix.view(-1).index_add_(0, cells, to_label_tensor(counts, self.matrix.device)[counted])


class ReferenceMap:
    """The reference of one image, against which the predictions of many pause configurations are counted.

    Args:
        references: Classes, integers of any shape.
        num_labels: Number of classes.
        ignore_index: Value whose pixels are left out.

    Raises:
        ValueError: If a class is outside its range.
    """

    def __init__(self, references: Tensor, num_labels: int, ignore_index: int = 255) -> None:
        flat = to_label_tensor(references)
        is_counted = flat != ignore_index
        self._shape, self._num_labels = tuple(references.shape), num_labels
        self._places = None if bool(is_counted.all()) else is_counted.nonzero().squeeze(1)
        counted = flat if self._places is None else flat[self._places]
        _check_range("references", counted, num_labels, ignore_index)
        self._rows = counted * num_labels

    def count(self, predictions: Tensor) -> Tensor:
        """Return the `class_counts` of predicted classes, int64 of the shape of the references."""
        if tuple(predictions.shape) != self._shape:
            raise ValueError(f"predictions have the shape {tuple(predictions.shape)}, the references {self._shape}.")
        flat = predictions.flatten()
        predicted = flat if self._places is None else flat[self._places]
        cells = torch.bincount(self._rows + predicted, minlength=self._num_labels**2)
        return class_counts(cells.view(self._num_labels, self._num_labels))


def class_counts(matrix: Tensor) -> Tensor:
    """Return what a mean IoU needs of a confusion matrix, and what can be kept for each image of a data set.

    Args:
        matrix: Counts `(num_labels, num_labels)`, row = reference class, column = predicted class.

    Returns:
        int64 `(3, num_labels)`: for each class its pixels that were predicted as it, its reference pixels, and the
        pixels that were predicted as it.
    """
    return torch.stack([matrix.diagonal(), matrix.sum(1), matrix.sum(0)])


def mean_iou_of_counts(counts: np.ndarray) -> np.ndarray:
    """Compute mean IoUs from counts of classes.

    Args:
        counts: `(..., 3, num_labels)` as of `class_counts`, summed over images.

    Returns:
        `(...)`, means over the classes that occur; nan where none does.
    """
    hits, references, predictions = np.moveaxis(np.asarray(counts, dtype=np.float64), -2, 0)
    union = references + predictions - hits
    occurs = union > 0
    iou = np.divide(hits, union, out=np.zeros_like(hits), where=occurs)
    num_classes = occurs.sum(-1)
    return np.divide(iou.sum(-1), num_classes, out=np.full(num_classes.shape, np.nan), where=num_classes > 0)


def compute_mean_iou(matrix: Tensor) -> dict[str, Any]:
    """Compute the results of the Hub's `mean_iou` metric from a confusion matrix.

    A class that occurs neither in the references nor in the predictions has no IoU, one that does not occur in the
    references has no accuracy; both are nan and left out of the means.

    Args:
        matrix: Counts `(num_labels, num_labels)`, row = reference class, column = predicted class.

    Returns:
        `mean_iou`, `mean_accuracy` and `overall_accuracy` as floats, `per_category_iou` and `per_category_accuracy` as
        lists of `num_labels` floats.
    """
    return summarise_counts(class_counts(matrix.detach()))


def summarise_counts(counts: Tensor) -> dict[str, Any]:
    """Compute what `compute_mean_iou` does from `(3, num_labels)` counts of classes, as of `class_counts`."""
    hits, references, predictions = counts.cpu().to(torch.float64)
    iou = hits / (references + predictions - hits)  # 0 / 0 is nan: the class does not occur
    accuracy = hits / references
    return {
        "mean_iou": iou.nanmean().item(),
        "mean_accuracy": accuracy.nanmean().item(),
        "overall_accuracy": (hits.sum() / references.sum()).item(),
        "per_category_iou": iou.tolist(),
        "per_category_accuracy": accuracy.tolist(),
    }


__all__ = [
    "ConfusionMatrix",
    "ReferenceMap",
    "class_counts",
    "compute_mean_iou",
    "mean_iou_of_counts",
    "summarise_counts",
    "to_label_tensor",
]
