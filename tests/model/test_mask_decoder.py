# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from torch import nn

from paumer_hf.model.mask_decoder import PaumerLinearDecoder, PaumerMaskDecoder


@pytest.fixture
def decoder(tiny_config, make_model):
    tiny_config.decoder_num_hidden_layers = 2
    return make_model(tiny_config).decoder.double()


def normalise_layer(vector, weight, bias, eps):
    centred = vector - vector.mean()
    return centred / (centred.square().mean() + eps).sqrt() * weight + bias


def test_masks_are_products_of_patches_and_class_embeddings(decoder):
    """The paper's decoder, written patch by patch around the decoder's transformer layers."""
    patches = torch.randn(1, 7, 32, dtype=torch.float64)
    projected = [decoder.input_projection.weight @ patch + decoder.input_projection.bias for patch in patches[0]]
    hidden_states = torch.stack([*projected, *decoder.class_embeddings[0]]).unsqueeze(0)
    for layer in decoder.layers:
        hidden_states = layer(hidden_states)
    norm, mask_norm = decoder.layernorm, decoder.mask_layernorm
    tokens = [normalise_layer(token, norm.weight, norm.bias, 1e-6) for token in hidden_states[0]]
    classes = [decoder.class_projection.weight @ token for token in tokens[7:]]
    for place, token in enumerate(tokens[:7]):
        patch = decoder.patch_projection.weight @ token
        cosines = torch.stack([(patch @ name) / patch.norm() / name.norm() for name in classes])
        expected = normalise_layer(cosines, mask_norm.weight, mask_norm.bias, 1e-6)
        torch.testing.assert_close(decoder(patches)[0, place], expected)


def test_shapes(tiny_config, make_model):
    for num_labels in (1, 2, 5):
        tiny_config.id2label = dict(enumerate("abcde"[:num_labels]))
        assert make_model(tiny_config).decoder(torch.randn(2, 9, 32)).shape == (2, 9, num_labels)
    tiny_config.decoder_num_hidden_layers = 0
    assert make_model(tiny_config).decoder(torch.randn(2, 9, 32)).shape == (2, 9, 5)


def test_permuting_patches_permutes_masks(decoder):
    patches = torch.randn(2, 9, 32, dtype=torch.float64)
    permutation = torch.randperm(9)
    torch.testing.assert_close(decoder(patches[:, permutation]), decoder(patches)[:, permutation])


def test_permuting_class_embeddings_permutes_masks(decoder):
    patches = torch.randn(2, 9, 32, dtype=torch.float64)
    expected = decoder(patches)
    permutation = torch.tensor([2, 0, 1])
    with torch.no_grad():
        decoder.class_embeddings.copy_(decoder.class_embeddings[:, permutation])
        decoder.mask_layernorm.weight.copy_(decoder.mask_layernorm.weight[permutation])
        decoder.mask_layernorm.bias.copy_(decoder.mask_layernorm.bias[permutation])
    torch.testing.assert_close(decoder(patches), expected[..., permutation])


def test_images_do_not_influence_each_other(decoder):
    patches = torch.randn(3, 9, 32, dtype=torch.float64)
    torch.testing.assert_close(decoder(patches)[1:2], decoder(patches[1:2]))


def test_patches_attend_to_each_other(decoder):
    patches = torch.randn(1, 9, 32, dtype=torch.float64)
    changed = patches.clone()
    changed[0, 8] += 1
    assert (decoder(patches)[0, :8] != decoder(changed)[0, :8]).any(dim=-1).all()


def test_dropout_is_on_in_training_only(tiny_config):
    tiny_config.decoder_dropout_prob = 0.5
    decoder, patches = PaumerMaskDecoder(tiny_config), torch.randn(1, 9, 32)
    nn.init.normal_(decoder.class_embeddings)
    decoder.eval()
    assert decoder(patches).equal(decoder(patches))
    decoder.train()
    assert not decoder(patches).equal(decoder(patches))


def test_linear_decoder_is_a_linear_layer(tiny_config):
    decoder = PaumerLinearDecoder(tiny_config)
    patches = torch.randn(2, 9, 32)
    expected = patches @ decoder.classifier.weight.T + decoder.classifier.bias
    torch.testing.assert_close(decoder(patches), expected)
    assert expected.shape == (2, 9, 3)
