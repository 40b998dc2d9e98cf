# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What is pushed with and without code loads in other processes: by package or code, private, offline, by revision."""

from pathlib import Path

import pytest


pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"

PUSH = """
import json, sys
from paumer_hf import PaumerConfig, PaumerForSemanticSegmentation, PaumerImageProcessor, PauseConfig
folder, private = sys.argv[1], sys.argv[2] == "private"
model, processor = (cls.from_pretrained(folder) for cls in (PaumerForSemanticSegmentation, PaumerImageProcessor))
model.push_to_hub("tester/plain", private=private)
processor.push_to_hub("tester/plain", private=private)
if private:
    from huggingface_hub import HfApi
    model.pause_presets = {"fast": PauseConfig({3: 0.5})}
    HfApi().create_branch("tester/plain", branch="other")
    model.push_to_hub("tester/plain", revision="other")
    model.pause_presets = {"fast": PauseConfig({1: 0.75})}
    model.push_to_hub("tester/plain", create_pr=True)
else:
    PaumerConfig.register_for_auto_class()
    PaumerForSemanticSegmentation.register_for_auto_class("AutoModelForSemanticSegmentation")
    PaumerImageProcessor.register_for_auto_class()
    model.push_to_hub("tester/code")
    processor.push_to_hub("tester/code")
print(json.dumps(None))
"""

READ = """
import hashlib, json, sys
package = sys.argv[1] == "package"
if package:
    import paumer_hf
else:
    sys.modules["paumer_hf"] = None  # importing it fails, as where it is not installed
import numpy as np, torch
from PIL import Image
from transformers import AutoModelForSemanticSegmentation, pipeline
from transformers.models.auto.image_processing_auto import AutoImageProcessor
image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8))
found = []
for name in sys.argv[2:]:
    name, _, revision = name.partition("@")
    options = {} if package else {"trust_remote_code": True}
    if revision:
        options["revision"] = revision
    model = AutoModelForSemanticSegmentation.from_pretrained(name, **options)
    processor = AutoImageProcessor.from_pretrained(name, **options)
    outputs = model(**processor(image, return_tensors="pt"))
    label_map = processor.post_process_semantic_segmentation(outputs, target_sizes=[(40, 60)])[0].numpy()
    segments = pipeline("image-segmentation", model=name, device="cpu", **options)(image)
    for number, segment in zip(np.unique(label_map), segments, strict=True):
        assert segment["label"] == model.config.id2label[number]
        assert np.array_equal(np.asarray(segment["mask"]) > 0, label_map == number)
    preset = model.pause_presets["fast"].to_text()
    found.append([type(model).__module__.split(".")[0], hashlib.sha256(label_map.tobytes()).hexdigest(), preset])
print(json.dumps(found))
"""


def test_pushed_with_and_without_code(hub, make_checkpoint, run_client, tmp_path):
    run_client(PUSH, make_checkpoint(tmp_path / "model"), "public", home="author")
    files = {name: set(repository.commits[repository.refs["main"]]) for (_, name), repository in hub.repos.items()}
    assert not [name for name in files["tester/plain"] if name.endswith(".py")]
    assert {"modeling_paumer.py", "image_processing_paumer.py", "pause_config.json"} <= files["tester/code"]

    with_package = run_client(READ, "package", "tester/plain", "tester/code", home="user")
    assert [module for module, *_ in with_package] == ["paumer_hf", "paumer_hf"], "the package goes before the code"
    (without_package,) = run_client(READ, "code", "tester/code", home="stranger")
    assert without_package[0] == "transformers_modules"
    assert {tuple(rest) for _, *rest in (*with_package, without_package)} == {tuple(without_package[1:])}

    hub.server.shutdown()
    hub.server.server_close()
    assert run_client(READ, "code", "tester/code", home="stranger", HF_HUB_OFFLINE="1") == [without_package]


def test_private_repository_branch_and_pull_request(hub, make_checkpoint, run_client, tmp_path):
    run_client(PUSH, make_checkpoint(tmp_path / "model"), "private", home="author")
    repository = hub.repos["models", "tester/plain"]
    assert repository.private
    # Not all went with the pushes to the branch and as a pull request: the image processor is that of the beginning.
    assert set(repository.refs) == {"main", "other", "refs/pr/1"}
    revisions = ["tester/plain", "tester/plain@other", "tester/plain@refs/pr/1"]
    found = run_client(READ, "package", *revisions, home="user")
    assert [preset for *_, preset in found] == ["1:0.25,2:0.5", "3:0.5", "1:0.75"]
    result = run_client(READ, "package", "tester/plain", home="stranger", token="", fails=True)
    assert "is not a valid model identifier" in result.stderr
    assert "pass a token having permission to this repo" in result.stderr


BACKBONE = """
import sys, json
from transformers import ViTConfig, ViTModel
sizes = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 32}
ViTModel(ViTConfig(image_size=32, patch_size=8, **sizes), add_pooling_layer=False).save_pretrained(sys.argv[1])
import datasets
from paumer_hf.data.street_scenes import StreetScenes
image = datasets.Image()
features = datasets.Features({"id": datasets.Value("string"), "image": image, "annotation": image})
rows = {split: list(StreetScenes(split, (32, 32), 4)) for split in ("train", "validation")}
splits = {split: datasets.Dataset.from_list(of_split, features) for split, of_split in rows.items()}
datasets.DatasetDict(splits).push_to_hub("tester/scenes")
print(json.dumps(None))
"""

LOAD = """
import json, sys
from paumer_hf import PaumerForSemanticSegmentation, PaumerImageProcessor
model = PaumerForSemanticSegmentation.from_pretrained(sys.argv[1])
PaumerImageProcessor.from_pretrained(sys.argv[1])
print(json.dumps([model.config.num_labels, sorted(model.pause_presets)]))
"""


def test_training_from_a_data_set_of_the_hub_and_to_the_hub(hub, run_client, tmp_path):
    run_client(BACKBONE, tmp_path / "vit", home="author")
    show = "\nimport json; print(json.dumps(None))"
    start = "import runpy, sys; sys.argv[0] = sys.argv.pop(1); runpy.run_path(sys.argv[0], run_name='__main__')" + show
    data = ["--dataset", "street_scenes", "--dataset_path", "tester/scenes"]

    flags = ["--backbone", tmp_path / "vit", "--output_dir", tmp_path / "trainer", "--image_size", "32", "--use_cpu"]
    flags += ["--max_steps", "1", "--per_device_train_batch_size", "2", "--report_to", "none"]
    push = ["--push_to_hub", "--hub_model_id", "tester/trained"]
    run_client(start, SCRIPTS / "examples" / "train_with_trainer.py", *flags, *data, *push, home="trainer")
    files = hub.repos["models", "tester/trained"]
    assert {"model.safetensors", "pause_config.json", "preprocessor_config.json", "README.md"} <= set(
        files.commits[files.refs["main"]]
    )
    assert run_client(LOAD, "tester/trained", home="user") == [10, ["fast"]]

    flags = ["--output_dir", tmp_path / "run", "--crop_size", "32", "32", "--batch_size", "2", "--max_steps", "2"]
    sizes = (
        "{hidden_size: 16, num_hidden_layers: 4, num_attention_heads: 2, patch_size: 8, decoder_num_hidden_layers: 1}"
    )
    flags += ["--num_workers", "0", "--config_overrides", sizes, "--eval_pause_configs", "dense", "2:0.5"]
    run_client(start, SCRIPTS / "train.py", *flags, *data, home="user")
    assert run_client(LOAD, tmp_path / "run" / "last", home="user", HF_HUB_OFFLINE="1")[0] == 10
