# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Which files of a folder go to a page, and which are refused."""

import json

import pytest

from paumer_hf.hub.checkpoint_files import check_no_machine_paths, collect_files, format_size, read_json


def test_a_checkpoint_is_collected_without_its_card(make_checkpoint, tmp_path):
    folder = make_checkpoint(tmp_path / "model")
    (folder / ".gitattributes").write_text("*.safetensors filter=lfs")
    files = collect_files(folder)
    names = {"config.json", "model.safetensors", "pause_config.json", "preprocessor_config.json"}
    assert set(files) == names
    assert all(files[name] == folder / name for name in names)


def test_parts_of_large_weights_belong_to_it(make_checkpoint, tmp_path):
    folder = make_checkpoint(tmp_path / "model")
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    (folder / "model.safetensors.index.json").write_text("{}")
    assert {"model-00001-of-00002.safetensors", "model.safetensors.index.json"} <= set(collect_files(folder))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pytorch_model.bin", "may be a pickle"),
        ("deeper/state.PT", "may be a pickle"),
        ("modeling_paumer.py", "is code; remove it"),
        ("notes.txt", "does not belong to a checkpoint"),
        ("other.safetensors", "does not belong to a checkpoint"),
        (".secrets", "does not belong to a checkpoint"),
    ],
)
def test_what_does_not_belong_there_is_refused(make_checkpoint, tmp_path, name, message):
    folder = make_checkpoint(tmp_path / "model")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"anything")
    with pytest.raises(ValueError, match=f"{name} {message}"):
        collect_files(folder)


def test_what_the_card_links_to_belongs_there_unless_it_is_a_pickle(make_checkpoint, tmp_path):
    folder = make_checkpoint(tmp_path / "model")
    (folder / "plot.svg").write_text("<svg/>")
    assert "plot.svg" in collect_files(folder, ["plot.svg"])
    (folder / "extra.pkl").write_bytes(b"\x80")
    with pytest.raises(ValueError, match="pickle"):
        collect_files(folder, ["plot.svg", "extra.pkl"])


@pytest.mark.parametrize("name", ["config.json", "pause_config.json", "preprocessor_config.json"])
def test_a_folder_without_a_model_is_refused(make_checkpoint, tmp_path, name):
    folder = make_checkpoint(tmp_path / "model")
    (folder / name).unlink()
    with pytest.raises(ValueError, match=f"holds no checkpoint, as {name} is missing"):
        collect_files(folder)


def test_no_folder_and_no_weights(make_checkpoint, tmp_path):
    with pytest.raises(ValueError, match="is no folder"):
        collect_files(tmp_path / "nowhere")
    folder = make_checkpoint(tmp_path / "model")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="holds no weights"):
        collect_files(folder)


def test_content_is_looked_at(make_checkpoint, tmp_path):
    folder = make_checkpoint(tmp_path / "model")
    weights = (folder / "model.safetensors").read_bytes()
    for content in (weights[:-1], b"PK\x03\x04 a pickle in disguise"):
        (folder / "model.safetensors").write_bytes(content)
        with pytest.raises(ValueError, match="no whole safetensors file"):
            collect_files(folder)
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "LICENSE").touch()
    with pytest.raises(ValueError, match="LICENSE is empty"):
        collect_files(folder)
    (folder / "LICENSE").write_bytes(bytes(11 * 2**20))
    with pytest.raises(ValueError, match=r"LICENSE has 11.0 MiB, and files beside the weights at most 10.0 MiB"):
        collect_files(folder)
    (folder / "LICENSE").unlink()
    (folder / "config.json").write_text("[1]")
    with pytest.raises(ValueError, match="must hold a JSON object"):
        collect_files(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(ValueError, match="is no JSON"):
        read_json(folder / "config.json")


def test_paths_of_a_machine_are_refused(tmp_path):
    path = tmp_path / "text"
    for found in ("/home" + "/me/runs/last", "/tmp/x", "/mnt/disk/model", "C:" + r"\Users"):
        path.write_text(json.dumps({"model": found}))
        with pytest.raises(ValueError, match=r"a.json names a path of your machine"):
            check_no_machine_paths({"a.json": path})
    path.write_text("runs/last ./home/x ../tmp/y https://example.org/home/page 3:0.4/5 images/s")
    check_no_machine_paths({"a.json": path})


def test_sizes_for_people():
    sizes = [format_size(number) for number in (0, 1023, 1024, 26_191_012, 3 * 2**30)]
    assert sizes == ["0 B", "1023 B", "1.0 KiB", "25.0 MiB", "3.0 GiB"]
