# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import pytest
from PIL import Image

from paumer_hf.figures import trade_off
from paumer_hf.figures.trade_off import draw_trade_off


@pytest.fixture
def rows(search_rows):
    return [row for row in search_rows if row["mean_iou"] is not None]


def test_several_models_are_panels_with_the_same_axes(rows, drawn, tmp_path):
    figures = drawn(trade_off)
    faster = [{**row, "images_per_second": 2 * row["images_per_second"]} for row in rows]
    draw_trade_off({"one": rows, "two": faster}, tmp_path / "trade_off.png", "Speed: a CPU.")
    first, second = figures[0].axes
    assert [axes.get_title(loc="left") for axes in (first, second)] == ["one", "two"]
    assert first.get_xlim() == second.get_xlim()
    lines = {line.get_label(): line for line in first.lines if not line.get_label().startswith("_")}
    assert set(lines) == {"entropy", "random"}
    # 3:0.2 is beaten by 5:0.4, and 3:0.4,5:0.2 by 3:0.4,7:0.4.
    assert lines["entropy"].get_xdata().tolist() == [6.5, 6.9, 7.5, 8.1, 8.5]
    assert lines["entropy"].get_ydata().tolist() == pytest.approx([43.5, 42.5, 42, 41.5, 40])
    labels = [text.get_text() for text in first.texts]
    assert labels[0] == "dense"
    assert len(labels) > 3
    assert set(labels[1:]) <= {"5:0.4", "3:0.4", "3:0.2,7:0.4", "3:0.4,7:0.4", "3:0.4,5:0.4"}
    styles = [(line.get_marker(), line.get_linestyle(), line.get_color()) for line in lines.values()]
    assert all(len(set(kinds)) == 2 for kinds in zip(*styles, strict=True))
    caption = figures[0]._supxlabel.get_text().replace("\n", " ")
    assert "95 % intervals" in caption
    assert "3:0.4: after layer 3, 40 % of the active patches pause." in caption
    assert "Speed: a CPU." in caption


def test_one_model_is_the_plot_of_the_evaluation(rows, tmp_path):
    pytest.importorskip("matplotlib")
    draw_trade_off({"one": rows}, tmp_path / "trade_off.png")
    with Image.open(tmp_path / "trade_off.png") as picture:
        assert picture.width > 1000
    with pytest.raises(ValueError, match="must name a PNG file"):
        draw_trade_off({"one": rows}, tmp_path / "trade_off.gif")


def test_bars_of_intervals_are_those_of_the_lines_and_pale_is_not_sure(make_row, drawn, tmp_path):
    figures = drawn(trade_off)
    intervals = {"mean_iou_interval": [0.38, 0.47]}
    rows = [
        make_row("", 0.44, 5.0, **intervals),
        make_row("3:0.4", 0.43, 6.0, mean_iou_difference_interval=[-0.02, 0.01], **intervals),
        make_row("5:0.4", 0.42, 7.0, mean_iou_difference_interval=[-0.02, -0.01], **intervals),
        make_row("7:0.4", 0.41, 5.5, mean_iou_difference_interval=[-0.02, 0.01], **intervals),
    ]
    draw_trade_off({"one": rows, "two": rows[:2]}, tmp_path / "trade_off.png")
    axes = figures[0].axes[0]
    assert len(axes.containers) == 3
    faces = {line.get_xdata()[0]: line.get_markerfacecolor() for line in axes.lines if line.get_marker() == "o"
             and len(line.get_xdata()) == 1}  # fmt: skip
    assert faces == {6.0: "#A6CFE8", 7.0: "#0072B2", 5.5: "white"}
    assert "Pale" in figures[0]._supxlabel.get_text()
