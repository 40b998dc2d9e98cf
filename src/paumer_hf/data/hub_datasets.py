# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Data sets on the Hub: how the known copies of registered ones differ, and which commit a revision means."""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingface_hub import HfApi, constants
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import repo_folder_name

from paumer_hf.data import ade20k, cityscapes


if TYPE_CHECKING:
    from paumer_hf.data.dataset_descriptions import DatasetDescription

COMMIT = re.compile(r"[0-9a-f]{40}")
TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class HubDataset:
    """A copy of a registered data set on the Hub.

    Args:
        name: name of the registered data set.
        fields: fields of `DatasetDescription` that differ from the registered one's.
    """

    name: str
    fields: Mapping[str, Any]


_LABEL_IDS = {
    "id_column": None,
    "annotation_column": "semantic_segmentation",
    "label_mapping": cityscapes.LABEL_MAPPING,
    "ignored_values": cityscapes.IGNORED_VALUES,
}

HUB_DATASETS: dict[str, HubDataset] = {
    "merve/scene_parse_150": HubDataset(
        "ade20k",
        {"id_column": None, "label_mapping": ade20k.LABEL_MAPPING, "ignored_values": ade20k.IGNORED_VALUES},
    ),
    "Chris1/cityscapes": HubDataset("cityscapes", _LABEL_IDS),
    "Chris1/cityscapes_segmentation": HubDataset("cityscapes", {**_LABEL_IDS, "annotation_channel": 0}),
}
"""Known copies by Hub id. They are their uploaders' own, so what is read is checked against what stands here."""

SCRIPTS = {"scene_parse_150": "merve/scene_parse_150", "zhoubolei/scene_parse_150": "merve/scene_parse_150"}
"""Hub ids of data sets that are made by a script, which `datasets` runs no more, and where the same data is."""


def check_loadable(path: str) -> None:
    """Refuse the Hub id of a script.

    Raises:
        ValueError: If `path` is one.
    """
    if path in SCRIPTS and not Path(path).exists():
        raise ValueError(
            f"'{path}' is a data set made by a script, which the library `datasets` refuses to run from version 4 on;"
            f" take '{SCRIPTS[path]}', which has the same data as files."
        )


def describe_source(description: "DatasetDescription", path: str | None) -> "DatasetDescription":
    """Describe a registered data set as it lies at a known Hub id.

    Args:
        description: the data set.
        path: folder or Hub id that it is read from.

    Returns:
        The description with the fields that differ there, for example the column of the label maps; those that the
        description has no default in are the user's and stay. At any other path, the description as it is.

    Raises:
        ValueError: If the Hub id is that of a script.
    """
    if path is None:
        return description
    check_loadable(path)
    hub_dataset = HUB_DATASETS.get(path)
    if hub_dataset is None or hub_dataset.name != description.name:
        return description

    defaults = {entry.name: entry.default for entry in dataclasses.fields(description)}
    fields = {
        name: value for name, value in hub_dataset.fields.items() if getattr(description, name) == defaults[name]
    }
    if "label_mapping" not in fields:
        # What is ignored belongs to the mapping.
        fields.pop("ignored_values", None)
    return dataclasses.replace(description, path=path, **fields)


def resolve_revision(path: str, revision: str | None = None) -> str | None:
    """Find out which commit of a Hub data set a revision means now, so that it can be asked for again later.

    Args:
        path: folder or Hub id.
        revision: commit, tag or branch; None is the main branch.

    Returns:
        The commit, 40 hexadecimal digits; None for a folder. In offline mode it is that of the newest download.

    Raises:
        ValueError: If the Hub has no such data set or revision, or does not let this user read it.
        ConnectionError: If the Hub cannot be asked, or in offline mode nothing was downloaded before.
    """
    if _is_local(path):
        return None
    if revision is not None and COMMIT.fullmatch(revision):
        return revision
    try:
        return HfApi().dataset_info(path, revision=revision, timeout=TIMEOUT_SECONDS).sha
    except OfflineModeIsEnabled:
        return _downloaded_commit(path, revision or constants.DEFAULT_REVISION)
    except HFValidationError as error:
        raise ValueError(f"'{path}' is neither an existing folder nor a Hub id, 'owner/name'; correct it.") from error
    except GatedRepoError as error:
        raise ValueError(
            f"the Hub data set '{path}' is open only to users who were given access; ask for it at"
            f" {constants.ENDPOINT}/datasets/{path} and log in with `hf auth login`."
        ) from error
    except RepositoryNotFoundError as error:
        raise ValueError(
            f"'{path}' is neither an existing folder nor a data set that the Hub shows this user; correct it, or log"
            " in with `hf auth login` if it is private."
        ) from error
    except RevisionNotFoundError as error:
        raise ValueError(
            f"the Hub data set '{path}' has no revision '{revision}'; name a commit, tag or branch that it has, or"
            " leave the revision out for its main branch."
        ) from error
    # The Hub's client passes on the errors of the HTTP library, which differs between its versions.
    except Exception as error:
        if getattr(getattr(error, "response", None), "status_code", None) == 401:
            raise ValueError(
                f"the Hub refuses the access token that is set, so '{path}' cannot be read; log in anew with"
                " `hf auth login`, or correct HF_TOKEN."
            ) from error
        cause = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConnectionError(
            f"the Hub cannot be asked for the commit of '{path}' ({cause}); try again, set HF_HUB_OFFLINE=1 to take"
            " what was downloaded before, or give the commit as revision."
        ) from error


def _is_local(path: str) -> bool:
    place = Path(path).expanduser()
    return place.exists() or place.is_absolute() or path.startswith((".", "~"))


def _downloaded_commit(path: str, revision: str) -> str:
    """The commit that a tag or branch meant when a file of it was downloaded last."""
    folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=path, repo_type="dataset")
    try:
        commit = (folder / "refs" / revision).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        commit = ""
    if COMMIT.fullmatch(commit):
        return commit
    raise ConnectionError(
        f"offline mode is set, and the cache {constants.HF_HUB_CACHE} does not say which commit the revision"
        f" '{revision}' of '{path}' is; download the data set first, or give the commit as revision."
    )


__all__ = ["HUB_DATASETS", "SCRIPTS", "HubDataset", "check_loadable", "describe_source", "resolve_revision"]
