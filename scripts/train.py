# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Train PAUMER as a recipe says.

    accelerate launch scripts/train.py --config scripts/recipes/NAME.yaml [--FIELD VALUE ...]

Every field of a recipe is a key of the YAML file and a flag; flags win. `--help` lists them.
"""

from paumer_hf.training import read_recipe, train


def main() -> None:
    """Read the recipe, train, and print where the results are."""
    recipe = read_recipe()
    try:
        results = train(recipe)
    except (ValueError, OSError, ArithmeticError) as error:
        raise SystemExit(f"train.py: {error}") from error
    for result in results["evaluation"]:
        print(f"{result['pause_config'] or 'dense':>24}  mIoU {100 * result['mean_iou']:.2f}")
    print(f"Models, log and results: {recipe.output_dir}")


if __name__ == "__main__":
    main()
