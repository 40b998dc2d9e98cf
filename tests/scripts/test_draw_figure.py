# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Figures by the script: what each writes, and what it refuses."""

import json

import numpy as np
import pytest
from PIL import Image

from paumer_hf import PaumerImageProcessor, PauseConfig
from paumer_hf.figures import drawing


ROWS = [
    {"pause_config": text, "criterion": "entropy", "mean_iou": mean_iou, "images_per_second": images_per_second}
    for text, mean_iou, images_per_second in (
        ("", 0.44, 5.0),
        ("3:0.2", 0.43, 6.0),
        ("3:0.4", 0.42, 7.0),
        ("3:0.4,5:0.4", 0.41, 8.0),
    )
]


@pytest.fixture(scope="module")
def folder(make_model, make_tiny_config, tmp_path_factory):
    """A folder with a model, labelled images, and results."""
    pytest.importorskip("matplotlib")
    folder = tmp_path_factory.mktemp("draw")
    model = make_model(make_tiny_config())
    model.pause_presets = {"fast": PauseConfig({1: 0.5, 2: 0.5})}
    model.save_pretrained(folder / "model")
    PaumerImageProcessor(size_divisor=8).save_pretrained(folder / "model")
    _write_data(folder / "data")
    conditions = {"device": "a CPU", "num_threads": 1}
    for name, rows in {"search": ROWS, "timed": [{**row, "mean_iou": None} for row in ROWS]}.items():
        (folder / f"{name}.json").write_text(json.dumps({"conditions": conditions, "results": rows}))
    published = "groups: [{name: A, source: b, device: c, protocol: d, results: [{architecture: X, family: merging, "
    published += "backbone: S, dataset: ade20k, speedup: 1.2, mean_iou_change: -1}]}]"
    (folder / "published.yaml").write_text(published)
    return folder


def _write_data(folder):
    """Three labelled images, and three without labels."""
    generator = np.random.default_rng(0)
    for split, labels in (("validation", [0, 1, 2, 255]), ("test", [255])):
        (folder / split).mkdir(parents=True)
        for number in range(3):
            for kind, shape in (("image", (30, 50, 3)), ("annotation", (30, 50))):
                pixels = generator.integers(0, 256, shape) if kind == "image" else generator.choice(labels, shape)
                Image.fromarray(pixels.astype(np.uint8)).save(folder / split / f"{kind}_{number}.png")
        lines = [
            {"image_file_name": f"image_{number}.png", "annotation_file_name": f"annotation_{number}.png"}
            for number in range(3)
        ]
        (folder / split / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def draw(folder, run_script, tmp_path, monkeypatch):
    """A function that runs the script where all of `folder` seems to lie."""
    for path in folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(drawing, "DPI", 100)  # half as fine: pictures take most of the time

    def run(figure, *arguments, output="figures/figure.png"):
        run_script("draw_figure.py", figure, *arguments, "--output", output)
        with Image.open(output) as picture:
            assert min(picture.size) > 3 * drawing.DPI
        return picture

    return run


MODEL = ("--model", "model", "--device", "cpu")
DATA = (*MODEL, "--dataset", "data", "--dataset_path", "data")


@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        (("pause_map", *MODEL, "--image", "data/test/image_0.png", "--pause_config", "fast"), [".png"]),
        (("pause_map", *DATA, "--sample", "1", "--pause_config", "1:0.4", "--window_size", "16", "24"), [".png"]),
        (("trade_off", "--results", "search.json", "search.json", "--titles", "one", "two"), [".png"]),
        (
            ("architectures", "--results", "search.json", "--dataset", "camvid", "--published", "published.yaml"),
            [".png"],
        ),
        (("single_layer_sweep", "--results", "timed.json"), [".png"]),
        (("two_layer_sweep", "--results", "search.json", "--first", "3:0.4"), [".png"]),
        (("first_correct_layer", *DATA, "--sample", "2", "--share", "1"), [".json", ".png"]),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_figures_are_written_and_named(arguments, written, draw, tmp_path, capsys):
    draw(*arguments)
    assert sorted(path.suffix for path in (tmp_path / "figures").iterdir()) == written
    assert sorted(line.strip() for line in capsys.readouterr().out.splitlines()) == [
        f"figures/figure{suffix}" for suffix in written
    ]


def test_violins_are_the_same_when_drawn_again_from_their_file(draw, tmp_path, capsys):
    draw("entropy_violins", *DATA, "--share", "0.5")
    contents = json.loads((tmp_path / "figures" / "figure.json").read_text())
    assert contents["conditions"]["num_images"] == 2
    assert contents["conditions"]["dataset"] == "data"
    assert [result["layer"] for result in contents["results"]] == [1, 2, 3, 4]
    draw("entropy_violins", "--results", "figures/figure.json", output="again.png")
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "figures" / "figure.png").read_bytes()
    assert not (tmp_path / "again.json").exists()
    assert capsys.readouterr().out.splitlines()[-1] == "again.png"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("pause_map", *MODEL, "--pause_config", "fast"), "Name either --image, a file, or --sample"),
        (("pause_map", *MODEL, "--image", "data/test/image_0.png", "--pause_config", "4:0.5"), "names layer 4"),
        (("pause_map", *MODEL, "--image", "data/test/image_0.png", "--pause_config", "dense"), "but is dense"),
        (("pause_map", *MODEL, "--image", "none.png", "--pause_config", "fast"), "none.png does not exist"),
        (("pause_map", *MODEL, "--sample", "0", "--pause_config", "fast"), "Name the data set by --dataset"),
        (("entropy_violins",), "Name either --model and --dataset to measure, or --results"),
        (("entropy_violins", "--results", "search.json"), "search.json has no .*first_correct"),
        (("entropy_violins", *DATA, "--share", "0"), "`share` must lie in"),
        (("entropy_violins", *DATA, "--window_size", "12", "16"), "multiples of the patch size, 8"),
        (("entropy_violins", *DATA, "--split", "test"), "No patch has a label"),
        (("entropy_violins", *MODEL, "--dataset", "camvid", "--dataset_path", "data"), "model has 3 classes"),
        (("trade_off", "--results", "timed.json"), "No row of timed.json has mean_iou"),
        (("trade_off", "--results", "nowhere.json"), "nowhere.json"),
        (("trade_off", "--results", "search.json", "search.json"), "`titles` must be a different one for each"),
        (("architectures", "--results", "search.json", "--published", "published.yaml"), "Name it by --dataset"),
        (("architectures", "--results", "search.json", "--published", "no.yaml"), "no.yaml"),
        (("single_layer_sweep", "--results", "published.yaml"), "is no JSON file"),
        (("two_layer_sweep", "--results", "search.json", "--first", "3:0.4,5:0.4"), "`first` must be one LAYER:RATIO"),
        (("two_layer_sweep", "--results", "search.json", "--first", "4:0.4"), "no configuration of two pause layers"),
        (("first_correct_layer", *DATA, "--sample", "3"), "`sample` must be a number below 3"),
        (("first_correct_layer", *DATA, "--split", "test", "--sample", "0"), "No patch has a label"),
    ],
)
def test_errors_are_one_message(arguments, message, draw, tmp_path):
    with pytest.raises(SystemExit, match=message) as error:
        draw(*arguments)
    assert str(error.value).startswith("draw_figure.py: ")
    assert not (tmp_path / "figures" / "figure.png").exists()


def test_unknown_figures_and_formats_are_refused(draw, capsys):
    with pytest.raises(SystemExit) as error:
        draw("figure_7")
    assert error.value.code == 2
    assert "invalid choice: 'figure_7'" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="must name a PNG file, but is figure"):
        draw("trade_off", "--results", "search.json", output="figure.pdf")
