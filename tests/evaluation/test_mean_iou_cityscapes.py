# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Our counts give the numbers of the official Cityscapes evaluation, which reads label ids from PNG files."""

import math

import numpy as np
import pytest
from PIL import Image

from paumer_hf.evaluation.mean_iou import ConfusionMatrix, compute_mean_iou


official = pytest.importorskip(
    "cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling", reason="cityscapesscripts is not installed"
)
LABELS = pytest.importorskip("cityscapesscripts.helpers.labels").labels

NUM_PAIRS = 24
SIZE = (32, 64)
EVALUATED = sorted((label for label in LABELS if not label.ignoreInEval), key=lambda label: label.trainId)
LABEL_IDS = np.array([label.id for label in EVALUATED], np.uint8)  # of each class
IGNORED_IDS = np.array([label.id for label in LABELS if label.ignoreInEval and label.id >= 0], np.uint8)
NOWHERE, NEVER_IN_REFERENCES, NEVER_PREDICTED, PREDICTED_WHERE_IGNORED = 14, 16, 4, 11


@pytest.fixture(scope="module")
def pairs():
    """Pairs of reference label ids, with ignored regions, and predicted classes that agree on about half."""
    rng = np.random.default_rng(0)
    made = []
    for number in range(NUM_PAIRS):
        # Each pair has some of the classes only.
        classes = rng.choice(np.delete(np.arange(19), [NOWHERE, PREDICTED_WHERE_IGNORED]), 6, replace=False)
        reference = np.repeat(np.repeat(rng.choice(classes, (4, 8)), 8, 0), 8, 1)
        prediction = np.where(rng.random(SIZE) < 0.5, reference, rng.choice(classes, SIZE))
        reference[reference == NEVER_IN_REFERENCES] = classes[classes != NEVER_IN_REFERENCES][0]
        prediction[prediction == NEVER_PREDICTED] = classes[classes != NEVER_PREDICTED][0]
        label_ids = LABEL_IDS[reference]
        is_ignored = np.zeros(SIZE, bool)
        is_ignored[:5], is_ignored[20:, number : number + 9] = True, True
        label_ids[is_ignored] = rng.choice(IGNORED_IDS, is_ignored.sum())
        prediction[is_ignored] = rng.choice([0, PREDICTED_WHERE_IGNORED], is_ignored.sum())
        made.append((label_ids, prediction))
    made.append((np.full(SIZE, IGNORED_IDS[3]), np.zeros(SIZE, int)))  # nothing counts in this one
    return made


@pytest.fixture(scope="module")
def official_results(pairs, tmp_path_factory):
    """What the official evaluation finds in the pairs, written as files."""
    folder = tmp_path_factory.mktemp("cityscapes")
    predictions, references = [], []
    for number, (label_ids, prediction) in enumerate(pairs):
        references.append(str(folder / f"weimar_{number:06}_000019_gtFine_labelIds.png"))
        predictions.append(str(folder / f"weimar_{number:06}_000019_pred.png"))
        Image.fromarray(label_ids).save(references[-1])
        Image.fromarray(LABEL_IDS[prediction]).save(predictions[-1])
    settings = official.CArgs()
    vars(settings).update(vars(official.args), evalInstLevelScore=False, JSONOutput=False, quiet=True)
    return official.evaluateImgLists(predictions, references, settings)


@pytest.fixture(scope="module")
def results(pairs):
    """What our counts give, from classes with 255 where ignored."""
    class_of_id = np.full(256, 255, np.uint8)
    class_of_id[LABEL_IDS] = range(19)
    confusion = ConfusionMatrix(19)
    for label_ids, prediction in pairs:
        confusion.update(prediction, class_of_id[label_ids])
    return compute_mean_iou(confusion.matrix)


def test_every_class_has_the_official_iou(results, official_results):
    expected = [official_results["classScores"][label.name] for label in EVALUATED]
    np.testing.assert_allclose(results["per_category_iou"], expected, rtol=0, atol=1e-12)  # nan equals nan
    assert [f"{iou:.3f}" for iou in results["per_category_iou"]] == [f"{iou:.3f}" for iou in expected]
    assert sum(0.2 < iou < 0.9 for iou in expected) >= 15, "the numbers must differ from 0 and 1 to mean much"


def test_the_mean_is_the_official_one(results, official_results):
    assert results["mean_iou"] == pytest.approx(official_results["averageScoreClasses"], rel=0, abs=1e-12)
    assert f"{results['mean_iou']:.3f}" == f"{official_results['averageScoreClasses']:.3f}"


def test_absent_classes_are_treated_as_officially(results, official_results):
    for scores in (results["per_category_iou"], [official_results["classScores"][label.name] for label in EVALUATED]):
        assert math.isnan(scores[NOWHERE])
        assert math.isnan(scores[PREDICTED_WHERE_IGNORED]), "what is predicted where nothing counts is not there"
        assert scores[NEVER_IN_REFERENCES] == 0
        assert scores[NEVER_PREDICTED] == 0
    present = [iou for iou in results["per_category_iou"] if not math.isnan(iou)]
    assert len(present) == 17
    assert results["mean_iou"] == pytest.approx(sum(present) / 17, rel=0, abs=1e-12)
