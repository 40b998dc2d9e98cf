# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The demonstration as its users meet it: the app in a process of its own, the page in a headless browser."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from paumer_hf import PaumerImageProcessor, PauseConfig
from paumer_hf.model.pause_profile import PauseProfile, ProfilePoint
from paumer_hf.space.browser import missing_for_browsing, open_page, running_app


ROOT = Path(__file__).resolve().parents[2]
SPACE = ROOT / "scripts" / "space"
PRESETS = {
    "careful": PauseConfig({2: 0.25}),
    "fast": PauseConfig({1: 0.5}),
    "fastest": PauseConfig({1: 0.5, 2: 0.5}),
}
needs_browser = pytest.mark.skipif(bool(missing_for_browsing()), reason=missing_for_browsing() or "everything is here")


@pytest.fixture
def model(tiny_model, tmp_path):
    """Path of a tiny model with three presets and a profile with one configuration more."""
    tiny_model.pause_presets = dict(PRESETS)
    speedups = {PauseConfig(): 1.0, PauseConfig({3: 0.75}): 1.5, PauseConfig({1: 0.5, 2: 0.5}): 2.0}
    tiny_model.pause_profile = PauseProfile(tuple(ProfilePoint(key, speedup=value) for key, value in speedups.items()))
    tiny_model.save_pretrained(tmp_path / "model")
    PaumerImageProcessor(size_divisor=8).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def files(tmp_path):
    """A folder with right and wrong uploads."""
    folder = tmp_path / "uploads"
    folder.mkdir()
    image = Image.fromarray(np.random.default_rng(5).integers(0, 256, (40, 48, 3), dtype=np.uint8))
    image.save(folder / "right.png")
    (folder / "truncated.png").write_bytes((folder / "right.png").read_bytes()[:2000])
    (folder / "notes.txt").write_text("Not an image.")
    Image.new("1", (20_000, 20_000)).save(folder / "huge.png")
    image.save(folder / "two.gif", save_all=True, append_images=[image.rotate(90)])
    exif = Image.Exif()
    exif[0x0112] = 6
    image.resize((960, 800)).save(folder / "phone.jpg", exif=exif)
    return folder


def _maps(page, beginning):
    return [data for text, data in page.pictures().items() if text.startswith(beginning)]


def _hosts(driver):
    """The hosts that the page has asked for something."""
    sent = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    urls = [
        message["params"]["request"]["url"] for message in sent if message["method"] == "Network.requestWillBeSent"
    ]
    return {url.split("/")[2].partition(":")[0] for url in urls if url.startswith(("http", "ws"))}


@needs_browser
@pytest.mark.slow
@pytest.mark.timeout(900)  # a browser and a server on few cores
def test_the_page(model, files):
    with running_app(SPACE / "app.py", "--model", str(model), "--timed_calls", "1") as address:
        with open_page(address, 1280) as page:
            _check_choices(page)
            _check_uploads(page, files)
            _check_keyboard(page)
            assert _hosts(page.driver) == {"127.0.0.1"}
        with open_page(address, 390) as page:
            assert page.driver.execute_script("return document.documentElement.scrollWidth") <= 390
            lefts = {round(picture.rect["x"]) for picture in page.find("#result img")}
            assert len(lefts) == 1, "pictures stand below each other on a phone"


def _check_choices(page):
    """Three presets and a speed target, each with the pictures that belong to it."""
    pauses, segmentations, dense = set(_maps(page, "Pause map of careful")), set(), set()
    assert len(pauses) == 1
    assert {picture.get_attribute("alt") for picture in page.find("img")} >= set(page.pictures())
    for number, name in enumerate(("fast", "fastest", "careful"), start=1):
        assert f"{name} ({PRESETS[name].to_text()}) is" in page.choose(f"{name} (")
        pauses |= set(_maps(page, f"Pause map of {name} ("))
        segmentations |= set(_maps(page, f"Segmentation by {name} ("))
        dense |= set(_maps(page, "Segmentation by the dense model"))
        assert len(page.pictures()) == 6
        assert len(pauses) == min(number + 1, 3), "careful was there before"
    assert len(segmentations) == 3
    assert len(dense) == 1
    assert "Asked for: at least 1.5 times as fast" in page.choose("by the speed target")
    assert len(pauses | set(_maps(page, "Pause map of 3:0.75"))) == 4
    assert "images/s" in page.result()
    message = page.press("#target input[type=range]", *["\ue012"] * 20)  # to the left end: 1.0
    page.wait_for(lambda: len(page.pictures()) == 3, "the dense model alone")
    assert not _maps(page, "Pause map")
    assert message
    assert "fast (" in page.choose("fast (")


def _check_uploads(page, files):
    """Wrong files get a message and no pictures, and the next right one works."""
    wrong = {
        "notes.txt": "notes.txt is no image that can be read here. Upload one as JPEG",
        "truncated.png": "truncated.png is damaged or incomplete",
        "huge.png": "huge.png has far too many pixels; at most 50 million",
    }
    seen = set(_maps(page, "The image."))
    for name, problem in wrong.items():
        assert problem in page.upload(files / name)
        assert page.pictures() == {}
    for name, note in {
        "right.png": "times as fast",
        "two.gif": "only the first one",
        "phone.jpg": "800 x 960",
    }.items():
        assert note in page.upload(files / name)
        assert len(page.pictures()) == 6
        assert not seen & set(_maps(page, "The image."))
        seen |= set(_maps(page, "The image."))
    (picture, *_) = page.find("#result img")
    assert picture.get_property("naturalWidth") < picture.get_property("naturalHeight")


def _check_keyboard(page):
    """Everything can be reached and used without a mouse, and has a name."""
    before = set(_maps(page, "The image."))
    page.press("#examples button.thumbnail-item:not(.selected)", "\ue007")
    assert not before & set(_maps(page, "The image."))
    assert page.find("#upload button, #upload input[type=file]")
    for control in page.find("#choice input, #target input, #examples button"):
        assert control.accessible_name
    assert page.find("#message")[0].get_attribute("aria-live") == "polite"


@needs_browser
@pytest.mark.slow
@pytest.mark.timeout(900)  # a browser and a server on few cores
def test_screenshots(model, files, tmp_path):
    command = [sys.executable, SPACE / "take_screenshots.py", "--model", model, "--image", files / "right.png"]
    command += ["--output", tmp_path / "shots", "--choice", "fast"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=800, check=False)
    assert result.returncode == 0, result.stderr
    sizes = {path.name: Image.open(path).width for path in (tmp_path / "shots").iterdir()}
    assert sizes.keys() == {"space_desktop.png", "space_phone.png"}
    assert sizes["space_phone.png"] == 390
    assert all(path.stat().st_size < 400_000 for path in (tmp_path / "shots").iterdir())


@pytest.mark.slow
def test_a_model_that_is_not_there_is_one_sentence(tmp_path):
    command = [sys.executable, SPACE / "app.py", "--model", tmp_path / "none"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("app.py: `model` cannot be loaded from")


def test_the_space_needs_what_the_package_needs():
    setup = (ROOT / "setup.cfg").read_text()
    needed = re.search(r"^install_requires =\n((?:    .*\n)+)", setup, re.MULTILINE).group(1).split()
    lines = (SPACE / "requirements.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith(("#", "--"))] == needed


def test_the_header_of_the_space_names_the_app():
    yaml = pytest.importorskip("yaml")
    _, header, text = (SPACE / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    fields = yaml.safe_load(header)
    assert (fields["sdk"], fields["app_file"]) == ("gradio", "app.py")
    assert len(fields["short_description"]) <= 60
    assert text.strip().startswith("# PAUMER")
