# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Train PAUMER on a pretrained vision transformer with transformers' own Trainer.

    python scripts/examples/train_with_trainer.py --backbone FOLDER_OR_HUB_ID --output_dir runs/trainer \
        [--dataset camvid --dataset_path FOLDER] [--push_to_hub --hub_model_id USER/NAME] [any TrainingArguments flag]

The model samples pauses by itself while it is in training mode and is given labels. It is evaluated and saved with the
default pauses of `--pause_config`, without any if it is not given.
"""

from dataclasses import dataclass, field

import torch
from transformers import HfArgumentParser, Trainer, TrainingArguments

from paumer_hf import PaumerForSemanticSegmentation, PaumerImageProcessor, PauseConfig
from paumer_hf.data import get_dataset_description, load_segmentation_dataset
from paumer_hf.evaluation.mean_iou_metric import MeanIoU


@dataclass
class ExampleArguments:
    """What TrainingArguments does not say."""

    backbone: str = field(metadata={"help": "folder or Hub id of a ViT, DeiT, DINOv2 or DINOv3"})
    dataset: str = field(default="street_scenes", metadata={"help": "name of a known data set"})
    dataset_path: str | None = field(default=None, metadata={"help": "folder or Hub id where it lies"})
    image_size: int = field(default=128, metadata={"help": "height and width that images are resized to"})
    pause_config: str = field(default="", metadata={"help": "default pauses of the model, such as 3:0.4,5:0.4"})


class PreparedSamples(torch.utils.data.Dataset):
    """Samples as the model takes them: images and label maps resized by the image processor, without augmentation."""

    def __init__(self, samples, processor):
        self.samples, self.processor = samples, processor

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        sample = self.samples[index]
        batch = self.processor(sample.image, sample.annotation, return_tensors="pt")
        return {name: values[0] for name, values in batch.items()}


def train(example: ExampleArguments, arguments: TrainingArguments) -> None:
    """Train, evaluate, save, and push if asked to."""
    description = get_dataset_description(example.dataset)
    id2label = dict(enumerate(description.class_names))
    side = example.image_size

    model = PaumerForSemanticSegmentation.from_backbone(example.backbone, id2label=id2label, image_size=side)
    model.pause_config = PauseConfig.from_text(example.pause_config)
    model.pause_presets["fast"] = PauseConfig({model.config.num_hidden_layers // 2: 0.5})
    processor = PaumerImageProcessor.from_backbone(
        example.backbone, size={"height": side, "width": side}, size_divisor=model.config.patch_size
    )
    train_split, validation_split = (
        PreparedSamples(load_segmentation_dataset(description, split, example.dataset_path), processor)
        for split in ("train", "validation")
    )

    metric = MeanIoU()

    def label_maps(logits, labels):
        """Keep of each batch its label maps alone: the logits would be many times as large."""
        return model.upsample_logits(logits, labels.shape[1:]).argmax(1)

    def compute_metrics(evaluated, compute_result):
        """Count a batch, and with the last one say what all gave; nothing but the counts is kept."""
        metric.add_batch(predictions=evaluated.predictions, references=evaluated.label_ids)
        if not compute_result:
            return {}
        results = metric.compute(num_labels=len(id2label), ignore_index=255)
        return {name: float(results[name]) for name in ("mean_iou", "mean_accuracy", "overall_accuracy")}

    arguments.batch_eval_metrics = True
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=train_split,
        eval_dataset=validation_split,
        processing_class=processor,
        compute_metrics=compute_metrics,
        preprocess_logits_for_metrics=label_maps,
    )
    trainer.train(resume_from_checkpoint=arguments.resume_from_checkpoint)
    trainer.save_model()
    trainer.save_metrics("eval", trainer.evaluate())
    if arguments.push_to_hub:
        trainer.push_to_hub()


def main() -> None:
    """Read the arguments and train; say in one sentence what is wrong with them."""
    try:
        train(*HfArgumentParser((ExampleArguments, TrainingArguments)).parse_args_into_dataclasses())
    except (ValueError, OSError, ImportError) as error:
        raise SystemExit(f"train_with_trainer.py: {' '.join(str(error).split())}") from error


if __name__ == "__main__":
    main()
