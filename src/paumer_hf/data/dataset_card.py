# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The card of a prepared data set: what it holds, how it is read, whose it is and what its licence permits."""

import dataclasses
from collections.abc import Mapping

import yaml

from paumer_hf.data.dataset_descriptions import DatasetDescription
from paumer_hf.data.dataset_shards import FEATURES


@dataclasses.dataclass(frozen=True)
class Provenance:
    """Where a data set comes from and what may be done with it.

    Attributes:
        title: Name for people.
        homepage: Where the official release is offered.
        licence: Fields of the card's header that name the licence.
        terms: What the licence permits and forbids, in sentences for the card.
        may_be_shared: Whether others may be given the data.
        citation: BibTeX entry of the paper.
    """

    title: str
    homepage: str
    licence: Mapping[str, str]
    terms: str
    may_be_shared: bool
    citation: str


PROVENANCES = {
    "cityscapes": Provenance(
        title="Cityscapes, fine annotations, 19 classes",
        homepage="https://www.cityscapes-dataset.com",
        licence={
            "license": "other",
            "license_name": "cityscapes",
            "license_link": "https://www.cityscapes-dataset.com/license/",
        },
        terms=(
            "The licence of Cityscapes permits non-commercial use and forbids to pass the data on, changed or not. "
            "This copy is for those alone who have registered with Cityscapes and agreed to its terms: **keep it "
            "private.** Models trained on it may be passed on."
        ),
        may_be_shared=False,
        citation=(
            "@inproceedings{Cordts2016Cityscapes,\n"
            "  title = {The Cityscapes Dataset for Semantic Urban Scene Understanding},\n"
            "  author = {Cordts, Marius and Omran, Mohamed and Ramos, Sebastian and Rehfeld, Timo and Enzweiler,\n"
            "            Markus and Benenson, Rodrigo and Franke, Uwe and Roth, Stefan and Schiele, Bernt},\n"
            "  booktitle = {Proceedings of the IEEE Conference on Computer Vision and Pattern Recognition (CVPR)},\n"
            "  year = {2016}\n"
            "}"
        ),
    ),
    "ade20k": Provenance(
        title="ADE20K, scene parsing benchmark, 150 classes",
        homepage="http://sceneparsing.csail.mit.edu",
        licence={"license": "bsd-3-clause"},
        terms=(
            "The annotations are under the BSD 3-Clause licence. The images belong to their authors; MIT offers them "
            "for non-commercial research and education."
        ),
        may_be_shared=True,
        citation=(
            "@inproceedings{Zhou2017ADE20K,\n"
            "  title = {Scene Parsing through {ADE20K} Dataset},\n"
            "  author = {Zhou, Bolei and Zhao, Hang and Puig, Xavier and Fidler, Sanja and Barriuso, Adela and\n"
            "            Torralba, Antonio},\n"
            "  booktitle = {Proceedings of the IEEE Conference on Computer Vision and Pattern Recognition (CVPR)},\n"
            "  year = {2017}\n"
            "}"
        ),
    ),
}
"""Provenance of each data set that has an official release, by its registered name."""

SIZE_CATEGORIES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


@dataclasses.dataclass(frozen=True)
class SplitSize:
    """How large a split is.

    Attributes:
        num_examples: Number of samples.
        num_bytes: Size in memory, in bytes.
        download_bytes: Size of its files, in bytes.
    """

    num_examples: int
    num_bytes: int
    download_bytes: int


def get_provenance(name: str) -> Provenance:
    """Where the data set of a registered name comes from.

    Raises:
        ValueError: If that is not known.
    """
    if name not in PROVENANCES:
        raise ValueError(f"the data set '{name}' has no official release; those of {sorted(PROVENANCES)} are known.")
    return PROVENANCES[name]


def sharing_notice(name: str) -> str | None:
    """The sentence that whoever passes a data set on must read; None where it may be shared."""
    provenance = get_provenance(name)
    if provenance.may_be_shared:
        return None
    link = provenance.licence["license_link"]
    return f"The licence of '{name}' forbids to pass the data on: keep the repository private ({link})."


def make_card(description: DatasetDescription, splits: Mapping[str, SplitSize]) -> str:
    """The text of README.md: the header that `datasets` and the Hub read, and what people want to know.

    Args:
        description: The data set in its prepared form.
        splits: Size of each split that is there.

    Returns:
        Markdown with a YAML header; a function of the arguments alone.
    """
    provenance = get_provenance(description.name)
    header = yaml.safe_dump(_make_header(provenance, splits), sort_keys=False, allow_unicode=True, width=1000)
    sections = [
        f"# {provenance.title}",
        description.description,
        f"Prepared from the [official release]({provenance.homepage}): the images are the original files, the "
        "annotations are PNG images of the labels below, 255 where a pixel is ignored.",
        _format_splits(splits),
        "## Use",
        "```python\nimport datasets\n\n"
        'dataset = datasets.load_dataset("FOLDER_OR_HUB_ID")\n'
        'sample = dataset["validation"][0]  # {"id": ..., "image": ..., "annotation": ...}\n```',
        f"With paumer_hf: `--dataset {description.name} --dataset_path FOLDER_OR_HUB_ID`.",
        "`sha256sum --check checksums.sha256` says whether all files are whole. `id2label.json` has the names of the "
        "labels.",
        "## Licence",
        provenance.terms,
        "## Labels",
        _format_labels(description),
        "## Citation",
        f"```bibtex\n{provenance.citation}\n```",
    ]
    return f"---\n{header}---\n\n" + "\n\n".join(section for section in sections if section) + "\n"


def _make_header(provenance: Provenance, splits: Mapping[str, SplitSize]) -> dict:
    num_examples = sum(size.num_examples for size in splits.values())
    return {
        **provenance.licence,
        "pretty_name": provenance.title,
        "task_categories": ["image-segmentation"],
        "task_ids": ["semantic-segmentation"],
        "size_categories": [next(name for limit, name in SIZE_CATEGORIES if num_examples < limit)],
        "dataset_info": {
            "features": [
                {"name": name, "dtype": feature.get("dtype", feature["_type"].lower())}
                for name, feature in FEATURES.items()
            ],
            "splits": [
                {"name": split, "num_bytes": size.num_bytes, "num_examples": size.num_examples}
                for split, size in splits.items()
            ],
            "download_size": sum(size.download_bytes for size in splits.values()),
            "dataset_size": sum(size.num_bytes for size in splits.values()),
        },
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": split, "path": f"data/{split}-*"} for split in splits],
            }
        ],
    }


def _format_splits(splits: Mapping[str, SplitSize]) -> str:
    rows = [
        f"| {split} | {size.num_examples:,} | {size.download_bytes / 1e6:,.1f} |" for split, size in splits.items()
    ]
    return "\n".join(["| split | samples | MB |", "|---|---:|---:|", *rows])


def _format_labels(description: DatasetDescription) -> str:
    colours = ("#" + "".join(f"{level:02x}" for level in colour) for colour in description.palette)
    rows = [
        f"| {label} | {name} | `{colour}` |"
        for (label, name), colour in zip(description.id2label.items(), colours, strict=True)
    ]
    return "\n".join(["| label | name | colour |", "|---:|---|---|", *rows])


__all__ = ["PROVENANCES", "Provenance", "SplitSize", "get_provenance", "make_card", "sharing_notice"]
