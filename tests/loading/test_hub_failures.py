# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What users are told where the Hub fails: one clear sentence by the scripts, the libraries' own errors in Python."""

import re
from pathlib import Path

import datasets
import pytest

from paumer_hf.data.street_scenes import StreetScenes


pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
WRONG_TOKEN = "Invalid username or password."
# Of a large file the client says what the Hub said in the cause of its own error.
REFUSED = ("HfHubHTTPError", "RuntimeError")
QUOTA = "Private repository storage limit reached, please upgrade your plan to increase your private storage limit."


@pytest.fixture
def failing_hub(broken_hub, publish, make_checkpoint, tmp_path):
    """A Hub with a whole model and data set, ".../cut" whose large files always break off, and "tester/full"."""
    model = make_checkpoint(tmp_path / "model", num_labels=10)
    rows = [StreetScenes("train", (32, 32), 2)[index] for index in range(2)]
    image = datasets.Image()
    features = datasets.Features({"id": datasets.Value("string"), "image": image, "annotation": image})
    scenes = tmp_path / "scenes"
    scenes.mkdir()
    for split in ("train", "validation"):
        datasets.Dataset.from_list(rows, features).to_parquet(scenes / f"{split}-00000-of-00001.parquet")
    for name in ("whole", "cut"):
        publish(model, f"tester/{name}")
        publish(scenes, f"tester/{name}", kind="datasets")
    broken_hub.refuse(401, WRONG_TOKEN, unless_token="hf_test")
    broken_hub.refuse(507, QUOTA, path="/api/models/tester/full/commit/")
    broken_hub.refuse(403, QUOTA, path="/tester/over.git/info/lfs/objects/batch")
    broken_hub.cut("tester/cut/resolve", (".safetensors", ".parquet"))
    return broken_hub


PYTHON = """
import json, sys
from transformers import AutoModelForSemanticSegmentation
from paumer_hf import PaumerForSemanticSegmentation
def message(call, *arguments, **options):
    try:
        call(*arguments, **options)
    except Exception as error:
        return [type(error).__name__, " ".join(f"{error} {error.__cause__ or ''}".split())]
load, auto = PaumerForSemanticSegmentation.from_pretrained, AutoModelForSemanticSegmentation.from_pretrained
# First, since what is in the cache is taken from there where the Hub refuses.
wrong_token = message(load, "tester/whole", token="hf_wrong")
model = load("tester/whole")
print(json.dumps({
    "missing": message(load, "tester/none"),
    "missing by Auto": message(auto, "tester/none"),
    "wrong token": wrong_token,
    "cut": message(load, "tester/cut"),
    "push with a wrong token": message(model.push_to_hub, "tester/new", token="hf_wrong"),
    "push to a full Hub": message(model.push_to_hub, "tester/full"),
    "push over the quota": message(model.push_to_hub, "tester/over"),
}))
"""


def test_in_python_the_libraries_say_what_is_wrong(failing_hub, run_client):
    found = run_client(PYTHON)
    expected = {
        "missing": (("OSError",), "tester/none is not a local folder and is not a valid model identifier"),
        "missing by Auto": (("OSError",), "tester/none is not a local folder and is not a valid model identifier"),
        "wrong token": (("OSError",), WRONG_TOKEN),
        "cut": (("OSError",), "tester/cut"),
        "push with a wrong token": (REFUSED, WRONG_TOKEN),
        "push to a full Hub": (REFUSED, QUOTA),
        "push over the quota": (REFUSED, QUOTA),
    }
    assert set(found) == set(expected)
    for case, (error, part) in expected.items():
        assert found[case] is not None, f"{case}: no error"
        assert found[case][0] in error, found[case]
        assert part in found[case][1], found[case]
    assert "model.safetensors" not in _files(failing_hub, "tester/full"), "nothing is half there"


def _files(hub, name):
    repository = hub.repos["models", name]
    return repository.commits[repository.refs["main"]]


EVALUATE = ("evaluate.py", ["--dataset", "street_scenes", "--model"])
TRAIN_DATA = ("train.py", ["--output_dir", "run", "--dataset", "street_scenes", "--dataset_path"])
TRAIN_FROM = ("train.py", ["--output_dir", "run", "--init_from"])


@pytest.mark.parametrize(("script", "arguments"), [EVALUATE, TRAIN_DATA, TRAIN_FROM], ids=["model", "data", "start"])
@pytest.mark.parametrize(
    ("name", "token", "part"),
    [
        ("tester/whole", "hf_wrong", f"{WRONG_TOKEN}|refuses the access token"),
        ("tester/none", "hf_test", "hf auth login"),
        ("tester/cut", "hf_test", "tester/cut"),
    ],
    ids=["wrong token", "missing", "cut"],
)
def test_scripts_end_in_one_sentence(failing_hub, run_client, script, arguments, name, token, part):
    result = run_client(SCRIPTS / script, *arguments, name, token=token, fails=True)
    assert "Traceback" not in result.stderr
    beginnings = [line for line in result.stderr.splitlines() if line.startswith(f"{script}: ")]
    assert len(beginnings) == 1, result.stderr
    said = result.stderr[result.stderr.index(beginnings[0]) :]
    assert name in said
    assert re.search(part, said)
