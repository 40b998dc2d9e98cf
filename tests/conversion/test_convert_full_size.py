# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""A checkpoint of the size that people have: ViT-L/16, 640 x 640, in the layout of the original Segmenter."""

import resource
import subprocess
import sys
import time

import pytest
import torch
import yaml

from paumer_hf import PaumerForSemanticSegmentation


CONVERT = """
import sys
from paumer_hf.conversion import convert_weights
convert_weights(sys.argv[1], sys.argv[2])
"""


@pytest.mark.slow
def test_vit_large_converts_in_six_gigabytes(tmp_path, segmenter_shapes):
    shapes = large_shapes(segmenter_shapes)
    state = {name: torch.empty(shape).normal_(std=0.02) for name, shape in shapes.items()}
    # What training with momentum leaves in the file doubles it.
    momentum = {index: {"momentum_buffer": tensor} for index, tensor in enumerate(state.values())}
    torch.save({"model": state, "optimizer": {"state": momentum}, "n_cls": 150}, tmp_path / "checkpoint.pth")
    net = {"d_model": 1024, "n_heads": 16, "n_layers": 24, "patch_size": 16, "image_size": [640, 640], "n_cls": 150}
    net |= {"normalization": "vit", "decoder": {"name": "mask_transformer", "n_layers": 2}}
    (tmp_path / "variant.yml").write_text(yaml.safe_dump({"net_kwargs": net}))
    begin = time.monotonic()  # to print: a time is no property of the code
    command = [sys.executable, "-c", CONVERT, str(tmp_path / "checkpoint.pth"), str(tmp_path / "out")]
    subprocess.run(command, check=True)
    seconds = time.monotonic() - begin
    gigabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2
    print(f"{seconds:.1f} s, {gigabytes:.2f} GiB")
    assert gigabytes < 6
    model = PaumerForSemanticSegmentation.from_pretrained(tmp_path / "out")
    assert model.num_parameters() == sum(torch.Size(shape).numel() for shape in shapes.values()) + 1024 * 150 + 150
    weight = model.paumer.encoder.layers[23].attention.v_proj.weight
    assert weight.equal(state["encoder.blocks.23.attn.qkv.weight"][2048:])


def large_shapes(segmenter_shapes):
    """The small network of the other tests, grown."""
    sizes = {32: 1024, 48: 4096, 56: 4096, 96: 3072, 5: 150}
    small = segmenter_shapes(grid=(40, 40), patch=16)
    small = {name: shape for name, shape in small.items() if not name.startswith("encoder.head")}
    shapes = {}
    for name, shape in small.items():
        grown = tuple(sizes.get(side, side) for side in shape)
        shapes[name] = grown
        if name.startswith("encoder.blocks.0."):
            for index in range(3, 24):
                shapes[name.replace("blocks.0.", f"blocks.{index}.")] = grown
    return shapes
