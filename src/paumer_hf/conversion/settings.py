# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The configuration that lies beside weights, whose fields are checked where they are read."""

import reprlib
from collections.abc import Mapping
from typing import Any, NoReturn

from paumer_hf.conversion.source_weights import ConversionError


class Settings:
    """The configuration of a source, each field of which is checked where it is read.

    A field that is missing or None is one that the configuration leaves open.
    """

    def __init__(self, source: str, title: str, fields: Mapping[str, Any] | None = None, prefix: str = "") -> None:
        """Begin with the `fields` of the configuration that messages call `title`; None leaves everything open."""
        self.source = source
        self.title = title
        self._fields = fields or {}
        self._prefix = prefix

    def get(self, key: str) -> Any:
        """A field as it is."""
        return self._fields.get(key)

    def refuse(self, key: str, reason: str) -> NoReturn:
        """Raise a ConversionError on what the field says."""
        raise ConversionError(f"{self.source}: {self.title} says {self._stated(key)}, but {reason}.")

    def section(self, key: str) -> "Settings":
        """A field that holds fields."""
        value = self.get(key)
        if value is not None and not isinstance(value, Mapping):
            self.refuse(key, "a group of named fields belongs there")
        return Settings(self.source, self.title, value, f"{self._prefix}{key}.")

    def integer(self, key: str) -> int | None:
        """A positive whole number."""
        value = self.get(key)
        if value is not None and not _is_positive_integer(value):
            self.refuse(key, "a positive whole number belongs there")
        return value

    def fraction(self, key: str) -> float | None:
        """A number from 0 to below 1."""
        value = self.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1):
            self.refuse(key, "a number from 0 to below 1 belongs there")
        return None if value is None else float(value)

    def text(self, key: str) -> str | None:
        """A string."""
        value = self.get(key)
        if value is not None and not isinstance(value, str):
            self.refuse(key, "a text belongs there")
        return value

    def size(self, key: str) -> tuple[int, int] | None:
        """(height, width), or one positive whole number for both."""
        value = self.get(key)
        sides = list(value) if isinstance(value, list | tuple) else [value, value]
        if value is not None and (len(sides) != 2 or not all(_is_positive_integer(side) for side in sides)):
            self.refuse(key, "(height, width) in pixels belongs there")
        return None if value is None else (sides[0], sides[1])

    def check(self, **found: object) -> None:
        """Raise a ConversionError if a field says something else than what was `found` in the weights."""
        for key, value in found.items():
            if self.get(key) not in (None, value):
                self.refuse(key, f"the weights have {value!r}; the two do not belong together")

    def _stated(self, key: str) -> str:
        try:
            return f"`{self._prefix}{key}` is {reprlib.repr(self.get(key))}"
        except ValueError:  # Python refuses to write out integers of thousands of digits.
            return f"`{self._prefix}{key}` is a number of thousands of digits"


def _is_positive_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31


__all__ = ["Settings"]
