# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Render the model cards from their descriptions and results files.

    python scripts/write_model_cards.py [--card NAME] [--check]

For each model_cards/NAME.yaml whose name begins with "paumer-", model_cards/NAME.md is written from template.md there
and from the results files that the YAML file names; no number of a card is typed. With --check nothing is written, and
the exit status says whether the cards are what would be. push_to_hub.py --card uploads a card with its pictures.
"""

import argparse
from pathlib import Path

from paumer_hf.evaluation.results import write_text
from paumer_hf.hub.model_card import render_card


FOLDER = Path(__file__).parents[1] / "model_cards"


def find_descriptions(folder: Path, name: str | None) -> list[Path]:
    """The YAML files of the cards, or that of one card."""
    paths = sorted(folder.glob("paumer-*.yaml"))
    if name is not None:
        names = [path.stem for path in paths]
        if name not in names:
            raise ValueError(f"--card must be one of {names}, but is {name!r}.")
        paths = [folder / f"{name}.yaml"]
    return paths


def main() -> None:
    """Read the arguments, render, and write or compare."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--card", metavar="NAME", help="one card instead of all")
    parser.add_argument("--check", action="store_true", help="compare and write nothing")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the cards are")
    arguments = parser.parse_args()
    try:
        for path in find_descriptions(arguments.folder, arguments.card):
            card, text = path.with_suffix(".md"), render_card(path)
            if not arguments.check:
                write_text(card, text)
                print(card)
            elif not card.is_file() or card.read_text(encoding="utf-8") != text:
                raise ValueError(f"{card} is not what is rendered from {path.name}; run it without --check.")
    except (ValueError, OSError) as error:
        raise SystemExit(f"write_model_cards.py: {error}") from error


if __name__ == "__main__":
    main()
