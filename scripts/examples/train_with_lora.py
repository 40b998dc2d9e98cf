# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Teach a trained PAUMER other classes with LoRA: small matrices beside its attention projections, and a new head.

    pip install "paumer_hf[peft]"
    python scripts/examples/train_with_lora.py --model FOLDER_OR_HUB_ID --output_dir runs/lora \
        [--dataset camvid --dataset_path FOLDER] [--push_to_hub --hub_model_id USER/NAME] [any TrainingArguments flag]

Writes `adapter`, the new weights alone, for peft's `PeftModel.from_pretrained`; and `merged`, a whole model with the
presets of the original, for `from_pretrained`. A page on the Hub gets both, and the adapter at its top too.
"""

import copy
from dataclasses import dataclass, field
from pathlib import Path

from transformers import HfArgumentParser, Trainer, TrainingArguments

from paumer_hf import PaumerForSemanticSegmentation, PaumerImageProcessor
from paumer_hf.data import get_dataset_description, load_segmentation_dataset


# The projections of the encoder; the decoder, which has attention of its own, is trained whole.
PROJECTIONS = r"paumer\.encoder\..*\.(q_proj|k_proj|v_proj|o_proj)"
HEADS = ["decoder", "auxiliary_head"]


@dataclass
class ExampleArguments:
    """What TrainingArguments does not say."""

    model: str = field(metadata={"help": "folder or Hub id of a PAUMER checkpoint"})
    dataset: str = field(default="street_scenes", metadata={"help": "name of a known data set"})
    dataset_path: str | None = field(default=None, metadata={"help": "folder or Hub id where it lies"})
    rank: int = field(default=8, metadata={"help": "rank of the matrices"})


def train(example: ExampleArguments, arguments: TrainingArguments) -> None:
    """Train, save the adapter and the merged model, and push if asked to."""
    try:
        import peft
    except ImportError as error:
        raise ImportError("LoRA needs peft. Install it with: pip install 'paumer_hf[peft]'") from error
    description = get_dataset_description(example.dataset)
    train_split, validation_split = (
        load_segmentation_dataset(description, split, example.dataset_path) for split in ("train", "validation")
    )
    base = PaumerForSemanticSegmentation.from_pretrained(
        example.model, id2label=dict(enumerate(description.class_names)), ignore_mismatched_sizes=True
    )
    base.pause_profile = None  # what was measured with the old classes
    processor = PaumerImageProcessor.from_pretrained(example.model)
    lora = peft.LoraConfig(
        r=example.rank, lora_alpha=2 * example.rank, target_modules=PROJECTIONS, modules_to_save=HEADS
    )
    model = peft.get_peft_model(base, lora)
    model.print_trainable_parameters()

    def collate(samples):
        """A batch as the model takes it."""
        images, label_maps = [sample.image for sample in samples], [sample.annotation for sample in samples]
        return dict(processor(images, label_maps, return_tensors="pt"))

    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=train_split,
        eval_dataset=validation_split,
        processing_class=processor,
        data_collator=collate,
    )
    trainer.train(resume_from_checkpoint=arguments.resume_from_checkpoint)

    output = Path(arguments.output_dir)
    model.save_pretrained(output / "adapter")
    merged = copy.deepcopy(model).merge_and_unload()  # a copy, as the adapter is pushed after it
    merged.save_pretrained(output / "merged")
    processor.save_pretrained(output / "merged")
    print(f"Adapter: {output / 'adapter'}; merged model: {output / 'merged'}")
    if arguments.push_to_hub:
        trainer.push_to_hub()


def main() -> None:
    """Read the arguments and train; say in one sentence what is wrong with them."""
    try:
        train(*HfArgumentParser((ExampleArguments, TrainingArguments)).parse_args_into_dataclasses())
    except (ValueError, OSError, ImportError) as error:
        raise SystemExit(f"train_with_lora.py: {' '.join(str(error).split())}") from error


if __name__ == "__main__":
    main()
