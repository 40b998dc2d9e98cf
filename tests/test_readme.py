# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The README: its code runs, its commands exist, its numbers are those of the results files."""

import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from transformers import Dinov2Config, Dinov2Model

from paumer_hf import PaumerConfig, PaumerForSemanticSegmentation, PaumerImageProcessor


ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_code_runs_as_printed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = PaumerConfig(image_size=32, patch_size=8, hidden_size=16, num_hidden_layers=6, num_attention_heads=2)
    PaumerForSemanticSegmentation(config).save_pretrained("runs/demo/best")
    PaumerImageProcessor(size={"height": 32, "width": 32}).save_pretrained("runs/demo/best")
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save("street.png")
    names: dict = {}
    first, presets, choice, backbone = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(first, names)
    assert tuple(names["label_map"].shape) == (40, 60)
    exec(presets, names)
    assert names["model"].pause_config == names["PauseConfig"]({3: 0.4, 5: 0.4})
    assert not names["outputs"].pause_map.any()
    points = [{"pause_config": {}, "speedup": 1.0}, {"pause_config": {3: 0.6}, "speedup": 1.7}]
    names["model"].pause_profile = {"points": points}
    exec(choice, names)
    assert names["pause_config"] == names["PauseConfig"]({3: 0.6})
    assert names["outputs"].pause_map.any()
    dino = Dinov2Config(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=28, patch_size=14)
    Dinov2Model(dino).save_pretrained("facebook/dinov2-small")  # a folder of this name goes before the page of the Hub
    exec(backbone, names)
    assert names["model"].config.num_labels == 19
    assert list(names["processor"].image_mean) == [0.485, 0.456, 0.406]


def test_the_files_and_recipes_that_it_names_are_there():
    for name in re.findall(r"scripts/[\w/]+\.(?:py|yaml)", README):
        assert (ROOT / name).is_file(), name
    for line in re.findall(r"^\| (`.*?) \|", README, re.MULTILINE):
        for name in re.findall(r"`([\w/.]+)`", line):
            folders = (ROOT, ROOT / "src" / "paumer_hf", ROOT / "src" / "paumer_hf" / "model")
            assert any((folder / name).exists() for folder in folders), name


def test_the_numbers_are_those_of_the_results_files(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["render_readme.py", "--check"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(ROOT / "scripts" / "render_readme.py"), run_name="__main__")
    assert end.value.code == 0


@pytest.mark.parametrize("target", ["demo", "test"])
def test_make_has_the_two_commands(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
