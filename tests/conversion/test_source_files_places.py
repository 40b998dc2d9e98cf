# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors.torch import save_file

from paumer_hf.conversion import source_files
from paumer_hf.conversion.source_files import read_source
from paumer_hf.conversion.source_weights import ConversionError


SHARED = Path(__file__).resolve().parents[3] / "shared"
PARITY = SHARED / "data" / "parity"
A, B = torch.ones(2), torch.full((3,), 2.0)


def write_index(folder, name="model.safetensors", weight_map=None):
    weight_map = weight_map or {"a": "part-1.safetensors", "b": "part-2.safetensors"}
    (folder / f"{name}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


# --- folders ---


@pytest.mark.parametrize("name", ["checkpoint.pth", "model_0.pt", "last.ckpt", "part.bin"])
def test_the_only_file_of_weights_in_a_folder_is_read(tmp_path, name):
    torch.save({"a": A}, tmp_path / name)
    (tmp_path / "log.txt").write_text("")
    (tmp_path / "runs.pth").mkdir()
    source = read_source(tmp_path)
    assert (source.name, source.path) == (str(tmp_path), tmp_path / name)
    assert torch.equal(source.tensors["a"], A)


def test_weights_are_found_by_name_beside_others(tmp_path):
    torch.save({"old": A}, tmp_path / "checkpoint.pth")
    torch.save({"bin": A}, tmp_path / "pytorch_model.bin")
    assert list(read_source(tmp_path).tensors) == ["bin"]
    save_file({"safe": A}, tmp_path / "model.safetensors")
    assert list(read_source(tmp_path).tensors) == ["safe"]


def test_shards_are_merged(tmp_path):
    save_file({"module.a": A}, tmp_path / "part-1.safetensors")
    save_file({"module.b": B}, tmp_path / "part-2.safetensors")
    write_index(tmp_path, weight_map={"module.b": "part-2.safetensors", "module.a": "part-1.safetensors"})
    for place in (tmp_path, tmp_path / "model.safetensors.index.json"):
        source = read_source(place)
        assert source.path == tmp_path / "part-1.safetensors"
        assert source.tensors.keys() == {"a", "b"}
        assert torch.equal(source.tensors["b"], B)


def test_shards_of_torch_are_merged(tmp_path):
    torch.save({"a": A}, tmp_path / "1.bin")
    torch.save({"b": B}, tmp_path / "2.bin")
    write_index(tmp_path, "pytorch_model.bin", {"a": "1.bin", "b": "2.bin"})
    assert read_source(tmp_path).tensors.keys() == {"a", "b"}


def test_a_missing_shard_is_named(tmp_path):
    save_file({"a": A}, tmp_path / "part-1.safetensors")
    write_index(tmp_path)
    with pytest.raises(
        ConversionError, match=r"index\.json names the file 'part-2\.safetensors', which is not beside"
    ):
        read_source(tmp_path)


def test_a_weight_that_is_in_no_shard_is_named(tmp_path):
    save_file({"a": A}, tmp_path / "part-1.safetensors")
    write_index(tmp_path, weight_map={"a": "part-1.safetensors", "b": "part-1.safetensors"})
    with pytest.raises(ConversionError, match=r"1 weights that the index names .*'b'"):
        read_source(tmp_path)


@pytest.mark.parametrize("absolute", [True, False])
def test_an_index_reads_nothing_outside_its_folder(tmp_path, absolute):
    (tmp_path / "inside").mkdir()
    save_file({"a": A}, tmp_path / "outside.safetensors")
    name = str(tmp_path / "outside.safetensors") if absolute else "../outside.safetensors"
    write_index(tmp_path / "inside", weight_map={"a": name})
    with pytest.raises(ConversionError, match="which is not beside it"):
        read_source(tmp_path / "inside")


@pytest.mark.parametrize("text", ["{}", '{"weight_map": {}}', '{"weight_map": ["a"]}'])
def test_an_index_without_a_map_is_refused(tmp_path, text):
    (tmp_path / "model.safetensors.index.json").write_text(text)
    with pytest.raises(ConversionError, match="no `weight_map`"):
        read_source(tmp_path)


def test_several_files_of_weights_are_listed(tmp_path):
    torch.save({"a": A}, tmp_path / "best.pth")
    torch.save({"a": A}, tmp_path / "last.pth")
    with pytest.raises(ConversionError, match=r"several files of weights, \['best\.pth', 'last\.pth'\]"):
        read_source(tmp_path)


def test_a_folder_without_weights_says_what_is_there_and_what_is_sought(tmp_path):
    with pytest.raises(ConversionError, match="only nothing"):
        read_source(tmp_path)
    (tmp_path / "README.md").write_text("")
    with pytest.raises(ConversionError, match=r"README\.md.*model\.safetensors, .*\.npz"):
        read_source(tmp_path)


def test_subfolders_of_a_folder_are_read(tmp_path):
    (tmp_path / "encoder").mkdir()
    torch.save({"a": A}, tmp_path / "encoder" / "w.pth")
    assert read_source(tmp_path, subfolder="encoder").path == tmp_path / "encoder" / "w.pth"
    with pytest.raises(ConversionError, match="decoder has no weights"):
        read_source(tmp_path, subfolder="decoder")


# --- configurations ---


@pytest.fixture(params=["w.pth", "w.safetensors"])
def weights(request, tmp_path):
    save = torch.save if request.param == "w.pth" else save_file
    save({"a": A}, tmp_path / request.param)
    return tmp_path / request.param


@pytest.mark.parametrize("name", ["config.json", "model_config.json", "variant.yml"])
def test_each_configuration_is_read(weights, name):
    content = {"net_kwargs": {"n_heads": 3, "decoder": {"name": "linear"}}, "amp": False}
    weights.with_name(name).write_text(yaml.safe_dump(content) if name == "variant.yml" else json.dumps(content))
    weights.with_name("preprocessor_config.json").write_text('{"image_mean": [0.5, 0.5, 0.5]}')
    source = read_source(weights)
    assert source.config == content
    assert source.processor == {"image_mean": [0.5, 0.5, 0.5]}


def test_of_several_configurations_that_of_the_format_is_read(weights):
    for name in ("config.json", "model_config.json", "variant.yml"):
        weights.with_name(name).write_text(json.dumps({"name": name}))
    expected = "variant.yml" if weights.suffix == ".pth" else "config.json"
    assert read_source(weights).config == {"name": expected}


def test_the_image_size_of_segmenter_is_a_python_tuple(weights):
    weights.with_name("variant.yml").write_text(yaml.dump({"net_kwargs": {"image_size": (512, 640), "d_model": 192}}))
    assert "python/tuple" in weights.with_name("variant.yml").read_text()
    assert read_source(weights).config == {"net_kwargs": {"image_size": [512, 640], "d_model": 192}}


def test_a_configuration_runs_no_code(weights, tmp_path):
    weights.with_name("variant.yml").write_text(f"a: !!python/object/apply:os.system ['touch {tmp_path}/marker']")
    with pytest.raises(ConversionError, match=r"variant\.yml cannot be read"):
        read_source(weights)
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("config.json", b"{", r"config\.json cannot be read"),
        ("config.json", b"\xff", r"config\.json cannot be read"),
        ("config.json", b"[1]", r"config\.json holds a list, but must be a mapping"),
        ("variant.yml", b"a: [", r"variant\.yml cannot be read"),
        ("variant.yml", b"", r"variant\.yml holds a NoneType"),
        ("preprocessor_config.json", b"3", r"preprocessor_config\.json holds a int"),
    ],
)
def test_what_is_no_configuration_is_refused(weights, name, data, message):
    weights.with_name(name).write_bytes(data)
    with pytest.raises(ConversionError, match=message):
        read_source(weights)


# --- the Hub ---

NEITHER = "is neither an existing file or folder nor a page of the Hub that could be reached: "


@pytest.fixture
def cache(tmp_path):
    """The cache of the Hub's client after a download of owner/name without weights, and the folder of its files."""
    page = tmp_path / "models--owner--name"
    (page / "refs").mkdir(parents=True)
    (page / "refs" / "main").write_text("0" * 40)
    files = page / "snapshots" / ("0" * 40)
    files.mkdir(parents=True)
    (files / "config.json").write_text('{"model_type": "vit"}')
    return tmp_path, files


def test_a_page_is_read_from_the_cache(cache):
    folder, files = cache
    save_file({"a": A}, files / "model.safetensors")
    (files / "preprocessor_config.json").write_text('{"size": 224}')
    source = read_source("owner/name", local_files_only=True, cache_dir=folder)
    assert (source.name, source.path) == ("owner/name", files / "model.safetensors")
    assert (source.config, source.processor) == ({"model_type": "vit"}, {"size": 224})
    assert torch.equal(source.tensors["a"], A)


def test_the_shards_of_a_page_are_merged(cache):
    folder, files = cache
    save_file({"a": A}, files / "part-1.safetensors")
    save_file({"b": B}, files / "part-2.safetensors")
    write_index(files)
    source = read_source("owner/name", local_files_only=True, cache_dir=folder)
    assert source.tensors.keys() == {"a", "b"}
    assert source.processor is None


def test_offline_a_page_that_is_not_in_the_cache_is_refused(cache, monkeypatch):
    monkeypatch.setattr("transformers.utils.hub.is_offline_mode", lambda: True)
    for name in ("owner/name", "owner/other"):
        with pytest.raises(ConversionError, match=re.escape(f"{name} {NEITHER}") + r".*connect.*\Z"):
            read_source(name, cache_dir=cache[0])


@pytest.mark.parametrize("name", ["missing", "missing/", "../missing/w", "a/b/c", "folder/missing.pth", "/no/where"])
def test_what_can_be_no_page_is_refused_without_asking_the_hub(monkeypatch, name):
    asked = []
    monkeypatch.setattr(source_files, "cached_file", lambda *arguments, **_: asked.append(arguments))
    with pytest.raises(
        ConversionError, match=re.escape(f"{name} {NEITHER}the name of a page has the form owner/name.")
    ):
        read_source(name)
    assert not asked


def raise_from(cause):
    raise OSError("first line\nsecond line") from cause


@pytest.mark.parametrize("error", [ValueError("no such page"), ConnectionError("cut"), RuntimeError("HTTP")])
def test_the_reason_of_the_hub_is_in_the_message(monkeypatch, error):
    monkeypatch.setattr(source_files, "cached_file", lambda *_, **__: raise_from(error))
    with pytest.raises(ConversionError, match=re.escape(f"owner/name {NEITHER}first line second line")):
        read_source("owner/name")


def test_after_a_failed_connection_only_the_cache_is_asked(monkeypatch):
    asked = []

    def fail(page, filename, **options):
        asked.append((filename, options["local_files_only"]))
        raise_from(LocalEntryNotFoundError("no connection"))

    monkeypatch.setattr(source_files, "cached_file", fail)
    with pytest.raises(ConversionError, match=f"{NEITHER}first line second line"):
        read_source("owner/name")
    assert asked[0] == ("config.json", False)
    assert len(asked) == 5
    assert all(local for _, local in asked[1:])


def test_a_page_without_weights_is_refused_with_the_names(monkeypatch):
    monkeypatch.setattr(source_files, "cached_file", lambda *_, **__: raise_from(None))
    with pytest.raises(ConversionError, match=r"owner/name: it has no weights called model\.safetensors, "):
        read_source("owner/name")


def test_a_full_disk_is_not_taken_for_a_missing_file(monkeypatch):
    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(source_files, "cached_file", fail)
    with pytest.raises(ConversionError, match="No space left on device"):
        read_source("owner/name")


def test_the_options_of_the_download_reach_the_hub(monkeypatch, tmp_path):
    options = {"revision": "v1", "token": "t", "cache_dir": tmp_path, "force_download": True, "subfolder": "encoder"}
    save_file({"a": A}, tmp_path / "model.safetensors")
    asked = {}

    def find(page, filename, **given):
        asked[filename] = given
        return str(tmp_path / filename) if filename == "model.safetensors" else None

    monkeypatch.setattr(source_files, "cached_file", find)
    read_source("owner/name", **options, proxies={"http": "p"})
    assert asked.keys() == {"config.json", "model.safetensors", "preprocessor_config.json"}
    expected = {**options, "proxies": {"http": "p"}, "local_files_only": False}
    assert all(given == expected for given in asked.values())


HUB_PROGRAM = """
import sys
from huggingface_hub import HfApi
from paumer_hf.conversion.source_files import read_source
from paumer_hf.conversion.source_weights import ConversionError
HfApi().create_repo("tester/vit")
HfApi().upload_folder(repo_id="tester/vit", folder_path=sys.argv[1])
source = read_source("tester/vit")
assert source.tensors.keys() == {"a"} and source.config == {"model_type": "vit"} and source.processor is None
for arguments in ({"name_or_path": "tester/none"}, {"name_or_path": "tester/vit", "revision": "none"}):
    try:
        read_source(**arguments)
    except ConversionError as error:
        print(error)
"""


@pytest.mark.slow
def test_pages_of_a_hub_are_downloaded(tmp_path):
    minihub = SHARED / "tools" / "minihub" / "minihub.py"
    if not minihub.is_file():
        pytest.skip("the stand-in for the Hub is not beside the repository")
    spec = importlib.util.spec_from_file_location("minihub", minihub)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "files").mkdir()
    save_file({"a": A}, tmp_path / "files" / "model.safetensors")
    (tmp_path / "files" / "config.json").write_text('{"model_type": "vit"}')
    with module.MiniHub() as hub:
        hub_settings = {"HF_ENDPOINT": hub.endpoint, "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": "hf_test"}
        environment = {**os.environ, **hub_settings, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0"}
        command = [sys.executable, "-c", HUB_PROGRAM, str(tmp_path / "files")]
        result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert result.returncode == 0, result.stderr
    assert len(re.findall(NEITHER, result.stdout)) == 2, result.stdout


@pytest.mark.skipif(
    not PARITY.is_dir(), reason="the networks to test conversion against are not beside the repository"
)
def test_files_of_other_libraries_are_read():
    names = ("checkpoint.pth", "model.safetensors", "weights.npz")
    read = {path.parent.name: read_source(path) for path in PARITY.glob("*/*") if path.name in names}
    assert len(read) == 8
    assert all(source.tensors for source in read.values())
    assert all((source.config is None) == (name == "augreg_npz") for name, source in read.items())
    assert read["segmenter_vit_mask"].metadata == {"n_cls": 5, "epoch": 3}
    assert read["mmseg_segmenter_vit_mask"].metadata["meta"].keys() >= {"CLASSES", "PALETTE"}
