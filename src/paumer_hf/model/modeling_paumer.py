# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""PAUMER models: the stages in the order of the data flow, and the loss."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from transformers.processing_utils import Unpack
from transformers.utils import TransformersKwargs
from transformers.utils.generic import can_return_tuple, merge_with_config_defaults
from transformers.utils.output_capturing import capture_outputs

from .assembler import assemble_tokens, pause_map, to_image
from .backbone_loading import conversion_module
from .configuration_paumer import PaumerConfig
from .encoder import EncoderState, PaumerEncoder
from .mask_decoder import PaumerLinearDecoder, PaumerMaskDecoder
from .model_outputs import PaumerModelOutput, PaumerSemanticSegmenterOutput
from .patch_embedding import PaumerEmbeddings
from .pause_config import PauseConfig
from .pause_sampling import PauseSampler
from .pretrained_paumer import PaumerPreTrainedModel
from .rotary_embedding import rotary_positions
from .segmentation_loss import pixel_cross_entropy


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
            TypeError: If `pause_config` is none of the above, or an argument looks like it.
        """
        _refuse_misspelt(kwargs)
        pause_config = self.resolve_pause_config(pause_config)
        state, grid = self.embed(pixel_values)
        # A function instead of the module, which accelerate would move with the other arguments of a module that it
        # offloads.
        state = self.encoder(state, pause_config, lambda tokens: self.auxiliary_head(tokens), **kwargs)
        return self.assemble(state, grid)

    def embed(self, pixel_values: torch.Tensor) -> tuple[EncoderState, tuple[int, int]]:
        """The state before the first layer, in which every patch is active, and the grid (rows, columns) of patches.

        `embed`, the steps of the encoder and `assemble` are `forward` in pieces, for who runs one image under many
        pause configurations and wants to run the layers that they share once.

        Raises:
            ValueError: If the pixel values have the wrong shape.
        """
        embeddings, grid = self.embeddings(pixel_values)
        rotary = None
        if self.config.position_embedding_type == "rotary":
            head_dim = self.config.hidden_size // self.config.num_attention_heads
            rotary = rotary_positions(grid, head_dim, self.config.rope_theta, embeddings.device, embeddings.dtype)
        return self.encoder.start(embeddings, rotary), grid

    def assemble(self, state: EncoderState, grid: tuple[int, int]) -> PaumerModelOutput:
        """What the model returns for a state after the last layer: active and paused patches in image order."""
        patches = assemble_tokens(state.active, *state.paused.values())
        last_hidden_state = self.layernorm(torch.cat([state.prefix, patches.hidden_states], dim=1))
        return PaumerModelOutput(
            last_hidden_state=last_hidden_state,
            auxiliary_logits=None if patches.auxiliary_logits is None else to_image(patches.auxiliary_logits, grid),
            pause_map=pause_map(state.active, state.paused).unflatten(1, grid),
        )


class PaumerForSemanticSegmentation(PaumerPreTrainedModel):
    """PAUMER for semantic segmentation: the ViT encoder with pausing and a decoder of Segmenter.

    Attributes:
        pause_sampler: Draws the pause configurations of training.
    """

    # The loss is a mean over the labelled pixels of the batch whatever `num_items_in_batch` says: the Trainer has to
    # divide it by the number of batches that it accumulates.
    accepts_loss_kwargs = False

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
            TypeError: If `pause_config` is none of the above, or an argument looks like it.
        """
        sample = pause_config is None and self.training and labels is not None
        pause_config = self.pause_sampler.draw() if sample else self.resolve_pause_config(pause_config)
        outputs = self.paumer(pixel_values, pause_config=pause_config, **kwargs)
        logits = self.decode(outputs)
        loss = None if labels is None else self._loss(logits, outputs.auxiliary_logits, labels, pixel_values)
        return PaumerSemanticSegmenterOutput(
            loss=loss,
            logits=logits,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
            auxiliary_logits=outputs.auxiliary_logits,
            pause_map=outputs.pause_map,
        )

    def decode(self, outputs: PaumerModelOutput) -> torch.Tensor:
        """Logits (batch, classes, rows, columns) of the patches from what the encoder returned."""
        patches = outputs.last_hidden_state[:, self.config.num_prefix_tokens :]
        return to_image(self.decoder(patches), (outputs.pause_map.shape[1], outputs.pause_map.shape[2]))

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


def _refuse_misspelt(arguments: Mapping[str, Any]) -> None:
    """Refuse what looks like `pause_config`: attention ignores what it does not know, and nothing would pause."""
    for name in arguments:
        if name.startswith("pause"):
            raise TypeError(f"A call has no argument {name!r}. Did you mean `pause_config`?")


__all__ = [
    "PaumerForSemanticSegmentation",
    "PaumerModel",
    "PaumerModelOutput",
    "PaumerSemanticSegmenterOutput",
]
