# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
from PIL import Image

from paumer_hf import PaumerImageProcessor, PauseConfig
from paumer_hf.data.dataset_descriptions import CAMVID
from paumer_hf.prediction import find_images, predict, predict_files, read_palette, read_pause_config


PALETTE = ((255, 0, 0), (0, 255, 0), (0, 0, 255))


def photograph(width=45, height=38, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    photograph().save(folder / "b.png")
    photograph(seed=1).save(folder / "a.JPG", format="JPEG")
    (folder / "notes.txt").write_text("no image")
    return folder


# --- find_images ---


def test_images_of_a_folder_are_sorted(files):
    assert find_images([files]) == [files / "a.JPG", files / "b.png"]
    assert find_images([files / "b.png", files]) == [files / "b.png", files / "a.JPG", files / "b.png"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "at least one image file or folder"),
        (["missing.png"], "missing.png does not exist"),
        (["empty"], "empty holds no image file"),
        (["images/notes.txt"], "notes.txt cannot be read as an image"),
    ],
)
def test_paths_that_are_refused(names, message, files, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=message):
        find_images([tmp_path / name for name in names])


# --- read_pause_config ---


def test_words_for_pause_configurations(tiny_model):
    tiny_model.pause_presets = {"fast": PauseConfig({1: 0.5})}
    tiny_model.pause_config = {2: 0.25}
    assert read_pause_config("dense", tiny_model) == PauseConfig()
    assert read_pause_config("default", tiny_model) == PauseConfig({2: 0.25})
    assert read_pause_config("fast", tiny_model, "random") == PauseConfig({1: 0.5})
    assert read_pause_config("1:0.4,3:0.2", tiny_model) == PauseConfig({1: 0.4, 3: 0.2})
    assert read_pause_config("1:0.4", tiny_model, "random", 3) == PauseConfig({1: 0.4}, "random", 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [("slow", "'slow'. Name one of dense, default, fast"), ("4:0.5", "names layer 4"), ("1:x", "x")],
)
def test_words_that_are_refused(text, message, tiny_model):
    tiny_model.pause_presets = {"fast": PauseConfig({1: 0.5})}
    with pytest.raises(ValueError, match=message):
        read_pause_config(text, tiny_model)


# --- read_palette ---


def test_palettes():
    assert read_palette("camvid", 11) == CAMVID.palette
    assert len(set(read_palette(None, 150))) == 150
    with pytest.raises(ValueError, match="as many classes as the model, 12, but 'camvid' has 11"):
        read_palette("camvid", 12)
    with pytest.raises(ValueError, match="no registered data set"):
        read_palette("nowhere", 12)


# --- predict ---


@pytest.mark.parametrize("pause_config", [PauseConfig(), PauseConfig({1: 0.4, 2: 0.5})])
def test_prediction_is_that_of_the_model(pause_config, tiny_model):
    image = photograph()  # 38 x 45 pixels: 5 x 6 patches of 8, padded
    row = predict(tiny_model, PaumerImageProcessor(), image, pause_config)
    pixel_values = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 127.5 - 1
    with torch.no_grad():
        outputs = tiny_model(pixel_values, pause_config=pause_config)
    expected = tiny_model.upsample_logits(outputs.logits, (38, 45)).argmax(1)[0]
    assert (torch.from_numpy(row.label_map) == expected).float().mean() > 0.999  # up to ties
    assert np.array_equal(row.pause_map, outputs.pause_map[0])
    logits = outputs.auxiliary_logits if pause_config else outputs.logits
    entropy = torch.distributions.Categorical(logits=logits[0].permute(1, 2, 0)).entropy()
    np.testing.assert_allclose(row.entropy, entropy, rtol=1e-4, atol=1e-4)
    assert row.entropy_title == (
        "entropy of the auxiliary prediction" if pause_config else "entropy of the prediction"
    )


# --- predict_files ---


def test_files_are_written(files, tmp_path, tiny_model):
    configs = [PauseConfig(), PauseConfig({1: 0.4, 2: 0.5}), PauseConfig({1: 0.4}, "random", 0)]
    out = tmp_path / "out"
    paths = [files / "a.JPG", files / "b.png"]
    figures = predict_files(tiny_model, PaumerImageProcessor(), paths, configs, out, PALETTE)
    assert figures == [out / "a.png", out / "b.png"]
    names = ["dense", "1-0.4_2-0.5", "1-0.4_random_0"]
    expected = {f"{stem}_labels_{name}.png" for stem in "ab" for name in names} | {"a.png", "b.png"}
    assert {path.name for path in out.iterdir()} == expected
    with Image.open(out / "b_labels_1-0.4_2-0.5.png") as labels:
        row = predict(tiny_model, PaumerImageProcessor(), photograph(), configs[1])
        assert np.array_equal(labels, row.label_map)

    before = figures[0].read_bytes()
    figures[0].write_bytes(b"old")
    predict_files(tiny_model, PaumerImageProcessor(), paths[:1], configs, out, PALETTE)
    assert figures[0].read_bytes() == before


def test_files_of_one_name_do_not_replace_each_other(files, tmp_path, tiny_model):
    paths = [files / "b.png", files / "b.png"]
    figures = predict_files(tiny_model, PaumerImageProcessor(), paths, [PauseConfig()], tmp_path / "out", PALETTE)
    assert [figure.name for figure in figures] == ["b.png", "b-2.png"]


@pytest.mark.parametrize(("size", "expected"), [((45, 38), (24, 20)), ((100, 1), (2000, 20))])
def test_short_side(size, expected, tmp_path, tiny_model):
    photograph(*size).save(tmp_path / "image.png")
    out = tmp_path / "out"
    predict_files(
        tiny_model, PaumerImageProcessor(), [tmp_path / "image.png"], [PauseConfig()], out, PALETTE, short_side=20
    )
    with Image.open(out / "image_labels_dense.png") as labels:
        assert labels.size == expected


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "I;16", "1", "CMYK"])
def test_images_of_any_mode(mode, tmp_path, tiny_model):
    image = Image.new("I;16", (9, 5)) if mode == "I;16" else photograph(9, 5).convert(mode)
    path = tmp_path / ("image.tif" if mode == "CMYK" else "image.png")
    image.save(path)
    (figure,) = predict_files(tiny_model, PaumerImageProcessor(), [path], [PauseConfig()], tmp_path / "out", PALETTE)
    assert figure.is_file()


def test_a_truncated_image_is_named(tmp_path, tiny_model):
    photograph().save(tmp_path / "whole.png")
    path = tmp_path / "half.png"
    path.write_bytes((tmp_path / "whole.png").read_bytes()[:600])
    with pytest.raises(ValueError, match=r"half\.png cannot be read as an image"):
        predict_files(tiny_model, PaumerImageProcessor(), [path], [PauseConfig()], tmp_path / "out", PALETTE)


def test_the_folder_of_the_images_is_not_written_to(files, tiny_model):
    before = {path.name: path.read_bytes() for path in files.iterdir()}
    with pytest.raises(ValueError, match="must be another folder than that of the images"):
        predict_files(tiny_model, PaumerImageProcessor(), [files / "b.png"], [PauseConfig()], files, PALETTE)
    assert {path.name: path.read_bytes() for path in files.iterdir()} == before
