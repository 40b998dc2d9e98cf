# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import pytest

from paumer_hf.files import atomic_path


def test_replaces_a_file_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "table.md"
    for text in ("first", "second"):
        with atomic_path(path) as temporary:
            assert temporary.suffix == ".md"
            temporary.write_text(text)
            assert not path.exists() or path.read_text() == "first"
        assert path.read_text() == text
    assert [entry.name for entry in path.parent.iterdir()] == ["table.md"]


def test_a_failure_keeps_the_old_file_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "table.md"
    path.write_text("old")

    def write_half():
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["table.md"]
