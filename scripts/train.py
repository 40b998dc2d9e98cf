# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Train PAUMER as a recipe says.

    accelerate launch scripts/train.py --config scripts/recipes/NAME.yaml [--FIELD VALUE ...]

Every field of a recipe is a key of the YAML file and a flag; flags win. `--help` lists them. `--dry_run` says what the
training would do, and ends with an error if it finds problems. SIGTERM ends the training after the step that it is in,
with a checkpoint and exit status 75; `--resume` goes on from there.
"""

import os
import sys

from accelerate import PartialState

from paumer_hf.training import PREEMPTED_EXIT_CODE, TrainingPreempted, TrainingRecipe, read_recipe, train
from paumer_hf.training.dry_run import describe_training, format_description


def describe(recipe: TrainingRecipe) -> None:
    """Print what the training would do in the processes of the launcher, of which the first alone does so."""
    if int(os.environ.get("RANK", 0)) != 0:
        return
    description = describe_training(recipe, num_processes=int(os.environ.get("WORLD_SIZE", 1)))
    print(format_description(description))
    if description["problems"]:
        raise SystemExit(f"train.py: the training cannot start; problems found: {len(description['problems'])}.")


def main() -> None:
    """Read the recipe, train, and print where the results are."""
    recipe = read_recipe()
    if recipe.dry_run:
        describe(recipe)
        return
    try:
        results = train(recipe)
    except TrainingPreempted as preempted:
        print(f"train.py: {preempted}", file=sys.stderr)
        sys.exit(PREEMPTED_EXIT_CODE)
    except (ValueError, OSError, ArithmeticError) as error:
        raise SystemExit(f"train.py: {error}") from error
    if PartialState().is_main_process:
        for result in results["evaluation"]:
            print(f"{result['pause_config'] or 'dense':>24}  mIoU {100 * result['mean_iou']:.2f}")
        print(f"Models, log and results: {recipe.output_dir}")


if __name__ == "__main__":
    main()
