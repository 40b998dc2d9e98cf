# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import socket

import pytest

from paumer_hf.space.startup import check_model, check_port, find_title


@pytest.mark.parametrize("name", ["/nowhere", "nowhere", "./nowhere", "runs/nowhere/last", "{default}"])
def test_a_folder_that_is_not_there_is_one_sentence(name, tmp_path):
    default = tmp_path / "model"
    name = name.format(default=default)
    with pytest.raises(ValueError, match="does not exist") as caught:
        check_model(name, default)
    assert str(caught.value) == (
        f"The folder of the model, {name}, does not exist. Name a folder or Hub id by --model or by the environment "
        f"variable PAUMER_MODEL, or copy a checkpoint to {default}."
    )


def test_folders_and_hub_ids_are_left_to_the_loader(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    for name in (str(tmp_path), "folder", "./folder", "owner/name", "owner-1/paumer.vit_tiny-camvid"):
        check_model(name, "model")
    (tmp_path / "folder" / "file").touch()
    with pytest.raises(ValueError, match=r"folder/file, is no folder\."):
        check_model("folder/file", "model")


def test_titles(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    default = tmp_path / "space" / "model"
    step = tmp_path / "camvid" / "step-00002000"
    for folder in (default, step, tmp_path / "camvid" / "best", tmp_path / "other" / "model"):
        folder.mkdir(parents=True)
    (tmp_path / "camvid" / "last").symlink_to(step)
    titles = {
        "owner/last": "owner/last",
        "camvid": "camvid",
        "camvid/": "camvid",
        "camvid/last": "camvid",
        "camvid/best/": "camvid",
        "./other/model": "other",
        str(step): "step-00002000",
        str(default): "",
        "space/model": "",
    }
    assert {model: find_title(model, default) for model in titles} == titles
    assert find_title("space/model", default, "") == ""
    assert find_title("owner/last", default, "ViT-Ti/16") == "ViT-Ti/16"
    monkeypatch.chdir(tmp_path / "camvid" / "best")
    assert find_title(".", default) == "camvid"


@pytest.mark.parametrize("port", [-1, 0, 65_536, 99_999])
def test_ports_that_cannot_be_are_refused(port):
    with pytest.raises(ValueError, match=f"--port must be from 1 to 65535, but is {port}"):
        check_port(port)


def test_a_port_in_use_is_refused():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ValueError, match=rf"The port {port} cannot be taken \(.+\)\. Name another one by --port"):
            check_port(port)
    check_port(port)
    check_port(None)
