# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The scripts that export a model and compare the export with PyTorch."""

import json

import pytest
import torch

from paumer_hf import PaumerImageProcessor, PauseConfig
from paumer_hf.export import OnnxPaumer


pytest.importorskip("onnx", reason="the extra `onnx` is not installed")
pytest.importorskip("onnxruntime", reason="the extra `onnx` is not installed")
pytest.importorskip("onnxscript", reason="the extra `onnx` is not installed")


@pytest.fixture
def folder(make_tiny_config, make_model, tmp_path, monkeypatch):
    """The working folder, with a saved model that has the preset "fast"."""
    # A larger epsilon, as rounding grows where the masks of three classes are normalised.
    tiny_model = make_model(make_tiny_config(decoder_layer_norm_eps=1e-3))
    tiny_model.pause_presets = {"fast": PauseConfig({1: 0.4})}
    tiny_model.save_pretrained(tmp_path / "model")
    PaumerImageProcessor(size_divisor=8).save_pretrained(tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_preset(run_script, folder, capsys):
    arguments = ("--model", "model", "--pause_config", "fast", "--image_size", 37, 50, "--label_map")
    run_script("export_onnx.py", *arguments, "--output", "out/fast.onnx")
    printed = capsys.readouterr().out
    assert printed.startswith("out/fast.onnx: on 10 images the logits differ from PyTorch's by at most")
    assert "of 18500 pixels have another class" in printed
    exported = OnnxPaumer.from_pretrained(folder / "out")
    assert (exported.pause_preset, exported.image_size) == ("fast", (37, 50))
    assert list(exported.processor.image_mean) == [0.5, 0.5, 0.5]


@pytest.mark.slow
def test_random_pausing_as_a_program(run_script, folder):
    arguments = ("--model", "model", "--pause_config", "2:0.5", "--criterion", "random", "--output", "random.pt2")
    with pytest.raises(SystemExit, match=r"export_onnx.py: .*without a seed.*--seed 0"):
        run_script("export_onnx.py", *arguments)
    run_script("export_onnx.py", *arguments, "--seed", 4, "--image_size", 32)
    outputs = torch.export.load(folder / "random.pt2").module()(torch.zeros(3, 3, 32, 32))
    assert outputs["logits"].shape == (3, 3, 4, 4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--pause_config", "faster"], "Unknown pause configuration 'faster'"),
        (["--image_size", "1", "2", "3"], "`image_size` must be a height and a width"),
        (["--output", "model.txt"], r"`path` must end in \.onnx"),
        (["--image_size", "0"], "`image_size` must be a height and a width, whole numbers"),
        (["--model", "nowhere"], "cannot be loaded from nowhere"),
        (["--output", "model/config.json/a.pt2"], "a.pt2 cannot be written, as no file can be made in"),
        (["--output", "model/config.json/a.onnx"], "a.onnx cannot be written, as no file can be made in"),
    ],
)
def test_errors_are_one_message(run_script, folder, arguments, message):
    with pytest.raises(SystemExit, match=f"^export_onnx.py: .*{message}"):
        run_script("export_onnx.py", "--model", "model", "--output", "model.onnx", *arguments)
    assert [path.name for path in folder.iterdir()] == ["model"]


@pytest.mark.slow
def test_benchmark(run_script, folder, make_tiny_config, make_model, capsys):
    from paumer_hf.data import get_dataset_description

    names = get_dataset_description("street_scenes").class_names
    make_model(make_tiny_config(id2label=dict(enumerate(names)))).save_pretrained(folder / "streets")
    PaumerImageProcessor(size_divisor=8).save_pretrained(folder / "streets")
    arguments = ("--model", "streets", "--dataset", "street_scenes", "--max_samples", 3, "--image_size", 40, 48)
    configs = ("--pause_configs", "dense", "1:0.4")
    run_script(
        "benchmark_onnx.py", *arguments, *configs, "--tune_malloc", "False", "--output", folder / "measured.json"
    )
    measured = json.loads((folder / "measured.json").read_text())
    assert [row["pause_config"] for row in measured["results"]] == ["", "1:0.4"]
    assert all(row["num_images"] == 3 for row in measured["results"])
    assert measured["conditions"]["dataset"] == "street_scenes"
    table = (folder / "measured.md").read_text()
    assert table == capsys.readouterr().out
    assert "| dense " in table
