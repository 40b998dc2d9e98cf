# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""From an official release to a folder that `datasets.load_dataset` reads and that can be pushed to the Hub as it is.

The folder is a function of the release and the size of a shard: the same bytes however often it is made, and however
often the making was interrupted. It grows in a partial folder beside its place, shard by shard, and is moved there in
one step when it is whole.
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import PIL
from tqdm import tqdm

from paumer_hf.data.dataset_card import SplitSize, get_provenance, make_card
from paumer_hf.data.dataset_shards import Shard, plan_shards, write_shard
from paumer_hf.data.official_releases import OfficialRelease
from paumer_hf.files import atomic_path


SPLITS = ("train", "validation")
SHARD_BYTES = 500_000_000
"""Size of a shard in bytes, about: as the Hub has them, and little to write again after a kill."""

FORMAT = 1
"""Raised when the same release gives other bytes."""

# What is written may be a little larger than what is read: annotations are encoded anew, files have indices.
DISK_MARGIN = 1.05

CHECKSUMS, PREPARATION, PROGRESS = "checksums.sha256", "preparation.json", "progress.json"


@dataclass(frozen=True)
class DatasetFolder:
    """A finished folder.

    Attributes:
        path: The folder.
        splits: Number of samples of each split.
        num_shards: Number of its shards.
        num_kept: How many of them were there already, from an earlier run.
    """

    path: Path
    splits: Mapping[str, int]
    num_shards: int
    num_kept: int

    def __str__(self) -> str:
        """The folder for people."""
        counts = " and ".join(f"{count} {split}" for split, count in self.splits.items())
        shards = f"{self.num_shards} shard{'' if self.num_shards == 1 else 's'}"
        kept = f", {self.num_kept} of them from before" if self.num_kept else ""
        return f"{self.path}: {counts} samples in {shards}{kept}."


def write_dataset_folder(
    release: OfficialRelease,
    output: str | os.PathLike,
    *,
    shard_bytes: int = SHARD_BYTES,
    allow_missing_splits: bool = False,
    progress: bool = True,
    say: Callable[[str], Any] = lambda sentence: None,
) -> DatasetFolder:
    """Write the folder of a release: parquet shards, README.md, id2label.json, preparation.json, checksums.sha256.

    While it is written, everything lies in `.NAME.partial` beside it. An interruption leaves that there, and the same
    call goes on from the shards that are finished. A release that cannot be read leaves nothing.

    Args:
        release: What to write.
        output: The folder: new, empty, or the finished one of the same release.
        shard_bytes: Size of a shard in bytes, about.
        allow_missing_splits: Write a release that has only "train" or only "validation".
        progress: Show a bar where the output is a terminal.
        say: Is given a sentence when there is something to say before the end.

    Returns:
        The finished folder.

    Raises:
        ReleaseError: If a sample of the release is refused.
        ValueError: If a split is missing or `shard_bytes` is not positive.
        FileExistsError: If something else is in the folder.
        OSError: If there is no room, or a file cannot be read or written.
        KeyboardInterrupt: With a sentence on what is kept.
    """
    output = Path(output).expanduser().resolve()
    shards = _plan(release, shard_bytes, allow_missing_splits)
    preparation = _describe_preparation(release, shards, shard_bytes)
    partial = _PartialFolder(output, preparation, shards)
    if _is_finished(output, preparation, progress):
        partial.remove()  # of a run that was killed between its last two steps
        say(f"{output} is finished: it was made from this release, and its checksums fit.")
        return DatasetFolder(output, preparation["splits"], len(shards), len(shards))
    with partial.locked(), partial.kept_or_removed():
        partial.begin(say)
        _write_shards(release, shards, partial, progress, say)
        _write_documents(release, preparation, shards, partial)
        os.replace(partial.content, output)
    return DatasetFolder(output, preparation["splits"], len(shards), partial.num_kept)


def _plan(release: OfficialRelease, shard_bytes: int, allow_missing_splits: bool) -> list[Shard]:
    get_provenance(release.description.name)  # where there will be no card, no work is done
    if shard_bytes < 1:
        raise ValueError(f"shard_bytes must be positive, got {shard_bytes}; {SHARD_BYTES} is usual.")
    splits = {split: release.splits[split] for split in SPLITS if release.splits.get(split)}
    missing = [split for split in SPLITS if split not in splits]
    if missing and not (splits and allow_missing_splits):
        remedy = ", or allow_missing_splits to write what is there" if splits else ""
        raise ValueError(
            f"the release of '{release.description.name}' must have the splits {list(SPLITS)}, but has no samples of"
            f" {missing}; complete it{remedy}."
        )
    return plan_shards(splits, shard_bytes)


def _describe_preparation(release: OfficialRelease, shards: list[Shard], shard_bytes: int) -> dict[str, Any]:
    """What decides the bytes of the folder, apart from the versions of libraries."""
    counts = {split: sum(len(shard.entries) for shard in shards if shard.split == split) for split in SPLITS}
    return {
        "format": FORMAT,
        "dataset": release.description.name,
        "fingerprint": release.fingerprint,
        "shard_bytes": shard_bytes,
        "splits": {split: count for split, count in counts.items() if count},
    }


def _is_finished(output: Path, preparation: dict[str, Any], progress: bool) -> bool:
    """Whether the folder is there and whole; anything else that is there is refused."""
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return False
    found = _read_json(output / PREPARATION)
    if found is None or not (output / CHECKSUMS).is_file():
        raise FileExistsError(f"{output} is there and is no finished data set folder; name another or remove it.")
    differing = [name for name, value in preparation.items() if found.get(name) != value]
    if differing:
        raise FileExistsError(
            f"{output} was made otherwise: in its {PREPARATION} differs {', '.join(differing)}; name another folder or"
            " remove it."
        )
    lines = (output / CHECKSUMS).read_text(encoding="utf-8").splitlines()
    for line in tqdm(lines, desc="checking", unit="file", disable=None if progress else True):
        checksum, _, name = line.partition("  ")
        if not (output / name).is_file() or _sha256(output / name) != checksum:
            raise FileExistsError(f"{output / name} is missing or has changed; remove {output} and make it anew.")
    return True


class _PartialFolder:
    """Where a folder grows: its future content, a lock, and a record of each finished shard.

    Args:
        output: The future place of the content.
        preparation: What decides the content.
        shards: All shards of the content.
    """

    def __init__(self, output: Path, preparation: dict[str, Any], shards: list[Shard]) -> None:
        import pyarrow

        self.path = output.with_name(f".{output.name}.partial")
        self.content = self.path / "content"
        self.num_kept = 0
        self.records: dict[str, dict[str, Any]] = {}
        self._shards = shards
        # Other versions may encode to other bytes: no folder is made of both.
        libraries = {"pyarrow": pyarrow.__version__, "Pillow": PIL.__version__}
        self._identity = {**preparation, "libraries": libraries}

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes out; a killed process holds no lock."""
        import filelock

        self.path.mkdir(parents=True, exist_ok=True)
        try:
            lock = filelock.FileLock(self.path / ".lock", timeout=0).acquire()
        except filelock.Timeout as error:
            raise OSError(f"another process is writing to {self.path}; wait for its end.") from error
        with lock:
            yield

    @contextlib.contextmanager
    def kept_or_removed(self) -> Iterator[None]:
        """Keep the finished shards of an interruption, remove the rest: also where the release is to blame."""
        try:
            yield
        except OSError as error:
            raise OSError(f"{error}; {self._keep()}") from error
        except KeyboardInterrupt as error:
            raise KeyboardInterrupt(f"interrupted; {self._keep()}") from error
        except Exception:
            self.remove()
            raise
        self.remove()

    def _keep(self) -> str:
        if not self.records:
            self.remove()
            return "nothing is left behind."
        return (
            f"{len(self.records)} finished shards are kept in {self.path}: run the same again to go on, or remove that"
            " folder."
        )

    def remove(self) -> None:
        """Remove it with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)

    def begin(self, say: Callable[[str], Any]) -> None:
        """Take over the records of an earlier run with the same result, and remove what else lies there.

        Raises:
            OSError: If the disk has no room for the shards that are missing.
        """
        found = _read_json(self.path / PROGRESS)
        if found is not None and found.get("identity") == self._identity:
            names = [shard.name for shard in self._shards if (self.content / shard.name).is_file()]
            self.records = {name: found["records"][name] for name in names if name in found["records"]}
            say(f"going on in {self.path}: {len(self.records)} of {len(self._shards)} shards are there already.")
        elif found is not None:
            before = found.get("identity") or {}
            differing = [name for name, value in self._identity.items() if before.get(name) != value]
            say(f"starting anew: what lies in {self.path} was made otherwise, there differs {', '.join(differing)}.")
        for path in list(self.content.rglob("*")):
            if path.is_file() and path.relative_to(self.content).as_posix() not in self.records:
                path.unlink()
        self._check_space()

    def _check_space(self) -> None:
        missing = sum(shard.num_bytes for shard in self._shards if shard.name not in self.records)
        needed = round(missing * DISK_MARGIN)
        free = shutil.disk_usage(self.path).free
        if free < needed:
            raise OSError(
                f"{self.path.parent} must have {needed / 1e9:.2f} GB free, but has {free / 1e9:.2f} GB; make room or"
                " name another folder"
            )

    def has(self, shard: Shard, say: Callable[[str], Any]) -> bool:
        """Whether a shard is there from before and whole."""
        if shard.name not in self.records:
            return False
        if _sha256(self.content / shard.name) == self.records[shard.name]["sha256"]:
            self.num_kept += 1
            return True
        say(f"{shard.name} does not fit its checksum and is written again.")
        return False

    def record(self, shard: Shard, size: dict[str, int]) -> None:
        """Write down that a shard is finished."""
        path = self.content / shard.name
        self.records[shard.name] = {**size, "file_bytes": path.stat().st_size, "sha256": _sha256(path)}
        _write_json(self.path / PROGRESS, {"identity": self._identity, "records": self.records})


def _write_shards(
    release: OfficialRelease,
    shards: list[Shard],
    partial: _PartialFolder,
    progress: bool,
    say: Callable[[str], Any],
) -> None:
    """Write the shards that are not there yet."""
    for split in dict.fromkeys(shard.split for shard in shards):
        of_split = [shard for shard in shards if shard.split == split]
        total = sum(len(shard.entries) for shard in of_split)
        with tqdm(total=total, desc=split, unit="sample", disable=None if progress else True) as bar:
            for shard in of_split:
                if partial.has(shard, say):
                    bar.update(len(shard.entries))
                    continue
                samples = (release.read(entry) for entry in shard.entries)
                partial.record(shard, write_shard(samples, partial.content / shard.name, advance=bar.update))


def _write_documents(
    release: OfficialRelease, preparation: dict[str, Any], shards: list[Shard], partial: _PartialFolder
) -> None:
    """Write what stands beside the shards, the checksums of all last."""
    sizes = {}
    for split in preparation["splits"]:
        records = [partial.records[shard.name] for shard in shards if shard.split == split]
        names = ("num_examples", "num_bytes", "file_bytes")
        sizes[split] = SplitSize(*(sum(record[name] for record in records) for name in names))
    card = make_card(release.description, sizes)
    _write_text(partial.content / "README.md", card)
    _write_json(partial.content / "id2label.json", release.description.id2label)
    _write_json(partial.content / PREPARATION, preparation)

    checksums = {name: record["sha256"] for name, record in partial.records.items()}
    checksums |= {path.name: _sha256(path) for path in partial.content.iterdir() if path.is_file()}
    lines = [f"{checksum}  {name}\n" for name, checksum in sorted(checksums.items())]
    _write_text(partial.content / CHECKSUMS, "".join(lines))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_json(path: Path) -> dict[str, Any] | None:
    """A mapping from a JSON file; None where there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _write_json(path: Path, content: Mapping[Any, Any]) -> None:
    _write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _write_text(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


__all__ = ["SHARD_BYTES", "DatasetFolder", "write_dataset_folder"]
