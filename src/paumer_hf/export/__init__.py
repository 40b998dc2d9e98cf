# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Models as files that run without this package's code: ONNX and torch.export, each checked before it is kept."""

from paumer_hf.export.onnx_export import export_onnx
from paumer_hf.export.onnx_paumer import OnnxPaumer
from paumer_hf.export.program_export import export_program


__all__ = ["OnnxPaumer", "export_onnx", "export_program"]
