# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""From a folder to a page: what goes along, in which order checks are made, what is said."""

import pytest
from PIL import Image

from paumer_hf.hub import publishing
from paumer_hf.hub.hub_page import PageSettings, PushedPage
from paumer_hf.hub.publishing import collect_page, publish, show_files


SETTINGS = PageSettings("tester/tiny")


@pytest.fixture
def pushed(monkeypatch):
    """What would have been sent to the Hub, and how often the result was loaded."""
    log = {"files": None, "loads": []}

    def push(api, settings, files, message):
        log["files"] = {name: path.read_bytes() for name, path in files.items()}
        return PushedPage("c0ffee", "address", True, ("old.py",))

    def compare(repo_id, revision, image, logits, with_package, token=None):
        log["loads"].append((repo_id, revision, sorted(logits), with_package))

    monkeypatch.setattr(publishing, "push_page", push)
    monkeypatch.setattr(publishing, "compare_in_clean_process", compare)
    return log


def test_card_and_pictures_go_along(make_checkpoint, card_text, tmp_path):
    folder = make_checkpoint(tmp_path / "model", card=None)
    cards = tmp_path / "cards"
    (cards / "results").mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(cards / "results" / "plot.png")
    (cards / "tiny.md").write_text(card_text + "![plot](results/plot.png)\n")
    files = collect_page(folder, cards / "tiny.md")
    assert files["README.md"] == cards / "tiny.md"
    assert files["results/plot.png"] == cards / "results" / "plot.png"
    (folder / "README.md").write_text(card_text)
    with pytest.raises(ValueError, match=r"README.md is there beside the card .*tiny.md; remove one"):
        collect_page(folder, cards / "tiny.md")


@pytest.mark.parametrize(("name", "message"), [("log.pkl", "may be a pickle"), ("run.py", "is code")])
def test_what_a_card_links_to_is_checked_as_the_rest(make_checkpoint, card_text, tmp_path, name, message):
    folder = make_checkpoint(tmp_path / "model", card=None)
    (tmp_path / name).write_text("content")
    (tmp_path / "tiny.md").write_text(card_text + f"[more]({name})\n")
    with pytest.raises(ValueError, match=message):
        collect_page(folder, tmp_path / "tiny.md")


def test_a_folder_may_hold_what_its_own_card_links_to(make_checkpoint, card_text, tmp_path):
    folder = make_checkpoint(tmp_path / "model")
    (folder / "plot.svg").write_text("<svg/>")
    with pytest.raises(ValueError, match=r"plot.svg does not belong"):
        collect_page(folder, folder / "README.md")
    (folder / "README.md").write_text(card_text + "![plot](plot.svg)\n")
    assert "plot.svg" in collect_page(folder, folder / "README.md")


@pytest.mark.parametrize("name", ["README.md", "LICENSE.txt"])
def test_text_that_is_not_utf_8_is_named(make_checkpoint, tmp_path, name):
    folder = make_checkpoint(tmp_path / "model")
    with open(folder / name, "ab") as file:
        file.write("für".encode("latin-1"))
    with pytest.raises(ValueError, match=rf"model/{name} is no text in UTF-8 .*; save it in that encoding"):
        collect_page(folder, folder / "README.md")


def test_paths_of_a_machine_are_not_published(make_checkpoint, card_text, tmp_path):
    folder = make_checkpoint(tmp_path / "model", card=card_text + "See /home" + "/me/runs.\n")
    with pytest.raises(ValueError, match=r"README.md names a path of your machine, .*me/runs, which"):
        collect_page(folder, folder / "README.md")


def test_what_is_published(make_checkpoint, tmp_path, pushed):
    folder, said = make_checkpoint(tmp_path / "model"), []
    page = publish(folder, SETTINGS, say=said.append)
    assert page.commit == "c0ffee"
    names = {"README.md", "config.json", "model.safetensors", "pause_config.json", "preprocessor_config.json"}
    assert set(pushed["files"]) == names
    assert pushed["files"] == {name: (folder / name).read_bytes() for name in names}
    modes = ["default", "dense", "preset fast", "preset slow"]
    assert pushed["loads"] == [("tester/tiny", "c0ffee", modes, True)]
    text = "\n".join(said)
    assert all(name in text for name in names)
    assert "Removed old.py" in text
    assert "Pushed in one commit: address" in text


def test_code_goes_along_on_request(make_checkpoint, card_text, tmp_path, pushed):
    folder = make_checkpoint(tmp_path / "model", card=card_text.replace("- paumer", "- paumer\n- custom_code"))
    publish(folder, SETTINGS, with_code=True, say=lambda line: None)
    assert "modeling_paumer.py" in pushed["files"]
    assert b"auto_map" in pushed["files"]["config.json"]
    assert b"auto_map" not in (folder / "config.json").read_bytes()
    assert [with_package for *_, with_package in pushed["loads"]] == [True, False]


def test_a_dry_run_sends_nothing(make_checkpoint, tmp_path, pushed):
    said = []
    assert publish(make_checkpoint(tmp_path / "model"), SETTINGS, dry_run=True, say=said.append) is None
    assert pushed["files"] is None
    assert pushed["loads"] == []
    assert said[-1] == "Nothing was sent (--dry_run)"


def test_errors_of_the_hub_are_put_into_words(make_checkpoint, tmp_path, monkeypatch):
    folder = make_checkpoint(tmp_path / "model")
    for error, kind, message in [
        (OSError("Server disconnected"), ConnectionError, "The connection to the Hub broke"),
        (ValueError("REPO must be OWNER/NAME"), ValueError, "REPO must be OWNER/NAME"),
        (ValueError("Invalid metadata in README.md."), ConnectionError, "Invalid metadata in README.md"),
    ]:

        def fail(api, settings, files, message, error=error):
            raise error

        monkeypatch.setattr(publishing, "push_page", fail)
        with pytest.raises(kind, match=message):
            publish(folder, SETTINGS, say=lambda line: None)


def test_a_failed_comparison_says_that_the_push_is_done(make_checkpoint, tmp_path, pushed, monkeypatch):
    def compare(*arguments, **options):
        raise ValueError("It cannot be loaded.")

    monkeypatch.setattr(publishing, "compare_in_clean_process", compare)
    said = []
    with pytest.raises(ValueError, match=r"^It cannot be loaded\. The push itself is done; the same command compares"):
        publish(make_checkpoint(tmp_path / "model"), SETTINGS, say=said.append)
    assert said[-1] == "Pushed in one commit: address"


def test_files_are_shown_with_their_sizes(tmp_path):
    (tmp_path / "a").write_bytes(bytes(2048))
    (tmp_path / "b").write_bytes(bytes(7))
    said = []
    show_files({"long name": tmp_path / "a", "b": tmp_path / "b"}, said.append)
    assert said == ["  b                 7 B", "  long name     2.0 KiB", "2 files, 2.0 KiB"]
