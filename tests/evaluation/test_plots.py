# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of plots."""

import itertools
import sys

import numpy as np
import pytest
from PIL import Image

from paumer_hf.evaluation import plots
from paumer_hf.evaluation.plots import PAUSE_NOTATION, frontier, plot_trade_off


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
    lines["dense"] = next(line for line in axes.lines if line.get_marker() == "*")
    styles = {(lines[name].get_color(), lines[name].get_marker(), lines[name].get_linestyle()) for name in
              ("entropy", "random", "dense")}  # fmt: skip
    assert len({colour for colour, _, _ in styles}) == len({marker for _, marker, _ in styles}) == 3
    assert lines["dense"].get_xydata().tolist() == [[4.0, 42.0]]


def test_labels_are_dense_and_the_line_in_the_notation_of_command_lines(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    figures = []
    monkeypatch.setattr(plots, "_save", lambda figure, path: figures.append(figure))
    plot_trade_off(RESULTS, tmp_path / "trade_off.png")
    (axes,) = figures[0].axes
    assert {text.get_text(): text.xy for text in axes.texts} == {
        "dense": (4.0, 42.0),
        "3:0.4": (5.5, 40.0),
        "3:0.4,5:0.4": (6.6, 37.0),
    }
    assert "3:0.4: after layer 3, 40 % of the active patches pause" in [
        text.get_text() for text in axes.get_legend().texts
    ]


def test_with_names_these_are_labelled_and_ringed_whatever_their_place(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    figures = []
    monkeypatch.setattr(plots, "_save", lambda figure, path: figures.append(figure))
    names = {"": "accurate", "5:0.2,7:0.4": "fast, fastest"}
    for results in (RESULTS, [{**result, "criterion": "random"} for result in RESULTS[:-1]]):
        plot_trade_off(results, tmp_path / "trade_off.png", names=names)
        (axes,) = figures[-1].axes
        assert {text.get_text(): text.xy for text in axes.texts} == {
            "dense\naccurate": (4.0, 42.0),
            "fast, fastest\n5:0.2,7:0.4": (4.6, 39.0),
        }
        rings = [line.get_xydata().tolist() for line in axes.lines if line.get_fillstyle() == "none"]
        assert rings == [[[4.6, 39.0]]]


@pytest.mark.parametrize("is_named", [True, False])
def test_labels_of_a_crowded_frontier_hide_nothing(tmp_path, monkeypatch, is_named):
    """Without names as many as have room, with names all of them."""
    Text = pytest.importorskip("matplotlib.text").Text  # noqa: N806
    figures = []
    monkeypatch.setattr(plots, "_save", lambda figure, path: figures.append(figure))
    rng = np.random.default_rng(0)
    crowd = [
        {"pause_config": f"3:{ratio:.3f},7:0.8", "criterion": "entropy", "mean_iou": 0.44 - 0.1 * ratio**2 - lost,
         "images_per_second": 5 + 8 * ratio - 20 * lost}
        for ratio, lost in zip(rng.uniform(0.01, 0.9, 200), rng.exponential(0.02, 200), strict=True)
    ]  # fmt: skip
    results = [RESULTS[0], *crowd]
    best = frontier([(result["images_per_second"], result["mean_iou"]) for result in crowd])
    assert len(best) > 12
    texts = [crowd[index]["pause_config"] for index in best]
    names = {texts[2]: "one", texts[3]: "two, three", texts[-3]: "four"} if is_named else None
    plot_trade_off(results, tmp_path / "trade_off.png", names=names)
    (axes,) = figures[0].axes
    figures[0].draw_without_rendering()
    boxes = [Text.get_window_extent(text) for text in axes.texts]  # without the lines that lead to them
    assert len(boxes) == 4 if is_named else 3 < len(boxes) < len(best)
    for one, other in itertools.combinations([*boxes, axes.get_legend().get_window_extent()], 2):
        assert not one.overlaps(other)
    marks = axes.transData.transform([(row["images_per_second"], 100 * row["mean_iou"]) for row in results])
    assert not any(box.count_contains(marks) for box in boxes)
    assert all(axes.get_window_extent().count_contains(box.corners()) == 4 for box in boxes)


def bars_of(axes):
    """The bounds of each bar, by the images per second at which it stands."""
    bars = {}
    for container in axes.containers:
        (low, high) = container.lines[2][0].get_segments()[0]
        assert low[0] == high[0]
        bars.setdefault(low[0], []).append((low[1], high[1]))
    return bars


def test_bars_are_intervals_of_dense_and_of_the_lines_where_there_are_any(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    figures = []
    monkeypatch.setattr(plots, "_save", lambda figure, path: figures.append(figure))
    results = [
        {**result, "mean_iou_interval": [result["mean_iou"] - 0.02, result["mean_iou"] + 0.03]} for result in RESULTS
    ]
    plot_trade_off(results, tmp_path / "trade_off.png")
    bars = bars_of(figures[0].axes[0])
    assert set(bars) == {4.0, 5.5, 6.6}  # and not 4.6, which is not on the line
    assert bars[4.0] == [pytest.approx((40, 45))]
    assert sorted(bars[5.5]) == [pytest.approx((34, 39)), pytest.approx((38, 43))]
    assert "bars: 95 % interval over images" in [text.get_text() for text in figures[0].axes[0].get_legend().texts]


def test_bars_are_the_spread_over_seeds_where_there_are_no_intervals(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    figures = []
    monkeypatch.setattr(plots, "_save", lambda figure, path: figures.append(figure))
    plot_trade_off(RESULTS, tmp_path / "trade_off.png")
    plot_trade_off(RESULTS[:-1], tmp_path / "trade_off.png")
    assert bars_of(figures[0].axes[0]) == {5.5: [pytest.approx((35, 37))]}
    assert bars_of(figures[1].axes[0]) == {}
    explained = [[text.get_text() for text in figure.axes[0].get_legend().texts] for figure in figures]
    assert explained == [
        ["entropy", "random", "bars: standard deviation over seeds", PAUSE_NOTATION],
        ["entropy", PAUSE_NOTATION],
    ]


@pytest.mark.parametrize(
    ("interval", "is_pale"), [([-0.03, 0.001], True), ([-0.03, -0.001], False), ([0, 0], True), ([0.001, 0.03], False)]
)
def test_marks_are_pale_where_the_difference_to_dense_may_be_nothing(tmp_path, monkeypatch, interval, is_pale):
    pytest.importorskip("matplotlib")
    figures = []
    monkeypatch.setattr(plots, "_save", lambda figure, path: figures.append(figure))
    results = [dict(result) for result in RESULTS]
    results[1]["mean_iou_difference_interval"] = interval
    results[2]["mean_iou_difference_interval"] = [-1, 1]  # not on the line, and open
    results[3]["mean_iou_difference_interval"] = [-0.07, -0.03]
    plot_trade_off(results, tmp_path / "trade_off.png")
    axes = figures[0].axes[0]
    faces = {
        tuple(line.get_xydata()[0]): line.get_markerfacecolor()
        for line in axes.lines
        if len(line.get_xdata()) == 1 and line.get_color() == plots._STYLES["entropy"]["color"]
    }
    sure = plots._STYLES["entropy"]["color"]
    pale = plots._STYLES["entropy"]["pale"]
    assert faces == {
        (5.5, 40.0): pale if is_pale else sure,
        (4.6, 39.0): "white",
        (6.6, 37.0): sure,
    }
    explained = "pale: no sure difference to dense" in [text.get_text() for text in axes.get_legend().texts]
    assert explained == is_pale


def test_speed_is_what_all_results_have(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    figures = []
    monkeypatch.setattr(plots, "_save", lambda figure, path: figures.append(figure))
    results = [{**result, "predicted_speedup": 1.5} for result in RESULTS]
    del results[0]["images_per_second"]
    plot_trade_off(results, tmp_path / "trade_off.png")
    assert "multiply" in figures[0].axes[0].get_xlabel()


def test_null_is_not_measured(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    figures = []
    monkeypatch.setattr(plots, "_save", lambda figure, path: figures.append(figure))
    unmeasured = [{**result, "images_per_second": None, "speedup": 1.0 + 0.1 * n} for n, result in enumerate(RESULTS)]
    plot_trade_off([*unmeasured, {**unmeasured[1], "mean_iou": None}], tmp_path / "plot.png")
    (axes,) = figures[0].axes
    assert axes.get_xlabel().startswith("speed-up")


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
