# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from paumer_hf.figures import entropy_violins
from paumer_hf.figures.entropy_violins import draw_entropy_violins, violin_half
from paumer_hf.figures.patch_predictions import LayerPredictions
from paumer_hf.figures.patch_statistics import summarise_patches


@pytest.fixture
def contents():
    """Two layers; the second classifies everything correctly."""
    entropies = np.random.default_rng(0).uniform(0, 1, (2, 4, 5)).astype(np.float32)
    references = np.zeros((4, 5), np.int64)
    labels = np.zeros((2, 4, 5), np.int64)
    labels[0, :2] = 1
    return {
        "conditions": {"maximum_entropy": np.log(3), "num_patches": 12_345, "num_images": 7, "dataset": "streets"},
        "results": summarise_patches([LayerPredictions(entropies, labels)], [references], 3),
    }


def test_half_a_violin_has_unit_area_and_keeps_its_mean():
    histogram = np.random.default_rng(0).integers(0, 50, 40)
    places, density = violin_half(histogram, 2.0)
    assert density.sum() * 2.0 / 40 == pytest.approx(1)
    assert (density >= 0).all()
    assert (places * density).sum() / density.sum() == pytest.approx(np.average(places, weights=histogram), abs=0.01)


def test_a_spike_at_zero_stays_there():
    histogram = np.zeros(30)
    histogram[0] = 100
    _, density = violin_half(histogram, 1.0)
    assert density.argmax() == 0
    assert density[2:].sum() == 0


def test_violins_counts_and_caption(contents, drawn, tmp_path):
    figures = drawn(entropy_violins)
    draw_entropy_violins(contents, tmp_path / "violins.png")
    (axes,) = figures[0].axes
    assert "nats" in axes.get_ylabel()
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1", "2"]
    assert [text.get_text() for text in axes.texts] == ["50 %", "10", "10", "100 %", "20", "0"]
    # Halves of layer 1 on both sides of it, of layer 2 on the left alone; those of one side have a hatch.
    assert [collection.get_hatch() for collection in axes.collections] == [None, "/////", None]
    sides = [np.sign(collection.get_paths()[0].vertices[:, 0].mean() - layer) for collection, layer in
             zip(axes.collections, (1, 1, 2), strict=True)]  # fmt: skip
    assert sides == [-1, 1, -1]
    assert "12345 labelled patches of 7 images" in figures[0]._supxlabel.get_text().replace("\n", " ")
    assert len(figures[0].legends[0].get_texts()) == 2
