# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The tables of a card."""

import pytest

from paumer_hf.hub.card_description import read_card_sources
from paumer_hf.hub.card_presets import (
    format_criteria,
    format_onnx,
    format_presets,
    interval,
    markdown_table,
    number,
    percent,
    read_presets,
    read_profile,
)


def cells(table):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def test_presets_follow_from_the_search(make_card_sources):
    sources = read_card_sources(make_card_sources())
    presets = read_presets(sources)
    # At most 0.2, 0.7, 2.0 and 5.0 points may be lost; the rows lose 0.14, 0.57 and 1.79.
    texts = {name: point.pause_config.to_text() for name, point in presets.items()}
    expected = {"accurate": "3:0.2", "balanced": "3:0.4", "fast": "3:0.4,5:0.4", "fastest": "3:0.4,5:0.4"}
    assert texts == {"dense": "", **expected}
    assert list(texts) == ["dense", *expected]
    assert "5:0.2" not in {point.pause_config.to_text() for point in read_profile(sources).points}


def test_the_rule_of_the_presets_can_be_another(make_card_sources):
    presets = read_presets(read_card_sources(make_card_sources(preset_drops={"quick": 0.6})))
    assert {name: point.pause_config.to_text() for name, point in presets.items()} == {"dense": "", "quick": "3:0.4"}


def test_the_table_of_presets(make_card_sources):
    header, rule, dense, accurate, *_ = cells(format_presets(read_presets(read_card_sources(make_card_sources()))))
    assert header[:3] == ["preset", "pauses after layer: ratio", "mIoU, %"]
    assert rule[2].endswith(":")
    assert dense == ["dense", "nothing", "41.2", "39.1 to 43.1", "", "", "3.21", "1.00", "7.02"]
    assert accurate == ["accurate", "3:0.2", "41.1", "39.0 to 43.0", "-0.1", "-1.5 to +1.1", "3.76", "1.17", "6"]


def test_columns_that_nothing_has_are_left_out(make_card_sources, search_results):
    for row in search_results["results"]:
        for name in ("images_per_second", "mean_iou_interval", "mean_iou_difference_interval"):
            row.pop(name, None)
    sources = read_card_sources(make_card_sources(results={"search": search_results}))
    header = cells(format_presets(read_presets(sources)))[0]
    assert header == ["preset", "pauses after layer: ratio", "mIoU, %", "difference", "speed-up", "GMACs"]


def test_a_search_without_accuracy_makes_no_card(make_card_sources, search_results):
    for row in search_results["results"]:
        for name in [name for name in row if name.startswith("mean_iou")]:
            del row[name]
    with pytest.raises(ValueError, match="no mIoU of the dense model"):
        read_presets(read_card_sources(make_card_sources(results={"search": search_results})))


def test_entropy_and_chance_side_by_side(make_card_sources):
    sources = read_card_sources(make_card_sources())
    header, _, dense, paused = cells(format_criteria(sources.evaluation, sources.benchmark))
    assert header[-2:] == ["images/s", "speed-up"]
    assert dense == ["nothing", "41.2", "", "", ""]
    assert paused == ["3:0.4", "40.7", "37.8", "4.56", "1.37"]
    assert cells(format_criteria(sources.evaluation, None))[3] == ["3:0.4", "40.7", "37.8"]


def test_onnx(make_card_sources):
    onnx = read_card_sources(make_card_sources()).onnx
    header, _, row = cells(format_onnx(onnx))
    assert header[-1] == "pixels of another class"
    assert row == ["3:0.4", "6.78", "5.43", "1.25", "3.2e-06", "17"]
    onnx["results"][0]["num_different_labels"] = 0
    assert cells(format_onnx(onnx))[2][-1] == "0"
    del onnx["results"][0]["num_different_labels"]
    assert cells(format_onnx(onnx))[0] == header[:-1]


def test_forms_of_numbers():
    assert [percent(0.43921), percent(None), percent(-0.0001, "+"), percent(0.017, "+")] == [
        "43.9",
        "",
        "+0.0",
        "+1.7",
    ]
    assert interval([-0.03, 0.026], "+") == "-3.0 to +2.6"
    assert interval(None) == number(None, ".2f") == ""
    assert number(1.234, ".2f") == "1.23"


def test_columns_are_aligned():
    lines = markdown_table({"name": ["long text"], "value": ["1"]}).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[2] == "| long text |     1 |"
