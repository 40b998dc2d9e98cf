# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import fractions

import numpy as np
import pytest
import torch
from torch.serialization import add_safe_globals, clear_safe_globals, get_safe_globals

from paumer_hf.conversion.pickle_stand_ins import stand_ins


def load(path):
    with stand_ins():
        return torch.load(path, weights_only=True)


def test_numbers_and_arrays_become_plain_values(tmp_path):
    content = {
        "scalar": np.float64(0.25),
        "array": np.arange(6, dtype=np.int16).reshape(2, 3),
        "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "big": np.array([1.5, 2.5], dtype=">f4"),
    }
    torch.save(content, tmp_path / "file.pth")
    assert load(tmp_path / "file.pth") == {
        "scalar": 0.25,
        "array": [[0, 1, 2], [3, 4, 5]],
        "columns": [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]],
        "big": [1.5, 2.5],
    }


def test_what_the_program_has_allowed_is_suspended_and_restored(tmp_path):
    torch.save({"half": fractions.Fraction(1, 2)}, tmp_path / "file.pth")
    before = get_safe_globals()
    try:
        add_safe_globals([fractions.Fraction])
        with pytest.raises(Exception, match=r"fractions\.Fraction"):
            load(tmp_path / "file.pth")
        assert fractions.Fraction in get_safe_globals()
    finally:
        clear_safe_globals()
        add_safe_globals(before)
