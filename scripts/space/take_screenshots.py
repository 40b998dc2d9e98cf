# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Take pictures of the page of app.py, as a desktop computer and as a phone show it.

    python scripts/space/take_screenshots.py --model FOLDER --image IMAGE_OR_FOLDER --output FOLDER [--title TITLE]
        [--choice PRESET | --target]

Starts the app with the image, or with all images of a folder, as examples, opens it in a headless Chromium, and writes
`space_desktop.png` and `space_phone.png` of at most 400 kB each. Needs selenium, Chromium and its driver.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

from paumer_hf.prediction import find_images
from paumer_hf.space.browser import open_page, running_app, save_screenshot


APP = Path(__file__).resolve().with_name("app.py")
WIDTHS = {"desktop": 1280, "phone": 390}


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="folder of the model")
    parser.add_argument("--image", required=True, help="image to show, or a folder of which the first one is shown")
    parser.add_argument("--output", required=True, help="folder to write to; files of the same names are replaced")
    parser.add_argument("--title", default="", help="of the model; the name of its folder if it is not given")
    parser.add_argument("--choice", help="preset to show; the first one if it is not given")
    parser.add_argument("--target", action="store_true", help="show what the speed target chooses instead")
    return parser.parse_args()


def take_screenshots(arguments: argparse.Namespace) -> None:
    """Take both pictures and print their paths and sizes."""
    with tempfile.TemporaryDirectory() as examples:
        for path in find_images([arguments.image]):
            shutil.copy(path, examples)
        choice = "by the speed target" if arguments.target else arguments.choice
        title = ["--title", arguments.title]
        with running_app(APP, "--model", arguments.model, "--examples", examples, *title) as address:
            for name, width in WIDTHS.items():
                with open_page(address, width) as page:
                    if choice is not None:
                        page.choose(choice)
                    path = Path(arguments.output) / f"space_{name}.png"
                    print(f"{path}: {save_screenshot(page.screenshot(), path):,} bytes")


def main() -> None:
    """Read the arguments and take the pictures."""
    try:
        take_screenshots(parse_arguments())
    except (ValueError, OSError, RuntimeError) as error:  # among them TimeoutError
        raise SystemExit(f"take_screenshots.py: {error}") from error


if __name__ == "__main__":
    main()
