# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What a segmentation data set is: where it is, what its columns and splits are called, what its labels mean."""

import colorsys
import dataclasses
import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from paumer_hf.data import ade20k, cityscapes
from paumer_hf.data.hub_datasets import HUB_DATASETS, check_loadable, describe_source


MAX_LABELS = 255
"""Labels are stored in 8 bits, of which 255 marks ignored pixels."""

MAX_RAW_VALUE = 65535

NO_LABEL = -1
"""What some label maps hold, in modes with a sign, where there is no label."""

MAX_CHANNELS = 4


def default_palette(num_labels: int) -> tuple[tuple[int, int, int], ...]:
    """Distinct colours: hues in steps of the golden ratio, so that neighbouring classes lie far apart."""
    colours = []
    for label in range(num_labels):
        hue = (label * 0.618033988749895) % 1.0
        saturation = (0.85, 0.55, 1.0)[label % 3]
        value = (0.95, 0.75, 0.5)[(label // 3) % 3]
        red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
        colours.append((round(red * 255), round(green * 255), round(blue * 255)))
    return tuple(colours)


def _distinct_integers(name: str, values: Any) -> tuple[int, ...]:
    """Sorted, each once; from any sequence, as YAML and JSON give it."""
    try:
        if isinstance(values, str | bytes):
            raise TypeError
        return tuple(sorted({operator.index(value) for value in values}))
    except TypeError:
        raise ValueError(f"{name} must be a sequence of integers, got {values!r}; write it as a list.") from None


@dataclass(frozen=True)
class DatasetDescription:
    """Describes a segmentation data set well enough to read it.

    Args:
        name: short name, used in results and model cards.
        class_names: name of each class; the place in the tuple is the label.
        palette: colour (red, green, blue) of each class; distinct colours are made where none are given.
        path: folder or Hub id that `datasets.load_dataset` reads; None for a generated data set and for one that has
            no common place, whose user names it when loading.
        revision: commit, tag or branch of a Hub data set; None takes its main branch.
        image_column: column of the images.
        annotation_column: column of the label maps, images with one value per pixel.
        id_column: column that names a sample; without it samples are numbered.
        annotation_channel: channel to take, counted from 0, where the label maps are images with several channels.
        label_mapping: class of each raw value of the label maps, all other values are ignored (255) or refused, see
            `ignored_values`. None if the values are the classes already and 255 is what is ignored.
        ignored_values: with a `label_mapping`, the raw values that are ignored, any other value without a class being
            refused when a sample is read; -1 stands for the label that there is none, in modes with a sign. None
            ignores every value without a class.
        train_split: the data set's own name of the split to train on.
        validation_split: the data set's own name of the split to evaluate on.
        description: one sentence with source and licence.
    """

    name: str
    class_names: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...] = ()
    path: str | None = None
    revision: str | None = None
    image_column: str = "image"
    annotation_column: str = "annotation"
    id_column: str | None = "id"
    annotation_channel: int | None = None
    label_mapping: Mapping[int, int] | None = field(default=None, hash=False)
    ignored_values: tuple[int, ...] | None = None
    train_split: str = "train"
    validation_split: str = "validation"
    description: str = ""

    def __post_init__(self) -> None:
        """Bring lists (as YAML and JSON give them) to tuples, then check the fields against each other."""
        class_names = () if isinstance(self.class_names, str) else tuple(self.class_names)
        palette = tuple(tuple(colour) for colour in self.palette) or default_palette(len(class_names))
        object.__setattr__(self, "class_names", class_names)
        object.__setattr__(self, "palette", palette)
        if self.label_mapping is not None:
            mapping = {int(value): int(label) for value, label in self.label_mapping.items()}
            object.__setattr__(self, "label_mapping", mapping)
        if self.ignored_values is not None:
            object.__setattr__(self, "ignored_values", _distinct_integers("ignored_values", self.ignored_values))
        if self.path is not None:
            object.__setattr__(self, "path", str(self.path))

        self._check_classes()
        self._check_palette()
        self._check_label_mapping()
        self._check_ignored_values()
        self._check_annotation_channel()
        for name in ("name", "image_column", "annotation_column", "train_split", "validation_split"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name):
                raise ValueError(f"{name} must be a non-empty string, got {getattr(self, name)!r}; name it.")
        if self.revision is not None and (not isinstance(self.revision, str) or not self.revision):
            raise ValueError(
                f"revision must be a commit, tag or branch, or None for the main branch, got {self.revision!r}; put"
                " quotes around a commit of digits only."
            )

    def _check_classes(self) -> None:
        if not 1 <= len(self.class_names) <= MAX_LABELS:
            raise ValueError(
                f"class_names must list 1 to {MAX_LABELS} names (255 marks ignored pixels), got"
                f" {len(self.class_names)}; pass a sequence of names, one per class."
            )
        repeated = sorted({name for name in self.class_names if self.class_names.count(name) > 1})
        if repeated:
            raise ValueError(f"class_names must differ from each other, got {repeated} more than once; rename them.")

    def _check_palette(self) -> None:
        if len(self.palette) != len(self.class_names):
            raise ValueError(
                f"palette must have one colour per class, got {len(self.palette)} colours for {len(self.class_names)}"
                " classes; leave it out to have colours made."
            )
        for colour in self.palette:
            if len(colour) != 3 or any(not isinstance(level, int) or not 0 <= level <= 255 for level in colour):
                raise ValueError(
                    f"palette must hold (red, green, blue) integers from 0 to 255, got {colour}; correct that colour."
                )

    def _check_label_mapping(self) -> None:
        for value, label in (self.label_mapping or {}).items():
            if not 0 <= value <= MAX_RAW_VALUE:
                raise ValueError(
                    f"label_mapping must map raw values from 0 to {MAX_RAW_VALUE}, got {value}; remove that entry."
                )
            if not 0 <= label < len(self.class_names):
                raise ValueError(
                    f"label_mapping must map to classes from 0 to {len(self.class_names) - 1}, got {value} -> {label};"
                    " leave out the raw values that are to be ignored."
                )

    def _check_ignored_values(self) -> None:
        if self.ignored_values is None:
            return
        if self.label_mapping is None:
            raise ValueError(
                "ignored_values needs a label_mapping, got none: then the values are the classes, and 255 alone is"
                " ignored. Leave ignored_values out, or say with label_mapping which class each other value is."
            )
        for value in self.ignored_values:
            if not NO_LABEL <= value <= MAX_RAW_VALUE:
                raise ValueError(
                    f"ignored_values must hold raw values from {NO_LABEL} to {MAX_RAW_VALUE}, got {value}; remove it."
                )
        both = sorted(set(self.ignored_values) & set(self.label_mapping))
        if both:
            raise ValueError(
                f"ignored_values and label_mapping must not share a value, got {both[:10]} in both; a raw value is"
                " either a class or ignored."
            )

    def _check_annotation_channel(self) -> None:
        channel = self.annotation_channel
        if channel is not None and (type(channel) is not int or not 0 <= channel < MAX_CHANNELS):
            raise ValueError(
                f"annotation_channel must be from 0 to {MAX_CHANNELS - 1}, or None where label maps have one channel,"
                f" got {channel!r}; correct it."
            )

    @property
    def num_labels(self) -> int:
        """Number of classes, without the ignored label."""
        return len(self.class_names)

    @property
    def id2label(self) -> dict[int, str]:
        """Name of each class."""
        return dict(enumerate(self.class_names))

    @property
    def label2id(self) -> dict[str, int]:
        """Class of each name."""
        return {name: label for label, name in enumerate(self.class_names)}


STREET_SCENES = DatasetDescription(
    name="street_scenes",
    class_names=(
        "sky",
        "building",
        "road",
        "pavement",
        "vegetation",
        "pole",
        "traffic sign",
        "person",
        "rider",
        "car",
    ),
    palette=(
        (70, 130, 180),
        (70, 70, 70),
        (128, 64, 128),
        (244, 35, 232),
        (107, 142, 35),
        (153, 153, 153),
        (220, 220, 0),
        (220, 20, 60),
        (255, 130, 0),
        (0, 0, 142),
    ),
    description="Street scenes drawn by this package, without download; Apache-2.0.",
)

CAMVID = DatasetDescription(
    name="camvid",
    class_names=(
        "sky",
        "building",
        "pole",
        "road",
        "pavement",
        "tree",
        "sign symbol",
        "fence",
        "car",
        "pedestrian",
        "bicyclist",
    ),
    palette=(
        (128, 128, 128),
        (128, 0, 0),
        (192, 192, 128),
        (128, 64, 128),
        (0, 0, 192),
        (128, 128, 0),
        (192, 128, 128),
        (64, 64, 128),
        (64, 0, 128),
        (64, 64, 0),
        (0, 128, 192),
    ),
    label_mapping={value: value for value in range(11)},
    ignored_values=(11,),
    description=(
        "Cambridge driving scenes (Brostow, Fauqueur, Cipolla 2009) in the 480 x 360, 11-class split of SegNet: 367"
        " training and 101 validation images; for research use."
    ),
)

CITYSCAPES = DatasetDescription(
    name="cityscapes",
    class_names=cityscapes.CLASS_NAMES,
    palette=cityscapes.PALETTE,
    description=(
        "Street scenes of German and neighbouring cities (Cordts et al. 2016), 2048 x 1024, fine annotations with 19"
        " train ids: 2975 training and 500 validation images; own licence, for non-commercial use, no redistribution."
    ),
)

ADE20K = DatasetDescription(
    name="ade20k",
    class_names=ade20k.CLASS_NAMES,
    palette=ade20k.PALETTE,
    description=(
        "Scene parsing benchmark of ADE20K (Zhou et al. 2017, SceneParse150), 150 classes: 20210 training and 2000"
        " validation images; annotations BSD-3-Clause, images for non-commercial research."
    ),
)

DATASET_DESCRIPTIONS: dict[str, DatasetDescription] = {
    description.name: description for description in (STREET_SCENES, CAMVID, CITYSCAPES, ADE20K)
}
"""Registered data sets; of Cityscapes and ADE20K the prepared form: values are the classes, 255 is ignored."""


def get_dataset_description(name_or_path: str, **overrides: Any) -> DatasetDescription:
    """Look up a known data set, or describe another by keywords.

    Args:
        name_or_path: a registered name, a known Hub id, or the folder or Hub id of any other data set.
        **overrides: fields of `DatasetDescription` that differ from the registered ones. A data set that is not
            registered needs `class_names`.

    Returns:
        The description. That of a registered data set at a known Hub id says how the rows there differ.

    Raises:
        ValueError: If a field does not exist or breaks a rule, if nothing is known of the data set, or if the Hub id
            is that of a script.
    """
    known_fields = [entry.name for entry in dataclasses.fields(DatasetDescription)]
    unknown = sorted(set(overrides) - set(known_fields))
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: no such field of a data set description; use {known_fields}.")

    name = str(name_or_path)
    if name in HUB_DATASETS:
        overrides.setdefault("path", name)
        name = HUB_DATASETS[name].name

    registered = DATASET_DESCRIPTIONS.get(name)
    if registered is not None:
        if "class_names" in overrides:
            # The colours belong to the registered classes.
            overrides.setdefault("palette", ())
        if "label_mapping" in overrides:
            # What is ignored belongs to the registered mapping.
            overrides.setdefault("ignored_values", None)
        description = dataclasses.replace(registered, **overrides)
        return describe_source(description, description.path)

    check_loadable(name)
    if "class_names" not in overrides:
        raise ValueError(
            f"'{name_or_path}' is no registered data set; registered are {sorted(DATASET_DESCRIPTIONS)}. Describe any"
            " other by passing class_names=... (and where they differ from the defaults image_column,"
            " annotation_column, label_mapping, train_split, validation_split)."
        )
    described = {"name": PurePath(name_or_path).name or str(name_or_path), "path": str(name_or_path), **overrides}
    return DatasetDescription(**described)


__all__ = [
    "ADE20K",
    "CAMVID",
    "CITYSCAPES",
    "DATASET_DESCRIPTIONS",
    "MAX_RAW_VALUE",
    "NO_LABEL",
    "STREET_SCENES",
    "DatasetDescription",
    "default_palette",
    "get_dataset_description",
]
