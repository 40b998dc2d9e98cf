# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""A path that cannot be written to is found out before anything is computed, and nothing is left there."""

import errno
import tempfile
from pathlib import Path

import pytest

from paumer_hf.export import export_onnx, export_program, onnx_export, program_export
from paumer_hf.export.output_path import check_output_path


def test_files_that_can_be_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.onnx").write_text("before")
    for path in ("old.onnx", "new.onnx", tmp_path / "a" / "b" / "new.onnx", "../new.onnx"):
        assert check_output_path(path, ".onnx") == Path(path)
    assert [path.name for path in tmp_path.iterdir()] == ["old.onnx"]
    assert (tmp_path / "old.onnx").read_text() == "before"


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("model.pt", ValueError, r"^`path` must end in \.onnx, but is model\.pt\.$"),
        ("folder.onnx", OSError, r"^folder\.onnx cannot be written, as it is a folder\. Name a file\.$"),
        (
            "file/model.onnx",
            OSError,
            r"^file/model\.onnx cannot be written, as .* made in \S+/file: Not a directory\.$",
        ),
        ("file/a/model.onnx", OSError, r"^file/a/model\.onnx cannot be written, as .*/file: Not a directory\.$"),
        ("gone/model.onnx", OSError, r"^gone/model\.onnx cannot be written, as .*/gone: No such file or directory\.$"),
    ],
)
def test_paths_that_are_refused(tmp_path, monkeypatch, path, error, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    with pytest.raises(error, match=message):
        check_output_path(path, ".onnx")


def test_a_file_system_that_cannot_be_written_to(tmp_path, monkeypatch):
    def refuse(dir):
        raise OSError(errno.EROFS, "Read-only file system", f"{dir}/tmp")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(OSError, match=rf"m\.pt2 cannot be written, .* made in {tmp_path}: Read-only file system\.$"):
        check_output_path(tmp_path / "new" / "m.pt2", ".pt2")


@pytest.mark.parametrize(
    ("export", "module", "name"),
    [(export_onnx, onnx_export, "model.onnx"), (export_program, program_export, "model.pt2")],
)
def test_exports_ask_before_they_compute(model, tmp_path, monkeypatch, export, module, name):
    def compute(*arguments):
        raise AssertionError("computes already")

    monkeypatch.setattr(module, "FixedPaumer", compute)
    if export is export_onnx:
        monkeypatch.setattr(module, "_import_exporter", dict)
    (tmp_path / name).mkdir()
    with pytest.raises(OSError, match="as it is a folder"):
        export(model, tmp_path / name)
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="Not a directory"):
        export(model, tmp_path / "file" / name)
