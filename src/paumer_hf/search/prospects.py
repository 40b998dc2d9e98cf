# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Which of the candidates of a search can still be what is asked for, by what is known of the others."""

from collections.abc import Sequence

import numpy as np

from paumer_hf import PauseConfig
from paumer_hf.model.profile_point import ProfilePoint
from paumer_hf.search.candidates import PauseOrder
from paumer_hf.search.wishes import Wish


# Fractions of mean IoU: what differs by less is evaluated, because sums may be rounded either way.
_TOLERANCE = 1e-9


class Prospects:
    """What is known of the candidates, and who can still matter.

    It rests on one assumption: a configuration is at most `max_gain` points more accurate than any that is gentler,
    that is, processes at least as many patches in every layer. One that with as much as that could not be what is
    asked for, cannot matter.

    Args:
        candidates: The candidates, the dense model first.
        num_layers: Number of encoder layers of the model.
        wish: What is asked for.
        max_gain: By how much pausing more may raise the mean IoU, at most, in points. Infinity assumes nothing.
    """

    def __init__(self, candidates: Sequence[PauseConfig], num_layers: int, wish: Wish, max_gain: float) -> None:
        self._candidates, self._wish, self._max_gain = list(candidates), wish, max_gain / 100
        self._places = {config: place for place, config in enumerate(self._candidates)}
        self._order = PauseOrder(self._candidates, num_layers)
        self._speedups = np.zeros(len(self._candidates))
        self._is_fitting = np.zeros(len(self._candidates), dtype=bool)
        self._accuracy = np.full(len(self._candidates), np.nan)
        self._best_case = np.full(len(self._candidates), np.inf)

    def set_speed(self, point: ProfilePoint) -> None:
        """Say how fast a candidate is."""
        place = self._places[point.pause_config]
        self._speedups[place] = point.speedup
        self._is_fitting[place] = self._wish.is_fast_enough(point)

    def set_accuracy(self, pause_config: PauseConfig, mean_iou: float) -> None:
        """Say how accurate a candidate is, which bounds those that pause more."""
        place = self._places[pause_config]
        self._accuracy[place] = mean_iou
        bounded = self._order.is_gentler(place)
        self._best_case[bounded] = np.minimum(self._best_case[bounded], mean_iou + self._max_gain)

    @property
    def is_any_fitting(self) -> bool:
        """Whether a candidate is as fast as is asked for."""
        return bool(self._is_fitting.any())

    def list_first(self) -> list[PauseConfig]:
        """List what to evaluate first: the dense model, and single layers, which bound all that pause more.

        Nothing is bounded without an assumption.
        """
        if np.isinf(self._max_gain):
            return self._candidates[:1]
        return [config for config in self._candidates if len(config.pause_ratios) <= 1]

    def list_hopes(self) -> list[PauseConfig]:
        """List the candidates without an accuracy that can still matter, the most hopeful first.

        The speeds of all must be known, and the accuracy of the dense model.
        """
        is_open = self._is_fitting & np.isnan(self._accuracy)
        needed = self._needed()
        with np.errstate(invalid="ignore"):  # infinite hope of what cannot matter
            hopes = self._best_case - needed
        places = np.flatnonzero(is_open & (hopes > -_TOLERANCE))
        # Of those that lose little, the fastest decide soonest which of the others are too slow.
        rank = self._speedups if self._wish.max_drop is not None else hopes
        return [self._candidates[place] for place in places[np.argsort(-rank[places], kind="stable")]]

    def _needed(self) -> np.ndarray:
        """Return the mean IoU that each candidate needs to matter."""
        is_rival = self._is_fitting & ~np.isnan(self._accuracy)
        if self._wish.max_drop is not None:
            least = self._accuracy[0] - self._wish.max_drop / 100
            is_good = is_rival & (self._accuracy >= least)
            fastest = self._speedups[is_good].max()
            best = self._accuracy[is_good & (self._speedups == fastest)].max()
            needed = np.where(self._speedups == fastest, best, np.inf)
            return np.where(self._speedups > fastest, least, needed)
        if self._wish.is_about_speed:
            return np.full(len(self._candidates), self._accuracy[is_rival].max(initial=-np.inf))
        return self._best_of_as_fast(is_rival)

    def _best_of_as_fast(self, is_rival: np.ndarray) -> np.ndarray:
        """Return for each candidate the best mean IoU of the rivals that are at least as fast."""
        speedups, accuracy = self._speedups[is_rival], self._accuracy[is_rival]
        order = np.argsort(speedups)
        # At place i the best of all from the i-th slowest on; none is left past the end.
        best = np.append(np.maximum.accumulate(accuracy[order][::-1])[::-1], -np.inf)
        return best[np.searchsorted(speedups[order], self._speedups, side="left")]


__all__ = ["Prospects"]
