# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What a training says: the progress bar, the log, the trackers and the files of results."""

import contextlib
import dataclasses
import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from accelerate import Accelerator
from tqdm import tqdm

from paumer_hf.evaluation.results import write_results, write_text
from paumer_hf.training.optimization import learning_rate
from paumer_hf.training.recipe import TrainingRecipe


SECONDS_FOR_OTHER_THREADS = 0.2


class TrainingLog:
    """The progress bar, `log.jsonl`, the trackers, and the files of results; the main process alone writes.

    Args:
        recipe: The recipe of the training.
        accelerator: Knows the processes.
        first_step: Number of steps that were done before.
        is_evaluation_due: Whether the evaluation after these steps is done (again).
    """

    def __init__(
        self, recipe: TrainingRecipe, accelerator: Accelerator, first_step: int, is_evaluation_due: bool = False
    ) -> None:
        self.recipe, self.accelerator = recipe, accelerator
        self.output = Path(recipe.output_dir)
        self.start = time.monotonic()
        self.total_loss = torch.zeros((), device=accelerator.device)
        self.num_steps = 0
        self.clock_start = time.perf_counter()
        self.loading_seconds = 0.0
        self.shown: dict[str, str] = {}
        if accelerator.is_main_process:
            self.output.mkdir(parents=True, exist_ok=True)
            self._drop_lines_after(first_step, is_evaluation_due)
            write_text(self.output / "recipe.yaml", yaml.safe_dump(dataclasses.asdict(recipe), sort_keys=False))
        if recipe.report_to is not None:
            accelerator.init_trackers("tracking")
        self.progress = tqdm(
            total=recipe.max_steps,
            initial=first_step,
            desc="Training",
            unit="step",
            disable=None if accelerator.is_main_process else True,
        )

    def seconds(self) -> float:
        """Seconds since the training started or went on."""
        return round(time.monotonic() - self.start, 1)

    @contextlib.contextmanager
    def stopped_clock(self) -> Iterator[None]:
        """Leave an evaluation or a checkpoint out of the time of the steps."""
        start = time.perf_counter()
        yield
        self.clock_start += time.perf_counter() - start

    @contextlib.contextmanager
    def timing_loader(self) -> Iterator[None]:
        """Count the time that a step waits for its samples."""
        start = time.perf_counter()
        yield
        self.loading_seconds += time.perf_counter() - start

    def add_loader_speed(self, step: int, speed: Mapping[str, Any]) -> None:
        """Say and log how fast the loader is alone, as `measure_loader` found."""
        rate = speed["images_per_second"]
        self.accelerator.print(f"The loader alone gives {rate:.1f} images/s in each process of the training.")
        self._log({"step": step, "loader_images_per_second": rate})

    def add_skipped(self, ids: Sequence[str], number: int) -> None:
        """Say which samples could not be read, and how many there have been."""
        for name in ids:
            tqdm.write(f"The training sample {name!r} cannot be read and is skipped, {number} in this process so far.")

    def add_loss(self, loss: torch.Tensor) -> None:
        """Count this process's part of the loss of a step, without waiting for the device."""
        self.total_loss += loss.detach()

    def finish_step(self, step: int, is_saved: bool) -> None:
        """Show a step, and log the mean loss every `logging_steps` and before a checkpoint, which it must be fit for.

        Raises:
            FloatingPointError: If the loss is no finite number.
        """
        self.num_steps += 1
        self.progress.update()
        if step % self.recipe.logging_steps and not is_saved:
            return
        mean_loss = self.accelerator.reduce(self.total_loss, reduction="sum").item() / self.num_steps
        if not math.isfinite(mean_loss):
            raise FloatingPointError(
                f"The loss is {mean_loss} at step {step}. Lower `learning_rate`, set `max_grad_norm`, or train with "
                "`mixed_precision: no`."
            )
        # Reading the loss has waited for the device, so that the clock shows what the steps have taken.
        elapsed = max(time.perf_counter() - self.clock_start, 1e-9)
        rate, waiting = self.num_steps * self.recipe.batch_size / elapsed, self.loading_seconds / elapsed
        self._show(loss=f"{mean_loss:.3f}", rate=f"{rate:.3g} images/s")
        values = {"step": step, "loss": mean_loss, "learning_rate": learning_rate(self.recipe, step - 1)}
        self._log({**values, "images_per_second": round(rate, 3), "loader_share": round(waiting, 4)})
        self.total_loss = torch.zeros_like(self.total_loss)
        self.num_steps, self.loading_seconds = 0, 0.0
        self.clock_start = time.perf_counter()

    def add_evaluation(self, step: int, evaluation: list[dict[str, Any]]) -> None:
        """Show and log the mean IoU of each evaluated configuration."""
        names = self.recipe.eval_pause_configs
        scores = {f"mean_iou {name}": result["mean_iou"] for name, result in zip(names, evaluation, strict=True)}
        self._show(mIoU=f"{100 * evaluation[0]['mean_iou']:.1f}")
        self._log({"step": step, **scores})

    def write_results(self, results: dict[str, Any]) -> None:
        """Write the results."""
        if self.accelerator.is_main_process:
            write_results(self.output / "results.json", results)

    def close(self) -> None:
        """Close what is open."""
        self.progress.close()
        if self.accelerator.num_processes > 1:
            # A thread of gloo lets go of the tensors of the last exchange when Python lets it run. Ending the exchange
            # waits for that thread, and does not let it run meanwhile (torch 2.13): both would wait for ever.
            self.accelerator.wait_for_everyone()
            time.sleep(SECONDS_FOR_OTHER_THREADS)
        self.accelerator.end_training()

    def _drop_lines_after(self, step: int, is_evaluation_due: bool) -> None:
        """Remove the lines of what is done again, and one that a kill has cut off."""

        def stays(line: str) -> bool:
            values = json.loads(line)
            is_evaluation = any(name.startswith("mean_iou") for name in values)
            return values["step"] <= step and not (is_evaluation_due and is_evaluation and values["step"] == step)

        path = self.output / "log.jsonl"
        if path.exists():
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            whole = (line for line in lines if line.endswith("\n"))
            write_text(path, "".join(filter(stays, whole)))

    def _show(self, **values: str) -> None:
        self.shown |= values
        self.progress.set_postfix(self.shown)

    def _log(self, values: dict[str, Any]) -> None:
        if self.accelerator.is_main_process:
            with (self.output / "log.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps({**values, "seconds": self.seconds()}) + "\n")
        self.accelerator.log({name: value for name, value in values.items() if name != "step"}, step=values["step"])


__all__ = ["TrainingLog"]
