# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from paumer_hf.conversion.source_weights import ConversionError, ConvertedWeights, SourceWeights, count_layers


@pytest.fixture
def weights():
    tensors = {"norm.weight": torch.ones(4), "norm.bias": torch.zeros(4), "head.weight": torch.ones(2, 4)}
    return SourceWeights("file.pth", tensors)


def test_every_weight_is_taken_once(weights):
    assert weights.shape("norm.weight", 1) == (4,)
    assert weights.pop("norm.weight", 4).equal(torch.ones(4))
    assert "norm.weight" not in weights
    with pytest.raises(ConversionError, match=r"file\.pth: the weight 'norm\.weight' is missing .*'head\.weight'"):
        weights.pop("norm.weight")
    with pytest.raises(ConversionError, match=r"no place for 2 of the weights, 'head\.weight', 'norm\.bias'; the net"):
        weights.finish()
    weights.pop("norm.bias", None)
    weights.drop(["head.weight", "absent"])
    weights.finish()
    assert weights.unused == ["head.weight"]
    assert weights.keys() == []


def test_keys_are_dropped_by_a_function_of_the_name(weights):
    weights.drop(lambda key: key.startswith("norm"))
    assert weights.unused == ["norm.weight", "norm.bias"]
    assert weights.keys() == ["head.weight"]


def test_shapes_are_checked(weights):
    assert weights.pop("head.weight", None, 4).shape == (2, 4)
    for shape in ((5,), (4, 1), (None, None)):
        with pytest.raises(
            ConversionError, match=r"'norm\.weight' has the shape \(4,\), but the other weights ask for"
        ):
            weights.pop("norm.weight", *shape)
    assert "norm.weight" in weights


def test_whole_numbers_are_no_weights():
    weights = SourceWeights("file.pth", {"counter": torch.tensor([3])})
    with pytest.raises(ConversionError, match=r"'counter' holds torch\.int64"):
        weights.pop("counter")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_no_finite_numbers_are_refused(value):
    weights = SourceWeights("file.pth", {"norm.weight": torch.tensor([1.0, value])})
    with pytest.raises(ConversionError, match=r"'norm\.weight' holds values that are no finite numbers"):
        weights.pop("norm.weight")


def test_many_that_are_left_are_counted():
    weights = SourceWeights("file.pth", {f"w{number}": torch.ones(1) for number in range(12)})
    with pytest.raises(ConversionError, match=r"12 of the weights, 'w0', .* and 4 more;"):
        weights.finish()


def test_layers_are_counted_by_the_highest_number():
    assert count_layers(["blocks.0.a", "blocks.11.a", "blocks.2.b", "other.40"], "blocks.") == 12
    assert count_layers(["Transformer/encoderblock_3/x/y"], "Transformer/encoderblock_") == 4
    assert count_layers(["blocks.²"], "blocks.") == 0
    assert count_layers(["blocks.norm"], "blocks.") == count_layers([], "blocks.") == 0


def test_a_decoder_is_seen_by_its_weights():
    arguments = ("timm", {}, {"paumer.layernorm.weight": torch.ones(1)}, (0.5,) * 3, (0.5,) * 3)
    assert not ConvertedWeights(*arguments).has_decoder
    arguments[2]["decoder.classifier.weight"] = torch.ones(1, 1)
    assert ConvertedWeights(*arguments).has_decoder
