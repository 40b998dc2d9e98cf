# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""From a source of any known kind to a PAUMER model, in memory or as a checkpoint folder."""

import dataclasses
import difflib
import json
import os
import reprlib
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError

from paumer_hf import PaumerConfig, PaumerForSemanticSegmentation, PaumerImageProcessor, __version__
from paumer_hf.conversion.augreg import convert_augreg
from paumer_hf.conversion.hugging_face import convert_hugging_face
from paumer_hf.conversion.mmsegmentation import convert_mmsegmentation
from paumer_hf.conversion.recognition import KINDS, recognise_kind
from paumer_hf.conversion.segmenter import convert_segmenter
from paumer_hf.conversion.source_files import Source, read_source
from paumer_hf.conversion.source_weights import ConversionError, ConvertedWeights
from paumer_hf.conversion.timm_vit import convert_timm
from paumer_hf.model.patch_embedding import resize_position_embeddings


# Sources of these kinds say themselves how many heads they have.
CONVERTERS: dict[str, Callable[[Source], ConvertedWeights]] = {
    "augreg": convert_augreg,
    "hugging_face": convert_hugging_face,
}
CONVERTERS_WITH_HEADS: dict[str, Callable[..., ConvertedWeights]] = {
    "segmenter": convert_segmenter,
    "mmsegmentation": convert_mmsegmentation,
    "timm": convert_timm,
}

# What the shapes of weights do not show, so that a caller may know better.
ASSUMED_FIELDS = {
    *("hidden_act", "layer_norm_eps", "position_interpolation_mode", "position_interpolation_antialias", "rope_theta"),
    *("decoder_hidden_act", "decoder_layer_norm_eps", "decoder_dropout_prob", "layer_scale_init_value"),
}

POSITIONS = "paumer.embeddings.position_embeddings"


@dataclasses.dataclass(frozen=True)
class ConversionReport:
    """What a conversion did.

    Attributes:
        source: The source as it was named.
        origin: Its kind.
        output: The checkpoint folder.
        num_weights: Number of weights, tensors, that were taken over.
        new: The parts that are new and have to be trained.
        unused: The keys of the source that PAUMER has no use for.
        notes: What the source left open, and how it was filled.
    """

    source: str
    origin: str
    output: str
    num_weights: int
    new: tuple[str, ...]
    unused: tuple[str, ...]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        """The report for people."""
        lines = [
            f"{self.source} ({self.origin}) is now {self.output}: {self.num_weights} weights taken over.",
            f"New, to be trained: {' and '.join(self.new)}.",
        ]
        if self.unused:
            lines.append(f"Not used: {', '.join(self.unused)}.")
        return "\n".join([*lines, *self.notes])


def read_weights(
    name_or_path: str | os.PathLike,
    *,
    kind: str | None = None,
    num_attention_heads: int | None = None,
    **download: Any,
) -> ConvertedWeights:
    """Read the weights of another origin under PAUMER's names.

    Args:
        name_or_path: A weight file, a folder with one, or a Hub id.
        kind: `"segmenter"`, `"mmsegmentation"`, `"timm"`, `"augreg"` or `"hugging_face"`; None recognises it.
        num_attention_heads: Number of heads, where the source does not say it.
        **download: For the Hub: `revision`, `token`, `cache_dir`, `local_files_only`, `force_download`, `proxies`,
            `subfolder`.

    Raises:
        ConversionError: If the source cannot be read, is of no known kind, or is damaged.
    """
    if kind is not None and kind not in KINDS:
        raise ConversionError(f"`kind` must be one of {list(KINDS)}, but is {kind!r}.")
    source = read_source(name_or_path, **download)
    kind = kind or recognise_kind(source)
    if kind in CONVERTERS_WITH_HEADS:
        return CONVERTERS_WITH_HEADS[kind](source, num_attention_heads=num_attention_heads)
    converted = CONVERTERS[kind](source)
    if num_attention_heads not in (None, converted.config["num_attention_heads"]):
        raise ConversionError(
            f"{source.name} has {converted.config['num_attention_heads']} heads, but `num_attention_heads` is "
            f"{num_attention_heads}; leave it out."
        )
    return converted


def model_from_weights(
    converted: ConvertedWeights,
    *,
    model_class: type[PaumerForSemanticSegmentation] = PaumerForSemanticSegmentation,
    keep_decoder: bool = True,
    num_labels: int | None = None,
    id2label: Mapping[int, str] | None = None,
    image_size: int | tuple[int, int] | None = None,
    config: Mapping[str, Any] | None = None,
) -> PaumerForSemanticSegmentation:
    """A model with converted weights, in eval mode; what the source does not have is new.

    Args:
        converted: What `read_weights` returns.
        model_class: The class of the model.
        keep_decoder: Whether to take the source's decoder, if it has one, or a new one.
        num_labels: Number of classes of a new decoder; a decoder that is kept has its own.
        id2label: Names of the classes, from 0 to the last; replaces those of the source.
        image_size: Size in pixels that position embeddings are resized to and stored for; None keeps the source's.
        config: Further fields of `PaumerConfig`, other than those that the shapes of the weights determine.

    Raises:
        ConversionError: If the fields contradict the weights or each other.
    """
    fields, state_dict = dict(converted.config), dict(converted.state_dict)
    if not (keep_decoder and converted.has_decoder):
        fields = {name: value for name, value in fields.items() if not _belongs_to_decoder(name)}
        state_dict = {name: value for name, value in state_dict.items() if not name.startswith("decoder.")}
    labels = _labels(fields.pop("num_labels", None), num_labels, id2label, converted)
    config_class = model_class.config_class
    given = dict(config or {})
    _check_fields(given, fields, config_class)
    if image_size is not None:
        fields["image_size"] = image_size
    try:
        model = model_class(config_class(**{**fields, **given, **labels}))
    except (StrictDataclassError, ValueError, TypeError) as error:
        # The validation of configurations wraps the sentence that says what is wrong.
        raise ConversionError(f"These weights and fields make no model: {error.__cause__ or error}") from error
    _resize_positions(state_dict, converted, model.config)
    _load(model, state_dict)
    return model.eval()


def processor_from_weights(
    converted: ConvertedWeights,
    config: PaumerConfig,
    *,
    processor_class: type[PaumerImageProcessor] = PaumerImageProcessor,
    **kwargs: Any,
) -> PaumerImageProcessor:
    """The image processor of converted weights: the normalisation of their origin, the size of their positions.

    Args:
        converted: What `read_weights` returns.
        config: The configuration of the model.
        processor_class: The class of the processor.
        **kwargs: Arguments of the processor that differ.
    """
    height, width = (side * config.patch_size for side in config.patch_grid)
    arguments = {
        "size": {"height": height, "width": width},
        "size_divisor": config.patch_size,
        "image_mean": list(converted.image_mean),
        "image_std": list(converted.image_std),
    }
    return processor_class(**{**arguments, **kwargs})


def convert_weights(
    source: str | os.PathLike,
    output: str | os.PathLike,
    *,
    kind: str | None = None,
    num_attention_heads: int | None = None,
    num_labels: int | None = None,
    id2label: Mapping[int, str] | None = None,
    image_size: int | tuple[int, int] | None = None,
    image_mean: Sequence[float] | None = None,
    image_std: Sequence[float] | None = None,
    config: Mapping[str, Any] | None = None,
    **download: Any,
) -> ConversionReport:
    """Write the weights of another origin as a PAUMER checkpoint, with image processor and `conversion.json`.

    Args:
        source: A weight file, a folder with one, or a Hub id.
        output: The new folder. It appears when it is complete.
        kind: As in `read_weights`.
        num_attention_heads: As in `read_weights`.
        num_labels: As in `model_from_weights`.
        id2label: As in `model_from_weights`.
        image_size: As in `model_from_weights`.
        image_mean: Mean of each channel for the image processor; None takes what is known of the source.
        image_std: Standard deviation of each channel, likewise.
        config: As in `model_from_weights`.
        **download: As in `read_weights`.

    Raises:
        ConversionError: If the source, the fields or the output are refused. Nothing is written then.
    """
    output = Path(output).expanduser().resolve()
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise ConversionError(f"{output} exists and is not empty; name a new folder, or remove it first.")
    converted = read_weights(source, kind=kind, num_attention_heads=num_attention_heads, **download)
    model = model_from_weights(
        converted, num_labels=num_labels, id2label=id2label, image_size=image_size, config=config
    )
    given = {"image_mean": image_mean, "image_std": image_std}
    stated: dict[str, Any] = {
        name: _three_numbers(name, values) for name, values in given.items() if values is not None
    }
    processor = processor_from_weights(converted, model.config, **stated)
    report = ConversionReport(
        source=str(source),
        origin=converted.origin,
        output=str(output),
        num_weights=len(converted.state_dict),
        new=_new_parts(converted),
        unused=tuple(converted.unused),
        notes=tuple(converted.notes),
    )
    _save(model, processor, report, output)
    return report


def _three_numbers(name: str, values: Sequence[float]) -> list[float]:
    if len(values) != 3:
        raise ConversionError(f"`{name}` must be three numbers, one for each channel, but is {list(values)}.")
    return [float(value) for value in values]


def _belongs_to_decoder(field: str) -> bool:
    return field == "num_labels" or field.startswith("decoder_")


def _labels(
    found: int | None, num_labels: int | None, id2label: Mapping[int, str] | None, converted: ConvertedWeights
) -> dict[str, Any]:
    """The fields of `PaumerConfig` that name the classes; `found` is their number in a decoder that is kept."""
    if found is not None and num_labels not in (None, found):
        raise ConversionError(
            f"The decoder of the source has {found} classes, but `num_labels` is {num_labels}; leave it out."
        )
    if id2label is None and found is not None:
        id2label = converted.id2label
    number = found if found is not None else num_labels
    if id2label is None:
        if number is None:
            raise ConversionError(
                f"The source ({converted.origin}) has no decoder for these classes; say by `num_labels` or `id2label` "
                "how many classes the new one shall have."
            )
        if number < 1:
            raise ConversionError(f"`num_labels` must be at least 1, but is {number}.")
        return {"num_labels": number}
    pairs = enumerate(id2label) if isinstance(id2label, list | tuple) else id2label.items()
    try:
        names = {int(index): str(name) for index, name in pairs}
    except (TypeError, ValueError) as error:
        raise ConversionError(
            f"`id2label` must map the numbers of the classes to their names, but is {reprlib.repr(id2label)}."
        ) from error
    number = len(names) if number is None else number
    if not names or sorted(names) != list(range(number)):
        raise ConversionError(
            f"`id2label` must name the classes 0 to {number - 1}, each once, but names {len(names)}: {sorted(names)}."
        )
    return {"id2label": names, "label2id": {name: index for index, name in names.items()}}


def _check_fields(given: Mapping[str, Any], found: Mapping[str, Any], config_class: type[PaumerConfig]) -> None:
    """Refuse fields that there are not, that are arguments of their own, or that the weights determine."""
    known = {field.name for field in dataclasses.fields(config_class)} | {"attn_implementation"}
    for name, value in given.items():
        if name in ("num_labels", "id2label", "label2id", "image_size"):
            own = "id2label" if name == "label2id" else name
            raise ConversionError(f"`{name}` is no further field of the configuration; give `{own}` by itself.")
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else "the documentation of PaumerConfig lists the fields."
            raise ConversionError(f"There is no argument and no field of PaumerConfig called {name!r}; {hint}")
        if name in found and name not in ASSUMED_FIELDS and value != found[name]:
            raise ConversionError(
                f"`{name}` is {found[name]!r} in the source, and its weights fit nothing else, but {value!r} was "
                "given; leave it out."
            )


def _resize_positions(state_dict: dict[str, torch.Tensor], converted: ConvertedWeights, config: PaumerConfig) -> None:
    """Resize learned position embeddings to the grid of the model, as their origin does it."""
    if POSITIONS not in state_dict:
        return
    stored = PaumerConfig(**{**converted.config, "num_labels": 2})
    if stored.num_prefix_positions != config.num_prefix_positions:
        return  # what the shapes show, and what is refused where they are compared
    if stored.patch_grid == config.patch_grid:
        return
    num_prefix = config.num_prefix_positions
    resized = resize_position_embeddings(
        state_dict[POSITIONS][:, num_prefix:],
        stored.patch_grid,
        config.patch_grid,
        mode=config.position_interpolation_mode,
        antialias=config.position_interpolation_antialias,
    )
    state_dict[POSITIONS] = torch.cat([state_dict[POSITIONS][:, :num_prefix], resized], dim=1)


def _load(model: PaumerForSemanticSegmentation, state_dict: dict[str, torch.Tensor]) -> None:
    expected = {name: value.shape for name, value in model.state_dict().items()}
    for name, value in state_dict.items():
        if expected.get(name) != value.shape:
            raise ConversionError(
                f"The source gives {name} the shape {tuple(value.shape)}, but its configuration asks for "
                f"{tuple(expected.get(name, ()))}; weights and configuration do not belong together."
            )
    new = ("paumer.auxiliary_head.",) if _has_decoder(state_dict) else ("paumer.auxiliary_head.", "decoder.")
    missing = [name for name in expected if name not in state_dict and not name.startswith(new)]
    if missing:
        raise ConversionError(f"The source has no weights for {', '.join(missing[:8])}; it is incomplete.")
    model.load_state_dict(state_dict, strict=False)


def _has_decoder(state_dict: Mapping[str, torch.Tensor]) -> bool:
    return any(name.startswith("decoder.") for name in state_dict)


def _new_parts(converted: ConvertedWeights) -> tuple[str, ...]:
    return ("the auxiliary head",) if converted.has_decoder else ("the decoder", "the auxiliary head")


def _save(
    model: PaumerForSemanticSegmentation, processor: PaumerImageProcessor, report: ConversionReport, output: Path
) -> None:
    """Write the folder beside its place, then move it there."""
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    try:
        model.save_pretrained(temporary)
        processor.save_pretrained(temporary)
        record = {**dataclasses.asdict(report), "paumer_hf": __version__}
        del record["output"]
        text = json.dumps(record, indent=2, ensure_ascii=False)
        (temporary / "conversion.json").write_text(text + "\n", encoding="utf-8")
        temporary.chmod(0o755)
        if output.exists():
            output.rmdir()  # it is empty
        os.replace(temporary, output)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


__all__ = [
    "ConversionReport",
    "convert_weights",
    "model_from_weights",
    "processor_from_weights",
    "read_weights",
]
