# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The YAML file of a card: what is missing or wrong is named before anything is rendered."""

import pytest

from paumer_hf.hub.card_description import read_card_sources


def test_it_is_read_with_its_results(make_card_sources, search_results):
    sources = read_card_sources(make_card_sources(onnx=None))
    assert sources.name == "paumer-tiny"
    assert sources.description.repository == "tester/paumer-tiny"
    assert sources.description.with_code
    assert sources.dataset.name == "camvid"
    assert sources.search == search_results
    assert sources.evaluation["results"][2]["criterion"] == "random"
    assert sources.onnx is None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"colour": "red"}, "Unknown field 'colour'"),
        ({"title": 3}, "`title` .* must be a str, but is 3"),
        ({"datasets": "camvid"}, "`datasets` .* must be a list"),
        ({"dataset": "kitti"}, "`dataset` .* must be one of .*, but is 'kitti'"),
        ({"search": "results/none.json"}, "names results/none.json, but .* is missing"),
        ({"frontier": "results/none.png"}, "names results/none.png"),
        ({"pictures": [{"file": "results/none.png", "caption": "x"}]}, "names results/none.png"),
        ({"pictures": [{"file": "results/search.png"}]}, "must each have `file` and `caption`"),
        ({"recipes": ["scripts/recipes/none.yaml"]}, "names the recipe scripts/recipes/none.yaml, which is missing"),
    ],
)
def test_what_is_wrong_is_named(make_card_sources, fields, message):
    with pytest.raises(ValueError, match=message):
        read_card_sources(make_card_sources(**fields))


@pytest.mark.parametrize(
    ("text", "message"),
    [("- a", "must hold fields"), ("a: [", "is no YAML"), ("title: x", "The field 'repository' .* is missing")],
)
def test_other_files_are_refused(tmp_path, text, message):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_card_sources(tmp_path / "a.yaml")


def test_results_must_be_results(make_card_sources):
    with pytest.raises(ValueError, match="has no list of results"):
        read_card_sources(make_card_sources(results={"onnx": {"conditions": {}}}))
