# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Exactly the modules that are needed travel with a checkpoint, and they do all that the package's classes do."""

import ast
import json

import pytest


# Named one by one: what every user of a checkpoint with code downloads and trusts changes on purpose only.
SHIPPED = {
    "assembler.py",
    "backbone_loading.py",
    "configuration_paumer.py",
    "encoder.py",
    "image_processing_paumer.py",
    "image_reading.py",
    "mask_decoder.py",
    "model_outputs.py",
    "modeling_paumer.py",
    "patch_embedding.py",
    "pause_config.py",
    "pause_config_file.py",
    "pause_profile.py",
    "pause_sampling.py",
    "pausing.py",
    "pretrained_paumer.py",
    "profile_point.py",
    "rotary_embedding.py",
    "segmentation_loss.py",
    "segmentation_maps.py",
    "transformer_layer.py",
}

PROFILE = {
    "conditions": {"device": "a device"},
    "points": [
        {"pause_config": {}, "speedup": 1.0, "mean_iou": 0.412},
        {"pause_config": {"pause_ratios": {"1": 0.25, "2": 0.5}}, "speedup": 1.5, "mean_iou": 0.4},
    ],
}


def imported_siblings(path):
    """The modules that a file imports with a single dot."""
    nodes = ast.walk(ast.parse(path.read_text()))
    return {f"{node.module}.py" for node in nodes if isinstance(node, ast.ImportFrom) and node.level == 1}


def test_exactly_the_needed_modules_are_shipped(make_checkpoint, tmp_path):
    folder = make_checkpoint(tmp_path / "code", with_code=True)
    assert {path.name for path in folder.glob("*.py")} == SHIPPED
    entries = [
        json.loads((folder / name).read_text())["auto_map"] for name in ("config.json", "preprocessor_config.json")
    ]
    classes = {name: place for entry in entries for name, place in entry.items()}
    assert classes == {
        "AutoConfig": "configuration_paumer.PaumerConfig",
        "AutoModelForSemanticSegmentation": "modeling_paumer.PaumerForSemanticSegmentation",
        "AutoImageProcessor": "image_processing_paumer.PaumerImageProcessor",
    }
    reached, waiting = set(), {f"{place.partition('.')[0]}.py" for place in classes.values()}
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting |= imported_siblings(folder / name) - reached
    assert reached == SHIPPED, "each is imported, directly or by others, from where transformers begins"


def test_a_checkpoint_without_code_ships_none(make_checkpoint, tmp_path):
    folder = make_checkpoint(tmp_path / "plain")
    assert not list(folder.glob("*.py"))
    assert "auto_map" not in json.loads((folder / "config.json").read_text())


TUNE = """
import json, sys
sys.modules["paumer_hf"] = None  # importing it fails, as where it is not installed
import torch
from transformers import AutoConfig, AutoModelForSemanticSegmentation
from transformers.models.auto.image_processing_auto import AutoImageProcessor
source, target = sys.argv[1:]
config = AutoConfig.from_pretrained(source, trust_remote_code=True)
model = AutoModelForSemanticSegmentation.from_pretrained(source, trust_remote_code=True)
processor = AutoImageProcessor.from_pretrained(source, trust_remote_code=True)
for part in (config, model, processor, model.pause_profile, model.pause_presets["fast"]):
    assert type(part).__module__.startswith("transformers_modules."), type(part)
torch.manual_seed(0)
images, labels = torch.randn(2, 3, 32, 32), torch.randint(3, (2, 32, 32))
model.eval()
before = model(images, pause_config="fast").logits.detach()
if target:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model.train()(images, labels=labels).loss.backward()
    assert model.pause_sampler.num_drawn == 1
    optimizer.step()
    model.eval()
    model.save_pretrained(target)
    processor.save_pretrained(target)
after = model(images, pause_config="fast").logits.detach()
print(json.dumps({
    "classes": config.num_labels,
    "presets": {name: preset.to_text() for name, preset in model.pause_presets.items()},
    "selected": model.select_pause_config(min_speedup=1.2).to_text(),
    "device": model.pause_profile.conditions["device"],
    "size": dict(processor.size),
    "before": before.flatten().tolist()[:20],
    "after": after.flatten().tolist()[:20],
}))
"""


@pytest.mark.slow
def test_tuned_without_the_package_and_saved_it_still_loads_without(make_checkpoint, run_process, tmp_path):
    source, tuned = make_checkpoint(tmp_path / "code", with_code=True, pause_profile=PROFILE), tmp_path / "tuned"
    first = run_process(TUNE, source, tuned)
    assert {path.name for path in tuned.glob("*.py")} == SHIPPED
    # Another cache of modules: only what lies in the folder can help.
    second = run_process(TUNE, tuned, "", home="another home")
    assert first["before"] != first["after"]
    assert second["before"] == pytest.approx(first["after"], abs=1e-5)
    for found in (first, second):
        assert found["classes"] == 3
        assert found["presets"] == {"fast": "1:0.25,2:0.5"}
        assert found["selected"] == "1:0.25,2:0.5"
        assert found["device"] == "a device"
        assert found["size"] == {"height": 32, "width": 32}
