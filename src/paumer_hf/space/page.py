# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The results as HTML: pictures with alternative texts and legends, and a table of the measured times.

All pictures are part of the text, so that a page needs no further file, and nothing is told by hovering or by colour
alone.
"""

import base64
import html
import io
import statistics
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from PIL import Image

from paumer_hf.model.pause_profile import PauseProfile
from paumer_hf.prediction.timed_prediction import TimedPrediction
from paumer_hf.space.demonstration import Comparison, Demonstration
from paumer_hf.visualization import (
    ENTROPY_SCALE,
    Colour,
    FigureRow,
    draw_entropy,
    draw_pause_map,
    format_speed,
    layer_colours,
    overlay_segmentation,
)


MAX_CLASSES = 16
"""Of more classes in a picture the legend names only the largest."""

# Classes that the alternative text of a segmentation names.
_SPOKEN_CLASSES = 5

STYLE = """
.paumer { color: var(--body-text-color); line-height: 1.45; }
.paumer h2 { margin: 1.4em 0 0.4em; font-size: 1.1rem; }
.paumer .pair { display: grid; gap: 0.8rem; align-items: end;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 270px), 1fr)); }
.paumer figure { margin: 0; min-width: 0; }
.paumer figure img { display: block; width: 100%; max-width: 640px; height: auto; image-rendering: auto; }
.paumer figcaption { margin: 0 0 0.25rem; overflow-wrap: anywhere; }
.paumer ul.key { display: flex; flex-wrap: wrap; gap: 0.2rem 1.1rem; margin: 0.5rem 0; padding: 0; list-style: none; }
.paumer ul.key li { display: flex; align-items: center; gap: 0.4rem; margin: 0; }
.paumer .swatch { flex: none; width: 1rem; height: 1rem; border: 1px solid var(--body-text-color); }
.paumer .scale { display: flex; align-items: center; gap: 0.6rem; margin: 0.5rem 0; max-width: 30rem; }
.paumer .scale .bar { flex: 1; height: 1rem; border: 1px solid var(--body-text-color); }
.paumer table { width: 100%; margin: 0.4rem 0; border-collapse: collapse; }
.paumer table, .paumer table * { border: 0 !important; }
.paumer table th, .paumer table td { padding: 0.3rem 0.5rem; text-align: right !important; overflow-wrap: anywhere; }
.paumer table tbody th { font-weight: 400; text-align: left !important; }
.paumer table td { font-variant-numeric: tabular-nums; }
.paumer table tr { border-bottom: 1px solid var(--border-color-primary) !important; }
.paumer p { margin: 0.4rem 0; overflow-wrap: anywhere; }
.paumer .problem { padding: 0.6rem 0.8rem; border: 2px solid #c2410c; border-radius: 6px; }
"""


def message_html(sentences: Iterable[str]) -> str:
    """What the user should know about the result."""
    return '<div class="paumer">' + "".join(f"<p>{html.escape(sentence)}</p>" for sentence in sentences) + "</div>"


def problem_html(problem: str) -> str:
    """Why there is no result."""
    text = html.escape(problem)
    return f'<div class="paumer"><p class="problem" role="alert"><strong>No result.</strong> {text}</p></div>'


def summary(comparison: Comparison, profile: PauseProfile | None) -> list[str]:
    """The result in sentences."""
    if comparison.is_dense:
        sentences = [f"The dense model reaches {format_speed(_images_per_second(comparison.dense))}."]
        if comparison.wish is not None:
            sentences[:0] = ["Of the profile, the dense model itself meets this target best: nothing pauses."]
        return sentences
    label, agreement = comparison.choice.label, 100 * comparison.agreement
    sentences = [
        f"{label} is {comparison.speedup:.2f} times as fast as the dense model here and now, "
        f"{format_speed(_images_per_second(comparison.paused))} against "
        f"{format_speed(_images_per_second(comparison.dense))}, and gives {agreement:.1f} % of the pixels the same "
        "class."
    ]
    if comparison.wish is not None:
        sentences.append(f"Asked for: at least {comparison.wish:g} times as fast, by the profile.")
    if comparison.point is not None and profile is not None:
        sentences.append(_profile_sentence(comparison, profile))
    return sentences


def _profile_sentence(comparison: Comparison, profile: PauseProfile) -> str:
    point = comparison.point
    assert point is not None
    drop = profile.drop(point)
    about = profile.conditions
    conditions = [str(about[name]) for name in ("dataset", "split", "device") if about.get(name)]
    under = f" ({', '.join(conditions)})" if conditions else ""
    loss = "mIoU not measured" if drop is None else f"{-drop:+.2f} points of mIoU"
    return f"The profile{under} has it at {point.speedup:.2f} times as fast and {loss}."


def comparison_html(comparison: Comparison, demonstration: Demonstration) -> str:
    """Segmentation, pauses, entropy and times of both, side by side where there is room."""
    parts = [
        _segmentation_section(comparison, demonstration),
        _pause_section(comparison, demonstration.model.config.patch_size),
        _entropy_section(comparison, demonstration.model.config.patch_size),
        _time_section(comparison),
    ]
    return f'<div class="paumer">{"".join(parts)}</div>'


def _segmentation_section(comparison: Comparison, demonstration: Demonstration) -> str:
    figures, names = [], demonstration.class_names
    for name, prediction in comparison.predictions:
        shares = _class_shares([prediction.row], len(names))
        largest = list(shares.items())[:_SPOKEN_CLASSES]
        spoken = ", ".join(f"{names[label]} {_percent(share)}" for label, share in largest)
        overlay = overlay_segmentation(comparison.image, prediction.row.label_map, demonstration.palette)
        figures.append(_figure(name, f"Segmentation by {_the(name)}: {spoken}.", _source(overlay)))
    shares = _class_shares([prediction.row for _, prediction in comparison.predictions], len(names))
    entries = [(demonstration.palette[label], names[label]) for label in list(shares)[:MAX_CLASSES]]
    more = f"<p>and {len(shares) - MAX_CLASSES} smaller classes</p>" if len(shares) > MAX_CLASSES else ""
    return _section("Segmentation", figures, _key(entries, "Classes") + more)


def _class_shares(rows: Sequence[FigureRow], num_labels: int) -> dict[int, float]:
    """From each class that occurs to its fraction of the pixels of all rows, the largest first."""
    labels = np.concatenate([np.asarray(row.label_map).ravel() for row in rows])
    counts = np.bincount(labels[labels < num_labels], minlength=num_labels)
    order = np.argsort(-counts, kind="stable")
    return {int(label): float(counts[label]) / labels.size for label in order if counts[label]}


def _pause_section(comparison: Comparison, patch_size: int) -> str:
    image = comparison.image
    plain = _figure("dense model: nothing pauses", "The image. In the dense model no patch pauses.", _source(image))
    if comparison.is_dense:
        return _section("Where patches pause", [plain], "")
    row, name = comparison.paused.row, comparison.choice.label
    colours = layer_colours(list(row.pause_config.pause_ratios))
    shares = {layer: float(np.mean(row.pause_map == layer)) for layer in (0, *colours)}
    meanings = {layer: f"paused after layer {layer}: {_percent(shares[layer])}" for layer in colours}
    never = f"never paused, the image is visible: {_percent(shares[0])}"
    alternative = f"Pause map of {name}. Of the patches {'; '.join([*meanings.values(), never])}."
    drawn = draw_pause_map(image, row.pause_map, patch_size, colours)
    key = _key([*((colours[layer], meanings[layer]) for layer in colours), (None, never)], "Patches")
    return _section("Where patches pause", [plain, _figure(name, alternative, _source(drawn))], key)


def _entropy_section(comparison: Comparison, patch_size: int) -> str:
    maximum = max(float(np.max(prediction.row.entropy)) for _, prediction in comparison.predictions)
    figures = []
    for name, (row, _) in comparison.predictions:
        values = np.asarray(row.entropy)
        alternative = (
            f"Map of the {row.entropy_title} of {_the(name)}: {values.mean():.2f} nats on average, "
            f"{values.max():.2f} at most."
        )
        drawn = draw_entropy(values, patch_size, comparison.image.size, maximum)
        figures.append(_figure(f"{name}: {row.entropy_title}", alternative, _source(drawn, "PNG")))
    stops = ", ".join(_css(colour) for colour in ENTROPY_SCALE)
    bar = f'<span class="bar" style="background: linear-gradient(to right, {stops})"></span>'
    scale = f'<div class="scale"><span>0, sure</span>{bar}<span>{maximum:.2f} nats, unsure</span></div>'
    return _section("Entropy of each patch", figures, scale)


def _time_section(comparison: Comparison) -> str:
    predictions = [prediction for _, prediction in comparison.predictions]
    seconds = [statistics.median(prediction.seconds) for prediction in predictions]
    speedups = ["1.00", f"{comparison.speedup:.2f}"]
    rows: Mapping[str, list[str]] = {
        "time of a call": [_format_time(value) for value in seconds],
        "speed": [format_speed(1 / value) for value in seconds],
        "speed-up": speedups[: len(seconds)],
        "patches active to the end": [_percent(float(np.mean(row.pause_map == 0))) for row, _ in predictions],
    }
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name, _ in comparison.predictions)
    body = "".join(
        f'<tr><th scope="row">{name}</th>{"".join(f"<td>{value}</td>" for value in values)}</tr>'
        for name, values in rows.items()
    )
    calls = len(comparison.dense.seconds)
    size = f"{comparison.image.width} x {comparison.image.height}"
    caption = (
        f"Median of {calls} call{'s' if calls > 1 else ''} of the model on this image of {size} pixels, timed in turn "
        "in this request; without reading, upsampling and drawing."
    )
    table = f"<table><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"<section><h2>Measured time</h2>{table}<p>{caption}</p></section>"


def _section(title: str, figures: Sequence[str], legend: str) -> str:
    return f'<section><h2>{title}</h2><div class="pair">{"".join(figures)}</div>{legend}</section>'


def _figure(caption: str, alternative: str, source: str) -> str:
    alternative = html.escape(alternative, quote=True)
    return f'<figure><figcaption>{html.escape(caption)}</figcaption><img src="{source}" alt="{alternative}"></figure>'


def _key(entries: Sequence[tuple[Colour | None, str]], title: str) -> str:
    """Colours with their meanings; None stands for no colour."""
    items = "".join(
        f'<li><span class="swatch" style="background: {_css(colour)}"></span>{html.escape(meaning)}</li>'
        for colour, meaning in entries
    )
    return f'<ul class="key" aria-label="{title}">{items}</ul>'


def _source(image: Image.Image, form: str = "JPEG") -> str:
    """The picture as the address of an `img`; JPEG keeps the colours at the edges of classes and patches."""
    stream = io.BytesIO()
    options = {"quality": 92, "subsampling": 0} if form == "JPEG" else {}
    image.save(stream, form, **options)
    return f"data:image/{form.lower()};base64,{base64.b64encode(stream.getvalue()).decode()}"


def _css(colour: Colour | None) -> str:
    return "transparent" if colour is None else "rgb({}, {}, {})".format(*colour)


def _percent(share: float) -> str:
    """Whole percents; what is there but rounds to none is "under 1 %"."""
    return "under 1 %" if 0 < share < 0.005 else f"{100 * share:.0f} %"


def _the(name: str) -> str:
    return f"the {name}" if name == "dense model" else name


def _format_time(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{1000 * seconds:.{0 if seconds >= 0.1 else 1}f} ms"


def _images_per_second(prediction: TimedPrediction) -> float:
    return 1 / statistics.median(prediction.seconds)


__all__ = ["MAX_CLASSES", "STYLE", "comparison_html", "message_html", "problem_html", "summary"]
