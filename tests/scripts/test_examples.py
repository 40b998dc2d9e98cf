# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The examples train tiny models on drawn scenes, what they save loads, with presets, and errors are one sentence."""

import json
import sys

import pytest
import torch
from transformers import Trainer, ViTConfig, ViTModel, pipeline

from paumer_hf import PaumerConfig, PaumerForSemanticSegmentation, PaumerImageProcessor, PauseConfig
from paumer_hf.data import get_dataset_description
from paumer_hf.data.street_scenes import StreetScenes
from paumer_hf.evaluation.mean_iou import ConfusionMatrix, compute_mean_iou


CLASSES = dict(enumerate(get_dataset_description("street_scenes").class_names))
TRAINING = ["--use_cpu", "--max_steps", "2", "--per_device_train_batch_size", "2", "--report_to", "none"]
TRAINING += ["--disable_tqdm", "true", "--learning_rate", "0.01"]
NUM_VALIDATION = 5
PEFT_ASKS = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")


@pytest.fixture(autouse=True)
def few_small_scenes(monkeypatch):
    """The drawn data set, with as few scenes as a test has time for."""
    monkeypatch.setattr("paumer_hf.data.street_scenes.DEFAULT_NUM_SAMPLES", {"train": 8, "validation": NUM_VALIDATION})


@pytest.fixture
def vit(tmp_path):
    """The folder of a tiny vision transformer."""
    sizes = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 32}
    model = ViTModel(ViTConfig(image_size=32, patch_size=8, **sizes), add_pooling_layer=False)
    model.save_pretrained(tmp_path / "vit")
    return tmp_path / "vit"


@pytest.fixture
def original(tmp_path):
    """A tiny model of three classes, saved with its image processor in the folder `original`."""
    sizes = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "decoder_num_hidden_layers": 1}
    model = PaumerForSemanticSegmentation(PaumerConfig(image_size=32, patch_size=8, num_labels=3, **sizes))
    model.pause_presets["fast"] = PauseConfig({1: 0.25, 2: 0.5})
    model.pause_profile = {"conditions": {}, "points": [{"pause_config": {}, "speedup": 1.0, "mean_iou": 0.5}]}
    model.save_pretrained(tmp_path / "original")
    PaumerImageProcessor(size={"height": 32, "width": 32}, size_divisor=8).save_pretrained(tmp_path / "original")
    return model


@pytest.fixture
def peft():
    """The library of LoRA."""
    return pytest.importorskip("peft", reason="the extra `peft` is not installed")


@pytest.mark.slow
def test_trainer_trains_evaluates_and_saves(run_script, vit, tmp_path, capsys):
    output = tmp_path / "run"
    flags = ["--image_size", "64", "--pause_config", "2:0.5", "--per_device_eval_batch_size", "2"]
    run_script("examples/train_with_trainer.py", "--backbone", vit, "--output_dir", output, *TRAINING, *flags)
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


@PEFT_ASKS
@pytest.mark.slow
def test_lora_saves_an_adapter_and_a_merged_model(run_script, peft, original, tmp_path):
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


@PEFT_ASKS
@pytest.mark.slow
def test_lora_evaluates_goes_on_from_a_checkpoint_and_pushes(run_script, peft, original, tmp_path, monkeypatch):
    flags = ["examples/train_with_lora.py", "--model", tmp_path / "original", "--rank", "2", *TRAINING]
    first, second = tmp_path / "first", tmp_path / "second"
    run_script(*flags, "--output_dir", first, "--eval_strategy", "steps", "--eval_steps", "1")
    log = json.loads((first / "checkpoint-2" / "trainer_state.json").read_text())["log_history"]
    assert [entry["step"] for entry in log if "eval_loss" in entry] == [1, 2]

    pushed = []

    def push(trainer):
        trainer.save_model(_internal_call=True)  # as the method that this stands for does
        pushed.append({path.relative_to(second).as_posix() for path in second.rglob("*.safetensors")})

    monkeypatch.setattr(Trainer, "init_hf_repo", lambda trainer: None)
    monkeypatch.setattr(Trainer, "push_to_hub", push)
    # No step is left: another seed, with other new heads, must give the same.
    resume = ["--resume_from_checkpoint", first / "checkpoint-2", "--seed", "7"]
    run_script(*flags, "--output_dir", second, *resume, "--push_to_hub", "--hub_strategy", "end")
    expected, found = (
        PaumerForSemanticSegmentation.from_pretrained(folder / "merged").state_dict() for folder in (first, second)
    )
    for name, weights in expected.items():
        torch.testing.assert_close(found[name], weights, msg=name)
    weights = {"adapter_model.safetensors", "adapter/adapter_model.safetensors", "merged/model.safetensors"}
    assert [names & weights for names in pushed] == [weights]
    kept, saved = ((second / name).read_bytes() for name in sorted(weights)[:2])
    assert kept == saved, "merging left the adapter as it was"


WRONG_ARGUMENTS = [
    (["--dataset", "nix"], "'nix' is no registered data set"),
    (["--dataset", "camvid"], "the data set 'camvid' has no default path"),
    (["--dataset_path", "nowhere"], "nowhere"),
    (["--resume_from_checkpoint", "nowhere"], "Can't find a valid checkpoint at nowhere"),
    (["--push_to_hub"], "offline mode is enabled"),
    (["--typo", "3"], "not used by the HfArgumentParser: .'--typo', '3'."),
    (["--load_best_model_at_end", "--eval_strategy", "steps", "--save_strategy", "epoch"], "requires the save and"),
]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        *WRONG_ARGUMENTS,
        (["--backbone", "nowhere"], "nowhere is neither an existing file or folder nor a page"),
        (["--pause_config", "nix"], "'nix' has the part 'nix'"),
        (["--pause_config", "9:0.4"], "names layer 9, but the model has 4 layers"),
        (["--image_size", "0"], "`image_size` must be positive, but is 0"),
    ],
)
def test_errors_of_the_trainer_are_one_sentence(run_script, vit, tmp_path, monkeypatch, arguments, message):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    flags = ["--backbone", "vit", "--image_size", "32", "--output_dir", "run", *TRAINING]
    with pytest.raises(SystemExit, match=f"^train_with_trainer.py: .*{message}.*$"):
        run_script("examples/train_with_trainer.py", *flags, *arguments)


@PEFT_ASKS
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        *WRONG_ARGUMENTS,
        (["--model", "nowhere"], "couldn't find them in the cached files"),
        (["--model", "vit"], "vit holds a model of the type 'vit', not of PAUMER"),
        (["--rank", "0"], "should be a positive integer"),
    ],
)
def test_errors_of_lora_are_one_sentence(run_script, peft, vit, original, tmp_path, monkeypatch, arguments, message):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    PaumerImageProcessor().save_pretrained(vit)
    with pytest.raises(SystemExit, match=f"^train_with_lora.py: .*{message}.*$"):
        run_script("examples/train_with_lora.py", "--model", "original", "--output_dir", "run", *TRAINING, *arguments)
    assert not (tmp_path / "run" / "merged").exists()


def test_lora_names_what_must_be_installed(run_script, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(SystemExit, match=r"^train_with_lora.py: LoRA needs peft. .*pip install 'paumer_hf\[peft\]'$"):
        run_script("examples/train_with_lora.py", "--model", "nowhere", "--output_dir", tmp_path / "run")
