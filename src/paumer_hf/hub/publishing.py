# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""From a folder to a page on the Hub: check, show, push in one commit, load from there and compare."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from huggingface_hub import HfApi

from paumer_hf.hub.card_check import check_card
from paumer_hf.hub.checkpoint_check import check_checkpoint
from paumer_hf.hub.checkpoint_files import (
    CARD_NAME,
    check_content,
    check_kind,
    check_no_machine_paths,
    collect_files,
    format_size,
)
from paumer_hf.hub.clean_process import compare_in_clean_process
from paumer_hf.hub.hub_errors import describe_hub_error
from paumer_hf.hub.hub_page import PageSettings, PushedPage, push_page
from paumer_hf.hub.remote_code import write_remote_code
from paumer_hf.model.pause_config_file import PAUSE_CONFIG_NAME, read_pause_config_file


def publish(
    folder: Path,
    settings: PageSettings,
    *,
    card: Path | None = None,
    with_code: bool = False,
    dry_run: bool = False,
    api: HfApi | None = None,
    say: Callable[[str], None] = print,
) -> PushedPage | None:
    """Check a checkpoint, push it in one commit and load it from the Hub as a stranger does.

    Args:
        folder: The checkpoint.
        settings: Where to.
        card: The model card; None is README.md of the folder. What it links to goes along.
        with_code: Whether the model's code goes along, for users without this package.
        dry_run: Whether to check and show alone; the Hub is not asked anything then.
        api: Client of the Hub.
        say: Called with each line for the user.

    Returns:
        What came of it; None of a dry run.

    Raises:
        ValueError: If a check fails, or the page cannot be loaded or does not give what the folder does.
        ConnectionError: If the Hub refuses it or cannot be reached.
    """
    files = collect_page(folder, card or folder / CARD_NAME, with_code, settings.repo_id)
    checked = check_checkpoint(folder)
    say(f"Checked: loads twice alike, runs as {', '.join(checked.logits)}")
    with tempfile.TemporaryDirectory(prefix="paumer_push_") as temporary:
        if with_code:
            files = {**files, **write_remote_code(checked.model, checked.processor, folder, Path(temporary))}
        show_files(files, say)
        if dry_run:
            say("Nothing was sent (--dry_run)")
            return None
        api = api or HfApi()
        try:
            page = push_page(api, settings, files, f"Upload {folder.resolve().name}")
        except ValueError as error:
            if type(error) is ValueError and "invalid metadata" not in str(error).lower():
                raise
            raise ConnectionError(describe_hub_error(error, settings.repo_id)) from error
        except Exception as error:  # the errors of the client have no other common class
            raise ConnectionError(describe_hub_error(error, settings.repo_id)) from error
    for name in page.removed:
        say(f"Removed {name} of an older checkpoint")
    say(f"Pushed in one commit: {page.url}" if page.changed else f"The page is the same already: {page.url}")
    token = api.token if isinstance(api.token, str) else None
    for with_package in (True, False) if with_code else (True,):
        try:
            compare_in_clean_process(
                settings.repo_id, page.commit, checked.image, checked.logits, with_package, token=token
            )
        except ValueError as error:
            raise ValueError(f"{error} The push itself is done; the same command compares again.") from error
    say("Loaded from the Hub in a clean process: the logits are those of the folder")
    return page


def collect_page(folder: Path, card: Path, with_code: bool = False, repo_id: str | None = None) -> dict[str, Path]:
    """The files of the page by name: checkpoint, card and what the card links to.

    Args:
        folder: The checkpoint.
        card: Its card.
        with_code: Whether the model's code goes along.
        repo_id: The repository that the card is for; None where that is not known yet.

    Raises:
        ValueError: If a file or the card is refused.
    """
    own = folder / CARD_NAME
    if card != own and own.exists():
        raise ValueError(f"{own} is there beside the card {card}; remove one of them.")
    collect_files(folder, _names_in(folder))  # weights and pickles first: a card is of no use without them
    _, presets, _ = read_pause_config_file(folder / PAUSE_CONFIG_NAME)
    linked = check_card(card, presets, with_code, repo_id)
    files = collect_files(folder, linked)
    beside = {name: card.parent / name for name in linked if name not in files}
    for name, path in beside.items():
        check_kind(name, path, set(linked))
        check_content(name, path)
    files |= beside
    files = {CARD_NAME: card, **files}
    texts = {name: path for name, path in files.items() if path.suffix in (".json", ".md", ".txt", ".yaml")}
    check_no_machine_paths(texts)
    return files


def show_files(files: Mapping[str, Path], say: Callable[[str], None]) -> None:
    """Say what is uploaded, and how large each file is."""
    sizes = {name: path.stat().st_size for name, path in sorted(files.items())}
    width = max(map(len, sizes))
    for name, size in sizes.items():
        say(f"  {name.ljust(width)}  {format_size(size):>10}")
    say(f"{len(sizes)} files, {format_size(sum(sizes.values()))}")


def _names_in(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in folder.rglob("*")] if folder.is_dir() else []


__all__ = ["collect_page", "publish", "show_files"]
