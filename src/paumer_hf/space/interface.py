# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The page itself, in Gradio: examples, upload and pause configuration on one side, the result on the other."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from paumer_hf.space.controls import CONTROL_STYLE, REVEAL, SCRIPT
from paumer_hf.space.demonstration import TARGET, TARGET_STEP, Demonstration
from paumer_hf.space.page import STYLE, comparison_html, message_html, problem_html, summary
from paumer_hf.space.pictures import MAX_PIXELS, MAX_SIDE, Picture, read_picture


MAX_WAITING = 16
"""Requests that may wait while one is computed; further ones are told to come back."""

MAX_UPLOAD = "50mb"

# Seconds between clean-ups and age of the uploads that they delete.
_CLEAN_UP = (600, 3600)

_NO_PROFILE = (
    "This model has no measured profile that says how fast each pause configuration is, so no speed can be asked for. "
    "scripts/search_pause_config.py measures one and writes it into the checkpoint."
)

# Until the first result is there, which each visitor gets at once.
_WELCOME = "The first example is being computed."

_FAILED = (
    "The computation failed, or too many requests are waiting already. Try again in a minute; if it fails again, "
    "choose another image."
)

Source = int | str | None
"""What is segmented: the number of an example, the path of an upload, or nothing."""


def import_gradio() -> Any:
    """Gradio.

    Raises:
        ImportError: If it is not installed.
    """
    try:
        import gradio
    except ImportError as error:
        raise ImportError("The web page needs Gradio. Install it with: pip install 'paumer_hf[space]'") from error
    return gradio


def make_segment(
    demonstration: Demonstration, examples: Sequence[tuple[str, Picture]]
) -> Callable[[Source, str, float | None], tuple[str, str]]:
    """The function of the page: from source, key of the choice and speed target to message and result, in HTML."""

    def segment(source: Source, key: str, target: float | None) -> tuple[str, str]:
        if source is None:
            return problem_html("There is no image yet. Choose an example or upload an image."), ""
        try:
            picture = examples[source][1] if isinstance(source, int) else read_picture(source)
            demonstration.choose(key, target)
        except ValueError as error:
            return problem_html(str(error)), ""
        comparison = demonstration.compare(picture.image, key, target)
        message = message_html([*picture.notes, *summary(comparison, demonstration.profile)])
        return message, comparison_html(comparison, demonstration)

    return segment


def build_interface(demonstration: Demonstration, examples: Sequence[tuple[str, Picture]], title: str) -> Any:
    """The `gradio.Blocks` of the page. One computation runs at a time, and `MAX_WAITING` requests may wait.

    Args:
        demonstration: What is computed.
        examples: Captions and pictures to begin with, at least one; the first is computed for each visitor.
        title: Name of the model; may be empty.

    Raises:
        ImportError: If Gradio is not installed.
    """
    gradio = import_gradio()
    segment = make_segment(demonstration, examples)
    with gradio.Blocks(
        title=f"PAUMER: {title}" if title else "PAUMER", analytics_enabled=False, delete_cache=_CLEAN_UP
    ) as blocks:
        gradio.HTML(_introduction(title))
        source = gradio.State(0)
        with gradio.Row():
            with gradio.Column(scale=2, min_width=300):
                gallery, upload = _image_controls(gradio, examples)
                choice, target = _speed_controls(gradio, demonstration)
            with gradio.Column(scale=5, min_width=300):
                shown = [
                    gradio.HTML(message_html([_WELCOME]), elem_id="message"),
                    gradio.HTML("", elem_id="result"),
                ]
        quick = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
        slow = {"concurrency_limit": 1, "concurrency_id": "model", "trigger_mode": "always_last"}
        slow |= {"api_visibility": "private", "show_progress": "full", "show_progress_on": shown[:1]}
        inputs = [source, choice, target]
        # An old result beside a new choice would pass for its answer.
        clear = {"js": f"() => {json.dumps([problem_html(_FAILED), ''])}", **quick}

        def pick(event: gradio.SelectData) -> tuple[int, None]:  # type: ignore[name-defined]
            return event.index, None

        changes = [
            gallery.select(pick, None, [source, upload], **quick).then,
            upload.upload(
                lambda path: (path, gradio.Gallery(selected_index=None)), upload, [source, gallery], **quick
            ).then,
            upload.clear(lambda: None, None, source, **quick).then,
            choice.input,
        ]
        if demonstration.max_target is not None:
            changes.append(target.input(lambda: TARGET, None, choice, **quick).then)
        for listen in changes:
            listen(None, js=REVEAL, **quick)
            computed = listen(segment, inputs, shown, **slow)
            computed.failure(None, None, shown, **clear)
            computed.then(None, js=REVEAL, **quick)
        blocks.load(segment, inputs, shown, **slow).failure(None, None, shown, **clear)
    blocks.queue(max_size=MAX_WAITING, default_concurrency_limit=1, api_open=False)
    return blocks


def _introduction(title: str) -> str:
    heading = message_html([f"Model: {title}"]) if title else ""
    return (
        "<h1>PAUMER: patches pause where the model is sure</h1>"
        "<p>A vision transformer segments the image twice: dense, and with patches that stop being processed after "
        "some layers because their prediction is already certain. What pauses saves time.</p>" + heading
    )


def _image_controls(gradio: Any, examples: Sequence[tuple[str, Picture]]) -> tuple[Any, Any]:
    gallery = gradio.Gallery(
        [(picture.image, caption) for caption, picture in examples],
        label="Example images",
        columns=3,
        rows=1,
        height="auto",
        object_fit="cover",
        allow_preview=False,
        interactive=False,
        selected_index=0,
        buttons=[],
        elem_id="examples",
    )
    upload = gradio.File(label="Or your own image", file_count="single", height=150, elem_id="upload")
    gradio.HTML(
        message_html(
            [
                f"JPEG, PNG, WebP, GIF, BMP or TIFF of at most {MAX_PIXELS // 1_000_000} million pixels and "
                f"{MAX_UPLOAD.removesuffix('mb')} MB. A longer side is reduced to {MAX_SIDE} pixels, and "
                "uploads are deleted after an hour or so."
            ]
        )
    )
    return gallery, upload


def _speed_controls(gradio: Any, demonstration: Demonstration) -> tuple[Any, Any]:
    """The list of pause configurations, and the slider or, without a profile, why there is none."""
    choices = [(choice.label, choice.key) for choice in demonstration.choices]
    max_target = demonstration.max_target
    if max_target is not None:
        choices.append(("by the speed target below", TARGET))
    choice = gradio.Radio(
        choices,
        value=choices[0][1],
        label="Pause configuration",
        info="Layer:fraction of the active patches that pause after it. Presets are the model's own.",
        elem_id="choice",
    )
    if max_target is None:
        gradio.HTML(message_html([_NO_PROFILE]))
        return choice, gradio.State(None)
    target = gradio.Slider(
        1.0,
        max_target,
        value=round(1 + TARGET_STEP * round((max_target - 1) / 2 / TARGET_STEP), 2),
        step=TARGET_STEP,
        label="Speed target: at least so many times as fast as dense",
        info=f"From 1 to {max_target:g}. The model's profile tells which pause configuration reaches it with the "
        "least loss of accuracy.",
        buttons=[],
        elem_id="target",
    )
    return choice, target


def launch_options() -> dict[str, Any]:
    """What `Blocks.launch` needs for a page without fonts, scripts or counters from elsewhere.

    Raises:
        ImportError: If Gradio is not installed.
    """
    gradio = import_gradio()
    fonts = {"font": ["system-ui", "sans-serif"], "font_mono": ["ui-monospace", "monospace"]}
    return {
        "theme": gradio.themes.Default(**fonts),
        "css": STYLE + CONTROL_STYLE,
        "js": SCRIPT,
        "max_file_size": MAX_UPLOAD,
        "ssr_mode": False,
        "share": False,
        "quiet": True,
        "footer_links": [],
        "enable_monitoring": False,
    }


__all__ = ["MAX_WAITING", "Source", "build_interface", "import_gradio", "launch_options", "make_segment"]
