# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import json
import subprocess
import sys

import pytest
import torch

from paumer_hf import PauseConfig
from paumer_hf.export import export_program, program_export
from paumer_hf.export.export_check import ExportCheckError


@pytest.mark.slow
def test_program_computes_what_the_model_computes(model, processor, tmp_path):
    report = export_program(model, tmp_path / "fast.pt2", "fast", (37, 50), processor, label_map=True)
    assert report.largest_logit_difference < 1e-5
    extra = {"paumer_hf.json": ""}
    program = torch.export.load(tmp_path / "fast.pt2", extra_files=extra).module()
    assert json.loads(json.loads(extra["paumer_hf.json"])["paumer_hf.pause_preset"]) == "fast"
    for batch_size in (1, 4):
        pixel_values = torch.randn(batch_size, 3, 37, 50)
        with torch.inference_mode():
            outputs, expected = program(pixel_values), model(pixel_values, pause_config="fast")
        torch.testing.assert_close(outputs["logits"], expected.logits, rtol=0, atol=1e-5)
        assert outputs["label_map"].shape == (batch_size, 37, 50)
    assert [path.name for path in tmp_path.iterdir()] == ["fast.pt2"]


@pytest.mark.slow
def test_program_runs_without_the_package(model, tmp_path):
    config = PauseConfig({1: 0.4}, criterion="random", seed=3)
    export_program(model, tmp_path / "random.pt2", config, (40, 48))
    program = """
import sys, torch
outputs = torch.export.load("random.pt2").module()(torch.zeros(3, 3, 40, 48))
print({name: tuple(value.shape) for name, value in outputs.items()}, "paumer_hf" in sys.modules)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert result.stdout.strip() == "{'logits': (3, 3, 5, 6)} False", result.stderr


@pytest.mark.slow
def test_encoders_of_other_origins(make_calm_config, encoder_fields, make_model, tmp_path):
    model = make_model(make_calm_config(**encoder_fields))
    assert export_program(model, tmp_path / "m.pt2", {1: 0.4, 3: 0.5}, (37, 50)).largest_logit_difference < 1e-5


@pytest.mark.slow
def test_failed_check_leaves_nothing(model, tmp_path, monkeypatch):
    def fail(module, run, tolerance):
        assert run(module.example())["logits"].shape == (2, 3, 5, 7)
        raise ExportCheckError("differ")

    monkeypatch.setattr(program_export, "check_export", fail)
    with pytest.raises(ExportCheckError, match="differ"):
        export_program(model, tmp_path / "model.pt2", "dense", (37, 50))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_torch_cannot_write_is_named(model, tmp_path, monkeypatch):
    def fail(program, path, extra_files):
        raise RuntimeError("[enforce fail at inline_container.cc]\n  open file failed")

    monkeypatch.setattr(torch.export, "export", lambda *arguments, **options: None)
    monkeypatch.setattr(torch.export, "save", fail)
    with pytest.raises(OSError, match=r"model\.pt2 cannot be written: \[enforce .*\] open file failed$"):
        export_program(model, tmp_path / "model.pt2", "dense", (37, 50))
    assert list(tmp_path.iterdir()) == []


def test_refusals(model, tmp_path):
    with pytest.raises(ValueError, match=r"`path` must end in \.pt2"):
        export_program(model, tmp_path / "model.onnx")
    with pytest.raises(ValueError, match="without a seed"):
        export_program(model, tmp_path / "model.pt2", PauseConfig({1: 0.4}, criterion="random"))
