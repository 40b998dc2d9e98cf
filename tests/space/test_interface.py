# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import json
import sys

import pytest

from paumer_hf import PaumerImageProcessor
from paumer_hf.space.demonstration import TARGET, TARGET_STEP, Demonstration
from paumer_hf.space.interface import MAX_WAITING, build_interface, import_gradio, launch_options, make_segment
from paumer_hf.space.pictures import Picture


@pytest.fixture
def examples(photograph):
    return [("a", Picture(photograph(seed=1))), ("b", Picture(photograph(seed=2)))]


@pytest.fixture
def build(examples, monkeypatch):
    """A function from a demonstration to the configuration of its page, as a browser gets it."""
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    pytest.importorskip("gradio", reason="the page needs Gradio, the extra `space`")

    def build(demonstration):
        blocks = build_interface(demonstration, examples, "streets")
        return blocks, {part["props"].get("elem_id"): part["props"] for part in blocks.config["components"]}

    return build


def test_examples_and_uploads_are_segmented(demonstration, examples, photograph, tmp_path):
    segment = make_segment(demonstration, examples)
    results = {segment(source, "preset fast", None)[1].partition("<h2>Entropy")[0] for source in (0, 1, 0)}
    assert len(results) == 2
    photograph(seed=1).save(tmp_path / "own.png")
    message, result = segment(str(tmp_path / "own.png"), "preset fast", None)
    assert result.partition("<h2>Entropy")[0] in results
    assert "times as fast" in message
    photograph(1000, 500).save(tmp_path / "large.png")
    message, _ = segment(str(tmp_path / "large.png"), "preset fast", None)
    assert message.index("reduced from 1,000 x 500") < message.index("times as fast")


@pytest.mark.parametrize(
    ("source", "key", "target", "problem"),
    [
        (None, "preset fast", None, "There is no image yet"),
        ("gone.png", "preset fast", None, "gone.png is no longer there"),
        (0, "preset none", None, "There is no pause configuration"),
        (0, TARGET, 5.0, "No configuration of the profile is at least 5 times as fast"),
    ],
)
def test_problems_are_messages(source, key, target, problem, demonstration, examples):
    message, result = make_segment(demonstration, examples)(source, key, target)
    assert 'role="alert"' in message
    assert problem in message
    assert result == ""


def test_errors_of_the_program_are_no_messages(demonstration, examples, monkeypatch):
    def fail(*arguments):
        raise ValueError("a bug")

    monkeypatch.setattr(demonstration, "compare", fail)
    with pytest.raises(ValueError, match="a bug"):
        make_segment(demonstration, examples)(0, "preset fast", None)


def test_the_first_result_is_computed_for_each_visitor(build, demonstration, monkeypatch):
    computed = []

    def compare(*arguments):
        computed.append(arguments)
        return Demonstration.compare(demonstration, *arguments)

    monkeypatch.setattr(demonstration, "compare", compare)
    blocks, parts = build(demonstration)
    assert not computed
    assert "being computed" in parts["message"]["value"]
    (load,) = [function for function in blocks.fns.values() if ("load" in [event for _, event in function.targets])]
    for number in (1, 2):
        message, result = load.fn(*(getattr(part, "value", None) for part in load.inputs))
        assert len(computed) == number
        assert "careful (2:0.25) is" in message
        assert result.count("<img") == 6


def test_what_can_be_chosen(build, demonstration):
    _, parts = build(demonstration)
    assert [label for label, _ in parts["choice"]["choices"]] == [
        "careful (2:0.25)",
        "fast (1:0.5)",
        "by the speed target below",
    ]
    assert (parts["target"]["minimum"], parts["target"]["maximum"], parts["target"]["value"]) == (1.0, 2.0, 1.5)
    assert parts["target"]["step"] == TARGET_STEP
    assert parts["target"]["info"].startswith("From 1 to 2.")
    for name in ("examples", "upload", "choice", "target"):
        assert parts[name]["label"], name


def test_one_computation_at_a_time_and_few_that_wait(build, demonstration):
    blocks, _ = build(demonstration)
    slow = [function for function in blocks.fns.values() if function.queue is not False]
    assert len(slow) == 6  # first example, example, upload, no upload, configuration, speed target
    assert {(function.concurrency_limit, function.concurrency_id) for function in slow} == {(1, "model")}
    assert blocks._queue.max_size == MAX_WAITING
    assert blocks.analytics_enabled is False


def test_whatever_fails_takes_the_old_result_away(build, demonstration):
    blocks, _ = build(demonstration)
    slow = {function._id for function in blocks.fns.values() if function.queue is not False}
    clearing = [function for function in blocks.fns.values() if function.trigger_only_on_failure]
    assert {function.trigger_after for function in clearing} == slow
    for function in clearing:
        assert [part.elem_id for part in function.outputs] == ["message", "result"]
        message, result = json.loads(function.js.removeprefix("() => "))
        assert 'role="alert"' in message
        assert result == ""


def test_titles_are_texts(demonstration, examples):
    pytest.importorskip("gradio", reason="the page needs Gradio, the extra `space`")
    named, nameless = (build_interface(demonstration, examples, title) for title in ("<b>ViT", ""))
    assert (named.title, nameless.title) == ("PAUMER: <b>ViT", "PAUMER")
    assert "Model: &lt;b&gt;ViT" in str(named.config)
    assert "Model:" not in str(nameless.config)


def test_without_a_profile_the_slider_is_explained_away(build, tiny_model):
    blocks, parts = build(Demonstration(tiny_model, PaumerImageProcessor()))
    assert "target" not in parts
    assert [key for _, key in parts["choice"]["choices"]] == ["usual"]
    texts = [str(part["props"].get("value")) for part in blocks.config["components"]]
    assert any("no measured profile" in text for text in texts)


def test_nothing_comes_from_elsewhere():
    pytest.importorskip("gradio", reason="the page needs Gradio, the extra `space`")
    options = launch_options()
    assert options["share"] is False
    assert options["quiet"] is True  # else Gradio advises `share=True`
    assert options["theme"]._stylesheets == []
    assert "http" not in options["css"] + options["js"]


def test_the_extra_is_named_where_gradio_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(ImportError, match=r"pip install 'paumer_hf\[space\]'"):
        import_gradio()
