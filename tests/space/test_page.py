# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import base64
import io
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from paumer_hf import PaumerImageProcessor, PauseConfig
from paumer_hf.space.demonstration import TARGET, Demonstration
from paumer_hf.space.page import MAX_CLASSES, comparison_html, message_html, problem_html, summary
from paumer_hf.visualization import layer_colours


class Page(HTMLParser):
    """The pictures, the texts and the tags of a page, whose tags must be closed in order."""

    def __init__(self, text):
        super().__init__()
        self.pictures, self.texts, self.open, self.tags = {}, [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag != "img":
            self.open.append(tag)
            return
        attributes = dict(attrs)
        data = base64.b64decode(attributes["src"].split("base64,")[1])
        assert attributes["alt"] not in self.pictures
        self.pictures[attributes["alt"]] = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def _picture(page, beginning):
    (found,) = [picture for text, picture in page.pictures.items() if text.startswith(beginning)]
    return found


def test_pictures_are_described_and_side_by_side(demonstration, photograph):
    image = photograph(400, 296).resize((48, 40))
    page = Page(comparison_html(demonstration.compare(image, "preset fast"), demonstration))
    assert [text.split(":")[0] for text in page.pictures] == [
        "Segmentation by the dense model",
        "Segmentation by fast (1",
        "The image. In the dense model no patch pauses.",
        "Pause map of fast (1",
        "Map of the entropy of the prediction of the dense model",
        "Map of the entropy of the auxiliary prediction of fast (1",
    ]
    assert all(picture.shape == (40, 48, 3) for picture in page.pictures.values())
    assert "table" in page.tags
    alternative = next(text for text in page.pictures if text.startswith("Pause map"))
    assert "paused after layer 1: 50 %" in alternative
    assert "the image is visible: 50 %" in alternative


def test_the_pause_map_shows_what_paused(demonstration, photograph):
    image = photograph(6, 5).resize((48, 40), Image.Resampling.BICUBIC)
    comparison = demonstration.compare(image, "preset fast")
    page = Page(comparison_html(comparison, demonstration))
    shown, plain = _picture(page, "Pause map of fast").astype(int), _picture(page, "The image.").astype(int)
    assert np.abs(plain - np.asarray(image, dtype=int)).mean() < 4
    paused = comparison.paused.row.pause_map.repeat(8, 0).repeat(8, 1) == 1
    grey = np.asarray(image.convert("L"), dtype=int)[..., None]
    expected = np.where(paused[..., None], 0.2 * grey + 0.8 * np.array(layer_colours([1])[1]), plain)
    assert np.abs(shown - expected).mean() < 6


def test_the_dense_model_has_no_pause_map(demonstration, photograph):
    page = Page(comparison_html(demonstration.compare(photograph(), TARGET, 1.0), demonstration))
    assert len(page.pictures) == 3
    assert not [text for text in page.pictures if text.startswith("Pause map")]


def test_both_entropies_have_one_scale(demonstration, photograph):
    comparison = demonstration.compare(photograph(), "preset fast")
    page = Page(comparison_html(comparison, demonstration))
    maximum = max(comparison.dense.row.entropy.max(), comparison.paused.row.entropy.max())
    assert f"{maximum:.2f} nats, unsure" in page.texts
    brightest = [picture.sum(-1).max() for text, picture in page.pictures.items() if text.startswith("Map of")]
    assert max(brightest) == 252 + 255 + 164
    assert min(brightest) < max(brightest)


def test_times_are_the_medians(demonstration, photograph):
    comparison = demonstration.compare(photograph(), "preset careful")
    comparison.dense.seconds[:] = [1.25, 1.25, 9.0]
    comparison.paused.seconds[:] = [0.5, 0.5, 0.1]
    texts = Page(comparison_html(comparison, demonstration)).texts
    for text in ("1.25 s", "500 ms", "0.800 images/s", "2.00 images/s", "1.00", "2.50"):
        assert text in texts
    assert any(text.startswith("Median of 3 calls of the model on this image of 45 x 38 pixels") for text in texts)
    first, second = summary(comparison, demonstration.profile)
    assert first.startswith("careful (2:0.25) is 2.50 times as fast")
    assert "2.00 images/s against 0.800 images/s" in first
    assert second == "The profile (streets, abacus) has it at 1.20 times as fast and -1.00 points of mIoU."


def test_summary_of_targets(demonstration, photograph):
    asked = summary(demonstration.compare(photograph(), TARGET, 1.5), demonstration.profile)
    assert "Asked for: at least 1.5 times as fast, by the profile." in asked
    assert "2.03 times as fast and -10.00 points" in asked[-1]
    dense = summary(demonstration.compare(photograph(), TARGET, 1.0), demonstration.profile)
    assert dense[0].endswith("the dense model itself meets this target best: nothing pauses.")
    without = demonstration.compare(photograph(), "preset fast")
    assert len(summary(without, demonstration.profile)) == len(summary(without, None)) == 1


@pytest.mark.parametrize("to_html", [lambda text: message_html([text]), problem_html])
def test_texts_of_strangers_stay_texts(to_html):
    page = Page(to_html('<script>alert("a")</script>.png & more'))
    assert "script" not in page.tags
    assert '<script>alert("a")</script>.png & more' in "".join(page.texts)


def test_names_of_classes_and_presets_stay_texts(profiled_model, photograph):
    profiled_model.config.id2label = dict(enumerate(('<b>"road"</b>', "tree", "sky")))
    profiled_model.pause_presets["<i>"] = PauseConfig({1: 0.5})
    demonstration = Demonstration(profiled_model, PaumerImageProcessor(size_divisor=8))
    page = Page(comparison_html(demonstration.compare(photograph(), "preset <i>"), demonstration))
    assert not {"b", "i"} & set(page.tags)


def test_of_many_classes_the_legend_names_the_largest(make_model, make_tiny_config, photograph):
    names = {label: f"class{label}" for label in range(40)}
    demonstration = Demonstration(make_model(make_tiny_config(id2label=names)), PaumerImageProcessor(), 1)
    comparison = demonstration.compare(photograph(48, 40), "usual")
    comparison.dense.row.label_map[:] = np.arange(48) % 40
    texts = Page(comparison_html(comparison, demonstration)).texts
    assert len([text for text in texts if text.startswith("class")]) == MAX_CLASSES
    assert f"and {40 - MAX_CLASSES} smaller classes" in texts
