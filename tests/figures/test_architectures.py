# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import pytest

from paumer_hf.figures import architectures
from paumer_hf.figures.architectures import draw_absolute_groups, draw_architectures, our_frontier
from paumer_hf.figures.published_results import PublishedGroup, PublishedResult


MERGING = [
    PublishedResult("X", "merging", "S", "ade20k", 1.5, -1.0, 39.0, 150.0, 40.0, 100.0),
    PublishedResult("X", "merging", "L", "ade20k", 1.2, 0.5, 50.5, 12.0, 50.0, 10.0),
    PublishedResult("Z", "merging", "L", "cityscapes", 1.3, -8.0),
]
GROUPS = [
    PublishedGroup("A", "a paper", "a GPU", "batch 1", tuple(MERGING)),
    PublishedGroup(
        "B", "a page", "H100", "batch 2", (PublishedResult("Y", "dense", "L", "ade20k", None, None, 50, 9),)
    ),
]


@pytest.fixture
def rows(search_rows):
    return [row for row in search_rows if row["mean_iou"] is not None]


def test_frontier_is_what_nothing_beats_in_both(rows):
    best = our_frontier(rows, "camvid")
    points = [(row["images_per_second"] / 5, 100 * (row["mean_iou"] - 0.44)) for row in rows
              if row["pause_config"] and row["criterion"] == "entropy"]  # fmt: skip
    expected = [
        (x, y) for x, y in sorted(points) if not any(a >= x and b >= y and (a, b) != (x, y) for a, b in points)
    ]
    found = [number for result in best for number in (result.speedup, result.mean_iou_change)]
    assert found == pytest.approx([number for point in expected for number in point])
    assert {result.dataset for result in best} == {"camvid"}


@pytest.mark.parametrize("kept", [lambda row: row["pause_config"], lambda row: not row["pause_config"]])
def test_results_without_dense_or_without_pauses_are_refused(kept, rows, tmp_path):
    with pytest.raises(ValueError, match="must have the dense model and configurations"):
        draw_architectures(GROUPS, [row for row in rows if kept(row)], "camvid", tmp_path / "figure.png")


def test_panels_by_data_set(rows, drawn, tmp_path):
    figures = drawn(architectures)
    draw_architectures(GROUPS, rows, "camvid", tmp_path / "figure.png", "This model: a CPU.")
    panels = {axes.get_title(loc="left"): axes for axes in figures[0].axes}
    assert list(panels) == ["ADE20K", "Cityscapes", "CamVid"]
    labels = {
        name: {line.get_label() for line in axes.lines if not line.get_label().startswith("_")}
        - {"dense (each source's own)"}
        for name, axes in panels.items()
    }
    assert labels == {
        "ADE20K": {"X: merging"}, "Cityscapes": {"Z: merging"}, "CamVid": {"this model, frontier: pausing"}
    }  # fmt: skip
    assert {text.get_text() for text in panels["ADE20K"].texts} == {"X S", "X L"}
    caption = figures[0]._supxlabel.get_text().replace("\n", " ")
    assert "A: a GPU, batch 1" in caption
    assert "H100" not in caption  # nothing of it is drawn: it has no dense model of its own
    assert caption.endswith("This model: a CPU.")
    draw_architectures(GROUPS, rows, "ade20k", tmp_path / "figure.png")
    assert len(figures[1].axes) == 2


def test_shape_by_family_and_colour_by_architecture():
    results = [
        PublishedResult(f"{family} {number}", family, "S", "ade20k", 1.0, 0.0)
        for family in ("pausing", "merging", "clustering")
        for number in range(3)
    ]
    colours = architectures._architecture_colours(results)
    for family in ("pausing", "merging", "clustering"):
        of_family = [colour for name, colour in colours.items() if name.startswith(family)]
        assert len(set(of_family)) == 3
    assert len(set(architectures._SHAPES.values())) == 6
    assert architectures.OKABE_ITO[0] not in colours.values()


def test_absolute_numbers_stand_in_panels_of_their_source(rows, drawn, tmp_path):
    figures = drawn(architectures)
    draw_absolute_groups(GROUPS, rows, "camvid", tmp_path / "figure.png")
    titles = [axes.get_title(loc="left") for axes in figures[0].axes if axes.axison]
    # Of the data set with one result there is nothing to compare.
    assert titles == ["A, ADE20K\n(a GPU)", "this model, CamVid\nfrontier"]
    assert figures[0].axes[1].lines[0].get_xdata().tolist() == [5.0, 6.5, 6.9, 7.5, 8.1, 8.5]
