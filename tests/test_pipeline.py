# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The pipelines say what the image processor makes of the model's logits, whatever form the images come in."""

import base64
import json
import logging
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset
from transformers import ImageSegmentationPipeline, pipeline

from paumer_hf import PaumerImageProcessor, PaumerImageSegmentationPipeline, PauseConfig


FAST = {1: 0.5, 2: 0.5}


@pytest.fixture
def images():
    """Three images of two sizes."""
    rng = np.random.default_rng(0)
    sizes = [(40, 60), (50, 48), (40, 60)]
    return [Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)) for size in sizes]


@pytest.fixture
def checkpoint(tiny_model, tmp_path):
    """A folder with a model that has the preset "fast", and an image processor that keeps proportions."""
    tiny_model.pause_presets["fast"] = PauseConfig(FAST)
    tiny_model.save_pretrained(tmp_path / "model")
    PaumerImageProcessor(size={"shortest_edge": 40}, size_divisor=8).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def segmenter(checkpoint):
    return pipeline("paumer-image-segmentation", model=str(checkpoint), device="cpu")


def expected_maps(segmenter, image, pause_config=None):
    """Label map and pause map by the processor and the model, without a pipeline."""
    inputs = segmenter.image_processor(image, return_tensors="pt")
    with torch.no_grad():
        outputs = segmenter.model(**inputs, pause_config=pause_config)
    size = [(image.height, image.width)]
    label_map = segmenter.image_processor.post_process_semantic_segmentation(outputs, target_sizes=size)[0]
    return label_map, outputs.pause_map[0]


def assert_segments(segments, label_map, id2label):
    """The segments are the classes of the map in their order, as transformers' own pipeline gives them."""
    classes = label_map.unique().tolist()
    assert [segment["label"] for segment in segments] == [id2label[number] for number in classes]
    for number, segment in zip(classes, segments, strict=True):
        assert set(segment) == {"label", "mask", "score"}
        assert segment["score"] is None
        assert segment["mask"].mode == "L"
        assert np.array_equal(np.asarray(segment["mask"]), (label_map == number).numpy() * np.uint8(255))


def test_segments_are_those_of_the_processor(segmenter, images):
    assert type(segmenter) is PaumerImageSegmentationPipeline
    differs = False
    for image in images:
        dense, _ = expected_maps(segmenter, image)
        for pause_config in (None, {}, "fast", FAST, PauseConfig({3: 0.8})):
            label_map, _ = expected_maps(segmenter, image, pause_config)
            assert_segments(segmenter(image, pause_config=pause_config), label_map, segmenter.model.config.id2label)
            differs |= not torch.equal(label_map, dense)
    assert differs, "the pauses must change something for the comparison to say anything"


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5])
def test_all_forms_of_input_give_the_same(segmenter, images, tmp_path, batch_size):
    class Images(Dataset):
        def __len__(self):
            return len(images)

        def __getitem__(self, index):
            return images[index]

    (tmp_path / "folder").mkdir()
    paths = [tmp_path / "folder" / f"{number}.png" for number in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        image.save(path)
    (tmp_path / "folder" / "notes.txt").write_text("no image")
    expected = [expected_maps(segmenter, image, "fast") for image in images]
    forms = [images, tuple(images), paths, list(map(str, paths)), tmp_path / "folder", str(tmp_path / "folder")]
    forms += [(image for image in images), iter(images), Images()]
    for form in forms:
        found = segmenter(form, pause_config="fast", return_maps=True, batch_size=batch_size)
        is_lazy = not isinstance(form, list | tuple | str | os.PathLike)
        assert isinstance(found, list) != is_lazy
        found = list(found)
        assert len(found) == len(images)
        for maps, (label_map, pause_map) in zip(found, expected, strict=True):
            assert set(maps) == {"label_map", "pause_map"}
            assert torch.equal(maps["label_map"], label_map)
            assert torch.equal(maps["pause_map"], pause_map)
    assert segmenter([]) == []


def test_one_image_is_not_a_list(segmenter, images):
    maps = segmenter(images[1], return_maps=True)
    label_map, pause_map = expected_maps(segmenter, images[1])
    assert torch.equal(maps["label_map"], label_map)
    assert torch.equal(maps["pause_map"], pause_map)
    assert not pause_map.any()


def test_random_pauses_of_a_seed_do_not_depend_on_the_batch(segmenter, images):
    pause_config = PauseConfig({1: 0.5}, criterion="random", seed=2)
    expected = [segmenter(image, pause_config=pause_config, return_maps=True) for image in images]
    segmenter.model.pause_config = pause_config
    for named in (pause_config, None):
        found = segmenter(images, pause_config=named, return_maps=True, batch_size=len(images))
        for maps, others in zip(found, expected, strict=True):
            assert torch.equal(maps["pause_map"], others["pause_map"])
            assert torch.equal(maps["label_map"], others["label_map"])


def test_a_model_from_a_training_is_evaluated(segmenter):
    again = PaumerImageSegmentationPipeline(segmenter.model.train(), image_processor=segmenter.image_processor)
    assert not again.model.training


def test_unusual_images_are_the_processors_to_convert(segmenter, tmp_path):
    rng = np.random.default_rng(0)
    deep = Image.fromarray(rng.integers(0, 2**16, (40, 56), dtype=np.uint16))
    see_through = Image.fromarray(rng.integers(0, 256, (40, 56, 4), dtype=np.uint8))
    for image in (deep, see_through):
        image.save(tmp_path / "image.png")
        encoded = base64.b64encode((tmp_path / "image.png").read_bytes()).decode()
        for form in (image, tmp_path / "image.png", encoded):
            found = segmenter(form, return_maps=True)["label_map"]
            assert torch.equal(found, expected_maps(segmenter, image)[0])
    turned = Image.fromarray(rng.integers(0, 256, (40, 56, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.png", exif=exif)
    found = segmenter(tmp_path / "turned.png", return_maps=True)["label_map"]
    assert found.shape == (56, 40)
    assert torch.equal(found, expected_maps(segmenter, turned.transpose(Image.Transpose.ROTATE_270))[0])


def test_defaults_of_the_pipeline_and_of_the_model(checkpoint, images):
    segmenter = pipeline(
        "image-segmentation",
        model=str(checkpoint),
        pipeline_class=PaumerImageSegmentationPipeline,
        pause_config="fast",
        return_maps=True,
        batch_size=2,
        device="cpu",
    )
    fast, dense = segmenter(images[0]), segmenter(images[0], pause_config={})
    assert fast["pause_map"].any()
    assert not dense["pause_map"].any()
    # None is the default of the model, which may change while the pipeline lives.
    segmenter.model.pause_config = {3: 0.5}
    assert set(segmenter(images[0], pause_config=None)["pause_map"].unique().tolist()) == {0, 3}


def test_transformers_own_pipeline_takes_the_models_default(checkpoint, images, caplog):
    logging.getLogger("transformers").propagate = True
    try:
        with caplog.at_level(logging.WARNING):
            own = pipeline("image-segmentation", model=str(checkpoint), device="cpu")
            segments = own(images[0])
            own.model.pause_config = "fast"
            fast = own(images[0])
    finally:
        logging.getLogger("transformers").propagate = False
    assert not caplog.records
    assert type(own) is ImageSegmentationPipeline
    assert_segments(segments, expected_maps(own, images[0], {})[0], own.model.config.id2label)
    assert_segments(fast, expected_maps(own, images[0], FAST)[0], own.model.config.id2label)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"pause_config": "quick"}, ValueError, "quick.*fast"),
        ({"pause_config": {4: 0.5}}, ValueError, "layer 4.*4 layers"),
        ({"pause_config": 0.5}, TypeError, "0.5"),
        ({"pause_configs": "fast"}, TypeError, "no argument 'pause_configs'; its own are pause_config"),
        ({"threshold": 0.5}, TypeError, "no argument 'threshold'"),
        ({"subtask": "panoptic"}, ValueError, "`subtask` must be 'semantic'"),
        ({"return_maps": "yes"}, TypeError, "`return_maps` must be True or False"),
    ],
)
def test_wrong_arguments_are_refused_before_an_image_is_read(segmenter, checkpoint, arguments, error, message):
    with pytest.raises(error, match=message):
        segmenter("nowhere.png", **arguments)
    with pytest.raises(error, match=message):
        pipeline("paumer-image-segmentation", model=str(checkpoint), device="cpu", **arguments)


def test_wrong_images_and_models_are_refused(segmenter, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "damaged.png").write_bytes(b"none")
    with pytest.raises(ValueError, match=r"empty holds no image"):
        segmenter(tmp_path / "empty")
    with pytest.raises(ValueError, match=r"nowhere\.png does not exist"):
        segmenter(tmp_path / "nowhere.png")
    with (tmp_path / "damaged.png").open("rb") as file, pytest.raises(TypeError, match="is an open file"):
        segmenter(file)
    with pytest.raises(TypeError, match=r"must be a Pillow image, a path, a URL or base64 text, but is a .*ndarray"):
        segmenter(np.zeros((4, 4, 3), np.uint8))
    for form in (tmp_path / "damaged.png", str(tmp_path / "damaged.png")):
        with pytest.raises(ValueError, match=r"damaged\.png cannot be read as an image"):
            segmenter([form])
    with pytest.raises(TypeError, match="must be a PaumerForSemanticSegmentation, but is PaumerModel"):
        PaumerImageSegmentationPipeline(segmenter.model.paumer, image_processor=segmenter.image_processor)
    with pytest.raises(ValueError, match="`image_processor` is missing"):
        PaumerImageSegmentationPipeline(segmenter.model, device="cpu")


def test_saving_the_pipeline_saves_a_plain_checkpoint(segmenter, tmp_path):
    """Without an entry of a custom pipeline, for which transformers would ask everybody to trust the code."""
    segmenter.save_pretrained(tmp_path / "saved")
    assert "custom_pipelines" not in json.loads((tmp_path / "saved" / "config.json").read_text())
    assert not list((tmp_path / "saved").glob("*.py"))
    again = pipeline("image-segmentation", model=str(tmp_path / "saved"), device="cpu")
    assert again.model.pause_presets == {"fast": PauseConfig(FAST)}


STOCK = """
import sys
if sys.argv[2] == "no package":
    sys.modules["paumer_hf"] = None  # importing it fails, as where it is not installed
    options = {"trust_remote_code": True}
else:
    import paumer_hf
    options = {}
from PIL import Image
from transformers import pipeline
segmenter = pipeline("image-segmentation", model=sys.argv[1], device="cpu", **options)
print(type(segmenter.model).__module__, *(segment["label"] for segment in segmenter(Image.new("RGB", (48, 40)))))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("process", "module"), [("package", "paumer_hf"), ("no package", "transformers_modules")])
def test_transformers_own_pipeline_says_nothing_of_a_checkpoint_with_code(
    checkpoint, segmenter, tmp_path, monkeypatch, process, module
):
    for part, auto_class in (
        (segmenter.model.config, "AutoConfig"),
        (segmenter.model, "AutoModelForSemanticSegmentation"),
        (segmenter.image_processor, "AutoImageProcessor"),
    ):
        monkeypatch.setattr(type(part), "_auto_class", auto_class)
    segmenter.save_pretrained(tmp_path / "code")
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", STOCK, str(tmp_path / "code"), process]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    lines = [line for line in result.stderr.replace("\r", "\n").splitlines() if line and "Loading weights" not in line]
    assert lines == []
    assert len(result.stdout.splitlines()) == 1, "no question whether to run the code"
    assert result.stdout.startswith(module)
