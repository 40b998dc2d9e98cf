# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What a search has measured, kept so that one that was interrupted, or that asks for more, measures nothing twice.

It is a SQLite file: each group of timings and each image is written in a transaction of its own, so that a process
that is killed leaves whole entries only.
"""

import contextlib
import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from paumer_hf import PauseConfig


_TABLES = {
    "conditions": "name TEXT PRIMARY KEY, value TEXT NOT NULL",
    "timings": "pause_config TEXT, kind TEXT, value TEXT NOT NULL, PRIMARY KEY (pause_config, kind)",
    "counts": "pause_config TEXT, image INTEGER, counts BLOB NOT NULL, PRIMARY KEY (pause_config, image)",
}

# The version of the file's format.
_FORMAT = 1

# What SQLite calls troubles with the place of a file, not with its contents.
_TROUBLES = ("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_IOERR", "SQLITE_FULL", "SQLITE_PERM")


class SearchStore:
    """The timings of pause configurations and their counts of each image.

    While it is open no other process can use the file: two searches would measure the same twice.

    Args:
        path: The file; made if it is missing.
        conditions: What the measurements hold under, of JSON values.

    Raises:
        ValueError: If the file is none of a search, or its measurements were made under other conditions.
        OSError: If the file cannot be read and written, or another search uses it.
    """

    def __init__(self, path: str | Path, conditions: Mapping[str, Any]) -> None:
        self._path = Path(path)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(f"The folder {self._path.parent} cannot be made: {error}. Name another output.") from None
        given = {name: json.dumps(value, sort_keys=True) for name, value in conditions.items()}
        with self._explained():
            self._connection = sqlite3.connect(self._path, timeout=1.0)
        try:
            with self._explained():
                known = self._open(given)
            self._check_conditions(known, given)
        except BaseException:
            self._connection.close()
            raise

    def _open(self, given: Mapping[str, str]) -> dict[str, str]:
        """Make the tables if there are none, all or nothing, and return the conditions that the file holds."""
        self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._connection.execute("BEGIN EXCLUSIVE")
        with self._connection:
            listed = self._connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            tables = {name for (name,) in listed}
            if not tables:
                for name, columns in _TABLES.items():
                    self._connection.execute(f"CREATE TABLE {name} ({columns})")
                self._connection.execute(f"PRAGMA user_version = {_FORMAT}")
            elif tables != _TABLES.keys():
                raise sqlite3.DatabaseError(f"it has the tables {', '.join(sorted(tables))}")
            known = dict(self._connection.execute("SELECT name, value FROM conditions"))
            if not known:
                self._connection.executemany("INSERT INTO conditions VALUES (?, ?)", given.items())
            ((found,),) = self._connection.execute("PRAGMA user_version")
            if found != _FORMAT:
                raise sqlite3.DatabaseError(f"its format {found} is unknown to this version of paumer_hf")
        return known or dict(given)

    def _check_conditions(self, known: Mapping[str, str], given: Mapping[str, str]) -> None:
        differing = [name for name in {**given, **known} if given.get(name) != known.get(name)]
        if differing:
            name = differing[0]
            raise ValueError(
                f"{self._path} holds measurements with {name} = {known.get(name)}, but now {name} = {given.get(name)}:"
                " name another output folder, or remove the file to measure anew."
            )

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> "SearchStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    def add_timings(self, kind: str, timings: Mapping[PauseConfig, Any]) -> None:
        """Keep timings, all or none of them.

        Args:
            kind: Of which measurement they are.
            timings: Values that JSON can hold.
        """
        rows = [(key_of(config), kind, json.dumps(value)) for config, value in timings.items()]
        with self._explained(), self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO timings VALUES (?, ?, ?)", rows)

    def timing(self, kind: str, pause_config: PauseConfig) -> Any | None:
        """Return the timing of a configuration, None if there is none."""
        query = "SELECT value FROM timings WHERE pause_config = ? AND kind = ?"
        with self._explained():
            found = self._connection.execute(query, (key_of(pause_config), kind)).fetchone()
        return None if found is None else json.loads(found[0])

    def add_counts(self, image: int, pause_configs: Sequence[PauseConfig], counts: np.ndarray) -> None:
        """Keep the counts `(configurations, 3, num_labels)` of an image, all or none of them."""
        rows = [
            (key_of(pause_config), image, _pack(part))
            for pause_config, part in zip(pause_configs, counts, strict=True)
        ]
        with self._explained(), self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO counts VALUES (?, ?, ?)", rows)

    def counted_images(self, pause_config: PauseConfig) -> set[int]:
        """Return the images of which there are counts."""
        query = "SELECT image FROM counts WHERE pause_config = ?"
        with self._explained():
            return {image for (image,) in self._connection.execute(query, (key_of(pause_config),))}

    def counts(self, pause_config: PauseConfig, images: Iterable[int]) -> np.ndarray:
        """Return the counts `(images, 3, num_labels)` of images in their order.

        Raises:
            KeyError: If an image has not been counted.
        """
        query = "SELECT image, counts FROM counts WHERE pause_config = ?"
        with self._explained():
            found = dict(self._connection.execute(query, (key_of(pause_config),)))
        return np.stack([_unpack(found[image]) for image in images])

    def any_counts(self) -> tuple[int, np.ndarray] | None:
        """Return one image with its counts `(3, num_labels)` under some configuration; None if there is none."""
        with self._explained():
            found = self._connection.execute("SELECT image, counts FROM counts LIMIT 1").fetchone()
        return None if found is None else (found[0], _unpack(found[1]))

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Say in one sentence what is wrong with the file."""
        try:
            yield
        except sqlite3.Error as error:
            kind = getattr(error, "sqlite_errorname", "")
            if kind.startswith("SQLITE_BUSY"):
                raise OSError(
                    f"{self._path} is in use by another search. Wait for its end, or name another output folder."
                ) from None
            if kind.startswith(_TROUBLES):
                raise OSError(
                    f"{self._path} cannot be read and written: {error}. Make room and allow it, or name another "
                    "output folder."
                ) from None
            raise ValueError(
                f"{self._path} is not the file of a search: {error}. Name another output folder."
            ) from None


def _pack(counts: np.ndarray) -> bytes:
    """An image has a few of many classes: most of its counts are zeros, which compression takes away."""
    return zlib.compress(np.asarray(counts, dtype="<i8").tobytes(), level=1)


def _unpack(packed: bytes) -> np.ndarray:
    return np.frombuffer(zlib.decompress(packed), dtype="<i8").reshape(3, -1)


def key_of(pause_config: PauseConfig) -> str:
    """Return the text by which a configuration is found again."""
    return json.dumps(pause_config.to_dict(), sort_keys=True)


__all__ = ["SearchStore", "key_of"]
