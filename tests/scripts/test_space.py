# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The demonstration as its users meet it: the app in a process of its own, the page in a headless browser."""

import json
import re
import socket
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
    folder = tmp_path / "bench" / "model"
    tiny_model.save_pretrained(folder)
    PaumerImageProcessor(size_divisor=8).save_pretrained(folder)
    return folder


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
            assert "Model: bench" in page.find("body")[0].text  # the folder of the folder `model`
            _check_choices(page)
            _check_target(page)
            _check_uploads(page, files)
            _check_keyboard(page)
            assert _hosts(page.driver) == {"127.0.0.1"}
        with open_page(address, 390, 844) as page:
            assert page.driver.execute_script("return document.documentElement.scrollWidth") <= 390
            assert _top_of_message(page) > 844, "nothing is scrolled before something is chosen"
            page.choose("fastest (")
            page.wait_for(lambda: 0 <= _top_of_message(page) < 422, "the message on the screen")
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
    assert "fast (" in page.choose("fast (")


def _check_target(page):
    """The slider shows and reaches what the profile does, from one end to the other, and nothing can be typed."""
    (target,) = page.find("#target")
    assert target.get_attribute("data-value") == "1.50"
    assert "From 1 to 2." in target.text
    assert not [box for box in page.find("#target input[type=number]") if box.is_displayed()]
    page.press("#target input[type=range]", "\ue010")  # End
    page.wait_for(lambda: "at least 2 times as fast" in page.message(), "the fastest")
    assert target.get_attribute("data-value") == "2.00"
    assert page.find("#choice input:checked")[0].get_attribute("value") == "target"
    page.press("#target input[type=range]", "\ue011")  # Home
    page.wait_for(lambda: len(page.pictures()) == 3, "the dense model alone")
    assert not _maps(page, "Pause map")
    assert target.get_attribute("data-value") == "1.00"
    assert "fast (" in page.choose("fast (")


def _top_of_message(page):
    return page.driver.execute_script("return document.getElementById('message').getBoundingClientRect().top")


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
    for control in page.find("#choice input, #target input[type=range], #examples button, #upload button"):
        assert control.accessible_name
    names = [button.accessible_name for button in page.find("#examples button")]
    assert names == [f"Example image: Drawn street {number}" for number in (1, 2, 3)]
    assert page.find("#message")[0].get_attribute("aria-live") == "polite"
    (group,) = page.find("#choice")
    assert (group.aria_role, group.accessible_name) == ("radiogroup", "Pause configuration")
    page.choose("careful (")
    assert "fast (1" in page.press("#choice input:checked", "\ue015")  # arrow down
    assert page.find("#choice input:checked")[0] == page.driver.switch_to.active_element
    page.driver.execute_script("document.activeElement.blur(); window.scrollTo(0, 0);")
    page.find("#examples button")[0].send_keys("\ue008")  # Shift does nothing but focus
    stops = [_focus(page)]
    while len(stops) < 12 and stops[-1][0] != "range":
        page.driver.switch_to.active_element.send_keys("\ue004")  # Tab
        stops.append(_focus(page))
    assert [kind for kind, _ in stops if kind in ("radio", "range")] == ["radio", "range"]
    assert [outline for _, outline in stops[1:]] == ["solid 3px"] * (len(stops) - 1)


def _focus(page):
    """Type of what has the focus, and the outline that shows it; that of a radio button is around its label."""
    return page.driver.execute_script(
        "const focus = document.activeElement, style = getComputedStyle(focus.closest('label') || focus);"
        "return [focus.type, `${style.outlineStyle} ${style.outlineWidth}`];"
    )


@needs_browser
@pytest.mark.slow
@pytest.mark.timeout(900)  # a browser and a server on few cores
def test_screenshots(model, files, tmp_path):
    command = [sys.executable, SPACE / "take_screenshots.py", "--model", model, "--image", files / "right.png"]
    command += ["--output", tmp_path / "shots", "--choice", "fast", "--title", "Streets"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=800, check=False)
    assert result.returncode == 0, result.stderr
    sizes = {path.name: Image.open(path).width for path in (tmp_path / "shots").iterdir()}
    assert sizes.keys() == {"space_desktop.png", "space_phone.png"}
    assert sizes["space_phone.png"] == 390
    assert all(path.stat().st_size < 400_000 for path in (tmp_path / "shots").iterdir())


@pytest.mark.slow
def test_what_is_wrong_with_the_arguments_is_one_sentence(tmp_path):
    def said(*arguments):
        command = [sys.executable, SPACE / "app.py", *arguments]
        result = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
        assert result.returncode == 1
        (line,) = result.stderr.splitlines()
        return line

    assert said("--model", tmp_path / "none").startswith(f"app.py: The folder of the model, {tmp_path}/none, does not")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        # Before the model is looked for, which is not there either.
        assert f"The port {port} cannot be taken" in said("--model", tmp_path / "none", "--port", port)


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
