# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What stands for the objects that checkpoints hold beside their weights, when they are read without running code.

NumPy's own functions would believe a file that says where in memory the elements of an array lie.
"""

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from torch.serialization import add_safe_globals, clear_safe_globals, get_safe_globals


class _Unneeded:
    """Stands for objects that conversion has no use for: made of anything, it keeps nothing."""

    def __new__(cls, *_: object) -> "_Unneeded":
        return super().__new__(cls)

    def __setstate__(self, state: object) -> None:
        pass


class _ElementType:
    """Stands for `numpy.dtype`; knows numbers and texts."""

    def __init__(self, code: str, *_: object) -> None:
        self.code = code
        self.byte_order: Any = "="

    def __setstate__(self, state: tuple) -> None:
        self.byte_order = state[1]

    def read(self, data: object, shape: tuple[int, ...] = (), by_columns: bool = False) -> list:
        """The elements, or the rows of the array that they make."""
        if isinstance(data, list):  # an array of objects, which were read like all others
            return data
        if not isinstance(data, bytes) or not re.fullmatch(r"[biufcSU][1-9]\d*", self.code):
            return []
        elements = np.frombuffer(data, np.dtype(self.code).newbyteorder(self.byte_order))
        return elements.reshape(shape or (1,), order="F" if by_columns else "C").tolist()


class _Array(list):
    """Stands for `numpy.ndarray`: becomes the list of its elements or rows."""

    def __init__(self, *_: object) -> None:
        super().__init__()

    def __setstate__(self, state: tuple) -> None:
        _, shape, element_type, by_columns, data = state
        self[:] = element_type.read(data, shape, by_columns)


def _scalar(element_type: _ElementType, data: object) -> Any:
    return next(iter(element_type.read(data)), None)


STAND_INS: list = [
    (_Unneeded, "mmengine.logging.history_buffer.HistoryBuffer"),
    (_Unneeded, "builtins.getattr"),  # of the methods that a HistoryBuffer names
    (bytes, "builtins.bytes"),  # of empty arrays
    (_Unneeded, "numpy.ndarray"),
    (_ElementType, "numpy.dtype"),
]
STAND_INS += [(_Array, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")]
STAND_INS += [(_scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]


@contextlib.contextmanager
def stand_ins() -> Iterator[None]:
    """Let `torch.load` rebuild what `STAND_INS` names, and nothing that the rest of the program has allowed."""
    allowed = get_safe_globals()
    clear_safe_globals()
    add_safe_globals(STAND_INS)
    try:
        yield
    finally:
        clear_safe_globals()
        add_safe_globals(allowed)


__all__ = ["stand_ins"]
