# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Model cards: what they are rendered from, their code, their numbers."""

import json
import re
from pathlib import Path

import pytest
import yaml
from PIL import Image

from paumer_hf import PaumerImageProcessor
from paumer_hf.hub.card_check import check_card
from paumer_hf.hub.card_description import read_card_sources
from paumer_hf.hub.card_presets import read_presets, read_profile
from paumer_hf.hub.model_card import render_card


CARDS = sorted(
    path.with_suffix(".md") for path in (Path(__file__).resolve().parents[2] / "model_cards").glob("paumer-*.yaml")
)

# Numbers in the words of the template: names, notations, and what is asked for rather than measured.
OF_THE_TEMPLATE = {"0", "1.5", "2", "95"}


@pytest.fixture(params=["made", *CARDS], ids=lambda path: getattr(path, "stem", path))
def card(request, make_card_sources):
    """The description and the text of a card: one of made-up results, and each that is published."""
    if request.param == "made":
        path = make_card_sources()
        return path, render_card(path)
    path = request.param.with_suffix(".yaml")
    return path, request.param.read_text(encoding="utf-8")


def numbers_in(value):
    """All numbers of plain data, also those within text."""
    if isinstance(value, dict):
        return [found for key, item in value.items() for found in [*numbers_in(key), *numbers_in(item)]]
    if isinstance(value, list):
        return [found for item in value for found in numbers_in(item)]
    if isinstance(value, str):
        return [float(found) for found in re.findall(r"\d+\.\d+|\d+", value)]
    return [] if value is None or isinstance(value, bool) else [float(value)]


def is_rounded_from(text, sources):
    """Whether a printed number is one of the sources, or it in percent, with the digits that are printed."""
    if "e" in text:
        return any(f"{value:.1e}" == text for value in sources)
    digits = len(text.partition(".")[2])
    printed = abs(float(text))
    half = 0.5 * 10**-digits + 1e-9
    if "." not in text and printed > 100:
        half = 1e-9
    return any(abs(abs(value) - printed) <= half or abs(abs(100 * value) - printed) <= half for value in sources)


def test_it_is_what_is_rendered(card):
    path, text = card
    assert text == render_card(path)


def test_the_metadata_are_valid_and_the_links_lead_somewhere(card):
    path, text = card
    path.with_suffix(".md").write_text(text) if not path.with_suffix(".md").exists() else None
    sources = read_card_sources(path)
    presets = {name: point.pause_config for name, point in read_presets(sources).items() if name != "dense"}
    linked = check_card(path.with_suffix(".md"), presets, sources.description.with_code)
    assert sources.description.frontier in linked
    assert re.search(r"/(home|root|tmp|work)/", text) is None


def test_every_number_is_in_a_results_file(card):
    path, text = card
    sources = read_card_sources(path)
    files = [sources.search, sources.evaluation, sources.benchmark, sources.onnx]
    known = numbers_in(files) + numbers_in(yaml.safe_load(path.read_text(encoding="utf-8")))
    known += numbers_in(
        yaml.safe_load((path.parent / "published_results.yaml").read_text(encoding="utf-8"))["groups"][0]
    )
    known += numbers_in(sources.dataset.description)
    # Of the differences that the rows do not hold, the profile derives them.
    profile = read_profile(sources)
    known += [profile.drop(point) for point in profile.points if profile.drop(point) is not None]
    prose = re.sub(r"^```.*?^```", "", text.partition("\n---\n")[2], flags=re.MULTILINE | re.DOTALL)
    prose = re.sub(r"\]\([^)]*\)|`[0-9a-f]{12}`|\b\d{4}-\d\d-\d\d\b|^    .*$", "", prose, flags=re.MULTILINE)
    # Presets such as 3:0.4 are names; each must be a row of the results.
    rows = {row["pause_config"] for results in files if results for row in results["results"]}
    names = re.findall(r"\b\d+:0\.\d+(?:,\d+:0\.\d+)*", prose)
    assert names
    assert set(names) <= rows
    prose = re.sub(r"\b\d+:0\.\d+(?:,\d+:0\.\d+)*", "", prose)
    found = re.findall(r"\d+\.\d+e[+-]\d+|\d+\.\d+(?:\.\d+)*|\d+", prose)
    assert len(found) > 40
    versions = json.dumps([results["conditions"] for results in files if results])
    invented = [
        number
        for number in found
        if number not in OF_THE_TEMPLATE
        and not (number.count(".") > 1 and f'"{number}' in versions)
        and not (number.count(".") <= 1 and is_rounded_from(number, known))
    ]
    assert not invented
    metadata = yaml.safe_load(text.split("---\n")[1])
    values = [metric["value"] for result in metadata["model-index"][0]["results"] for metric in result["metrics"]]
    assert all(is_rounded_from(str(value), known) for value in values)


def test_the_search_for_numbers_can_fail():
    assert is_rounded_from("41.2", [0.4123])
    assert is_rounded_from("-0.6", [-0.0057])
    assert is_rounded_from("3.2e-06", [3.2e-6])
    assert not is_rounded_from("41.3", [0.4123])
    assert not is_rounded_from("1999", [2000])


def run_blocks(text, only):
    """Run the blocks of code that `only` chooses, one after the other; return their names and how many they are."""
    names: dict = {}
    blocks = [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if only(block)]
    for block in blocks:
        exec(block, names)
    return names, len(blocks)


@pytest.fixture
def beside_a_checkpoint(card, make_tiny_config, make_model, tmp_path, monkeypatch):
    """The text of a card, run where a tiny model has the card's presets and the place of the page of the Hub."""
    path, text = card
    sources = read_card_sources(path)
    monkeypatch.chdir(tmp_path)
    # A folder of this name goes before the page of the Hub.
    repository = sources.description.repository
    model = make_model(make_tiny_config(num_hidden_layers=10))
    model.pause_presets = {
        name: point.pause_config for name, point in read_presets(sources).items() if name != "dense"
    }
    model.pause_profile = read_profile(sources)
    model.save_pretrained(repository)
    PaumerImageProcessor(size={"height": 40, "width": 48}, size_divisor=8).save_pretrained(repository)
    Image.radial_gradient("L").convert("RGB").resize((60, 44)).save("street.png")
    return text


def test_the_code_runs_as_printed(beside_a_checkpoint):
    text = beside_a_checkpoint
    names, count = run_blocks(text, lambda block: "trust_remote_code" not in block and "onnx" not in block)
    assert count == 3
    assert tuple(names["label_map"].shape) == (44, 60)
    assert names["segments"]
    (selected,) = re.findall(r"min_speedup=\S+\)  # here (\S+)", text)
    assert names["pause_config"].to_text() == selected
    # Without the package this is run in test_clean_process.py; here the package's classes answer.
    names, count = run_blocks(text, lambda block: "trust_remote_code" in block)
    assert count == ("custom_code" in text)
    assert not count or tuple(names["label_map"].shape) == (44, 60)


@pytest.mark.slow
def test_the_code_for_onnx_runs_as_printed(beside_a_checkpoint):
    pytest.importorskip("onnxruntime")
    names, count = run_blocks(beside_a_checkpoint, lambda block: "export_onnx" in block)
    assert count == 1
    assert tuple(names["label_map"].shape) == (44, 60)
    assert Path(f"{names['exported'].pause_preset}.onnx").is_file()


def test_the_example_asks_for_a_speed_that_is_reached(make_card_sources, search_results):
    assert "min_speedup=1.5)  # here 3:0.4,5:0.4" in render_card(make_card_sources())
    kept = [row for row in search_results["results"] if row["pause_config"] not in ("3:0.4,5:0.4",)]
    text = render_card(make_card_sources(results={"search": {**search_results, "results": kept}}))
    assert "min_speedup=1.3)  # here 3:0.4" in text
    assert "not reached, fastest 1.38" in text


def test_the_paper_stands_beside(make_card_sources):
    text = render_card(make_card_sources())
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    assert ["PAUMER (paper), ViT-S", "Cityscapes", "-0.6", "-5.9"] in rows
    assert ["this model", "CamVid", "-1.8 (3:0.4,5:0.4)", "not reached, fastest 1.71"] in rows
    assert "reproduces no number" in " ".join(text.split())


def test_sections_that_only_some_cards_have(make_card_sources):
    text = render_card(make_card_sources(evaluation=None, benchmark=None, onnx=None, with_code=False))
    for word in ("Entropy and chance", "onnxruntime beside", "trust_remote_code", "custom_code"):
        assert word not in text
        assert word in render_card(make_card_sources())


@pytest.mark.parametrize("beyond", [0, 1])
def test_pixels_of_another_class_are_called_ties_where_all_are(make_card_sources, onnx_results, beyond):
    onnx_results["results"][0]["num_label_differences_beyond_ties"] = beyond
    text = " ".join(render_card(make_card_sources(results={"onnx": onnx_results})).split())
    assert "23 images of" in text
    assert ("the same score up to rounding" in text) == (beyond == 0)


def test_results_of_two_models_are_refused(make_card_sources, evaluation_results):
    evaluation_results["results"][0]["mean_iou"] = 0.42
    with pytest.raises(ValueError, match=r"0.4123 in results/search.json and 0.4200 in .* not of one model"):
        render_card(make_card_sources(results={"evaluation": evaluation_results}))
    evaluation_results["results"][0]["num_images"] = 4  # then the two need not agree
    render_card(make_card_sources(results={"evaluation": evaluation_results}))


def test_missing_templates_and_places(make_card_sources):
    path = make_card_sources()
    (path.parent / "template.md").write_text("$colour")
    with pytest.raises(ValueError, match=r"template.md has the place 'colour'"):
        render_card(path)
    (path.parent / "template.md").unlink()
    with pytest.raises(ValueError, match=r"template.md is missing"):
        render_card(path)


def test_presets_that_pause_nothing_make_no_card(make_card_sources, search_results):
    search_results["results"] = search_results["results"][:1]
    with pytest.raises(ValueError, match="No preset of paumer-tiny pauses anything"):
        render_card(make_card_sources(results={"search": search_results}))
