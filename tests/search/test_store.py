# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the file that keeps what a search has measured."""

import sqlite3

import numpy as np
import pytest

from paumer_hf import PauseConfig
from paumer_hf.search.store import SearchStore


DENSE, PAUSED, RANDOM = PauseConfig(), PauseConfig({1: 0.5}), PauseConfig({1: 0.5}, criterion="random", seed=3)
CONDITIONS = {"weights": "abc", "num_images": 3, "sides": (2, 3)}
COUNTS = np.random.default_rng(0).integers(0, 2**40, (2, 3, 150))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "search.sqlite"


@pytest.fixture
def other_database(path):
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE songs (name TEXT)")
    connection.close()
    return path


def test_what_is_kept_is_found_again_by_another_process(path):
    with SearchStore(path, CONDITIONS) as store:
        store.add_timings("sweep", {PAUSED: {"speedup": 1.5}, DENSE: [1, 2]})
        store.add_counts(2, [PAUSED, RANDOM], COUNTS)
        store.add_counts(0, [RANDOM], COUNTS[:1])
    with SearchStore(path, {**CONDITIONS, "sides": [2, 3]}) as store:
        assert store.timing("sweep", PAUSED) == {"speedup": 1.5}
        assert store.timing("sweep", DENSE) == [1, 2]
        assert store.timing("sweep", RANDOM) is None
        assert store.timing("confirmation", PAUSED) is None
        assert store.counted_images(RANDOM) == {0, 2}
        assert store.counted_images(DENSE) == set()
        np.testing.assert_array_equal(store.counts(RANDOM, [2, 0]), np.stack([COUNTS[1], COUNTS[0]]))
        image, counts = store.any_counts()
        np.testing.assert_array_equal(counts, {2: COUNTS[0], 0: COUNTS[0]}[image])
        with pytest.raises(KeyError):
            store.counts(PAUSED, [0, 2])


def test_a_new_store_has_nothing(path):
    with SearchStore(path, CONDITIONS) as store:
        assert store.any_counts() is None
        assert store.path == path


def test_an_entry_is_whole_or_not_there(path):
    with SearchStore(path, CONDITIONS) as store:
        with pytest.raises(ValueError, match="zip"):
            store.add_counts(0, [PAUSED, RANDOM, DENSE], COUNTS)
        with pytest.raises(TypeError):
            store.add_timings("sweep", {PAUSED: 1, RANDOM: object()})
        store._connection.execute(
            "CREATE TRIGGER fails BEFORE INSERT ON counts WHEN NEW.image = 1 AND NEW.pause_config LIKE '%random%' "
            "BEGIN SELECT RAISE(ABORT, 'broken'); END"
        )
        with pytest.raises(ValueError, match="broken"):
            store.add_counts(1, [PAUSED, RANDOM], COUNTS)
        assert store.counted_images(PAUSED) == store.counted_images(RANDOM) == set()
        assert store.timing("sweep", PAUSED) is None


def test_counts_of_few_classes_take_little_room(path):
    counts = np.zeros((1, 3, 150), dtype=np.int64)
    counts[:, :, [4, 17, 90]] = 12345
    with SearchStore(path, CONDITIONS) as store:
        for image in range(100):
            store.add_counts(image, [PAUSED], counts)
        np.testing.assert_array_equal(store.counts(PAUSED, range(100)), np.repeat(counts, 100, 0))
    assert path.stat().st_size < counts.nbytes * 100 / 4


def test_other_conditions_are_refused_and_change_nothing(path):
    SearchStore(path, CONDITIONS).close()
    before = path.read_bytes()
    for changed in ({**CONDITIONS, "weights": "abx"}, {"num_images": 3, "sides": (2, 3)}, {**CONDITIONS, "new": 1}):
        with pytest.raises(ValueError, match=r"holds measurements with (weights|new) = .*, but now .*another output"):
            SearchStore(path, changed)
    assert path.read_bytes() == before


def test_what_is_no_store_is_refused_and_left_alone(path, other_database):
    for content in (None, b"some text that is no database, and long enough for a header" * 20):
        if content is not None:
            path.write_bytes(content)
        before = path.read_bytes()
        with pytest.raises(ValueError, match=r"search\.sqlite is not the file of a search: .*Name another output"):
            SearchStore(path, CONDITIONS)
        assert path.read_bytes() == before


def test_a_format_of_a_newer_version_is_refused(path):
    with SearchStore(path, CONDITIONS) as store:
        store._connection.execute("PRAGMA user_version = 2")
    with pytest.raises(ValueError, match="its format 2 is unknown"):
        SearchStore(path, CONDITIONS)


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OSError, match=r"The folder .*file cannot be made: .*Name another output"):
        SearchStore(tmp_path / "file" / "search.sqlite", CONDITIONS)
    (tmp_path / "search.sqlite").mkdir()
    with pytest.raises(OSError, match=r"search\.sqlite cannot be read and written: unable to open"):
        SearchStore(tmp_path / "search.sqlite", CONDITIONS)


def test_two_searches_do_not_share_a_file(path):
    with SearchStore(path, CONDITIONS), pytest.raises(OSError, match="in use by another search"):
        SearchStore(path, CONDITIONS)
    SearchStore(path, CONDITIONS).close()
