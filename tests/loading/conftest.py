# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""A stand-in for the Hub on the loopback address, ways in which it fails, and processes that know no other Hub."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from paumer_hf import PaumerConfig, PaumerForSemanticSegmentation, PaumerImageProcessor, PauseConfig


ROOT = Path(__file__).resolve().parents[2]
MINIHUB = ROOT.parent / "shared" / "tools" / "minihub" / "minihub.py"
TOKEN = "hf_test"
AUTO_CLASSES = {
    PaumerConfig: "AutoConfig",
    PaumerForSemanticSegmentation: "AutoModelForSemanticSegmentation",
    PaumerImageProcessor: "AutoImageProcessor",
}


@pytest.fixture
def minihub():
    """The module of the stand-in."""
    if not MINIHUB.is_file():
        pytest.skip("the stand-in for the Hub is not beside the repository")
    spec = importlib.util.spec_from_file_location("minihub", MINIHUB)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def hub(minihub):
    """An empty Hub that lets anybody with a token do everything."""
    with minihub.MiniHub() as hub:
        yield hub


class BrokenHub:
    """A Hub that fails where it is told to; rules are asked in order, before the Hub itself."""

    def __init__(self, hub):
        self.repos, self.rules = hub.repos, []
        handler = hub.server.RequestHandlerClass
        self._answer = handler.handle_any

        def handle(request):
            for applies, fail in self.rules:
                if applies(request):
                    return fail(request)
            return self._answer(request)

        for method in ("GET", "HEAD", "POST", "PUT", "DELETE"):
            setattr(handler, f"do_{method}", handle)

    def refuse(self, status, message, path="", method=None, unless_token=None):
        """Answer what asks for a path with this text in it by an error, but for those with the token."""

        def applies(request):
            is_storage = request.path.startswith("/lfs/")  # its addresses hold for everybody who was given one
            is_known = unless_token and (
                is_storage or request.headers.get("Authorization") == f"Bearer {unless_token}"
            )
            return path in request.path and method in (None, request.command) and not is_known

        def fail(request):
            request.rfile.read(int(request.headers.get("Content-Length") or 0))
            request.close_connection = True
            request.send(status, {"error": message}, {"X-Error-Message": message})

        self.rules.append((applies, fail))

    def cut(self, path, endings):
        """Close the connection in the middle of files with this text in their path and one of the endings, always."""

        def applies(request):
            return request.command == "GET" and path in request.path and request.path.endswith(endings)

        def fail(request):
            write = request.wfile.write

            def write_half(data):
                if data.startswith(b"HTTP/"):
                    return write(data)
                write(data[: len(data) // 2])
                request.connection.shutdown(2)
                raise ConnectionResetError

            request.wfile.write = write_half
            request.close_connection = True
            try:
                self._answer(request)
            except ConnectionResetError:
                request.wfile.write = len

        self.rules.append((applies, fail))


@pytest.fixture
def broken_hub(hub):
    """A Hub with methods that make it fail."""
    return BrokenHub(hub)


@pytest.fixture
def publish(minihub, hub):
    """A function that puts the files of a folder on the Hub, without a client."""

    def publish(folder, name, kind="models"):
        repository = hub.repos.setdefault((kind, name), minihub.Repo())
        paths = [path for path in folder.rglob("*") if path.is_file()]
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
        repository.lfs_paths |= {file for file in files if file.endswith(minihub.LFS_SUFFIXES)}
        repository.commit(files, (), "files")

    return publish


@pytest.fixture
def run_process(tmp_path):
    """A function that runs Python, a program as text or a script by its path, with a cache and settings of its own.

    It returns what the program prints as its last line, read as JSON; or the process where it is to fail.
    """

    def run(program, *arguments, home="home", fails=False, **settings):
        fixed = {"HF_HOME": str(tmp_path / home), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        start = [str(program)] if isinstance(program, Path) else ["-c", program]
        result = subprocess.run(
            [sys.executable, *start, *map(str, arguments)],
            env={**os.environ, **fixed, **settings},
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=False,
        )
        if fails:
            assert result.returncode != 0, result.stdout
            return result
        assert result.returncode == 0, result.stderr[-4000:]
        return json.loads(result.stdout.splitlines()[-1])

    return run


@pytest.fixture
def run_client(hub, run_process):
    """As `run_process`, but the process knows this Hub, and no other."""

    def run(program, *arguments, token=TOKEN, **options):
        settings = {"HF_ENDPOINT": hub.endpoint, "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0", "HF_TOKEN": token}
        return run_process(program, *arguments, **{**settings, **options})

    return run


@pytest.fixture
def make_checkpoint():
    """A function that saves a tiny model and its image processor in a folder, with or without code, and returns it."""
    return _save_checkpoint


def _save_checkpoint(folder, with_code=False, num_labels=3, **attributes):
    torch.manual_seed(0)
    sizes = {"image_size": 32, "patch_size": 8, "hidden_size": 32, "num_hidden_layers": 4}
    heads = {"num_attention_heads": 4, "decoder_num_hidden_layers": 1}
    model = PaumerForSemanticSegmentation(PaumerConfig(**sizes, **heads, num_labels=num_labels))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    model.pause_presets["fast"] = PauseConfig({1: 0.25, 2: 0.5})
    for name, value in attributes.items():
        setattr(model, name, value)
    with pytest.MonkeyPatch.context() as patch:  # as register_for_auto_class does, for this one folder
        for cls, auto_class in AUTO_CLASSES.items() if with_code else ():
            patch.setattr(cls, "_auto_class", auto_class)
        model.save_pretrained(folder)
        PaumerImageProcessor(size={"height": 32, "width": 32}, size_divisor=8).save_pretrained(folder)
    return folder
