# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What needs no browser; tests/scripts/test_space.py drives the page itself."""

import sys
import urllib.request

import numpy as np
import pytest
from PIL import Image

from paumer_hf.space.browser import missing_for_browsing, open_page, running_app, save_screenshot


SERVER = """
import http.server, sys
print("for", sys.argv[1])
http.server.HTTPServer(("127.0.0.1", int(sys.argv[3])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


def test_an_app_runs_until_the_end_of_the_block(tmp_path):
    (tmp_path / "app.py").write_text(SERVER)
    with running_app(tmp_path / "app.py", "nothing", timeout=30) as address:
        assert urllib.request.urlopen(address).status == 200
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(address)


def test_an_app_that_ends_says_why(tmp_path):
    (tmp_path / "app.py").write_text("raise SystemExit('app.py: no model')")
    with (
        pytest.raises(RuntimeError, match=r"The app does not answer:\napp\.py: no model"),
        running_app(tmp_path / "app.py"),
    ):
        pass


def test_screenshots_are_small(tmp_path, photograph):
    gradient = Image.fromarray(np.indices((300, 300)).sum(0).astype(np.uint8)).convert("RGB")
    size = save_screenshot(gradient, tmp_path / "folder" / "page.png")
    path = tmp_path / "folder" / "page.png"
    assert path.stat().st_size == size
    with Image.open(path) as saved:
        assert saved.size == (300, 300)
        assert np.abs(np.asarray(saved.convert("RGB"), int) - np.asarray(gradient, int)).max() < 8
    noise = photograph(64, 64)
    full = save_screenshot(noise, path)
    assert save_screenshot(noise, path, full - 1) < full  # with fewer colours
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"page.png would have .* bytes with 32 colours, but at most 1,000"):
        save_screenshot(noise, path, 1000)
    assert path.read_bytes() == before


def test_what_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "selenium", None)
    monkeypatch.setitem(sys.modules, "gradio", sys)
    assert missing_for_browsing() == "the library selenium is not installed"
    with (
        pytest.raises(RuntimeError, match="because the library selenium is not installed"),
        open_page("http://127.0.0.1", 1280),
    ):
        pass
    monkeypatch.setitem(sys.modules, "selenium", sys)
    monkeypatch.setenv("PATH", "")
    assert missing_for_browsing() == "there is no chromium with chromedriver on the PATH"
