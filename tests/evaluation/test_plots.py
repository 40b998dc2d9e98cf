# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of plots."""

import sys

import pytest
from PIL import Image

from paumer_hf.evaluation import plots
from paumer_hf.evaluation.plots import frontier, plot_trade_off


RESULTS = [
    {"pause_config": "", "criterion": "entropy", "mean_iou": 0.42, "images_per_second": 4.0},
    {"pause_config": "3:0.4", "criterion": "entropy", "mean_iou": 0.40, "images_per_second": 5.5},
    {"pause_config": "5:0.2,7:0.4", "criterion": "entropy", "mean_iou": 0.39, "images_per_second": 4.6},
    {"pause_config": "3:0.4,5:0.4", "criterion": "entropy", "mean_iou": 0.37, "images_per_second": 6.6},
    {
        "pause_config": "3:0.4",
        "criterion": "random",
        "mean_iou": 0.36,
        "mean_iou_spread": 0.01,
        "images_per_second": 5.5,
    },
]


def test_frontier_equals_comparing_all_pairs():
    points = [(1, 5), (2, 4), (2, 3), (3, 4), (0, 5), (4, 1), (3.5, 0.5), (3, 4)]
    for index, (x, y) in enumerate(points):
        beaten = any((a >= x and b >= y) and (a, b) != (x, y) for a, b in points)
        assert ((x, y) in [points[kept] for kept in frontier(points)]) == (not beaten), index
    assert [points[kept] for kept in frontier(points)] == [(1, 5), (3, 4), (4, 1)]


def test_picture_is_written_in_one_step(tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "plots" / "trade_off.png"
    plot_trade_off(RESULTS, path, title="CamVid")
    with Image.open(path) as picture:
        assert picture.width > 1000
        assert len(picture.convert("RGB").getcolors(1_000_000)) > 20
    assert [entry.name for entry in path.parent.iterdir()] == ["trade_off.png"]


def test_marks_lines_and_axes(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    figures = []
    monkeypatch.setattr(plots, "_save", lambda figure, path: figures.append(figure))
    plot_trade_off(RESULTS, tmp_path / "trade_off.png")
    axes = figures[0].axes[0]
    assert axes.get_xlabel() == "images per second"
    lines = {line.get_label(): line for line in axes.lines}
    assert lines["entropy"].get_xdata().tolist() == [5.5, 6.6]
    assert lines["entropy"].get_ydata().tolist() == [40.0, 37.0]
    styles = {(lines[name].get_color(), lines[name].get_marker(), lines[name].get_linestyle()) for name in
              ("entropy", "random", "dense")}  # fmt: skip
    assert len({colour for colour, _, _ in styles}) == len({marker for _, marker, _ in styles}) == 3
    assert {text.get_text() for text in axes.texts} == {"3:.4", "3,5:.4"}


def test_speed_is_what_all_results_have(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    figures = []
    monkeypatch.setattr(plots, "_save", lambda figure, path: figures.append(figure))
    results = [{**result, "predicted_speedup": 1.5} for result in RESULTS]
    del results[0]["images_per_second"]
    plot_trade_off(results, tmp_path / "trade_off.png")
    assert "multiply" in figures[0].axes[0].get_xlabel()


def test_nothing_to_draw_is_refused(tmp_path):
    pytest.importorskip("matplotlib")
    for results in ([], [{"pause_config": "", "criterion": "entropy", "mean_iou": 0.4}]):
        with pytest.raises(ValueError, match="Join an evaluation and a benchmark"):
            plot_trade_off(results, tmp_path / "trade_off.png")


def test_missing_matplotlib_is_explained(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install 'paumer_hf\[plot\]'"):
        plot_trade_off(RESULTS, tmp_path / "trade_off.png")
