# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of writing results and of tables."""

import json
import math

import pytest
import torch

from paumer_hf.evaluation import results as results_module
from paumer_hf.evaluation.results import (
    environment_conditions,
    format_table,
    join_results,
    read_results,
    write_results,
)


EVALUATIONS = [
    {"pause_config": "", "criterion": "entropy", "mean_iou": 0.5, "overall_accuracy": 0.9},
    {"pause_config": "3:0.4", "criterion": "entropy", "mean_iou": 0.45, "overall_accuracy": 0.875},
    {"pause_config": "3:0.4", "criterion": "random", "mean_iou": 0.4, "mean_iou_spread": 0.0123},
    {"pause_config": "5:0.4", "criterion": "entropy", "mean_iou": 0.47},
]
TIMINGS = [
    {"pause_config": "", "criterion": "entropy", "images_per_second": 4.0, "speedup": 1.0},
    {"pause_config": "3:0.4", "criterion": "entropy", "images_per_second": 6.0, "speedup": 1.5},
]


@pytest.fixture(autouse=True)
def no_git():
    """In place of that of all other tests: here git is asked."""


def test_results_survive_writing_and_nan_becomes_null(tmp_path):
    path = tmp_path / "new" / "results.json"
    contents = {"results": [{"iou": [0.1, math.nan], "size": (2, 3), "worst": math.inf}], "name": "é"}
    write_results(path, contents)
    assert read_results(path) == {"results": [{"iou": [0.1, None], "size": [2, 3], "worst": None}], "name": "é"}
    assert [entry.name for entry in path.parent.iterdir()] == ["results.json"]


def test_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "results.json"
    write_results(path, {"results": [1]})

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(results_module.os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_results(path, {"results": [2]})
    assert json.loads(path.read_text()) == {"results": [1]}
    assert [entry.name for entry in tmp_path.iterdir()] == ["results.json"]


@pytest.mark.parametrize("text", ["{", "[]", '{"results": {}}'])
def test_other_files_are_refused(tmp_path, text):
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"Name a file that evaluate\.py or benchmark\.py wrote"):
        read_results(path)


def test_conditions_name_machine_versions_commit_and_allocator(monkeypatch, two_threads):
    monkeypatch.setenv("MALLOC_MMAP_MAX_", "0")
    monkeypatch.setenv("UNRELATED_SECRET", "1")
    conditions = environment_conditions()
    assert conditions["torch"] == torch.__version__
    assert conditions["num_threads"] == 2
    assert conditions["device"]
    assert conditions["environment"]["MALLOC_MMAP_MAX_"] == "0"
    assert "UNRELATED_SECRET" not in conditions["environment"]
    json.dumps(conditions)


def test_commit_of_a_foreign_checkout_is_not_reported(monkeypatch):
    class Completed:
        stdout = "/somewhere/else\n"

    monkeypatch.setattr(results_module.subprocess, "run", lambda *args, **options: Completed)
    assert environment_conditions()["git"] is None


def test_without_git_no_commit_is_reported(monkeypatch):
    def fail(*args, **options):
        raise FileNotFoundError("git")

    monkeypatch.setattr(results_module.subprocess, "run", fail)
    assert environment_conditions()["git"] is None


def test_join_takes_what_has_both_and_random_runs_at_the_speed_of_entropy():
    joined = join_results(EVALUATIONS, TIMINGS)
    assert [(row["pause_config"], row["criterion"], row["images_per_second"]) for row in joined] == [
        ("", "entropy", 4.0),
        ("3:0.4", "entropy", 6.0),
        ("3:0.4", "random", 6.0),
    ]
    own = {"pause_config": "3:0.4", "criterion": "random", "images_per_second": 7.0}
    assert join_results(EVALUATIONS, [*TIMINGS, own])[2]["images_per_second"] == 7.0


def test_table_is_aligned_and_leaves_out_what_nothing_has():
    lines = format_table(EVALUATIONS).splitlines()
    assert lines[0].split("  ")[0] == "pause configuration"
    assert "images/s" not in lines[0]
    assert lines[2].split() == ["dense", "50.00", "90.00"]
    assert lines[4].split() == ["3:0.4", "random", "40.00", "1.23"]
    column = lines[0].index("mIoU") + len("mIoU")
    assert [line[:column].split()[-1] for line in lines[2:]] == ["50.00", "45.00", "40.00", "47.00"]


def test_markdown_table_has_the_same_number_of_cells_in_each_line():
    lines = format_table(join_results(EVALUATIONS, TIMINGS), markdown=True).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert len({len(line) for line in lines}) == 1
    assert set(lines[1]) <= set("|-: ")
    assert "1.500" in lines[3]


def test_table_shows_intervals_beside_what_they_are_of_and_only_where_rows_have_them():
    assert "95 %" not in format_table(EVALUATIONS)
    assert "difference" not in format_table(EVALUATIONS)
    intervals = [
        {"mean_iou_interval": [0.4123, 0.5387]},
        {
            "mean_iou_interval": [0.4, 0.5],
            "mean_iou_difference": -0.05,
            "mean_iou_difference_interval": [-0.0612, 0.0004],
        },
        {"mean_iou_interval": [None, None], "mean_iou_difference": None},
    ]
    rows = [{**row, **added} for row, added in zip(EVALUATIONS, intervals, strict=False)]
    lines = format_table(rows, markdown=True).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0] == [
        "pause configuration", "criterion", "mIoU", "95 %", "± seeds", "difference", "95 % of it", "pixel accuracy"
    ]  # fmt: skip
    assert cells[2] == ["dense", "", "50.00", "41.2 to 53.9", "", "", "", "90.00"]
    assert cells[3] == ["3:0.4", "entropy", "45.00", "40.0 to 50.0", "", "-5.00", "-6.12 to +0.04", "87.50"]
    assert cells[4] == ["3:0.4", "random", "40.00", "? to ?", "1.23", "", "", ""]
    assert len({len(line) for line in lines}) == 1
