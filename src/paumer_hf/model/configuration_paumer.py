# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The architecture of a PAUMER model, and how its training samples pause configurations."""

import math
from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict
from transformers.activations import ACT2FN
from transformers.configuration_utils import PreTrainedConfig

from .pause_config import CRITERIA


SIZES = {
    "tiny": {"hidden_size": 192, "num_hidden_layers": 12, "num_attention_heads": 3},
    "small": {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6},
    "base": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12},
    "large": {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16},
}

DECODER_TYPES = ("mask_transformer", "linear")
POSITION_EMBEDDING_TYPES = ("learned", "rotary")
POSITION_INTERPOLATION_MODES = ("bilinear", "bicubic")


@strict
class PaumerConfig(PreTrainedConfig):
    r"""Configuration of a PAUMER model: a plain ViT encoder whose patches can pause, and a decoder of Segmenter.

    The defaults are ViT-Ti/16 with the mask transformer. The optional parts of the encoder (LayerScale, registers,
    rotary positions, gated MLPs, ...) let the weights of later plain ViTs in. How much is paused is no part of the
    architecture: it is an argument of the model call, with the checkpoint's default and presets in
    `pause_config.json`. The fields `train_pause_*` say what the model samples in training, when it gets labels and no
    explicit pause configuration.

    Args:
        hidden_size: Width D of the encoder.
        num_hidden_layers: Number of encoder layers L.
        num_attention_heads: Attention heads of the encoder.
        intermediate_size: Width of the encoder's MLPs; None means 4 * `hidden_size`.
        hidden_act: Activation of the encoder's MLPs.
        hidden_dropout_prob: Dropout of the encoder's embeddings and residual branches.
        attention_probs_dropout_prob: Dropout of the encoder's attention weights.
        drop_path_rate: Stochastic depth of the encoder: 0 at the first layer, rising linearly to this at the last.
        initializer_range: Standard deviation of the initial weights.
        layer_norm_eps: Epsilon of the encoder's layer normalisations.
        image_size: Image side in pixels, or (height, width), that the position embeddings are stored for. The model
            takes images of any size: position embeddings are interpolated, and sizes that are no multiple of
            `patch_size` are padded inside the model.
        patch_size: Side of the square patches P in pixels.
        num_channels: Channels of the image.
        qkv_bias: Whether queries, keys and values have a bias.
        key_bias: Whether keys have one; None means as `qkv_bias`. Those of DINOv3 have none.
        use_distillation_token: Whether a distillation token follows the `[CLS]` token, as in distilled DeiT.
        num_register_tokens: Number of register tokens between the `[CLS]` token and the patches, as in DINOv2 with
            registers and DINOv3. Registers never pause.
        position_embedding_type: `"learned"`: position embeddings are added to the tokens; `"rotary"`: queries and keys
            of the patches are rotated in each layer by their place in the image, as in DINOv3.
        num_prefix_position_embeddings: How many of the tokens before the patches, from the first, have learned
            position embeddings; None means all.
        position_interpolation_mode: How learned position embeddings are resized to other grids, `"bilinear"` or
            `"bicubic"`.
        position_interpolation_antialias: Whether that is done with antialiasing.
        rope_theta: Base of the periods of rotary positions.
        layer_scale_init_value: Initial scale of the residual branches of LayerScale; None means no LayerScale.
        use_gated_mlp: Whether the encoder's MLPs are gated: down(act(gate(x)) * up(x)).
        decoder_type: `"mask_transformer"` or `"linear"`.
        decoder_num_hidden_layers: Layers of the mask transformer.
        decoder_hidden_size: Width of the mask transformer; None means `hidden_size`.
        decoder_num_attention_heads: Heads of the mask transformer; None means one for each 64 of its width.
        decoder_intermediate_size: Width of the mask transformer's MLPs; None means 4 * `decoder_hidden_size`.
        decoder_hidden_act: Activation of the mask transformer's MLPs.
        decoder_layer_norm_eps: Epsilon of the mask transformer's layer normalisations; None means `layer_norm_eps`.
        decoder_dropout_prob: Dropout of the mask transformer.
        semantic_loss_ignore_index: Label value of the pixels that take no part in the loss; the image processor marks
            them with 255.
        auxiliary_loss_weight: Weight of the auxiliary loss, lambda in the paper.
        train_pause_layers: Layers that training draws from; None means 3 to 9 as far as the encoder has them below
            its last (1 to L - 1 in encoders of fewer than 4 layers): see `trained_pause_layers`.
        train_pause_ratios: (lowest, highest) ratio that training draws uniformly from.
        train_num_pause_layers: Numbers of pause layers that training draws from, each equally likely; repeat a number
            to give it a larger share. [1] is the paper's sampling; [1, 2, 3] covers configurations of several layers;
            0 stands for a batch without pausing.
        train_pause_criterion: `"entropy"`, or `"random"` for the trained random-pausing baseline.
        train_pause_seed: Seed of the sampling in training.

    Raises:
        StrictDataclassError: If a field has the wrong type or the fields contradict each other.
    """

    model_type = "paumer"
    # What evaluations, such as those of transformers' Trainer, take for predictions beside the logits otherwise.
    keys_to_ignore_at_inference: ClassVar[list[str]] = ["auxiliary_logits", "pause_map"]

    hidden_size: int = 192
    num_hidden_layers: int = 12
    num_attention_heads: int = 3
    intermediate_size: int | None = None
    hidden_act: str = "gelu"
    hidden_dropout_prob: float | int = 0.0
    attention_probs_dropout_prob: float | int = 0.0
    drop_path_rate: float | int = 0.0
    initializer_range: float | int = 0.02
    layer_norm_eps: float | int = 1e-6
    image_size: int | list[int] | tuple[int, int] = 512
    patch_size: int = 16
    num_channels: int = 3
    qkv_bias: bool = True
    key_bias: bool | None = None
    use_distillation_token: bool = False
    num_register_tokens: int = 0
    position_embedding_type: str = "learned"
    num_prefix_position_embeddings: int | None = None
    position_interpolation_mode: str = "bilinear"
    position_interpolation_antialias: bool = False
    rope_theta: float | int = 100.0
    layer_scale_init_value: float | int | None = None
    use_gated_mlp: bool = False
    decoder_type: str = "mask_transformer"
    decoder_num_hidden_layers: int = 2
    decoder_hidden_size: int | None = None
    decoder_num_attention_heads: int | None = None
    decoder_intermediate_size: int | None = None
    decoder_hidden_act: str = "gelu"
    decoder_layer_norm_eps: float | int | None = None
    decoder_dropout_prob: float | int = 0.1
    semantic_loss_ignore_index: int = 255
    auxiliary_loss_weight: float | int = 0.1
    train_pause_layers: list[int] | tuple[int, ...] | None = None
    train_pause_ratios: list[float | int] | tuple[float | int, ...] = (0.2, 0.8)
    train_num_pause_layers: list[int] | tuple[int, ...] = (1,)
    train_pause_criterion: str = "entropy"
    train_pause_seed: int = 0

    def __post_init__(self, **kwargs: Any) -> None:
        """Fill in the sizes that follow from others."""
        if self.intermediate_size is None:
            self.intermediate_size = 4 * self.hidden_size
        if self.decoder_hidden_size is None:
            self.decoder_hidden_size = self.hidden_size
        if self.decoder_num_attention_heads is None:
            self.decoder_num_attention_heads = max(1, self.decoder_hidden_size // 64)
        if self.decoder_intermediate_size is None:
            self.decoder_intermediate_size = 4 * self.decoder_hidden_size
        if self.decoder_layer_norm_eps is None:
            self.decoder_layer_norm_eps = self.layer_norm_eps
        super().__post_init__(**kwargs)

    @classmethod
    def from_size(cls, size: str, **kwargs: Any) -> "PaumerConfig":
        """The configuration of a standard size, `"tiny"`, `"small"`, `"base"` or `"large"`.

        Args:
            size: The name of the size.
            **kwargs: Fields that differ from it.

        Raises:
            ValueError: If there is no such size.
        """
        if size not in SIZES:
            raise ValueError(f"`size` must be one of {list(SIZES)}, but is {size!r}.")
        return cls(**{**SIZES[size], **kwargs})

    @property
    def num_prefix_tokens(self) -> int:
        """Tokens before the patches, which never pause: the `[CLS]` token, then distillation token and registers."""
        return 1 + int(self.use_distillation_token) + self.num_register_tokens

    @property
    def num_prefix_positions(self) -> int:
        """How many of the tokens before the patches have learned position embeddings."""
        given = self.num_prefix_position_embeddings
        return self.num_prefix_tokens if given is None else given

    @property
    def trained_pause_layers(self) -> tuple[int, ...]:
        """The layers that training draws from: `train_pause_layers`, or those that None stands for."""
        if self.train_pause_layers is not None:
            return tuple(self.train_pause_layers)
        return tuple(range(3 if self.num_hidden_layers > 3 else 1, min(10, self.num_hidden_layers)))

    @property
    def patch_grid(self) -> tuple[int, int]:
        """Rows and columns of patches that the position embeddings are stored for."""
        height, width = (self.image_size, self.image_size) if isinstance(self.image_size, int) else self.image_size
        return -(-height // self.patch_size), -(-width // self.patch_size)

    def validate_architecture(self) -> None:
        """Check the fields against each other; transformers calls it at construction and before saving."""
        super().validate_architecture()
        self._validate_sizes()
        for prefix in ("", "decoder_"):
            width, heads = getattr(self, f"{prefix}hidden_size"), getattr(self, f"{prefix}num_attention_heads")
            if width % heads:
                raise ValueError(
                    f"`{prefix}hidden_size` must be a multiple of `{prefix}num_attention_heads`, but they are {width} "
                    f"and {heads}."
                )
        if not isinstance(self.image_size, int) and len(self.image_size) != 2:
            raise ValueError(f"`image_size` must be an integer or (height, width), but is {self.image_size}.")
        if min(self.patch_grid) < 1:
            raise ValueError(f"`image_size` must be positive, but is {self.image_size}.")
        if self.num_register_tokens < 0:
            raise ValueError(f"`num_register_tokens` must not be negative, but is {self.num_register_tokens}.")
        choices = {
            "decoder_type": DECODER_TYPES,
            "position_embedding_type": POSITION_EMBEDDING_TYPES,
            "position_interpolation_mode": POSITION_INTERPOLATION_MODES,
        }
        for name, values in choices.items():
            if getattr(self, name) not in values:
                raise ValueError(f"`{name}` must be one of {list(values)}, but is {getattr(self, name)!r}.")
        self._validate_positions()
        self._validate_probabilities()
        self._validate_train_pauses()

    def to_dict(self) -> dict[str, Any]:
        """As transformers does; the entries by which Auto classes find code stay only where code is saved along."""
        fields = super().to_dict()
        if self._auto_class is None:
            fields.pop("auto_map", None)
        return fields

    def _validate_sizes(self) -> None:
        widths = ("num_hidden_layers", "num_attention_heads", "hidden_size", "intermediate_size")
        names = (*widths, *(f"decoder_{name}" for name in widths), "patch_size", "num_channels", "num_labels")
        for name in names:
            smallest = 0 if name == "decoder_num_hidden_layers" else 1
            if getattr(self, name) < smallest:
                raise ValueError(f"`{name}` must be at least {smallest}, but is {getattr(self, name)}.")
        for name in ("hidden_act", "decoder_hidden_act"):
            if getattr(self, name) not in ACT2FN:
                raise ValueError(f"`{name}` must be one of {sorted(ACT2FN)}, but is {getattr(self, name)!r}.")

    def _validate_positions(self) -> None:
        if not 0 <= self.num_prefix_positions <= self.num_prefix_tokens:
            raise ValueError(
                f"`num_prefix_position_embeddings` must lie between 0 and {self.num_prefix_tokens}, the number of "
                f"tokens before the patches, but is {self.num_prefix_position_embeddings}."
            )
        if self.position_embedding_type == "rotary":
            head_dim = self.hidden_size // self.num_attention_heads
            if head_dim % 4:
                raise ValueError(
                    "Rotary positions turn a half of the pairs of a head by the row and a half by the column, so "
                    f"`hidden_size` / `num_attention_heads` must be a multiple of 4, but is {head_dim}."
                )
            if self.rope_theta <= 0:
                raise ValueError(f"`rope_theta` must be positive, but is {self.rope_theta}.")

    def _validate_probabilities(self) -> None:
        names = ("hidden_dropout_prob", "attention_probs_dropout_prob", "drop_path_rate", "decoder_dropout_prob")
        for name in names:
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"`{name}` must lie in [0, 1), but is {getattr(self, name)}.")
        if not 0 <= self.auxiliary_loss_weight < math.inf:
            raise ValueError(
                f"`auxiliary_loss_weight` must be finite and not negative, but is {self.auxiliary_loss_weight}."
            )

    def _validate_train_pauses(self) -> None:
        layers, counts = self.trained_pause_layers, tuple(self.train_num_pause_layers)
        if len(set(layers)) != len(layers) or any(not 1 <= layer < self.num_hidden_layers for layer in layers):
            raise ValueError(
                f"`train_pause_layers` must be different layers from 1 to {self.num_hidden_layers - 1}, one below "
                f"`num_hidden_layers`, but is {layers}; None takes those that suit the depth."
            )
        if not counts or min(counts) < 0 or (self.num_hidden_layers > 1 and max(counts) > len(layers)):
            raise ValueError(
                f"`train_num_pause_layers` must be numbers from 0 to {len(layers)}, the number of "
                f"`train_pause_layers`, but is {counts}."
            )
        ratios = tuple(self.train_pause_ratios)
        if len(ratios) != 2 or not 0 <= ratios[0] <= ratios[1] < 1:
            raise ValueError(f"`train_pause_ratios` must be (lowest, highest) within [0, 1), but is {ratios}.")
        if self.train_pause_criterion not in CRITERIA:
            raise ValueError(
                f"`train_pause_criterion` must be one of {list(CRITERIA)}, but is {self.train_pause_criterion!r}."
            )


__all__ = ["DECODER_TYPES", "POSITION_EMBEDDING_TYPES", "POSITION_INTERPOLATION_MODES", "SIZES", "PaumerConfig"]
