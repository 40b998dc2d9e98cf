# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The code that goes along with a checkpoint is what transformers' own saver writes, and leaves the classes alone."""

import json

from paumer_hf import PaumerConfig, PaumerForSemanticSegmentation, PaumerImageProcessor
from paumer_hf.hub.remote_code import write_remote_code


def test_the_files_are_those_of_register_for_auto_class(make_checkpoint, tmp_path, monkeypatch):
    folder, saved, output = (tmp_path / name for name in ("model", "saved", "output"))
    make_checkpoint(folder)
    model, processor = (
        PaumerForSemanticSegmentation.from_pretrained(folder),
        PaumerImageProcessor.from_pretrained(folder),
    )
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    files = write_remote_code(model, processor, folder, output)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before

    # What the three `register_for_auto_class` set, for the length of this test.
    monkeypatch.setattr(PaumerConfig, "_auto_class", "AutoConfig")
    monkeypatch.setattr(PaumerForSemanticSegmentation, "_auto_class", "AutoModelForSemanticSegmentation")
    monkeypatch.setattr(PaumerImageProcessor, "_auto_class", "AutoImageProcessor")
    PaumerForSemanticSegmentation.from_pretrained(folder).save_pretrained(saved)
    PaumerImageProcessor.from_pretrained(folder).save_pretrained(saved)
    code = {path.name for path in saved.glob("*.py")}
    assert set(files) == code | {"config.json", "preprocessor_config.json"}
    assert "modeling_paumer.py" in code
    for name in files:
        if name in code:
            assert files[name].read_text() == (saved / name).read_text()
        else:
            assert json.loads(files[name].read_text()) == json.loads((saved / name).read_text())


def test_what_is_saved_later_carries_no_code(make_checkpoint, tmp_path):
    folder = make_checkpoint(tmp_path / "model")
    model, processor = (
        PaumerForSemanticSegmentation.from_pretrained(folder),
        PaumerImageProcessor.from_pretrained(folder),
    )
    write_remote_code(model, processor, folder, tmp_path / "code")
    assert (
        PaumerConfig._auto_class
        is PaumerForSemanticSegmentation._auto_class
        is PaumerImageProcessor._auto_class
        is None
    )
    model.save_pretrained(tmp_path / "again")
    processor.save_pretrained(tmp_path / "again")
    assert not list((tmp_path / "again").glob("*.py"))
    assert "auto_map" not in (tmp_path / "again" / "config.json").read_text()
