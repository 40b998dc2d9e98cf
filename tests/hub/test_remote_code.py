# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""A checkpoint saved with its code loads in a process that does not have the package."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import paumer_hf


MODEL_FOLDER = Path(paumer_hf.__file__).parent / "model"
MINIHUB = Path(__file__).resolve().parents[3] / "shared" / "tools" / "minihub" / "minihub.py"

SAVE = """
import sys, torch
from paumer_hf import PaumerConfig, PaumerForSemanticSegmentation, PaumerImageProcessor, PauseConfig
PaumerConfig.register_for_auto_class()
PaumerForSemanticSegmentation.register_for_auto_class("AutoModelForSemanticSegmentation")
PaumerImageProcessor.register_for_auto_class()
config = PaumerConfig(image_size=32, patch_size=8, hidden_size=32, num_hidden_layers=4, num_attention_heads=4)
torch.manual_seed(0)
model = PaumerForSemanticSegmentation(config).eval()
model.pause_presets["fast"] = PauseConfig({1: 0.25, 2: 0.5})
model.pause_profile = {
    "conditions": {"device": "a device", "image_size": [32, 32]},
    "points": [
        {"pause_config": {}, "speedup": 1.0, "mean_iou": 0.412},
        {"pause_config": {"pause_ratios": {"2": 0.25}}, "speedup": 1.2, "mean_iou": 0.41},
        {"pause_config": {"pause_ratios": {"1": 0.25, "2": 0.5}}, "speedup": 1.5, "mean_iou": 1 / 3},
    ],
}
model.save_pretrained(sys.argv[1])
PaumerImageProcessor(size={"height": 32, "width": 32}).save_pretrained(sys.argv[1])
outputs = model(torch.linspace(-1, 1, 3 * 32 * 32).reshape(1, 3, 32, 32), pause_config="fast")
torch.save({"logits": outputs.logits, "pause_map": outputs.pause_map}, sys.argv[2])
"""

LOAD = """
import sys, torch
sys.modules["paumer_hf"] = None  # importing it fails, as where it is not installed
from transformers import AutoModelForSemanticSegmentation
from transformers.models.auto.image_processing_auto import AutoImageProcessor
model = AutoModelForSemanticSegmentation.from_pretrained(sys.argv[1], trust_remote_code=True)
processor = AutoImageProcessor.from_pretrained(sys.argv[1], trust_remote_code=True)
assert "transformers_modules" in type(model).__module__, type(model)
assert "transformers_modules" in type(processor).__module__, type(processor)
expected = torch.load(sys.argv[2], weights_only=True)
outputs = model(torch.linspace(-1, 1, 3 * 32 * 32).reshape(1, 3, 32, 32), pause_config="fast")
torch.testing.assert_close(outputs.logits, expected["logits"])
assert torch.equal(outputs.pause_map, expected["pause_map"])
assert type(model.pause_profile).__module__.startswith("transformers_modules")
assert model.pause_profile.conditions["device"] == "a device"
assert list(model.pause_presets) == ["fast"]
assert model.select_pause_config(min_speedup=1.3) == model.pause_presets["fast"]
assert model.select_pause_config(max_drop=0.2).to_text() == "2:0.25"
selected = model.select_pause_config(min_speedup=1.3)
assert torch.equal(
    model(torch.linspace(-1, 1, 3 * 32 * 32).reshape(1, 3, 32, 32), pause_config=selected).logits, outputs.logits
)
for wishes in ({"min_speedup": 2}, {}):
    try:
        model.select_pause_config(**wishes)
    except ValueError as error:
        assert "No configuration of the profile" in str(error) or "Nothing is wished for" in str(error), error
    else:
        raise AssertionError(wishes)
assert len(processor.post_process_semantic_segmentation(outputs, target_sizes=[(32, 32)])) == 1
model.save_pretrained(sys.argv[3])
"""


def run(code: str, *arguments: Path, home: Path, **settings: str) -> None:
    fixed = {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    environment = {**os.environ, **fixed, **settings}
    command = [sys.executable, "-c", code, *(str(argument) for argument in arguments)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=home)
    assert result.returncode == 0, result.stderr[-4000:]


@pytest.mark.slow
def test_loads_without_the_package_and_can_be_saved_again(tmp_path):
    home, first, second = tmp_path / "home", tmp_path / "first", tmp_path / "second"
    home.mkdir()
    run(SAVE, first, tmp_path / "expected.pt", home=home)
    shipped = {path.name for path in first.glob("*.py")}
    assert shipped == {path.name for path in MODEL_FOLDER.glob("*.py")} - {"__init__.py"}
    run(LOAD, first, tmp_path / "expected.pt", second, home=home)
    assert {path.name for path in second.glob("*.py")} >= {"modeling_paumer.py", "pause_config.py"}
    assert (second / "pause_config.json").read_text() == (first / "pause_config.json").read_text()


PUSH = """
import sys, torch
from paumer_hf import PaumerForSemanticSegmentation
PaumerForSemanticSegmentation.from_pretrained(sys.argv[1]).save_pretrained(
    sys.argv[2], push_to_hub=True, repo_id="tester/paumer"
)
"""

READ = """
import sys
from paumer_hf import PaumerForSemanticSegmentation
model = PaumerForSemanticSegmentation.from_pretrained("tester/paumer")
expected = PaumerForSemanticSegmentation.from_pretrained(sys.argv[1])
assert model.pause_profile == expected.pause_profile is not None
assert model.pause_presets == expected.pause_presets != {}
"""


@pytest.mark.slow
def test_the_profile_goes_to_the_hub_in_the_commit_of_the_weights(tmp_path):
    if not MINIHUB.is_file():
        pytest.skip("the stand-in for the Hub is not beside the repository")
    spec = importlib.util.spec_from_file_location("minihub", MINIHUB)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    home, first = tmp_path / "home", tmp_path / "first"
    home.mkdir()
    run(SAVE, first, tmp_path / "expected.pt", home=home)
    with module.MiniHub() as hub:
        settings = {
            "HF_ENDPOINT": hub.endpoint,
            "HF_HUB_DISABLE_XET": "1",
            "HF_TOKEN": "hf_test",
            "HF_HUB_OFFLINE": "0",
        }
        run(PUSH, first, tmp_path / "second", home=home, **settings)
        repository = hub.repos["models", "tester/paumer"]
        pushed = [files for files in repository.commits.values() if "model.safetensors" in files]
        assert len(pushed) == 1
        contents = json.loads(pushed[0]["pause_config.json"])
        run(READ, first, home=home, **settings)
    assert contents == json.loads((first / "pause_config.json").read_text())
    assert len(contents["profile"]["points"]) == 3
