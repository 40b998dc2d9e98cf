# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The files of a release by name, whether they lie in a zip archive or in a folder; nothing is ever extracted."""

import errno
import os
import re
import stat
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


FILE_FAULTS = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)
"""What is wrong with a file itself; other errors of the system may be of a disk or network that fails for now."""

_ENCRYPTED = 0x1
_DRIVE = re.compile(r"[A-Za-z]:")


class ReleaseError(ValueError):
    """A release that is not as its publisher made it, or that is no release at all."""


@dataclass(frozen=True)
class ReleaseFile:
    """What is known of a file without reading it.

    Args:
        size: its length in bytes, not compressed.
        crc: its CRC-32, None in a folder, which stores none.
    """

    size: int
    crc: int | None


class ReleaseFiles(ABC):
    """Files that are listed once and read by name, by several threads or processes too.

    Args:
        path: the archive or folder.
    """

    path: Path
    files: Mapping[str, ReleaseFile]

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Read a file.

        Args:
            name: its name in `files`, with "/" between folders.

        Returns:
            Its content, as long as `files` says and with the CRC that stands there.

        Raises:
            ReleaseError: If it is not there any more, is damaged, or is not what was listed.
            OSError: If the system cannot read it now.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of open files; reading opens them again."""


class ZipFiles(ReleaseFiles):
    """Files in a zip archive, listed by its central directory.

    Args:
        path: the archive.

    Raises:
        ReleaseError: If it is no complete zip archive, or has names that lead out of it, names that stand for two
            files, links or encrypted files.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        self._opened: tuple[int, zipfile.ZipFile] | None = None
        self.files = _list_archive(self._archive(), self.path)

    def _archive(self) -> zipfile.ZipFile:
        """The archive, opened by this process: processes that share an open file would move each other's place."""
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = os.getpid(), _open_archive(self.path)
        return self._opened[1]

    def read(self, name: str) -> bytes:
        """Read a file, checking its CRC."""
        expected = self.files[name]
        archive = self._archive()
        try:
            entry = archive.getinfo(name)
            content = archive.read(entry)
        # zipfile passes on the errors of the decompressors, which have no common class.
        except Exception as error:
            if _is_of_the_system(error):
                raise
            raise ReleaseError(
                f"{self.path}: '{name}' cannot be read ({type(error).__name__}: {error}); the archive is damaged or"
                " packed by a method that Python's zipfile does not know, get it again from its publisher."
            ) from error
        if (len(content), entry.CRC) != (expected.size, expected.crc):
            raise ReleaseError(f"{self.path}: '{name}' is not what it was when the archive was opened; start again.")
        return content

    def close(self) -> None:
        """Close the archive."""
        if self._opened is not None and self._opened[0] == os.getpid():
            self._opened[1].close()
        self._opened = None

    def __getstate__(self) -> dict[str, Any]:
        """An open file cannot be sent to another process; the receiver opens its own."""
        return {**vars(self), "_opened": None}


def _open_archive(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except FILE_FAULTS as error:
        raise ReleaseError(f"{path} cannot be opened ({error}); name an archive that can be read.") from error
    # What damage leads to depends on where it is.
    except Exception as error:
        if _is_of_the_system(error):
            raise
        raise ReleaseError(
            f"{path} is no complete zip archive ({error}); a download that was cut off ends so, get it again."
        ) from error


def _is_of_the_system(error: Exception) -> bool:
    """Whether it says nothing of the archive. A place that cannot be in a file, EINVAL, is what damage leads to."""
    if isinstance(error, OSError):
        return error.errno not in (None, errno.EINVAL)
    return isinstance(error, MemoryError)


def _list_archive(archive: zipfile.ZipFile, path: Path) -> dict[str, ReleaseFile]:
    files: dict[str, ReleaseFile] = {}
    for entry in archive.infolist():
        name = entry.orig_filename
        _check_name(name, path)
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise ReleaseError(f"{path}: '{name}' is a link; only archives of plain files are read.")
        if entry.is_dir():
            continue
        if entry.flag_bits & _ENCRYPTED:
            raise ReleaseError(f"{path}: '{name}' is encrypted; pack the files again without a password.")
        if name in files:
            raise ReleaseError(f"{path}: two files have the name '{name}'; get the archive again from its publisher.")
        files[name] = ReleaseFile(entry.file_size, entry.CRC)
    return files


def _check_name(name: str, path: Path) -> None:
    """Refuse names that mean a place outside, on any system, or that systems understand differently."""
    parts = name.split("/")
    if name.startswith("/") or ".." in parts or "\\" in name or "\0" in name or _DRIVE.match(name):
        raise ReleaseError(
            f"{path}: the name {name!r} leads out of the archive; names must be relative, with '/' between folders and"
            " without '..'. Get the archive again from its publisher."
        )


class FolderFiles(ReleaseFiles):
    """Files in some folders of a folder.

    Those folders may be links, as the user put them there; below them, a link must point to a file in the same folder.

    Args:
        path: the folder.
        subfolders: what to list of it, with "/" between folders; what is not there is left out.

    Raises:
        ReleaseError: If a link points out of its folder or to another folder, or if a folder cannot be listed.
    """

    def __init__(self, path: str | os.PathLike, subfolders: Sequence[str]) -> None:
        self.path = Path(path)
        self.files = {}
        for subfolder in subfolders:
            top = self.path / subfolder
            if top.is_dir():
                self.files |= {
                    f"{subfolder}/{name}": ReleaseFile(size, None)
                    for name, size in _list_folder(top, os.path.realpath(top))
                }

    def read(self, name: str) -> bytes:
        """Read a file."""
        try:
            content = (self.path / name).read_bytes()
        except FILE_FAULTS as error:
            raise ReleaseError(
                f"{self.path}: '{name}' cannot be read ({error}); it was there when the folder was listed, restore it."
            ) from error
        if len(content) != self.files[name].size:
            raise ReleaseError(
                f"{self.path}: '{name}' has {len(content)} bytes, but had {self.files[name].size} when the folder was"
                " listed; start again when nothing writes there any more."
            )
        return content

    def close(self) -> None:
        """Nothing is kept open."""


def _list_folder(folder: Path, top: str) -> Iterator[tuple[str, int]]:
    """Names relative to the folder, and sizes in bytes; `top` is where the listing began, links resolved."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        for entry in entries:
            if entry.is_symlink():
                _check_link(Path(entry.path), top)
            if entry.is_dir():
                yield from ((f"{entry.name}/{name}", size) for name, size in _list_folder(Path(entry.path), top))
            elif entry.is_file():
                yield entry.name, entry.stat().st_size
    except FILE_FAULTS as error:
        raise ReleaseError(f"{folder} cannot be listed ({error}); make it readable.") from error


def _check_link(link: Path, top: str) -> None:
    target = Path(os.path.realpath(link))
    if not target.is_relative_to(top) or target.is_dir():
        raise ReleaseError(
            f"{link} is a link to {target}; only links to files in {top} itself are followed. Put the real files"
            " there, or a link in place of that whole folder."
        )


__all__ = ["FolderFiles", "ReleaseError", "ReleaseFile", "ReleaseFiles", "ZipFiles"]
