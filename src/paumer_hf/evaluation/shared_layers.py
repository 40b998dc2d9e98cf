# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""One image under many pause configurations, each layer run once for all configurations that are alike up to it.

The configurations are the leaves of a tree whose branches part where two of them first differ. Walking it depth first
runs every layer of every branch once and holds the states along one path only. What comes out is what separate calls
give, to the bit: the layers see tensors of the same shapes with the same numbers.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from torch import Tensor

from paumer_hf import PaumerForSemanticSegmentation, PauseConfig
from paumer_hf.evaluation.multi_scale import ModelInput
from paumer_hf.model.encoder import EncoderState, predict_classes


class _Branch(NamedTuple):
    """Configurations that are alike up to a layer, with what the layers have made of the inputs.

    Attributes:
        layer: The last layer that has been run.
        states: The state of each input.
        members: For each configuration its number and itself with the seeds of each input.
    """

    layer: int
    states: list[EncoderState]
    members: list[tuple[int, list[PauseConfig]]]


def shared_logits(
    model: PaumerForSemanticSegmentation, inputs: Sequence[ModelInput], pause_configs: Sequence[PauseConfig]
) -> Iterator[tuple[int, list[Tensor]]]:
    """Yield the logits of some inputs under each pause configuration, in the order in which the tree is walked.

    Args:
        model: A segmentation model.
        inputs: What passes the model.
        pause_configs: The configurations.

    Yields:
        The number of a configuration, and the logits `(images, num_labels, rows, columns)` of each input.

    Raises:
        ValueError: If a configuration does not fit the model.
    """
    members = []
    for number, pause_config in enumerate(pause_configs):
        pause_config.validate(model.config.num_hidden_layers)
        members.append((number, [model_input.seeded(pause_config) for model_input in inputs]))
    states, grids = zip(*(model.paumer.embed(model_input.pixel_values) for model_input in inputs), strict=True)
    branches = [_Branch(0, list(states), members)]
    del states  # each branch frees its states when it has been walked
    while branches:
        branch = branches.pop()
        if branch.layer < model.config.num_hidden_layers:
            branches += _next_branches(model, branch)
            continue
        outputs = [model.paumer.assemble(state, grid) for state, grid in zip(branch.states, grids, strict=True)]
        logits = [model.decode(output) for output in outputs]
        for number, _ in branch.members:
            yield number, logits


def _next_branches(model: PaumerForSemanticSegmentation, branch: _Branch) -> Iterator[_Branch]:
    """Run a layer, and part the configurations by what pauses after it.

    Those for which nothing pauses there come first and are walked last: while they wait, one state is held for them.
    """
    layer, encoder = branch.layer + 1, model.paumer.encoder
    states = [encoder.run_layer(state, layer) for state in branch.states]
    parted: dict[tuple, list[tuple[int, list[PauseConfig]]]] = {}
    for number, seeded in branch.members:
        ratio, criterion = seeded[0].pause_ratios.get(layer, 0.0), seeded[0].criterion
        # Configurations of other criteria and seeds are alike until they first pause something.
        how = (ratio, criterion, *(config.seed for config in seeded if criterion == "random")) if ratio else ()
        parted.setdefault(how, []).append((number, seeded))
    if () in parted:
        yield _Branch(layer, states, parted.pop(()))
    if parted:
        predicted = [predict_classes(state, model.paumer.auxiliary_head) for state in states]
    for members in parted.values():
        _, seeded = members[0]
        paused = [encoder.pause(state, config, layer) for state, config in zip(predicted, seeded, strict=True)]
        yield _Branch(layer, paused, members)


__all__ = ["shared_logits"]
