# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The command that publishes, from the folder to what a stranger loads, on a Hub on this machine."""

import re
from pathlib import Path

import pytest


SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "push_to_hub.py"
KEY = ("models", "tester/tiny")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_a_page_with_code_is_loaded_by_strangers(hub, run_python, make_checkpoint, card_text, tmp_path):
    folder = make_checkpoint(tmp_path / "model", card=card_text.replace("- paumer", "- paumer\n- custom_code"))
    result = run_python(SCRIPT, folder, KEY[1], "--with_code")
    assert result.returncode == 0, result.stderr
    assert "Loaded from the Hub in a clean process: the logits are those of the folder" in result.stdout
    repository = hub.repos[KEY]
    assert len(repository.log) == 2, "one commit after the first"
    files = repository.commits[repository.refs["main"]]
    assert {"README.md", "model.safetensors", "modeling_paumer.py", "pause_config.json"} <= set(files)
    for name in ("README.md", "model.safetensors", "pause_config.json"):
        assert files[name] == (folder / name).read_bytes()


def test_a_page_that_gives_something_else_is_found_out(hub, run_python, make_checkpoint, tmp_path):
    folder = make_checkpoint(tmp_path / "model")
    other = (make_checkpoint(tmp_path / "other", scale=0.5) / "model.safetensors").read_bytes()
    handler = hub.server.RequestHandlerClass
    commit = handler.commit

    def swap(self, **names):
        for oid in hub.lfs:
            hub.lfs[oid] = other
        commit(self, **names)

    handler.commit = swap
    result = run_python(SCRIPT, folder, KEY[1])
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "gives other logits than the folder: as default they differ by up to" in result.stderr
    assert result.stderr.endswith("The push itself is done; the same command compares again.\n")


def test_a_hub_that_fails_during_the_comparison_is_not_taken_for_other_logits(
    hub, run_python, make_checkpoint, tmp_path
):
    folder = make_checkpoint(tmp_path / "model")
    handler = hub.server.RequestHandlerClass
    handler.resolve = lambda self, **names: self.send(403, {"error": "closed for today"})
    result = run_python(SCRIPT, folder, KEY[1])
    assert result.returncode == 1
    assert "Pushed in one commit" in result.stdout
    assert len(hub.repos[KEY].log) == 2
    assert "logits" not in result.stderr
    said = result.stderr.strip().splitlines()[-1]
    assert re.fullmatch(
        r"push_to_hub.py: In a clean process, with this package, tester/tiny at \w+ cannot be loaded or run: \w+:"
        r" .*[^.]\. The push itself is done; the same command compares again\.",
        said,
    )
