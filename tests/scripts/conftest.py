# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Running scripts as a user would, without the price of a new process."""

import runpy
import sys
from pathlib import Path

import pytest
from accelerate.state import AcceleratorState, PartialState


SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture
def run_script(monkeypatch):
    """A function that runs a script with arguments in this process, with fresh accelerate state."""

    def run(name: str, *arguments: object) -> None:
        AcceleratorState._reset_state(reset_partial_state=True)
        PartialState._reset_state()
        monkeypatch.setattr(sys, "argv", [name, *(str(argument) for argument in arguments)])
        runpy.run_path(str(SCRIPTS / name), run_name="__main__")

    return run
