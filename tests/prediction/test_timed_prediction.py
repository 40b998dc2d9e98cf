# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import time

import numpy as np
import pytest
import torch

from paumer_hf import PaumerImageProcessor, PauseConfig
from paumer_hf.prediction.timed_prediction import TimedPredictor, predict


DENSE, PAUSED = PauseConfig(), PauseConfig({1: 0.4, 2: 0.5})


@pytest.mark.parametrize("pause_config", [DENSE, PAUSED])
def test_prediction_is_that_of_the_model(pause_config, tiny_model, photograph):
    image = photograph()  # 38 x 45 pixels: 5 x 6 patches of 8, padded
    row = predict(tiny_model, PaumerImageProcessor(), image, pause_config)
    pixel_values = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 127.5 - 1
    with torch.no_grad():
        outputs = tiny_model(pixel_values, pause_config=pause_config)
    expected = tiny_model.upsample_logits(outputs.logits, (38, 45)).argmax(1)[0]
    assert (torch.from_numpy(row.label_map) == expected).float().mean() > 0.999  # up to ties
    assert np.array_equal(row.pause_map, outputs.pause_map[0])
    logits = outputs.auxiliary_logits if pause_config else outputs.logits
    entropy = torch.distributions.Categorical(logits=logits[0].permute(1, 2, 0)).entropy()
    np.testing.assert_allclose(row.entropy, entropy, rtol=1e-4, atol=1e-4)
    assert row.entropy_title == (
        "entropy of the auxiliary prediction" if pause_config else "entropy of the prediction"
    )


def test_timed_predictions_are_those_without_a_clock(tiny_model, photograph):
    predictor = TimedPredictor(tiny_model, PaumerImageProcessor(), {PAUSED: "fast", DENSE: "dense"})
    predictions = predictor.predict(photograph(), num_calls=2)
    assert [(row.pause_config, row.name) for row, _ in predictions] == [(PAUSED, "fast"), (DENSE, "dense")]
    for row, seconds in predictions:
        alone = predict(tiny_model, PaumerImageProcessor(), photograph(), row.pause_config)
        assert np.array_equal(row.label_map, alone.label_map)
        assert np.array_equal(row.pause_map, alone.pause_map)
        np.testing.assert_allclose(row.entropy, alone.entropy, atol=1e-5)
        assert len(seconds) == 2
        assert min(seconds) > 0


def test_only_warm_calls_of_the_model_are_timed(tiny_model, photograph, monkeypatch):
    """By a clock that goes on only where the model, the processor or a first call says so."""
    now, calls, warm = 0.0, [], set()
    forward, processor = tiny_model.forward, PaumerImageProcessor()

    def slow_forward(pixel_values, pause_config):
        nonlocal now
        calls.append(pause_config)
        key = (pixel_values.shape, pause_config)
        now += (2.0 if pause_config else 3.0) if key in warm else 50.0
        warm.add(key)
        return forward(pixel_values, pause_config=pause_config)

    def slow_processor(*arguments, **options):
        nonlocal now
        now += 1000
        return processor(*arguments, **options)

    monkeypatch.setattr(time, "perf_counter", lambda: now)
    monkeypatch.setattr(tiny_model, "forward", slow_forward)
    predictor = TimedPredictor(tiny_model, slow_processor, {DENSE: "", PAUSED: ""})
    for width in (45, 46, 80, 45):  # 46 pixels are as many patches as 45
        seconds = [seconds for _, seconds in predictor.predict(photograph(width), num_calls=3)]
        assert seconds == [[3.0] * 3, [2.0] * 3]
    assert len(calls) == 2 * (1 + 3) + 2 * 3 + 2 * (1 + 3) + 2 * 3
    assert calls[2:6] == [DENSE, PAUSED, PAUSED, DENSE]  # in turn


def test_settings_that_are_refused(tiny_model, photograph):
    with pytest.raises(ValueError, match="`pause_configs` must hold at least one"):
        TimedPredictor(tiny_model, PaumerImageProcessor(), {})
    with pytest.raises(ValueError, match="`num_calls` must be at least 1, but is 0"):
        TimedPredictor(tiny_model, PaumerImageProcessor(), {DENSE: ""}).predict(photograph(), 0)


@pytest.mark.gpu
def test_prediction_on_a_gpu(tiny_model, photograph):
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    predictor = TimedPredictor(tiny_model.cuda(), PaumerImageProcessor(), {DENSE: "", PAUSED: ""})
    for row, seconds in predictor.predict(photograph(), num_calls=2):
        on_cpu = predict(tiny_model.cpu(), PaumerImageProcessor(), photograph(), row.pause_config)
        tiny_model.cuda()
        assert np.mean(row.label_map == on_cpu.label_map) > 0.99
        assert min(seconds) > 0
