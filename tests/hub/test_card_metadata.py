# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The metadata of a card, read back as the Hub's client reads them."""

import yaml
from huggingface_hub import ModelCard

from paumer_hf.hub.card_description import read_card_sources
from paumer_hf.hub.card_metadata import format_metadata
from paumer_hf.hub.card_presets import read_presets


def metadata_of(path):
    sources = read_card_sources(path)
    return format_metadata(sources, read_presets(sources))


def test_fields(make_card_sources):
    metadata = yaml.safe_load(metadata_of(make_card_sources()))
    assert metadata["library_name"] == "transformers"
    assert metadata["pipeline_tag"] == "image-segmentation"
    assert metadata["license"] == "apache-2.0"
    assert metadata["datasets"] == ["camvid"]
    assert {"vision", "semantic-segmentation", "token-pausing", "paumer", "custom_code"} == set(metadata["tags"])
    assert "base_model" not in metadata
    assert "license_name" not in metadata


def test_optional_fields(make_card_sources):
    fields = {"base_model": "a/b", "license": "other", "license_name": "mine", "license_link": "https://x"}
    metadata = yaml.safe_load(metadata_of(make_card_sources(**fields, with_code=False)))
    assert {name: metadata[name] for name in fields} == fields
    assert "custom_code" not in metadata["tags"]


def test_the_model_index_has_the_dense_model_and_every_preset(make_card_sources):
    text = metadata_of(make_card_sources())
    (model,) = yaml.safe_load(text)["model-index"]
    assert len(model["results"]) == 5
    card = ModelCard(f"---\n{text}---\n\n# x\n")
    assert card.data.model_name == "paumer-tiny"
    values = {result.metric_name: result.metric_value for result in card.data.eval_results}
    assert values["mIoU (dense)"] == 0.4123
    assert values["mIoU (preset balanced, 3:0.4)"] == 0.4066
    assert values["images/s (preset fast, 3:0.4,5:0.4)"] == 5.49
    assert len(values) == 10
    assert {result.dataset_split for result in card.data.eval_results} == {"validation"}
    assert {result.task_type for result in card.data.eval_results} == {"image-segmentation"}
