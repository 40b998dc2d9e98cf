# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Pushes to a Hub on this machine: whole pages, branches, refusals, broken connections, killed processes."""

import multiprocessing
import os
import random
import signal

import pytest
from huggingface_hub import HfApi, constants
from huggingface_hub.utils import _http

from paumer_hf.hub.hub_errors import describe_hub_error
from paumer_hf.hub.hub_page import PageSettings, push_page


KEY = ("models", "tester/tiny")
SETTINGS = PageSettings(KEY[1])


@pytest.fixture
def api(hub, monkeypatch):
    """A client of the Hub that does not wait before it tries again."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(_http.time, "sleep", lambda seconds: None)
    return HfApi(endpoint=hub.endpoint, token="hf_test")


@pytest.fixture
def make_files(tmp_path):
    """A function that writes the files of a page, all different for each word."""

    def make(word):
        folder = tmp_path / word
        folder.mkdir()
        (folder / "config.json").write_text(f'{{"word": "{word}"}}')
        for name in ("README.md", "model.safetensors", "picture.png"):
            (folder / name).write_text(f"---\nlicense: mit\n---\n{name} {word}\n")
        return {path.name: path for path in folder.iterdir()}

    return make


def contents(files):
    return {name: path.read_bytes() for name, path in files.items()}


def files_on(hub, branch="main"):
    repository = hub.repos[KEY]
    files = dict(repository.commits[repository.refs[branch]])
    files.pop(".gitattributes", None)
    return files


def test_one_commit_then_none_then_another(hub, api, make_files):
    files = make_files("old")
    page = push_page(api, PageSettings(KEY[1], private=True), files, "message")
    repository = hub.repos[KEY]
    assert repository.private
    assert page.changed
    assert len(repository.log) == 2, "one commit after the first"
    assert files_on(hub) == contents(files)

    assert not push_page(api, SETTINGS, files, "message").changed
    assert len(repository.log) == 2

    other = make_files("new")
    other["model-00001-of-00001.safetensors"] = other.pop("model.safetensors")
    page = push_page(api, SETTINGS, other, "message")
    assert page.removed == ("model.safetensors",)
    assert page.commit == repository.refs["main"]
    assert files_on(hub) == contents(other)
    assert len(repository.log) == 3


def test_branches_and_proposals_leave_the_page_alone(hub, api, make_files):
    files = make_files("new")
    with pytest.raises(ValueError, match="no repository tester/tiny to propose"):
        push_page(api, PageSettings(KEY[1], create_pr=True), files, "message")
    assert KEY not in hub.repos
    push_page(api, PageSettings(KEY[1], revision="trial"), files, "message")
    assert files_on(hub) == {}
    assert files_on(hub, "trial") == contents(files)
    page = push_page(api, PageSettings(KEY[1], create_pr=True), files, "message")
    assert page.url == f"{hub.endpoint}/tester/tiny/discussions/1"
    assert files_on(hub) == {}
    assert files_on(hub, "refs/pr/1") == contents(files)


def answer(status, said):
    return lambda self, **names: self.fail(status, "", said)


def cut(self, **names):
    """Ends the connection without an answer."""
    self.close_connection = True
    self.connection.shutdown(2)


@pytest.mark.parametrize(
    ("name", "reply", "message"),
    [
        ("whoami", answer(401, "Invalid token"), "does not accept the token"),
        ("preupload", answer(403, "Read only"), "The token must not write to tester/tiny"),
        ("preupload", answer(404, "Repository not found"), "The Hub has no repository tester/tiny"),
        ("lfs_put", answer(507, "Insufficient storage"), "The Hub has no room for the files (HTTP 507"),
        ("lfs_batch", answer(413, "Too large"), "The Hub has no room for the files (HTTP 413"),
        ("commit", answer(403, "Private storage quota exceeded"), "The Hub has no room for the files (HTTP 403"),
        ("validate_yaml", answer(400, "license: not known"), "license: not known"),
        ("lfs_put", cut, "The connection to the Hub broke"),
        ("commit", cut, "The connection to the Hub broke"),
    ],
)
def test_refusals_leave_the_page_as_it_was(hub, api, make_files, name, reply, message):
    old, new = make_files("old"), make_files("new")
    push_page(api, SETTINGS, old, "message")
    handler = hub.server.RequestHandlerClass
    setattr(handler, name, reply)
    with pytest.raises(Exception) as error:  # noqa: PT011 the errors of the client have no other common class
        push_page(api, SETTINGS, new, "message")
    said = describe_hub_error(error.value, KEY[1])
    assert message in said, said
    assert "\n" not in said
    assert files_on(hub) == contents(old)
    delattr(handler, name)
    push_page(api, SETTINGS, new, "message")
    assert files_on(hub) == contents(new)


@pytest.mark.slow
def test_killed_at_any_moment_the_page_is_the_old_or_the_new_one(hub, api, make_files):
    old, new = make_files("old"), make_files("new")
    fork = multiprocessing.get_context("fork")  # a new process would take seconds to import torch
    handler = hub.server.RequestHandlerClass
    handle = handler.handle_any
    state = {"count": 0, "deadline": None, "after": False, "process": None}

    def kill_in_time(self):
        state["count"] += 1
        now = state["count"] == state["deadline"]
        if now and not state["after"]:
            os.kill(state["process"].pid, signal.SIGKILL)
        handle(self)
        if now and state["after"]:
            os.kill(state["process"].pid, signal.SIGKILL)

    for verb in ("GET", "HEAD", "POST", "PUT"):
        setattr(handler, f"do_{verb}", kill_in_time)

    def push(files, deadline, after):
        state.update(count=0, deadline=deadline, after=after)
        state["process"] = fork.Process(target=push_page, args=(api, SETTINGS, files, "message"))
        state["process"].start()
        state["process"].join(60)
        return state["process"].exitcode

    assert push(old, None, False) == 0
    first = hub.repos[KEY].refs["main"]
    assert push(new, None, False) == 0
    num_requests, outcomes = state["count"], set()
    assert num_requests >= 6
    chance = random.Random(0)
    for deadline in range(1, num_requests + 1):
        hub.repos[KEY].refs["main"] = first
        hub.lfs.clear()
        code = push(new, deadline, chance.random() < 0.5)
        assert code == -signal.SIGKILL
        assert files_on(hub) in (contents(old), contents(new)), f"a mix after request {deadline}"
        outcomes.add(files_on(hub) == contents(new))
    assert False in outcomes
    assert push(new, None, False) == 0
    assert files_on(hub) == contents(new)
