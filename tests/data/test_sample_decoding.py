# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""From rows to samples: every way in which an image is stored, and every fault of one named with its sample."""

import copy
import dataclasses
import io
import warnings
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from PIL import Image
from torch._utils import ExceptionWrapper

from paumer_hf.data.dataset_descriptions import DatasetDescription
from paumer_hf.data.sample_decoding import BadSampleError, SampleDecoder, open_file


SIZE = (6, 8)
PLAIN = DatasetDescription(name="plain", class_names=("a", "b", "c"))
MAPPED = dataclasses.replace(PLAIN, label_mapping={0: 0, 7: 1, 300: 2}, ignored_values=(-1, 11))

PIXELS = np.arange(SIZE[0] * SIZE[1] * 3, dtype=np.uint8).reshape(*SIZE, 3)
CLASSES = (np.arange(SIZE[0] * SIZE[1]).reshape(SIZE) % 3).astype(np.uint8)


def encoded(image: np.ndarray | Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(stream, kind, **options)
    return stream.getvalue()


def decode(image: Any = None, annotation: Any = None, description: DatasetDescription = PLAIN) -> Any:
    image = encoded(PIXELS) if image is None else image
    annotation = encoded(CLASSES) if annotation is None else annotation
    return SampleDecoder(description).decode({"id": "this one", "image": image, "annotation": annotation}, 5)


def refusal(**row: Any) -> str:
    with pytest.raises(BadSampleError) as caught:
        decode(**row)
    assert caught.value.sample_id == "this one"
    assert str(caught.value).startswith("sample 'this one': ")
    return str(caught.value)


def test_an_image_is_the_same_however_it_is_stored(tmp_path: Path) -> None:
    content = encoded(PIXELS)
    (tmp_path / "here.png").write_bytes(content)
    with fsspec.open("memory://there.png", "wb") as file:
        file.write(content)
    for value in (
        content,
        {"bytes": content, "path": None},
        {"bytes": content, "path": "name of no file.png"},
        {"bytes": None, "path": str(tmp_path / "here.png")},
        {"path": "memory://there.png"},
        str(tmp_path / "here.png"),
        Image.open(io.BytesIO(content)),
        Image.fromarray(PIXELS),
    ):
        sample = decode(image=value)
        assert (sample.id, sample.image.mode) == ("this one", "RGB")
        np.testing.assert_array_equal(np.asarray(sample.image), PIXELS)
        np.testing.assert_array_equal(sample.annotation, CLASSES)


def test_a_row_without_a_name_is_numbered() -> None:
    row = {"image": encoded(PIXELS), "annotation": encoded(CLASSES)}
    assert SampleDecoder(PLAIN).decode(row, 5).id == "5"
    assert SampleDecoder(dataclasses.replace(PLAIN, id_column=None)).decode({**row, "id": "x"}, 5).id == "5"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_what_was_cut_off_is_named(kind: str, share: float) -> None:
    rng = np.random.default_rng(0)
    content = encoded(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8), kind)
    message = refusal(image={"bytes": content[: int(share * len(content))], "path": "aachen.png"})
    assert "'image' (aachen.png) cannot be decoded (" in message
    assert message.endswith("replace or remove that sample.")


def test_damage_anywhere_in_a_png_is_decoded_or_named() -> None:
    """Pillow raises errors of many classes, and none of them may come through without a name."""
    rng = np.random.default_rng(1)
    content = encoded(PIXELS)
    refused = []
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= int(rng.integers(1, 256))
        try:
            with warnings.catch_warnings(action="ignore"):  # of absurd sizes
                decode(image=bytes(damaged))
        except BadSampleError as error:
            refused.append(error.sample_id)
    assert refused == ["this one"] * len(refused)
    assert len(refused) > len(content) // 2


def test_the_label_map_is_decoded_in_full_too() -> None:
    content = encoded(np.random.default_rng(0).integers(0, 3, SIZE, dtype=np.uint8))
    assert "'annotation' cannot be decoded" in refusal(annotation=content[:-30])


@pytest.mark.parametrize("value", [{"bytes": None, "path": None}, {}, 3])
def test_what_is_no_image_is_named(value: Any) -> None:
    message = refusal(image=value)
    assert "'image' must hold an image, its encoded bytes or the path of its file" in message
    assert f"got {'int' if value == 3 else 'nothing'}" in message


def test_nothing_in_a_column_is_named() -> None:
    with pytest.raises(BadSampleError, match=r"sample 'x': 'annotation' must hold .* got nothing"):
        SampleDecoder(PLAIN).decode({"id": "x", "image": encoded(PIXELS), "annotation": None}, 0)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = str(tmp_path / "gone.png")
    assert f"the file of 'image', '{path}', cannot be read (FileNotFoundError); restore it" in refusal(image=path)
    assert "cannot be read (FileNotFoundError)" in refusal(image="memory://gone.png")
    assert "cannot be read (IsADirectoryError)" in refusal(image=str(tmp_path))


def test_a_failing_disk_is_no_fault_of_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: str) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("paumer_hf.data.sample_decoding.open_file", fail)
    with pytest.raises(OSError, match="Input/output error") as caught:
        decode(image="somewhere.png")
    assert "'somewhere.png', 'image' of the sample 'this one'" in caught.value.__notes__[0]


def test_lack_of_memory_is_no_fault_of_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Image.Image) -> None:
        raise MemoryError

    image = Image.fromarray(PIXELS)
    monkeypatch.setattr(Image.Image, "load", fail)
    with pytest.raises(MemoryError):
        decode(image=image)


def test_sizes_that_differ_are_named() -> None:
    message = refusal(annotation=encoded(CLASSES.T.copy()))
    assert "the annotation must have the size of the image, (6, 8) (height, width), got (8, 6)" in message


def test_exif_orientation_is_applied_to_both() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    sample = decode(image=encoded(PIXELS, exif=exif), annotation=encoded(CLASSES, exif=exif))
    np.testing.assert_array_equal(np.asarray(sample.image), np.rot90(PIXELS, -1))
    np.testing.assert_array_equal(sample.annotation, np.rot90(CLASSES, -1))


def test_images_of_other_modes_become_rgb() -> None:
    assert decode(image=Image.new("RGBA", SIZE[::-1], (1, 2, 3, 4))).image.getpixel((0, 0)) == (1, 2, 3)
    assert decode(image=Image.new("L", SIZE[::-1], 9)).image.getpixel((0, 0)) == (9, 9, 9)


def test_coloured_label_maps_are_named() -> None:
    assert "'annotation' must hold one integer per pixel" in refusal(annotation=encoded(PIXELS))


def test_values_that_are_no_class_are_named() -> None:
    annotation = CLASSES.copy()
    annotation[0, 0], annotation[1, 1], annotation[2, 2] = 255, 3, 9
    assert "labels must be 0 to 2, or 255 where ignored, got [3, 9]" in refusal(annotation=encoded(annotation))
    signed = annotation.astype(np.int32)
    signed[signed == 9] = -1
    assert "got [-1, 3]" in refusal(annotation=encoded(signed, "TIFF"))


def test_values_neither_mapped_nor_ignored_are_named() -> None:
    raw = np.full(SIZE, 7, np.int32)
    raw[0], raw[1], raw[2] = -1, 11, 300
    expected = np.full(SIZE, 1)
    expected[:2], expected[2] = 255, 2
    sample = decode(annotation=encoded(raw, "TIFF"), description=MAPPED)
    np.testing.assert_array_equal(sample.annotation, expected)

    raw[3, :3] = 5, -2, 70000
    assert "got [-2, 5, 70000]" in refusal(annotation=encoded(raw, "TIFF"), description=MAPPED)
    lenient = dataclasses.replace(MAPPED, ignored_values=None)
    assert decode(annotation=encoded(raw, "TIFF"), description=lenient).annotation[3, :4].tolist() == [255] * 3 + [1]


def test_the_channel_that_is_described_is_taken() -> None:
    image = np.full((*SIZE, 3), 200, np.uint8)
    image[..., 1] = CLASSES
    of_green = dataclasses.replace(PLAIN, annotation_channel=1)
    np.testing.assert_array_equal(decode(annotation=encoded(image), description=of_green).annotation, CLASSES)
    np.testing.assert_array_equal(decode(annotation=encoded(CLASSES), description=of_green).annotation, CLASSES)
    beyond = dataclasses.replace(PLAIN, annotation_channel=3)
    assert "channel" in refusal(annotation=encoded(image), description=beyond)


def test_the_error_survives_copying_and_the_loader_processes_of_pytorch() -> None:
    error = BadSampleError.about("a 'quoted' name", "it is broken.")
    again = copy.deepcopy(error)
    assert (
        (str(again), again.sample_id)
        == (str(error), error.sample_id)
        == (
            "sample 'a 'quoted' name': it is broken.",
            "a 'quoted' name",
        )
    )

    try:
        decode(image=encoded(PIXELS)[:40])
    except BadSampleError:
        wrapped = ExceptionWrapper(where="in DataLoader worker process 0")
    with pytest.raises(BadSampleError, match="sample 'this one': 'image' cannot be decoded") as caught:
        wrapped.reraise()
    assert caught.value.sample_id == "this one"
    assert BadSampleError("of nothing known").sample_id == ""


def test_files_are_opened_by_path_and_by_address(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"here")
    with fsspec.open("memory://b", "wb") as file:
        file.write(b"there")
    with open_file(str(tmp_path / "a")) as here, open_file("memory://b") as there:
        assert (here.read(), there.read()) == (b"here", b"there")
