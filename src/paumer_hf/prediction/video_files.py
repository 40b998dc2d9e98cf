# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Predicts videos frame by frame and writes what comes out as GIF, MP4 or PNGs, with numbers as JSON."""

import contextlib
import importlib.util
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

from paumer_hf import PauseConfig
from paumer_hf.evaluation.results import write_results
from paumer_hf.prediction.frame_writers import (
    Write,
    check_png_folder,
    gif_writer,
    mp4_codec,
    mp4_writer,
    png_writer,
)
from paumer_hf.prediction.image_files import check_outputs, file_name, output_names
from paumer_hf.prediction.images import resize_short_side
from paumer_hf.prediction.panels import PanelLayout
from paumer_hf.prediction.reports import PredictionTotals, prediction_conditions, result_row
from paumer_hf.prediction.timed_prediction import TimedPrediction, TimedPredictor
from paumer_hf.prediction.video_frames import Frame, Video
from paumer_hf.visualization import Colour, label_map_image


VIDEO_FORMATS = ("gif", "mp4", "png")

# GIFs grow with their pixels much faster than videos do.
_MAX_WIDTHS = {"gif": (320, 800), "mp4": (480, 1920), "png": (480, 1920)}
"""Of a panel and of the whole picture, in pixels."""


def default_video_format() -> str:
    """The format of videos that name none: "mp4" where PyAV is installed, else "gif"."""
    return "mp4" if importlib.util.find_spec("av") else "gif"


@dataclass(frozen=True)
class VideoOptions:
    """How videos are read and written.

    Attributes:
        format: "gif", "mp4", or "png" for a folder of numbered pictures.
        every_nth: Take the first frame and then every n-th; the video plays as fast as before.
        max_frames: Take at most so many frames.
        short_side: Shorter side in pixels that frames are resized to first. None keeps their size.
        figure_width: Width of the whole picture in pixels. None makes panels of up to 480 pixels, 320 in a GIF.
        save_label_maps: Whether to write the label map of each frame, in a folder of numbered PNGs for each pause
            configuration.
    """

    format: str = "gif"
    every_nth: int = 1
    max_frames: int | None = None
    short_side: int | None = None
    figure_width: int | None = None
    save_label_maps: bool = False

    def __post_init__(self) -> None:
        if self.format not in VIDEO_FORMATS:
            raise ValueError(f"`format` of videos must be one of {', '.join(VIDEO_FORMATS)}, but is {self.format!r}.")


def predict_videos(
    predictor: TimedPredictor,
    videos: Sequence[Video],
    output_dir: str | os.PathLike,
    palette: Sequence[Colour],
    options: VideoOptions | None = None,
    *,
    names: Sequence[str] | None = None,
    model_name: str = "",
) -> list[Path]:
    """Write each video with segmentation and pauses side by side, and its numbers.

    Args:
        predictor: The model with its pause configurations.
        videos: The videos.
        output_dir: Folder for `NAME.gif`, `NAME.mp4` or the folder `NAME_frames`, for `NAME.json` and, if asked for,
            the folders `NAME_labels_CONFIGURATION`; files and folders of these names are replaced.
        palette: Colour of each class.
        options: How to read and write.
        names: The NAME of each video; made from the names of the files if they are not given.
        model_name: Where the model comes from, for the JSON files.

    Returns:
        The paths of the videos that were written.

    Raises:
        ValueError: If a video cannot be read, lies in the folder to write to, or an option is out of range. Nothing
            is then left of this video.
        ImportError: If PyAV is needed and not installed.
    """
    options = options or VideoOptions()
    names = output_names([video.path for video in videos]) if names is None else names
    check_outputs([video.path for video in videos], output_dir, names, predictor.pause_configs)
    resize_short_side(Image.new("RGB", (1, 1)), options.short_side)
    conditions = prediction_conditions(predictor.model, model_name)
    if options.format == "mp4":
        conditions["codec"] = mp4_codec()
    written = []
    for video, name in zip(videos, names, strict=True):
        run = _VideoRun(predictor, video, Path(output_dir), name, palette, options)
        run.predict()
        written.append(run.path)
        write_results(Path(output_dir) / f"{name}.json", run.report(conditions))
    return written


class _VideoRun:
    """One video on its way from frames to files."""

    def __init__(
        self,
        predictor: TimedPredictor,
        video: Video,
        folder: Path,
        name: str,
        palette: Sequence[Colour],
        options: VideoOptions,
    ) -> None:
        self.predictor, self.video, self.palette, self.options = predictor, video, palette, options
        config = predictor.model.config
        self.class_names = [config.id2label[label] for label in range(config.num_labels)]
        self.patch_size = config.patch_size
        self.path = folder / (f"{name}_frames" if options.format == "png" else f"{name}.{options.format}")
        self.label_folders: dict[PauseConfig, Path] = {}
        if options.save_label_maps:
            self.label_folders = {
                pause_config: folder / f"{name}_labels_{file_name(pause_config)}"
                for pause_config in predictor.pause_configs
            }
        for path in [*self.label_folders.values(), *([self.path] if options.format == "png" else [])]:
            check_png_folder(path)
        self.totals = [PredictionTotals(self.class_names) for _ in predictor.pause_configs]
        self.last: list[TimedPrediction] = []
        self.size = (0, 0)
        self.num_frames = 0

    def predict(self) -> None:
        """Read, predict, draw and write one frame after the other."""
        options = self.options
        with contextlib.ExitStack() as files:
            write_labels = {
                config: files.enter_context(png_writer(path)) for config, path in self.label_folders.items()
            }
            frames = files.enter_context(contextlib.closing(self.video.frames(options.every_nth, options.max_frames)))
            total = self.video.count(options.every_nth, options.max_frames)
            write: Write | None = None
            for frame in tqdm(frames, desc=self.video.path.name, total=total, unit="frame", disable=None):
                image = resize_short_side(frame.image, options.short_side)
                if write is None:
                    layout = self._layout(image.size)
                    write = files.enter_context(self._open_writer(layout))
                self._write_frame(frame, image, layout, write, write_labels)

    def _write_frame(
        self,
        frame: Frame,
        image: Image.Image,
        layout: PanelLayout,
        write: Write,
        write_labels: Mapping[PauseConfig, Write],
    ) -> None:
        self.last = self.predictor.predict(image)
        for totals, prediction in zip(self.totals, self.last, strict=True):
            totals.add(prediction)
        rows = [
            prediction.row.timed(totals.images_per_second)
            for totals, prediction in zip(self.totals, self.last, strict=True)
        ]
        write(layout.compose(image, rows), frame.time)
        for row in rows:
            if row.pause_config in write_labels:
                write_labels[row.pause_config](label_map_image(row.label_map, self.palette), frame.time)
        self.size = image.size
        self.num_frames += 1

    def _layout(self, size: tuple[int, int]) -> PanelLayout:
        return PanelLayout(
            size,
            list(self.predictor.pause_configs),
            self.patch_size,
            self.palette,
            self.class_names,
            self.options.figure_width,
            *_MAX_WIDTHS[self.options.format],
        )

    def _open_writer(self, layout: PanelLayout) -> contextlib.AbstractContextManager[Write]:
        frame_rate = self.video.frame_rate / self.options.every_nth
        if self.options.format == "gif":
            return gif_writer(self.path, frame_rate, layout.kept_colours())
        return mp4_writer(self.path, frame_rate) if self.options.format == "mp4" else png_writer(self.path)

    def report(self, conditions: Mapping[str, Any]) -> dict[str, Any]:
        """The numbers of all frames together."""
        return {
            "video": str(self.video.path),
            "width": self.size[0],
            "height": self.size[1],
            "num_frames": self.num_frames,
            "frame_rate": self.video.frame_rate / self.options.every_nth,
            "every_nth": self.options.every_nth,
            "figure": self.path.name,
            "conditions": conditions,
            "results": [
                result_row(prediction, totals, self._label_files(prediction.row.pause_config))
                for prediction, totals in zip(self.last, self.totals, strict=True)
            ],
        }

    def _label_files(self, pause_config: PauseConfig) -> dict[str, Any]:
        folder = self.label_folders.get(pause_config)
        return {} if folder is None else {"label_maps": folder.name}


__all__ = ["VIDEO_FORMATS", "VideoOptions", "default_video_format", "predict_videos"]
