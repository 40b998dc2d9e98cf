# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Properties of the method that hold for the whole model."""

import dataclasses

import pytest
import torch
from torch import nn

from paumer_hf import PaumerForSemanticSegmentation, PaumerModel, PauseConfig


RATIOS = [{1: 0.4}, {3: 0.7}, {1: 0.33, 3: 0.5}, {1: 0.2, 2: 0.3, 3: 0.4}]
ENTROPY_AND_RANDOM = pytest.mark.parametrize(
    "options", [{}, {"criterion": "random", "seed": 3}], ids=["entropy", "random"]
)


def cut_into_patches(images):
    """(batch, channels, 40, 48) to (batch, 30, channels, 8, 8)."""
    return images.unfold(2, 8, 8).unfold(3, 8, 8).permute(0, 2, 3, 1, 4, 5).flatten(1, 2)


def join_patches(patches):
    return patches.unflatten(1, (5, 6)).permute(0, 3, 1, 4, 2, 5).reshape(-1, 3, 40, 48)


# --- without pausing ---


def test_without_pausing_it_is_the_plain_model_to_the_bit(tiny_model, tiny_images):
    encoder, decoder = tiny_model.paumer, tiny_model.decoder
    hidden_states, _ = encoder.embeddings(tiny_images)
    for layer in encoder.encoder.layers:
        hidden_states = layer(hidden_states)
    hidden_states = encoder.layernorm(hidden_states)
    logits = decoder(hidden_states[:, 1:]).transpose(1, 2).reshape(3, 3, 5, 6)
    for nothing in (None, PauseConfig(), {}, {1: 0.0}, {2: 0, 3: 0.0}, PauseConfig(criterion="random", seed=1)):
        output = tiny_model(tiny_images, pause_config=nothing)
        assert output.logits.equal(logits)
        assert output.auxiliary_logits is None
        assert output.pause_map.equal(torch.zeros(3, 5, 6, dtype=torch.int64))
        assert encoder(tiny_images, pause_config=nothing).last_hidden_state.equal(hidden_states)


def test_a_zero_ratio_is_no_pause_layer(tiny_model, tiny_images):
    expected = tiny_model(tiny_images, pause_config={2: 0.4})
    output = tiny_model(tiny_images, pause_config={1: 0.0, 2: 0.4, 3: 0})
    assert output.logits.equal(expected.logits)
    assert output.auxiliary_logits.equal(expected.auxiliary_logits)


def test_pausing_changes_the_result(tiny_model, tiny_images):
    assert not tiny_model(tiny_images, pause_config={1: 0.4}).logits.allclose(tiny_model(tiny_images).logits)


# --- counts and representations ---


@ENTROPY_AND_RANDOM
@pytest.mark.parametrize("ratios", RATIOS, ids=str)
def test_each_layer_has_the_announced_number_of_tokens(tiny_model, tiny_images, ratios, options):
    config = PauseConfig(ratios, **options)
    output = tiny_model(tiny_images, pause_config=config, output_hidden_states=True)
    counts = config.num_active(30, 4)
    # hidden_states[l] is what layer l returns, so it has as many tokens as layer l processes.
    assert [states.shape for states in output.hidden_states] == [(3, 1 + count, 32) for count in [30, *counts]]
    for layer in range(1, 4):
        paused = (output.pause_map == layer).sum(dim=(1, 2))
        assert paused.tolist() == [counts[layer - 1] - counts[layer]] * 3


def test_counts_are_floors_of_shares_of_the_still_active(tiny_model, tiny_images):
    output = tiny_model(tiny_images, pause_config={1: 0.33, 2: 0.5, 3: 0.29}, output_hidden_states=True)
    # floor(0.33 * 30) = 9, floor(0.5 * 21) = 10, floor(0.29 * 11) = 3; the prefix is in no share.
    assert [states.shape[1] - 1 for states in output.hidden_states] == [30, 30, 21, 11, 8]


@ENTROPY_AND_RANDOM
@pytest.mark.parametrize("ratios", RATIOS, ids=str)
def test_a_paused_patch_keeps_the_representation_of_its_layer(tiny_model, tiny_images, ratios, options):
    encoder = tiny_model.paumer
    output = encoder(tiny_images, pause_config=PauseConfig(ratios, **options), output_hidden_states=True)
    for image in range(3):
        layers = output.pause_map[image].flatten().tolist()
        for place, layer in enumerate(layers):
            layer = layer or 4
            # The place within the sequence of layer l: those that paused before are gone.
            row = 1 + sum(other == 0 or other >= layer for other in layers[:place])
            expected = encoder.layernorm(output.hidden_states[layer][image, row])
            torch.testing.assert_close(output.last_hidden_state[image, 1 + place], expected)
        torch.testing.assert_close(
            output.last_hidden_state[image, 0], encoder.layernorm(output.hidden_states[4][image, 0])
        )


def test_the_final_norm_is_applied_to_all_patches_after_assembly(tiny_model, tiny_images):
    encoder, seen = tiny_model.paumer, []
    encoder.layernorm.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    output = encoder(tiny_images, pause_config={2: 0.5}, output_hidden_states=True)
    assert [states.shape for states in seen] == [(3, 31, 32)]
    paused = (output.pause_map == 2).flatten(1)
    for image in range(3):
        assert seen[0][image, 1:][paused[image]].equal(output.hidden_states[2][image, 1:][paused[image]])


def test_the_lowest_entropies_pause_in_one_dense_layer(tiny_model, tiny_images):
    """Up to the first pause layer the dense model computes the same, so its output tells what must pause."""
    encoder = tiny_model.paumer
    states = encoder(tiny_images, output_hidden_states=True).hidden_states[2][:, 1:]
    scores = torch.distributions.Categorical(logits=encoder.auxiliary_head(states)).entropy()
    paused = tiny_model(tiny_images, pause_config={2: 0.4}).pause_map.flatten(1) == 2
    for image in range(3):
        assert scores[image][paused[image]].max() < scores[image][~paused[image]].min()


# --- independence ---


def test_images_do_not_influence_each_other(tiny_model, tiny_images):
    model, images = tiny_model.double(), tiny_images.double()
    images[1] *= 10  # other entropies: a choice across the batch would show
    for ratios in RATIOS:
        together = model(images, pause_config=ratios)
        for image in range(3):
            alone = model(images[image : image + 1], pause_config=ratios)
            assert alone.pause_map[0].equal(together.pause_map[image])
            torch.testing.assert_close(alone.logits[0], together.logits[image])
            torch.testing.assert_close(alone.auxiliary_logits[0], together.auxiliary_logits[image])


def test_permuting_patches_permutes_the_result(tiny_model, tiny_images):
    model, images = tiny_model.double(), tiny_images.double()
    nn.init.zeros_(model.paumer.embeddings.position_embeddings)
    permutation = torch.randperm(30)
    permuted = join_patches(cut_into_patches(images)[:, permutation])
    assert join_patches(cut_into_patches(images)).equal(images)
    for ratios in RATIOS:
        expected, output = (model(pixels, pause_config=ratios) for pixels in (images, permuted))
        assert output.pause_map.flatten(1).equal(expected.pause_map.flatten(1)[:, permutation])
        for name in ("logits", "auxiliary_logits"):
            torch.testing.assert_close(output[name].flatten(2), expected[name].flatten(2)[..., permutation])


def test_cls_never_pauses_even_if_it_is_the_most_certain(tiny_model, tiny_images):
    """[CLS] gets a feature of its own that no layer changes, and the head reads certainty from that feature."""
    encoder = tiny_model.paumer
    with torch.no_grad():
        encoder.embeddings.cls_token[..., 0] = 100.0
        for layer in encoder.encoder.layers:
            for branch in (layer.attention.o_proj, layer.mlp.fc2):
                branch.weight[0] = 0
                branch.bias[0] = 0
        encoder.auxiliary_head.weight[:, 0] = torch.tensor([100.0, 0.0, -100.0])
    config = PauseConfig({1: 0.9, 2: 0.6, 3: 0.9})
    output = encoder(tiny_images, pause_config=config, output_hidden_states=True)
    cls = [states[:, 0, 0] for states in output.hidden_states]
    assert all(values.equal(cls[0]) and (values > 90).all() for values in cls)
    # Where [CLS] paused, the last layer would have one patch more and the assembled sequence no [CLS].
    assert output.hidden_states[4].shape[1] == 1 + config.num_active(30, 4)[-1]
    assert (output.pause_map > 0).sum(dim=(1, 2)).tolist() == [29, 29, 29]
    torch.testing.assert_close(output.last_hidden_state[:, 0], encoder.layernorm(output.hidden_states[4][:, 0]))


# --- the random baseline ---


def test_random_pausing_is_reproducible_with_a_seed(tiny_model, tiny_images):
    config = PauseConfig({1: 0.4, 3: 0.5}, criterion="random", seed=4)
    first = tiny_model(tiny_images, pause_config=config)
    torch.manual_seed(77)
    second = tiny_model(tiny_images, pause_config=config)
    assert first.pause_map.equal(second.pause_map)
    assert first.logits.equal(second.logits)
    assert len({tuple(image.flatten().tolist()) for image in first.pause_map}) == 3
    others = [tiny_model(tiny_images, pause_config=PauseConfig({1: 0.4}, "random", seed)) for seed in range(10)]
    assert len({tuple(other.pause_map.flatten().tolist()) for other in others}) == 10


def test_random_pausing_of_layers_differs(tiny_model, tiny_images):
    first, second = (
        tiny_model(tiny_images, pause_config=PauseConfig({layer: 0.4}, "random", 0)).pause_map > 0 for layer in (1, 2)
    )
    assert not first.equal(second)


def test_random_pausing_without_seed_follows_torch(tiny_model, tiny_images):
    config = PauseConfig({1: 0.4}, criterion="random")
    torch.manual_seed(5)
    first, second = (tiny_model(tiny_images, pause_config=config).pause_map for _ in range(2))
    torch.manual_seed(5)
    assert tiny_model(tiny_images, pause_config=config).pause_map.equal(first)
    assert not first.equal(second)


def test_random_pausing_ignores_the_auxiliary_head(tiny_model, tiny_images):
    config = PauseConfig({1: 0.4, 3: 0.5}, criterion="random", seed=4)
    first = tiny_model(tiny_images, pause_config=config)
    nn.init.normal_(tiny_model.paumer.auxiliary_head.weight)
    second = tiny_model(tiny_images, pause_config=config)
    assert first.pause_map.equal(second.pause_map)
    assert first.logits.equal(second.logits)
    assert not first.auxiliary_logits.equal(second.auxiliary_logits)
    first, second = (
        tiny_model(tiny_images + shift, pause_config=config).pause_map for shift in (0, torch.randn(3, 3, 40, 48))
    )
    assert first.equal(second), "the content of the images has no influence either"


# --- the call ---


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (9, 8), (17, 50), (40, 48), (48, 40), (39, 47)], ids=str)
@pytest.mark.parametrize("decoder_type", ["mask_transformer", "linear"])
def test_any_image_size(tiny_config, make_model, size, decoder_type):
    tiny_config.decoder_type = decoder_type
    model = make_model(tiny_config)
    grid = (-(-size[0] // 8), -(-size[1] // 8))
    images, labels = torch.randn(2, 3, *size), torch.randint(0, 3, (2, *size))
    for ratios in ({}, {1: 0.5, 3: 0.5}):
        output = model(images, labels=labels, pause_config=ratios)
        assert output.logits.shape == (2, 3, *grid)
        assert output.pause_map.shape == (2, *grid)
        assert output.loss.isfinite()
        assert model.upsample_logits(output.logits, size).shape == (2, 3, *size)
        if ratios:
            assert output.auxiliary_logits.shape == (2, 3, *grid)


def test_one_patch_never_pauses(tiny_model):
    output = tiny_model(torch.randn(2, 3, 1, 1), pause_config={1: 0.999, 2: 0.999, 3: 0.999})
    assert output.pause_map.tolist() == [[[0]], [[0]]]
    assert output.auxiliary_logits.shape == (2, 3, 1, 1)


def test_output_fields_and_their_order(tiny_model, tiny_images):
    labels = torch.zeros(3, 40, 48, dtype=torch.int64)
    options = {"pause_config": {1: 0.4}, "output_hidden_states": True, "output_attentions": True}
    tiny_model.set_attn_implementation("eager")
    output = tiny_model(tiny_images, labels=labels, **options)
    assert list(output) == ["loss", "logits", "hidden_states", "attentions", "auxiliary_logits", "pause_map"]
    assert list(tiny_model(tiny_images)) == ["logits", "pause_map"]
    assert list(tiny_model(tiny_images, pause_config={1: 0.4})) == ["logits", "auxiliary_logits", "pause_map"]
    assert [weights.shape for weights in output.attentions] == [(3, 4, 31, 31)] + [(3, 4, 19, 19)] * 3
    as_tuple = tiny_model(tiny_images, labels=labels, return_dict=False, **options)
    assert isinstance(as_tuple, tuple)
    assert as_tuple[0].equal(output.loss)
    assert as_tuple[1].equal(output.logits)
    assert as_tuple[-2].equal(output.auxiliary_logits)
    assert as_tuple[-1].equal(output.pause_map)


def test_output_of_the_encoder_has_the_declared_order(tiny_model, tiny_images):
    tiny_model.set_attn_implementation("eager")
    options = {"pause_config": {1: 0.4}, "output_hidden_states": True, "output_attentions": True}
    output = tiny_model.paumer(tiny_images, **options)
    declared = [field.name for field in dataclasses.fields(output)]
    assert list(output) == declared
    assert set(declared) == {"last_hidden_state", "hidden_states", "attentions", "auxiliary_logits", "pause_map"}
    as_tuple = tiny_model.paumer(tiny_images, return_dict=False, **options)
    assert isinstance(as_tuple, tuple)
    assert as_tuple[0].equal(output.last_hidden_state)
    assert as_tuple[declared.index("pause_map")].equal(output.pause_map)


def test_a_call_takes_every_form_of_pause_config(tiny_model, tiny_images):
    config = PauseConfig({1: 0.4, 3: 0.5})
    expected = tiny_model(tiny_images, pause_config=config).logits
    tiny_model.pause_presets = {"fast": config, "mapping": {1: 0.4, 3: 0.5}}
    for form in ({1: 0.4, 3: 0.5}, {"1": 0.4, "3": 0.5}, config.to_dict(), "fast", "mapping"):
        assert tiny_model(tiny_images, pause_config=form).logits.equal(expected)
        tiny_model.pause_config = form
        assert tiny_model.pause_config == config
        assert tiny_model(tiny_images).logits.equal(expected)
        assert not tiny_model(tiny_images, pause_config=PauseConfig()).logits.equal(expected)
    tiny_model.pause_config = None
    assert tiny_model.pause_config == PauseConfig()


@pytest.mark.parametrize("model_class", [PaumerModel, PaumerForSemanticSegmentation])
def test_refuses_configurations_that_do_not_fit(tiny_config, tiny_images, model_class):
    model = model_class(tiny_config)
    refused = [
        ({4: 0.4}, ValueError, "names layer 4, but the model has 4 layers.*Name layers from 1 to 3"),
        (PauseConfig({1: 0.1, 9: 0.4}), ValueError, "names layer 9, but the model has 4 layers"),
        ({0: 0.4}, ValueError, "layers count from 1"),
        ("fast", ValueError, "Unknown pause preset 'fast': the model has no presets"),
        (3, TypeError, "`pause_config` must be None, a PauseConfig, a mapping"),
    ]
    model.pause_config = {1: 0.4}
    for value, error, message in refused:
        with pytest.raises(error, match=message):
            model(tiny_images, pause_config=value)
        with pytest.raises(error, match=message):
            model.pause_config = value
        assert model.pause_config == PauseConfig({1: 0.4})
    model.pause_presets = {"b": PauseConfig({1: 0.4}), "a": PauseConfig({2: 0.4})}
    with pytest.raises(ValueError, match=r"Unknown pause preset 'fast': the presets are \['a', 'b'\]"):
        model(tiny_images, pause_config="fast")


def test_refuses_wrong_images(tiny_model):
    with pytest.raises(ValueError, match=r"`pixel_values` must have the shape \(batch, 3, height, width\)"):
        tiny_model(torch.randn(2, 1, 40, 48))
