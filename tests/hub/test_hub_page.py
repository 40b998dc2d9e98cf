# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What a push does to a page: one commit, which removes what an older checkpoint left."""

import types

import pytest

from paumer_hf.hub.hub_page import PageSettings, push_page


class Page:
    """Stands in for the client of the Hub, and for a page."""

    def __init__(self, files=(), exists=True, private=False):
        self.files, self.exists, self.private = files, exists, private
        self.calls, self.same = [], False

    def whoami(self):
        self.calls.append("whoami")

    def repo_exists(self, repo_id):
        return self.exists

    def create_repo(self, repo_id, private, exist_ok):
        self.calls.append(f"create_repo {private}")

    def create_branch(self, repo_id, branch, exist_ok):
        self.calls.append(f"create_branch {branch}")

    def model_info(self, repo_id, revision=None):
        siblings = [types.SimpleNamespace(rfilename=name) for name in self.files]
        return types.SimpleNamespace(sha="old", private=self.private, siblings=siblings)

    def create_commit(self, repo_id, operations, **options):
        self.calls.append("create_commit")
        self.operations = {(type(operation).__name__[15:], operation.path_in_repo) for operation in operations}
        self.options = options
        return types.SimpleNamespace(oid="old" if self.same else "new", pr_url=None, commit_url="address")


@pytest.fixture
def files(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    return {"model.safetensors": tmp_path / "model.safetensors"}


def test_everything_goes_in_one_commit(files):
    left = ["model-00001-of-00002.safetensors", "model.safetensors.index.json", "modeling_paumer.py"]
    left += ["pytorch_model.bin", "pytorch_model-00001-of-00002.bin", "pytorch_model.bin.index.json"]
    kept = ["notes.md", "handler.py", "training_args.bin", "old/pytorch_model.bin", "pytorch_model.bin.md"]
    api = Page(files=[".gitattributes", "model.safetensors", *kept, *left])
    page = push_page(api, PageSettings("a/b"), files, "message")
    assert api.calls == ["whoami", "create_commit"]
    assert api.operations == {("Add", "model.safetensors"), *(("Delete", name) for name in left)}
    assert page.removed == tuple(left)
    assert api.options["parent_commit"] == "old"
    assert (page.commit, page.url, page.changed) == ("new", "address", True)


def test_the_same_page_is_not_called_changed(files):
    api = Page()
    api.same = True
    assert not push_page(api, PageSettings("a/b"), files, "message").changed


def test_what_is_missing_is_made(files):
    api = Page(exists=False)
    push_page(api, PageSettings("a/b", private=True, revision="trial"), files, "message")
    assert api.calls == ["whoami", "create_repo True", "create_branch trial", "create_commit"]
    assert api.options["revision"] == "trial"


def test_what_does_not_fit_is_refused_before_anything_is_made(files):
    for settings, api, message in [
        (PageSettings("a/b", private=True), Page(private=False), "is there and public"),
        (PageSettings("a/b", create_pr=True), Page(exists=False), "no repository a/b to propose"),
        (PageSettings("b"), Page(), "must be OWNER/NAME, but is 'b'"),
        (PageSettings("a b/c"), Page(), "a b/c"),
    ]:
        with pytest.raises(ValueError, match=message):
            push_page(api, settings, files, "message")
        assert not any(call.startswith("create") for call in api.calls)
    push_page(Page(private=True), PageSettings("a/b", private=True), files, "message")
