# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The two ways of the paper (section 4.1) to find a configuration among many.

For a required speed: time all, then evaluate those that have it. For a good trade-off: sweep single layers, keep the
best, sweep a second layer beside it, and so on until nothing improves.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from paumer_hf import PauseConfig
from paumer_hf.evaluation.plots import frontier
from paumer_hf.model.pause_profile import PauseProfile
from paumer_hf.model.profile_point import ProfilePoint
from paumer_hf.search.accuracy import AccuracyTable
from paumer_hf.search.candidates import CandidateGrid
from paumer_hf.search.prospects import Prospects
from paumer_hf.search.speed import CONFIRMATION, SWEEP, SpeedTable, find_outliers
from paumer_hf.search.wishes import Wish


# Enough configurations in a pass over the images for them to share most layers, few enough to learn from one pass
# which are not worth another.
PASS_SIZE = 24

_MEASURES = ("images_per_second", "speedup", "gigamacs")


class PauseSearch:
    """A search among pause configurations.

    What it finds depends on the measurements alone, and not on which of them an earlier search has left.

    Of many configurations that few rounds have timed, those seem to be the best that chance has favoured. What is in
    doubt is therefore timed once more, with many rounds: before the evaluation what is just not fast enough, and what
    is faster or slower than its operations predict in another way than the others; after it what is chosen or on the
    frontier, until nothing comes to these that has not been confirmed.

    Args:
        speed: How fast they are.
        accuracy: How accurate they are.
        grid: What is searched.
        wish: What is asked for.
        report: Called with a line of text where there is something to say.

    Attributes:
        considered: The configurations whose speed the search has asked for, in the order in which it did.
        evaluated: From those whose accuracy it has asked for to their mean IoU.
    """

    def __init__(
        self,
        speed: SpeedTable,
        accuracy: AccuracyTable,
        grid: CandidateGrid,
        wish: Wish,
        report: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._speed, self._accuracy, self._grid, self._wish, self._report = speed, accuracy, grid, wish, report
        self._confirmed: set[PauseConfig] = set()
        self.considered: dict[PauseConfig, None] = {}
        self.evaluated: dict[PauseConfig, float] = {}

    def exhaustive(self, max_gain: float = 0.3) -> ProfilePoint | None:
        """Time all candidates, and evaluate those that can matter.

        Args:
            max_gain: By how many points of mean IoU pausing more may raise it, at most; what then cannot be what is
                asked for is not evaluated. Infinity evaluates whatever is fast enough.

        Returns:
            The choice if one is asked for.

        Raises:
            ValueError: If no candidate is fast enough; it says how fast the fastest is.
        """
        candidates = self._grid.list_all()
        self._report(f"Searching {len(candidates)} configurations")
        self._time(candidates)
        prospects = Prospects(candidates, self._grid.num_layers, self._wish, max_gain)
        for config in candidates:
            prospects.set_speed(self.point(config))
        if not prospects.is_any_fitting:
            return self._choose()  # refuses, with what comes nearest
        self._learn(prospects, prospects.list_first())
        while True:
            while hopes := prospects.list_hopes():
                self._report(f"{len(hopes)} of {len(candidates)} configurations can still matter")
                self._learn(prospects, hopes[:PASS_SIZE])
            # One that was fast by luck alone may have left out others, which then matter again. The images/s of all
            # go by those of the dense model, which has been timed anew as well.
            if not self._confirm(self._finalists()):
                return self._choose()
            for config in candidates:
                prospects.set_speed(self.point(config))

    def greedy(self, points_per_doubling: float = 4.0) -> ProfilePoint | None:
        """Sweep one layer, keep the best configuration, sweep another layer beside it, until nothing improves.

        Args:
            points_per_doubling: What makes a configuration the best: how many points of mean IoU one gives for being
                twice as fast.

        Returns:
            The choice among the swept configurations, if one is asked for.

        Raises:
            ValueError: If none of them is fast enough; it says how fast the fastest is.
        """
        best, worth = PauseConfig(), 0.0
        self._time([best])
        self._evaluate([best])
        while extended := self._grid.list_extensions(best):
            self._time(extended)
            self._evaluate(extended)
            worths = {config: self._worth(config, points_per_doubling) for config in extended}
            leader = max(extended, key=lambda config: worths[config])
            if worths[leader] <= worth:
                self._report(f"No pause layer beside {best.to_text() or 'none'} improves the trade-off")
                break
            best, worth = leader, worths[leader]
            count = len(best.pause_ratios)
            self._report(f"Best with {count} pause layer{'s' if count > 1 else ''}: {best.to_text()}")
        while self._confirm(self._finalists()):
            pass
        return self._choose()

    def point(self, pause_config: PauseConfig) -> ProfilePoint:
        """Return what the search knows of a configuration: its speed, and its mean IoU once it has been evaluated."""
        row = self.speed_row(pause_config)
        values: dict[str, Any] = {name: row[name] for name in _MEASURES if name in row}
        if pause_config in self.evaluated:
            values["mean_iou"] = self.evaluated[pause_config]
        return ProfilePoint(pause_config, **values)

    def speed_row(self, pause_config: PauseConfig) -> dict[str, Any]:
        """Return what the search knows of the speed of a configuration, in the keys of result files.

        A confirmation that only an earlier search asked for does not count.
        """
        return self._speed.row(pause_config, CONFIRMATION if pause_config in self._confirmed else SWEEP)

    def frontier(self) -> list[ProfilePoint]:
        """Return the evaluated configurations that no other exceeds, see `frontier_points`."""
        # In the order in which they were first considered, which decides between equal ones.
        return frontier_points([self.point(config) for config in self.considered if config in self.evaluated])

    def _time(self, pause_configs: Sequence[PauseConfig]) -> None:
        """Time configurations, those in doubt once more."""
        self._speed.measure(pause_configs)
        self.considered |= dict.fromkeys(pause_configs)
        while self._confirm(self._doubtful()):
            pass

    def _evaluate(self, pause_configs: Iterable[PauseConfig]) -> None:
        new = [config for config in pause_configs if config not in self.evaluated]
        self._accuracy.evaluate(new)
        self.evaluated |= {config: self._accuracy.mean_iou(config) for config in new}

    def _learn(self, prospects: Prospects, pause_configs: Sequence[PauseConfig]) -> None:
        self._evaluate(pause_configs)
        for config in pause_configs:
            prospects.set_accuracy(config, self.evaluated[config])

    def _confirm(self, pause_configs: Iterable[PauseConfig]) -> list[PauseConfig]:
        """Time with many rounds what was not so before, and return it."""
        new = [config for config in dict.fromkeys(pause_configs) if config not in self._confirmed]
        self._speed.measure(new, CONFIRMATION)
        self._confirmed.update(new)
        return new

    def _finalists(self) -> list[PauseConfig]:
        """List what is chosen, or on the frontier, and what is in doubt now that the dense model is known better."""
        choice = self._choose()
        finalists = self.frontier() if choice is None else [choice]
        return [*(point.pause_config for point in finalists), *self._doubtful()]

    def _doubtful(self) -> list[PauseConfig]:
        """List what few rounds must not decide: what is just not fast enough, or unlike the others in efficiency."""
        near = [config for config in self.considered if self._wish.is_nearly_fast_enough(self.point(config))]
        # There is no efficiency where the operations alone count.
        rows = {config: self._speed.row(config, SWEEP) for config in self.considered if config}
        efficiencies = {config: row["efficiency"] for config, row in rows.items() if "efficiency" in row}
        configs = list(efficiencies)
        return [*near, *(configs[index] for index in find_outliers(list(efficiencies.values())))]

    def _choose(self) -> ProfilePoint | None:
        """Return what a profile of all configurations would select, or refuse as it does; None without a wish."""
        if not self._wish.given:
            return None
        # What it would select is on the frontier, and what comes nearest to a speed is the fastest.
        fastest = max(self.considered, key=lambda config: self.speed_row(config)["speedup"])
        kept = {point.pause_config: point for point in self.frontier()}
        kept |= {config: self.point(config) for config in (PauseConfig(), fastest)}
        return PauseProfile(tuple(kept.values())).select(**self._wish.given)

    def _worth(self, pause_config: PauseConfig, points_per_doubling: float) -> float:
        gained = self.evaluated[pause_config] - self.evaluated[PauseConfig()]
        return 100 * gained + points_per_doubling * math.log2(self.point(pause_config).speedup)


def frontier_points(points: Sequence[ProfilePoint]) -> list[ProfilePoint]:
    """Return the points with a mean IoU that no other exceeds in both speed and accuracy, the slowest first.

    Of equal points the first is kept.
    """
    known = [(point, mean_iou) for point in points if (mean_iou := point.mean_iou) is not None]
    return [known[index][0] for index in frontier([(point.speedup, mean_iou) for point, mean_iou in known])]


__all__ = ["PASS_SIZE", "PauseSearch", "frontier_points"]
