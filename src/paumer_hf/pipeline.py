# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""A pipeline of transformers for PAUMER: image segmentation with a pause configuration for each call.

`import paumer_hf` registers it as a task of its own:

    segmenter = transformers.pipeline("paumer-image-segmentation", model=FOLDER_OR_HUB_ID)
    segmenter("street.jpg", pause_config="fast")

transformers' own pipeline, `pipeline("image-segmentation", model=FOLDER_OR_HUB_ID)`, loads the same checkpoints but
drops arguments that it does not know, `pause_config` among them. There the model's default applies: the checkpoint's,
that of `model_kwargs={"pause_config": "fast"}`, or what is assigned to `segmenter.model.pause_config`.
"""

import os
from collections.abc import Iterator
from typing import Any

import torch
from transformers import AutoModelForSemanticSegmentation, BatchFeature, ImageSegmentationPipeline
from transformers.models.auto.video_processing_auto import VIDEO_PROCESSOR_MAPPING
from transformers.pipelines import PIPELINE_REGISTRY

from paumer_hf.model import PaumerConfig
from paumer_hf.model.image_reading import open_image


TASK = "paumer-image-segmentation"

# `pipeline` leaves this one of its own arguments among those of the class.
LEFT_BY_PIPELINE = {"local_files_only"}


class PaumerImageSegmentationPipeline(ImageSegmentationPipeline):
    """Segments images: transformers' `ImageSegmentationPipeline` with `pause_config`, and the plain maps on request.

    The masks are those of `PaumerImageProcessor.post_process_semantic_segmentation`, of each image by itself: images
    of one batch that have different sizes after the processor are not padded to each other.

    Args:
        model: A `PaumerForSemanticSegmentation`.
        **kwargs: `image_processor`, `device`, `batch_size` and the like, as in all pipelines; and as defaults of all
            calls the arguments of a call.

    Raises:
        TypeError: If the model is none of PAUMER's, or an argument is unknown.
        ValueError: If there is no image processor, or an argument of a call is refused.

    Example:
        >>> segmenter = pipeline("paumer-image-segmentation", model="runs/demo/last")  # doctest: +SKIP
        >>> [segment["label"] for segment in segmenter("street.jpg", pause_config={3: 0.4})]  # doctest: +SKIP
        ['road', 'car', 'sky']
    """

    _load_tokenizer = False
    _load_video_processor = False

    def __init__(self, model: Any, **kwargs: Any) -> None:
        if not (hasattr(model, "resolve_pause_config") and hasattr(model, "decode")):
            raise TypeError(
                f"`model` must be a PaumerForSemanticSegmentation, but is {type(model).__name__}. Load one, or use "
                "transformers' pipeline('image-segmentation')."
            )
        super().__init__(model=model, **kwargs)
        if self.image_processor is None:
            raise ValueError(
                "`image_processor` is missing. Give PaumerImageProcessor.from_pretrained(FOLDER_OR_HUB_ID), or let "
                f"transformers.pipeline({TASK!r}, model=FOLDER_OR_HUB_ID) load model and processor."
            )
        self.model.eval()  # one that comes from a training would drop units at random

    def __call__(self, inputs: Any, **kwargs: Any) -> Any:
        """Segment images.

        Args:
            inputs: One image, as a Pillow image, path, URL or base64 text; a folder, which stands for the images in
                it, sorted by name; a list of images; or an iterator or data set of images, which are read one batch
                after the other.
            **kwargs: `pause_config`, which patches pause: a `PauseConfig`, a mapping from layer to ratio or the name
                of one of the model's presets, None for the model's default; `return_maps`, whether to return the maps
                instead of segments; `batch_size`, `num_workers` and `timeout` (of URLs, in seconds) as in all
                pipelines.

        Returns:
            For each image a list of segments, one for each class that occurs: dictionaries of `label`, the name of
            the class, `mask`, a Pillow image of the size of the image with 255 where the class is, and `score`, always
            None. With `return_maps` a dictionary of `label_map`, (height, width), the class of each pixel, and
            `pause_map`, (rows, columns), for each patch of what the model saw the layer after which it paused, 0 for
            never. A list for a folder or list, and an iterator for an iterator or data set.

        Raises:
            ValueError: If an argument is refused, or an image does not exist or cannot be read.
            TypeError: If an argument is unknown or of the wrong type.
        """
        if isinstance(inputs, (str, os.PathLike)) and os.path.isdir(inputs):
            from paumer_hf.prediction.inputs import find_images  # the whole prediction, only where it is needed

            inputs = find_images([inputs])
        elif isinstance(inputs, tuple):
            inputs = list(inputs)
        elif hasattr(inputs, "read"):
            raise TypeError("`inputs` is an open file. Pass its path, or the image: PIL.Image.open(file).")
        elif isinstance(inputs, Iterator):
            inputs = (image for image in inputs)  # transformers asks for this kind of iterator
        if isinstance(inputs, list) and not inputs:
            return []
        return super().__call__(inputs, **kwargs)

    def _sanitize_parameters(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        known = {"pause_config", "return_maps", "subtask", "timeout"}
        unknown = sorted(set(kwargs) - known - LEFT_BY_PIPELINE)
        if unknown:
            raise TypeError(
                f"{type(self).__name__} has no argument {unknown[0]!r}; its own are {', '.join(sorted(known))}."
            )
        if kwargs.get("subtask") not in (None, "semantic"):
            raise ValueError(f"`subtask` must be 'semantic', which is all PAUMER does, but is {kwargs['subtask']!r}.")
        preprocess = {name: kwargs[name] for name in ("timeout",) if name in kwargs}
        forward, postprocess = {}, {}
        if "pause_config" in kwargs:
            value = kwargs["pause_config"]
            # Resolved now, so that a mistake shows before an image is read; None stays, as the default may change.
            forward["pause_config"] = None if value is None else self.model.resolve_pause_config(value)
        if "return_maps" in kwargs:
            if not isinstance(kwargs["return_maps"], bool):
                raise TypeError(f"`return_maps` must be True or False, but is {kwargs['return_maps']!r}.")
            postprocess["return_maps"] = kwargs["return_maps"]
        return preprocess, forward, postprocess

    def preprocess(self, image: Any, timeout: float | None = None) -> dict[str, list]:
        """The tensor of an image and its height and width, each in a list, as which they can be batched."""
        pillow = open_image(image, timeout)
        inputs = self.image_processor(images=[pillow], return_tensors="pt").to(self.dtype)
        return {"pixel_values": [inputs["pixel_values"][0]], "target_size": [(pillow.height, pillow.width)]}

    def _forward(self, model_inputs: dict[str, list], pause_config: Any = None) -> dict[str, Any]:
        images, sizes = model_inputs["pixel_values"], model_inputs["target_size"]
        is_batch = isinstance(images[0], list)
        if is_batch:
            images = [image for (image,) in images]
        pause_config = self.model.resolve_pause_config(pause_config)
        # A seed gives each place of a batch pauses of its own, but here an image stands for itself.
        alone = pause_config.criterion == "random" and pause_config.seed is not None
        places: dict[tuple, list[int]] = {}
        for place, image in enumerate(images):
            places.setdefault((image.shape, place if alone else None), []).append(place)
        logits: list[Any] = [None] * len(images)
        pause_maps: list[Any] = [None] * len(images)
        for equal in places.values():
            outputs = self.model(torch.stack([images[place] for place in equal]), pause_config=pause_config)
            for row, place in enumerate(equal):
                logits[place], pause_maps[place] = outputs.logits[row], outputs.pause_map[row]
        if is_batch:  # transformers takes it apart, and puts the dimension of the batch before each tensor
            return {"logits": logits, "pause_map": pause_maps, "target_size": sizes}
        return {"logits": logits[0][None], "pause_map": pause_maps[0][None], "target_size": sizes}

    def postprocess(self, model_outputs: dict[str, Any], return_maps: bool = False) -> Any:
        """The segments or the maps of one image."""
        outputs = BatchFeature(dict(model_outputs))
        if not return_maps:
            return super().postprocess(outputs, subtask="semantic")
        maps = self.image_processor.post_process_semantic_segmentation(outputs, target_sizes=outputs["target_size"])
        return {"label_map": maps[0], "pause_map": outputs["pause_map"][0]}


def register_pipelines() -> None:
    """Make PAUMER known to transformers' pipelines; again changes nothing."""
    if TASK not in PIPELINE_REGISTRY.get_supported_tasks():
        PIPELINE_REGISTRY.register_pipeline(
            TASK,
            pipeline_class=PaumerImageSegmentationPipeline,
            pt_model=AutoModelForSemanticSegmentation,
            type="image",
        )
        # With this mark `save_pretrained` would write the pipeline into the model's configuration as custom code, and
        # every other pipeline would refuse the model without `trust_remote_code`.
        del PaumerImageSegmentationPipeline._registered_impl
    # Of a checkpoint with code, "image-segmentation" also looks for a video processor, whose name it makes up, and
    # would ask the user whether to run the code. That PAUMER has none answers it.
    VIDEO_PROCESSOR_MAPPING.register(PaumerConfig, None, exist_ok=True)


__all__ = ["TASK", "PaumerImageSegmentationPipeline", "register_pipelines"]
