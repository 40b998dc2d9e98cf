# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Loading a page of the Hub as a stranger does: in a new process, with an empty cache, also without this package."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch
from huggingface_hub import get_token
from PIL import Image
from safetensors.torch import save_file

from paumer_hf.hub.hub_errors import end_sentence


TOLERANCE = 1e-5
"""Of logits between this process and the new one, relative and absolute."""

# Exit status of the process that found other logits; whatever else fails has another.
_DIFFERENT = 3

_PROGRAM = """
import sys
repo_id, revision, expected, image, has_package, tolerance, different = sys.argv[1:]
if has_package == "yes":
    import paumer_hf
else:
    sys.modules["paumer_hf"] = None  # importing it fails, as where it is not installed
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoModelForSemanticSegmentation
from transformers.models.auto.image_processing_auto import AutoImageProcessor
options = {"revision": revision, "trust_remote_code": has_package != "yes"}
try:
    model = AutoModelForSemanticSegmentation.from_pretrained(repo_id, **options).eval()
    processor = AutoImageProcessor.from_pretrained(repo_id, **options)
    inputs = processor(Image.open(image), return_tensors="pt")
    for name, logits in load_file(expected).items():
        pause_config = {"dense": {}, "default": None}.get(name, name.removeprefix("preset "))
        with torch.no_grad():
            found = model(**inputs, pause_config=pause_config).logits.float()
        if found.shape != logits.shape:
            print(f"as {name} they have the shape {tuple(found.shape)}, not {tuple(logits.shape)}", file=sys.stderr)
            sys.exit(int(different))
        if not torch.allclose(found, logits, rtol=float(tolerance), atol=float(tolerance)):
            largest = (found - logits).abs().max().item()
            print(f"as {name} they differ by up to {largest:.1e}", file=sys.stderr)
            sys.exit(int(different))
except Exception as error:
    raise SystemExit(" ".join(f"{type(error).__name__}: {error}".split()))
"""

# Folders of caches that would stand in for the Hub, and switches that keep it away.
_UNSET = (
    "HF_ASSETS_CACHE",
    "HF_HUB_CACHE",
    "HF_HUB_OFFLINE",
    "HF_MODULES_CACHE",
    "HUGGINGFACE_HUB_CACHE",
    "PYTHONPATH",
    "TRANSFORMERS_CACHE",
    "TRANSFORMERS_OFFLINE",
)


def compare_in_clean_process(
    repo_id: str,
    revision: str,
    image: Image.Image,
    logits: Mapping[str, torch.Tensor],
    with_package: bool,
    token: str | None = None,
) -> None:
    """Load a model from the Hub in a new process with an empty cache and compare its logits.

    Args:
        repo_id: Hub id, or a folder.
        revision: Commit.
        image: What it is to segment.
        logits: What is expected, in the form of `CheckedCheckpoint.logits`.
        with_package: Whether the process may import this package; otherwise it uses the code of the page.
        token: For the Hub; None takes the stored one.

    Raises:
        ValueError: If it cannot be loaded or run there, or its logits differ.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _UNSET}
    token = token or get_token()
    if with_package and "PYTHONPATH" in os.environ:
        environment["PYTHONPATH"] = os.environ["PYTHONPATH"]
    with tempfile.TemporaryDirectory(prefix="paumer_hub_") as folder:
        environment |= {"HF_HOME": str(Path(folder) / "home"), **({"HF_TOKEN": token} if token else {})}
        save_file(dict(logits), Path(folder) / "expected.safetensors")
        image.save(Path(folder) / "image.png")
        arguments = [repo_id, revision, "expected.safetensors", "image.png", "yes" if with_package else "no"]
        command = [sys.executable, "-P", "-c", _PROGRAM, *arguments, str(TOLERANCE), str(_DIFFERENT)]
        result = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=folder, check=False)
    if result.returncode != 0:
        lines = [line for line in result.stderr.splitlines() if line.strip()]
        said = lines[-1].strip() if lines else f"exit status {result.returncode}"
        how = "with this package" if with_package else "without this package"
        what = "gives other logits than the folder" if result.returncode == _DIFFERENT else "cannot be loaded or run"
        raise ValueError(end_sentence(f"In a clean process, {how}, {repo_id} at {revision} {what}: {said}"))


__all__ = ["TOLERANCE", "compare_in_clean_process"]
