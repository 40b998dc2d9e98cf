# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Loss, gradients, and what the model samples in training."""

import copy

import pytest
import torch
from torch import nn

from paumer_hf import PaumerForSemanticSegmentation, PauseConfig


IGNORED = 255


@pytest.fixture
def labels():
    """Classes of every pixel, a fifth of them ignored; the second image has fewer labelled pixels than the others."""
    labels = torch.randint(0, 3, (3, 40, 48))
    labels[torch.rand(labels.shape) < 0.2] = IGNORED
    labels[1, :30] = IGNORED
    return labels


def gradients(model):
    return {name: parameter.grad for name, parameter in model.named_parameters()}


def has_gradient(gradient):
    return gradient is not None and bool(gradient.abs().sum() > 0)


# --- loss ---


def reference_cross_entropy(logits, labels):
    """Bilinear to pixels, then torch's own mean over the labelled ones."""
    pixels = nn.functional.interpolate(logits, scale_factor=8, mode="bilinear", align_corners=False)
    pixels = pixels[..., : labels.shape[1], : labels.shape[2]]
    return nn.functional.cross_entropy(pixels, labels, ignore_index=IGNORED)


@pytest.mark.parametrize("size", [(40, 48), (35, 41)])
@pytest.mark.parametrize("weight", [0.1, 0.7])
def test_loss_is_the_weighted_sum_of_two_cross_entropies(tiny_model, tiny_images, labels, size, weight):
    tiny_model.config.auxiliary_loss_weight = weight
    images, labels = tiny_images[..., : size[0], : size[1]], labels[..., : size[0], : size[1]]
    for training in (True, False):
        tiny_model.train(training)
        output = tiny_model(images, labels=labels, pause_config={1: 0.4, 3: 0.5})
        main, auxiliary = (reference_cross_entropy(it, labels) for it in (output.logits, output.auxiliary_logits))
        torch.testing.assert_close(output.loss, main + weight * auxiliary)
        output = tiny_model(images, labels=labels, pause_config={})
        torch.testing.assert_close(output.loss, reference_cross_entropy(output.logits, labels))


def test_upsampling_is_by_the_patch_size(tiny_model):
    logits = torch.randn(2, 3, 5, 6)
    expected = nn.functional.interpolate(logits, scale_factor=8, mode="bilinear", align_corners=False)
    for size in ((40, 48), (33, 41), (39, 48)):
        assert tiny_model.upsample_logits(logits, size).shape == (2, 3, *size)
        torch.testing.assert_close(tiny_model.upsample_logits(logits, size), expected[..., : size[0], : size[1]])
    assert tiny_model.upsample_logits(logits.bfloat16(), (40, 48)).dtype == torch.float32


@pytest.mark.parametrize("ratios", [{}, {1: 0.4}])
def test_labels_that_are_all_ignored_give_a_loss_of_zero(tiny_model, tiny_images, ratios):
    tiny_model.train()
    labels = torch.full((3, 40, 48), IGNORED)
    loss = tiny_model(tiny_images, labels=labels, pause_config=ratios).loss
    assert loss.item() == 0
    loss.backward()
    for name, gradient in gradients(tiny_model).items():
        assert gradient is not None, name
        assert gradient.equal(torch.zeros_like(gradient)), name


def test_other_ignore_index(tiny_model, tiny_images, labels):
    expected = tiny_model(tiny_images, labels=labels).loss
    tiny_model.config.semantic_loss_ignore_index = 99
    labels[labels == IGNORED] = 99
    torch.testing.assert_close(tiny_model(tiny_images, labels=labels).loss, expected)


def test_refuses_labels_of_another_shape(tiny_model, tiny_images):
    for shape in ((3, 5, 6), (2, 40, 48), (3, 48, 40), (3, 1, 40, 48)):
        with pytest.raises(ValueError, match=r"`labels` must have the batch size, height and width") as info:
            tiny_model(tiny_images, labels=torch.zeros(shape, dtype=torch.int64))
        assert str(shape) in str(info.value)


# --- gradients ---


def test_gradients_reach_paused_and_active_tokens(tiny_model, tiny_images):
    images = tiny_images.requires_grad_()
    embeddings = []
    tiny_model.paumer.embeddings.register_forward_hook(lambda module, inputs, output: embeddings.append(output[0]))
    output = tiny_model.paumer(images, pause_config={1: 0.4, 3: 0.4})
    weights = torch.randn(output.last_hidden_state.shape)
    for layer in (1, 3, 0):
        chosen = (output.pause_map == layer).flatten(1).unsqueeze(2)
        value = (output.last_hidden_state[:, 1:] * chosen * weights[:, 1:]).sum()
        (gradient,) = torch.autograd.grad(value, embeddings[0], retain_graph=True)
        reached = gradient[:, 1:].abs().sum(dim=2) > 0
        assert reached[chosen[..., 0]].all(), "a token has its own gradient"
        assert reached.all(), "all were attended to in the first layer"
    (pixels,) = torch.autograd.grad((output.last_hidden_state * weights).sum(), images)
    assert (pixels != 0).all()


def test_later_layers_get_no_gradient_from_paused_patches(tiny_model, tiny_images):
    output = tiny_model.paumer(tiny_images, pause_config={2: 0.5})
    paused = (output.pause_map == 2).flatten(1).unsqueeze(2)
    (output.last_hidden_state[:, 1:] * paused * torch.randn(3, 30, 32)).sum().backward()
    for number, layer in enumerate(tiny_model.paumer.encoder.layers, start=1):
        reached = [has_gradient(gradient) for gradient in gradients(layer).values()]
        assert any(reached) == (number <= 2)


def test_the_auxiliary_head_learns_from_its_loss_alone(tiny_model, tiny_images, labels):
    output = tiny_model(tiny_images, labels=labels, pause_config={1: 0.4, 3: 0.5})
    head = tiny_model.paumer.auxiliary_head
    parts = torch.autograd.grad(
        reference_cross_entropy(output.logits, labels), head.weight, retain_graph=True, allow_unused=True
    )
    assert parts == (None,)
    (expected,) = torch.autograd.grad(
        0.1 * reference_cross_entropy(output.auxiliary_logits, labels), head.weight, retain_graph=True
    )
    output.loss.backward()
    assert has_gradient(expected)
    torch.testing.assert_close(head.weight.grad, expected)


def test_the_auxiliary_loss_trains_the_layers_before_the_pause(tiny_model, tiny_images, labels):
    output = tiny_model(tiny_images, pause_config={2: 0.4})
    reference_cross_entropy(output.auxiliary_logits, labels).backward()
    assert has_gradient(tiny_model.paumer.embeddings.cls_token.grad)
    assert has_gradient(tiny_model.paumer.embeddings.patch_embeddings.projection.weight.grad)
    for number, layer in enumerate(tiny_model.paumer.encoder.layers, start=1):
        assert has_gradient(layer.mlp.fc1.weight.grad) == (number <= 2)
    assert not any(has_gradient(gradient) for gradient in gradients(tiny_model.decoder).values())


@pytest.mark.parametrize("ratios", [{}, {1: 0.4}, {1: 0.4, 3: 0.5}])
def test_every_parameter_takes_part_in_the_training_loss(tiny_model, tiny_images, labels, ratios):
    """Distributed training waits for the gradient of every parameter."""
    tiny_model.train()
    tiny_model(tiny_images, labels=labels, pause_config=ratios).loss.backward()
    for name, gradient in gradients(tiny_model).items():
        assert gradient is not None, name
        # A bias of the keys shifts all scores of a query alike, which softmax does not see.
        if "k_proj.bias" not in name and (ratios or "auxiliary_head" not in name):
            assert has_gradient(gradient), name
    if not ratios:
        assert not has_gradient(tiny_model.paumer.auxiliary_head.weight.grad)


def test_gradient_checkpointing_gives_the_same_gradients(tiny_model, tiny_images, labels):
    tiny_model.train()
    found = []
    for checkpointing in (False, True):
        if checkpointing:
            # The second name is that of older versions of transformers.
            enable = getattr(tiny_model, "activation_checkpointing_enable", None)
            (enable or tiny_model.gradient_checkpointing_enable)()
            assert tiny_model.paumer.encoder.layers[0].gradient_checkpointing
        tiny_model.zero_grad()
        output = tiny_model(tiny_images, labels=labels, pause_config={1: 0.4, 3: 0.5})
        output.loss.backward()
        found.append((output.loss.detach(), {name: it.clone() for name, it in gradients(tiny_model).items()}))
    assert found[0][0].equal(found[1][0])
    for name, gradient in found[0][1].items():
        torch.testing.assert_close(found[1][1][name], gradient, msg=name)


def test_loss_falls(tiny_model, tiny_images):
    tiny_model.train()
    labels = (tiny_images.mean(1) > 0).long()
    optimizer = torch.optim.Adam(tiny_model.parameters(), lr=3e-3)
    losses = []
    for _ in range(25):
        loss = tiny_model(tiny_images, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


# --- sampling ---


def paused_layers(output):
    return tuple(sorted(set(output.pause_map.flatten().tolist()) - {0}))


def test_training_samples_a_configuration_for_each_batch(tiny_config, make_model, tiny_images, labels):
    tiny_config.train_pause_layers = (1, 2, 3)
    model = make_model(tiny_config).train()
    model.pause_config = {2: 0.1}
    maps = [model(tiny_images, labels=labels).pause_map for _ in range(25)]
    assert model.pause_sampler.num_drawn == 25
    assert {tuple(sorted(set(it.flatten().tolist()) - {0})) for it in maps} == {(1,), (2,), (3,)}
    counts = [int((it[0] > 0).sum()) for it in maps]
    assert min(counts) >= 6
    assert max(counts) <= 24
    assert len(set(counts)) > 5
    model.pause_sampler.load_state_dict({"num_drawn": 0})
    assert all(model(tiny_images, labels=labels).pause_map.equal(it) for it in maps)


def test_two_processes_sample_alike(tiny_config, make_model, tiny_images, labels):
    first, second = (make_model(tiny_config).train() for _ in range(2))
    for step in range(4):
        torch.manual_seed(step)
        one = first(tiny_images, labels=labels)
        torch.manual_seed(100 + step)
        two = second(tiny_images[:2], labels=labels[:2])
        assert one.pause_map[:2].equal(two.pause_map)
    other = make_model(copy.deepcopy(tiny_config)).train()
    other.config.train_pause_seed = 1
    first.pause_sampler.num_drawn = 0
    maps = [[int((it(tiny_images, labels=labels).pause_map > 0).sum()) for _ in range(4)] for it in (first, other)]
    assert maps[0] != maps[1]


@pytest.mark.parametrize("pause_config", [PauseConfig(), {}, {2: 0.5}, PauseConfig({2: 0.5}, "random", 1), "preset"])
def test_an_explicit_configuration_is_taken_in_training(tiny_model, tiny_images, labels, pause_config):
    tiny_model.pause_presets["preset"] = PauseConfig({2: 0.5})
    expected = tiny_model(tiny_images, pause_config=pause_config)
    tiny_model.train()
    output = tiny_model(tiny_images, labels=labels, pause_config=pause_config)
    assert output.logits.equal(expected.logits)
    assert tiny_model.pause_sampler.num_drawn == 0


def test_nothing_is_sampled_in_evaluation_or_without_labels(tiny_model, tiny_images, labels):
    tiny_model.pause_config = {2: 0.5}
    expected = tiny_model(tiny_images)
    assert paused_layers(expected) == (2,)
    assert tiny_model(tiny_images, labels=labels).logits.equal(expected.logits)
    tiny_model.train()
    assert tiny_model(tiny_images).logits.equal(expected.logits)
    assert tiny_model.pause_sampler.num_drawn == 0


def test_sampled_configurations_follow_the_model_configuration(tiny_config, make_model, tiny_images, labels):
    tiny_config.train_pause_layers, tiny_config.train_num_pause_layers = (1, 2, 3), (1, 2, 3)
    model = make_model(tiny_config).train()
    assert {len(paused_layers(model(tiny_images, labels=labels))) for _ in range(15)} == {1, 2, 3}
    tiny_config.train_num_pause_layers = (0,)
    output = make_model(tiny_config).train()(tiny_images, labels=labels)
    assert paused_layers(output) == ()
    assert output.auxiliary_logits is None
    tiny_config.train_num_pause_layers = (3,)
    assert paused_layers(make_model(tiny_config).train()(tiny_images, labels=labels)) == (1, 2, 3)


def test_the_random_baseline_trains_with_random_pausing(tiny_config, make_model, tiny_images, labels):
    tiny_config.train_pause_criterion = "random"
    model = make_model(tiny_config).train()
    assert model.pause_sampler.draw().criterion == "random"
    maps = []
    for torch_seed in (1, 1, 2):
        torch.manual_seed(torch_seed)
        model.pause_sampler.num_drawn = 0
        maps.append(model(tiny_images, labels=labels).pause_map)
    assert maps[0].equal(maps[1])
    assert not maps[0].equal(maps[2])
    assert (maps[0] > 0).sum() == (maps[2] > 0).sum()


def test_one_layer_models_train(tiny_config, tiny_images, labels):
    tiny_config.num_hidden_layers, tiny_config.train_pause_layers = 1, ()
    model = PaumerForSemanticSegmentation(tiny_config).train()
    output = model(tiny_images, labels=labels)
    output.loss.backward()
    assert output.auxiliary_logits is None
