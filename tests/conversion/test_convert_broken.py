# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Sources that are damaged, foreign or hostile: each ends in one sentence, and nothing is left behind."""

import json
import os

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from transformers import ResNetConfig, ResNetModel, ViTConfig, ViTModel

from paumer_hf.conversion import ConversionError, convert_weights


class RunsCode:
    """Unpickled, it makes the file that it names."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.fixture
def checkpoint(tmp_path, segmenter_shapes, fill_state):
    """A function that writes a Segmenter checkpoint after a change of its state, and returns its path."""

    def write(change=lambda state: None, **container):
        folder = tmp_path / "source"
        folder.mkdir()
        state = fill_state(segmenter_shapes())
        change(state)
        torch.save({"model": state, "n_cls": 5, **container}, folder / "checkpoint.pth")
        net = {"d_model": 32, "n_heads": 2, "n_layers": 3, "patch_size": 8, "image_size": [32, 32], "n_cls": 5}
        (folder / "variant.yml").write_text(yaml.safe_dump({"net_kwargs": {**net, "normalization": "vit"}}))
        return folder / "checkpoint.pth"

    return write


@pytest.fixture
def vit(tmp_path):
    config = ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48, image_size=32, patch_size=8
    )
    ViTModel(config, add_pooling_layer=False).save_pretrained(tmp_path / "source")
    return tmp_path / "source"


def refused(source, tmp_path, message, **arguments):
    before = sorted(path.name for path in tmp_path.rglob("*"))
    with pytest.raises(ConversionError, match=message) as info:
        convert_weights(source, tmp_path / "out", **arguments)
    text = str(info.value)
    assert "\n" not in text
    assert 20 < len(text) < 600
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def test_the_whole_one_converts(checkpoint, tmp_path):
    convert_weights(checkpoint(), tmp_path / "out")
    assert (tmp_path / "out" / "model.safetensors").is_file()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_truncated_pickle(checkpoint, tmp_path, share):
    path = checkpoint()
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    refused(path, tmp_path, "cannot be read")


def test_damaged_numbers_in_a_pickle(checkpoint, tmp_path):
    path = checkpoint()
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 40] = bytes(byte ^ 255 for byte in content[middle : middle + 40])
    path.write_bytes(bytes(content))
    refused(path, tmp_path, "cannot be read: .*checksum")


@pytest.mark.parametrize("share", [0.001, 0.5])
def test_truncated_safetensors(vit, tmp_path, share):
    path = vit / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    refused(vit, tmp_path, "cannot be read", num_labels=3)


def test_tampered_safetensors(vit, tmp_path):
    path = vit / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[8:40] = b"x" * 32
    path.write_bytes(bytes(content))
    refused(vit, tmp_path, "cannot be read", num_labels=3)


def test_pickle_with_code_in_it(checkpoint, tmp_path):
    path = checkpoint(meta=RunsCode(tmp_path / "marker"))
    refused(path, tmp_path, "system")
    assert not (tmp_path / "marker").exists()


def test_missing_weight(checkpoint, tmp_path):
    path = checkpoint(lambda state: state.pop("encoder.blocks.1.norm2.weight"))
    refused(path, tmp_path, r"'encoder\.blocks\.1\.norm2\.weight' is missing")


def test_extra_weight(checkpoint, tmp_path):
    path = checkpoint(lambda state: state.update({"encoder.blocks.1.attn.rel_pos": torch.zeros(3)}))
    refused(path, tmp_path, r"no place for 1 of the weights, 'encoder\.blocks\.1\.attn\.rel_pos'")


def test_wrong_shape(checkpoint, tmp_path):
    path = checkpoint(lambda state: state.update({"encoder.blocks.2.mlp.fc2.weight": torch.zeros(32, 47)}))
    refused(path, tmp_path, r"'encoder\.blocks\.2\.mlp\.fc2\.weight' has the shape \(32, 47\)")


def test_configuration_of_another_network(checkpoint, tmp_path):
    path = checkpoint()
    variant = yaml.safe_load((path.parent / "variant.yml").read_text())
    variant["net_kwargs"]["d_model"] = 192
    (path.parent / "variant.yml").write_text(yaml.safe_dump(variant))
    refused(path, tmp_path, "d_model.*192.*32")


def test_configuration_that_is_none(vit, tmp_path):
    (vit / "config.json").write_text("[1, 2]")
    refused(vit, tmp_path, r"config\.json", num_labels=3)
    (vit / "config.json").write_text("{")
    refused(vit, tmp_path, r"config\.json", num_labels=3)


def test_folder_without_configuration(vit, tmp_path):
    (vit / "config.json").unlink()
    refused(vit, tmp_path, r"config\.json", num_labels=3)


def test_another_architecture(tmp_path):
    ResNetModel(ResNetConfig(embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1])).save_pretrained(
        tmp_path / "source"
    )
    refused(tmp_path / "source", tmp_path, "resnet", num_labels=3)


def test_npz_of_another_network(tmp_path):
    np.savez(tmp_path / "weights.npz", **{"MixerBlock_0/LayerNorm_0/scale": np.ones(4, np.float32)})
    refused(tmp_path / "weights.npz", tmp_path, "MixerBlock_0", num_labels=3)


def test_npz_with_objects(tmp_path):
    np.savez(tmp_path / "weights.npz", cls=np.array([{"a": 1}], dtype=object))
    refused(tmp_path / "weights.npz", tmp_path, r"weights\.npz", num_labels=3)


def test_shards_of_which_one_is_missing(vit, tmp_path):
    tensors = load_file(vit / "model.safetensors")
    names = sorted(tensors)
    save_file({name: tensors[name] for name in names[:5]}, vit / "model-00001-of-00002.safetensors")
    shards = {name: f"model-0000{1 + (name not in names[:5])}-of-00002.safetensors" for name in names}
    (vit / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": shards}))
    (vit / "model.safetensors").unlink()
    refused(vit, tmp_path, "model-00002-of-00002", num_labels=3)


def test_empty_folder_and_no_folder(tmp_path):
    (tmp_path / "source").mkdir()
    refused(tmp_path / "source", tmp_path, "source", num_labels=3)
    refused(tmp_path / "nowhere", tmp_path, "neither an existing file or folder", num_labels=3)


def test_a_paumer_checkpoint_needs_no_conversion(tiny_model, tmp_path):
    tiny_model.save_pretrained(tmp_path / "source")
    refused(tmp_path / "source", tmp_path, "from_pretrained")


def test_not_a_single_number(checkpoint, tmp_path):
    path = checkpoint(lambda state: state.update({"decoder.cls_emb": torch.zeros(1, 5, 32, dtype=torch.int64)}))
    refused(path, tmp_path, r"'decoder\.cls_emb' holds torch\.int64")
