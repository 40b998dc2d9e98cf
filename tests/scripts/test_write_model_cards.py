# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The command that renders model cards."""

import json
import shutil
from pathlib import Path

import pytest


CARDS = Path(__file__).resolve().parents[2] / "model_cards"

CONDITIONS = {
    "split": "validation",
    "num_images": 7,
    "weights_dtype": "float32",
    "device": "A device",
    "num_threads": 1,
    "dtype": "float32",
    "batch_size": 1,
    "image_size": [8, 8],
    "attention": "sdpa",
    "git": None,
    "date": "2026-02-03T04:05:06+00:00",
}


@pytest.fixture
def folder(tmp_path):
    """A folder of model cards with one description and its results."""
    folder = tmp_path / "model_cards"
    folder.mkdir()
    for path in [*CARDS.glob("template*.md"), CARDS / "published_results.yaml"]:
        shutil.copy(path, folder)
    common = {"criterion": "entropy", "seed": None, "num_images": 7, "on_frontier": True}
    rows = [
        {"pause_config": "", "mean_iou": 0.4, "speedup": 1.0, **common},
        {"pause_config": "3:0.4", "mean_iou": 0.39, "mean_iou_difference": -0.01, "speedup": 1.6, **common},
    ]
    (folder / "search.json").write_text(json.dumps({"conditions": CONDITIONS, "results": rows}))
    (folder / "search.png").write_bytes(b"a picture")
    names = {"title": "A", "repository": "a/paumer-a", "summary": "A model.", "dataset": "camvid", "license": "mit"}
    names |= {"dataset_title": "CamVid", "datasets": ["camvid"], "recipes": []}
    description = {**names, "search": "search.json", "frontier": "search.png"}
    (folder / "paumer-a.yaml").write_text(json.dumps(description))
    return folder


def test_writes_and_checks(run_script, folder, capsys):
    with pytest.raises(SystemExit, match=r"paumer-a.md is not what is rendered from paumer-a.yaml"):
        run_script("write_model_cards.py", "--folder", folder, "--check")
    assert not (folder / "paumer-a.md").exists()
    run_script("write_model_cards.py", "--folder", folder)
    assert capsys.readouterr().out.strip() == str(folder / "paumer-a.md")
    run_script("write_model_cards.py", "--folder", folder, "--check")
    card = folder / "paumer-a.md"
    card.write_text(card.read_text().replace("40.0", "41.0"))
    with pytest.raises(SystemExit, match="run it without --check"):
        run_script("write_model_cards.py", "--folder", folder, "--check")
    assert "published_results.md" not in {path.name for path in folder.iterdir()}


def test_one_card(run_script, folder):
    (folder / "paumer-b.yaml").write_text("- nothing")
    run_script("write_model_cards.py", "--folder", folder, "--card", "paumer-a")
    with pytest.raises(SystemExit, match=r"write_model_cards.py: --card must be one of \['paumer-a', 'paumer-b'\]"):
        run_script("write_model_cards.py", "--folder", folder, "--card", "template")


def test_a_missing_file_is_named_and_nothing_is_written(run_script, folder):
    (folder / "search.json").unlink()
    with pytest.raises(
        SystemExit, match=r"write_model_cards.py: .*paumer-a.yaml names search.json, but .* is missing"
    ):
        run_script("write_model_cards.py", "--folder", folder)
    assert not (folder / "paumer-a.md").exists()
