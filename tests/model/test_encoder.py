# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from torch import nn

from paumer_hf import PauseConfig
from paumer_hf.model.encoder import PaumerEncoder, pause_scores
from paumer_hf.model.pausing import PatchTokens, entropy


PREFIX = 1


@pytest.fixture
def encoder(tiny_model):
    return tiny_model.paumer.encoder


@pytest.fixture
def head(tiny_model):
    return tiny_model.paumer.auxiliary_head


@pytest.fixture
def embeddings():
    return torch.randn(3, PREFIX + 30, 32)


def run_densely(encoder, hidden_states, num_layers):
    for layer in encoder.layers[:num_layers]:
        hidden_states = layer(hidden_states)
    return hidden_states


def run(encoder, hidden_states, pause_config, head):
    state = encoder(encoder.start(hidden_states), pause_config, head)
    return state.prefix, state.active, state.paused


def test_without_pausing_it_is_the_stack_of_layers(encoder, head, embeddings):
    prefix, active, paused = run(encoder, embeddings, PauseConfig(), head)
    expected = run_densely(encoder, embeddings, 4)
    assert torch.cat([prefix, active.hidden_states], dim=1).equal(expected)
    assert active.positions.equal(torch.arange(30).expand(3, -1))
    assert active.auxiliary_logits is None
    assert paused == {}


def test_the_auxiliary_head_is_not_run_without_pausing(encoder, embeddings):
    def refuse(tokens):
        raise AssertionError("the head costs time")

    encoder(encoder.start(embeddings), PauseConfig(), refuse)


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_paused_patches_keep_the_output_of_their_layer(encoder, head, embeddings, layer):
    _, active, paused = run(encoder, embeddings, PauseConfig({layer: 0.4}), head)
    output = run_densely(encoder, embeddings, layer)[:, PREFIX:]
    assert list(paused) == [layer]
    assert paused[layer].positions.shape == (3, 12)
    assert active.positions.shape == (3, 18)
    for image in range(3):
        assert paused[layer].hidden_states[image].equal(output[image, paused[layer].positions[image]])
        assert not active.hidden_states[image].equal(output[image, active.positions[image]])


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_the_paused_have_the_lowest_entropy(encoder, head, embeddings, layer):
    _, active, paused = run(encoder, embeddings, PauseConfig({layer: 0.4}), head)
    scores = entropy(head(run_densely(encoder, embeddings, layer)[:, PREFIX:]))
    for image in range(3):
        expected = sorted(range(30), key=lambda place: scores[image, place].item())[:12]
        assert paused[layer].positions[image].tolist() == sorted(expected)
        assert active.positions[image].tolist() == sorted(set(range(30)) - set(expected))


@pytest.mark.parametrize("layer", [1, 2])
def test_later_layers_run_without_the_paused(encoder, head, embeddings, layer):
    """The layers after the pause, on the sequence from which the paused patches were taken out by hand."""
    prefix, active, paused = run(encoder, embeddings, PauseConfig({layer: 0.5}), head)
    middle = run_densely(encoder, embeddings, layer)
    for image in range(3):
        rows = [0] + [PREFIX + place for place in range(30) if place not in paused[layer].positions[image].tolist()]
        shortened = middle[image : image + 1, rows]
        for rest in encoder.layers[layer:]:
            shortened = rest(shortened)
        torch.testing.assert_close(prefix[image], shortened[0, :PREFIX])
        torch.testing.assert_close(active.hidden_states[image], shortened[0, PREFIX:])


def test_counts_are_those_that_the_configuration_announces(encoder, head, embeddings):
    for config in (PauseConfig({1: 0.33}), PauseConfig({1: 0.4, 3: 0.4}), PauseConfig({1: 0.2, 2: 0.9, 3: 0.3})):
        processed = []
        hooks = [
            layer.register_forward_hook(lambda module, inputs, output: processed.append(inputs[0].shape[1]))  # noqa: B023
            for layer in encoder.layers
        ]
        _, active, paused = run(encoder, embeddings, config, head)
        for hook in hooks:
            hook.remove()
        counts = config.num_active(30, 4)
        assert processed == [PREFIX + count for count in counts]
        assert active.positions.shape[1] == counts[-1]
        for layer, group in paused.items():
            assert group.positions.shape[1] == counts[layer - 1] - counts[layer]
    assert counts == [30, 24, 3, 3]


def test_every_patch_is_somewhere_once(encoder, head, embeddings):
    _, active, paused = run(encoder, embeddings, PauseConfig({1: 0.3, 2: 0.3, 3: 0.3}), head)
    for image in range(3):
        places = [place for group in (active, *paused.values()) for place in group.positions[image].tolist()]
        assert sorted(places) == list(range(30))


def test_auxiliary_logits_are_those_of_the_last_pause_layer_that_saw_the_patch(encoder, head, embeddings):
    """The head is replaced by one that counts its calls, so that each prediction says when it was made."""
    calls = []

    def counting_head(tokens):
        calls.append(len(calls) + 1)
        return head(tokens) + 100.0 * len(calls)

    _, active, paused = run(encoder, embeddings, PauseConfig({1: 0.3, 3: 0.5}), counting_head)
    assert calls == [1, 2]
    assert (paused[1].auxiliary_logits.mean(-1) / 100).round().eq(1).all()
    assert (paused[3].auxiliary_logits.mean(-1) / 100).round().eq(2).all()
    assert (active.auxiliary_logits.mean(-1) / 100).round().eq(2).all()
    torch.testing.assert_close(paused[3].auxiliary_logits, head(paused[3].hidden_states) + 200)


def test_a_ratio_too_small_to_pause_still_predicts(encoder, head, embeddings):
    _, active, paused = run(encoder, embeddings, PauseConfig({2: 0.01}), head)
    assert paused[2].positions.shape == (3, 0)
    assert active.auxiliary_logits.shape == (3, 30, 3)
    assert active.hidden_states.equal(run_densely(encoder, embeddings, 4)[:, PREFIX:])


def test_the_prefix_is_not_offered_to_the_head_and_never_pauses(encoder, embeddings):
    """A head that would be most certain of [CLS]: it marks the tokens, and [CLS] carries the mark."""
    with torch.no_grad():
        for layer in encoder.layers:
            for branch in (layer.attention.o_proj, layer.mlp.fc2):
                branch.weight.zero_()
                branch.bias.zero_()
    embeddings[:, :, 0] = torch.rand(3, 31)
    embeddings[:, 0, 0] = 1000.0

    def head(tokens):
        assert (tokens[..., 0] < 1).all(), "[CLS] was offered"
        return torch.stack([tokens[..., 0], -tokens[..., 0], torch.zeros_like(tokens[..., 0])], dim=-1)

    prefix, active, paused = run(encoder, embeddings, PauseConfig({1: 0.9, 2: 0.5, 3: 0.5}), head)
    assert prefix.equal(embeddings[:, :1])
    groups = (active, *paused.values())
    assert sum(group.positions.shape[1] for group in groups) == 30
    assert all((group.hidden_states[..., 0] < 1).all() for group in groups)


def test_an_image_is_not_influenced_by_the_others(encoder, head, embeddings):
    encoder.double(), head.double()
    embeddings = embeddings.double()
    embeddings[1] *= 5  # more certain everywhere: choosing across the batch would pause this one only
    config = PauseConfig({1: 0.4, 3: 0.5})
    _, active, paused = run(encoder, embeddings, config, head)
    for image in range(3):
        _, single, single_paused = run(encoder, embeddings[image : image + 1], config, head)
        assert single.positions[0].equal(active.positions[image])
        torch.testing.assert_close(single.hidden_states[0], active.hidden_states[image])
        for layer, group in single_paused.items():
            assert group.positions[0].equal(paused[layer].positions[image])


def test_pause_scores(head):
    tokens = PatchTokens(torch.randn(2, 9, 32), torch.arange(9).expand(2, -1))
    tokens = tokens._replace(auxiliary_logits=head(tokens.hidden_states))
    scores = pause_scores(tokens, PauseConfig({1: 0.5}), 1)
    assert scores.equal(entropy(tokens.auxiliary_logits))
    assert not scores.requires_grad
    first, other = (pause_scores(tokens, PauseConfig({1: 0.5}, "random", seed), 1) for seed in (1, 2))
    assert not first.equal(other)
    assert pause_scores(tokens, PauseConfig({1: 0.5}, "random", 1), 1).equal(first)
    assert not pause_scores(tokens, PauseConfig({1: 0.5}, "random", 1), 2).equal(first)


@pytest.mark.parametrize("seed", [0, 7])
def test_random_pausing_ignores_the_head(encoder, embeddings, seed):
    config = PauseConfig({1: 0.4, 3: 0.4}, criterion="random", seed=seed)
    chosen = []
    for _ in range(2):
        _, _, paused = run(encoder, embeddings, config, nn.Linear(32, 3))
        chosen.append([group.positions for group in paused.values()])
    assert all(first.equal(second) for first, second in zip(*chosen, strict=True))


def test_layers_are_as_many_as_configured(tiny_config):
    tiny_config.num_hidden_layers = 7
    assert len(PaumerEncoder(tiny_config).layers) == 7
