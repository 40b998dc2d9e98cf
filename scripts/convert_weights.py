# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Turn weights of another origin into a PAUMER checkpoint folder.

    python scripts/convert_weights.py SOURCE OUTPUT [--num_labels N] [--id2label FILE.json] [--image_size 512 [1024]] \
        [--image_mean R G B] [--image_std R G B] [--kind KIND] [--num_attention_heads N] [--config FIELD=VALUE ...] \
        [--revision REVISION]

SOURCE is a weight file, a folder with one, or a Hub id: an original Segmenter checkpoint (with variant.yml beside it),
a Segmenter of mmsegmentation, a VisionTransformer of timm, an AugReg .npz file, or a ViT, DeiT, DINOv2 or DINOv3 of
transformers. The last three have no decoder for segmentation: say by --num_labels or --id2label what the new one is
for.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import yaml

from paumer_hf.conversion import ConversionError, convert_weights
from paumer_hf.conversion.recognition import KINDS


def read_id2label(path: Path | None) -> dict[int, str] | None:
    """Names of classes from a JSON file: a mapping from index to name, or a list of names."""
    if path is None:
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        pairs = enumerate(content) if isinstance(content, list) else content.items()
        return {int(index): str(name) for index, name in pairs}
    except (OSError, ValueError, AttributeError) as error:
        raise ConversionError(
            f"{path} must be a JSON file with a list of names or a mapping from index to name: {error}"
        ) from error


def read_fields(texts: list[str]) -> dict[str, Any]:
    """Fields of PaumerConfig from FIELD=VALUE, with the value as in YAML."""
    fields = {}
    for text in texts:
        name, equals, value = text.partition("=")
        try:
            fields[name] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConversionError(f"--config {text}: the value must be written as in YAML.") from error
        if not equals:
            raise ConversionError(f"--config takes FIELD=VALUE, but was given {text!r}.")
    return fields


def main() -> None:
    """Read the arguments, convert, and print what was done."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0], epilog=__doc__.rpartition("\n\n")[2], allow_abbrev=False
    )
    parser.add_argument("source", help="weight file, folder or Hub id")
    parser.add_argument("output", type=Path, help="new folder")
    parser.add_argument("--num_labels", type=int, help="number of classes of a new decoder")
    parser.add_argument("--id2label", type=Path, help="JSON file with the names of the classes")
    parser.add_argument("--image_size", type=int, nargs="+", help="side, or height and width, to store positions for")
    parser.add_argument("--image_mean", type=float, nargs=3, help="mean of each channel, where the source is silent")
    parser.add_argument("--image_std", type=float, nargs=3, help="standard deviation of each channel, likewise")
    parser.add_argument("--kind", choices=KINDS, help="what the source is, where it cannot be recognised")
    parser.add_argument("--num_attention_heads", type=int, help="number of heads, where the source does not say it")
    parser.add_argument("--config", nargs="+", default=[], metavar="FIELD=VALUE", help="other fields of PaumerConfig")
    parser.add_argument("--revision", help="branch, tag or commit on the Hub")
    arguments = parser.parse_args()
    image_size = arguments.image_size
    if image_size is not None and len(image_size) > 2:
        parser.error("--image_size takes one side, or height and width")
    try:
        report = convert_weights(
            arguments.source,
            arguments.output,
            kind=arguments.kind,
            num_attention_heads=arguments.num_attention_heads,
            num_labels=arguments.num_labels,
            id2label=read_id2label(arguments.id2label),
            image_size=None if image_size is None else (image_size[0], image_size[-1]),
            image_mean=arguments.image_mean,
            image_std=arguments.image_std,
            config=read_fields(arguments.config),
            revision=arguments.revision,
        )
    except (ConversionError, OSError) as error:
        raise SystemExit(f"convert_weights.py: {error}") from error
    print(report)


if __name__ == "__main__":
    main()
