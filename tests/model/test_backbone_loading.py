# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import importlib.util

import pytest

import paumer_hf.conversion.backbone
from paumer_hf import PaumerForSemanticSegmentation, PaumerImageProcessor
from paumer_hf.model.backbone_loading import conversion_module


def test_it_is_that_of_the_package():
    assert conversion_module() is paumer_hf.conversion.backbone


@pytest.mark.parametrize("loading_class", [PaumerForSemanticSegmentation, PaumerImageProcessor])
def test_without_the_package_it_says_what_to_install(monkeypatch, loading_class):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"`from_backbone` converts .* pip install paumer_hf"):
        loading_class.from_backbone("somewhere")
