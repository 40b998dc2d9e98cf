# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""A prepared data set goes to the Hub by the command that makes it, and is read from there."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


ROOT = Path(__file__).resolve().parents[2]
MINIHUB = ROOT.parent / "shared" / "tools" / "minihub" / "minihub.py"
REPOSITORY = ("datasets", "tester/city")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not MINIHUB.is_file(), reason="the stand-in for the Hub is not beside the repository"),
]

READ = """
import hashlib, json, sys
import datasets
found = {}
for streaming in (False, True):
    for split, rows in datasets.load_dataset(sys.argv[1], streaming=streaming).items():
        digest = hashlib.sha256()
        for row in rows:
            digest.update(row["id"].encode() + row["image"].tobytes() + row["annotation"].tobytes())
        found[f"{split} {streaming}"] = digest.hexdigest()
print(json.dumps(found))
"""


@pytest.fixture
def hub():
    spec = importlib.util.spec_from_file_location("minihub", MINIHUB)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with module.MiniHub() as hub:
        yield hub


def run(hub, home, *arguments, token="hf_test"):
    """Run Python with a cache of its own and the stand-in for the Hub."""
    settings = {"HF_ENDPOINT": hub.endpoint, "HF_HUB_DISABLE_XET": "1", "HF_HOME": str(home), "HF_HUB_OFFLINE": "0"}
    environment = {**os.environ, **settings, "OMP_NUM_THREADS": "1", "HF_TOKEN": token}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def prepare(hub, make_cityscapes_release, tmp_path):
    """A function that runs the command with options, pushing to the repository."""
    paths = make_cityscapes_release(tmp_path / "release")

    def prepare(*options, output="folder", **settings):
        script = ROOT / "scripts" / "prepare_dataset.py"
        arguments = ("cityscapes", *paths, "--output", tmp_path / output, "--push_to_hub", REPOSITORY[1], *options)
        return run(hub, tmp_path / "home", script, *arguments, **settings)

    return prepare


def files_on(hub):
    repository = hub.repos[REPOSITORY]
    files = dict(repository.commits[repository.refs["main"]])
    del files[".gitattributes"]
    return files


def read_files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_pushed_and_read_in_another_place(hub, prepare, tmp_path):
    result = prepare("--shard_bytes", 9000)
    assert result.returncode == 0, result.stderr
    assert f"pushed to {hub.endpoint}/datasets/tester/city (private)" in result.stdout
    assert "NOTICE: The licence of 'cityscapes' forbids to pass the data on" in result.stdout
    repository = hub.repos[REPOSITORY]
    assert repository.private
    assert len(repository.log) == 2, "one commit after the first"
    assert files_on(hub) == read_files(tmp_path / "folder")

    found = []
    for number, source in enumerate(("tester/city", tmp_path / "folder")):
        result = run(hub, tmp_path / f"fresh{number}", "-c", READ, source)
        assert result.returncode == 0, result.stderr
        found.append(json.loads(result.stdout.splitlines()[-1]))
    assert found[0] == found[1]
    assert found[0]["train True"] == found[0]["train False"] != found[0]["validation True"]

    # Pushed again from the finished folder, and then with other shards: those of before must not be read any more.
    (tmp_path / "folder" / "note.txt").write_text("mine")
    result = prepare("--shard_bytes", 9000)
    assert "is finished" in result.stdout, result.stderr
    assert "note.txt" not in files_on(hub)
    result = prepare(output="one shard each")
    assert result.returncode == 0, result.stderr
    assert files_on(hub) == read_files(tmp_path / "one shard each")
    assert len([name for name in files_on(hub) if name.startswith("data/")]) == 2


def test_a_public_repository_takes_it_only_when_asked_to(hub, prepare, tmp_path):
    assert prepare("--private", "false").returncode == 0
    assert not hub.repos[REPOSITORY].private
    before = files_on(hub)
    result = prepare(output="other")
    assert result.returncode == 1
    assert "prepare_dataset.py: --push_to_hub tester/city is there and public; make it private" in result.stderr
    assert not (tmp_path / "other").exists(), "refused before the work"
    assert files_on(hub) == before


def test_without_a_token_nothing_is_begun(hub, prepare, tmp_path):
    result = prepare(token="")
    assert result.returncode == 1
    (sentence,) = [line for line in result.stderr.splitlines() if line.startswith("prepare_dataset.py: ")]
    assert sentence.startswith("prepare_dataset.py: --push_to_hub tester/city cannot be reached: ")
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "folder").exists()


def test_a_push_that_fails_leaves_a_finished_folder(hub, prepare, tmp_path):
    handler = hub.server.RequestHandlerClass
    handler.commit = lambda self, **names: self.send(403, {"error": "The storage quota is used up."})
    result = prepare()
    assert result.returncode == 1
    (sentence,) = [line for line in result.stderr.splitlines() if line.startswith("prepare_dataset.py: ")]
    assert sentence.startswith("prepare_dataset.py: --push_to_hub tester/city failed: ")
    assert "The storage quota is used up." in sentence
    assert sentence.endswith("The folder is finished; the same command pushes again.")
    del handler.commit
    result = prepare()
    assert result.returncode == 0, result.stderr
    assert files_on(hub) == read_files(tmp_path / "folder")
