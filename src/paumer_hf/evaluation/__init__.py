# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Evaluation: mean IoU, sliding windows, multiply-accumulates, throughput, tables and plots."""
