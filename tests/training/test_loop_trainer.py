# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""transformers' own Trainer trains PAUMER: sampling is in the model's forward, not in a loop of ours."""

import torch
from transformers import Trainer, TrainingArguments

from paumer_hf import PaumerConfig, PaumerForSemanticSegmentation, PauseConfig


def test_the_trainer_samples_pauses_and_saves_presets(tmp_path):
    config = PaumerConfig(
        image_size=16, patch_size=8, hidden_size=16, num_hidden_layers=4, num_attention_heads=2, num_labels=3
    )
    model = PaumerForSemanticSegmentation(config)
    model.pause_presets["fast"] = PauseConfig({2: 0.5})
    before = {name: value.clone() for name, value in model.state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    samples = [
        {
            "pixel_values": torch.rand(3, 16, 16, generator=generator),
            "labels": torch.randint(3, (16, 16), generator=generator),
        }
        for _ in range(8)
    ]
    arguments = TrainingArguments(
        str(tmp_path), per_device_train_batch_size=2, max_steps=3, use_cpu=True, report_to=[], disable_tqdm=True
    )
    trainer = Trainer(model=model, args=arguments, train_dataset=samples)
    trainer.train()
    trainer.save_model(str(tmp_path / "saved"))

    assert model.pause_sampler.num_drawn == 3
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == set(before)
    saved = PaumerForSemanticSegmentation.from_pretrained(tmp_path / "saved")
    assert saved.pause_presets == {"fast": PauseConfig({2: 0.5})}
