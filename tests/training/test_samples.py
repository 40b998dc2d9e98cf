# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The order of the samples: a function of the seed, whoever loads them and wherever a training goes on."""

import io
import itertools
import traceback
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from paumer_hf.data import BadSampleError, DatasetDescription, SegmentationStream
from paumer_hf.training.samples import TrainingSamples, batches_of_positions, collate_samples, make_loader


class Sample(NamedTuple):
    image: int
    annotation: int


class Numbers:
    """A data set whose samples are their own indices; some cannot be read."""

    def __init__(self, length: int, bad: Collection[int] = ()) -> None:
        self.length, self.bad = length, bad

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Sample:
        if index in self.bad:
            raise BadSampleError.about(f"number {index}", "it is broken.")
        return Sample(index, index)


def transform(image, annotation, generator):
    """Return the index and a random number, which shows the state of the generator."""
    return torch.tensor([image, generator.integers(2**30)]), torch.tensor(annotation)


def all_values(samples, **options) -> torch.Tensor:
    return torch.cat([batch["pixel_values"] for batch in make_loader(samples, **options)])


def end_loader(caught: pytest.ExceptionInfo) -> None:
    """End the processes of the loader that raised. The garbage collector would wait five seconds for each."""
    traceback.clear_frames(caught.tb)


@pytest.fixture
def samples() -> TrainingSamples:
    return TrainingSamples(Numbers(10), transform, seed=3)


def test_each_epoch_is_a_permutation_of_its_own(samples):
    values = all_values(samples, first_step=0, last_step=6, batch_size=5)
    epochs = values[:, 0].reshape(3, 10)
    assert all(sorted(epoch.tolist()) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch.tolist()) for epoch in epochs}) == 3


def test_a_sample_met_again_is_augmented_anew(samples):
    values = all_values(samples, first_step=0, last_step=6, batch_size=5)
    assert len(set(values[:, 1].tolist())) == 30


def test_going_on_gives_what_would_have_come(samples):
    whole = all_values(samples, first_step=0, last_step=8, batch_size=4)
    rest = all_values(samples, first_step=3, last_step=8, batch_size=4)
    assert torch.equal(whole[12:], rest)


def test_loader_processes_change_nothing(samples):
    options = {"first_step": 0, "last_step": 5, "batch_size": 4}
    assert torch.equal(all_values(samples, **options), all_values(samples, **options, num_workers=2))


DIVISIONS = [(8, 1, 1), (8, 2, 1), (8, 1, 2), (8, 2, 2), (8, 4, 1), (8, 3, 1), (16, 3, 2), (7, 2, 3), (5, 5, 1)]


@pytest.mark.parametrize(("batch_size", "world_size", "accumulation"), DIVISIONS)
def test_a_step_has_the_same_samples_on_any_number_of_processes(batch_size, world_size, accumulation):
    for step in range(3):
        parts = [
            list(batches_of_positions(step, step + 1, batch_size, rank, world_size, accumulation))
            for rank in range(world_size)
        ]
        assert all(len(batches) == accumulation for batches in parts)
        # Accumulated batch by accumulated batch, the processes beside each other.
        found = [position for batches in zip(*parts, strict=True) for part in batches for position in part]
        assert found == list(range(batch_size * step, batch_size * (step + 1)))
        assert {len(part) for batches in parts for part in batches} <= {
            batch_size // (world_size * accumulation),
            -(-batch_size // (world_size * accumulation)),
        }


def test_even_parts_are_what_they_have_always_been():
    """A training that was begun before parts could be uneven goes on with the same samples."""
    for rank, step, batch in itertools.product(range(2), range(2, 4), range(2)):
        start = step * 8 + (batch * 2 + rank) * 2
        found = list(batches_of_positions(step, step + 1, 8, rank, 2, 2))[batch]
        assert found == [start, start + 1]


@pytest.mark.parametrize(("batch_size", "world_size", "accumulation"), DIVISIONS)
def test_the_loader_has_the_length_that_it_gives(samples, batch_size, world_size, accumulation):
    for rank in range(world_size):
        loader = make_loader(samples, 2, 5, batch_size, rank=rank, world_size=world_size, accumulation=accumulation)
        assert len(loader) == len(list(loader)) == 3 * accumulation


def test_the_seed_decides_order_and_augmentation(samples):
    options = {"first_step": 0, "last_step": 2, "batch_size": 5}
    other = TrainingSamples(Numbers(10), transform, seed=4)
    assert torch.equal(
        all_values(samples, **options), all_values(TrainingSamples(Numbers(10), transform, 3), **options)
    )
    assert not torch.equal(all_values(samples, **options), all_values(other, **options))


def test_loading_leaves_the_random_state_of_the_model_alone(samples):
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    all_values(samples, first_step=0, last_step=2, batch_size=5, num_workers=1)
    assert torch.equal(torch.rand(1), expected)


def test_refuses_what_gives_no_batches():
    samples = TrainingSamples(Numbers(10), transform, seed=3)
    with pytest.raises(ValueError, match=r"`batch_size` must be at least .* 5 with 3 processes and 2 accumulated"):
        make_loader(samples, 0, 1, 5, world_size=3, accumulation=2)
    with pytest.raises(ValueError, match="no samples"):
        TrainingSamples(Numbers(0), transform, seed=0)
    with pytest.raises(ValueError, match='`on_bad_sample` must be "stop" or "skip", but is \'ignore\''):
        TrainingSamples(Numbers(1), transform, 0, "ignore")


def test_order_is_stable_over_versions(samples):
    """A checkpoint that goes on under another version of numpy must meet the same order."""
    expected = np.random.default_rng([3, 0, 0]).permutation(10).tolist()
    assert all_values(samples, first_step=0, last_step=2, batch_size=5)[:, 0].tolist() == expected


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_bad_sample_stops_the_loader_by_its_name(num_workers):
    loader = make_loader(TrainingSamples(Numbers(10, {4}), transform, 3), 0, 2, 5, num_workers=num_workers)
    with pytest.raises(BadSampleError, match="sample 'number 4': it is broken") as caught:
        list(loader)
    assert caught.value.sample_id == "number 4"
    end_loader(caught)


def test_a_bad_sample_is_skipped_for_the_next_of_its_epoch(samples):
    bad = {0, 4, 7}
    skipping = TrainingSamples(Numbers(10, bad), transform, 3, "skip")
    for position in range(50):
        epoch, place = divmod(position, 10)
        order = np.random.default_rng([3, 0, epoch]).permutation(10).tolist()
        following = order[place:] + order[:place]
        expected = next(index for index in following if index not in bad)
        found = skipping[position]
        assert found["pixel_values"][0] == expected
        assert found["skipped"] == tuple(f"number {index}" for index in following[: following.index(expected)])
        # The augmentation is that of the position, whichever sample takes it.
        assert found["pixel_values"][1] == samples[position]["pixel_values"][1]


def test_batches_tell_what_was_skipped():
    skipping = TrainingSamples(Numbers(10, {4, 5}), transform, 3, "skip")
    for num_workers in (0, 2):
        batches = list(make_loader(skipping, 0, 4, 5, num_workers=num_workers))
        assert [len(batch["pixel_values"]) for batch in batches] == [5] * 4
        met = [name for batch in batches for name in batch["skipped"]]
        assert met == [name for position in range(20) for name in skipping[position]["skipped"]]
        assert set(met) == {"number 4", "number 5"}


def test_an_epoch_without_any_good_sample_is_an_error():
    skipping = TrainingSamples(Numbers(10, range(10)), transform, 3, "skip")
    with pytest.raises(ValueError, match=r"None of the 10 training samples can be read, such as \['number \d', .*bro"):
        skipping[7]


def test_other_errors_are_never_skipped():
    def fail(image, annotation, generator):
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        TrainingSamples(Numbers(10), fail, 3, "skip")[0]


def test_collating_stacks_tensors_and_lists_what_was_skipped():
    batch = collate_samples(
        [
            {"pixel_values": torch.zeros(3, 2, 2), "labels": torch.zeros(2, 2, dtype=torch.int64), "skipped": ("a",)},
            {"pixel_values": torch.ones(3, 2, 2), "labels": torch.ones(2, 2, dtype=torch.int64), "skipped": ()},
            {
                "pixel_values": torch.ones(3, 2, 2),
                "labels": torch.ones(2, 2, dtype=torch.int64),
                "skipped": ("b", "a"),
            },
        ]
    )
    assert batch["pixel_values"].shape == (3, 3, 2, 2)
    assert batch["labels"].dtype == torch.int64
    assert batch["labels"][:, 0, 0].tolist() == [0, 1, 1]
    assert batch["skipped"] == ("a", "b", "a")


@pytest.fixture
def stream(tmp_path: Path) -> SegmentationStream:
    """Samples whose colour is their number; that of number 5 is cut off."""

    def encode(array: np.ndarray) -> bytes:
        content = io.BytesIO()
        Image.fromarray(array).save(content, "PNG")
        return content.getvalue()

    numbers = range(11)
    images = [encode(np.full((2, 2, 3), number, np.uint8)) for number in numbers]
    images[5] = images[5][:30]
    table = pa.table({"image": images, "annotation": [encode(np.zeros((2, 2), np.uint8))] * len(numbers)})
    pq.write_table(table, tmp_path / "train.parquet", row_group_size=3)
    return SegmentationStream([str(tmp_path / "train.parquet")], DatasetDescription("made", ("a",)), buffer_size=4)


def look(image, annotation, generator):
    return transform(image.getpixel((0, 0))[0], 0, generator)


def found_by(samples: TrainingSamples, **options: Any) -> list[list[int]]:
    return all_values(samples, **{"first_step": 0, "last_step": 8, "batch_size": 3, **options}).tolist()


def test_a_stream_gives_its_own_order_from_anywhere(stream):
    samples = TrainingSamples(stream, look, 3, "skip")
    whole = found_by(samples)
    places = [divmod(position, 11) for position in range(24)]
    for (epoch, place), (number, _) in zip(places, whole, strict=True):
        try:
            assert stream.read(epoch, place, 3).image.getpixel((0, 0))[0] == number
        except BadSampleError as error:
            assert error.sample_id == "5"  # noqa: PT017
    assert found_by(samples, first_step=5) == whole[15:]
    assert found_by(samples, num_workers=2) == whole
    parts = [found_by(samples, rank=rank, world_size=2) for rank in range(2)]
    assert [
        value for step in range(8) for value in parts[0][step : step + 1] + parts[1][2 * step : 2 * step + 2]
    ] == whole


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_bad_sample_of_a_stream_stops_the_loader(stream, num_workers):
    with pytest.raises(BadSampleError, match="sample '5': 'image' cannot be decoded") as caught:
        found_by(TrainingSamples(stream, look, 3), num_workers=num_workers)
    assert caught.value.sample_id == "5"
    end_loader(caught)
