# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the evaluation of a model under many pause configurations."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from paumer_hf import PaumerConfig, PaumerForSemanticSegmentation, PauseConfig
from paumer_hf.data import BadSampleError, SegmentationSample, image_to_tensor
from paumer_hf.evaluation import semantic_evaluation
from paumer_hf.evaluation.mean_iou import ConfusionMatrix, compute_mean_iou, summarise_counts
from paumer_hf.evaluation.multi_scale import EvaluationSettings, ImagePasses, scaled_pixel_values
from paumer_hf.evaluation.semantic_evaluation import count_images, evaluate_model
from paumer_hf.evaluation.sliding_window import derive_seed, sliding_window_logits


NUM_LABELS = 4
DENSE, PAUSED = PauseConfig(), PauseConfig({1: 0.5})
RANDOM = PauseConfig({1: 0.5}, criterion="random", seed=3)


class Samples:
    """Images of different sizes with random labels; counts how often each is decoded."""

    description = SimpleNamespace(name="samples", num_labels=NUM_LABELS)

    def __init__(self, sizes=((20, 28), (24, 24), (17, 30))):
        rng = np.random.default_rng(0)
        self.samples = [
            SegmentationSample(
                str(index),
                Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)),
                rng.choice(np.array([0, 1, 2, 3, 255], np.uint8), size),
            )
            for index, size in enumerate(sizes)
        ]
        self.decoded = []
        self.bad = {}

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        if index in self.bad:
            raise BadSampleError(f"{self.bad[index]} cannot be decoded", self.bad[index])
        self.decoded.append(index)
        return self.samples[index]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = PaumerConfig(
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=32,
        decoder_num_hidden_layers=1,
        image_size=24,
        patch_size=4,
        num_labels=NUM_LABELS,
        initializer_range=0.5,
    )
    return PaumerForSemanticSegmentation(config)


@pytest.fixture
def dataset():
    return Samples()


def without_lists(result):
    return {name: value for name, value in result.items() if not isinstance(value, list)}


def test_results_equal_the_model_called_image_by_image(model, dataset):
    results = evaluate_model(model, dataset, [DENSE, PAUSED, RANDOM])
    model.eval()
    for result, pause_config in zip(results, [DENSE, PAUSED, RANDOM], strict=True):
        confusion = ConfusionMatrix(NUM_LABELS)
        for index, sample in enumerate(dataset.samples):
            pixel_values = image_to_tensor(sample.image)[None]
            with torch.no_grad():
                logits = model(pixel_values, pause_config=derive_seed(pause_config, index)).logits
            predictions = model.upsample_logits(logits, sample.annotation.shape).argmax(1)[0]
            confusion.update(predictions, sample.annotation)
        expected = compute_mean_iou(confusion.matrix)
        assert {name: result[name] for name in expected} == expected
        assert result["pause_config"] == pause_config.to_text()
        assert result["criterion"] == pause_config.criterion
        assert result["num_images"] == 3
    assert len({result["mean_iou"] for result in results}) == 3, "the configurations must differ for this to mean much"


def test_each_image_is_decoded_once(model, dataset):
    evaluate_model(model, dataset, [DENSE, PAUSED, RANDOM], num_random_seeds=3)
    assert dataset.decoded == [0, 1, 2]


def test_images_that_cannot_be_read_stop_the_evaluation_or_are_skipped(model):
    dataset = Samples([(20, 28), (24, 24), (17, 30), (18, 18)])
    dataset.bad = {0: "first", 2: "third"}
    for fields in ({}, {"on_bad_sample": "stop"}):
        with pytest.raises(BadSampleError, match="first"):
            evaluate_model(model, dataset, [DENSE], **fields)
    skipped = evaluate_model(model, dataset, [DENSE, RANDOM], on_bad_sample="skip")

    readable = Samples([(20, 28), (24, 24), (17, 30), (18, 18)])
    counted = list(count_images(model, readable, [DENSE, RANDOM], EvaluationSettings(), indices=[1, 3]))
    assert [image.place for image in counted] == [1, 3]
    for number, result in enumerate(skipped):
        expected = summarise_counts(counted[0].counts[number] + counted[1].counts[number])
        assert {name: result[name] for name in expected} == expected
        assert result["num_images"] == 2
        assert result["bad_samples"] == ["first", "third"]
    for result in evaluate_model(model, readable, [DENSE], on_bad_sample="skip"):
        assert "bad_samples" not in result


def test_an_evaluation_of_nothing_is_refused(model):
    dataset = Samples([(20, 28), (24, 24)])
    dataset.bad = {0: "first", 1: "second"}
    with pytest.raises(ValueError, match="None of the 2 images can be read; the first is 'first'"):
        evaluate_model(model, dataset, [DENSE], on_bad_sample="skip")
    with pytest.raises(ValueError, match="on_bad_sample must be 'stop' or 'skip', got 'ignore'"):
        evaluate_model(model, dataset, [DENSE], on_bad_sample="ignore")


def test_scales_and_mirror_images_are_evaluated(model, dataset):
    fields = {"scales": (0.75, 1.5), "flip": True, "window_size": (16, 16), "resize_short_side": 20}
    result = evaluate_model(model, dataset, [PAUSED], **fields)[0]
    settings, confusion = EvaluationSettings(**fields), ConfusionMatrix(NUM_LABELS)
    model.eval()
    for sample in dataset.samples:
        with torch.no_grad():
            passes = ImagePasses(scaled_pixel_values(sample.image, settings), settings, sample.annotation.shape)
            logits = [model(part.pixel_values, pause_config=PAUSED).logits for part in passes.inputs]
            confusion.update(passes.label_maps(model, logits), sample.annotation[None])
    assert result["mean_iou"] == compute_mean_iou(confusion.matrix)["mean_iou"]
    assert result["mean_iou"] != evaluate_model(model, dataset, [PAUSED])[0]["mean_iou"]


def test_training_mode_is_restored_also_after_an_error(model, dataset):
    model.train()
    evaluate_model(model, dataset, [DENSE], max_samples=1)
    assert model.training
    with pytest.raises(ValueError, match="layer 9"):
        evaluate_model(model, dataset, [PauseConfig({9: 0.5})])
    assert model.training
    model.eval()
    evaluate_model(model, dataset, [DENSE], max_samples=1)
    assert not model.training


def test_shards_sum_to_the_whole(model, dataset):
    settings = EvaluationSettings(window_size=(16, 16), stride=(8, 12))
    configs = [PAUSED, RANDOM]
    (other,) = count_images(model, dataset, configs, settings, [1])

    def reduce(counts):
        assert counts.shape == (3, 2, 3, NUM_LABELS)
        assert counts[1].eq(0).all()
        assert counts[[0, 2]].ne(0).any()
        return counts.index_add(0, torch.tensor([1]), other.counts[None])

    sharded = evaluate_model(
        model, dataset, configs, rank=0, world_size=2, reduce=reduce, window_size=(16, 16), stride=(8, 12)
    )
    assert sharded == evaluate_model(model, dataset, configs, window_size=(16, 16), stride=(8, 12))
    with pytest.raises(ValueError, match="needs reduce"):
        evaluate_model(model, dataset, configs, world_size=2)


def test_a_process_without_an_image_sums_with_the_others(model):
    dataset, seen = Samples([(20, 28), (24, 24)]), []

    def reduce(counts):
        seen.append((counts.shape, counts.dtype, counts.device))
        return counts + 1

    for rank in range(3):
        evaluate_model(model, dataset, [DENSE, PAUSED], rank=rank, world_size=3, reduce=reduce)
    assert len(set(seen)) == 1


@pytest.mark.parametrize("configs", [[DENSE], [DENSE, PAUSED]])
def test_one_configuration_takes_one_input_at_a_time(model, dataset, monkeypatch, configs):
    """The states of all windows are held only where configurations share them."""
    numbers = []

    def spy(model, inputs, pause_configs):
        numbers.append(len(inputs))
        return shared_logits(model, inputs, pause_configs)

    shared_logits = semantic_evaluation.shared_logits
    monkeypatch.setattr(semantic_evaluation, "shared_logits", spy)
    evaluate_model(model, dataset, configs, window_size=(8, 8), window_batch_size=2, max_samples=1)
    assert (set(numbers) == {1}) == (len(configs) == 1)


def test_windows_are_used_at_the_size_of_the_reference(model, dataset):
    result = evaluate_model(model, dataset, [PAUSED], window_size=(16, 16), stride=(8, 12), window_batch_size=3)[0]
    confusion = ConfusionMatrix(NUM_LABELS)
    model.eval()
    for sample in dataset.samples:
        with torch.no_grad():
            logits = sliding_window_logits(model, image_to_tensor(sample.image)[None], (16, 16), (8, 12), PAUSED)
        confusion.update(logits.argmax(1)[0], sample.annotation)
    assert result["mean_iou"] == compute_mean_iou(confusion.matrix)["mean_iou"]


def test_predictions_of_resized_images_return_to_the_size_of_the_reference(model, dataset):
    result = evaluate_model(model, dataset, [DENSE], resize_short_side=12, max_samples=1)[0]
    sample = dataset.samples[0]
    image = sample.image.resize((17, 12), Image.Resampling.BILINEAR)
    model.eval()
    with torch.no_grad():
        logits = model.upsample_logits(model(image_to_tensor(image)[None], pause_config=DENSE).logits, (12, 17))
    predictions = functional.interpolate(logits, size=(20, 28), mode="bilinear", align_corners=False).argmax(1)
    confusion = ConfusionMatrix(NUM_LABELS)
    confusion.update(predictions[0], sample.annotation)
    assert result["mean_iou"] == compute_mean_iou(confusion.matrix)["mean_iou"]


def test_random_pausing_is_reproducible_and_differs_between_images(model, dataset, monkeypatch):
    seeds = []

    def spy(model, inputs, pause_configs):
        seeds.extend(pause_config.seed for pause_config in pause_configs)
        return shared_logits(model, inputs, pause_configs)

    shared_logits = semantic_evaluation.shared_logits
    monkeypatch.setattr(semantic_evaluation, "shared_logits", spy)
    unseeded = PauseConfig({1: 0.5}, criterion="random")
    evaluate_model(model, dataset, [unseeded], num_random_seeds=2)
    assert len(set(seeds)) == 6
    first = list(seeds)
    seeds.clear()
    evaluate_model(model, dataset, [unseeded], num_random_seeds=2)
    assert seeds == first


def test_random_seeds_are_averaged_and_the_spread_is_reported(model, dataset):
    averaged = evaluate_model(model, dataset, [RANDOM, PAUSED], num_random_seeds=3)
    singles = [
        evaluate_model(model, dataset, [PauseConfig({1: 0.5}, criterion="random", seed=seed)])[0] for seed in (3, 4, 5)
    ]
    values = [single["mean_iou"] for single in singles]
    assert averaged[0]["mean_iou_per_seed"] == values
    assert averaged[0]["mean_iou"] == pytest.approx(np.mean(values))
    assert averaged[0]["mean_iou_spread"] == pytest.approx(np.std(values, ddof=1))
    assert averaged[0]["mean_iou_spread"] > 0
    expected = np.mean([single["per_category_iou"] for single in singles], axis=0)
    np.testing.assert_allclose(averaged[0]["per_category_iou"], expected)
    assert "mean_iou_per_seed" not in averaged[1]


def test_autocast_is_used_and_close(model, dataset):
    exact, reduced = (evaluate_model(model, dataset, [DENSE], dtype=dtype)[0] for dtype in (None, torch.bfloat16))
    assert reduced["overall_accuracy"] == pytest.approx(exact["overall_accuracy"], abs=0.05)
    assert without_lists(reduced) != without_lists(exact)


def test_what_does_not_fit_is_refused(model, dataset):
    with pytest.raises(ValueError, match="pause_configs is empty"):
        evaluate_model(model, dataset, [])
    with pytest.raises(ValueError, match="nothing to evaluate"):
        evaluate_model(model, dataset, [DENSE], max_samples=0)
    with pytest.raises(ValueError, match="needs window_size"):
        evaluate_model(model, dataset, [DENSE], stride=(4, 4))
    for sides in ((16,), (16, 0)):
        with pytest.raises(ValueError, match="window_size must be a height and a width"):
            evaluate_model(model, dataset, [DENSE], window_size=sides)
    with pytest.raises(ValueError, match="num_random_seeds"):
        evaluate_model(model, dataset, [DENSE], num_random_seeds=0)
    dataset.description = SimpleNamespace(name="other", num_labels=7)
    with pytest.raises(ValueError, match="The model has 4 classes, the data set 'other' has 7"):
        evaluate_model(model, dataset, [DENSE])


def test_annotation_of_another_size_is_refused(model, dataset):
    dataset.samples[0] = dataset.samples[0]._replace(annotation=np.zeros((3, 3), np.uint8))
    with pytest.raises(BadSampleError, match=r"sample '0': the image is 20 x 28 pixels .*, its annotation 3 x 3"):
        evaluate_model(model, dataset, [DENSE])
    assert evaluate_model(model, dataset, [DENSE], on_bad_sample="skip")[0]["bad_samples"] == ["0"]
