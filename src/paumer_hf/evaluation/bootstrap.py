# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""How sure a mean IoU is: 95 % intervals by a stratified bootstrap over the images of a data set.

The images are drawn again with replacement, thousands of times, and the mean IoU of each data set so drawn is
computed; the interval holds the middle 95 % of them. Two pause configurations are compared on the same drawn images,
so that what makes an image hard for both cancels out of their difference: its interval is several times narrower than
the two intervals of the mean IoU, which may overlap although the difference is sure.

Images are drawn within strata. The mean depends on a rare class as much as on a common one, and without strata that
class would be in many images of one draw and in none of the next. A stratum is the images that have the same rarest
class, rare being what is in the fewest images. Strata of fewer than 4 images are joined with those of the next more
common class, because so few have next to no variance. A class that is in all images of a stratum is in every draw. One
that is in very few images can be missing from a draw: it is then left out of that draw's mean, or counts 0 if it is
predicted, as `mean_iou_of_counts` has it for any data set. The first raises a draw's mean if the class is a hard one,
the second lowers it; neither is corrected.

Of a stratum's n images n - 2 are drawn, and their counts are scaled to n images. Drawing n would give a mean only
(n - 1) / n of its variance, and an IoU less than that, because its denominator is an estimate from the same images.
Of simulated data sets of 100 images, with classes in a twentieth of them but each in at least 3, n draws give
intervals that hold the mean IoU of the population in 91 % of cases, n - 2 draws in 93 to 96 %. Bias-corrected,
accelerated intervals hold it less often.

What the intervals do not say:
    - They are for independent images. Frames of one video resemble each other, so that the intervals of a data set
      made of videos, such as CamVid, are too narrow.
    - A class in fewer than 3 images is hardly known, and drawing these again does not show it: the mean IoU itself is
      then often too low, and its interval with it (80 to 90 % of cases with a class in one image).
    - Seeds of random pausing are taken as they are; how much the mean differs between them is `mean_iou_spread`.
    - They are about this trained model; the same training from another seed gives another one.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from paumer_hf.evaluation.mean_iou import mean_iou_of_counts


_MIN_STRATUM = 4
_FEWER_DRAWS = 2


class ImageBootstrap:
    """Data sets drawn from the images of one, the same for every pause configuration that is compared.

    Which images are drawn depends on the reference pixels and the seed, and not on the order of the images (but for
    images whose reference pixels are equal in number in all classes).

    Args:
        references: `(images, num_labels)`: reference pixels of each class in each image.
        num_resamples: Number of data sets to draw.
        seed: Seed of the draws.

    Attributes:
        weights: float64 `(num_resamples, images)`: how often each image counts in each drawn data set. A row sums to
            the number of images, and over a stratum to the size of that stratum.

    Raises:
        ValueError: If there are fewer than 2 images or no resamples.
    """

    def __init__(self, references: np.ndarray, num_resamples: int = 2000, seed: int = 0):
        references = np.asarray(references)
        if references.ndim != 2 or len(references) < 2:
            raise ValueError(
                "`references` must be (images, num_labels) with at least 2 images, but has the shape "
                f"{references.shape}. One image says nothing about how much others differ: evaluate more."
            )
        if num_resamples < 1:
            raise ValueError(f"`num_resamples` must be at least 1, but is {num_resamples}. 2000 are usual.")
        self.weights = np.empty((num_resamples, len(references)))
        generator = np.random.default_rng(seed)
        in_order = np.lexsort(references.T)
        for stratum in _strata(references[in_order]):
            num_draws = max(len(stratum) - _FEWER_DRAWS, 1)
            chances = np.full(len(stratum), 1 / len(stratum))
            draws = generator.multinomial(num_draws, chances, size=num_resamples)
            self.weights[:, in_order[stratum]] = draws * (len(stratum) / num_draws)

    def mean_iou(self, counts: np.ndarray) -> np.ndarray:
        """Compute the mean IoU of each drawn data set.

        Args:
            counts: `(images, 3, num_labels)`, for each image as of `class_counts`, or `(seeds, images, 3, num_labels)`
                for the mean over seeds of the mean IoU of the same drawn images.

        Returns:
            float64 `(num_resamples,)`, fractions; nan where no drawn image has a class.

        Raises:
            ValueError: If the counts are of another shape or another number of images.
        """
        of_seeds = _of_seeds(counts)
        num_images, num_labels = self.weights.shape[1], of_seeds.shape[-1]
        if of_seeds.shape[1] != num_images:
            raise ValueError(f"`counts` must be of {num_images} images as the references, not {of_seeds.shape[1]}.")
        # Not in float32: it is exact to 2 ** 24 only, and a data set has more pixels. What the product needs is small,
        # whatever the number of images: num_resamples x 3 x num_labels.
        sums = (self.weights @ of_seed.reshape(num_images, -1).astype(np.float64) for of_seed in of_seeds)
        return np.mean([mean_iou_of_counts(of_seed.reshape(-1, 3, num_labels)) for of_seed in sums], axis=0)


def interval(samples: np.ndarray, confidence: float = 0.95) -> tuple[float, float]:
    """Return the middle part of samples.

    Args:
        samples: Mean IoUs of drawn data sets, or differences of two; those that are nan are left out.
        confidence: Part of the samples between the bounds, above 0 and below 1.

    Returns:
        The lower and the upper bound; both nan if all samples are.

    Raises:
        ValueError: If the confidence is out of range.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"`confidence` must lie between 0 and 1, but is {confidence}. 0.95 is usual.")
    known = np.asarray(samples)[~np.isnan(samples)]
    if not known.size:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def add_intervals(
    rows: Sequence[Mapping[str, Any]],
    counts: Sequence[np.ndarray],
    num_resamples: int = 2000,
    seed: int = 0,
    progress: bool = True,
) -> list[dict[str, Any]]:
    """Add 95 % intervals of the mean IoU, and differences to the dense model with theirs, to results.

    Args:
        rows: Results of `evaluate_model`, with `pause_config` and `mean_iou`, all of the same images.
        counts: For each row `(images, 3, num_labels)` or `(seeds, images, 3, num_labels)`, as for
            `ImageBootstrap.mean_iou`.
        num_resamples: Number of data sets to draw.
        seed: Seed of the draws.
        progress: Whether to show a progress bar where there is a terminal.

    Returns:
        New rows with `mean_iou_interval` and, except for the dense model's own, `mean_iou_difference` and
        `mean_iou_difference_interval`: fractions, intervals as lists of two. Differences need a row of the dense
        model, whose `pause_config` is empty; intervals need at least 2 images.

    Raises:
        ValueError: If rows and counts do not go together, or the counts are not of the same images.
    """
    if len(rows) != len(counts):
        raise ValueError(f"`counts` must be as many as the rows, {len(rows)}, but are {len(counts)}.")
    if not rows:
        return []
    references = _common_references(rows, counts)
    dense = next((number for number, row in enumerate(rows) if not row["pause_config"]), None)
    added: list[dict[str, Any]] = [dict(row) for row in rows]
    for row in added:
        if dense is not None and row["pause_config"]:
            row["mean_iou_difference"] = row["mean_iou"] - rows[dense]["mean_iou"]
    if len(references) < 2:
        return added
    bootstrap = ImageBootstrap(references, num_resamples, seed)
    of_dense = None if dense is None else bootstrap.mean_iou(counts[dense])
    for row, of_row in zip(tqdm(added, desc="Resampling", disable=None if progress else True), counts, strict=True):
        samples = bootstrap.mean_iou(of_row)
        row["mean_iou_interval"] = list(interval(samples))
        if of_dense is not None and row["pause_config"]:
            row["mean_iou_difference_interval"] = list(interval(samples - of_dense))
    return added


def _strata(references: np.ndarray) -> list[np.ndarray]:
    """The indices of the images of each stratum: those of the same rarest class, small ones joined."""
    present = references > 0
    from_rarest = present[:, np.argsort(present.sum(0), kind="stable")]
    rarest = np.where(from_rarest.any(1), from_rarest.argmax(1), references.shape[1])
    strata, waiting = [], np.empty(0, dtype=np.int64)
    for rank in range(references.shape[1] + 1):
        waiting = np.concatenate([waiting, np.flatnonzero(rarest == rank)])
        if len(waiting) >= _MIN_STRATUM:
            strata.append(waiting)
            waiting = waiting[:0]
    if len(waiting):
        strata[-1:] = [np.concatenate([*strata[-1:], waiting])]
    return strata


def _common_references(rows: Sequence[Mapping[str, Any]], counts: Sequence[np.ndarray]) -> np.ndarray:
    """The reference pixels `(images, num_labels)` that all counts share."""
    references = _of_seeds(counts[0])[0, :, 1]
    for row, of_row in zip(rows, counts, strict=True):
        if any(not np.array_equal(of_seed[:, 1], references) for of_seed in _of_seeds(of_row)):
            raise ValueError(
                "`counts` must be of the same images in the same order for all rows, but the reference pixels of the "
                f"row {row['pause_config'] or 'dense'!r} differ from those before. Evaluate all in one run."
            )
    return references


def _of_seeds(counts: np.ndarray) -> np.ndarray:
    """Counts with a dimension for seeds, `(seeds, images, 3, num_labels)`."""
    counts = np.asarray(counts)
    if counts.ndim not in (3, 4) or counts.shape[-2] != 3:
        raise ValueError(
            "`counts` must be (images, 3, num_labels), with seeds before it or without, but has the shape "
            f"{counts.shape}. Stack what `class_counts` returns for each image."
        )
    return counts.reshape(-1, *counts.shape[-3:])


__all__ = ["ImageBootstrap", "add_intervals", "interval"]
