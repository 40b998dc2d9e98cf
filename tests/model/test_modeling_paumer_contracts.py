# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What users of transformers expect of every model: dtypes, attention implementations, compilation, export."""

import copy

import pytest
import torch

from paumer_hf import PaumerForSemanticSegmentation, PauseConfig


CONFIGS = [
    PauseConfig(),
    PauseConfig({1: 0.4}),
    PauseConfig({1: 0.4}, criterion="random", seed=3),
]


@pytest.fixture
def shallow_model(tiny_config, make_model):
    """Two layers and a linear decoder: compiling takes time for each layer."""
    tiny_config.num_hidden_layers, tiny_config.train_pause_layers, tiny_config.decoder_type = 2, (1,), "linear"
    return make_model(tiny_config)


@pytest.fixture
def compiled():
    """torch.compile without graph breaks, starting and ending with nothing compiled."""
    torch.compiler.reset()
    yield lambda module, **options: torch.compile(module, fullgraph=True, dynamic=False, **options)
    torch.compiler.reset()


# --- dtypes and attention implementations ---


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_dtypes(tiny_model, tiny_images, dtype, implementation):
    tiny_model.set_attn_implementation(implementation)
    config = PauseConfig({1: 0.4, 3: 0.5}, criterion="random", seed=1)  # rounding must not move the choice
    expected = tiny_model(tiny_images, pause_config=config)
    labels = torch.randint(0, 3, (3, 40, 48))
    model = copy.deepcopy(tiny_model).to(dtype)
    for pixel_values in (tiny_images, tiny_images.to(dtype)):
        output = model(pixel_values, labels=labels, pause_config=config)
        assert output.logits.dtype == output.auxiliary_logits.dtype == dtype
        assert output.loss.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
        assert output.pause_map.equal(expected.pause_map)
        close = {torch.float64: 1e-4, torch.float16: 0.05, torch.bfloat16: 0.4}[dtype]
        assert (output.logits.float() - expected.logits).abs().max() < close
        output.loss.backward()
    entropy_output = model(tiny_images, pause_config={1: 0.4, 3: 0.5})
    assert (entropy_output.pause_map == 1).sum() == 3 * 12


@pytest.mark.parametrize("ratios", [{}, {1: 0.4, 3: 0.5}])
def test_attention_implementations_agree(tiny_model, tiny_images, ratios):
    outputs = []
    for implementation in ("eager", "sdpa"):
        tiny_model.set_attn_implementation(implementation)
        assert tiny_model.config._attn_implementation == implementation
        outputs.append(tiny_model(tiny_images, pause_config=ratios))
    assert outputs[0].pause_map.equal(outputs[1].pause_map)
    torch.testing.assert_close(outputs[0].logits, outputs[1].logits, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_flex_attention_agrees_with_eager(shallow_model, tiny_images, compiled):
    with torch.no_grad():
        for ratios in ({}, {1: 0.4}):
            shallow_model.set_attn_implementation("eager")
            expected = shallow_model(tiny_images, pause_config=ratios)
            shallow_model.set_attn_implementation("flex_attention")
            output = shallow_model(tiny_images, pause_config=ratios)
            assert output.pause_map.equal(expected.pause_map)
            torch.testing.assert_close(output.logits, expected.logits, rtol=1e-4, atol=1e-4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="flash attention needs a CUDA device")
def test_flash_attention_agrees_with_eager(tiny_config, make_model, tiny_images):
    pytest.importorskip("flash_attn", reason="flash attention is a package of its own")
    model, images = make_model(tiny_config).to("cuda", torch.bfloat16), tiny_images.to("cuda")
    config = PauseConfig({1: 0.4, 3: 0.5}, criterion="random", seed=1)
    outputs = []
    for implementation in ("eager", "flash_attention_2"):
        model.set_attn_implementation(implementation)
        outputs.append(model(images, pause_config=config))
    assert (outputs[0].logits - outputs[1].logits).abs().max() < 0.4


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="compares with a CUDA device")
def test_devices_agree(tiny_model, tiny_images):
    config = PauseConfig({1: 0.4, 3: 0.5}, criterion="random", seed=1)
    expected = tiny_model(tiny_images, pause_config=config)
    output = tiny_model.to("cuda")(tiny_images.to("cuda"), pause_config=config)
    assert output.pause_map.cpu().equal(expected.pause_map)
    assert (output.logits.cpu() - expected.logits).abs().max() < 0.01


# --- compilation and export ---


def test_compiles_to_one_graph(shallow_model, tiny_images, compiled):
    """And one compiled model serves several configurations."""
    compiled_model = compiled(shallow_model, backend="eager")
    with torch.no_grad():
        for config in CONFIGS:
            expected = shallow_model(tiny_images, pause_config=config)
            output = compiled_model(tiny_images, pause_config=config)
            assert output.pause_map.equal(expected.pause_map)
            torch.testing.assert_close(output.logits, expected.logits)
            if config:
                torch.testing.assert_close(output.auxiliary_logits, expected.auxiliary_logits)


@pytest.mark.slow
def test_compiles_the_backward_pass(shallow_model, tiny_images, compiled):
    labels = torch.randint(0, 3, (3, 40, 48))
    found = []
    for model in (shallow_model, compiled(shallow_model, backend="aot_eager")):
        shallow_model.zero_grad()
        model(tiny_images, labels=labels, pause_config=PauseConfig({1: 0.4})).loss.backward()
        found.append({name: parameter.grad.clone() for name, parameter in shallow_model.named_parameters()})
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient, msg=name)


@pytest.mark.slow
def test_compiles_with_the_default_backend(shallow_model, tiny_images, compiled):
    with torch.no_grad():
        expected = shallow_model(tiny_images, pause_config={1: 0.4})
        output = compiled(shallow_model)(tiny_images, pause_config=PauseConfig({1: 0.4}))
    assert output.pause_map.equal(expected.pause_map)
    torch.testing.assert_close(output.logits, expected.logits, rtol=1e-4, atol=1e-4)


def test_exports_with_its_default_configuration(shallow_model, tiny_images):
    shallow_model.pause_config = {1: 0.4}
    expected = shallow_model(tiny_images)
    program = torch.export.export(shallow_model, (tiny_images,), strict=False)
    output = program.module()(tiny_images)
    assert output["pause_map"].equal(expected.pause_map)
    torch.testing.assert_close(output["logits"], expected.logits)
    assert program.module()(-tiny_images)["logits"].shape == expected.logits.shape


# --- the rest ---


def test_copies_are_independent(tiny_model, tiny_images):
    tiny_model.pause_config = {1: 0.4}
    tiny_model.pause_presets["fast"] = PauseConfig({1: 0.9})
    other = copy.deepcopy(tiny_model)
    assert other(tiny_images).logits.equal(tiny_model(tiny_images).logits)
    tiny_model.pause_config = None
    tiny_model.pause_presets.clear()
    assert other.pause_config == PauseConfig({1: 0.4})
    assert list(other.pause_presets) == ["fast"]


def test_input_embeddings(tiny_model):
    assert tiny_model.get_input_embeddings() is tiny_model.paumer.embeddings.patch_embeddings
    assert tiny_model.paumer.get_input_embeddings() is tiny_model.paumer.embeddings.patch_embeddings
    assert tiny_model.base_model is tiny_model.paumer


def test_initial_weights(tiny_config):
    """Linear weights and embeddings have the configured deviation, scales are one, biases zero."""
    tiny_config.initializer_range = 0.1
    for name, parameter in PaumerForSemanticSegmentation(tiny_config).named_parameters():
        if name.endswith("bias"):
            assert (parameter == 0).all(), name
        elif "layernorm" in name:
            assert (parameter == 1).all(), name
        else:
            assert 0.05 < parameter.std() < 0.15, name
