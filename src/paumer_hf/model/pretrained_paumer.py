# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What all PAUMER models share: initial weights, and the pause configurations that travel with a checkpoint."""

import os
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import nn
from transformers import initialization as init
from transformers.modeling_utils import PreTrainedModel
from transformers.utils import cached_file

from .configuration_paumer import PaumerConfig
from .mask_decoder import PaumerMaskDecoder
from .patch_embedding import PaumerEmbeddings
from .pause_config import PauseConfig, as_pause_config
from .pause_config_file import PAUSE_CONFIG_NAME, read_pause_config_file, write_pause_config_file
from .pause_profile import PauseProfile, as_pause_profile
from .transformer_layer import PaumerAttention, PaumerLayer, PaumerLayerScale


try:
    from transformers.utils import resolve_revision
except ImportError:  # versions before it load every file of the revision as it is at that moment
    resolve_revision = None

# What save_pretrained hands on to push_to_hub.
PUSH_ARGUMENTS = ("repo_id", "commit_message", "private", "create_pr", "revision", "commit_description", "tags")

# What from_pretrained uses to find a file of the checkpoint.
DOWNLOAD_ARGUMENTS = ("cache_dir", "force_download", "local_files_only", "proxies", "revision", "subfolder", "token")

RESOLVE_ARGUMENTS = ("cache_dir", "local_files_only", "revision", "token")


class PaumerPreTrainedModel(PreTrainedModel):
    """What all PAUMER models share: initial weights, and the pause configurations that travel with a checkpoint.

    Attributes:
        pause_config: The `PauseConfig` of calls that name none; assign any form that a call takes.
        pause_presets: From the names of presets to their `PauseConfig`.
        pause_profile: The `PauseProfile` that was measured of these weights, or None; assign one or its `to_dict()`.
            A training ends what it says: assign None before saving weights that were trained on.

    All three are those of this model; the encoder within a model for segmentation, its `base_model`, has its own.
    """

    config: PaumerConfig
    base_model_prefix = "paumer"
    main_input_name = "pixel_values"
    input_modalities = ("image",)
    supports_gradient_checkpointing = True
    _no_split_modules: ClassVar[list[str]] = ["PaumerEmbeddings", "PaumerLayer", "PaumerMaskDecoder"]
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True
    _can_compile_fullgraph = True
    _can_record_outputs: ClassVar[dict] = {"hidden_states": PaumerLayer, "attentions": PaumerAttention}
    _input_embed_layer = "patch_embeddings"

    def __init__(self, config: PaumerConfig) -> None:
        config.validate()  # `from_pretrained` sets fields that it is given one by one, without a look at the others
        super().__init__(config)
        self._pause_config = PauseConfig()
        self.pause_presets: dict[str, PauseConfig] = {}
        self._pause_profile: PauseProfile | None = None

    @property
    def pause_config(self) -> PauseConfig:
        """The `PauseConfig` of calls that name none."""
        return self._pause_config

    @pause_config.setter
    def pause_config(self, value: Any) -> None:
        self._pause_config = self.resolve_pause_config(PauseConfig() if value is None else value)

    @property
    def pause_profile(self) -> PauseProfile | None:
        """What was measured of these weights under several pause configurations; None if nothing was."""
        return self._pause_profile

    @pause_profile.setter
    def pause_profile(self, value: Any) -> None:
        profile = None if value is None else as_pause_profile(value)
        if profile is not None:
            profile.validate(self.config.num_hidden_layers)
        self._pause_profile = profile

    def select_pause_config(
        self, min_speedup: float | None = None, max_drop: float | None = None, min_throughput: float | None = None
    ) -> PauseConfig:
        """The best pause configuration of the profile that fulfils all wishes.

        With a wish for speed it is the most accurate one, with `max_drop` alone the fastest one. Speed-ups differ
        between devices: `paumer_hf.evaluation.calibrate_throughput` measures them on yours.

        Args:
            min_speedup: At least so many times as fast as the dense model.
            max_drop: At most so many points of mIoU (0.7 means 0.7 percentage points) below the dense model.
            min_throughput: At least so many images per second, on the device and under the conditions of the profile.

        Returns:
            The configuration; `PauseConfig()` is the dense model.

        Raises:
            ValueError: If the model has no profile, there is no wish, one is out of range, or nothing fulfils them
                all: it says what comes nearest.
            TypeError: If a wish is no number.
        """
        if self.pause_profile is None:
            raise ValueError(
                "The model has no profile to choose from. Measure one and save it with `python "
                "scripts/search_pause_config.py --model FOLDER --dataset DATASET`, or speeds alone with `python "
                "scripts/calibrate_throughput.py --model FOLDER --save`; or assign `model.pause_profile`."
            )
        return self.pause_profile.select(min_speedup, max_drop, min_throughput).pause_config

    def resolve_pause_config(self, value: Any) -> PauseConfig:
        """The `PauseConfig` that a call means.

        Args:
            value: None for the model's default, a `PauseConfig`, a mapping from layer to ratio, or a preset's name.

        Raises:
            ValueError: If the preset is unknown or the configuration does not fit the model.
            TypeError: If `value` is none of the above.
        """
        if value is None:
            return self.pause_config
        pause_config = as_pause_config(value, self.pause_presets)
        pause_config.validate(self.config.num_hidden_layers)
        return pause_config

    def _validate_presets(self, presets: Mapping[str, Any]) -> dict[str, PauseConfig]:
        """The presets as `PauseConfig`; one that does not fit the model is refused by its name."""
        validated = {}
        for name, preset in presets.items():
            try:
                validated[name] = as_pause_config(preset)
                validated[name].validate(self.config.num_hidden_layers)
            except (ValueError, TypeError) as error:
                raise ValueError(f"The pause preset {name!r} is not valid: {error}") from error
        return validated

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, PaumerEmbeddings):
            for parameter in module.parameters(recurse=False):
                init.trunc_normal_(parameter, std=self.config.initializer_range)
        elif isinstance(module, PaumerLayerScale):
            init.constant_(module.weight, self.config.layer_scale_init_value)
        elif isinstance(module, PaumerMaskDecoder):
            init.trunc_normal_(module.class_embeddings, std=self.config.initializer_range)

    def save_pretrained(
        self,
        save_directory: str | os.PathLike,
        is_main_process: bool = True,
        state_dict: dict | None = None,
        push_to_hub: bool = False,
        *,
        token: str | bool | None = None,
        **kwargs: Any,
    ) -> None:
        """Save as transformers does, and default, presets and profile as `pause_config.json` beside the weights.

        Args:
            save_directory: The folder; made if it is missing.
            is_main_process: Whether this process writes, in a distributed run.
            state_dict: What to save as the weights; None saves the model's.
            push_to_hub: Whether to upload as well, as `push_to_hub` does: everything in one commit.
            token: Access token of the Hub.
            **kwargs: For transformers' `save_pretrained`, and with `push_to_hub` for that method (`repo_id`,
                `commit_message`, `private`, `create_pr`, `revision`, ...).

        Raises:
            ValueError: If a preset does not fit the model. Nothing is written then.
        """
        presets = self._validate_presets(self.pause_presets)
        push_arguments = {name: kwargs.pop(name) for name in PUSH_ARGUMENTS if name in kwargs}
        super().save_pretrained(save_directory, is_main_process, state_dict, token=token, **kwargs)
        if is_main_process and os.path.isdir(save_directory):
            write_pause_config_file(save_directory, self.pause_config, presets, self.pause_profile)
        if push_to_hub:
            repo_id = push_arguments.pop("repo_id", None) or os.path.basename(os.path.abspath(save_directory))
            self.push_to_hub(repo_id, token=token, **push_arguments)

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike | None,
        *model_args: Any,
        pause_config: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Load as transformers does, with the default, the presets and the profile of the checkpoint.

        Args:
            pretrained_model_name_or_path: Folder or Hub id.
            *model_args: For transformers' `from_pretrained`.
            pause_config: The default of the loaded model instead of the checkpoint's: a `PauseConfig`, a mapping from
                layer to ratio, or the name of one of the checkpoint's presets.
            **kwargs: For transformers' `from_pretrained`.

        Returns:
            The model, or (model, loading information) with `output_loading_info=True`.

        Raises:
            ValueError: If the checkpoint is of another architecture, a field of its configuration is refused,
                `pause_config.json` is invalid or does not fit the model, or `pause_config` is refused.
        """
        if resolve_revision is not None and pretrained_model_name_or_path is not None:
            # One commit for the weights and for the pause configurations, also if the Hub page changes meanwhile.
            pinned = {name: kwargs[name] for name in RESOLVE_ARGUMENTS if kwargs.get(name) is not None}
            kwargs["revision"] = resolve_revision(pretrained_model_name_or_path, **pinned) or "main"
        download = {name: kwargs[name] for name in DOWNLOAD_ARGUMENTS if kwargs.get(name) is not None}
        if pretrained_model_name_or_path is not None and kwargs.get("config") is None:
            _refuse_other_types(pretrained_model_name_or_path, download)
        wants_info = kwargs.pop("output_loading_info", False)
        try:
            model, info = super().from_pretrained(
                pretrained_model_name_or_path, *model_args, output_loading_info=True, **kwargs
            )
        except StrictDataclassError as error:
            said = " ".join(str(error).split())
            raise ValueError(f"The configuration of {pretrained_model_name_or_path} is refused: {said}") from error
        path = None
        if pretrained_model_name_or_path is not None:
            path = cached_file(
                pretrained_model_name_or_path,
                PAUSE_CONFIG_NAME,
                _raise_exceptions_for_missing_entries=False,
                **download,
            )
        if path is not None:
            default, presets, profile = read_pause_config_file(path)
            try:
                model.pause_presets = model._validate_presets(presets)
                model.pause_config = default
                model.pause_profile = None if _is_changed(model, info) else profile
            except ValueError as error:
                raise ValueError(f"{path} does not fit the model: {error}") from error
        if pause_config is not None:
            model.pause_config = pause_config
        return (model, info) if wants_info else model


def _refuse_other_types(name_or_path: str | os.PathLike, download: Mapping[str, Any]) -> None:
    """Refuse a checkpoint of another architecture, which transformers would load with random weights."""
    fields, _ = PaumerConfig.get_config_dict(name_or_path, **download)
    found = fields.get("model_type", PaumerConfig.model_type)
    if found != PaumerConfig.model_type:
        raise ValueError(
            f"{name_or_path} holds a model of the type {found!r}, not of PAUMER. "
            "`PaumerForSemanticSegmentation.from_backbone` takes the encoder of another network."
        )


def _is_changed(model: PreTrainedModel, info: Mapping[str, Any]) -> bool:
    """Whether a model has new weights, as for other classes, or lacks some of a part that it has, as fewer layers."""
    names = (name.removeprefix(f"{model.base_model_prefix}.") for name in info["unexpected_keys"])
    parts = {part for module in (model, model.base_model) for part, _ in module.named_children()}
    lacks = any(name.partition(".")[0] in parts for name in names)
    return bool(info["missing_keys"] or info["mismatched_keys"] or lacks)


__all__ = ["PaumerPreTrainedModel"]
