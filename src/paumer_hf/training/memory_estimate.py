# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The memory that a training step takes, counted on tensors that have shapes but no data.

The step itself is run, forward and backward, as the model would run it. What lives at each moment is added up, so that
the count follows the architecture, gradient checkpointing and mixed precision by itself. It needs neither the memory
that it counts nor the device.
"""

import contextlib
import copy
import functools
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import AttentionInterface

from paumer_hf import PaumerConfig, PaumerForSemanticSegmentation, PauseConfig


ATTENTION_NAME = "paumer_fused_without_dropout"


@dataclass(frozen=True)
class StepMemory:
    """Bytes of the images that a process computes at once, beyond weights, gradients and the images themselves.

    Attributes:
        saved: What the forward pass leaves for the backward pass.
        peak: Most that lives at a time, with the temporary tensors of the loss and of the backward pass.
    """

    saved: int
    peak: int


def count_step_memory(
    config: PaumerConfig,
    image_size: Sequence[int],
    num_images: int,
    pause_config: PauseConfig,
    *,
    dtype: torch.dtype | None = None,
    gradient_checkpointing: bool = False,
) -> StepMemory:
    """Count the memory of one forward and backward pass.

    Attention counts as fused, which is what GPUs compute: its weights are never stored, neither is its dropout. What
    the device takes for itself, and what its allocator loses between tensors, is not counted.

    Args:
        config: The architecture.
        image_size: Height and width of the images in pixels.
        num_images: Number of images.
        pause_config: What pauses.
        dtype: Data type of autocast; None computes in float32.
        gradient_checkpointing: Whether activations are computed again in the backward pass.
    """
    with torch.device("meta"):
        model = PaumerForSemanticSegmentation(copy.deepcopy(config)).train()
    AttentionInterface.register(ATTENTION_NAME, _fused_attention)
    model.config._attn_implementation = ATTENTION_NAME
    if gradient_checkpointing:
        # The newer name of the two; the older one warns where there are both.
        getattr(model, "activation_checkpointing_enable", model.gradient_checkpointing_enable)()
    with FakeTensorMode():
        _give_fake_parameters(model)
        pixel_values = torch.zeros(num_images, config.num_channels, *image_size)
        labels = torch.zeros(num_images, *image_size, dtype=torch.int64)
        with _LiveBytes([*model.parameters(), pixel_values, labels]) as live:
            autocast = contextlib.nullcontext() if dtype is None else torch.autocast("cpu", dtype)
            with autocast:
                loss = model(pixel_values, labels=labels, pause_config=pause_config).loss
            saved = live.now
            loss.backward()
        return StepMemory(saved, live.peak)


def _fused_attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: None, scaling: float, **kwargs: Any
) -> tuple[Tensor, None]:
    """Fused attention without dropout, for CPUs store the weights of attention where there is dropout."""
    attended = nn.functional.scaled_dot_product_attention(query, key, value, scale=scaling)
    return attended.transpose(1, 2), None


def _give_fake_parameters(model: nn.Module) -> None:
    """Replace the parameters by such as seem to lie on the CPU, and give them gradients to add to."""
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            setattr(module, name, nn.Parameter(torch.empty(parameter.shape, dtype=parameter.dtype)))
    for parameter in model.parameters():
        parameter.grad = torch.empty_like(parameter)


class _LiveBytes(TorchDispatchMode):
    """Adds up the bytes of the tensors that operations make, for as long as they live.

    Args:
        known: Tensors that are there before and do not count.
    """

    def __init__(self, known: Sequence[Tensor]) -> None:
        super().__init__()
        self.now = self.peak = 0
        grads = [tensor.grad for tensor in known if tensor.grad is not None]
        self._storages = {id(tensor.untyped_storage()) for tensor in [*known, *grads]}

    def __torch_dispatch__(
        self, func: Callable, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        outputs = func(*args, **(kwargs or {}))
        for output in tree_leaves(outputs):
            if isinstance(output, Tensor):
                self._add(output.untyped_storage())
        return outputs

    def _add(self, storage: torch.UntypedStorage) -> None:
        if id(storage) in self._storages:  # a view, or the result of an operation in place
            return
        self._storages.add(id(storage))
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, functools.partial(self._remove, id(storage), storage.nbytes()))

    def _remove(self, key: int, num_bytes: int) -> None:
        self._storages.discard(key)
        self.now -= num_bytes


__all__ = ["StepMemory", "count_step_memory"]
