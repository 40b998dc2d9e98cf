# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The recipe: one meaning for YAML keys, flags and fields, and clear refusals."""

import dataclasses
from pathlib import Path

import pytest
import torch
import yaml

from paumer_hf.training import TrainingRecipe, read_recipe
from paumer_hf.training.preparation import describe_dataset, make_model, make_transform, read_eval_pause_configs


FOLDER = Path(__file__).parents[2] / "scripts" / "recipes"
RECIPES = sorted(FOLDER.rglob("*.yaml"))


def write_yaml(folder: Path, **values) -> str:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(values))
    return str(path)


def test_defaults_are_a_valid_recipe():
    assert read_recipe([]) == TrainingRecipe()


def test_every_field_is_documented():
    documented = (TrainingRecipe.__doc__ or "").partition("Attributes:")[2]
    for field in dataclasses.fields(TrainingRecipe):
        assert f" {field.name}: " in documented, field.name


def test_help_has_the_whole_documentation_of_each_field(capsys):
    with pytest.raises(SystemExit):
        read_recipe(["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    rest = " ".join((TrainingRecipe.__doc__ or "").partition("Attributes:")[2].split())
    names = [field.name for field in dataclasses.fields(TrainingRecipe)]
    for name, next_name in zip(names, [*names[1:], None], strict=True):
        text, _, rest = rest.removeprefix(f"{name}: ").partition(f" {next_name}: ")
        assert f"--{name} [VALUE ...] {text}" in shown
        rest = f"{next_name}: {rest}"


def test_flags_win_over_the_file(tmp_path):
    path = write_yaml(tmp_path, max_steps=10, batch_size=4)
    recipe = read_recipe(["--config", path, "--max_steps", "20"])
    assert (recipe.max_steps, recipe.batch_size) == (20, 4)


def test_a_flag_adds_to_the_fields_of_the_model_that_the_file_names(tmp_path):
    path = write_yaml(tmp_path, config_overrides={"hidden_size": 96, "drop_path_rate": 0.1})
    recipe = read_recipe(["--config", path, "--config_overrides", "{drop_path_rate: 0.2}"])
    assert recipe.config_overrides == {"hidden_size": 96, "drop_path_rate": 0.2}
    assert read_recipe(["--config", path, "--config_overrides", "null"]).config_overrides is None


@pytest.mark.parametrize(
    ("name", "value", "flags"),
    [
        ("learning_rate", 1e-3, ["1e-3"]),
        ("crop_size", [64, 96], ["64", "96"]),
        ("crop_size", [64, 96], ["[64, 96]"]),
        ("eval_pause_configs", ["dense", "3:0.4,5:0.4"], ["dense", "3:0.4,5:0.4"]),
        ("train_num_pause_layers", [1, 2, 3], ["1", "2", "3"]),
        ("train_num_pause_layers", [1], ["1"]),
        ("class_names", ["yes", "no"], ["yes", "no"]),
        ("label_mapping", {7: 0, 8: 1}, ["{7: 0, 8: 1}"]),
        ("config_overrides", {"hidden_size": 96}, ["{hidden_size: 96}"]),
        ("mixed_precision", "no", ["no"]),
        ("mixed_precision", "bf16", ["bf16"]),
        ("train_pause_criterion", "random", ["random"]),
        ("report_to", None, ["null"]),
        ("eval_window_size", None, ["null"]),
        ("photometric_distortion", False, ["false"]),
        ("resume", True, []),
        ("dataset", "123", ["123"]),
    ],
)
def test_a_flag_and_a_yaml_key_mean_the_same(tmp_path, name, value, flags):
    from_flag = read_recipe([f"--{name}", *flags])
    from_yaml = read_recipe(["--config", write_yaml(tmp_path, **{name: value})])
    assert getattr(from_flag, name) == value
    assert from_flag == from_yaml


def test_yaml_reads_no_as_false_and_1e_3_as_text(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("mixed_precision: no\nlearning_rate: 1e-3\n")
    recipe = read_recipe(["--config", str(path)])
    assert (recipe.mixed_precision, recipe.learning_rate) == ("no", 1e-3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_step": 3}, "did you mean 'max_steps'"),
        ({"max_steps": 0}, "`max_steps` must be positive, but is 0"),
        ({"max_steps": 1.5}, "`max_steps` must be int, but is 1.5"),
        ({"max_steps": True}, "`max_steps` must be int"),
        ({"learning_rate": "fast"}, "`learning_rate` must be float, but is 'fast'"),
        ({"crop_size": [64]}, "`crop_size` must be two positive numbers"),
        ({"crop_size": 64}, "`crop_size` must be a list of int"),
        ({"optimizer": "adam"}, r"`optimizer` must be one of \['adamw', 'sgd'\], but is 'adam'"),
        ({"warmup_steps": 10, "max_steps": 10}, "`warmup_steps` must be below `max_steps`"),
        ({"eval_pause_configs": []}, "at least one"),
        ({"label_mapping": "7:0"}, "`label_mapping` must be a mapping"),
        ({"image_mean": [0.5]}, "`image_mean` must be three numbers"),
        ({"betas": [0.9, 1.0]}, r"`betas` must be two numbers in \[0, 1\)"),
        ({"eval_stride": [64, 64]}, "`eval_stride` must be at most `eval_window_size`"),
        ({"eval_stride": [96, 64], "eval_window_size": [64, 64]}, "would leave pixels out"),
        ({"learning_rate": float("nan")}, "`learning_rate` must be positive, but is nan"),
        ({"momentum": float("nan")}, "`momentum` must not be negative, but is nan"),
        ({"per_device_batch_size": 0}, "`per_device_batch_size` must be positive"),
        ({"streaming_buffer_size": 0}, "`streaming_buffer_size` must be positive"),
        ({"ema_decay": 1}, r"`ema_decay` must lie between 0 and 1, such as 0\.9999, but is 1\.0"),
        ({"ema_decay": 0.0}, "`ema_decay` must lie between 0 and 1"),
        ({"streaming": True}, "`streaming` reads a data set .* 'street_scenes' is generated"),
        ({"on_bad_sample": "ignore"}, "`on_bad_sample` must be one of"),
        ({"resize_long_side": 2048}, "`resize_long_side` bounds a resize to `resize_short_side` .* 2048 and None"),
        ({"eval_resize_short_side": 512, "eval_resize_long_side": 500}, "`eval_resize_long_side` .* are 500 and 512"),
        ({"init_kind": "timm"}, "`init_kind` is 'timm' and says more of `init_from`, but that is null"),
    ],
)
def test_refusals_name_the_field_and_the_rule(tmp_path, values, message):
    with pytest.raises(SystemExit, match=message):
        read_recipe(["--config", write_yaml(tmp_path, **values)])


@pytest.mark.parametrize(
    "values",
    [
        {"streaming": True, "dataset_path": "somewhere"},
        {"streaming": True, "dataset": "camvid"},
        {"per_device_batch_size": 64, "batch_size": 8},
        {"resize_short_side": 512, "resize_long_side": 512},
        {"ema_decay": 0.9999},
        {"init_from": "some/vit", "init_kind": "timm", "init_num_attention_heads": 4, "init_revision": "main"},
    ],
)
def test_what_goes_together_is_accepted(tmp_path, values):
    recipe = read_recipe(["--config", write_yaml(tmp_path, **values)])
    assert {name: getattr(recipe, name) for name in values} == values


def test_refuses_a_flag_with_too_many_values():
    with pytest.raises(SystemExit, match="--max_steps takes one value, but has 2"):
        read_recipe(["--max_steps", "1", "2"])


def test_refuses_a_missing_file_and_one_that_is_no_mapping(tmp_path):
    with pytest.raises(SystemExit, match=r"nowhere\.yaml"):
        read_recipe(["--config", str(tmp_path / "nowhere.yaml")])
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(SystemExit, match="must hold a mapping"):
        read_recipe(["--config", str(tmp_path / "list.yaml")])


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_shipped_recipes_make_a_model_and_a_transform(path):
    recipe = read_recipe(["--config", str(path)])
    make_transform(dataclasses.replace(recipe, init_from=None))
    description = describe_dataset(recipe)
    with torch.device("meta"):  # shapes are enough
        model = make_model(dataclasses.replace(recipe, init_from=None), description)
    assert model.config.num_labels == description.num_labels
    assert len(read_eval_pause_configs(recipe, model)) == len(recipe.eval_pause_configs)
