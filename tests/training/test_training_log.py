# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What a training says is what it did."""

import json
import time

import pytest
import torch
from accelerate import Accelerator

from paumer_hf.training.recipe import TrainingRecipe
from paumer_hf.training.training_log import TrainingLog


@pytest.fixture
def make_log(tmp_path):
    def make(first_step=0, **fields):
        recipe = TrainingRecipe(output_dir=str(tmp_path), logging_steps=2, batch_size=4, **fields)
        return TrainingLog(recipe, Accelerator(cpu=True), first_step)

    return make


def lines(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_logs_the_mean_loss_of_the_steps_since_the_last_line(tmp_path, make_log):
    log = make_log()
    for step, loss in enumerate((1.0, 3.0, 5.0, 6.0), start=1):
        log.add_loss(torch.tensor(loss))
        log.finish_step(step, is_saved=False)
    assert [(line["step"], line["loss"]) for line in lines(tmp_path)] == [(2, 2.0), (4, 5.5)]


def test_the_rate_leaves_out_what_is_no_step_and_counts_the_waiting(tmp_path, make_log, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    log = make_log()
    for step in (1, 2):
        with log.timing_loader():
            now[0] += 0.5
        now[0] += 1.5
        log.add_loss(torch.tensor(1.0))
        if step == 1:
            with log.stopped_clock():
                now[0] += 8
        log.finish_step(step, is_saved=False)
    (line,) = lines(tmp_path)
    assert line["images_per_second"] == 2  # two steps of 4 images, of 2 s each
    assert line["loader_share"] == 0.25


def test_a_loss_that_is_no_number_ends_the_training_before_it_is_saved(make_log):
    log = make_log()
    log.add_loss(torch.tensor(float("inf")))
    with pytest.raises(FloatingPointError, match=r"The loss is inf at step 1\. Lower `learning_rate`"):
        log.finish_step(1, is_saved=True)


def test_going_on_drops_later_lines_and_one_that_was_cut_off(tmp_path, make_log):
    text = '{"step": 2, "loss": 1.0}\n{"step": 4, "loss": 1.0}\n{"step": 6, "lo'
    (tmp_path / "log.jsonl").write_text(text)
    make_log(first_step=2)
    assert [line["step"] for line in lines(tmp_path)] == [2]


def test_says_how_fast_the_loader_is_and_what_was_skipped(tmp_path, make_log, capsys):
    log = make_log()
    log.add_loader_speed(0, {"images_per_second": 123.4})
    log.add_skipped(["a", "b"], 5)
    printed = capsys.readouterr()
    assert "The loader alone gives 123.4 images/s" in printed.out
    assert "'a' cannot be read and is skipped, 5 in this process so far" in printed.out + printed.err
    assert lines(tmp_path)[0]["loader_images_per_second"] == 123.4
