# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Whole weights, whichever way the processes of a training share them, and their moving average.

With DDP every process holds all weights. With FSDP each holds a part of every tensor, as a `DTensor`; what is
evaluated, saved and compared are whole tensors always, so that a checkpoint does not know how many processes wrote it.
"""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor


def whole_tensor(tensor: Tensor) -> Tensor:
    """The tensor itself, or all parts of a shared one; every process must call this, in the same order."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def shared_like(tensor: Tensor, parameter: Tensor) -> Tensor:
    """A whole tensor, on the device of a parameter and shared among the processes as the parameter is."""
    tensor = tensor.to(parameter.device)
    if not isinstance(parameter, DTensor):
        return tensor
    return distribute_tensor(tensor, parameter.device_mesh, parameter.placements)


def whole_weights(model: nn.Module) -> dict[str, Tensor]:
    """Every entry of the state dict of an unwrapped model, whole; every process must call this."""
    return {name: whole_tensor(tensor.detach()) for name, tensor in model.state_dict().items()}


def load_whole_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Put whole weights into an unwrapped model, which may share them among processes."""
    state = model.state_dict()
    with torch.no_grad():
        for name, tensor in state.items():
            tensor.copy_(shared_like(weights[name], tensor))


class WeightsAverage:
    """An exponential moving average of the weights of a model.

    After each step the average moves towards the weights by 1 - decay of the distance. Early in a training it moves
    faster, by at least 9 / (10 + step), so that it does not remember the initial weights.

    Args:
        model: The unwrapped model.
        decay: Share of the average that a step keeps, in (0, 1).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}

    def update(self, model: nn.Module, step: int) -> None:
        """Move towards the weights after step `step`, counted from 1."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, parameter in model.named_parameters():
            self.weights[name].lerp_(parameter.detach(), 1 - decay)

    def whole_weights(self) -> dict[str, Tensor]:
        """The average, whole; every process must call this."""
        return {name: whole_tensor(tensor) for name, tensor in self.weights.items()}

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Go on from an average of whole weights."""
        for name, tensor in self.weights.items():
            tensor.copy_(shared_like(weights[name], tensor))


class ModelForUse:
    """What a training evaluates and saves: its model with whole weights, or with their average.

    Args:
        model: The model before it is prepared for training.
        needs_copy: Whether the model in training cannot serve itself: its weights are shared among processes, or an
            average is kept.
    """

    def __init__(self, model: nn.Module, needs_copy: bool) -> None:
        self._model = copy.deepcopy(model) if needs_copy else model
        self._is_copy = needs_copy

    def refresh(self, trained: nn.Module, average: WeightsAverage | None) -> nn.Module:
        """The model with the weights as they are now; every process must call this."""
        if not self._is_copy:
            return trained
        device = next(trained.parameters()).device
        weights = whole_weights(trained) if average is None else {**whole_weights(trained), **average.whole_weights()}
        self._model.to(device)
        self._model.load_state_dict(weights)
        return self._model


__all__ = [
    "ModelForUse",
    "WeightsAverage",
    "load_whole_weights",
    "shared_like",
    "whole_tensor",
    "whole_weights",
]
