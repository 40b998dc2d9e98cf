# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Whether a model card is fit for a page on the Hub: its metadata, its links, the presets that it names."""

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

import yaml
from huggingface_hub import ModelCard

from paumer_hf import PauseConfig
from paumer_hf.hub.checkpoint_files import read_text


FIXED_METADATA = {"library_name": "transformers", "pipeline_tag": "image-segmentation"}
"""Fields without which the Hub offers neither code nor a widget that fits."""

_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)[^)]*\)")
_LOADED = re.compile(r"""(?:from_pretrained\(|model=)\s*["']([^"']+)["']""")
_CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def check_card(
    path: Path, presets: Mapping[str, PauseConfig], with_code: bool = False, repo_id: str | None = None
) -> list[str]:
    """Check a card as far as that is possible without the Hub.

    Args:
        path: The card.
        presets: The presets of the model.
        with_code: Whether the model's code goes along.
        repo_id: The repository that the card is for; None where that is not known yet.

    Returns:
        The files that it links to, relative to it, which must go along.

    Raises:
        ValueError: If there is no card, it is not UTF-8, its metadata are refused, a preset is missing or a link leads
            nowhere.
    """
    if not path.is_file():
        raise ValueError(f"The card {path} is missing; render one with scripts/write_model_cards.py and name it.")
    text = read_text(path)
    if not text.startswith("---\n"):
        raise ValueError(f"The card {path} must begin with metadata between lines of ---; add them.")
    try:
        card = ModelCard(text)
        metadata = card.data.to_dict()
    except (ValueError, TypeError, KeyError, yaml.YAMLError) as error:
        message = " ".join(str(error).split())
        raise ValueError(f"The metadata of the card {path} cannot be read ({message}); correct them.") from error
    _check_metadata(path, metadata, with_code)
    for name, preset in presets.items():
        # In one row of a table: "fast" is part of "fastest", and 3:0.4 of 3:0.4,5:0.4.
        row = rf"^\|\s*{re.escape(name)}\s*\|\s*{re.escape(preset.to_text() or 'nothing')}\s*\|"
        if not re.search(row, card.text, re.MULTILINE):
            raise ValueError(
                f"The card {path} must name the preset {name!r} with its layers, {preset.to_text() or 'dense'}, but"
                " does not; render it from the results of this checkpoint."
            )
    if repo_id is not None:
        _check_repository(path, card.text, repo_id)
    return _linked_files(path, card.text)


def _check_repository(path: Path, text: str, repo_id: str) -> None:
    """Refuse a card whose readers would load, and perhaps run the code of, somebody else's repository."""
    others = set(_LOADED.findall(text)) - {repo_id}
    if others:
        raise ValueError(
            f"The card {path} loads {sorted(others)[0]}, but is for {repo_id}; correct `repository` in its YAML file"
            " and render it again."
        )


def _check_metadata(path: Path, metadata: Mapping[str, Any], with_code: bool) -> None:
    where = f"of the card {path}"
    for name, value in FIXED_METADATA.items():
        if metadata.get(name) != value:
            raise ValueError(f"`{name}` {where} must be {value!r}, but is {metadata.get(name)!r}; correct it.")
    for name in ("license", "datasets", "tags", "metrics", "model-index"):
        if not metadata.get(name):
            raise ValueError(f"`{name}` {where} is missing; add it to the metadata.")
    if metadata["license"] == "other" and not (metadata.get("license_name") and metadata.get("license_link")):
        raise ValueError(f"`license` {where} is 'other', which needs `license_name` and `license_link`; add them.")
    if with_code != ("custom_code" in metadata["tags"]):
        rule = "must hold custom_code, as code goes along" if with_code else "hold custom_code, but no code goes along"
        raise ValueError(f"`tags` {where} {rule}; correct them, or give or leave out --with_code.")


def _linked_files(path: Path, text: str) -> list[str]:
    """The relative links outside code, each once."""
    linked = []
    for link in dict.fromkeys(_LINK.findall(_CODE.sub("", text))):
        if re.match(r"[a-z]+:|#", link):
            continue
        place = PurePosixPath(unquote(link))
        if place.is_absolute() or ".." in place.parts:
            raise ValueError(f"The card {path} links to {link}, which cannot lie on its page; put it beside the card.")
        if not (path.parent / place).is_file():
            raise ValueError(f"The card {path} links to {link}, which is missing; make it or remove the link.")
        linked.append(place.as_posix())
    return linked


__all__ = ["FIXED_METADATA", "check_card"]
