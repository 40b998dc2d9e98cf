# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import json

import pytest
import torch
from safetensors.torch import save_file
from transformers import ViTConfig, ViTModel

from paumer_hf import PaumerForSemanticSegmentation


@pytest.fixture
def source(tmp_path):
    config = ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48, image_size=32, patch_size=8
    )
    ViTModel(config, add_pooling_layer=False).save_pretrained(tmp_path / "vit")
    return tmp_path / "vit"


def test_converts_and_says_what_it_did(run_script, source, tmp_path, capsys):
    names = tmp_path / "names.json"
    names.write_text(json.dumps(["road", "sky"]))
    arguments = ("--id2label", names, "--image_size", 32, 48, "--config", "decoder_type=linear", "drop_path_rate=0.1")
    run_script("convert_weights.py", source, tmp_path / "out", *arguments)
    printed = capsys.readouterr().out
    assert "(hugging_face)" in printed
    assert "New, to be trained: the decoder and the auxiliary head." in printed
    config = PaumerForSemanticSegmentation.from_pretrained(tmp_path / "out").config
    assert config.id2label == {0: "road", 1: "sky"}
    assert (config.patch_grid, config.decoder_type, config.drop_path_rate) == ((4, 6), "linear", 0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--num_labels", 3, "--config", "hidden_size"), "--config takes FIELD=VALUE, but was given 'hidden_size'"),
        (("--num_labels", 3, "--config", "drop_path_rate=[1"), "the value must be written as in YAML"),
        (("--id2label", "missing.json"), "missing.json must be a JSON file"),
        (("--kind", "augreg"), "the weight 'embedding/kernel' is missing"),
        ((), "say by `num_labels` or `id2label`"),
    ],
    ids=str,
)
def test_mistakes_end_in_one_sentence(run_script, source, tmp_path, arguments, message):
    with pytest.raises(SystemExit, match=r"^convert_weights\.py: ") as info:
        run_script("convert_weights.py", source, tmp_path / "out", *arguments)
    assert message in str(info.value)
    assert "\n" not in str(info.value)
    assert not (tmp_path / "out").exists()


def test_names_that_are_no_list_or_mapping(run_script, source, tmp_path):
    (tmp_path / "names.json").write_text("3")
    with pytest.raises(SystemExit, match="a list of names or a mapping"):
        run_script("convert_weights.py", source, tmp_path / "out", "--id2label", tmp_path / "names.json")


def test_heads_where_the_source_does_not_say_them(run_script, tmp_path):
    model = PaumerForSemanticSegmentation.from_pretrained(_timm_like(tmp_path, run_script))
    assert model.config.num_attention_heads == 4


def _timm_like(tmp_path, run_script):
    """A one-layer VisionTransformer of timm without a configuration."""
    width, shapes = 32, {"cls_token": (1, 1, 32), "pos_embed": (1, 17, 32), "patch_embed.proj.weight": (32, 3, 8, 8)}
    shapes |= {"patch_embed.proj.bias": (width,), "norm.weight": (width,), "norm.bias": (width,)}
    for part, (rows, columns) in {
        "attn.qkv": (96, 32),
        "attn.proj": (32, 32),
        "mlp.fc1": (64, 32),
        "mlp.fc2": (32, 64),
    }.items():
        shapes |= {f"blocks.0.{part}.weight": (rows, columns), f"blocks.0.{part}.bias": (rows,)}
    for part in ("norm1", "norm2"):
        shapes |= {f"blocks.0.{part}.weight": (width,), f"blocks.0.{part}.bias": (width,)}
    save_file({name: torch.randn(shape) for name, shape in shapes.items()}, tmp_path / "model.safetensors")
    arguments = ("--num_labels", 3, "--num_attention_heads", 4)
    run_script("convert_weights.py", tmp_path / "model.safetensors", tmp_path / "out", *arguments)
    return tmp_path / "out"
