# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Image processor of PAUMER: images and label maps to tensors of whole patches, and logits back to label maps."""

import os
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from transformers.image_processing_backends import PilBackend
from transformers.image_processing_outputs import SemanticSegmentationPostProcessorOutput
from transformers.image_processing_utils import BatchFeature
from transformers.image_utils import ImageInput, PILImageResampling
from transformers.models.auto import modeling_auto
from transformers.processing_utils import ImagesKwargs, Unpack

from .backbone_loading import conversion_module
from .image_reading import flatten_images, read_image
from .segmentation_maps import segmentation_map, segmentation_scores


# The label of pixels without a class, and of the padding of label maps.
IGNORE_INDEX = 255

# transformers' pipelines look the class of a model up here and log an error where it is missing. They load the image
# processor before, and the code of a checkpoint may be there without the package.
modeling_auto.MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING_NAMES.setdefault("paumer", "PaumerForSemanticSegmentation")

SIZE_FORMS = ({"height", "width"}, {"shortest_edge"}, {"longest_edge"}, {"shortest_edge", "longest_edge"})


class PaumerImageProcessorKwargs(ImagesKwargs, total=False):  # type: ignore[call-arg]
    """Options of `PaumerImageProcessor`, beside those of all image processors.

    Attributes:
        do_reduce_labels: Whether to subtract 1 from all labels, 0 becoming 255 (ignored), as for ADE20K, whose label 0
            is "no class".
        size_divisor: With `do_pad`, height and width become multiples of it: the patch size of the model.
    """

    do_reduce_labels: bool
    size_divisor: int


class PaumerImageProcessor(PilBackend):
    r"""Turns images and label maps into `pixel_values` and `labels`, and logits into label maps.

    What becomes of unusual images, unless `do_convert_rgb=False`:

    - Grey images are repeated in three channels; transparent pixels are blended with white; other modes (palette,
      CMYK, ...) are converted to RGB by Pillow.
    - 16-bit images (modes `I` and `I;16`, `uint16` arrays) are scaled to 0 ... 255.
    - An orientation in the EXIF data is applied. The label map must match the upright image.
    - Float arrays with all values in [0, 1] count as scaled already and give the same result as 0 ... 255.

    Images of different shapes make one batch: each is padded at the bottom and at the right, after normalisation with
    0 and in `labels` with 255, to the smallest common height and width that are multiples of `size_divisor`.

    Args:
        size (`dict[str, int]`, *optional*, defaults to `{"height": 512, "width": 512}`):
            `{"height": h, "width": w}`, or with the proportions of the image kept `{"shortest_edge": n}`,
            `{"longest_edge": n}` or both, the latter as an upper bound.
        size_divisor (`int`, *optional*, defaults to 16):
            The patch size of the model.
        do_pad (`bool`, *optional*, defaults to `True`):
            Whether to pad. Without, images of different shapes cannot be returned as one tensor.
        do_reduce_labels (`bool`, *optional*, defaults to `False`):
            Whether label 0 means "no class" and the classes count from 1.
        do_resize, resample, do_rescale, rescale_factor, do_normalize, image_mean, image_std, do_convert_rgb, pad_size:
            As in all image processors of transformers. Label maps are always resized to the nearest value.
    """

    valid_kwargs = PaumerImageProcessorKwargs
    resample = PILImageResampling.BILINEAR
    image_mean = (0.5, 0.5, 0.5)
    image_std = (0.5, 0.5, 0.5)
    size: ClassVar[dict[str, int]] = {"height": 512, "width": 512}
    default_to_square = True
    do_convert_rgb = True
    do_resize = True
    do_rescale = True
    rescale_factor = 1 / 255
    do_normalize = True
    do_pad = True
    size_divisor = 16
    do_reduce_labels = False

    def __init__(self, **kwargs: Unpack[PaumerImageProcessorKwargs]) -> None:
        super().__init__(**kwargs)

    @classmethod
    def from_backbone(cls, name_or_path: str | os.PathLike, **kwargs: Any) -> Any:
        """The processor for `PaumerForSemanticSegmentation.from_backbone`: images normalised as the origin does it.

        Args:
            name_or_path: Weight file, folder or Hub id, as there.
            **kwargs: Arguments of the processor that differ; and as there `kind`, `num_attention_heads`, and
                `cache_dir`, `force_download`, `local_files_only`, `proxies`, `revision`, `subfolder`, `token`.

        Raises:
            ValueError: If the weights are refused.
            ImportError: If the package paumer_hf is not installed.
        """
        return conversion_module().load_backbone_processor(cls, name_or_path, **kwargs)

    def preprocess(
        self,
        images: ImageInput,
        segmentation_maps: ImageInput | None = None,
        **kwargs: Unpack[PaumerImageProcessorKwargs],
    ) -> BatchFeature:
        """Prepare images, and with them label maps, for the model.

        Args:
            images: One image or a list: Pillow images, arrays or tensors of (height, width), (height, width, channels)
                or (channels, height, width), also a batch of them; or paths.
            segmentation_maps: One label map for each image, of its height and width: Pillow images or integer arrays
                or tensors. They are not changed.
            **kwargs: Attributes of the processor, for this call. `post_process_semantic_segmentation` does not know of
                them: set `size` and `do_resize` on the processor for it.

        Returns:
            `pixel_values`, (batch, channels, height, width) in float32, and with label maps `labels`, (batch, height,
            width) in int64; tensors with `return_tensors="pt"`, otherwise lists of arrays.
        """
        return super().preprocess(images, segmentation_maps, **kwargs)

    def _validate_preprocess_kwargs(self, **kwargs: Any) -> None:
        super()._validate_preprocess_kwargs(**kwargs)
        if kwargs.get("do_center_crop"):
            raise ValueError(
                "`do_center_crop` must be False: predictions could not be mapped back to the image. Crop before."
            )
        data_format = kwargs.get("data_format")
        if data_format not in (None, "channels_first"):
            raise ValueError(f"`data_format` must be 'channels_first', as the model reads it, but is {data_format!r}.")
        if kwargs.get("do_resize") and set(dict(kwargs["size"])) not in SIZE_FORMS:
            raise ValueError(
                f"`size` must have the keys {[sorted(form) for form in SIZE_FORMS]}, one of these lists, but is "
                f"{dict(kwargs['size'])}."
            )
        divisor = kwargs.get("size_divisor")
        if not isinstance(divisor, int) or divisor < 1:
            raise ValueError(f"`size_divisor` must be a positive integer, the model's patch size, but is {divisor!r}.")

    def _preprocess_image_like_inputs(
        self,
        images: ImageInput,
        segmentation_maps: ImageInput | None = None,
        *,
        return_tensors: str | None = None,
        **kwargs: Any,
    ) -> BatchFeature:
        pixels = [
            self.process_image(image, **kwargs) for image in flatten_images(images, "images", array_ndims=(2, 3))
        ]
        pixel_values = [self._pixel_values(image, **kwargs) for image in pixels]
        data = {"pixel_values": pixel_values}
        if segmentation_maps is not None:
            maps = flatten_images(segmentation_maps, "segmentation_maps", array_ndims=(2,))
            if len(maps) != len(pixels):
                raise ValueError(
                    f"`segmentation_maps` must hold one label map for each image, but there are {len(maps)} for "
                    f"{len(pixels)} images."
                )
            data["labels"] = [self._labels(label_map, pixels[i], i, **kwargs) for i, label_map in enumerate(maps)]
        if kwargs.get("do_pad"):
            sizes = [(image.shape[1], image.shape[2]) for image in pixel_values]
            padded_size = self._padded_size(sizes, kwargs["size_divisor"], kwargs.get("pad_size"))
            fills = {"pixel_values": 0, "labels": IGNORE_INDEX}
            data = {name: [_pad(value, padded_size, fills[name]) for value in data[name]] for name in data}
        shapes = sorted({values.shape[1:] for values in data["pixel_values"]})
        if return_tensors is not None and len(shapes) > 1:
            raise ValueError(
                f"Images of the sizes {shapes} cannot be one tensor. Set `do_pad=True`, give `size` a height and a "
                "width, or leave `return_tensors` out."
            )
        return BatchFeature(data=data, tensor_type=return_tensors)

    def process_image(
        self,
        image: ImageInput,
        do_convert_rgb: bool | None = None,
        input_data_format: str | None = None,
        do_rescale: bool | None = None,
        **kwargs: Any,
    ) -> np.ndarray:
        """One upright image as an array (channels, height, width): uint8, or float32 where the image has floats."""
        return read_image(image, do_convert_rgb, input_data_format, do_rescale)

    def _pixel_values(
        self,
        image: np.ndarray,
        *,
        resample: int | None,
        do_rescale: bool | None,
        rescale_factor: float,
        do_normalize: bool | None,
        image_mean: float | Sequence[float],
        image_std: float | Sequence[float],
        **kwargs: Any,
    ) -> np.ndarray:
        """One image, resized, rescaled and normalised: (channels, height, width) in float32."""
        size = self._resized_size(image.shape[1:], kwargs.get("do_resize"), kwargs.get("size"))
        if size != image.shape[1:]:
            image = _resize(image, size, PILImageResampling.BILINEAR if resample is None else int(resample))
        scale = np.float64(rescale_factor if do_rescale else 1)
        mean, std = np.zeros(1), np.ones(1)
        if do_normalize:
            mean, std = (np.atleast_1d(np.asarray(value, dtype=np.float64)) for value in (image_mean, image_std))
            for field, value in (("image_mean", mean), ("image_std", std)):
                if value.size not in (1, len(image)):
                    raise ValueError(
                        f"`{field}` must be one number or one for each of the {len(image)} channels, but has "
                        f"{value.size}. Change it, or set `do_convert_rgb=True` to get three channels."
                    )
            if not std.all():
                raise ValueError(f"`image_std` must not be 0, but is {image_std}.")
        factor, shift = (scale / std).astype(np.float32), (mean / std).astype(np.float32)
        return image.astype(np.float32) * factor[:, None, None] - shift[:, None, None]

    def _labels(
        self, label_map: Any, image: np.ndarray, index: int, *, do_reduce_labels: bool | None, **kwargs: Any
    ) -> np.ndarray:
        """One label map, checked, reduced and resized: (height, width) in int64."""
        labels = np.array(label_map)  # a copy: the caller's map stays as it is
        where = f"`segmentation_maps[{index}]`"
        if labels.shape != image.shape[1:]:
            raise ValueError(
                f"{where} must have the height and width of its image, {image.shape[1:]}, but has the shape "
                f"{labels.shape}. Resize it to the image (nearest value), and use one channel of label indices; for a "
                "photograph with an EXIF orientation it is the upright image that counts."
            )
        if labels.dtype.kind == "f" and not np.array_equal(labels, np.trunc(labels)):
            raise ValueError(f"{where} must hold integers, but has fractions or NaN. Pass class indices.")
        labels = labels.astype(np.int64)
        if labels.min() < 0 or labels.max() > np.iinfo(np.int32).max:
            raise ValueError(
                f"{where} must hold class indices from 0, and {IGNORE_INDEX} for pixels without a class, but has "
                f"values from {labels.min()} to {labels.max()}. Map other marks to {IGNORE_INDEX}."
            )
        if do_reduce_labels:
            if (labels == IGNORE_INDEX + 1).any():
                raise ValueError(
                    f"{where} has the label {IGNORE_INDEX + 1}, which `do_reduce_labels` would turn into "
                    f"{IGNORE_INDEX}, the mark of pixels without a class. Map the labels yourself."
                )
            labels = np.where((labels == 0) | (labels == IGNORE_INDEX), IGNORE_INDEX, labels - 1)
        size = self._resized_size(labels.shape, kwargs.get("do_resize"), kwargs.get("size"))
        if size != labels.shape:
            # 32-bit integers, since the 8 bits of an ordinary image would cut off labels above 255.
            resized = Image.fromarray(labels.astype(np.int32)).resize(size[::-1], Image.Resampling.NEAREST)
            labels = np.array(resized, dtype=np.int64)
        return labels

    def _resized_size(self, image_size: Sequence[int], do_resize: bool | None, size: Any) -> tuple[int, int]:
        """Height and width that an image of this (height, width) is resized to."""
        height, width = (int(side) for side in image_size)
        if not do_resize:
            return height, width
        size = dict(size)
        if "height" in size:
            return size["height"], size["width"]
        short, long = min(height, width), max(height, width)
        edge, bound = size.get("shortest_edge"), size.get("longest_edge")
        if edge is not None and (bound is None or edge * long <= bound * short):
            short, long = edge, int(edge * long / short)
        else:
            short, long = max(1, round(bound * short / long)), bound
        return (short, long) if height <= width else (long, short)

    def _padded_size(self, sizes: Sequence[tuple[int, int]], divisor: int, pad_size: Any) -> tuple[int, int]:
        """Height and width that all images of a batch are padded to, from their resized (height, width)."""
        height, width = max(height for height, _ in sizes), max(width for _, width in sizes)
        if pad_size is not None:
            if height > (pad_size["height"] or 0) or width > (pad_size["width"] or 0):
                raise ValueError(
                    f"`pad_size` must be at least the resized images, {(height, width)}, but is {dict(pad_size)}. "
                    "Enlarge it, or leave it out to pad to the largest image of the batch."
                )
            height, width = pad_size["height"], pad_size["width"]
        return -(-height // divisor) * divisor, -(-width // divisor) * divisor

    def post_process_semantic_segmentation(
        self,
        outputs: Any,
        target_sizes: Sequence[tuple[int, int]] | torch.Tensor | None = None,
        return_segmentation_scores: bool = False,
    ) -> list[torch.Tensor] | list[SemanticSegmentationPostProcessorOutput]:
        """Turn the logits of the model into label maps of the original images, without the padding.

        The part of the logits that lies over padding follows from the processor's own `size`, `size_divisor` and
        `pad_size` and from `target_sizes`, so these must be those of the whole batch.

        Args:
            outputs: Output of the model with `logits`, (batch, classes, rows, columns), one for each patch; or one for
                each pixel of the original images; or a grid of square cells over the images as they are resized.
            target_sizes: (height, width) of each original image. None leaves the maps at the size of the logits.
            return_segmentation_scores: Whether to return the resized logits as well.

        Returns:
            For each image a (height, width) tensor of class indices; with `return_segmentation_scores` an object with
            the fields `segmentation` and `segmentation_scores`, (classes, height, width).

        Raises:
            ValueError: If there is not one target size of two positive numbers for each image, or the grid of the
                logits is not what the processor makes of images of these sizes.
        """
        logits = outputs.logits
        grid = (logits.shape[2], logits.shape[3])
        jobs: list[tuple[torch.Tensor, tuple[int, int], tuple[int, int] | None]]
        if target_sizes is None:
            jobs = [(image_logits, grid, None) for image_logits in logits]
        else:
            sizes = _read_target_sizes(target_sizes, len(logits))
            jobs = list(zip(logits, sizes, self._unpadded_sizes(sizes, grid), strict=True))
        if not return_segmentation_scores:
            return [segmentation_map(*job, self.size_divisor) for job in jobs]
        # One image after the other, as the scores are many times as large as the map.
        scores = (segmentation_scores(*job, self.size_divisor) for job in jobs)
        return [
            SemanticSegmentationPostProcessorOutput(data={"segmentation": s.argmax(dim=0), "segmentation_scores": s})
            for s in scores
        ]

    def to_dict(self) -> dict[str, Any]:
        """As transformers does; the entries by which Auto classes find code stay only where code is saved along."""
        fields = super().to_dict()
        if self._auto_class is None:
            fields.pop("auto_map", None)
        return fields

    def _unpadded_sizes(
        self, target_sizes: Sequence[tuple[int, int]], grid: tuple[int, int]
    ) -> list[tuple[int, int] | None]:
        """For each image the (height, width) that it has in the padded batch, None where the grid covers just it."""
        sizes = [self._resized_size(size, self.do_resize, self.size) for size in target_sizes]
        # What the processor does not pad to whole patches the model does.
        padded = self._padded_size(sizes, self.size_divisor, self.pad_size if self.do_pad else None)
        expected = (padded[0] // self.size_divisor, padded[1] // self.size_divisor)
        if grid != expected:
            if set(target_sizes) == {grid} or all(_covers(grid, size) for size in sizes):
                return [None] * len(target_sizes)
            raise ValueError(
                f"The logits have the grid {grid}, but for images of the sizes {list(target_sizes)} this processor "
                f"makes one of {expected}. Pass as `target_sizes` the sizes that all images of the batch had before "
                "the processor, take the processor that prepared them with the same `size` and `do_resize`, and give "
                "it the patch size of the model as `size_divisor`."
            )
        return [None if size == padded else size for size in sizes]


def _covers(grid: tuple[int, int], size: tuple[int, int]) -> bool:
    """Whether a grid of square cells of whole pixels covers just an image: patches of another size, or pixels."""
    return size[0] % grid[0] == size[1] % grid[1] == 0 and size[0] // grid[0] == size[1] // grid[1]


def _resize(image: np.ndarray, size: tuple[int, int], resample: int) -> np.ndarray:
    """Resize (channels, height, width) with Pillow: 8-bit RGB at once, anything else by channels, floats as floats."""
    if image.dtype == np.uint8 and len(image) == 3:
        pillow = Image.fromarray(np.ascontiguousarray(np.moveaxis(image, 0, -1)))
        return np.moveaxis(np.asarray(pillow.resize(size[::-1], resample)), -1, 0)
    channels = (Image.fromarray(np.ascontiguousarray(channel)) for channel in image)
    return np.stack([np.asarray(channel.resize(size[::-1], resample)) for channel in channels])


def _pad(values: np.ndarray, size: tuple[int, int], fill: int) -> np.ndarray:
    """Pad the last two dimensions at their ends to `size`."""
    if values.shape[-2:] == size:
        return values
    padding = [(0, 0)] * (values.ndim - 2) + [(0, size[0] - values.shape[-2]), (0, size[1] - values.shape[-1])]
    return np.pad(values, padding, constant_values=fill)


def _read_target_sizes(target_sizes: Any, num_images: int) -> list[tuple[int, int]]:
    """The target sizes as pairs of positive integers."""
    sizes = [tuple(int(side) for side in size) for size in target_sizes]
    if len(sizes) != num_images or any(len(size) != 2 or min(size) < 1 for size in sizes):
        raise ValueError(
            f"`target_sizes` must hold a positive (height, width) for each of the {num_images} images, but is "
            f"{target_sizes}."
        )
    return [(height, width) for height, width in sizes]


__all__ = ["IGNORE_INDEX", "PaumerImageProcessor", "PaumerImageProcessorKwargs"]
