# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from paumer_hf.figures.published_results import FAMILIES, read_published_results


SHIPPED = Path(__file__).resolve().parents[2] / "model_cards" / "published_results.yaml"

GROUP = """
groups:
  - name: A
    source: a paper
    device: a GPU
    protocol: batch 1
    results:
      - {architecture: X, family: merging, backbone: S, dataset: ade20k, dense_mean_iou: 40, mean_iou: 39,
         dense_images_per_second: 100, images_per_second: 150}
      - {architecture: X, family: merging, backbone: L, dataset: ade20k, mean_iou_change: -0.5, speedup: 1.2}
      - {architecture: Y, family: dense, backbone: L, dataset: ade20k, mean_iou: 50, images_per_second: 10}
"""


def test_relative_numbers_follow_from_absolute_ones(tmp_path):
    path = tmp_path / "published.yaml"
    path.write_text(GROUP)
    (group,) = read_published_results(path)
    assert (group.name, group.source, group.device, group.protocol) == ("A", "a paper", "a GPU", "batch 1")
    assert [(result.speedup, result.mean_iou_change) for result in group.results] == [
        (1.5, -1),
        (1.2, -0.5),
        (None, None),
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("groups:", "results:", "must have a list `groups`"),
        ("source: a paper", "", "group 1: `source` is missing"),
        ("device: a GPU", "device: 3", "group 1: `device` must be a text, but is 3"),
        ("family: dense", "family: magic", "result 3: `family` must be one of .* but is 'magic'"),
        ("speedup: 1.2", "speed: 1.2", "result 2: `speed` is no known field"),
        ("speedup: 1.2", "speedup: fast", "result 2: `speedup` must be a number, but is 'fast'"),
        (", speedup: 1.2", "", "result 2: give mIoU and images/s, or speed-up and change"),
        ("mean_iou: 39", "mean_iou: 39, mean_iou_change: -1", "`mean_iou_change` follows from"),
        ("per_second: 100", "per_second: 0", "`dense_images_per_second` must be positive, but is 0"),
        ("groups:", "groups: [", "is no YAML file"),
    ],
)
def test_wrong_files_are_refused(old, new, message, tmp_path):
    path = tmp_path / "published.yaml"
    assert old in GROUP
    path.write_text(GROUP.replace(old, new, 1))
    with pytest.raises(ValueError, match=message):
        read_published_results(path)


def test_the_shipped_numbers():
    groups = read_published_results(SHIPPED)
    assert len({group.name for group in groups}) == len(groups)
    results = [result for group in groups for result in group.results]
    assert {result.family for result in results} == set(FAMILIES)
    assert all(10 < result.mean_iou < 90 for result in results if result.mean_iou is not None)
    relative = [result for result in results if result.speedup is not None]
    assert all(0.9 < result.speedup < 2.5 and -15 < result.mean_iou_change < 2 for result in relative)
    (paper,) = [group for group in groups if group.name == "PAUMER (paper)"]
    changes = {(result.dataset, result.speedup): result.mean_iou_change for result in paper.results
               if result.backbone == "Ti" and result.architecture == "PAUMER (paper)"}  # fmt: skip
    assert changes[("cityscapes", 1.5)] == -0.7
    assert changes[("ade20k", 2.0)] == -10.7
