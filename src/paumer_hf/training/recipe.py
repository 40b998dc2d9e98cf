# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The recipe of a training: one dataclass whose field names are the YAML keys and the command-line flags."""

import argparse
import dataclasses
import inspect
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from paumer_hf.data.segmentation_datasets import GENERATORS
from paumer_hf.training.recipe_files import merge_fields, read_recipe_file


# How the second and further lines of a field's documentation are indented, within the class documentation.
CONTINUATION = " " * 8

# `Literal[...] | None` is the older of the two.
UNIONS = (types.UnionType, typing.Union)


@dataclass
class TrainingRecipe:
    """Everything that decides a training. Sizes are in pixels, (height, width); steps are optimiser steps.

    Attributes:
        output_dir: Folder of the training: checkpoints, the best and the last model, the log.
        dataset: Name of a registered data set, or any name with `class_names` for one of your own.
        dataset_path: Folder or Hub id that `datasets.load_dataset` reads; None for the description's own.
        dataset_revision: Commit, tag or branch of a Hub data set; None takes the description's own.
        streaming: Whether to read the training split as a stream, for data that does not fit on the disk.
        streaming_buffer_size: Samples of a stream that are shuffled together.
        on_bad_sample: Whether a sample that cannot be read stops the training or is skipped, by "stop" or "skip".
        image_column: Column of the images, where it differs from the description's.
        annotation_column: Column of the label maps, where it differs from the description's.
        id_column: Column of the sample ids, where it differs from the description's.
        train_split: Split to train on, where it differs from the description's.
        validation_split: Split to evaluate on, where it differs from the description's.
        class_names: Classes of a data set that is not registered.
        label_mapping: From raw label values to classes; values that are not named are ignored.
        scene_size: Size of generated scenes.
        num_train_scenes: Number of generated training scenes.
        num_validation_scenes: Number of generated validation scenes.
        model_size: Standard size of a new model.
        init_from: What to start from instead of a new model: a PAUMER checkpoint or weights of another origin.
        init_kind: Kind of the weights that `init_from` names, where they do not tell it themselves.
        init_num_attention_heads: Their number of attention heads, where they do not tell it themselves.
        init_revision: Commit, tag or branch of `init_from` on the Hub.
        config_overrides: Fields of PaumerConfig that differ from the size's or the checkpoint's. Those of a file that
            is extended stay where the extending file or a flag names others.
        train_pause_layers: As in PaumerConfig, as are the next three; None keeps the model's.
        train_pause_ratios: Lowest and highest ratio.
        train_num_pause_layers: [1] is the paper's sampling, [1, 2, 3] covers several layers at once.
        train_pause_criterion: "random" trains the random-pausing baseline.
        crop_size: Size of the training crops.
        resize_short_side: Short side of an image before the random resize; None keeps its size.
        resize_long_side: Most that the long side then has, before the random resize; None sets no bound.
        scale_range: Smallest and largest factor of the random resize.
        cat_max_ratio: Largest share of one class in a crop.
        flip_probability: Probability of mirroring.
        photometric_distortion: Whether colours are distorted.
        hue_degrees: By how much hues then change at most, to either side, on a circle of 360.
        image_mean: Mean of each channel, on the scale 0 to 1; None takes that of `init_from`, or 0.5.
        image_std: Standard deviation of each channel, on the same scale; None as for `image_mean`.
        max_steps: Number of optimiser steps.
        batch_size: Images of an optimiser step over all processes and accumulated batches.
        per_device_batch_size: Most images that a process computes at once; None is its whole part of the batch. What
            is left of the batch is accumulated, so that `batch_size` holds on any number of processes.
        optimizer: "adamw", or "sgd" with Nesterov momentum.
        learning_rate: Highest learning rate.
        min_learning_rate: Learning rate at the end of the schedule.
        lr_schedule: How the learning rate falls after the warm-up.
        poly_power: Exponent of the polynomial schedule.
        warmup_steps: Steps of linear warm-up.
        momentum: Momentum of SGD.
        betas: The two decay rates of AdamW.
        weight_decay: Weight decay of matrices; vectors and embeddings have none.
        max_grad_norm: Largest norm of the gradient; None does not clip.
        ema_decay: Decay of a moving average of the weights, which is then what is evaluated and saved; None keeps no
            average.
        mixed_precision: Precision of the computation; the weights stay in float32.
        gradient_checkpointing: Whether to recompute activations in the backward pass, to save memory.
        seed: Seed of the initial weights, the order of the samples, the augmentation and the pauses.
        num_workers: Processes that load samples; 0 loads in the training process.
        logging_steps: Steps between two lines of the log.
        eval_steps: Steps between two evaluations; the end is always evaluated.
        eval_pause_configs: What is evaluated, "dense" or such as "3:0.4,5:0.4"; the first decides what is best.
        eval_window_size: Size of sliding windows; None takes the whole image.
        eval_stride: Stride of sliding windows; None is the window size.
        eval_resize_short_side: Short side of an image before the evaluation; None keeps its size.
        eval_resize_long_side: Most that the long side then has; None sets no bound.
        eval_max_samples: Number of validation images; None takes all.
        save_steps: Steps between two checkpoints; each evaluation has one before it, too.
        save_total_limit: Number of newest checkpoints that are kept, beside that of the best evaluation.
        dry_run: Whether to say what the training would do and stop.
        resume: Whether to go on from the newest checkpoint in `output_dir`.
        report_to: Tracker of accelerate, such as "tensorboard"; None tracks nothing beyond the log.
    """

    output_dir: str = "runs/paumer"
    dataset: str = "street_scenes"
    dataset_path: str | None = None
    dataset_revision: str | None = None
    streaming: bool = False
    streaming_buffer_size: int = 512
    on_bad_sample: Literal["stop", "skip"] = "stop"
    image_column: str | None = None
    annotation_column: str | None = None
    id_column: str | None = None
    train_split: str | None = None
    validation_split: str | None = None
    class_names: list[str] | None = None
    label_mapping: dict[int, int] | None = None
    scene_size: list[int] = dataclasses.field(default_factory=lambda: [128, 128])
    num_train_scenes: int = 1000
    num_validation_scenes: int = 100
    model_size: Literal["tiny", "small", "base", "large"] = "tiny"
    init_from: str | None = None
    init_kind: str | None = None
    init_num_attention_heads: int | None = None
    init_revision: str | None = None
    config_overrides: dict[str, Any] | None = None
    train_pause_layers: list[int] | None = None
    train_pause_ratios: list[float] | None = None
    train_num_pause_layers: list[int] | None = None
    train_pause_criterion: Literal["entropy", "random"] | None = None
    crop_size: list[int] = dataclasses.field(default_factory=lambda: [512, 512])
    resize_short_side: int | None = None
    resize_long_side: int | None = None
    scale_range: list[float] = dataclasses.field(default_factory=lambda: [0.5, 2.0])
    cat_max_ratio: float = 0.75
    flip_probability: float = 0.5
    photometric_distortion: bool = True
    hue_degrees: float = 36.0
    image_mean: list[float] | None = None
    image_std: list[float] | None = None
    max_steps: int = 80000
    batch_size: int = 8
    per_device_batch_size: int | None = None
    optimizer: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = 1e-4
    min_learning_rate: float = 0.0
    lr_schedule: Literal["poly", "cosine", "constant"] = "poly"
    poly_power: float = 0.9
    warmup_steps: int = 0
    momentum: float = 0.9
    betas: list[float] = dataclasses.field(default_factory=lambda: [0.9, 0.999])
    weight_decay: float = 0.0
    max_grad_norm: float | None = None
    ema_decay: float | None = None
    mixed_precision: Literal["no", "bf16", "fp16"] = "no"
    gradient_checkpointing: bool = False
    seed: int = 0
    num_workers: int = 1
    logging_steps: int = 20
    eval_steps: int = 1000
    eval_pause_configs: list[str] = dataclasses.field(default_factory=lambda: ["dense"])
    eval_window_size: list[int] | None = None
    eval_stride: list[int] | None = None
    eval_resize_short_side: int | None = None
    eval_resize_long_side: int | None = None
    eval_max_samples: int | None = None
    save_steps: int = 1000
    save_total_limit: int = 2
    dry_run: bool = False
    resume: bool = False
    report_to: str | None = None

    def __post_init__(self) -> None:
        """Bring every value to its declared type, then check the ranges."""
        for name, hint in typing.get_type_hints(type(self)).items():
            try:
                setattr(self, name, _coerce(getattr(self, name), hint))
            except (TypeError, ValueError, AttributeError) as error:
                raise ValueError(f"`{name}` must be {_describe(hint)}, but is {getattr(self, name)!r}.") from error
        self._check_signs()
        self._check_ranges()
        if self.warmup_steps >= self.max_steps:
            raise ValueError(
                f"`warmup_steps` must be below `max_steps`, but they are {self.warmup_steps} and {self.max_steps}."
            )
        self._check_windows()
        self._check_resizes()
        self._check_sources()
        if not self.eval_pause_configs:
            raise ValueError('`eval_pause_configs` must name at least one configuration; "dense" pauses nothing.')

    def _check_windows(self) -> None:
        stride, window = self.eval_stride, self.eval_window_size
        if stride is None:
            return
        if window is None or any(step > side for step, side in zip(stride, window, strict=True)):
            raise ValueError(
                f"`eval_stride` must be at most `eval_window_size`, but they are {stride} and {window}. A larger "
                "stride would leave pixels out."
            )

    def _check_resizes(self) -> None:
        for prefix in ("", "eval_"):
            short, long = (getattr(self, f"{prefix}resize_{side}_side") for side in ("short", "long"))
            if long is not None and (short is None or long < short):
                raise ValueError(
                    f"`{prefix}resize_long_side` bounds a resize to `{prefix}resize_short_side` and must be at least "
                    f"that, but they are {long} and {short}."
                )

    def _check_sources(self) -> None:
        if self.streaming and self.dataset_path is None and self.dataset in GENERATORS:
            raise ValueError(
                f"`streaming` reads a data set from somewhere, but {self.dataset!r} is generated, which needs no "
                "room on the disk. Leave `streaming` out, or name a `dataset_path`."
            )
        names = [name for name in ("init_kind", "init_num_attention_heads", "init_revision") if getattr(self, name)]
        if names and self.init_from is None:
            raise ValueError(
                f"`{names[0]}` is {getattr(self, names[0])!r} and says more of `init_from`, but that is null. Name "
                "both, or neither."
            )

    def _check_signs(self) -> None:
        for name in _POSITIVE:
            value = getattr(self, name)
            if value is not None and not value > 0:  # which refuses NaN as well
                raise ValueError(f"`{name}` must be positive, but is {value}.")
        for name in _NOT_NEGATIVE:
            if not getattr(self, name) >= 0:
                raise ValueError(f"`{name}` must not be negative, but is {getattr(self, name)}.")

    def _check_ranges(self) -> None:
        given = {name: value for name, value in vars(self).items() if value is not None}
        for name in given.keys() & set(_PAIRS):
            if len(given[name]) != 2 or not min(given[name]) > 0:
                raise ValueError(f"`{name}` must be two positive numbers, but is {given[name]}.")
        for name in given.keys() & {"image_mean", "image_std"}:
            if len(given[name]) != 3:
                raise ValueError(f"`{name}` must be three numbers, but is {given[name]}.")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"`betas` must be two numbers in [0, 1), but is {self.betas}.")
        if not 0 < given.get("ema_decay", 0.5) < 1:
            raise ValueError(f"`ema_decay` must lie between 0 and 1, such as 0.9999, but is {self.ema_decay}.")


_POSITIVE = (
    *("max_steps", "batch_size", "per_device_batch_size", "learning_rate", "poly_power", "max_grad_norm"),
    *("logging_steps", "eval_steps", "eval_max_samples", "save_steps", "save_total_limit"),
    *("num_train_scenes", "num_validation_scenes", "streaming_buffer_size", "init_num_attention_heads"),
    *("resize_short_side", "resize_long_side", "eval_resize_short_side", "eval_resize_long_side"),
)
_PAIRS = ("crop_size", "scene_size", "eval_window_size", "eval_stride", "scale_range")
_NOT_NEGATIVE = ("min_learning_rate", "warmup_steps", "momentum", "weight_decay", "seed", "num_workers", "hue_degrees")


def _coerce(value: Any, hint: Any) -> Any:
    """`value` as the type `hint`; YAML reads 1e-3 as text."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in UNIONS:
        return None if value is None else _coerce(value, _without_none(hint))
    if origin is Literal:
        value = "no" if value is False else value  # what YAML makes of a bare `no`
        if value not in arguments:
            raise ValueError(value)
        return value
    if origin is list:
        if isinstance(value, str):
            raise TypeError(value)
        return [_coerce(item, arguments[0]) for item in value]
    if origin is dict:
        return {_coerce(key, arguments[0]): _coerce(item, arguments[1]) for key, item in value.items()}
    return value if hint is Any else _coerce_scalar(value, hint)


def _coerce_scalar(value: Any, hint: type) -> Any:
    if hint is float and isinstance(value, (int, str)) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise TypeError(value)
    return value


def _without_none(hint: Any) -> Any:
    """The type that an optional hint holds; other hints as they are."""
    if typing.get_origin(hint) not in UNIONS:
        return hint
    return next(argument for argument in typing.get_args(hint) if argument is not types.NoneType)


def _describe(hint: Any) -> str:
    """A type hint in words for an error message."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in UNIONS:
        return " or ".join(_describe(argument) for argument in arguments)
    if origin is Literal:
        return f"one of {list(arguments)}"
    if origin is list:
        return f"a list of {arguments[0].__name__}"
    if origin is dict:
        return "a mapping"
    return "null" if hint is types.NoneType else hint.__name__


def read_recipe(arguments: Sequence[str] | None = None) -> TrainingRecipe:
    """Read a recipe from `--config FILE.yaml` and flags `--field value`, which win over the file.

    Values of flags are written as in YAML; lists are written with spaces between their items.

    Args:
        arguments: The command line without the program; None takes this process's.

    Raises:
        SystemExit: With one sentence, if a field is unknown, or a value has the wrong type or range.
    """
    parser = argparse.ArgumentParser(
        description="Train PAUMER. Every field of a recipe is a key of the YAML file and a flag.", allow_abbrev=False
    )
    parser.add_argument("--config", type=Path, help="YAML file of fields")
    documentation = _field_documentation()
    for field in dataclasses.fields(TrainingRecipe):
        parser.add_argument(
            f"--{field.name}", nargs="*", default=argparse.SUPPRESS, metavar="VALUE", help=documentation[field.name]
        )
    given = vars(parser.parse_args(arguments))
    path = given.pop("config")
    hints = typing.get_type_hints(TrainingRecipe)
    try:
        values = {} if path is None else read_recipe_file(path, list(documentation))
        flags = {name: _parse_flag(name, items, hints[name]) for name, items in given.items()}
        return TrainingRecipe(**merge_fields(values, flags))
    except (OSError, ValueError) as error:
        raise SystemExit(f"{parser.prog}: {error}") from error


def _parse_flag(name: str, items: list[str], hint: Any) -> Any:
    """The value of a flag: a list where the field is one, else what YAML makes of the text; a bare flag is true."""
    kind = _without_none(hint)
    is_list = typing.get_origin(kind) is list
    if items == ["null"] and kind is not hint:
        return None
    if str in (kind, *typing.get_args(kind)) and typing.get_origin(kind) is not dict:
        values: list[Any] = list(items)  # text stays as it is: "3:0.4" would be a mapping, "no" a boolean
    elif typing.get_origin(kind) is Literal:
        values = list(items)
    else:
        try:
            values = [yaml.safe_load(item) for item in items]
        except yaml.YAMLError as error:
            raise ValueError(f"--{name} must be written as in YAML, but is {' '.join(items)!r}.") from error
    if is_list:
        return values[0] if len(values) == 1 and isinstance(values[0], list) else values
    if not items and kind is bool:
        return True
    if len(items) != 1:
        raise ValueError(f"--{name} takes one value, but has {len(items)}.")
    return values[0]


def _field_documentation() -> dict[str, str]:
    """The class documentation, field by field, each as one line: one text serves readers and `--help`."""
    lines = inspect.cleandoc(TrainingRecipe.__doc__ or "").partition("Attributes:\n")[2].splitlines()
    documentation: dict[str, str] = {}
    name = ""
    for line in lines:
        if line.startswith(CONTINUATION):
            documentation[name] += " " + line.strip()
        else:
            name, _, documentation[name] = line.strip().partition(": ")
    return {name: text.replace("%", "%%") for name, text in documentation.items()}


__all__ = ["TrainingRecipe", "read_recipe"]
