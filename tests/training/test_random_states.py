# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Random states survive a file of JSON."""

import json
import random

import numpy as np
import torch

from paumer_hf.training.random_states import get_random_states, set_random_states


def draw():
    return random.gauss(0, 1), random.random(), np.random.standard_normal(), np.random.rand(), torch.randn(3).tolist()


def test_drawing_goes_on_where_the_states_were_taken():
    device = torch.device("cpu")
    random.gauss(0, 1)  # which keeps a second number for the next call
    np.random.standard_normal()
    states = json.loads(json.dumps(get_random_states(device)))
    first = draw()
    assert draw() != first
    set_random_states(states, device)
    assert draw() == first
