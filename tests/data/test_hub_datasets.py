# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Known copies of data sets on the Hub, and commits of revisions with a Hub that answers from here."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from huggingface_hub import constants
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from paumer_hf.data import hub_datasets
from paumer_hf.data.dataset_descriptions import DATASET_DESCRIPTIONS, get_dataset_description
from paumer_hf.data.hub_datasets import HUB_DATASETS, describe_source, resolve_revision


COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize("path", sorted(HUB_DATASETS))
def test_every_known_copy_is_of_a_registered_data_set(path: str) -> None:
    hub_dataset = HUB_DATASETS[path]
    registered = DATASET_DESCRIPTIONS[hub_dataset.name]
    description = describe_source(registered, path)
    assert description == dataclasses.replace(registered, path=path, **hub_dataset.fields)
    assert set(description.label_mapping.values()) == set(range(registered.num_labels))
    assert description.ignored_values is not None
    assert description == get_dataset_description(path)
    assert describe_source(description, path) == description


def test_raw_values_of_the_copies() -> None:
    scenes = get_dataset_description("merve/scene_parse_150")
    assert (scenes.label_mapping[1], scenes.label_mapping[150], scenes.ignored_values) == (0, 149, (0,))
    streets = get_dataset_description("Chris1/cityscapes")
    assert (streets.label_mapping[7], streets.label_mapping[33], 0 in streets.ignored_values) == (0, 18, True)
    assert (streets.annotation_channel, streets.annotation_column) == (None, "semantic_segmentation")


def test_what_the_user_says_stays() -> None:
    own = get_dataset_description("cityscapes", annotation_column="fine", label_mapping={7: 0}, validation_split="val")
    description = describe_source(own, "Chris1/cityscapes_segmentation")
    assert (description.annotation_column, description.validation_split) == ("fine", "val")
    assert (description.label_mapping, description.ignored_values) == ({7: 0}, None)
    assert (description.annotation_channel, description.id_column) == (0, None)


@pytest.mark.parametrize("path", [None, "someone/cityscapes", "some/folder", "merve/scene_parse_150"])
def test_other_places_change_nothing(path: str | None) -> None:
    description = get_dataset_description("cityscapes")
    assert describe_source(description, path) is description


def test_a_script_is_refused_and_a_folder_of_its_name_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    description = get_dataset_description("ade20k")
    with pytest.raises(ValueError, match=r"'zhoubolei/scene_parse_150' .* script.*take 'merve/scene_parse_150'"):
        describe_source(description, "zhoubolei/scene_parse_150")
    (tmp_path / "zhoubolei" / "scene_parse_150").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert describe_source(description, "zhoubolei/scene_parse_150") is description


@pytest.fixture
def ask_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A function that says what the Hub answers; it returns the mock of the question."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))

    def answer(result):
        question = Mock(side_effect=result if isinstance(result, Exception) else None, return_value=result)
        monkeypatch.setattr(hub_datasets, "HfApi", lambda: SimpleNamespace(dataset_info=question))
        return question

    return answer


def error_of(kind: type) -> Exception:
    """An error of the Hub, made without the response that its versions want in different classes."""
    return kind.__new__(kind)


def test_the_hub_is_asked_for_the_commit(ask_hub) -> None:
    question = ask_hub(SimpleNamespace(sha=COMMIT))
    assert resolve_revision("owner/name") == COMMIT
    assert question.call_args.args == ("owner/name",)
    assert question.call_args.kwargs["revision"] is None
    assert resolve_revision("owner/name", "v2") == COMMIT
    assert question.call_args.kwargs["revision"] == "v2"


def test_causes_of_several_lines_become_one(ask_hub) -> None:
    ask_hub(RuntimeError("503 for url\n\n(Request ID: 1)"))
    with pytest.raises(ConnectionError, match=r"RuntimeError: 503 for url \(Request ID: 1\)\); try again"):
        resolve_revision("owner/name")


def test_nobody_is_asked_about_a_commit_or_a_folder(ask_hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    question = ask_hub(AssertionError("asked"))
    assert resolve_revision("owner/name", COMMIT) == COMMIT
    monkeypatch.chdir(tmp_path)
    (tmp_path / "owner" / "name").mkdir(parents=True)
    for path in ("owner/name", str(tmp_path), str(tmp_path / "nothing"), "./nothing", "../nothing", "~/nothing"):
        assert resolve_revision(path, "main") is None
    assert not question.called


def test_offline_the_last_download_counts(ask_hub, tmp_path: Path) -> None:
    ask_hub(OfflineModeIsEnabled("offline"))
    refs = tmp_path / "hub" / "datasets--owner--name" / "refs"
    (refs / "refs" / "pr").mkdir(parents=True)
    (refs / "main").write_text(COMMIT)
    (refs / "refs" / "pr" / "1").write_text(COMMIT[::-1])
    assert resolve_revision("owner/name") == COMMIT
    assert resolve_revision("owner/name", "main") == COMMIT
    assert resolve_revision("owner/name", "refs/pr/1") == COMMIT[::-1]


@pytest.mark.parametrize("content", [None, "", "no commit", "0123"])
def test_offline_without_a_download_is_an_error(ask_hub, tmp_path: Path, content: str | None) -> None:
    ask_hub(OfflineModeIsEnabled("offline"))
    if content is not None:
        refs = tmp_path / "hub" / "datasets--owner--name" / "refs"
        refs.mkdir(parents=True)
        (refs / "v2").write_text(content)
    with pytest.raises(ConnectionError, match=r"offline mode .* revision 'v2' of 'owner/name'.*download .* first"):
        resolve_revision("owner/name", "v2")


@pytest.mark.parametrize(
    ("kind", "raised", "message"),
    [
        (GatedRepoError, ValueError, "'owner/name' is open only to users who were given access.*hf auth login"),
        (RepositoryNotFoundError, ValueError, "'owner/name' is neither an existing folder nor .*hf auth login"),
        (RevisionNotFoundError, ValueError, "'owner/name' has no revision 'v2'; name a commit, tag or branch"),
        (HFValidationError, ValueError, "'owner/name' is neither an existing folder nor a Hub id"),
        (TimeoutError, ConnectionError, r"cannot be asked for the commit of 'owner/name' \(TimeoutError.*try again"),
        (RuntimeError, ConnectionError, "RuntimeError.*HF_HUB_OFFLINE=1"),
    ],
)
def test_what_the_hub_refuses_is_one_sentence(ask_hub, kind: type, raised: type, message: str) -> None:
    ask_hub(error_of(kind))
    with pytest.raises(raised, match=message) as caught:
        resolve_revision("owner/name", "v2")
    assert isinstance(caught.value.__cause__, kind)
    assert "\n" not in str(caught.value)


def test_a_refused_token_is_told_from_a_lost_connection(ask_hub) -> None:
    error = RuntimeError("401 Client Error")
    error.response = SimpleNamespace(status_code=401)
    ask_hub(error)
    with pytest.raises(ValueError, match=r"refuses the access token .* 'owner/name' .*hf auth login"):
        resolve_revision("owner/name")
