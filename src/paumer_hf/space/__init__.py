# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The demonstration in a web page: a photograph segmented by the dense model and by a paused one, side by side."""

from paumer_hf.space.demonstration import Choice, Comparison, Demonstration
from paumer_hf.space.interface import build_interface, launch_options
from paumer_hf.space.pictures import Picture, example_pictures, read_picture
from paumer_hf.space.startup import check_model, check_port, find_title


__all__ = [
    "Choice",
    "Comparison",
    "Demonstration",
    "Picture",
    "build_interface",
    "check_model",
    "check_port",
    "example_pictures",
    "find_title",
    "launch_options",
    "read_picture",
]
