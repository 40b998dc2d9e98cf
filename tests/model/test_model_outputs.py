# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import dataclasses

import pytest
import torch

from paumer_hf.model.model_outputs import PaumerModelOutput, PaumerSemanticSegmenterOutput


@pytest.mark.parametrize("output_class", [PaumerModelOutput, PaumerSemanticSegmenterOutput])
def test_every_field_is_documented_in_its_order(output_class):
    names = [field.name for field in dataclasses.fields(output_class)]
    places = [output_class.__doc__.index(f" {name}: ") for name in names]
    assert places == sorted(places)


def test_absent_values_take_no_place_in_the_tuple():
    logits, pause_map = torch.zeros(1, 2, 3, 4), torch.zeros(1, 3, 4, dtype=torch.long)
    output = PaumerSemanticSegmenterOutput(logits=logits, pause_map=pause_map)
    assert [value is expected for value, expected in zip(output.to_tuple(), (logits, pause_map), strict=True)] == [
        True
    ] * 2
    assert output.auxiliary_logits is None
