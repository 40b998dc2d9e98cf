# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""A web page that shows what PAUMER does to an image: segmentation, pauses, entropy and time beside the dense model.

    python scripts/space/app.py --model FOLDER_OR_HUB_ID [--title TITLE] [--examples FOLDER] [--port N]

As a Hub Space it takes the model from the environment variable PAUMER_MODEL, or else from the folder `model` beside
this file, its title from PAUMER_TITLE, and example images from the folder `examples` beside this file if it is there.
Nothing is fetched from elsewhere but a model that is named by its Hub id.
"""

import argparse
import os
from pathlib import Path


HERE = Path(__file__).resolve().parent
MODEL = HERE / "model"

# Gradio reads this when it is imported.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=os.environ.get("PAUMER_MODEL") or str(MODEL), help="folder or Hub id")
    parser.add_argument(
        "--title", default=os.environ.get("PAUMER_TITLE"), help="of the model; its Hub id or folder if it is not given"
    )
    parser.add_argument("--examples", help="folder of example images; drawn street scenes without one")
    parser.add_argument("--port", type=int, help="of the server; the first free one from 7860 without it")
    parser.add_argument("--timed_calls", type=int, default=3, help="calls of each model that are timed for an image")
    return parser.parse_args()


def main() -> None:
    """Load the model and serve the page until interrupted."""
    arguments = parse_arguments()
    from paumer_hf.evaluation.throughput import restart_with_tuned_malloc
    from paumer_hf.prediction import load_model
    from paumer_hf.space import (
        Demonstration,
        build_interface,
        check_model,
        check_port,
        example_pictures,
        find_title,
        launch_options,
    )

    restart_with_tuned_malloc()
    examples = HERE / "examples"
    try:
        check_port(arguments.port)
        check_model(arguments.model, MODEL)
        title = find_title(arguments.model, MODEL, arguments.title)
        demonstration = Demonstration(*load_model(arguments.model), arguments.timed_calls)
        pictures = example_pictures(arguments.examples or (examples if examples.is_dir() else None))
        blocks = build_interface(demonstration, pictures, title)
        blocks.launch(server_port=arguments.port, prevent_thread_lock=True, **launch_options())
        print(f"The page is at {blocks.local_url}", flush=True)
        blocks.block_thread()
    except (ValueError, OSError, ImportError) as error:
        raise SystemExit(f"app.py: {error}") from error


if __name__ == "__main__":
    main()
