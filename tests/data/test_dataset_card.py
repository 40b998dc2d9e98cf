# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Cards: read by the libraries that read cards, and plain about what the licence forbids."""

import re

import datasets
import pytest
from datasets.info import DatasetInfosDict
from huggingface_hub import DatasetCard

from paumer_hf.data.dataset_card import PROVENANCES, SplitSize, get_provenance, make_card, sharing_notice
from paumer_hf.data.dataset_descriptions import DatasetDescription


SPLITS = {"train": SplitSize(2975, 700, 600), "validation": SplitSize(500, 80, 70)}


def describe(name):
    palette = ((128, 64, 128), (0, 9, 255))
    return DatasetDescription(
        name=name, class_names=("road", "traffic: light #1"), palette=palette, description="Two."
    )


@pytest.fixture(params=sorted(PROVENANCES))
def name(request):
    return request.param


def test_datasets_reads_features_and_splits(name, tmp_path):
    (tmp_path / "README.md").write_text(make_card(describe(name), SPLITS))
    info = DatasetInfosDict.from_directory(str(tmp_path))["default"]
    image = datasets.Image()
    assert info.features == {"id": datasets.Value("string"), "image": image, "annotation": image}
    assert list(info.features) == ["id", "image", "annotation"]
    assert {split: (info.splits[split].num_examples, info.splits[split].num_bytes) for split in info.splits} == {
        "train": (2975, 700),
        "validation": (500, 80),
    }
    assert (info.download_size, info.dataset_size) == (670, 780)


def test_the_hub_reads_the_header(name):
    header = DatasetCard(make_card(describe(name), SPLITS)).data.to_dict()
    assert header["task_categories"] == ["image-segmentation"]
    assert header["task_ids"] == ["semantic-segmentation"]
    assert header["size_categories"] == ["1K<n<10K"]
    (config,) = header["configs"]
    assert config["data_files"] == [
        {"split": "train", "path": "data/train-*"},
        {"split": "validation", "path": "data/validation-*"},
    ]
    # What is no licence of the Hub's list needs a name and a link.
    assert (header["license"] == "other") == ("license_name" in header) == ("license_link" in header)


def test_the_text_has_the_labels_with_their_colours(name):
    description = describe(name)
    rows = re.findall(r"^\| (\d+) \| (.+) \| `#(\w{6})` \|$", make_card(description, SPLITS), flags=re.MULTILINE)
    assert {int(label): text for label, text, _ in rows} == description.id2label
    assert tuple(tuple(bytes.fromhex(colour)) for _, _, colour in rows) == description.palette


def test_the_text_has_source_licence_and_citation(name):
    text = make_card(describe(name), SPLITS)
    provenance = get_provenance(name)
    for part in (provenance.homepage, provenance.terms, provenance.citation, f"--dataset {name}"):
        assert part in text
    assert max(len(line) for line in provenance.citation.splitlines()) < 120


def test_only_cityscapes_may_not_be_passed_on():
    assert sharing_notice("ade20k") is None
    assert "forbids to pass the data on" in sharing_notice("cityscapes")
    assert "keep it private" in make_card(describe("cityscapes"), SPLITS)
    assert "keep it private" not in make_card(describe("ade20k"), SPLITS)


@pytest.mark.parametrize(
    ("count", "category"), [(3, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (22210, "10K<n<100K")]
)
def test_size_categories(count, category):
    card = DatasetCard(make_card(describe("ade20k"), {"validation": SplitSize(count, 1, 1)}))
    assert card.data.to_dict()["size_categories"] == [category]


def test_a_data_set_without_a_release_is_refused():
    with pytest.raises(ValueError, match=r"'camvid' has no official release; those of \['ade20k', 'cityscapes'\]"):
        make_card(describe("camvid"), SPLITS)
