# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What changes while a training runs, and how it is written into a checkpoint and read back.

Tensors are written whole and by name, as safetensors, all else as JSON: a checkpoint can be read by any number of
processes, sharing the weights or not, and nothing in it is ever unpickled.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from paumer_hf.model.pause_sampling import PauseSampler
from paumer_hf.training.random_states import get_random_states, set_random_states
from paumer_hf.training.weights import WeightsAverage, load_whole_weights, shared_like, whole_tensor


MODEL_NAME = "model.safetensors"
AVERAGE_NAME = "ema.safetensors"
OPTIMIZER_NAME = "optimizer.safetensors"


@dataclasses.dataclass
class TrainingState:
    """The parts of a training that a checkpoint holds.

    Attributes:
        accelerator: Knows the processes and the scaling of the loss.
        model: The prepared model.
        optimizer: The prepared optimiser.
        sampler: Draws the pause configurations.
        average: Moving average of the weights, if one is kept.
        step: Number of steps done. The schedule and the position in the data are functions of it.
        best: Mean IoU of the best evaluation, -1 before the first.
        best_step: Its step.
        skipped: Ids of training samples that could not be read and were skipped, in the order of their first time.
    """

    accelerator: Accelerator
    model: nn.Module
    optimizer: Any
    sampler: PauseSampler
    average: WeightsAverage | None = None
    step: int = 0
    best: float = -1.0
    best_step: int | None = None
    skipped: list[str] = dataclasses.field(default_factory=list)

    @property
    def trained(self) -> nn.Module:
        """The model without the wrapper of distributed training."""
        return self.accelerator.unwrap_model(self.model)

    def write(self, folder: Path) -> dict[str, Any]:
        """Write the tensors and the random states of this process into a folder; returns all else, for JSON.

        Every process must call this; the main process alone writes what all have in common.
        """
        tensors = {MODEL_NAME: self.trained.state_dict(), OPTIMIZER_NAME: self._optimizer_tensors()}
        if self.average is not None:
            tensors[AVERAGE_NAME] = self.average.weights
        # All exchange between processes goes before what can fail in one of them.
        whole = {name: self._gather(values) for name, values in tensors.items()}
        if self.accelerator.is_main_process:
            for name, values in whole.items():
                save_file(values, folder / name)
        states = get_random_states(self.accelerator.device)
        self._random_states_path(folder).write_text(json.dumps(states) + "\n", encoding="utf-8")
        scaler = self.accelerator.scaler
        return {
            "best": self.best,
            "best_step": self.best_step,
            "skipped": self.skipped,
            "pause_sampler": self.sampler.state_dict(),
            "loss_scaler": None if scaler is None else scaler.state_dict(),
            "learning_rates": [group["lr"] for group in self.optimizer.param_groups],
            "num_processes": self.accelerator.num_processes,
        }

    def read(self, folder: Path, state: dict[str, Any], seed: int) -> None:
        """Go back to what `write` wrote into a folder and returned.

        Args:
            folder: The checkpoint.
            state: What it remembers.
            seed: Of the random states of a process that there was not when the checkpoint was written.

        Raises:
            ValueError: If the checkpoint is of another model, optimiser or kind of training.
        """
        load_whole_weights(self.trained, _load(folder / MODEL_NAME, self.trained.state_dict()))
        self._read_optimizer(folder / OPTIMIZER_NAME)
        if self.average is not None:
            self._read_average(folder / AVERAGE_NAME)
        if self.accelerator.scaler is not None and state["loss_scaler"]:
            self.accelerator.scaler.load_state_dict(state["loss_scaler"])
        self.step, self.best, self.best_step = state["step"], state["best"], state["best_step"]
        self.skipped = list(state["skipped"])
        self.sampler.load_state_dict(state["pause_sampler"])
        path = self._random_states_path(folder)
        if path.exists():
            set_random_states(json.loads(path.read_text(encoding="utf-8")), self.accelerator.device)
        else:
            set_seed(seed + self.step, device_specific=True)

    def _gather(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Whole tensors on the CPU of the main process, one after the other; the others do not keep them."""
        gathered = {}
        for name, tensor in tensors.items():
            whole = whole_tensor(tensor.detach())
            if self.accelerator.is_main_process:
                gathered[name] = whole.cpu().contiguous()
        return gathered

    def _random_states_path(self, folder: Path) -> Path:
        return folder / f"random_states_{self.accelerator.process_index}.json"

    def _names(self) -> dict[int, str]:
        """Name of each parameter, by its number in the optimiser's state dict."""
        names = {id(parameter): name for name, parameter in self.trained.named_parameters()}
        parameters = (parameter for group in self.optimizer.param_groups for parameter in group["params"])
        return {number: names[id(parameter)] for number, parameter in enumerate(parameters)}

    def _optimizer_tensors(self) -> dict[str, Tensor]:
        names = self._names()
        return {
            f"{names[number]}/{key}": torch.as_tensor(value)
            for number, values in self.optimizer.state_dict()["state"].items()
            for key, value in values.items()
            if value is not None
        }

    def _read_optimizer(self, path: Path) -> None:
        numbers = {name: number for number, name in self._names().items()}
        parameters = dict(self.trained.named_parameters())
        state: dict[int, dict[str, Tensor]] = {}
        for entry, tensor in load_file(path).items():
            name, _, key = entry.rpartition("/")
            if name not in numbers:
                raise ValueError(f"{path} holds {entry!r}, but the model has no such parameter. {REMEDY}")
            parameter = parameters[name]
            is_like = tensor.shape == parameter.shape
            state.setdefault(numbers[name], {})[key] = shared_like(tensor, parameter) if is_like else tensor
        kinds = {key for values in state.values() for key in values}
        expected = {"momentum_buffer"} if "momentum" in self.optimizer.param_groups[0] else {"exp_avg", "exp_avg_sq"}
        if kinds - {"step"} - expected:
            raise ValueError(f"{path} holds {sorted(kinds)}, which belong to another `optimizer`. {REMEDY}")
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})

    def _read_average(self, path: Path) -> None:
        average = self.average
        if average is None:
            return
        if not path.exists():
            raise ValueError(f"{path.parent} holds no average of the weights, but `ema_decay` is set. {REMEDY}")
        average.load(_load(path, average.weights))


REMEDY = "Go on with the recipe that the checkpoint was written with, or start anew in another `output_dir`."


def _load(path: Path, expected: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a file, after a check that they are those of a model."""
    loaded = load_file(path)
    shapes = {name: tuple(tensor.shape) for name, tensor in expected.items()}
    wrong = sorted(name for name in loaded.keys() | shapes.keys() if _shape(loaded.get(name)) != shapes.get(name))
    if wrong:
        raise ValueError(
            f"{path} is of another model: {wrong[0]!r} has the shape {_shape(loaded.get(wrong[0]))} there and "
            f"{shapes.get(wrong[0])} in the recipe's. {REMEDY}"
        )
    return loaded


def _shape(tensor: Tensor | None) -> tuple[int, ...] | None:
    return None if tensor is None else tuple(tensor.shape)


__all__ = ["TrainingState"]
