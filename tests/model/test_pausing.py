# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch
from torch.distributions import Categorical

from paumer_hf.model.pausing import (
    PatchTokens,
    entropy,
    pause_tokens,
    random_scores,
    select_tokens,
    split_by_score,
)


NUM_PATCHES = 64


def places(batch_size=1, num_patches=NUM_PATCHES):
    return torch.arange(num_patches).expand(batch_size, -1)


# --- entropy ---


@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0, 1000.0])
@pytest.mark.parametrize("num_classes", [1, 2, 19])
def test_entropy_is_that_of_torch_distributions(scale, num_classes):
    logits = scale * torch.randn(2, 50, num_classes, dtype=torch.float64)
    expected = Categorical(logits=logits).entropy()
    result = entropy(logits)
    assert result.dtype == torch.float64
    torch.testing.assert_close(result, expected, rtol=1e-10, atol=1e-12)


def test_entropy_has_the_known_extremes():
    values = entropy(torch.tensor([[[0.0] * 4, [1000.0, 0, 0, 0], [7.0, 7.0, -1000, -1000]]]))
    torch.testing.assert_close(values, torch.tensor([[math.log(4), 0.0, math.log(2)]]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_entropy_of_half_precision_is_computed_in_float32(dtype):
    logits = torch.randn(1, 2000, 19).to(dtype)
    result = entropy(logits)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, Categorical(logits=logits.double()).entropy().float())
    assert len(result.unique()) > 1900, "half precision would have a few hundred different values"


# --- split and select ---


def test_the_lowest_scores_pause():
    active, paused = split_by_score(torch.tensor([[3.0, 1.0, 2.0, 0.0], [0.0, 9.0, -1.0, 5.0]]), 2)
    assert active.tolist() == [[0, 2], [1, 3]]
    assert paused.tolist() == [[1, 3], [0, 2]]


@pytest.mark.parametrize("number", [0, 1, 20, 63, 64])
def test_split_covers_every_token_once(number):
    scores = torch.randn(3, NUM_PATCHES)
    active, paused = split_by_score(scores, number)
    assert active.shape == (3, NUM_PATCHES - number)
    assert paused.shape == (3, number)
    for image in range(3):
        assert sorted(active[image].tolist() + paused[image].tolist()) == list(range(NUM_PATCHES))
        assert active[image].tolist() == sorted(active[image].tolist())
        assert paused[image].tolist() == sorted(paused[image].tolist())
        lowest = sorted(range(NUM_PATCHES), key=lambda token: scores[image, token].item())[:number]
        assert paused[image].tolist() == sorted(lowest)


def test_the_earlier_of_equals_pauses():
    """Enough tokens that a sort which is not stable would mix them."""
    active, paused = split_by_score(torch.zeros(2, 5000), 2000)
    assert paused.equal(torch.arange(2000).expand(2, -1))
    assert active.equal(torch.arange(2000, 5000).expand(2, -1))
    scores = torch.randint(0, 3, (1, 5000)).double()
    expected = sorted(range(5000), key=lambda token: (scores[0, token].item(), token))[:2600]
    assert split_by_score(scores, 2600)[1][0].tolist() == sorted(expected)


@pytest.mark.parametrize("shape", [(), (5,), (2, 3)])
def test_select_tokens_is_a_gather_for_each_image(shape):
    tensor = torch.randn(3, 10, *shape)
    indices = torch.tensor([[0, 9, 3, 3], [1, 2, 5, 0], [9, 8, 7, 6]])
    selected = select_tokens(tensor, indices)
    expected = torch.stack([torch.stack([tensor[image, row] for row in indices[image]]) for image in range(3)])
    assert selected.equal(expected)
    assert select_tokens(tensor, indices[:, :0]).shape == (3, 0, *shape)


def test_pause_tokens_moves_all_parts_of_a_token_together():
    positions = torch.arange(100, 100 + NUM_PATCHES).expand(2, -1)
    hidden_states, logits = torch.randn(2, NUM_PATCHES, 8), torch.randn(2, NUM_PATCHES, 3)
    scores = torch.randn(2, NUM_PATCHES)
    groups = pause_tokens(PatchTokens(hidden_states, positions, logits), scores, 20)
    for group, number in zip(groups, (44, 20), strict=True):
        assert group.positions.shape == (2, number)
        for image in range(2):
            rows = group.positions[image] - 100
            assert group.hidden_states[image].equal(hidden_states[image, rows])
            assert group.auxiliary_logits[image].equal(logits[image, rows])
    active, paused = pause_tokens(PatchTokens(hidden_states, positions), scores, 20)
    assert active.auxiliary_logits is None
    assert paused.auxiliary_logits is None
    assert scores.gather(1, paused.positions - 100).amax() < scores.amax()
    assert (scores.gather(1, paused.positions - 100).amax(1) < scores.gather(1, active.positions - 100).amin(1)).all()


def test_gradients_pass_to_both_groups_and_not_to_the_scores():
    hidden_states = torch.randn(2, NUM_PATCHES, 8, requires_grad=True)
    scores = torch.randn(2, NUM_PATCHES, requires_grad=True)
    active, paused = pause_tokens(PatchTokens(hidden_states, places(2)), scores, 20)
    (active.hidden_states.sum() + 2 * paused.hidden_states.sum()).backward()
    expected = torch.ones(2, NUM_PATCHES).scatter(1, paused.positions, 2.0)
    assert hidden_states.grad.equal(expected.unsqueeze(2).expand(-1, -1, 8))
    assert scores.grad is None


# --- random scores ---


def paused_places(seed, layer=3, batch_size=1, number=24):
    scores = random_scores(places(batch_size), layer, seed)
    return split_by_score(scores, number)[1]


def test_seeded_scores_are_reproducible_and_stateless():
    first = random_scores(places(3), 3, seed=5)
    torch.manual_seed(99)
    torch.rand(10)
    state = torch.get_rng_state()
    assert random_scores(places(3), 3, seed=5).equal(first)
    assert torch.get_rng_state().equal(state)


def test_scores_differ_between_seeds_layers_and_images():
    chosen = {tuple(paused_places(seed, layer)[0].tolist()) for seed in range(20) for layer in range(1, 12)}
    assert len(chosen) == 20 * 11
    assert len({tuple(image) for image in paused_places(0, batch_size=50).tolist()}) == 50


def test_choices_of_seeds_layers_and_images_are_independent():
    """Two independent choices of 24 of 64 share 9 places on average, with a standard deviation of 1.9."""
    shared = {"seeds": [], "layers": [], "images": []}
    for number in range(200):
        reference = paused_places(number, 3, batch_size=2)
        others = {
            "seeds": paused_places(number + 1, 3)[0],
            "layers": paused_places(number, 4)[0],
            "images": reference[1],
        }
        for name, other in others.items():
            shared[name].append(len({*reference[0].tolist()} & {*other.tolist()}))
    for name, counts in shared.items():
        assert abs(sum(counts) / 200 - 9) < 5 * 1.9 / math.sqrt(200), name


def test_the_score_of_a_patch_does_not_depend_on_which_others_are_active():
    scores = random_scores(places(2), 3, seed=1)
    subset = torch.tensor([[3, 10, 63], [0, 1, 40]])
    assert random_scores(subset, 3, seed=1).equal(scores.gather(1, subset))


@pytest.mark.parametrize("layer", [1, 9])
def test_random_choice_is_uniform_over_the_patches(layer):
    """A chi-square test over 1000 seeds, each pausing 24 of 64: the statistic has 63 degrees of freedom."""
    num_seeds, ratio = 1000, 24 / NUM_PATCHES
    counts = torch.zeros(NUM_PATCHES, dtype=torch.float64)
    for seed in range(num_seeds):
        counts[paused_places(seed, layer)[0]] += 1
    assert counts.sum() == num_seeds * 24
    variance = num_seeds * ratio * (1 - ratio)
    statistic = ((counts - num_seeds * ratio) ** 2 / variance).sum() * (NUM_PATCHES - 1) / NUM_PATCHES
    deviation = math.sqrt(2 * (NUM_PATCHES - 1))
    assert abs(statistic - (NUM_PATCHES - 1)) < 4 * deviation


@pytest.mark.parametrize("seed", [0, 1, 2**31 - 1])
def test_random_scores_are_uniform_over_their_range(seed):
    scores = random_scores(places(8, 4096), 3, seed)
    assert scores.min() >= 0
    assert scores.max() < 2**32
    counts = torch.bincount((scores.flatten() >> 26), minlength=64).double()
    statistic = ((counts - 512) ** 2 / 512).sum()
    assert abs(statistic - 63) < 5 * math.sqrt(2 * 63)
    assert len(scores[0].unique()) > 4090


def test_scores_without_seed_come_from_torch():
    torch.manual_seed(3)
    first, second = random_scores(places(3), 3, None), random_scores(places(3), 3, None)
    torch.manual_seed(3)
    assert random_scores(places(3), 3, None).equal(first)
    assert not first.equal(second)
    assert first.shape == (3, NUM_PATCHES)
    assert not first[0].equal(first[1])
