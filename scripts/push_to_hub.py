# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Publish a checkpoint on the Hub: check the folder, push it in one commit, load it from there and compare.

    python scripts/push_to_hub.py FOLDER OWNER/NAME [--card model_cards/NAME.md] [--with_code] [--private]
        [--create_pr] [--revision BRANCH] [--dry_run]

FOLDER is what `save_pretrained` wrote: weights as safetensors, configuration, image processor and presets. The card is
its README.md, or --card, and what the card links to goes along. With --with_code the model's code goes along too, for
users who have transformers and not this package.

A push that was interrupted leaves the page as it was, or whole; the same command goes on. The same files are not
committed again. --dry_run checks, shows the files and sends nothing.
"""

import argparse
from pathlib import Path

from paumer_hf.hub import PageSettings, publish


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    description, _, epilog = __doc__.rpartition("\n\n")
    parser = argparse.ArgumentParser(description=description.partition("\n")[0], epilog=epilog, allow_abbrev=False)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the checkpoint")
    parser.add_argument("repo_id", metavar="REPO", help="repository to push to, OWNER/NAME, made if it is missing")
    parser.add_argument("--card", type=Path, help="the model card; README.md of the folder by default")
    parser.add_argument("--with_code", action="store_true", help="let the model's code go along")
    parser.add_argument("--private", action="store_true", help="make the repository a private one")
    parser.add_argument("--create_pr", action="store_true", help="propose the commit instead of making it")
    parser.add_argument("--revision", metavar="BRANCH", help="branch to push to; the main one by default")
    parser.add_argument("--dry_run", action="store_true", help="check and show what would be pushed")
    return parser.parse_args()


def main() -> None:
    """Read the arguments, check, push and compare."""
    arguments = parse_arguments()
    settings = PageSettings(arguments.repo_id, arguments.private, arguments.create_pr, arguments.revision)
    try:
        publish(
            arguments.folder,
            settings,
            card=arguments.card,
            with_code=arguments.with_code,
            dry_run=arguments.dry_run,
            say=lambda line: print(line, flush=True),
        )
    except (ValueError, OSError) as error:
        raise SystemExit(f"push_to_hub.py: {' '.join(str(error).split())}") from error
    except KeyboardInterrupt as error:
        raise SystemExit("push_to_hub.py: interrupted; the page is as it was, or whole.") from error


if __name__ == "__main__":
    main()
