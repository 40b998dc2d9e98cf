# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The order of the samples: a function of the seed, whoever loads them and wherever a training goes on."""

from typing import NamedTuple

import numpy as np
import pytest
import torch

from paumer_hf.training.samples import TrainingSamples, make_loader, positions


class Sample(NamedTuple):
    image: int
    annotation: int


class Numbers:
    """A data set whose samples are their own indices."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Sample:
        return Sample(index, index)


def transform(image, annotation, generator):
    """Return the index and a random number, which shows the state of the generator."""
    return torch.tensor([image, generator.integers(2**30)]), torch.tensor(annotation)


def all_values(samples, **options) -> torch.Tensor:
    return torch.cat([batch["pixel_values"] for batch in make_loader(samples, **options)])


@pytest.fixture
def samples() -> TrainingSamples:
    return TrainingSamples(Numbers(10), transform, seed=3)


def test_each_epoch_is_a_permutation_of_its_own(samples):
    values = all_values(samples, first_step=0, last_step=6, batch_size=5)
    epochs = values[:, 0].reshape(3, 10)
    assert all(sorted(epoch.tolist()) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch.tolist()) for epoch in epochs}) == 3


def test_a_sample_met_again_is_augmented_anew(samples):
    values = all_values(samples, first_step=0, last_step=6, batch_size=5)
    assert len(set(values[:, 1].tolist())) == 30


def test_going_on_gives_what_would_have_come(samples):
    whole = all_values(samples, first_step=0, last_step=8, batch_size=4)
    rest = all_values(samples, first_step=3, last_step=8, batch_size=4)
    assert torch.equal(whole[12:], rest)


def test_loader_processes_change_nothing(samples):
    options = {"first_step": 0, "last_step": 5, "batch_size": 4}
    assert torch.equal(all_values(samples, **options), all_values(samples, **options, num_workers=2))


@pytest.mark.parametrize(("world_size", "accumulation"), [(1, 1), (2, 1), (1, 2), (2, 2), (4, 1)])
def test_a_step_has_the_same_samples_on_any_number_of_processes(world_size, accumulation):
    for step in range(3):
        found = [
            position
            for rank in range(world_size)
            for position in positions(step, step + 1, 8, rank, world_size, accumulation)
        ]
        assert sorted(found) == list(range(8 * step, 8 * step + 8))


def test_the_loader_has_the_length_that_it_gives(samples):
    for world_size, accumulation in [(1, 1), (2, 2)]:
        options = {"first_step": 2, "last_step": 5, "batch_size": 8}
        loader = make_loader(samples, **options, world_size=world_size, accumulation=accumulation)
        assert len(loader) == len(list(loader)) == 3 * accumulation


def test_the_seed_decides_order_and_augmentation(samples):
    options = {"first_step": 0, "last_step": 2, "batch_size": 5}
    other = TrainingSamples(Numbers(10), transform, seed=4)
    assert torch.equal(
        all_values(samples, **options), all_values(TrainingSamples(Numbers(10), transform, 3), **options)
    )
    assert not torch.equal(all_values(samples, **options), all_values(other, **options))


def test_loading_leaves_the_random_state_of_the_model_alone(samples):
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    all_values(samples, first_step=0, last_step=2, batch_size=5, num_workers=1)
    assert torch.equal(torch.rand(1), expected)


def test_refuses_an_uneven_batch_and_an_empty_split(samples):
    with pytest.raises(ValueError, match=r"`batch_size` must be a multiple .* 5 with 2 processes"):
        make_loader(samples, 0, 1, 5, world_size=2)
    with pytest.raises(ValueError, match="no samples"):
        TrainingSamples(Numbers(0), transform, seed=0)


def test_order_is_stable_over_versions(samples):
    """A checkpoint that goes on under another version of numpy must meet the same order."""
    expected = np.random.default_rng([3, 0, 0]).permutation(10).tolist()
    assert all_values(samples, first_step=0, last_step=2, batch_size=5)[:, 0].tolist() == expected
