# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Rows of results, as searches and benchmarks write them."""

import json

import pytest


def _row(text, mean_iou, images_per_second, criterion="entropy", **others):
    row = {"pause_config": text, "criterion": criterion, "mean_iou": mean_iou, "images_per_second": images_per_second}
    return {**row, **others}


@pytest.fixture
def make_row():
    """A function that makes a row: text of the configuration, mean IoU, images/s, and more keys."""
    return _row


@pytest.fixture
def search_rows():
    """The dense model, a sweep of one layer, one of a second layer, and one configuration that was only timed."""
    return [
        _row("", 0.44, 5.0),
        _row("3:0.2", 0.43, 6.0, mean_iou_interval=[0.42, 0.445]),
        _row("3:0.4", 0.42, 7.5, mean_iou_interval=[0.41, 0.43]),
        _row("5:0.4", 0.435, 6.5),
        _row("5:0.6", None, 7.0),
        _row("3:0.4,5:0.2", 0.41, 8.0),
        _row("3:0.4,5:0.4", 0.40, 8.5),
        _row("3:0.4,7:0.4", 0.415, 8.1),
        _row("3:0.2,7:0.4", 0.425, 6.9),
        _row("3:0.4", 0.40, 7.5, "random", mean_iou_spread=0.01),
    ]


@pytest.fixture
def write_rows(tmp_path):
    """A function that writes rows as a results file and returns its path."""

    def write(rows, name="search.json", **others):
        path = tmp_path / name
        path.write_text(json.dumps({"conditions": {"device": "a CPU", "num_threads": 1}, "results": rows, **others}))
        return path

    return write


@pytest.fixture
def drawn(monkeypatch):
    """A function from a module of figures to the list that its figures come into instead of files."""
    pytest.importorskip("matplotlib")

    def catch(module):
        figures = []
        monkeypatch.setattr(module, "save_figure", lambda figure, path: figures.append(figure))
        return figures

    return catch
