# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The command line of a prediction: one dataclass whose field names are the flags of `scripts/predict.py`."""

from dataclasses import dataclass, field
from typing import Literal

from paumer_hf.prediction.video_files import VideoOptions, default_video_format


@dataclass
class PredictionArguments:
    """What to segment, with what, and how."""

    model: str = field(metadata={"help": "Folder or Hub id of the model."})
    inputs: list[str] = field(
        metadata={"help": "Images, animated images, videos, and folders of them.", "aliases": ["--images"]}
    )
    output: str = field(metadata={"help": "Folder to write to; files of the same names are replaced."})
    pause_configs: list[str] | None = field(
        default=None,
        metadata={
            "help": "dense, default (the model's own), presets of the model, or LAYER:RATIO,LAYER:RATIO,...; "
            "dense and default if not given."
        },
    )
    target_speedup: float | None = field(
        default=None, metadata={"help": "Instead: at least so many times as fast as dense, by the model's profile."}
    )
    target_throughput: float | None = field(
        default=None, metadata={"help": "Instead: at least so many images/s, by the model's profile."}
    )
    max_drop: float | None = field(
        default=None, metadata={"help": "Instead: at most so many points of mIoU below dense, by the model's profile."}
    )
    criterion: str = field(default="entropy", metadata={"help": "Of LAYER:RATIO: entropy or random."})
    seed: int = field(default=0, metadata={"help": "Of the random criterion."})
    dataset: str | None = field(default=None, metadata={"help": "Whose colours to use, such as camvid."})
    short_side: int | None = field(default=None, metadata={"help": "Resize images to this shorter side first."})
    figure_width: int | None = field(
        default=None, metadata={"help": "Reduce wider figures of images to this; make those of videos so wide."}
    )
    format: Literal["png", "gif", "mp4"] | None = field(
        default=None,
        metadata={
            "help": "Of videos, png for a folder of pictures; mp4 if PyAV is installed, else gif. Images become png."
        },
    )
    as_video: bool = field(default=False, metadata={"help": "Take the images of a folder as the frames of one video."})
    frame_rate: float | None = field(
        default=None, metadata={"help": "Frames per second of such a folder; 10 if not given. Videos keep theirs."}
    )
    every_nth: int = field(default=1, metadata={"help": "Of videos: the first frame and then every n-th."})
    max_frames: int | None = field(default=None, metadata={"help": "Of videos: at most so many frames."})
    save_label_maps: bool = field(default=False, metadata={"help": "Of videos: also the label map of each frame."})
    timed_calls: int = field(default=3, metadata={"help": "Of images: calls of the model; the median is shown."})
    device: str | None = field(default=None, metadata={"help": "Such as cpu or cuda; a GPU where there is one."})
    tune_malloc: bool = field(default=True, metadata={"help": "Restart with glibc told to keep its memory."})

    @property
    def targets(self) -> dict[str, float | None]:
        """The targets as `PaumerForSemanticSegmentation.select_pause_config` takes them."""
        return {
            "min_speedup": self.target_speedup,
            "min_throughput": self.target_throughput,
            "max_drop": self.max_drop,
        }

    @property
    def video_options(self) -> VideoOptions:
        """How videos are read and written.

        Raises:
            ValueError: If an option is out of range.
        """
        return VideoOptions(
            self.format or default_video_format(),
            self.every_nth,
            self.max_frames,
            self.short_side,
            self.figure_width,
            self.save_label_maps,
        )


__all__ = ["PredictionArguments"]
