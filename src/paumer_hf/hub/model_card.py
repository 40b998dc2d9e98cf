# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Model cards: rendered from a template, a description and results files, so that no number is typed."""

import math
import string
import textwrap
from collections.abc import Mapping
from pathlib import Path

import yaml

from paumer_hf.hub.card_conditions import count, describe_accuracy, describe_software, describe_speed, size
from paumer_hf.hub.card_description import CardSources, read_card_sources
from paumer_hf.hub.card_metadata import format_metadata
from paumer_hf.hub.card_presets import (
    format_criteria,
    format_onnx,
    format_presets,
    markdown_table,
    percent,
    read_presets,
    read_profile,
)
from paumer_hf.model.pause_profile import PauseProfile
from paumer_hf.model.profile_point import ProfilePoint


TEMPLATE_NAME = "template.md"
PUBLISHED_NAME = "published_results.yaml"
REMOTE_CODE_NAME = "template_remote_code.md"

PAPER_GROUP = "PAUMER (paper)"

SAME_MEAN_IOU = 5e-4
"""By how much the mean IoU of one model may differ between two runs; machines round differently."""

# What the paper asks of speed, and what it calls its data sets.
_PAPER_SPEEDUPS = (1.5, 2.0)
_PAPER_DATASETS = {"cityscapes": "Cityscapes", "ade20k": "ADE20K"}

# A wish for speed that examples begin with, if the model is as fast.
_EXAMPLE_SPEEDUP = 1.5


def render_card(path: Path) -> str:
    """Render a card.

    Args:
        path: Its YAML file; the template and the published results lie in the same folder.

    Returns:
        Markdown with metadata; a function of the files alone.

    Raises:
        ValueError: If a file is missing or does not hold what is needed.
    """
    sources = read_card_sources(path)
    _check_same_model(sources)
    presets, profile = read_presets(sources), read_profile(sources)
    description = sources.description
    speedup = _example_speedup(profile)
    pausing = [name for name, point in presets.items() if point.pause_config]
    if not pausing:
        raise ValueError(f"No preset of {sources.name} pauses anything; search with more layers or ratios.")
    values = {
        "metadata": format_metadata(sources, presets),
        "title": description.title,
        "summary": _wrap(description.summary),
        "repository": description.repository,
        "preset": "fast" if "fast" in pausing else pausing[-1],
        "speedup": f"{speedup:g}",
        "selected": profile.select(min_speedup=speedup).pause_config.to_text() or "dense",
        "presets": format_presets(presets),
        "conditions": _conditions(sources),
        "pictures": _pictures(sources),
        "more_results": _more_results(sources),
        "training": "\n".join(
            f"    accelerate launch scripts/train.py --config {name}" for name in description.recipes
        ),
        "paper": _paper_table(_read(path.with_name(PUBLISHED_NAME)), profile, sources),
        "limits": "\n".join(_wrap(sentence, "- ") for sentence in _limits(sources)),
    }
    values["remote_code"] = ""
    if description.with_code:
        values["remote_code"] = _fill(path.with_name(REMOTE_CODE_NAME), values).strip() + "\n\n"
    return _fill(path.with_name(TEMPLATE_NAME), values)


def _fill(path: Path, values: Mapping[str, str]) -> str:
    try:
        return string.Template(_read(path)).substitute(values)
    except KeyError as error:
        raise ValueError(f"{path} has the place {error}, for which there is nothing.") from error


def _read(path: Path) -> str:
    if not path.is_file():
        raise ValueError(f"{path} is missing; model cards are rendered from it.")
    return path.read_text(encoding="utf-8")


def _example_speedup(profile: PauseProfile) -> float:
    """A speed-up that the profile reaches, with one digit, to show in an example."""
    fastest = max(point.speedup for point in profile.points)
    return min(_EXAMPLE_SPEEDUP, math.floor(10 * fastest) / 10)


def _check_same_model(sources: CardSources) -> None:
    """Refuse files whose dense models differ although they saw the same images."""
    if sources.evaluation is None:
        return
    measured = {}
    for name, results in (("search", sources.search), ("evaluation", sources.evaluation)):
        for row in results["results"]:
            if not row["pause_config"]:
                measured[name] = row["mean_iou"], (row["num_images"], results["conditions"]["split"])
    if len(measured) < 2 or measured["search"][1] != measured["evaluation"][1]:
        return
    found, expected = measured["search"][0], measured["evaluation"][0]
    if not math.isclose(found, expected, abs_tol=SAME_MEAN_IOU):
        raise ValueError(
            f"The dense model of {sources.name} has the mIoU {found:.4f} in {sources.description.search} and"
            f" {expected:.4f} in {sources.description.evaluation}; they are not of one model: evaluate it again."
        )


def _wrap(text: str, bullet: str = "") -> str:
    """Text in lines of 119 characters at most, as an item of a list where there is a bullet."""
    wrapper = textwrap.TextWrapper(119, bullet, " " * len(bullet), break_long_words=False, break_on_hyphens=False)
    return wrapper.fill(" ".join(text.split()))


def _pictures(sources: CardSources) -> str:
    description = sources.description
    lines = [f"![mIoU of {description.title} against its speed, with the presets]({description.frontier})"]
    for picture in description.pictures:
        caption = " ".join(picture["caption"].split())
        lines.append(f"![{caption}]({picture['file']})\n\n{caption}")
    return "\n\n".join(lines)


def _conditions(sources: CardSources) -> str:
    """What the table of presets holds under."""
    conditions, num_images = sources.search["conditions"], sources.search["conditions"]["num_images"]
    lines = {
        "Accuracy": describe_accuracy(conditions, sources.description.dataset_title, num_images),
        "Speed": describe_speed(conditions),
        "Software": describe_software(conditions),
    }
    return "\n".join(_wrap(f"{name}: {line}", "- ") for name, line in lines.items())


def _more_results(sources: CardSources) -> str:
    """Sections that only some cards have."""
    sections = []
    if sources.evaluation is not None:
        conditions, results = sources.evaluation["conditions"], sources.evaluation["results"]
        sections += ["## Entropy and chance", "The same weights, pausing by entropy and at random:"]
        sections.append(format_criteria(sources.evaluation, sources.benchmark))
        accuracy = describe_accuracy(conditions, sources.description.dataset_title, results[0]["num_images"])
        seeds = count(conditions["num_random_seeds"], "seed")
        lines = [f"Accuracy: {accuracy} {describe_software(conditions)} At random: {seeds}."]
        if sources.benchmark is not None:
            conditions = sources.benchmark["conditions"]
            lines.append(f"Speed: {describe_speed(conditions)} {describe_software(conditions)}")
        sections.append("\n".join(_wrap(line, "- ") for line in lines))
    if sources.onnx is not None:
        conditions = sources.onnx["conditions"]
        threads, image_size = count(conditions["num_threads"], "thread"), size(conditions["image_size"])
        rows = sources.onnx["results"]
        images = count(rows[0]["num_images"], "image")
        how = f"{conditions['device']}, {threads}, {images} of {image_size} pixels, one at a time."
        if not any(row["num_label_differences_beyond_ties"] for row in rows):
            how += " Where a pixel has another class, both classes have the same score up to rounding."
        sections += ["## onnxruntime beside PyTorch", format_onnx(sources.onnx)]
        sections.append(_wrap(f"{how} {describe_software(conditions)}"))
    return "".join(f"{section}\n\n" for section in sections)


def _paper_table(text: str, profile: PauseProfile, sources: CardSources) -> str:
    """What is lost at the speed-ups of the paper: its rows, and one of this model."""
    groups = [group for group in yaml.safe_load(text)["groups"] if group["name"] == PAPER_GROUP]
    if not groups:
        raise ValueError(f"{PUBLISHED_NAME} has no group {PAPER_GROUP!r}; add the paper's numbers there.")
    rows: dict[tuple[str, str], dict[float, str]] = {}
    for result in groups[0]["results"]:
        key = f"{result['architecture']}, ViT-{result['backbone']}", _PAPER_DATASETS[result["dataset"]]
        rows.setdefault(key, {})[result["speedup"]] = f"{result['mean_iou_change']:+.1f}"
    ours = {speedup: _loss_at(profile, speedup) for speedup in _PAPER_SPEEDUPS}
    rows["this model", sources.description.dataset_title] = ours
    columns = {"model": [model for model, _ in rows], "data set": [dataset for _, dataset in rows]}
    for speedup in _PAPER_SPEEDUPS:
        heading = f"mIoU at {speedup:g} times the images/s"
        columns[heading] = [row.get(speedup, "") for row in rows.values()]
    return markdown_table(columns, num_texts=2)


def _loss_at(profile: PauseProfile, speedup: float) -> str:
    """What the best configuration of a speed-up loses, in points, or how fast the fastest is."""
    fast = [point for point in profile.points if point.speedup >= speedup and profile.drop(point) is not None]
    if not fast:
        return f"not reached, fastest {max(point.speedup for point in profile.points):.2f}"
    best: ProfilePoint = profile.select(min_speedup=speedup)
    return f"{percent(-(profile.drop(best) or 0.0) / 100, '+')} ({best.pause_config.to_text() or 'dense'})"


def _limits(sources: CardSources) -> list[str]:
    conditions, dataset = sources.search["conditions"], sources.dataset
    sentences = [
        "Every image pauses the same share of its patches, whether it is simple or not.",
        f"The presets were chosen on the split `{conditions['split']}`, on the images that they are reported on, so"
        " that they look a little better than they are.",
        f"One training, measured on {count(conditions['num_images'], 'image')}: another seed gives other numbers; the"
        " intervals are over the images alone.",
        "Speed-ups differ between devices: `scripts/calibrate_throughput.py` measures them on yours.",
    ]
    window = conditions.get("evaluation", conditions).get("window_size")
    if window:
        sentences.append(
            f"mIoU is measured by sliding windows of {size(window)} pixels; the calls above see a whole image at once,"
            " resized by the image processor."
        )
    sentences.append(f"The data: {dataset.description}")
    return [*sentences, *sources.description.limits]


__all__ = ["PAPER_GROUP", "PUBLISHED_NAME", "REMOTE_CODE_NAME", "SAME_MEAN_IOU", "TEMPLATE_NAME", "render_card"]
