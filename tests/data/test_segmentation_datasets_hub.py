# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""A data set on the Hub is read at the revision that is asked for, downloaded or as a stream."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


ROOT = Path(__file__).resolve().parents[2]
MINIHUB = ROOT.parent / "shared" / "tools" / "minihub" / "minihub.py"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not MINIHUB.is_file(), reason="the stand-in for the Hub is not beside the repository"),
]

PUSH = """
import datasets, numpy
from PIL import Image
features = datasets.Features({"image": datasets.Image(), "annotation": datasets.Image()})
for first in (0, 100):
    images = [Image.fromarray(numpy.full((4, 6, 3), first + number, numpy.uint8)) for number in range(10)]
    labels = [Image.fromarray(numpy.full((4, 6), number % 3, numpy.uint8)) for number in range(10)]
    rows = datasets.Dataset.from_dict({"image": images, "annotation": labels}, features=features)
    print(rows.push_to_hub("tester/made", split="train", num_shards=3).oid)
"""

READ = """
import json, sys
from torch.utils.data import DataLoader
from paumer_hf.data import get_dataset_description, load_segmentation_dataset
made = get_dataset_description("tester/made", class_names=("a", "b", "c"))
found = {}
for revision in (None, sys.argv[1]):
    for streaming in (False, True):
        samples = load_segmentation_dataset(made, "train", revision=revision, streaming=streaming, buffer_size=4)
        found[f"{revision is None} {streaming}"] = [sample.image.getpixel((0, 0))[0] for sample in samples]


class Places:
    def __len__(self):
        return 10

    def __getitem__(self, place):
        return samples.read(0, place, 0).image.getpixel((0, 0))[0]


found["in processes"] = [int(value) for value in DataLoader(Places(), batch_size=None, num_workers=2)]
found["here"] = [Places()[place] for place in range(10)]
print(json.dumps(found))
"""


def test_revisions_are_read_by_download_and_by_stream(tmp_path: Path) -> None:
    specification = importlib.util.spec_from_file_location("minihub", MINIHUB)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    with module.MiniHub() as hub:
        settings = {"HF_ENDPOINT": hub.endpoint, "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0", "HF_TOKEN": "hf_x"}
        lines = [""]
        for place, code in (("pushed", PUSH), ("read", READ)):
            environment = {**os.environ, **settings, "HF_HOME": str(tmp_path / place), "OMP_NUM_THREADS": "1"}
            command = [sys.executable, "-c", code, lines[0]]
            result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
            assert result.returncode == 0, result.stderr
            lines = result.stdout.splitlines()
    found = json.loads(lines[-1])
    for streaming in (False, True):
        assert found[f"True {streaming}"] == list(range(100, 110))
        assert found[f"False {streaming}"] == list(range(10))
    assert found["in processes"] == found["here"] != sorted(found["here"])
    assert sorted(found["here"]) == list(range(10))
