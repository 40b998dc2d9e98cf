# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The command that publishes: what it refuses, and a dry run. Pushes are tested in tests/hub."""

import pytest
from safetensors.torch import save_file

from paumer_hf import PaumerImageProcessor, PauseConfig


CARD = """---
library_name: transformers
pipeline_tag: image-segmentation
license: apache-2.0
datasets: [street_scenes]
tags: [paumer]
metrics: [mean_iou]
model-index:
- name: tiny
  results:
  - task: {type: image-segmentation}
    dataset: {type: street_scenes, name: Street scenes}
    metrics:
    - {type: mean_iou, value: 0.4}
---

| fast | 1:0.5 |
"""


@pytest.fixture
def folder(tiny_model, tmp_path):
    """A checkpoint with a card."""
    tiny_model.pause_presets = {"fast": PauseConfig({1: 0.5})}
    tiny_model.save_pretrained(tmp_path / "model")
    PaumerImageProcessor(size={"height": 40, "width": 48}, size_divisor=8).save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "README.md").write_text(CARD)
    return tmp_path / "model"


def test_a_dry_run_shows_what_it_would_send(run_script, folder, capsys):
    run_script("push_to_hub.py", folder, "tester/tiny", "--dry_run")
    said = capsys.readouterr().out
    assert "Checked: loads twice alike, runs as dense, default, preset fast" in said
    for path in folder.iterdir():
        assert path.name in said
    assert "5 files, " in said
    assert "Nothing was sent" in said


def test_the_card_can_be_another(run_script, folder, tmp_path, capsys):
    (folder / "README.md").rename(tmp_path / "card.md")
    run_script("push_to_hub.py", folder, "tester/tiny", "--dry_run", "--card", tmp_path / "card.md")
    assert "README.md" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "training_state.pt").write_bytes(b"x"), "may be a pickle"),
        (lambda folder: (folder / "README.md").unlink(), "README.md is missing; render one"),
        (lambda folder: (folder / "README.md").write_text("# Tiny"), "must begin with metadata"),
        (lambda folder: (folder / "config.json").unlink(), "holds no checkpoint, as config.json is missing"),
        (lambda folder: (folder / "pause_config.json").write_text("{}}"), "pause_config.json is no JSON"),
        (lambda folder: save_file({}, folder / "model.safetensors", {"format": "pt"}), "missing keys"),
    ],
)
def test_refusals_are_one_sentence(run_script, folder, spoil, message):
    spoil(folder)
    with pytest.raises(SystemExit) as error:
        run_script("push_to_hub.py", folder, "tester/tiny", "--dry_run")
    assert str(error.value).startswith("push_to_hub.py: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)
