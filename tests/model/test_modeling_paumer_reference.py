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
        is_decoder = name.startswith("decoder")
        eps = self.config.decoder_layer_norm_eps if is_decoder else self.config.layer_norm_eps
        deviation = (centred.square().mean() + eps).sqrt()
        return self.weights[f"{name}.weight"] * centred / deviation + self.weights[f"{name}.bias"]

    def attention(self, name, vectors, num_heads, places):
        queries, keys, values = ([self.linear(f"{name}.{part}_proj", v) for v in vectors] for part in "qkv")
        width = len(queries[0]) // num_heads
        if places is not None and self.config.position_embedding_type == "rotary":
            queries = [self.turn(vector, width, place) for vector, place in zip(queries, places, strict=True)]
            keys = [self.turn(vector, width, place) for vector, place in zip(keys, places, strict=True)]
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

    def turn(self, vector, width, place):
        """Rotary positions: pairs of dimensions as complex numbers, turned by the row, then by the column."""
        if place is None:
            return vector
        turned = vector.clone()
        for start in range(0, len(vector), width):
            for pair in range(width // 2):
                coordinate = place[0] if pair < width // 4 else place[1]
                exponent = (pair % (width // 4)) / (width // 4)
                angle = 2 * math.pi * coordinate / self.config.rope_theta**exponent
                first, second = start + pair, start + pair + width // 2
                point = complex(vector[first], vector[second]) * complex(math.cos(angle), math.sin(angle))
                turned[first], turned[second] = point.real, point.imag
        return turned

    def scale(self, name, vector):
        return vector * self.weights[f"{name}.weight"] if f"{name}.weight" in self.weights else vector

    def mlp(self, name, vector):
        if f"{name}.gate_proj.weight" in self.weights:
            gate = self.linear(f"{name}.gate_proj", vector)
            return self.linear(
                f"{name}.down_proj", gate * torch.sigmoid(gate) * self.linear(f"{name}.up_proj", vector)
            )
        hidden = self.linear(f"{name}.fc1", vector)
        return self.linear(f"{name}.fc2", hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2))))

    def layer(self, name, vectors, num_heads, places=None):
        normed = [self.norm(f"{name}.layernorm_before", vector) for vector in vectors]
        attended = self.attention(f"{name}.attention", normed, num_heads, places)
        attended = [self.scale(f"{name}.layer_scale_attention", vector) for vector in attended]
        vectors = [a + b for a, b in zip(vectors, attended, strict=True)]
        outputs = []
        for vector in vectors:
            mapped = self.mlp(f"{name}.mlp", self.norm(f"{name}.layernorm_after", vector))
            outputs.append(vector + self.scale(f"{name}.layer_scale_mlp", mapped))
        return outputs

    def embed(self, image):
        size = self.config.patch_size
        names = ("cls_token", "distillation_token", "register_tokens")
        prefix = [self.weights.get(f"paumer.embeddings.{name}") for name in names]
        prefix = [vector for token in prefix if token is not None for vector in token[0]]
        positions = self.weights.get("paumer.embeddings.position_embeddings")
        stored = [] if positions is None else list(positions[0])
        given = self.config.num_prefix_position_embeddings
        with_position = len(prefix) if given is None else given
        for place in range(with_position if stored else 0):
            prefix[place] = prefix[place] + stored.pop(0)
        kernel = self.weights["paumer.embeddings.patch_embeddings.projection.weight"]
        bias = self.weights["paumer.embeddings.patch_embeddings.projection.bias"]
        rows, columns = image.shape[1] // size, image.shape[2] // size
        patches = []
        for row in range(rows):
            for column in range(columns):
                pixels = image[:, row * size : (row + 1) * size, column * size : (column + 1) * size]
                patch = (kernel * pixels).sum(dim=(1, 2, 3)) + bias
                patches.append(patch + stored[len(patches)] if stored else patch)
        return prefix, patches, rows, columns

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
        prefix, patches, rows, columns = self.embed(image)
        centres = [
            (2 * (row + 0.5) / rows - 1, 2 * (column + 0.5) / columns - 1)
            for row in range(rows)
            for column in range(columns)
        ]
        active, auxiliary, paused_at = list(range(len(patches))), {}, [0] * len(patches)
        for layer in range(1, self.config.num_hidden_layers + 1):
            vectors = prefix + [patches[place] for place in active]
            places = [None] * len(prefix) + [centres[place] for place in active]
            name = f"paumer.encoder.layers.{layer - 1}"
            updated = self.layer(name, vectors, self.config.num_attention_heads, places)
            prefix = updated[: len(prefix)]
            for place, vector in zip(active, updated[len(prefix) :], strict=True):
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


@pytest.mark.parametrize("ratios", [{}, {1: 0.4, 3: 0.5}], ids=str)
def test_whole_model_of_every_encoder_is_the_naive_program(
    make_tiny_config, encoder_fields, make_model, tiny_images, ratios
):
    model, images = make_model(make_tiny_config(**encoder_fields)).double(), tiny_images[:1].double()
    output = model(images, pause_config=ratios)
    logits, _, pause_map = NaiveModel(model)(images[0], ratios)
    assert output.pause_map[0].tolist() == pause_map.tolist()
    torch.testing.assert_close(output.logits[0], logits, rtol=1e-8, atol=1e-8)


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
