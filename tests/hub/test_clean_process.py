# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What a stranger gets from a page is compared with what was published."""

import pytest
import torch

from paumer_hf.hub.checkpoint_check import check_checkpoint
from paumer_hf.hub.clean_process import compare_in_clean_process
from paumer_hf.hub.remote_code import write_remote_code


pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_with_and_without_the_package(make_checkpoint, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    folder = make_checkpoint(tmp_path / "model")
    checked = check_checkpoint(folder)
    compare_in_clean_process(str(folder), "main", checked.image, checked.logits, with_package=True)

    with pytest.raises(ValueError, match=r"In a clean process, without this package, .*model at main does not give"):
        compare_in_clean_process(str(folder), "main", checked.image, checked.logits, with_package=False)
    for path in write_remote_code(checked.model, checked.processor, folder, tmp_path / "code").values():
        path.rename(folder / path.name)
    compare_in_clean_process(str(folder), "main", checked.image, checked.logits, with_package=False)

    other = {**checked.logits, "preset slow": checked.logits["preset slow"] + torch.tensor(1e-3)}
    with pytest.raises(ValueError, match=r"as preset slow the logits differ by up to 1.0e-03\.$"):
        compare_in_clean_process(str(folder), "main", checked.image, other, with_package=True)
