# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The page in a headless Chromium: starting the app, finding what it shows, and taking pictures of it."""

import contextlib
import importlib.util
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from paumer_hf.files import atomic_path


MAX_BYTES = 400_000
"""A screenshot that is larger as a file is refused: it belongs into no repository."""

_BROWSERS, _DRIVERS = ("chromium", "chromium-browser", "google-chrome"), ("chromedriver",)


def missing_for_browsing() -> str:
    """What is missing to drive the page, in words; empty if nothing is."""
    for library in ("gradio", "selenium"):
        if importlib.util.find_spec(library) is None:
            return f"the library {library} is not installed"
    if not (_find(_BROWSERS) and _find(_DRIVERS)):
        return f"there is no {_BROWSERS[0]} with {_DRIVERS[0]} on the PATH"
    return ""


def _find(names: Sequence[str]) -> str | None:
    return next(filter(None, map(shutil.which, names)), None)


@contextlib.contextmanager
def running_app(app: str | os.PathLike, *arguments: str, timeout: float = 180) -> Iterator[str]:
    """Start the app in a process of its own, give its address when it answers, and end it afterwards.

    Args:
        app: Path of `app.py`.
        *arguments: Its arguments, without `--port`.
        timeout: Seconds in which it must answer.

    Raises:
        RuntimeError: If it ends or does not answer in time; with the end of what it wrote.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, os.fspath(app), *arguments, "--port", str(port)]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            _await(lambda: process.poll() is not None or _answers(address), timeout)
            if process.poll() is not None or not _answers(address):
                output.seek(0)
                raise RuntimeError(f"The app does not answer:\n{output.read().decode(errors='replace')[-3000:]}")
            yield address
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def _await(condition: Callable[[], Any], timeout: float) -> Any:
    """The first value that counts as true, or the last one when the time is over."""
    end = time.monotonic() + timeout
    while not (value := condition()) and time.monotonic() < end:
        time.sleep(0.2)
    return value


class DemonstrationPage:
    """The page in a browser, by what its users do.

    Args:
        driver: A selenium driver of Chromium.
        address: Of the app.
        timeout: Seconds in which a result must come.
    """

    def __init__(self, driver: Any, address: str, timeout: float = 60) -> None:
        self.driver = driver
        self.timeout = timeout
        driver.get(address)
        self.wait_for(lambda: self.pictures(), "the first result")

    def wait_for(self, condition: Callable[[], Any], what: str) -> Any:
        """The first value of `condition` that counts as true; elements that vanish meanwhile are looked for again.

        Raises:
            TimeoutError: If there is none in time.
        """
        from selenium.common.exceptions import StaleElementReferenceException

        def patiently() -> Any:
            with contextlib.suppress(StaleElementReferenceException):
                return condition()

        value = _await(patiently, self.timeout)
        if not value:
            raise TimeoutError(f"Waited {self.timeout} s for {what}; the page says: {self.message()}")
        return value

    def find(self, selector: str) -> list[Any]:
        """The elements of a CSS selector."""
        return self.driver.find_elements("css selector", selector)

    def pictures(self) -> dict[str, str]:
        """From the alternative text of each picture of the result to its data."""
        return {picture.get_attribute("alt"): picture.get_attribute("src") for picture in self.find("#result img")}

    def message(self) -> str:
        """What stands above the result."""
        return " ".join(element.text for element in self.find("#message .paumer"))

    def result(self) -> str:
        """The text of the result."""
        return " ".join(element.text for element in self.find("#result .paumer"))

    def act(self, action: Callable[[], Any]) -> str:
        """Do something that gives another message, wait for it, and return it."""
        before = self._shown()
        action()

        def is_new() -> bool:
            return self._shown() != before and bool(self.find("#message [data-testid=status-tracker].hide"))

        self.wait_for(is_new, "a new message")
        return self.message()

    def _shown(self) -> str:
        return " ".join(element.get_attribute("outerHTML") for element in self.find("#message .paumer"))

    def choose(self, label: str) -> str:
        """Choose the pause configuration whose label begins so; returns the message."""
        found = [element for element in self.find("#choice label") if element.text.startswith(label)]
        return self.act(found[0].click)

    def press(self, selector: str, *keys: str) -> str:
        """Press keys on an element; returns the message."""
        return self.act(lambda: self.find(selector)[0].send_keys(*keys))

    def upload(self, path: str | os.PathLike) -> str:
        """Upload a file; returns the message."""
        for button in self.find("#upload button[aria-label='Clear'], #upload button[aria-label='Remove this file']"):
            self.act(button.click)
        (chooser,) = self.wait_for(lambda: self.find("#upload input[type=file]"), "the place for uploads")
        return self.act(lambda: chooser.send_keys(os.path.abspath(path)))

    def screenshot(self) -> Image.Image:
        """The whole page, also what does not fit on the screen."""
        options = {"captureBeyondViewport": True, "format": "png"}
        taken = self.driver.execute_cdp_cmd("Page.captureScreenshot", options)
        return Image.open(io.BytesIO(b64decode(taken["data"]))).convert("RGB")


@contextlib.contextmanager
def open_page(address: str, width: int, height: int = 900) -> Iterator[DemonstrationPage]:
    """The page in a headless Chromium that reaches nothing but this machine.

    Args:
        address: Of the app.
        width: Of the window in pixels; below 600 a phone is imitated.
        height: Of the window in pixels.

    Raises:
        RuntimeError: If selenium, Chromium or its driver is missing.
    """
    missing = missing_for_browsing()
    if missing:
        raise RuntimeError(f"The page cannot be opened, because {missing}.")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = _find(_BROWSERS) or ""
    for option in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(option)
    options.add_argument("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(_find(_DRIVERS)))
    try:
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        yield DemonstrationPage(driver, address)
    finally:
        driver.quit()


def save_screenshot(picture: Image.Image, path: str | os.PathLike, max_bytes: int = MAX_BYTES) -> int:
    """Write a screenshot as a PNG of few colours and return its size in bytes.

    Raises:
        ValueError: If it does not fit into `max_bytes` with 32 colours either.
    """
    for colours in (256, 128, 64, 32):
        stream = io.BytesIO()
        picture.quantize(colours, dither=Image.Dither.NONE).save(stream, "PNG", optimize=True)
        if stream.tell() <= max_bytes:
            with atomic_path(Path(path)) as temporary:
                temporary.write_bytes(stream.getvalue())
            return stream.tell()
    raise ValueError(
        f"{path} would have {stream.tell():,} bytes with {colours} colours, but at most {max_bytes:,} are wanted. "
        "Take a smaller window."
    )


__all__ = [
    "MAX_BYTES",
    "DemonstrationPage",
    "missing_for_browsing",
    "open_page",
    "running_app",
    "save_screenshot",
]
