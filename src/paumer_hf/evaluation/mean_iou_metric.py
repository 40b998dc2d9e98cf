# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The Hub's `mean_iou` metric for the `evaluate` library, offline and in constant memory."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import datasets
import evaluate
import numpy as np

from paumer_hf.evaluation.mean_iou import ConfusionMatrix, compute_mean_iou, to_label_tensor


_DESCRIPTION = "Intersection over union of predicted and reference label maps, averaged over the classes."

_INPUTS_DESCRIPTION = """
Args:
    predictions: Predicted label maps, a sequence of integer maps; sizes may differ between maps.
    references: Reference label maps of the same sizes.
    num_labels: Number of classes.
    ignore_index: Reference value whose pixels are left out (after `label_map` and `reduce_labels`).
    nan_to_num: Value that replaces the nan of absent classes.
    label_map: Old to new reference values; every old value is meant before the mapping.
    reduce_labels: Whether to lower all reference values by 1, with 0 becoming 255.
"""


class MeanIoU(evaluate.Metric):
    """Mean IoU with the arguments and results of `evaluate.load("mean_iou")`.

    The Hub's metric stores every label map in an Arrow file until `compute`. This one keeps how often each pair of
    (reference value, predicted value) occurred, from which the confusion matrix follows for any `num_labels`,
    `label_map` or `reduce_labels` that `compute` is given later. Predictions outside the classes are refused rather
    than dropped.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if self.num_process != 1:
            raise ValueError(
                f"num_process must be 1, got {self.num_process}. With several processes sum ConfusionMatrix.matrix "
                "of all of them and call compute_mean_iou."
            )
        self._pair_counts: Counter[tuple[int, int]] = Counter()

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation="",
            inputs_description=_INPUTS_DESCRIPTION,
            features=datasets.Features({"predictions": datasets.Image(), "references": datasets.Image()}),
        )

    def add(self, *, prediction: Any = None, reference: Any = None, **kwargs: Any) -> None:
        """Count one pair of label maps."""
        _refuse_inputs(kwargs)
        if prediction is None or reference is None:
            raise ValueError("Both prediction and reference are needed.")
        predicted, references = to_label_tensor(prediction).cpu(), to_label_tensor(reference).cpu()
        if predicted.shape != references.shape:
            raise ValueError(
                f"A prediction of {predicted.numel()} pixels does not fit a reference of {references.numel()} pixels. "
                "Upsample the predictions to the size of the references."
            )
        self._pair_counts.update(_count_pairs(references.numpy(), predicted.numpy()))

    def add_batch(self, *, predictions: Any = None, references: Any = None, **kwargs: Any) -> None:
        """Count a batch of pairs of label maps."""
        _refuse_inputs(kwargs)
        if predictions is None or references is None or len(predictions) != len(references):
            sizes = [None if maps is None else len(maps) for maps in (predictions, references)]
            raise ValueError(f"predictions and references must be equally many label maps, got {sizes}.")
        for prediction, reference in zip(predictions, references, strict=True):
            self.add(prediction=prediction, reference=reference)

    def compute(self, *, predictions: Any = None, references: Any = None, **kwargs: Any) -> dict[str, Any]:
        """Return the results over everything added (and the maps given here), and start afresh.

        Args:
            predictions: Optional last batch of predicted label maps.
            references: Optional last batch of reference label maps.
            **kwargs: `num_labels`, `ignore_index` and optionally `nan_to_num`, `label_map`, `reduce_labels`.
        """
        if predictions is not None or references is not None:
            self.add_batch(predictions=predictions, references=references)
        if not self._pair_counts:
            raise ValueError("Nothing to compute. Call add or add_batch first, or pass predictions and references.")
        results = self._compute(self._pair_counts, **kwargs)
        self._pair_counts = Counter()
        return results

    def _compute(
        self,
        pair_counts: Mapping[tuple[int, int], int],
        num_labels: int,
        ignore_index: int = 255,
        nan_to_num: float | None = None,
        label_map: Mapping[int, int] | None = None,
        reduce_labels: bool = False,
    ) -> dict[str, Any]:
        references, predictions = np.array(list(pair_counts)).T
        references = _map_references(references, label_map or {}, reduce_labels)
        confusion = ConfusionMatrix(num_labels, ignore_index)
        confusion.update(predictions, references, counts=list(pair_counts.values()))
        results = {
            name: np.array(value) if isinstance(value, list) else value
            for name, value in compute_mean_iou(confusion.matrix).items()
        }
        if nan_to_num is not None:
            results = {name: np.nan_to_num(value, nan=nan_to_num) for name, value in results.items()}
        return results


def _map_references(references: np.ndarray, label_map: Mapping[int, int], reduce_labels: bool) -> np.ndarray:
    mapped = references.copy()
    for old, new in label_map.items():
        mapped[references == int(old)] = int(new)
    if reduce_labels:
        return np.where(np.isin(mapped, (0, 255)), 255, mapped - 1)
    return mapped


def _count_pairs(references: np.ndarray, predictions: np.ndarray) -> Counter[tuple[int, int]]:
    # One number per pair: sorting rows of two columns would take ten times as long.
    lowest = predictions.min(initial=0)
    span = int(predictions.max(initial=0) - lowest) + 1
    numbers, counts = np.unique(references * span + (predictions - lowest), return_counts=True)
    pairs = zip((numbers // span).tolist(), (numbers % span + lowest).tolist(), strict=True)
    return Counter(dict(zip(pairs, counts.tolist(), strict=True)))


def _refuse_inputs(inputs: Mapping[str, Any]) -> None:
    if inputs:
        raise ValueError(f"Unknown inputs {sorted(inputs)}. The inputs are predictions and references.")


__all__ = ["MeanIoU"]
