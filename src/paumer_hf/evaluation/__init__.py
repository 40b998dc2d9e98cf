# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Evaluation: mean IoU, sliding windows, multiply-accumulates, throughput, tables and plots."""

from paumer_hf.evaluation.calibration import calibrate_throughput


__all__ = ["calibrate_throughput"]
