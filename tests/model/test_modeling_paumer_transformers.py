# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What transformers and accelerate do with a model: the Trainer's steps and evaluations, offloading, remote code."""

import json

import pytest
import torch
from transformers import Trainer, TrainingArguments, ViTConfig, ViTForImageClassification

from paumer_hf import PaumerForSemanticSegmentation, PaumerImageProcessor, PaumerModel, PauseConfig


@pytest.fixture
def samples():
    """Eight images with label maps of which unlike numbers of pixels have a class."""
    generator = torch.Generator().manual_seed(0)
    samples = []
    for index in range(8):
        labels = torch.randint(3, (16, 24), generator=generator)
        labels[: 2 * (index % 2)] = 255
        samples.append({"pixel_values": torch.randn(3, 16, 24, generator=generator), "labels": labels})
    return samples


def step_of_trainer(model, samples, folder, **arguments):
    """Loss and norm of the gradient that the Trainer logs for one step."""
    fixed = {"max_steps": 1, "logging_steps": 1, "use_cpu": True, "report_to": [], "disable_tqdm": True, "seed": 1}
    arguments = TrainingArguments(str(folder), save_strategy="no", **fixed, **arguments)
    trainer = Trainer(model=model, args=arguments, train_dataset=samples)
    trainer.train()
    return trainer.state.log_history[0]


def test_the_trainer_accumulates_the_mean(make_tiny_config, make_model, samples, tmp_path):
    """The model's loss is a mean already; a Trainer that took it for a sum would not divide by the steps."""
    config = make_tiny_config(train_num_pause_layers=(0,))
    for sample in samples:  # as many labelled pixels in all: a mean of means is the mean
        sample["labels"][:2] = 255
    once, often = (
        step_of_trainer(
            make_model(config).train(),
            samples,
            tmp_path,
            per_device_train_batch_size=size,
            gradient_accumulation_steps=8 // size,
        )
        for size in (8, 2)
    )
    assert often["loss"] == pytest.approx(once["loss"], rel=1e-4)
    assert often["grad_norm"] == pytest.approx(once["grad_norm"], rel=1e-3)


@pytest.mark.parametrize("pause_config", [{}, {1: 0.5}])
def test_evaluations_of_the_trainer_predict_logits(tiny_model, samples, tmp_path, pause_config):
    """An array whatever pauses, for the `compute_metrics` that people write for segmentation."""
    seen = []

    def compute_metrics(evaluated):
        seen.append(evaluated.predictions)
        return {}

    tiny_model.pause_config = pause_config
    arguments = TrainingArguments(str(tmp_path), use_cpu=True, report_to=[], disable_tqdm=True)
    Trainer(model=tiny_model, args=arguments, eval_dataset=samples, compute_metrics=compute_metrics).evaluate()
    pixel_values = torch.stack([sample["pixel_values"] for sample in samples])
    with torch.no_grad():
        expected = tiny_model(pixel_values).logits
    torch.testing.assert_close(torch.from_numpy(seen[0]), expected)


@pytest.mark.parametrize(
    "device_map", [{"paumer": "disk", "decoder": "cpu"}, {"paumer": "cpu", "decoder": "disk"}], ids=str
)
def test_offloaded_weights_give_the_same(tiny_model, tiny_images, tmp_path, device_map):
    tiny_model.save_pretrained(tmp_path / "saved")
    model = PaumerForSemanticSegmentation.from_pretrained(
        tmp_path / "saved", device_map=device_map, offload_folder=tmp_path / "offload"
    )
    assert model.paumer.auxiliary_head.weight.device.type == ("cpu" if device_map.get("paumer") == "cpu" else "meta")
    for pause_config in ({}, {1: 0.4, 2: 0.5}):
        with torch.no_grad():
            found, expected = (some(tiny_images, pause_config=pause_config) for some in (model, tiny_model))
        torch.testing.assert_close(found.logits, expected.logits)
        assert torch.equal(found.pause_map, expected.pause_map)


def test_a_part_is_not_split_among_devices(tiny_model):
    """A device map that separates the class embeddings of a decoder from its layers could not run."""
    splits = set(tiny_model._no_split_modules)
    own = {type(module).__name__ for module in tiny_model.modules() if module._parameters}
    assert "PaumerMaskDecoder" in own & splits
    assert own - splits <= {"Linear", "Conv2d", "LayerNorm"}


@pytest.mark.parametrize("name", ["pause_cofig", "pause_ratios", "paused"])
def test_what_looks_like_the_pauses_is_refused(tiny_model, tiny_images, name):
    for model in (tiny_model, tiny_model.paumer):
        with pytest.raises(TypeError, match=f"no argument '{name}'. Did you mean `pause_config`"):
            model(tiny_images, **{name: {1: 0.5}})


def test_fewer_layers_of_a_checkpoint_are_a_model_of_their_own(tiny_model, tmp_path, tiny_images):
    """It can be saved and trained, and what was measured of all layers does not go along."""
    tiny_model.pause_profile = {"points": [{"pause_config": {}, "speedup": 1.0, "mean_iou": 0.5}]}
    tiny_model.save_pretrained(tmp_path / "saved")
    model = PaumerForSemanticSegmentation.from_pretrained(tmp_path / "saved", num_hidden_layers=3)
    assert model.pause_profile is None
    assert model.config.trained_pause_layers == (1, 2)
    model.save_pretrained(tmp_path / "again")
    labels = torch.zeros((len(tiny_images), *tiny_images.shape[2:]), dtype=torch.int32)
    assert model.train()(tiny_images, labels=labels).loss.isfinite()
    with pytest.raises(ValueError, match="`train_pause_layers` must be different layers from 1 to 3"):
        PaumerForSemanticSegmentation.from_pretrained(tmp_path / "saved", train_pause_layers=[4])


@pytest.mark.parametrize("loader", [PaumerForSemanticSegmentation, PaumerModel])
def test_weights_of_another_network_are_refused(loader, tmp_path):
    """transformers would report them and go on with random weights."""
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    ViTForImageClassification(ViTConfig(image_size=32, patch_size=8, **sizes)).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"holds a model of the type 'vit', not of PAUMER.*from_backbone` takes"):
        loader.from_pretrained(tmp_path)


def test_a_checkpoint_of_a_page_with_code_is_saved_without_it(tiny_model, tmp_path):
    """Entries of code that is not saved along would break the page for everybody without this package."""
    tiny_model.pause_presets["fast"] = PauseConfig({2: 0.5})
    tiny_model.save_pretrained(tmp_path / "page")
    PaumerImageProcessor(size_divisor=8).save_pretrained(tmp_path / "page")
    for name in ("config.json", "preprocessor_config.json"):
        contents = json.loads((tmp_path / "page" / name).read_text())
        (tmp_path / "page" / name).write_text(json.dumps({**contents, "auto_map": {"AutoConfig": "some.Code"}}))
    PaumerForSemanticSegmentation.from_pretrained(tmp_path / "page").save_pretrained(tmp_path / "again")
    PaumerImageProcessor.from_pretrained(tmp_path / "page").save_pretrained(tmp_path / "again")
    for name in ("config.json", "preprocessor_config.json"):
        assert "auto_map" not in json.loads((tmp_path / "again" / name).read_text())
