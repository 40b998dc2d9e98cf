# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What a stranger gets from a page is compared with what was published."""

import subprocess

import pytest
import torch
from PIL import Image

from paumer_hf.hub import clean_process
from paumer_hf.hub.checkpoint_check import check_checkpoint
from paumer_hf.hub.clean_process import compare_in_clean_process
from paumer_hf.hub.remote_code import write_remote_code


def _compare(monkeypatch, status, said):
    """What is raised where the new process ends with a status and says something."""
    ended = subprocess.CompletedProcess([], status, "", said)
    monkeypatch.setattr(clean_process.subprocess, "run", lambda *arguments, **options: ended)
    with pytest.raises(ValueError, match=r"^In a clean process") as error:
        compare_in_clean_process("a/b", "c0ffee", Image.new("RGB", (2, 2)), {"dense": torch.zeros(1)}, True)
    return str(error.value)


def test_what_cannot_be_loaded_is_not_taken_for_other_logits(monkeypatch):
    start = "In a clean process, with this package, a/b at c0ffee "
    said = _compare(monkeypatch, 1, "a warning\nOSError: We couldn't connect. Check your connection.\n")
    assert said == start + "cannot be loaded or run: OSError: We couldn't connect. Check your connection."
    assert _compare(monkeypatch, -9, "") == start + "cannot be loaded or run: exit status -9."
    said = _compare(monkeypatch, 3, "as dense they differ by up to 2.0e-01")
    assert said == start + "gives other logits than the folder: as dense they differ by up to 2.0e-01."


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_with_and_without_the_package(make_checkpoint, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    folder = make_checkpoint(tmp_path / "model")
    checked = check_checkpoint(folder)
    compare_in_clean_process(str(folder), "main", checked.image, checked.logits, with_package=True)

    with pytest.raises(
        ValueError, match=r"In a clean process, without this package, .*model at main cannot be loaded or run: \w+: "
    ):
        compare_in_clean_process(str(folder), "main", checked.image, checked.logits, with_package=False)
    for path in write_remote_code(checked.model, checked.processor, folder, tmp_path / "code").values():
        path.rename(folder / path.name)
    compare_in_clean_process(str(folder), "main", checked.image, checked.logits, with_package=False)

    other = {**checked.logits, "preset slow": checked.logits["preset slow"] + torch.tensor(1e-3)}
    with pytest.raises(ValueError, match=r"gives other .* as preset slow they differ by up to 1.0e-03\.$"):
        compare_in_clean_process(str(folder), "main", checked.image, other, with_package=True)
    other = {**checked.logits, "dense": checked.logits["dense"][..., :-1].contiguous()}
    with pytest.raises(
        ValueError, match=r"gives other .* as dense they have the shape \(1, 3, 5, 6\), not \(1, 3, 5, 5\)\."
    ):
        compare_in_clean_process(str(folder), "main", checked.image, other, with_package=True)

    (folder / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(ValueError, match=r"cannot be loaded or run: SafetensorError: .*[^.]\.$"):
        compare_in_clean_process(str(folder), "main", checked.image, checked.logits, with_package=True)
