# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import itertools

import pytest

from paumer_hf.figures import sweeps
from paumer_hf.figures.sweeps import draw_single_layer_sweep, draw_two_layer_sweep


@pytest.fixture
def entropy_rows(search_rows):
    return [row for row in search_rows if row["criterion"] == "entropy"]


def named_lines(axes):
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def test_a_line_for_each_layer(entropy_rows, drawn, tmp_path):
    figures = drawn(sweeps)
    draw_single_layer_sweep(entropy_rows, tmp_path / "sweep.png", "Speed: a CPU.")
    accuracy, speed = figures[0].axes
    assert set(named_lines(speed)) == {"after layer 3", "after layer 5", "dense"}
    assert named_lines(speed)["after layer 3"].get_ydata().tolist() == [6, 7.5]
    assert named_lines(speed)["after layer 5"].get_xdata().tolist() == [0.4, 0.6]
    # What was only timed is not in the panel of the mean IoU.
    assert named_lines(accuracy)["after layer 5"].get_ydata().tolist() == pytest.approx([43.5])
    assert named_lines(accuracy)["after layer 3"].get_xdata() == pytest.approx([0.2, 0.4], abs=0.02)
    assert named_lines(accuracy)["dense"].get_ydata() == [44]
    assert [text.get_text() for text in speed.texts] == ["5", "3"]
    assert figures[0]._supxlabel.get_text() == "Speed: a CPU. Bars: 95 % intervals."
    assert len(accuracy.containers) == 2
    assert not speed.containers


def test_a_line_for_each_second_layer(entropy_rows, drawn, tmp_path):
    figures = drawn(sweeps)
    draw_two_layer_sweep(entropy_rows, tmp_path / "sweep.png")
    _, speed = figures[0].axes
    lines = named_lines(speed)
    assert set(lines) == {"second layer 5", "second layer 7", "3:0.4 alone"}
    assert lines["second layer 5"].get_ydata().tolist() == [8, 8.5]
    assert lines["3:0.4 alone"].get_ydata() == [7.5]
    draw_two_layer_sweep(entropy_rows, tmp_path / "sweep.png", fixed=(7, 0.4))
    assert set(named_lines(figures[1].axes[1])) == {"second layer 3"}
    assert "7:0.4 as well" in figures[1]._supxlabel.get_text()


def test_labels_at_the_ends_lie_apart(make_row, drawn, tmp_path):
    figures = drawn(sweeps)
    rows = [make_row(f"{layer}:0.5", 0.4 + layer / 1e5, 5.0 + layer / 1e5) for layer in range(1, 7)]
    draw_single_layer_sweep([make_row("", 0.5, 3.0), *rows], tmp_path / "sweep.png")
    for axes in figures[0].axes:
        heights = sorted(text.get_position()[1] for text in axes.texts)
        low, high = axes.get_ylim()
        assert min(b - a for a, b in itertools.pairwise(heights)) > 0.04 * (high - low)


def test_files_without_a_sweep_are_refused(make_row, tmp_path):
    pytest.importorskip("matplotlib")
    with pytest.raises(ValueError, match="no configuration of one pause layer"):
        draw_single_layer_sweep([make_row("", 0.5, 3.0)], tmp_path / "sweep.png")
    with pytest.raises(ValueError, match="no configuration of two pause layers"):
        draw_two_layer_sweep([make_row("3:0.4", 0.5, 3.0)], tmp_path / "sweep.png")
