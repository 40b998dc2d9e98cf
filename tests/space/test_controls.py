# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What needs no browser; tests/scripts/test_space.py uses the controls themselves."""

import re

import pytest

from paumer_hf.space.controls import CONTROL_STYLE, REVEAL, SCRIPT
from paumer_hf.space.interface import build_interface, launch_options
from paumer_hf.space.pictures import Picture


def test_style_and_script_are_about_parts_of_the_page(demonstration, photograph):
    pytest.importorskip("gradio", reason="the page needs Gradio, the extra `space`")
    blocks = build_interface(demonstration, [("a", Picture(photograph()))], "streets")
    parts = {part["props"].get("elem_id") for part in blocks.config["components"]}
    named = set(re.findall(r"""getElementById\("(\w+)"|#([a-z]+)\b""", CONTROL_STYLE + SCRIPT))
    names = {name for pair in named for name in pair if name}
    assert names == {"examples", "upload", "choice", "target", "message"}
    assert names < parts
    assert CONTROL_STYLE in launch_options()["css"]
    assert launch_options()["js"] == SCRIPT


def test_brackets_are_closed():
    for text in (CONTROL_STYLE, SCRIPT, REVEAL):
        for left, right in ("{}", "()", "[]"):
            assert text.count(left) == text.count(right)


def test_the_event_calls_what_the_script_defines():
    (name,) = re.findall(r"window\.(\w+)\?\.\(\)", REVEAL)
    assert f"window.{name} = " in SCRIPT
