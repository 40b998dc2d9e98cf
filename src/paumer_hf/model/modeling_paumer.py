# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""PAUMER models: the stages in the order of the data flow, the loss, and what `from_pretrained` carries."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import nn
from transformers import initialization as init
from transformers.modeling_utils import PreTrainedModel
from transformers.processing_utils import Unpack
from transformers.utils import TransformersKwargs, cached_file
from transformers.utils.generic import can_return_tuple, merge_with_config_defaults
from transformers.utils.output_capturing import capture_outputs

from .assembler import assemble_tokens, pause_map, to_image
from .backbone_loading import conversion_module
from .configuration_paumer import PaumerConfig
from .encoder import PaumerEncoder
from .mask_decoder import PaumerLinearDecoder, PaumerMaskDecoder
from .model_outputs import PaumerModelOutput, PaumerSemanticSegmenterOutput
from .patch_embedding import PaumerEmbeddings
from .pause_config import (
    PAUSE_CONFIG_NAME,
    PauseConfig,
    as_pause_config,
    read_pause_config_file,
    write_pause_config_file,
)
from .pause_sampling import PauseSampler
from .rotary_embedding import rotary_positions
from .segmentation_loss import pixel_cross_entropy
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
    """

    config: PaumerConfig
    base_model_prefix = "paumer"
    main_input_name = "pixel_values"
    input_modalities = ("image",)
    supports_gradient_checkpointing = True
    _no_split_modules: ClassVar[list[str]] = ["PaumerEmbeddings", "PaumerLayer"]
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True
    _can_compile_fullgraph = True
    _can_record_outputs: ClassVar[dict] = {"hidden_states": PaumerLayer, "attentions": PaumerAttention}
    _input_embed_layer = "patch_embeddings"

    def __init__(self, config: PaumerConfig) -> None:
        super().__init__(config)
        self._pause_config = PauseConfig()
        self.pause_presets: dict[str, PauseConfig] = {}

    @property
    def pause_config(self) -> PauseConfig:
        """The `PauseConfig` of calls that name none."""
        return self._pause_config

    @pause_config.setter
    def pause_config(self, value: Any) -> None:
        self._pause_config = self.resolve_pause_config(PauseConfig() if value is None else value)

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
        token: str | bool | None = None,
        **kwargs: Any,
    ) -> None:
        """Save as transformers does, and the default and the presets as `pause_config.json` beside the weights.

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
            write_pause_config_file(save_directory, self.pause_config, presets)
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
        """Load as transformers does, with the default and the presets of the checkpoint.

        Args:
            pretrained_model_name_or_path: Folder or Hub id.
            *model_args: For transformers' `from_pretrained`.
            pause_config: The default of the loaded model instead of the checkpoint's: a `PauseConfig`, a mapping from
                layer to ratio, or the name of one of the checkpoint's presets.
            **kwargs: For transformers' `from_pretrained`.

        Returns:
            The model, or (model, loading information) with `output_loading_info=True`.

        Raises:
            ValueError: If `pause_config.json` is invalid or does not fit the model, or `pause_config` is refused.
        """
        if resolve_revision is not None and pretrained_model_name_or_path is not None:
            # One commit for the weights and for the pause configurations, also if the Hub page changes meanwhile.
            pinned = {name: kwargs[name] for name in RESOLVE_ARGUMENTS if kwargs.get(name) is not None}
            kwargs["revision"] = resolve_revision(pretrained_model_name_or_path, **pinned) or "main"
        download = {name: kwargs[name] for name in DOWNLOAD_ARGUMENTS if kwargs.get(name) is not None}
        loaded = super().from_pretrained(pretrained_model_name_or_path, *model_args, **kwargs)
        model = loaded[0] if isinstance(loaded, tuple) else loaded
        path = None
        if pretrained_model_name_or_path is not None:
            path = cached_file(
                pretrained_model_name_or_path,
                PAUSE_CONFIG_NAME,
                _raise_exceptions_for_missing_entries=False,
                **download,
            )
        if path is not None:
            default, presets = read_pause_config_file(path)
            try:
                model.pause_presets = model._validate_presets(presets)
                model.pause_config = default
            except ValueError as error:
                raise ValueError(f"{path} does not fit the model: {error}") from error
        if pause_config is not None:
            model.pause_config = pause_config
        return loaded


class PaumerModel(PaumerPreTrainedModel):
    """The ViT encoder with pausing, without a decoder. It has the auxiliary head, which decides what pauses."""

    def __init__(self, config: PaumerConfig) -> None:
        super().__init__(config)
        self.embeddings = PaumerEmbeddings(config)
        self.encoder = PaumerEncoder(config)
        self.layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.auxiliary_head = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    @merge_with_config_defaults
    @capture_outputs(tie_last_hidden_states=False)
    def forward(
        self,
        pixel_values: torch.Tensor,
        pause_config: PauseConfig | Mapping | str | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> PaumerModelOutput:
        """Encode images.

        Args:
            pixel_values: (batch, channels, height, width), normalised; any height and width.
            pause_config: Which patches pause after which layers: a `PauseConfig`, a mapping from layer to ratio, or
                the name of one of `pause_presets`. None means the model's `pause_config`; `PauseConfig()` pauses
                nothing.
            **kwargs: `output_hidden_states`, `output_attentions`, `return_dict`, and what the attention
                implementation takes.

        Raises:
            ValueError: If the pause configuration is refused, or the pixel values have the wrong shape.
            TypeError: If `pause_config` is none of the above.
        """
        pause_config = self.resolve_pause_config(pause_config)
        embeddings, grid = self.embeddings(pixel_values)
        rotary = None
        if self.config.position_embedding_type == "rotary":
            head_dim = self.config.hidden_size // self.config.num_attention_heads
            rotary = rotary_positions(grid, head_dim, self.config.rope_theta, embeddings.device, embeddings.dtype)
        prefix, active, paused = self.encoder(embeddings, pause_config, self.auxiliary_head, rotary, **kwargs)
        patches = assemble_tokens(active, *paused.values())
        last_hidden_state = self.layernorm(torch.cat([prefix, patches.hidden_states], dim=1))
        return PaumerModelOutput(
            last_hidden_state=last_hidden_state,
            auxiliary_logits=None if patches.auxiliary_logits is None else to_image(patches.auxiliary_logits, grid),
            pause_map=pause_map(active, paused).unflatten(1, grid),
        )


class PaumerForSemanticSegmentation(PaumerPreTrainedModel):
    """PAUMER for semantic segmentation: the ViT encoder with pausing and a decoder of Segmenter.

    Attributes:
        pause_sampler: Draws the pause configurations of training.
    """

    def __init__(self, config: PaumerConfig) -> None:
        super().__init__(config)
        self.paumer = PaumerModel(config)
        decoder_class = PaumerMaskDecoder if config.decoder_type == "mask_transformer" else PaumerLinearDecoder
        self.decoder = decoder_class(config)
        self.pause_sampler = PauseSampler(config)
        self.post_init()

    @classmethod
    def from_backbone(cls, name_or_path: str | os.PathLike, *, num_labels: int | None = None, **kwargs: Any) -> Any:
        """A new model for segmentation on a trained encoder of another origin; it needs the package paumer_hf.

        Decoder and auxiliary head are new: the model has to be trained. Normalise images as the origin does:
        `PaumerImageProcessor.from_backbone(name_or_path)`.

        Args:
            name_or_path: Weight file, folder or Hub id: a ViT, DeiT, DINOv2 or DINOv3 of transformers, a
                VisionTransformer of timm, an AugReg `.npz`; or a Segmenter, whose encoder is taken.
            num_labels: Number of classes; not needed beside `id2label`.
            **kwargs: `id2label`, the names of the classes from 0; `image_size` to resize position embeddings to;
                `dtype`, float32 if none is given; `pause_config`, the default of the model; `attn_implementation`;
                `kind` and `num_attention_heads` where the source does not tell them; `cache_dir`, `force_download`,
                `local_files_only`, `proxies`, `revision`, `subfolder`, `token` for the Hub; fields of `PaumerConfig`
                that the weights leave open, as `decoder_type` or `drop_path_rate`.

        Raises:
            ValueError: If the weights cannot be read, are of no known kind or are damaged, or a field contradicts
                them.
            ImportError: If the package is not installed.
        """
        return conversion_module().load_backbone(cls, name_or_path, num_labels=num_labels, **kwargs)

    @can_return_tuple
    def forward(
        self,
        pixel_values: torch.Tensor,
        labels: torch.Tensor | None = None,
        pause_config: PauseConfig | Mapping | str | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> PaumerSemanticSegmenterOutput:
        """Segment images.

        Args:
            pixel_values: (batch, channels, height, width), normalised; any height and width.
            labels: (batch, height, width), class of each pixel, for the loss; `config.semantic_loss_ignore_index`
                marks pixels without one. In training, with labels and without `pause_config`, the model samples a
                pause configuration.
            pause_config: Which patches pause after which layers: a `PauseConfig`, a mapping from layer to ratio, or
                the name of one of `pause_presets`. None means the model's `pause_config`; `PauseConfig()` pauses
                nothing.
            **kwargs: `output_hidden_states`, `output_attentions`, `return_dict`, and what the attention
                implementation takes.

        Raises:
            ValueError: If the pause configuration is refused, or pixel values or labels have the wrong shape.
            TypeError: If `pause_config` is none of the above.
        """
        sample = pause_config is None and self.training and labels is not None
        pause_config = self.pause_sampler.draw() if sample else self.resolve_pause_config(pause_config)
        outputs = self.paumer(pixel_values, pause_config=pause_config, **kwargs)
        patches = outputs.last_hidden_state[:, self.config.num_prefix_tokens :]
        logits = to_image(self.decoder(patches), (outputs.pause_map.shape[1], outputs.pause_map.shape[2]))
        loss = None if labels is None else self._loss(logits, outputs.auxiliary_logits, labels, pixel_values)
        return PaumerSemanticSegmenterOutput(
            loss=loss,
            logits=logits,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
            auxiliary_logits=outputs.auxiliary_logits,
            pause_map=outputs.pause_map,
        )

    def upsample_logits(self, logits: torch.Tensor, image_size: Sequence[int]) -> torch.Tensor:
        """Logits for each pixel: bilinear by the patch size, without the pixels that the model padded.

        Args:
            logits: (batch, classes, rows, columns) as the model returns them.
            image_size: (height, width) of `pixel_values`.

        Returns:
            (batch, classes, height, width) in float32, or in float64 if the logits are.
        """
        size = [side * self.config.patch_size for side in logits.shape[-2:]]
        logits = logits if logits.dtype == torch.float64 else logits.float()
        pixels = nn.functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)
        return pixels[..., : image_size[0], : image_size[1]]

    def _loss(
        self,
        logits: torch.Tensor,
        auxiliary_logits: torch.Tensor | None,
        labels: torch.Tensor,
        pixel_values: torch.Tensor,
    ) -> torch.Tensor:
        batch_size, _, *size = pixel_values.shape
        if labels.shape != (batch_size, *size):
            raise ValueError(
                f"`labels` must have the batch size, height and width of `pixel_values`, {(batch_size, *size)}, but "
                f"has the shape {tuple(labels.shape)}."
            )
        ignore_index = self.config.semantic_loss_ignore_index
        loss = pixel_cross_entropy(self.upsample_logits(logits, size), labels, ignore_index)
        if auxiliary_logits is not None:
            auxiliary_pixels = self.upsample_logits(auxiliary_logits, size)
            auxiliary_loss = pixel_cross_entropy(auxiliary_pixels, labels, ignore_index)
            loss = loss + self.config.auxiliary_loss_weight * auxiliary_loss
        elif self.training:
            # Without a pause nothing uses the auxiliary head; distributed training needs a gradient for it, if zero.
            loss = loss + 0.0 * sum(parameter.sum() for parameter in self.paumer.auxiliary_head.parameters())
        return loss


__all__ = [
    "PaumerForSemanticSegmentation",
    "PaumerModel",
    "PaumerModelOutput",
    "PaumerPreTrainedModel",
    "PaumerSemanticSegmenterOutput",
]
