# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Recipe files that extend each other, and the numbers of those for Cityscapes and ADE20K."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from paumer_hf.training import TrainingRecipe, read_recipe
from paumer_hf.training.preparation import describe_dataset, make_model, read_starting_weights, with_normalisation
from paumer_hf.training.recipe_files import merge_fields, read_recipe_file


NAMES = [field.name for field in dataclasses.fields(TrainingRecipe)]
FOLDER = Path(__file__).parents[2] / "scripts" / "recipes"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def read(path: Path) -> dict:
    return read_recipe_file(path, NAMES)


# --- files that extend each other ---


def test_a_file_says_only_what_differs(tmp_path):
    write(tmp_path / "base.yaml", "max_steps: 10\nbatch_size: 4\ncrop_size: [64, 96]\nmax_grad_norm: 1.0\n")
    path = write(
        tmp_path / "own.yaml", "extends: base.yaml\nbatch_size: 2\ncrop_size: [32, 32]\nmax_grad_norm: null\n"
    )
    assert read(path) == {"max_steps": 10, "batch_size": 2, "crop_size": [32, 32], "max_grad_norm": None}


def test_where_extends_stands_does_not_matter_and_a_file_may_say_nothing_more(tmp_path):
    write(tmp_path / "base.yaml", "max_steps: 10\n")
    assert read(write(tmp_path / "last.yaml", "max_steps: 5\nextends: base.yaml\n")) == {"max_steps": 5}
    assert read(write(tmp_path / "only.yaml", "extends: base.yaml\n")) == {"max_steps": 10}


def test_paths_are_relative_to_the_file_that_names_them(tmp_path, monkeypatch):
    write(tmp_path / "base.yaml", "seed: 1\nmax_steps: 1\nbatch_size: 1\n")
    write(tmp_path / "middle" / "middle.yaml", "extends: ../base.yaml\nmax_steps: 2\nbatch_size: 2\n")
    path = write(tmp_path / "last" / "deep" / "last.yaml", "extends: ../../middle/middle.yaml\nbatch_size: 3\n")
    expected = {"seed": 1, "max_steps": 2, "batch_size": 3}
    assert read(path) == expected
    assert read(write(tmp_path / "absolute.yaml", f"extends: {path}\n")) == expected
    monkeypatch.chdir(tmp_path / "last")
    assert read(Path("deep/last.yaml")) == expected


def test_fields_of_the_model_are_merged_and_other_mappings_replaced(tmp_path):
    write(tmp_path / "a.yaml", "config_overrides: {hidden_size: 8, patch_size: 4}\nlabel_mapping: {1: 0, 2: 1}\n")
    write(tmp_path / "b.yaml", "extends: a.yaml\nconfig_overrides: {patch_size: 8}\nlabel_mapping: {3: 0}\n")
    fields = read(write(tmp_path / "c.yaml", "extends: b.yaml\nconfig_overrides: {drop_path_rate: 0.1}\n"))
    assert fields["config_overrides"] == {"hidden_size": 8, "patch_size": 8, "drop_path_rate": 0.1}
    assert fields["label_mapping"] == {3: 0}


def test_null_takes_all_earlier_fields_of_the_model_away(tmp_path):
    write(tmp_path / "a.yaml", "config_overrides: {hidden_size: 8}\n")
    write(tmp_path / "b.yaml", "extends: a.yaml\nconfig_overrides: null\n")
    assert read(tmp_path / "b.yaml") == {"config_overrides": None}
    path = write(tmp_path / "c.yaml", "extends: b.yaml\nconfig_overrides: {patch_size: 8}\n")
    assert read(path) == {"config_overrides": {"patch_size": 8}}


def test_merging_leaves_its_arguments_alone():
    earlier, later = {"config_overrides": {"a": 1}, "seed": 1}, {"config_overrides": {"b": 2}}
    assert merge_fields(earlier, later) == {"config_overrides": {"a": 1, "b": 2}, "seed": 1}
    assert earlier == {"config_overrides": {"a": 1}, "seed": 1}
    assert later == {"config_overrides": {"b": 2}}


def test_what_is_no_mapping_is_left_to_the_check_of_types(tmp_path):
    write(tmp_path / "a.yaml", "config_overrides: {hidden_size: 8}\n")
    path = write(tmp_path / "b.yaml", "extends: a.yaml\nconfig_overrides: 3\n")
    with pytest.raises(SystemExit, match="`config_overrides` must be a mapping"):
        read_recipe(["--config", str(path)])


def test_refuses_a_circle(tmp_path):
    write(tmp_path / "a.yaml", "extends: b/../b.yaml\n")
    write(tmp_path / "b.yaml", "extends: c.yaml\n")
    (tmp_path / "b").mkdir()
    write(tmp_path / "c.yaml", "extends: a.yaml\n")
    circle = r"`extends` goes in a circle: .*a\.yaml, which extends .*b\.yaml, which extends .*c\.yaml, .*a\.yaml\."
    with pytest.raises(ValueError, match=circle):
        read(tmp_path / "a.yaml")
    with pytest.raises(ValueError, match="goes in a circle"):
        read(write(tmp_path / "self.yaml", "extends: self.yaml\n"))


def test_a_file_may_be_extended_twice_by_different_ones(tmp_path):
    write(tmp_path / "base.yaml", "seed: 3\n")
    for name in ("a", "b"):
        assert read(write(tmp_path / f"{name}.yaml", "extends: base.yaml\n")) == {"seed": 3}


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ("max_step: 3\n", r"base\.yaml has the unknown field 'max_step'; did you mean 'max_steps'\?"),
        ("qqq: 3\n", r"base\.yaml has the unknown field 'qqq'; the fields are \['output_dir'"),
        ("a: [\n", r"base\.yaml is not valid YAML"),
        ("- 1\n", r"base\.yaml must hold a mapping of recipe fields, but holds list"),
        ("extends: [a.yaml, b.yaml]\n", r"base\.yaml: `extends` must name one YAML file"),
        ("extends: gone.yaml\n", r"base\.yaml extends 'gone\.yaml', but there is no file .*gone\.yaml"),
    ],
)
def test_problems_are_said_of_the_file_that_has_them(tmp_path, base, message):
    write(tmp_path / "base.yaml", base)
    with pytest.raises(SystemExit, match=message):
        read_recipe(["--config", str(write(tmp_path / "own.yaml", "extends: base.yaml\n"))])


# --- the recipes for Cityscapes and ADE20K ---

SIZES = ("tiny", "small", "base", "large")
STAGES = ("segmenter", "paumer", "random")

# Written down here once more, from the paper and the code of Segmenter, so that a slip in a file shows.
EVERYWHERE = {
    "optimizer": "sgd",
    "momentum": 0.9,
    "weight_decay": 0.0,
    "max_grad_norm": None,
    "lr_schedule": "poly",
    "poly_power": 0.9,
    "min_learning_rate": 0.00001,
    "warmup_steps": 0,
    "batch_size": 8,
    "per_device_batch_size": None,
    "ema_decay": None,
    "mixed_precision": "no",
    "scale_range": [0.5, 2.0],
    "cat_max_ratio": 0.75,
    "flip_probability": 0.5,
    "photometric_distortion": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "on_bad_sample": "stop",
    "eval_max_samples": None,
}
MODEL = {
    "drop_path_rate": 0.1,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "decoder_dropout_prob": 0.1,
    "decoder_type": "mask_transformer",
    "decoder_num_hidden_layers": 2,
    "layer_norm_eps": 0.00001,
    "position_interpolation_mode": "bilinear",
    "position_interpolation_antialias": False,
}
# learning rate, images, epochs and steps of Segmenter, steps of PAUMER, crop, short side, long side, stride
DATA_SETS = {
    "ade20k": (0.001, 20210, 64, 161728, 160000, 512, 512, 2048, 512),
    "cityscapes": (0.01, 2975, 216, 80352, 80000, 768, 1024, 2048, 512),
}
LARGE_ON_ADE20K = (0.001, 20210, 64, 161728, 160000, 640, 640, 2560, 640)
EPOCHS_BETWEEN_EVALUATIONS = {"ade20k": 2, "cityscapes": 4}


def shipped(data: str, size: str, stage: str) -> TrainingRecipe:
    return read_recipe(["--config", str(FOLDER / data / f"vit_{size}_{stage}.yaml")])


def test_there_is_a_recipe_for_each_data_set_size_and_stage():
    expected = {f"{data}/vit_{size}_{stage}.yaml" for data in DATA_SETS for size in SIZES for stage in STAGES}
    found = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*/vit_*.yaml")}
    assert found == expected


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("data", DATA_SETS)
def test_the_numbers_are_those_of_the_papers(data, size, stage):
    recipe = shipped(data, size, stage)
    for name, value in EVERYWHERE.items():
        assert getattr(recipe, name) == value, name
    numbers = LARGE_ON_ADE20K if (data, size) == ("ade20k", "large") else DATA_SETS[data]
    learning_rate, images, epochs, segmenter_steps, paumer_steps, crop, short, long, stride = numbers
    assert (recipe.dataset, recipe.model_size, recipe.learning_rate) == (data, size, learning_rate)
    assert segmenter_steps == epochs * -(-images // 8)
    assert recipe.max_steps == (segmenter_steps if stage == "segmenter" else paumer_steps)
    assert recipe.crop_size == recipe.eval_window_size == [crop, crop]
    assert recipe.eval_stride == [stride, stride]
    assert (recipe.resize_short_side, recipe.resize_long_side) == (short, long)
    assert (recipe.eval_resize_short_side, recipe.eval_resize_long_side) == (short, long)
    assert recipe.eval_steps == EPOCHS_BETWEEN_EVALUATIONS[data] * -(-images // 8)
    assert recipe.output_dir == f"runs/{data}_vit_{size}_{stage}"

    decoder_layers = 1 if (data, size) == ("cityscapes", "large") else 2  # the released network
    expected = {**MODEL, "decoder_num_hidden_layers": decoder_layers}
    if stage != "segmenter":
        expected["auxiliary_loss_weight"] = 0.1
    assert recipe.config_overrides == expected


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("data", DATA_SETS)
def test_the_baseline_starts_from_augreg_and_pauses_nothing(data, size):
    recipe = shipped(data, size, "segmenter")
    assert recipe.init_from == f"timm/vit_{size}_patch16_384.augreg_in21k_ft_in1k"
    assert recipe.train_num_pause_layers == [0]
    assert recipe.eval_pause_configs == ["dense"]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("data", DATA_SETS)
def test_paumer_goes_on_from_its_baseline_with_one_pause_layer(data, size):
    recipe = shipped(data, size, "paumer")
    assert recipe.init_from == shipped(data, size, "segmenter").output_dir + "/last"
    assert recipe.train_pause_layers == list(range(6, 19) if size == "large" else range(3, 10))
    assert recipe.train_num_pause_layers == [1]
    assert recipe.train_pause_ratios == [0.2, 0.8]
    assert recipe.train_pause_criterion == "entropy"
    assert recipe.eval_pause_configs[0] == "dense"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("data", DATA_SETS)
def test_stages_differ_in_what_they_should(data, size):
    segmenter, paumer, random = (dataclasses.asdict(shipped(data, size, stage)) for stage in STAGES)
    assert random["train_pause_criterion"] == "random"
    assert differing(paumer, random) == {"output_dir", "train_pause_criterion"}
    sampling = {name for name in paumer if name.startswith("train_") and "pause" in name}
    assert differing(segmenter, paumer) == sampling | {
        *("output_dir", "init_from", "config_overrides", "max_steps", "seed", "eval_pause_configs")
    }


def make_timm_vit(folder: Path, width: int, num_layers: int) -> dict[str, torch.Tensor]:
    """Write random weights as timm has them on the Hub, for 384 x 384 pixels."""
    shapes = {"cls_token": (1, 1, width), "pos_embed": (1, 1 + 24 * 24, width), "norm.weight": (width,)}
    shapes |= {"patch_embed.proj.weight": (width, 3, 16, 16), "patch_embed.proj.bias": (width,), "norm.bias": (width,)}
    maps = {"attn.qkv": (3 * width, width), "attn.proj": (width, width)}
    maps |= {"mlp.fc1": (4 * width, width), "mlp.fc2": (width, 4 * width), "norm1": (width,), "norm2": (width,)}
    for index in range(num_layers):
        for name, shape in maps.items():
            shapes |= {f"blocks.{index}.{name}.weight": shape, f"blocks.{index}.{name}.bias": shape[:1]}
    tensors = {name: torch.randn(shape) for name, shape in shapes.items()}
    normalisation = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
    config = {"num_features": width, "pretrained_cfg": {"input_size": [3, 384, 384], **normalisation}}
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    return tensors


@pytest.mark.parametrize(("data", "size"), [("ade20k", "tiny"), ("ade20k", "large"), ("cityscapes", "large")])
def test_the_start_of_the_baseline_is_that_of_segmenter(tmp_path, data, size):
    recipe = shipped(data, size, "segmenter")
    num_layers = 24 if size == "large" else 12
    tensors = make_timm_vit(tmp_path / "vit", 64, num_layers)
    recipe = dataclasses.replace(recipe, init_from=str(tmp_path / "vit"))
    recipe = with_normalisation(recipe, read_starting_weights(recipe))
    assert (recipe.image_mean, recipe.image_std) == ([0.5] * 3, [0.5] * 3)
    model = make_model(recipe, describe_dataset(recipe))

    side = recipe.crop_size[0] // 16
    image = tensors["pos_embed"][:, 1:].transpose(1, 2).unflatten(2, (24, 24))
    resized = torch.nn.functional.interpolate(image, size=(side, side), mode="bilinear").flatten(2).transpose(1, 2)
    expected = torch.cat([tensors["pos_embed"][:, :1], resized], dim=1)
    torch.testing.assert_close(model.paumer.embeddings.position_embeddings.detach(), expected)

    norms = [module for module in model.modules() if isinstance(module, torch.nn.LayerNorm)]
    assert {norm.eps for norm in norms} == {1e-5}
    rates = [layer.drop_path.drop_prob for layer in model.paumer.encoder.layers]
    assert rates == pytest.approx(torch.linspace(0, 0.1, num_layers).tolist())
    assert {layer.drop_path.drop_prob for layer in model.decoder.layers} == {0}
    assert {layer.dropout.p for layer in model.paumer.encoder.layers} == {0.0}
    assert {layer.dropout.p for layer in model.decoder.layers} == {0.1}
    assert {layer.attention.attention_dropout for layer in model.decoder.layers} == {0.1}


def differing(first: dict, second: dict) -> set[str]:
    return {name for name in first if first[name] != second[name]}
