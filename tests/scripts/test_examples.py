# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The examples train tiny models on drawn scenes, and what they save loads, with presets."""

import json

import pytest
import torch
from transformers import ViTConfig, ViTModel, pipeline

from paumer_hf import PaumerConfig, PaumerForSemanticSegmentation, PaumerImageProcessor, PauseConfig
from paumer_hf.data import get_dataset_description
from paumer_hf.data.street_scenes import StreetScenes
from paumer_hf.evaluation.mean_iou import ConfusionMatrix, compute_mean_iou


pytestmark = pytest.mark.slow

CLASSES = dict(enumerate(get_dataset_description("street_scenes").class_names))
TRAINING = ["--use_cpu", "--max_steps", "2", "--per_device_train_batch_size", "2", "--report_to", "none"]
TRAINING += ["--disable_tqdm", "true", "--learning_rate", "0.01"]
NUM_VALIDATION = 5


@pytest.fixture(autouse=True)
def few_small_scenes(monkeypatch):
    """The drawn data set, with as few scenes as a test has time for."""
    monkeypatch.setattr("paumer_hf.data.street_scenes.DEFAULT_NUM_SAMPLES", {"train": 8, "validation": NUM_VALIDATION})


def test_trainer_trains_evaluates_and_saves(run_script, tmp_path, capsys):
    sizes = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 32}
    ViTModel(ViTConfig(image_size=32, patch_size=8, **sizes), add_pooling_layer=False).save_pretrained(
        tmp_path / "vit"
    )
    output = tmp_path / "run"
    flags = ["--image_size", "64", "--pause_config", "2:0.5", "--per_device_eval_batch_size", "2"]
    run_script(
        "examples/train_with_trainer.py", "--backbone", tmp_path / "vit", "--output_dir", output, *TRAINING, *flags
    )
    model = PaumerForSemanticSegmentation.from_pretrained(output)
    processor = PaumerImageProcessor.from_pretrained(output)
    assert model.pause_config == PauseConfig({2: 0.5})
    assert model.pause_presets == {"fast": PauseConfig({2: 0.5})}
    assert model.config.id2label == CLASSES

    confusion = ConfusionMatrix(len(CLASSES))
    for row in StreetScenes("validation", num_samples=NUM_VALIDATION):
        inputs = processor(row["image"], row["annotation"], return_tensors="pt")
        labels = inputs.pop("labels")
        with torch.no_grad():
            logits = model.upsample_logits(model(**inputs).logits, labels.shape[1:])
        confusion.update(logits.argmax(1), labels)
    expected = compute_mean_iou(confusion.matrix)
    reported = json.loads((output / "eval_results.json").read_text())
    for name in ("mean_iou", "mean_accuracy", "overall_accuracy"):
        assert reported[f"eval_{name}"] == pytest.approx(expected[name], abs=1e-6)
    segmenter = pipeline("image-segmentation", model=str(output), device="cpu")
    assert {part["label"] for part in segmenter(row["image"])} <= set(CLASSES.values())


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # peft asks for it
def test_lora_saves_an_adapter_and_a_merged_model(run_script, tmp_path):
    peft = pytest.importorskip("peft", reason="the extra `peft` is not installed")
    sizes = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "decoder_num_hidden_layers": 1}
    original = PaumerForSemanticSegmentation(PaumerConfig(image_size=32, patch_size=8, num_labels=3, **sizes))
    original.pause_presets["fast"] = PauseConfig({1: 0.25, 2: 0.5})
    original.pause_profile = {"conditions": {}, "points": [{"pause_config": {}, "speedup": 1.0, "mean_iou": 0.5}]}
    original.save_pretrained(tmp_path / "original")
    PaumerImageProcessor(size={"height": 32, "width": 32}, size_divisor=8).save_pretrained(tmp_path / "original")
    flags = ["--model", tmp_path / "original", "--output_dir", tmp_path / "run", "--rank", "2"]
    run_script("examples/train_with_lora.py", *flags, *TRAINING)

    merged = PaumerForSemanticSegmentation.from_pretrained(tmp_path / "run" / "merged")
    assert merged.pause_presets == original.pause_presets
    assert merged.pause_profile is None
    assert merged.config.id2label == CLASSES
    before, after = original.state_dict(), merged.state_dict()
    assert set(before) == set(after), "nothing of peft is left"
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    heads = {name for name in before if name.startswith(("decoder.", "paumer.auxiliary_head."))}
    projections = {name for name in before if name.endswith(tuple(f"{kind}_proj.weight" for kind in "qkvo"))} - heads

    assert changed == heads | projections

    base = PaumerForSemanticSegmentation.from_pretrained(
        tmp_path / "original", id2label=CLASSES, ignore_mismatched_sizes=True
    )
    adapted = peft.PeftModel.from_pretrained(base, tmp_path / "run" / "adapter").eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        for pause_config in ({}, "fast"):
            expected = merged(images, pause_config=pause_config)
            found = adapted(pixel_values=images, pause_config=pause_config)
            torch.testing.assert_close(found.logits, expected.logits, rtol=1e-4, atol=1e-5)
    PaumerImageProcessor.from_pretrained(tmp_path / "run" / "merged")
