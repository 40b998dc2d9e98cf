# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The whole model against a naive program of its own, in float64, and the dense encoder against transformers' ViT."""

import math
from fractions import Fraction

import pytest
import torch
from transformers import ViTConfig, ViTModel

from paumer_hf import PaumerModel


class NaiveModel:
    """The method as the paper tells it, for one image: lists of vectors, loops, and weights looked up by name."""

    def __init__(self, model):
        self.weights = {name: value.double() for name, value in model.state_dict().items()}
        self.config = model.config

    def linear(self, name, vector):
        result = self.weights[f"{name}.weight"] @ vector
        return result + self.weights[f"{name}.bias"] if f"{name}.bias" in self.weights else result

    def norm(self, name, vector):
        centred = vector - vector.mean()
        deviation = (centred.square().mean() + self.config.layer_norm_eps).sqrt()
        return self.weights[f"{name}.weight"] * centred / deviation + self.weights[f"{name}.bias"]

    def attention(self, name, vectors, num_heads):
        queries, keys, values = ([self.linear(f"{name}.{part}_proj", v) for v in vectors] for part in "qkv")
        width = len(queries[0]) // num_heads
        outputs = []
        for query in queries:
            heads = []
            for head in range(num_heads):
                part = slice(head * width, (head + 1) * width)
                scores = torch.stack([query[part] @ key[part] for key in keys]) / math.sqrt(width)
                shares = (scores - scores.max()).exp()
                heads.append((shares / shares.sum()) @ torch.stack([value[part] for value in values]))
            outputs.append(self.linear(f"{name}.o_proj", torch.cat(heads)))
        return outputs

    def layer(self, name, vectors, num_heads):
        normed = [self.norm(f"{name}.layernorm_before", vector) for vector in vectors]
        attended = self.attention(f"{name}.attention", normed, num_heads)
        vectors = [a + b for a, b in zip(vectors, attended, strict=True)]
        outputs = []
        for vector in vectors:
            hidden = self.linear(f"{name}.mlp.fc1", self.norm(f"{name}.layernorm_after", vector))
            hidden = hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2)))
            outputs.append(vector + self.linear(f"{name}.mlp.fc2", hidden))
        return outputs

    def embed(self, image):
        size, positions = self.config.patch_size, self.weights["paumer.embeddings.position_embeddings"][0]
        kernel = self.weights["paumer.embeddings.patch_embeddings.projection.weight"]
        bias = self.weights["paumer.embeddings.patch_embeddings.projection.bias"]
        rows, columns = image.shape[1] // size, image.shape[2] // size
        patches = []
        for row in range(rows):
            for column in range(columns):
                pixels = image[:, row * size : (row + 1) * size, column * size : (column + 1) * size]
                patches.append((kernel * pixels).sum(dim=(1, 2, 3)) + bias + positions[1 + len(patches)])
        return self.weights["paumer.embeddings.cls_token"][0, 0] + positions[0], patches, rows, columns

    def certainty(self, patch):
        """Logits and entropy of the auxiliary prediction for a patch."""
        logits = self.linear("paumer.auxiliary_head", patch)
        total = sum(math.exp(logit) for logit in logits.tolist())
        shares = [math.exp(logit) / total for logit in logits.tolist()]
        return logits, -sum(share * math.log(share) for share in shares)

    def decode(self, patches):
        if self.config.decoder_type == "linear":
            return [self.linear("decoder.classifier", patch) for patch in patches]
        vectors = [self.linear("decoder.input_projection", patch) for patch in patches]
        vectors += list(self.weights["decoder.class_embeddings"][0])
        for number in range(self.config.decoder_num_hidden_layers):
            vectors = self.layer(f"decoder.layers.{number}", vectors, self.config.decoder_num_attention_heads)
        vectors = [self.norm("decoder.layernorm", vector) for vector in vectors]
        classes = [self.linear("decoder.class_projection", vector) for vector in vectors[len(patches) :]]
        logits = []
        for vector in vectors[: len(patches)]:
            patch = self.linear("decoder.patch_projection", vector)
            masks = [patch @ name / patch.norm() / name.norm() for name in classes]
            logits.append(self.norm("decoder.mask_layernorm", torch.stack(masks)))
        return logits

    def __call__(self, image, ratios):
        """Logits, auxiliary logits (or None) and pause map, each indexed [row][column]."""
        cls, patches, rows, columns = self.embed(image)
        active, auxiliary, paused_at = list(range(len(patches))), {}, [0] * len(patches)
        for layer in range(1, self.config.num_hidden_layers + 1):
            vectors = [cls] + [patches[place] for place in active]
            cls, *updated = self.layer(f"paumer.encoder.layers.{layer - 1}", vectors, self.config.num_attention_heads)
            for place, vector in zip(active, updated, strict=True):
                patches[place] = vector
            if layer in ratios:
                entropies = {}
                for place in active:
                    auxiliary[place], entropies[place] = self.certainty(patches[place])
                number = math.floor(Fraction(str(ratios[layer])) * len(active))
                for place in sorted(active, key=entropies.get)[:number]:
                    paused_at[place] = layer
                    active.remove(place)
        logits = self.decode([self.norm("paumer.layernorm", patch) for patch in patches])

        def to_grid(values):
            return torch.stack(values).reshape(rows, columns, -1).permute(2, 0, 1)

        auxiliary_logits = to_grid([auxiliary[place] for place in range(len(patches))]) if auxiliary else None
        return to_grid(logits), auxiliary_logits, torch.tensor(paused_at).reshape(rows, columns)


RATIOS = [
    {},
    {2: 0.3},
    {1: 0.4, 3: 0.5},
    {1: 0.2, 2: 0.4, 3: 0.6},
    {1: 0.01, 2: 0.7},
]


@pytest.mark.parametrize("ratios", RATIOS, ids=str)
def test_whole_model_is_the_naive_program(tiny_model, tiny_images, ratios):
    images = tiny_images[:2].double()
    output = tiny_model.double()(images, pause_config=ratios)
    naive = NaiveModel(tiny_model)
    for image in range(2):
        logits, auxiliary_logits, pause_map = naive(images[image], ratios)
        assert output.pause_map[image].tolist() == pause_map.tolist()
        torch.testing.assert_close(output.logits[image], logits, rtol=1e-8, atol=1e-8)
        if ratios:
            torch.testing.assert_close(output.auxiliary_logits[image], auxiliary_logits, rtol=1e-8, atol=1e-8)
        else:
            assert output.auxiliary_logits is None
            assert auxiliary_logits is None


def test_whole_model_with_linear_decoder_is_the_naive_program(tiny_config, make_model, tiny_images):
    tiny_config.decoder_type = "linear"
    model, images = make_model(tiny_config).double(), tiny_images[:1].double()
    output = model(images, pause_config={1: 0.4, 3: 0.5})
    logits, _, pause_map = NaiveModel(model)(images[0], {1: 0.4, 3: 0.5})
    assert output.pause_map[0].tolist() == pause_map.tolist()
    torch.testing.assert_close(output.logits[0], logits, rtol=1e-8, atol=1e-8)


def test_the_naive_choice_is_not_a_trivial_one(tiny_model, tiny_images):
    """The reference tells implementations apart only if the images differ in what pauses, and layers do."""
    pause_map = tiny_model(tiny_images, pause_config={1: 0.4, 3: 0.5}).pause_map
    assert len({tuple(image.flatten().tolist()) for image in pause_map}) == 3
    first, second = (tiny_model(tiny_images, pause_config={layer: 0.4}).pause_map > 0 for layer in (1, 3))
    assert not first.equal(second)


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_dense_encoder_is_vit(tiny_config, make_model, tiny_images, implementation):
    tiny_config._attn_implementation = implementation
    model = make_model(tiny_config, PaumerModel)
    config = ViTConfig(
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=48,
        image_size=(40, 48),
        patch_size=8,
        layer_norm_eps=tiny_config.layer_norm_eps,
        attn_implementation="eager",
    )
    reference = ViTModel(config, add_pooling_layer=False).eval()
    own = ("auxiliary_head.weight", "auxiliary_head.bias")
    weights = {name.removeprefix("encoder."): value for name, value in model.state_dict().items() if name not in own}
    reference.load_state_dict(weights)
    output = model(tiny_images, output_hidden_states=True)
    expected = reference(tiny_images, output_hidden_states=True)
    torch.testing.assert_close(output.last_hidden_state, expected.last_hidden_state)
    assert len(output.hidden_states) == 5
    for own_states, its_states in zip(output.hidden_states[:-1], expected.hidden_states[:-1], strict=True):
        torch.testing.assert_close(own_states, its_states)
