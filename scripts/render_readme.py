# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Write the tables of README.md from the files in model_cards/results.

    python scripts/render_readme.py [--check]

With `--check` nothing is written; the exit status says whether the tables are those of the files.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from paumer_hf.evaluation.results import write_text
from paumer_hf.hub.card_description import read_card_sources
from paumer_hf.hub.card_presets import format_presets, read_presets


ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "model_cards" / "results"
SAMPLINGS = {"one pause layer (the paper's)": "camvid_vit_tiny_one_layer", "several": "camvid_vit_tiny_several_layers"}
SIZES = {"ViT-Ti": "speed_vit_tiny", "ViT-S": "speed_vit_small"}


def read_results(path: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """The results of a file by pause configuration and criterion."""
    results = json.loads(path.read_text(encoding="utf-8"))["results"]
    return {(result["pause_config"], result["criterion"]): result for result in results}


def camvid_table() -> str:
    """The mean IoU of both samplings at each configuration, entropy against random."""
    evaluations = {name: read_results(RESULTS / folder / "evaluation.json") for name, folder in SAMPLINGS.items()}
    header = [f"{name}: {criterion}" for name in SAMPLINGS for criterion in ("entropy", "random")]
    lines = [f"| pause configuration | {' | '.join(header)} |", "|---|" + "---:|" * len(header)]
    for text, criterion in next(iter(evaluations.values())):
        if criterion != "entropy":
            continue
        cells = []
        for results in evaluations.values():
            dense = results["", "entropy"]["mean_iou"]
            cells += [mean_iou_cell(results.get((text, name)), dense) for name in ("entropy", "random")]
        lines.append(f"| {text or 'dense'} | {' | '.join(cells)} |")
    return "\n".join(lines)


def mean_iou_cell(result: dict[str, Any] | None, dense: float) -> str:
    """A mean IoU in percent, with the difference to the dense model."""
    if result is None:
        return ""
    score, drop = 100 * result["mean_iou"], 100 * (result["mean_iou"] - dense)
    if not result["pause_config"]:
        return f"{score:.1f}"
    low, high = (100 * bound for bound in result["mean_iou_difference_interval"])
    return f"{score:.1f} ({drop:+.1f}: {low:+.1f} to {high:+.1f})"


def speed_table() -> str:
    """Images/s, speed-up and efficiency of each size at each configuration."""
    benchmarks = {name: read_results(RESULTS / f"{stem}.json") for name, stem in SIZES.items()}
    header = [f"{name}: {column}" for name in SIZES for column in ("images/s", "speed-up", "efficiency")]
    lines = [f"| pause configuration | {' | '.join(header)} |", "|---|" + "---:|" * len(header)]
    for key in next(iter(benchmarks.values())):
        rows = [results[key] for results in benchmarks.values()]
        cells = [f"{row['images_per_second']:.2f} | {row['speedup']:.2f} | {row['efficiency']:.2f}" for row in rows]
        lines.append(f"| {key[0] or 'dense'} | {' | '.join(cells)} |")
    return "\n".join(lines)


def conversion_table() -> str:
    """How far converted weights are from the networks that they come from."""
    results = json.loads((RESULTS / "conversion.json").read_text(encoding="utf-8"))["results"]
    lines = ["| source | origin | compared | sizes | largest difference |", "|---|---|---|---|---:|"]
    for source in dict.fromkeys(result["source"] for result in results):
        rows = [result for result in results if result["source"] == source]
        outputs = ", ".join(dict.fromkeys(row["output"].replace("_", " ") for row in rows))
        sizes = ", ".join(dict.fromkeys(" x ".join(map(str, row["image_size"])) for row in rows))
        largest = max(row["max_abs_difference"] for row in rows)
        lines.append(f"| {source} | {rows[0]['origin']} | {outputs} | {sizes} | {largest:.1g} |")
    return "\n".join(lines)


def search_table() -> str:
    """The presets of the CamVid model with what was measured of them."""
    return format_presets(read_presets(read_card_sources(ROOT / "model_cards" / "paumer-vit-tiny-camvid.yaml")))


def costs_table() -> str:
    """What the frontier of many configurations costs beside separate evaluations."""
    results = json.loads((RESULTS / "search_costs.json").read_text(encoding="utf-8"))
    (costs,), conditions = results["results"], results["conditions"]
    number, evaluated = costs["num_configurations"], costs["num_evaluated"]
    rows = [
        (f"{number} configurations, each by itself", costs["seconds_separate"], 1.0),
        (f"{number} together", costs["seconds_together"], costs["share"]),
        (f"the frontier of {number}, {evaluated} evaluated", costs["seconds_search"], costs["share_search"]),
    ]
    images = conditions["max_samples"] or "all"
    lines = [f"| evaluations on {images} images | seconds | share |", "|---|---:|---:|"]
    return "\n".join([*lines, *(f"| {name} | {seconds:.0f} | {share:.0%} |" for name, seconds, share in rows)])


def render(text: str) -> str:
    """The README with its tables."""
    tables = {"camvid": camvid_table(), "speed": speed_table(), "conversion": conversion_table()}
    tables |= {"search": search_table(), "search_costs": costs_table()}
    for name, stem in (("training", "training_ade20k_vit_tiny"), ("onnx", "onnx_camvid_vit_tiny_one_layer")):
        tables[name] = (RESULTS / f"{stem}.md").read_text(encoding="utf-8").strip()
    for name, table in tables.items():
        block = re.compile(rf"(<!-- results: {name} -->\n).*?(<!-- end of results -->)", re.DOTALL)
        text = block.sub(lambda match, table=table: f"{match[1]}{table}\n{match[2]}", text)
    return text


def main() -> None:
    """Render, and write or compare."""
    path = ROOT / "README.md"
    text = path.read_text(encoding="utf-8")
    rendered = render(text)
    if "--check" in sys.argv[1:]:
        raise SystemExit("README.md is not what render_readme.py writes: run it." if rendered != text else 0)
    write_text(path, rendered)


if __name__ == "__main__":
    main()
