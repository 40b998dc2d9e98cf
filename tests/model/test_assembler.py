# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import itertools

import pytest
import torch

from paumer_hf.model.assembler import assemble_tokens, pause_map
from paumer_hf.model.pausing import PatchTokens, pause_tokens


def make_tokens(with_logits=True, batch_size=3, num_patches=37):
    positions = torch.arange(num_patches).expand(batch_size, -1)
    logits = torch.randn(batch_size, num_patches, 5) if with_logits else None
    return PatchTokens(torch.randn(batch_size, num_patches, 8), positions, logits)


def pause_repeatedly(tokens, counts):
    """Pause `counts` tokens after each other; the active ones first, then each paused group."""
    groups = []
    for count in counts:
        tokens, paused = pause_tokens(tokens, torch.randn(tokens.positions.shape), count)
        groups.append(paused)
    return [tokens, *groups]


@pytest.mark.parametrize("with_logits", [True, False])
@pytest.mark.parametrize("counts", [[], [0], [1], [36], [10, 10], [5, 0, 20], [12, 12, 12]])
def test_inverts_pausing_exactly(counts, with_logits):
    tokens = make_tokens(with_logits)
    assembled = assemble_tokens(*pause_repeatedly(tokens, counts))
    assert assembled.hidden_states.equal(tokens.hidden_states)
    assert assembled.positions.equal(tokens.positions)
    if with_logits:
        assert assembled.auxiliary_logits.equal(tokens.auxiliary_logits)
    else:
        assert assembled.auxiliary_logits is None


def test_order_of_the_groups_does_not_matter():
    tokens = make_tokens()
    groups = pause_repeatedly(tokens, [10, 8, 3])
    for permuted in itertools.permutations(groups):
        assert assemble_tokens(*permuted).hidden_states.equal(tokens.hidden_states)


def test_pausing_inverts_assembling():
    tokens = make_tokens()
    scores = torch.randn(tokens.positions.shape)
    active, paused = pause_tokens(tokens, scores, 11)
    again = pause_tokens(assemble_tokens(active, paused), scores, 11)
    for group, same in zip((active, paused), again, strict=True):
        assert all(part.equal(other) for part, other in zip(group, same, strict=True))


def test_gradients_return_to_their_places():
    tokens = make_tokens(with_logits=False)
    hidden_states = tokens.hidden_states.requires_grad_()
    weights = torch.randn(hidden_states.shape)
    assembled = assemble_tokens(*pause_repeatedly(tokens, [10, 10]))
    (assembled.hidden_states * weights).sum().backward()
    assert hidden_states.grad.equal(weights)


def test_pause_map_names_the_layer_of_each_patch():
    active, first, second = pause_repeatedly(make_tokens(), [10, 8])
    layers = pause_map(active, {2: first, 5: second})
    assert layers.dtype == torch.int64
    assert layers.shape == (3, 37)
    for image in range(3):
        expected = [0] * 37
        for layer, group in ((2, first), (5, second)):
            for position in group.positions[image].tolist():
                expected[position] = layer
        assert layers[image].tolist() == expected


def test_pause_map_without_pausing_is_zero():
    tokens = make_tokens()
    assert pause_map(tokens, {}).equal(torch.zeros(3, 37, dtype=torch.int64))
    active, nothing = pause_tokens(tokens, torch.randn(3, 37), 0)
    assert pause_map(active, {1: nothing}).equal(torch.zeros(3, 37, dtype=torch.int64))
