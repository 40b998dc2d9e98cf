# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Measure how far converted models are from the networks that their weights come from.

    python scripts/check_conversion.py --output model_cards/results/conversion.json [--fixtures FOLDER]

FOLDER has one folder for each fixture: weights of another origin, and `expected.safetensors` with inputs and with the
outputs that the original code gave for them. The models of transformers are compared at once, with random weights.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModel

from paumer_hf import PaumerForSemanticSegmentation
from paumer_hf.conversion import convert_weights
from paumer_hf.evaluation.results import environment_conditions, write_results


TINY = {"hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4, "image_size": 64, "patch_size": 8}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "ViT": ("vit", {"intermediate_size": 128}),
    "DeiT": ("deit", {"intermediate_size": 128}),
    "DINOv2": ("dinov2", {"layerscale_value": 0.5}),
    "DINOv2, gated MLP": ("dinov2", {"use_swiglu_ffn": True}),
    "DINOv2 with registers": ("dinov2_with_registers", {"num_register_tokens": 4}),
    "DINOv3": ("dinov3_vit", {"intermediate_size": 128, "num_register_tokens": 4}),
    "DINOv3, gated MLP": ("dinov3_vit", {"intermediate_size": 128, "num_register_tokens": 4, "use_gated_mlp": True}),
}
SIZES = [(64, 64), (96, 96), (48, 112)]


def compare_fixture(folder: Path, work: Path) -> Iterator[dict[str, Any]]:
    """The largest differences of one fixture, output by output."""
    files = (path for path in folder.iterdir() if path.suffix in (".pth", ".npz", ".safetensors"))
    source = next(path for path in files if path.name != "expected.safetensors")
    has_decoder = source.suffix == ".pth"
    report = convert_weights(source, work / folder.name, num_labels=None if has_decoder else 2)
    model = PaumerForSemanticSegmentation.from_pretrained(work / folder.name)
    expected = load_file(folder / "expected.safetensors")
    for prefix in sorted({name.rpartition(".")[0] for name in expected}):
        group = {name.rpartition(".")[2]: value for name, value in expected.items() if name.startswith(prefix)}
        images = group.pop("pixel_values")
        features, output = model.paumer(images).last_hidden_state, model(images)
        for name, value in group.items():
            if name == "mask_logits":
                found = output.logits
            elif name == "full_logits":
                found = model.upsample_logits(output.logits, images.shape[-2:])
            else:  # features with the tokens before the patches, or those of the patches as an image
                patches = features[:, model.config.num_prefix_tokens :]
                found = features if value.ndim == 3 else patches.transpose(1, 2).unflatten(2, value.shape[2:])
            yield difference(folder.name, report.origin, name, images, found, value)


def compare_transformers(name: str, work: Path) -> Iterator[dict[str, Any]]:
    """The largest differences of the last hidden states of one kind of model of transformers."""
    model_type, fields = MODELS[name]
    original = AutoModel.from_config(AutoConfig.for_model(model_type, **TINY, **fields)).eval()
    for parameter in original.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))
    folder = work / name.replace(" ", "_")
    original.save_pretrained(folder / "source")
    convert_weights(folder / "source", folder / "converted", num_labels=2)
    model = PaumerForSemanticSegmentation.from_pretrained(folder / "converted")
    options = {"interpolate_pos_encoding": True} if model_type in ("vit", "deit") else {}
    for height, width in SIZES:
        images = torch.randn(2, 3, height, width)
        found, value = model.paumer(images).last_hidden_state, original(images, **options).last_hidden_state
        yield difference(name, "hugging_face", "last_hidden_state", images, found, value)


def difference(
    name: str, origin: str, output: str, images: torch.Tensor, found: torch.Tensor, value: torch.Tensor
) -> dict[str, Any]:
    """One line of the results."""
    if found.shape != value.shape:
        raise SystemExit(f"{name}: {output} has the shape {tuple(found.shape)}, not {tuple(value.shape)}")
    return {
        "source": name,
        "origin": origin,
        "output": output,
        "image_size": list(images.shape[-2:]),
        "max_abs_difference": (found - value).abs().max().item(),
        "max_abs_value": value.abs().max().item(),
    }


def main() -> None:
    """Convert, compare, write the results and print them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--fixtures", type=Path, help="folder of fixtures with the outputs of the original code")
    parser.add_argument("--tolerance", type=float, default=1e-4, help="largest difference that is no failure")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as work, torch.no_grad():
        if arguments.fixtures is not None:
            for folder in sorted(path.parent for path in arguments.fixtures.glob("*/expected.safetensors")):
                results += compare_fixture(folder, Path(work))
        for name in MODELS:
            results += compare_transformers(name, Path(work))
    conditions = {**environment_conditions(torch.device("cpu")), "dtype": "float32", "seed": 0}
    write_results(arguments.output, {"results": results, "conditions": conditions})
    for result in results:
        print(json.dumps(result))
    largest = max(result["max_abs_difference"] for result in results)
    print(f"largest difference: {largest:.2g}")
    if largest > arguments.tolerance:
        raise SystemExit(f"The largest difference is above {arguments.tolerance:g}.")


if __name__ == "__main__":
    main()
