# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The figures of the paper, each from files of results or from a checkpoint; `scripts/draw_figure.py` draws them."""
