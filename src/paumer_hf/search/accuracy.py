# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""How accurate many pause configurations are: each image is counted once for each of them, and kept."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from paumer_hf import PaumerForSemanticSegmentation, PauseConfig
from paumer_hf.data.transforms import IGNORE_INDEX
from paumer_hf.evaluation.bootstrap import add_intervals
from paumer_hf.evaluation.mean_iou import mean_iou_of_counts
from paumer_hf.evaluation.multi_scale import EvaluationSettings
from paumer_hf.evaluation.semantic_evaluation import count_images, summarise_run
from paumer_hf.search.store import SearchStore


class AccuracyTable:
    """The mean IoU of pause configurations: what the store has, and what is evaluated on demand.

    Args:
        model: A segmentation model.
        dataset: A `SegmentationDataset`.
        settings: How an image becomes a label map.
        store: Where counts are kept.
        max_samples: Number of images, from the first; `None` takes all.
        progress: Whether to show a progress bar where there is a terminal.

    Raises:
        ValueError: If there are no images, or the store holds counts of others.
    """

    def __init__(
        self,
        model: PaumerForSemanticSegmentation,
        dataset: Any,
        settings: EvaluationSettings,
        store: SearchStore,
        max_samples: int | None = None,
        progress: bool = True,
    ) -> None:
        self._model, self._dataset, self._settings, self._store = model, dataset, settings, store
        self._images = range(len(dataset) if max_samples is None else min(max_samples, len(dataset)))
        self._progress = progress
        self._mean_iou: dict[PauseConfig, float] = {}
        if not self._images:
            raise ValueError(f"There is nothing to evaluate: the data set has {len(dataset)} images, {max_samples=}.")
        self._check_images()

    def evaluate(self, pause_configs: Sequence[PauseConfig]) -> None:
        """Count the images that have no counts yet, all configurations in one pass that shares layers."""
        counted = {config: self._store.counted_images(config) for config in pause_configs}
        # After an interruption the first images lack other configurations than the last.
        parts: dict[tuple[PauseConfig, ...], list[int]] = {}
        for image in self._images:
            missing = tuple(config for config in pause_configs if image not in counted[config])
            if missing:
                parts.setdefault(missing, []).append(image)
        for missing, images in parts.items():
            arguments = (self._model, self._dataset, missing, self._settings, images)
            for result in count_images(*arguments, progress=self._progress, description=_describe(missing)):
                self._store.add_counts(result.place, missing, result.counts.cpu().numpy())

    def mean_iou(self, pause_config: PauseConfig) -> float:
        """Return the mean IoU of a configuration that has been evaluated.

        Raises:
            ValueError: If no class occurs.
        """
        if pause_config not in self._mean_iou:
            mean_iou = float(mean_iou_of_counts(self._counts(pause_config).sum(0)))
            if math.isnan(mean_iou):
                raise ValueError(
                    f"None of the {len(self._images)} images has a labelled pixel, so that there is no mean IoU. Take "
                    "a split with labels."
                )
            self._mean_iou[pause_config] = mean_iou
        return self._mean_iou[pause_config]

    def rows(self, pause_configs: Sequence[PauseConfig], num_resamples: int) -> list[dict[str, Any]]:
        """Return what is known of the accuracy of configurations, in the keys of result files.

        Args:
            pause_configs: Configurations that have been evaluated, among them the dense model.
            num_resamples: Number of resampled data sets behind the intervals; 0 leaves these out.
        """
        counts = _StoredCounts(self._counts, pause_configs)
        rows = [_summarise(config, part) for config, part in zip(pause_configs, counts, strict=True)]
        if num_resamples:
            return add_intervals(rows, counts, num_resamples, progress=self._progress)
        dense = self.mean_iou(PauseConfig())
        return [
            {**row, "mean_iou_difference": row["mean_iou"] - dense} if row["pause_config"] else row for row in rows
        ]

    def _counts(self, pause_config: PauseConfig) -> np.ndarray:
        return self._store.counts(pause_config, self._images)

    def _check_images(self) -> None:
        """Refuse a store of other images, which may have the same name and number: compare the labels of one."""
        known = self._store.any_counts()
        if known is None:
            return
        image, counts = known
        annotation = np.asarray(self._dataset[image].annotation)
        references = np.bincount(annotation[annotation != IGNORE_INDEX].ravel(), minlength=counts.shape[1])
        if not np.array_equal(references, counts[1]):
            raise ValueError(
                f"{self._store.path} holds measurements of another data set: the labels of image {image} are others. "
                "Name another output folder, or remove the file to measure anew."
            )


class _StoredCounts(Sequence[np.ndarray]):
    """Counts that are read from the store when they are asked for: those of all need not fit into memory."""

    def __init__(self, read: Callable[[PauseConfig], np.ndarray], pause_configs: Sequence[PauseConfig]) -> None:
        self._read, self._pause_configs = read, pause_configs

    def __len__(self) -> int:
        return len(self._pause_configs)

    def __getitem__(self, index: Any) -> Any:
        return self._read(self._pause_configs[index])


def _describe(pause_configs: Sequence[PauseConfig]) -> str:
    return f"Evaluating {len(pause_configs)} configuration{'s' if len(pause_configs) > 1 else ''}"


def _summarise(pause_config: PauseConfig, counts: np.ndarray) -> dict[str, Any]:
    return {**summarise_run([pause_config], torch.from_numpy(counts)[:, None]), "num_images": len(counts)}


__all__ = ["AccuracyTable"]
