# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The page of a model on the Hub: what a push would change there, and the one commit that changes it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.utils import validate_repo_id

import paumer_hf.model
from paumer_hf.hub.checkpoint_files import INDEX_NAME, WEIGHTS


# As transformers wrote weights before safetensors, with their index.
_PICKLED_WEIGHTS = re.compile(r"pytorch_model[^/]*\.bin(\.index[^/]*\.json)?")

_CODE_NAMES = {path.name for path in Path(paumer_hf.model.__file__).parent.glob("*.py")}


@dataclass(frozen=True)
class PageSettings:
    """Where a push goes.

    Attributes:
        repo_id: The repository, OWNER/NAME.
        private: Whether it is made private, if it is made; one that is there must be private already.
        create_pr: Whether to propose the commit instead of making it.
        revision: Branch, made if it is missing; None is the main one.
    """

    repo_id: str
    private: bool = False
    create_pr: bool = False
    revision: str | None = None


@dataclass(frozen=True)
class PushedPage:
    """What came of a push.

    Attributes:
        commit: The commit that now holds the files.
        url: Address of the commit, or of the pull request.
        changed: False where the page was the same before, and nothing was committed.
        removed: Files of an older checkpoint that were removed.
    """

    commit: str
    url: str
    changed: bool
    removed: tuple[str, ...]


def push_page(api: HfApi, settings: PageSettings, files: Mapping[str, Path], message: str) -> PushedPage:
    """Upload files in one commit; the page is the old one until it is the new one.

    Weights, also pickled ones, and code of an older checkpoint that the new one does not have are removed in the same
    commit; other files of the page stay. The same files are not committed again.

    Args:
        api: Client of the Hub.
        settings: Where to.
        files: The files by their names on the page.
        message: Message of the commit.

    Raises:
        ValueError: If the repository is not as `settings` say.
        Exception: What the client raises; `describe_hub_error` puts it into words.
    """
    repo_id = settings.repo_id
    _prepare(api, settings)
    before = api.model_info(repo_id, revision=settings.revision)
    known = [sibling.rfilename for sibling in before.siblings or ()]
    removed = tuple(name for name in known if name not in files and _is_of_checkpoint(name))
    operations = [CommitOperationAdd(name, str(path)) for name, path in files.items()]
    commit = api.create_commit(
        repo_id,
        [*operations, *(CommitOperationDelete(name) for name in removed)],
        commit_message=message,
        revision=settings.revision,
        create_pr=settings.create_pr,
        parent_commit=before.sha,
    )
    return PushedPage(commit.oid, commit.pr_url or str(commit.commit_url), commit.oid != before.sha, removed)


def _prepare(api: HfApi, settings: PageSettings) -> None:
    """Make the repository and the branch where they are missing."""
    repo_id = settings.repo_id
    validate_repo_id(repo_id)
    if repo_id.count("/") != 1:
        raise ValueError(f"REPO must be OWNER/NAME, but is {repo_id!r}.")
    api.whoami()
    if not api.repo_exists(repo_id):
        if settings.create_pr:
            raise ValueError(f"There is no repository {repo_id} to propose a change to; leave --create_pr out.")
        api.create_repo(repo_id, private=settings.private, exist_ok=True)
    elif settings.private and not api.model_info(repo_id).private:
        raise ValueError(
            f"{repo_id} is there and public; make it private in its settings, name another, or leave --private out."
        )
    if settings.revision is not None and not settings.create_pr:
        api.create_branch(repo_id, branch=settings.revision, exist_ok=True)


def _is_of_checkpoint(name: str) -> bool:
    is_weights = WEIGHTS.fullmatch(name) or _PICKLED_WEIGHTS.fullmatch(name)
    return is_weights is not None or name == INDEX_NAME or name in _CODE_NAMES


__all__ = ["PageSettings", "PushedPage", "push_page"]
