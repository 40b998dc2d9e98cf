# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import pytest

from paumer_hf.conversion.settings import Settings
from paumer_hf.conversion.source_weights import ConversionError


FIELDS = {
    "net": {"width": 32, "share": 0.1, "name": "linear", "size": [32, 48], "side": 64, "open": None, "flag": True},
    "list": [1],
}


@pytest.fixture
def net():
    return Settings("file.pth", "variant.yml", FIELDS).section("net")


def test_fields_are_read_by_their_kind(net):
    assert (net.integer("width"), net.fraction("share"), net.text("name")) == (32, 0.1, "linear")
    assert (net.size("size"), net.size("side")) == ((32, 48), (64, 64))


@pytest.mark.parametrize("read", ["integer", "fraction", "text", "size", "get"])
@pytest.mark.parametrize("key", ["open", "absent"])
def test_what_is_missing_is_left_open(net, read, key):
    assert getattr(net, read)(key) is None
    assert getattr(Settings("file.pth", "variant.yml").section("net"), read)("width") is None


@pytest.mark.parametrize(
    ("read", "key", "message"),
    [
        ("integer", "share", r"`net\.share` is 0\.1, but a positive whole number belongs there"),
        ("integer", "flag", r"`net\.flag` is True, but a positive whole number"),
        ("fraction", "width", r"`net\.width` is 32, but a number from 0 to below 1"),
        ("text", "width", r"`net\.width` is 32, but a text belongs there"),
        ("size", "name", r"`net\.name` is 'linear', but \(height, width\) in pixels"),
    ],
)
def test_what_is_of_another_kind_is_refused(net, read, key, message):
    with pytest.raises(ConversionError, match=rf"file\.pth: variant\.yml says {message}"):
        getattr(net, read)(key)


def test_a_group_that_is_none_is_refused():
    with pytest.raises(ConversionError, match=r"`list` is \[1\], but a group of named fields belongs there"):
        Settings("file.pth", "variant.yml", FIELDS).section("list")


def test_contradictions_with_the_weights(net):
    net.check(width=32, absent=7)
    with pytest.raises(ConversionError, match=r"`net\.width` is 32, but the weights have 64"):
        net.check(width=64)
