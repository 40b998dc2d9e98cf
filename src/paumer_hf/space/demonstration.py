# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What the page computes: which pause configurations a model offers, and what one does to a picture beside dense."""

import math
import statistics
from dataclasses import dataclass

import numpy as np
from PIL import Image

from paumer_hf import PaumerForSemanticSegmentation, PaumerImageProcessor, PauseConfig
from paumer_hf.data.dataset_descriptions import DATASET_DESCRIPTIONS, default_palette
from paumer_hf.model.pause_profile import PauseProfile
from paumer_hf.model.profile_point import ProfilePoint
from paumer_hf.prediction.timed_prediction import TimedPrediction, TimedPredictor
from paumer_hf.visualization import Colour


TARGET = "target"
"""The key of the choice by a speed target."""

TARGET_STEP = 0.05

# What a model without presets offers: the paper's 3:0.4,5:0.4 of 12 layers, and as far along in other models.
_FALLBACK_PLACES, _FALLBACK_RATIO = (3 / 12, 5 / 12), 0.4


@dataclass(frozen=True)
class Choice:
    """A pause configuration that the page offers.

    Attributes:
        key: Tells it from the others.
        name: What it is called; empty where the layers are its name.
        pause_config: The configuration.
    """

    key: str
    name: str
    pause_config: PauseConfig

    @property
    def label(self) -> str:
        """Its name and layers."""
        random = " at random" if self.pause_config.criterion == "random" else ""
        layers = f"{self.pause_config.to_text()}{random}" if self.pause_config else "dense"
        return f"{self.name} ({layers})" if self.name else layers


@dataclass(frozen=True)
class Comparison:
    """What the dense model and a pause configuration made of a picture, timed in turn.

    Attributes:
        image: The picture as both saw it.
        dense: By the dense model.
        paused: By the configuration; the same as `dense` where it pauses nothing.
        choice: The configuration and its name.
        point: What the model's profile says of the configuration, if it does.
        wish: The speed-up that was asked for, if one was.
    """

    image: Image.Image
    dense: TimedPrediction
    paused: TimedPrediction
    choice: Choice
    point: ProfilePoint | None = None
    wish: float | None = None

    @property
    def is_dense(self) -> bool:
        """Whether nothing pauses, so that there is only one prediction."""
        return not self.choice.pause_config

    @property
    def predictions(self) -> list[tuple[str, TimedPrediction]]:
        """What there is to show, with names: dense, and the configuration unless it is dense too."""
        named = [("dense model", self.dense)]
        return named if self.is_dense else [*named, (self.choice.label, self.paused)]

    @property
    def speedup(self) -> float:
        """How many times as fast as dense: the ratio of the medians."""
        return statistics.median(self.dense.seconds) / statistics.median(self.paused.seconds)

    @property
    def agreement(self) -> float:
        """Fraction of the pixels to which both give the same class."""
        return float(np.mean(self.dense.row.label_map == self.paused.row.label_map))


class Demonstration:
    """A model, what it offers, and how it compares with itself.

    Args:
        model: The model, in eval mode.
        processor: Its image processor.
        num_calls: How often each of the two is timed for a picture; the median counts.

    Raises:
        ValueError: If `num_calls` is less than 1.
    """

    def __init__(
        self, model: PaumerForSemanticSegmentation, processor: PaumerImageProcessor, num_calls: int = 3
    ) -> None:
        if num_calls < 1:
            raise ValueError(f"`num_calls` must be at least 1, but is {num_calls}.")
        self.model = model
        self.processor = processor
        self.num_calls = num_calls
        self.class_names = [str(model.config.id2label[label]) for label in range(model.config.num_labels)]
        self.palette = _find_palette(self.class_names)
        self.choices = _find_choices(model)

    @property
    def profile(self) -> PauseProfile | None:
        """The model's measured profile."""
        return self.model.pause_profile

    @property
    def max_target(self) -> float | None:
        """The highest speed-up, in steps of `TARGET_STEP`, that can be asked for; None if nothing can."""
        if self.profile is None:
            return None
        fastest = max(point.speedup for point in self.profile.points)
        highest = 1 + TARGET_STEP * math.floor(round((fastest - 1) / TARGET_STEP, 6))
        return round(highest, 2) if highest > 1 else None

    def choose(self, key: str, target: float | None = None) -> Choice:
        """The pause configuration that the user wants.

        Args:
            key: Of one of `choices`, or `TARGET`.
            target: With `TARGET`: at least so many times as fast as the dense model, by the profile.

        Raises:
            ValueError: If there is no such choice, or nothing meets the target.
        """
        if key != TARGET:
            found = next((choice for choice in self.choices if choice.key == key), None)
            if found is None:
                raise ValueError(f"There is no pause configuration {key!r}. Choose one of the list.")
            return found
        if target is None:
            raise ValueError("No speed is asked for. Set the speed target.")
        selected = self.model.select_pause_config(min_speedup=target)
        names = (choice.name for choice in self.choices if choice.pause_config == selected)
        return Choice(TARGET, next(names, ""), selected)

    def compare(self, image: Image.Image, key: str, target: float | None = None) -> Comparison:
        """Predict and time a picture by the dense model and by a pause configuration, in turn.

        Args:
            image: The picture, at the size at which the model shall see it.
            key: Of one of `choices`, or `TARGET`.
            target: With `TARGET`: the speed-up that is asked for.

        Raises:
            ValueError: If `choose` refuses.
        """
        choice = self.choose(key, target)
        configs = {PauseConfig(): "dense", choice.pause_config: choice.name or "dense"}
        predictions = TimedPredictor(self.model, self.processor, configs).predict(image, self.num_calls)
        points = [] if self.profile is None else self.profile.points
        point = next((point for point in points if point.pause_config == choice.pause_config), None)
        wish = target if key == TARGET else None
        return Comparison(image, predictions[0], predictions[-1], choice, point, wish)


def _find_palette(class_names: list[str]) -> tuple[Colour, ...]:
    """The usual colours of a known data set with these classes, or distinct ones."""
    for description in DATASET_DESCRIPTIONS.values():
        if list(description.class_names) == class_names:
            return description.palette
    return default_palette(len(class_names))


def _find_choices(model: PaumerForSemanticSegmentation) -> tuple[Choice, ...]:
    """The model's presets and default; of a model without either, one configuration that is usual."""
    found = [Choice(f"preset {name}", name, config) for name, config in model.pause_presets.items()]
    if model.pause_config and model.pause_config not in model.pause_presets.values():
        found.append(Choice("default", "default", model.pause_config))
    if not found:
        num_layers = model.config.num_hidden_layers
        layers = {max(1, round(place * num_layers)) for place in _FALLBACK_PLACES}
        usual = PauseConfig({layer: _FALLBACK_RATIO for layer in sorted(layers) if layer < num_layers})
        found.append(Choice("usual", "", usual))
    return tuple(found)


__all__ = ["TARGET", "TARGET_STEP", "Choice", "Comparison", "Demonstration"]
