# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of bootstrap intervals, on simulated data sets of which the true mean IoU is known."""

import numpy as np
import pytest

from paumer_hf.evaluation.bootstrap import ImageBootstrap, add_intervals, interval
from paumer_hf.evaluation.mean_iou import mean_iou_of_counts


NUM_IMAGES = 100
# In what part of the images each class is.
ELEVEN = [1, 1, 0.95, 1, 0.9, 0.95, 0.6, 0.5, 0.9, 0.3, 0.25]
NINETEEN = [1, 1, 1, 0.95, 0.95, 0.9, 0.9, 0.8, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.15, 0.12, 0.1, 0.08]
RARE = [1, 1, 0.9, 0.7, 0.5, 0.4, 0.3, 0.2, 0.15, 0.1, 0.08, 0.06, 0.05, 0.05]


def simulate_population(presence, seed=0, num_images=20_000):
    """Counts `(num_images, 2, 3, K)` of a dense model and a slightly worse one on images that are independent.

    Scenes make classes come together. Sizes of classes are log-normal. The accuracy of a class in an image varies with
    the difficulty of the image, alike for both models, and by chance. Missed pixels go mostly to other classes of the
    image, some to classes that it does not have.
    """
    generator = np.random.default_rng(seed)
    shape = num_images, len(presence)
    presence = np.array(presence)
    load = generator.uniform(0, 0.8, len(presence))
    tendency = load * generator.normal(size=(num_images, 1)) + np.sqrt(1 - load**2) * generator.normal(size=shape)
    limits = [np.quantile(column, part) for column, part in zip(tendency.T, presence, strict=True)]
    present = tendency <= np.array(limits)
    share = present * generator.lognormal(0, 1, shape) * generator.lognormal(0, 0.8, len(presence)) * (0.15 + presence)
    references = np.floor(share / share.sum(1, keepdims=True) * 65536)
    easiness = generator.normal(size=(num_images, 1)) + generator.normal(0, 0.8, shape)
    easiness += generator.normal(1.5, 1.2, len(presence)) - 1.5 * (1 - presence)
    confusion = generator.gamma(0.5, size=(len(presence), len(presence))) * (1 - np.eye(len(presence)))
    imagined = (generator.random(shape) < 0.1) * generator.lognormal(-1.5, 1, shape)
    models = []
    for loss in (0, 0.25):
        accuracy = 1 / (1 + np.exp(loss - easiness + generator.normal(0, 0.3, shape)))
        hits = np.floor(accuracy * references)
        attraction = np.where(present, 1, imagined) * generator.lognormal(0, 0.3, shape)
        total = attraction @ confusion.T
        missed = np.divide(references - hits, total, out=np.zeros(shape), where=total > 0)
        models.append(np.stack([hits, references, hits + np.floor(missed @ confusion * attraction)], axis=1))
    return np.stack(models, axis=1)


def draw_data_set(population, generator):
    """Counts of 100 independent images, each class in 3 of them at least."""
    while True:
        counts = population[generator.integers(len(population), size=NUM_IMAGES)]
        if (counts[:, 0, 1] > 0).sum(0).min() >= 3:
            return counts


def coverage(population, num_data_sets, num_resamples):
    """How often 95 % intervals hold the population's mean IoU of the dense model, and the difference of the models."""
    truth = mean_iou_of_counts(population.sum(0))
    generator = np.random.default_rng(0)
    held = np.zeros(2)
    for seed in range(num_data_sets):
        counts = draw_data_set(population, generator)
        bootstrap = ImageBootstrap(counts[:, 0, 1], num_resamples, seed)
        dense, paused = (bootstrap.mean_iou(counts[:, model]) for model in range(2))
        for number, (samples, true) in enumerate([(dense, truth[0]), (paused - dense, truth[1] - truth[0])]):
            low, high = interval(samples)
            held[number] += low <= true <= high
    return held / num_data_sets


@pytest.fixture(scope="module")
def population():
    return simulate_population(NINETEEN)


@pytest.fixture
def counts(population):
    """Counts of 100 images `(2, 100, 3, 19)`: of the dense model and of the slightly worse one."""
    return draw_data_set(population, np.random.default_rng(1)).swapaxes(0, 1)


@pytest.mark.parametrize("presence", [ELEVEN, NINETEEN, RARE], ids=["eleven", "nineteen", "rare"])
def test_95_percent_intervals_hold_the_true_value_in_92_to_98_percent_of_data_sets(presence):
    held = coverage(simulate_population(presence, num_images=5000), num_data_sets=200, num_resamples=400)
    assert (held >= 0.92).all(), held
    assert (held <= 0.98).all(), held


@pytest.mark.slow
@pytest.mark.parametrize("presence", [ELEVEN, NINETEEN, RARE], ids=["eleven", "nineteen", "rare"])
def test_coverage_on_many_data_sets(presence):
    held = coverage(simulate_population(presence, seed=1), num_data_sets=2000, num_resamples=600)
    print(f"coverage of the mean IoU and of the difference: {held}")
    assert (held >= 0.925).all(), held
    assert (held <= 0.97).all(), held


def test_weights_sum_to_the_size_of_each_stratum():
    # Images 0 to 4 have class 3, images 3 to 12 class 2, images 3 to 19 class 1, all class 0.
    references = np.zeros((40, 4))
    for label, images in enumerate([slice(None), slice(3, 20), slice(3, 13), slice(5)]):
        references[images, label] = 1 + label
    order = np.random.default_rng(0).permutation(40)
    weights = ImageBootstrap(references[order], 300).weights
    assert weights.shape == (300, 40)
    np.testing.assert_allclose(weights.sum(1), 40)
    for stratum in [range(5), range(5, 13), range(13, 20), range(20, 40)]:
        of_stratum = weights[:, np.isin(order, stratum)]
        np.testing.assert_allclose(of_stratum.sum(1), len(stratum))
        np.testing.assert_allclose(of_stratum.mean(0), 1, atol=0.4)
        assert of_stratum.std(0).min() > 0.5


def test_small_strata_are_joined_and_none_is_without_variance():
    references = np.zeros((30, 8))
    references[:, 0] = 1
    for label in range(1, 8):
        references[label, label] = 1  # seven classes in one image each
    weights = ImageBootstrap(references, 200).weights
    assert weights.std(0).min() > 0.5
    np.testing.assert_allclose(weights[:, 1:5].sum(1), 4)


@pytest.mark.parametrize("num_images", [2, 3, 5])
def test_few_images_and_images_without_any_class(num_images):
    references = np.zeros((num_images, 3))
    weights = ImageBootstrap(references, 100).weights
    np.testing.assert_allclose(weights.sum(1), num_images)
    assert weights.std(0).min() > 0.5
    assert np.isnan(ImageBootstrap(references, 10).mean_iou(np.zeros((num_images, 3, 3)))).all()
    assert np.isnan(interval(np.full(10, np.nan))).all()


def test_mean_iou_is_that_of_a_data_set_of_the_drawn_images(counts):
    bootstrap = ImageBootstrap(counts[0, :, 1], 20)
    expected = []
    for weights in bootstrap.weights:
        hits, references, predictions = (
            sum(weight * image for weight, image in zip(weights, row, strict=True)) for row in counts[0].swapaxes(0, 1)
        )
        union = references + predictions - hits
        expected.append(np.mean(hits[union > 0] / union[union > 0]))
    np.testing.assert_allclose(bootstrap.mean_iou(counts[0]), expected, rtol=1e-12)


def test_counts_beyond_float32_stay_exact():
    counts = np.zeros((4, 3, 2), dtype=np.int64)
    counts[:, 1] = 2**40 + 1
    counts[:, 0] = counts[:, 2] = 2**40
    samples = ImageBootstrap(counts[:, 1], 5).mean_iou(counts)
    assert (samples < 1).all()
    np.testing.assert_allclose(1 - samples, 2.0**-40, rtol=1e-3)


def test_seeds_are_averaged_over_the_same_draws(counts):
    bootstrap = ImageBootstrap(counts[0, :, 1], 50)
    each = np.mean([bootstrap.mean_iou(of_seed) for of_seed in counts], axis=0)
    np.testing.assert_allclose(bootstrap.mean_iou(counts), each, rtol=1e-12)


def test_same_seed_same_intervals_and_another_seed_others(counts):
    first, again, other = (ImageBootstrap(counts[0, :, 1], 50, seed).mean_iou(counts[0]) for seed in (3, 3, 4))
    assert (first == again).all()
    assert (first != other).any()


def test_order_of_images_does_not_matter(counts):
    order = np.random.default_rng(2).permutation(NUM_IMAGES)
    samples = ImageBootstrap(counts[0, :, 1], 50).mean_iou(counts[0])
    shuffled = ImageBootstrap(counts[0, order, 1], 50).mean_iou(counts[0, order])
    np.testing.assert_allclose(shuffled, samples, rtol=1e-12)


def test_equal_images_give_an_interval_without_width():
    image = np.array([[30, 5, 0], [40, 10, 0], [40, 10, 0]])
    low, high = interval(ImageBootstrap(np.tile(image[1], (12, 1)), 100).mean_iou(np.tile(image, (12, 1, 1))))
    assert low == pytest.approx(mean_iou_of_counts(image), abs=1e-12)
    assert high == pytest.approx(low, abs=1e-12)


def test_pairing_narrows_the_interval_of_a_difference(counts):
    def width(samples):
        low, high = interval(samples)
        return high - low

    dense, paused = (ImageBootstrap(counts[0, :, 1], 1000, seed=0).mean_iou(of_model) for of_model in counts)
    unpaired = ImageBootstrap(counts[0, :, 1], 1000, seed=1).mean_iou(counts[1])
    assert width(unpaired - dense) > 3 * width(paused - dense)
    assert width(dense - dense) == 0


def test_more_images_narrow_the_interval(population):
    widths = []
    for num_images in (50, 800):
        counts = population[:num_images, 0]
        low, high = interval(ImageBootstrap(counts[:, 1], 500).mean_iou(counts))
        widths.append(high - low)
    assert 2.8 < widths[0] / widths[1] < 5.6


def test_interval_is_the_middle_of_the_samples():
    samples = np.random.default_rng(0).permutation(np.linspace(0, 1, 1001))
    assert interval(samples) == pytest.approx((0.025, 0.975))
    assert interval(np.append(samples, np.nan), confidence=0.5) == pytest.approx((0.25, 0.75))
    for confidence in (0, 1, 95):
        with pytest.raises(ValueError, match="confidence"):
            interval(samples, confidence)


def make_rows(*counts):
    rows = []
    for text, of_row in zip(["", "3:0.4", "5:0.4"], counts, strict=False):
        per_seed = mean_iou_of_counts(of_row.sum(-3))
        rows.append({"pause_config": text, "mean_iou": float(np.mean(per_seed)), "num_images": NUM_IMAGES})
    return rows


def test_rows_get_intervals_and_paired_differences_to_the_dense_row(counts):
    seeds = np.stack([counts[1], counts[0]])
    rows = make_rows(counts[0], counts[1], seeds)
    given = [dict(row) for row in rows]
    dense, paused, random = add_intervals(rows, [counts[0], counts[1], seeds], num_resamples=200, seed=5)
    assert rows == given
    assert not {"mean_iou_difference", "mean_iou_difference_interval"} & set(dense)
    assert dense["mean_iou_interval"][0] < dense["mean_iou"] < dense["mean_iou_interval"][1]
    bootstrap = ImageBootstrap(counts[0, :, 1], 200, seed=5)
    assert paused["mean_iou_interval"] == list(interval(bootstrap.mean_iou(counts[1])))
    difference = bootstrap.mean_iou(counts[1]) - bootstrap.mean_iou(counts[0])
    assert paused["mean_iou_difference_interval"] == list(interval(difference))
    assert paused["mean_iou_difference"] == paused["mean_iou"] - dense["mean_iou"] < 0
    # Half of the seeds are the dense model.
    assert random["mean_iou_difference_interval"] == pytest.approx(interval(difference / 2))
    assert all(row["num_images"] == NUM_IMAGES for row in (dense, paused, random))


def test_place_of_the_dense_row_does_not_matter_and_without_it_there_are_no_differences(counts):
    rows = make_rows(*counts)
    forward = add_intervals(rows, counts, num_resamples=50)
    assert add_intervals(rows[::-1], counts[::-1], num_resamples=50) == forward[::-1]
    alone = add_intervals(rows[1:], counts[1:], num_resamples=50)
    assert alone == [{**rows[1], "mean_iou_interval": forward[1]["mean_iou_interval"]}]
    assert add_intervals([], []) == []


def test_one_image_has_a_difference_but_no_interval(counts):
    rows = add_intervals(make_rows(*counts), counts[:, :1])
    assert [
        set(row) & {"mean_iou_interval", "mean_iou_difference", "mean_iou_difference_interval"} for row in rows
    ] == [
        set(),
        {"mean_iou_difference"},
    ]


def test_what_does_not_go_together_is_refused(counts):
    rows = make_rows(*counts)
    with pytest.raises(ValueError, match="as many as the rows, 2, but are 1"):
        add_intervals(rows, counts[:1])
    with pytest.raises(ValueError, match=r"same images in the same order.*'3:0\.4'"):
        add_intervals(rows, [counts[0], counts[1, ::-1]])
    with pytest.raises(ValueError, match=r"shape \(100, 19\)"):
        add_intervals(rows[:1], [counts[0, :, 1]])
    with pytest.raises(ValueError, match="of 100 images as the references, not 99"):
        ImageBootstrap(counts[0, :, 1], 10).mean_iou(counts[0, 1:])
    with pytest.raises(ValueError, match="at least 2 images"):
        ImageBootstrap(counts[0, :1, 1])
    with pytest.raises(ValueError, match="num_resamples"):
        ImageBootstrap(counts[0, :, 1], num_resamples=0)
