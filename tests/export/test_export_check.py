# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from paumer_hf import PauseConfig
from paumer_hf.export import export_check
from paumer_hf.export.export_check import ExportCheckError, check_export, compare_labels, pause_margins
from paumer_hf.export.fixed_module import FixedPaumer, fix_settings
from paumer_hf.model.segmentation_maps import segmentation_map


@pytest.fixture
def module(model):
    return FixedPaumer(model, fix_settings(model, "fast", (37, 50), label_map=True))


def test_a_model_equals_itself(module):
    batch_sizes = []

    def run(pixel_values):
        batch_sizes.append(len(pixel_values))
        return module(pixel_values)

    report = check_export(module, run)
    assert (report.num_images, report.num_pixels) == (sum(batch_sizes), sum(batch_sizes) * 37 * 50)
    assert {1, 2, 3} == set(batch_sizes)
    assert (report.largest_logit_difference, report.num_label_ties, report.num_pause_ties) == (0, 0, 0)


def test_small_differences_are_measured(module):
    def run(pixel_values):
        outputs = module(pixel_values)
        return {**outputs, "logits": outputs["logits"] + 5e-5}

    assert check_export(module, run).largest_logit_difference == pytest.approx(5e-5, rel=0.05)
    with pytest.raises(ExportCheckError, match="differ by 5e-05 for a batch of 1 images of noise, more than 1e-05"):
        check_export(module, run, tolerance=1e-5)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "logits",
            lambda logits: logits * 1.001,
            "The logits of the export and of PyTorch differ by .* more than 0.00",
        ),
        ("logits", lambda logits: logits * float("nan"), "differ by nan"),
        ("logits", lambda logits: logits[:, :, 1:], r"`logits` of the export has the shape \(1, 3, 4, 7\)"),
        ("logits", lambda logits: logits[:1].expand(len(logits), -1, -1, -1), "for a batch of 3 images"),
        ("label_map", lambda labels: (labels + 1) % 3, "The label maps .* differ in 1850 of 1850 pixels"),
        ("label_map", lambda labels: labels + 100, "The label maps .* differ in 1850 of 1850 pixels"),
        ("label_map", lambda labels: labels.flip(-1), "The label maps .* where PyTorch prefers its class by up to"),
        ("label_map", lambda labels: labels.long(), r"`label_map` of the export .* the type torch.int64"),
    ],
)
def test_other_results_are_refused(module, name, change, message):
    def run(pixel_values):
        outputs = module(pixel_values)
        return {**outputs, name: change(outputs[name])}

    with pytest.raises(ExportCheckError, match=message):
        check_export(module, run)


def test_missing_output(module):
    with pytest.raises(ExportCheckError, match="has no output `label_map`"):
        check_export(module, lambda pixel_values: {"logits": module(pixel_values)["logits"]})


def test_another_pause_configuration_is_refused(model, module):
    other = FixedPaumer(model, fix_settings(model, {1: 0.4, 3: 0.4}, (37, 50), label_map=True))
    with pytest.raises(ExportCheckError, match="The logits"):
        check_export(module, other)


def test_pause_ties_are_excused_but_not_many(module, monkeypatch):
    """Where PyTorch itself cannot tell which patch pauses, other logits say nothing."""

    def run(pixel_values):
        outputs = module(pixel_values)
        return {**outputs, "logits": outputs["logits"] + (torch.arange(len(pixel_values)) == 2)[:, None, None, None]}

    with pytest.raises(ExportCheckError, match="differ by 1 for a batch of 3"):
        check_export(module, run)
    monkeypatch.setattr(export_check, "PAUSE_TIE", float("inf"))
    assert check_export(module, run).num_pause_ties == 2
    with pytest.raises(ExportCheckError, match=r"10 of 10 images.*rounding decides.*Export a trained model"):
        check_export(
            module, lambda pixel_values: {**module(pixel_values), "logits": module(pixel_values)["logits"] + 1}
        )


def test_labels_of_nearly_equal_scores_are_ties():
    """Two classes on 2 x 2 patches of 4 pixels, whose scores are equal in the middle column of a 8 x 9 image."""
    logits = torch.zeros(2, 2, 2)
    logits[0] = torch.tensor([[1.0, -1.0], [1.0, -1.0]])
    labels = segmentation_map(logits, (8, 8), (8, 8), 4)
    assert labels.tolist() == [[0] * 4 + [1] * 4] * 8
    other = labels.clone()
    other[:, 4] = 0  # PyTorch prefers class 1 here by 2 * 1/8
    compared = compare_labels(logits, labels, other, (8, 8), 4, logit_difference=0.2)
    assert (compared.num_pixels, compared.num_different, compared.num_beyond_ties) == (64, 8, 0)
    assert compared.largest_margin == pytest.approx(0.25)
    assert compare_labels(logits, labels, other, (8, 8), 4, logit_difference=0.1).num_beyond_ties == 8
    assert compare_labels(logits, labels, labels, (8, 8), 4, logit_difference=0.0).num_different == 0


def test_pause_margins(model, tiny_images):
    """Moving entropies by less than the margin pauses the same patches; the margin is that of the closest layer."""
    config = PauseConfig({1: 0.4, 3: 0.5})
    with torch.no_grad():
        margins = pause_margins(model, tiny_images, config)
        states = model(tiny_images, pause_config=config, output_hidden_states=True).hidden_states
        gaps = []
        for layer, count in ((1, 12), (3, 9)):
            logits = model.paumer.auxiliary_head(states[layer][:, 1:])
            scores = torch.distributions.Categorical(logits=logits).entropy().sort(dim=1).values
            gaps.append(scores[:, count] - scores[:, count - 1])
    torch.testing.assert_close(margins, torch.minimum(*gaps), rtol=1e-3, atol=1e-6)
    assert margins.gt(0).all()
    for clear in (PauseConfig(), PauseConfig({1: 0.4}, criterion="random", seed=0), PauseConfig({1: 0.01})):
        assert pause_margins(model, tiny_images, clear).isinf().all()
