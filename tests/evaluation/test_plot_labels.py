# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of labels: where they are, and what they must not hide."""

import itertools

import pytest

from paumer_hf.evaluation.plot_labels import label_points


pytest.importorskip("matplotlib")


@pytest.fixture
def axes():
    from matplotlib.figure import Figure

    axes = Figure(figsize=(4, 4), layout="constrained").add_subplot()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    return axes


def boxes_of(axes):
    from matplotlib.text import Text

    axes.figure.draw_without_rendering()
    # Without the line that leads to it.
    return {text.get_text(): Text.get_window_extent(text) for text in axes.texts}


def test_labels_lie_apart_and_beside_their_marks(axes):
    points = [(0.5, 0.5), (0.5, 0.52), (0.52, 0.5), (0.51, 0.51)]
    axes.plot(*zip(*points, strict=True), "o")
    label_points(axes, points, ["one", "two", "", "three\n3:0.4"])
    boxes = boxes_of(axes)
    assert boxes.keys() == {"one", "two", "three\n3:0.4"}
    for one, other in itertools.combinations(boxes.values(), 2):
        assert not one.overlaps(other)
    places = axes.transData.transform(points)
    for box in boxes.values():
        assert not box.count_contains(places)
        assert box.expanded(4, 8).count_contains(places)


def test_labels_stay_where_they_are_at_another_resolution(axes):
    label_points(axes, [(0.3, 0.6)], ["one"])
    boxes = []
    for dots in (100, 200):
        axes.figure.set_dpi(dots)
        boxes.append(boxes_of(axes)["one"].transformed(axes.transAxes.inverted()).extents)
    assert boxes[0] == pytest.approx(boxes[1], abs=0.02)


def test_labels_lie_within_the_axes(axes):
    points = [(0.0, 0.0), (1.0, 1.0), (0.0, 1.0), (1.0, 0.0)]
    label_points(axes, points, ["one", "two", "three", "four"])
    frame = axes.get_window_extent()
    assert all(frame.count_contains(box.corners()) == 4 for box in boxes_of(axes).values())


def test_lines_bars_and_the_legend_are_not_hidden(axes):
    axes.plot([0, 1], [0.52, 0.53], label="a line")
    axes.axhline(0.45, linestyle=":")
    axes.errorbar(0.5, 0.6, yerr=0.3, linestyle="")
    axes.legend(loc="center right")
    label_points(axes, [(0.5, 0.5)], ["one"])
    box = boxes_of(axes)["one"]
    assert not box.overlaps(axes.get_legend().get_window_extent())
    (left, low), (right, high) = axes.transData.inverted().transform(box.get_points())
    assert not left <= 0.5 <= right
    assert not low <= 0.45 <= high
    assert not (low <= 0.53 and high >= 0.52)


def test_a_label_without_room_is_left_out_if_it_may_be_and_else_led_to(axes):
    crowd = [(0.5 + 0.04 * x, 0.5 + 0.04 * y) for x in range(-5, 6) for y in range(-5, 6)]
    axes.plot(*zip(*crowd, strict=True), "o")
    label_points(axes, [(0.5, 0.5), (0.9, 0.9)], ["hidden", "free"], is_optional=True)
    assert boxes_of(axes).keys() == {"free"}
    label_points(axes, [(0.66, 0.66)], ["needed"])
    (needed,) = (text for text in axes.texts if text.get_text() == "needed")
    assert not boxes_of(axes)["needed"].count_contains(axes.transData.transform(crowd))
    assert needed.arrow_patch is not None
    assert axes.texts[0].arrow_patch is None


def test_nothing_to_label(axes):
    label_points(axes, [], [])
    assert not axes.texts
