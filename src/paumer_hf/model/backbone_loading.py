# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The way from a checkpoint's classes to the conversion of other weights, which only the installed package has."""

import importlib
import importlib.util
from types import ModuleType


def conversion_module() -> ModuleType:
    """The module of the package that converts weights.

    The files that a checkpoint carries on the Hub must run without the package, so it is looked up when it is needed.

    Raises:
        ImportError: If the package is not installed.
    """
    if importlib.util.find_spec("paumer_hf") is None:
        raise ImportError(
            "`from_backbone` converts weights of other origins, which takes more than the code that a checkpoint "
            "carries with it: pip install paumer_hf."
        )
    return importlib.import_module("paumer_hf.conversion.backbone")


__all__ = ["conversion_module"]
