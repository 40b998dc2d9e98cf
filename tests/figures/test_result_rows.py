# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import pytest

from paumer_hf.figures.result_rows import (
    bars_caption,
    mean_iou_bar,
    most_frequent_pair,
    paused_pairs,
    read_rows,
    single_layer_lines,
    two_layer_lines,
)


@pytest.fixture
def entropy_rows(search_rows):
    return [row for row in search_rows if row["criterion"] == "entropy"]


def test_rows_come_from_both_kinds_of_files(search_rows, write_rows):
    searched = read_rows(write_rows(search_rows))
    assert [row["pause_config"] for row in searched] == [
        row["pause_config"] for row in search_rows if row["mean_iou"] is not None
    ]
    timed = read_rows(write_rows(search_rows), ["images_per_second"])
    assert len(timed) == len(search_rows)
    joined = read_rows(write_rows([{"pause_config": "", "criterion": "entropy"}], joined=search_rows))
    assert joined == searched


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"criterion": "entropy"}], "has no pause_config"),
        ([{"pause_config": "3:0.4"}], "has no criterion"),
        ([{"pause_config": "", "criterion": "entropy", "mean_iou": 0.4}], "No row of .* has mean_iou and images_per"),
        ([], "No row of"),
    ],
)
def test_wrong_files_are_refused(rows, message, write_rows):
    with pytest.raises(ValueError, match=message):
        read_rows(write_rows(rows))


def test_lines_of_one_layer(entropy_rows):
    lines = single_layer_lines(entropy_rows[::-1])
    assert {layer: list(line) for layer, line in lines.items()} == {3: [0.2, 0.4], 5: [0.4, 0.6]}
    assert list(lines) == [3, 5]
    assert lines[5][0.6]["mean_iou"] is None


def test_lines_of_two_layers(entropy_rows):
    lines = two_layer_lines(entropy_rows, (3, 0.4))
    assert {layer: list(line) for layer, line in lines.items()} == {5: [0.2, 0.4], 7: [0.4]}
    # The second layer of a search may lie before the first.
    assert {layer: list(line) for layer, line in two_layer_lines(entropy_rows, (7, 0.4)).items()} == {3: [0.2, 0.4]}
    with pytest.raises(ValueError, match=r"no configuration of two pause layers with 4:0\.4"):
        two_layer_lines(entropy_rows, (4, 0.4))


def test_configurations_that_stand_twice_are_refused(search_rows):
    with pytest.raises(ValueError, match=r"3:0\.4 twice"):
        single_layer_lines(search_rows)


def test_the_first_layer_is_the_most_frequent_one(entropy_rows, make_row):
    assert most_frequent_pair(entropy_rows) == (3, 0.4)
    timed = [make_row(f"4:0.2,{layer}:0.4", None, 6.0) for layer in range(5, 12)]
    assert most_frequent_pair(entropy_rows + timed) == (3, 0.4)
    assert most_frequent_pair(timed) == (4, 0.2)
    rows = [make_row("3:0.4,5:0.2", 0.40, 5), make_row("4:0.4,6:0.2", 0.41, 5)]
    assert most_frequent_pair(rows) == (4, 0.4)
    with pytest.raises(ValueError, match="no configuration of two pause layers"):
        most_frequent_pair(rows[:0])


def test_bars(make_row):
    assert mean_iou_bar(make_row("", 0.4, 1)) is None
    assert mean_iou_bar(make_row("", 0.4, 1, mean_iou_spread=0.02)) == pytest.approx((38, 42))
    both = make_row("", 0.4, 1, mean_iou_spread=0.02, mean_iou_interval=[0.39, 0.43])
    assert mean_iou_bar(both) == pytest.approx((39, 43))
    spread = make_row("", 0.4, 1, mean_iou_spread=0.02)
    assert bars_caption([spread]) == "Bars: standard deviation over random seeds."
    assert bars_caption([both]) == "Bars: 95 % intervals."
    assert bars_caption([both, spread]) == "Bars: 95 % intervals, or standard deviation over random seeds."
    assert bars_caption([make_row("", 0.4, 1)]) == ""


@pytest.mark.parametrize("text", ["3:0.4,5:0.4", "3:0.4,5:0.25", "10:0.8"])
def test_pairs_are_those_of_the_text(text):
    assert paused_pairs({"pause_config": text}) == tuple(
        (int(part.split(":")[0]), float(part.split(":")[1])) for part in text.split(",")
    )
