# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""A training state survives its files, whatever the optimiser, and nothing in the files is a pickle."""

import json

import pytest
import torch
from accelerate import Accelerator

from paumer_hf import PaumerForSemanticSegmentation
from paumer_hf.training.optimization import make_optimizer
from paumer_hf.training.recipe import TrainingRecipe
from paumer_hf.training.training_state import TrainingState
from paumer_hf.training.weights import WeightsAverage


@pytest.fixture
def make_state(tiny_config):
    def make(optimizer, seed, decay=0.9):
        torch.manual_seed(seed)
        accelerator = Accelerator(cpu=True)
        model = PaumerForSemanticSegmentation(tiny_config).train()
        recipe = TrainingRecipe(optimizer=optimizer, learning_rate=1e-2, weight_decay=0.1)
        prepared, prepared_optimizer = accelerator.prepare(model, make_optimizer(model, recipe))
        state = TrainingState(accelerator, prepared, prepared_optimizer, model.pause_sampler)
        state.average = None if decay is None else WeightsAverage(state.trained, decay)
        return state

    return make


def take_steps(state, number):
    """Steps with random inputs, so that they depend on the random state as well."""
    for _ in range(number):
        images, labels = torch.randn(2, 3, 40, 48), torch.randint(3, (2, 40, 48))
        state.model(images, labels=labels, pause_config=state.sampler.draw()).loss.backward()
        state.optimizer.step()
        state.optimizer.zero_grad()
        state.step += 1
        if state.average is not None:
            state.average.update(state.trained, state.step)


def tensors_of(state):
    weights = dict(state.trained.named_parameters())
    return {**weights, **{f"average {name}": tensor for name, tensor in state.average.weights.items()}}


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_state_goes_on_from_its_files_to_the_bit(tmp_path, make_state, optimizer):
    state = make_state(optimizer, seed=0)
    take_steps(state, 2)
    state.best, state.best_step, state.skipped = 0.25, 1, ["a"]
    remembered = json.loads(json.dumps({"step": state.step, **state.write(tmp_path)}))
    take_steps(state, 2)

    other = make_state(optimizer, seed=1)
    other.read(tmp_path, remembered, seed=0)
    assert (other.step, other.best, other.best_step, other.skipped) == (2, 0.25, 1, ["a"])
    take_steps(other, 2)
    expected, found = tensors_of(state), tensors_of(other)
    assert [name for name, tensor in expected.items() if not torch.equal(tensor, found[name])] == []
    assert other.sampler.num_drawn == 4


def test_all_files_are_safetensors_or_json(tmp_path, make_state):
    state = make_state("adamw", seed=0)
    take_steps(state, 1)
    state.write(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".safetensors", ".json"}


def test_a_process_without_a_random_state_gets_one_of_its_own(tmp_path, make_state):
    state = make_state("sgd", seed=0)
    take_steps(state, 1)
    remembered = {"step": state.step, **state.write(tmp_path)}
    (tmp_path / "random_states_0.json").unlink()
    drawn = []
    for torch_seed in (5, 6):
        torch.manual_seed(torch_seed)
        make_state("sgd", seed=1).read(tmp_path, remembered, seed=3)
        drawn.append(torch.randn(2).tolist())
    assert drawn[0] == drawn[1]


def test_files_of_another_training_are_refused(tmp_path, make_state):
    state = make_state("sgd", seed=0, decay=None)
    take_steps(state, 1)
    remembered = {"step": state.step, **state.write(tmp_path)}
    with pytest.raises(ValueError, match="belong to another `optimizer`"):
        make_state("adamw", seed=0, decay=None).read(tmp_path, remembered, seed=0)
    with pytest.raises(ValueError, match="holds no average of the weights"):
        make_state("sgd", seed=0).read(tmp_path, remembered, seed=0)
