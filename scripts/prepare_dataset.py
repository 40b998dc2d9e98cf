# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Turn an official release into a data set folder that `datasets.load_dataset` reads, and push it to the Hub.

    python scripts/prepare_dataset.py cityscapes leftImg8bit_trainvaltest.zip gtFine_trainvaltest.zip --output FOLDER
    python scripts/prepare_dataset.py ade20k ADEChallengeData2016.zip --output FOLDER [--push_to_hub USER/NAME]

In place of archives it takes folders with the same tree. Every image and every annotation is read and checked on the
way. The folder is the same, byte for byte, however often it is made. After an interruption the same command goes on
where it stopped, and with a finished folder it only pushes.
"""

import argparse
import functools
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.utils import validate_repo_id

from paumer_hf.data.dataset_card import PROVENANCES, sharing_notice
from paumer_hf.data.dataset_folder import SHARD_BYTES, write_dataset_folder
from paumer_hf.data.official_releases import open_release


def check_repository(api: HfApi, repo_id: str, private: bool) -> None:
    """Refuse what could not be pushed, or would be seen by everybody, before the work is done.

    Raises:
        ValueError: If that is so.
    """
    try:
        validate_repo_id(repo_id)
        api.whoami()
        is_public = api.repo_exists(repo_id, repo_type="dataset") and not api.dataset_info(repo_id).private
    except Exception as error:  # the errors of the client have no other common class
        raise ValueError(f"--push_to_hub {repo_id} cannot be reached: {one_line(error)}") from error
    if private and is_public:
        raise ValueError(
            f"--push_to_hub {repo_id} is there and public; make it private in its settings, name another, or say"
            " --private false."
        )


def push(api: HfApi, folder: Path, repo_id: str, private: bool) -> str:
    """Upload a finished folder in one commit; what it has no longer is removed from `data`. Returns the address.

    Raises:
        ValueError: If the Hub refuses it or cannot be reached.
    """
    names = [line.partition("  ")[2] for line in (folder / "checksums.sha256").read_text().splitlines()]
    try:
        url = api.create_repo(repo_id, repo_type="dataset", private=private, exist_ok=True)
        api.upload_folder(
            repo_id=repo_id,
            repo_type="dataset",
            folder_path=folder,
            commit_message=f"Upload {folder.name}",
            allow_patterns=[*names, "checksums.sha256"],
            delete_patterns=["data/*"],
        )
    except Exception as error:  # the errors of the client have no other common class
        raise ValueError(
            f"--push_to_hub {repo_id} failed: {one_line(error)} The folder is finished; the same command pushes again."
        ) from error
    return str(url)


def one_line(error: BaseException) -> str:
    """The message of an error, without its line breaks."""
    return " ".join(str(error).split()) or type(error).__name__


def main() -> None:
    """Read the arguments, write the folder, push it where that is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0], epilog=__doc__.rpartition("\n\n")[2], allow_abbrev=False
    )
    parser.add_argument("dataset", choices=sorted(PROVENANCES), help="what the release is of")
    parser.add_argument("release", nargs="+", help="archives as they are downloaded, or folders with their tree")
    parser.add_argument("--output", type=Path, required=True, help="new folder")
    parser.add_argument("--shard_bytes", type=int, default=SHARD_BYTES, help="size of a shard in bytes, about")
    parser.add_argument("--allow_missing_splits", action="store_true", help="write a release that lacks a split")
    parser.add_argument("--push_to_hub", metavar="REPO_ID", help="data set repository to push to, made if need be")
    parser.add_argument("--private", choices=["true", "false"], default="true", help="of a repository that is made")
    arguments = parser.parse_args()
    api, repo_id, private = HfApi(), arguments.push_to_hub, arguments.private == "true"
    notice = sharing_notice(arguments.dataset)
    options = {name: getattr(arguments, name) for name in ("shard_bytes", "allow_missing_splits")}
    try:
        if repo_id is not None:
            check_repository(api, repo_id, private)
        with open_release(arguments.dataset, arguments.release) as release:
            folder = write_dataset_folder(
                release, arguments.output, **options, say=functools.partial(print, flush=True)
            )
        print(folder)
        if notice is not None:
            print(f"NOTICE: {notice}")
        if repo_id is not None:
            print(f"pushed to {push(api, folder.path, repo_id, private)}{' (private)' if private else ''}")
    except (ValueError, OSError, KeyboardInterrupt) as error:
        raise SystemExit(f"prepare_dataset.py: {one_line(error)}") from error


if __name__ == "__main__":
    main()
