# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What conversion from mmsegmentation refuses, and configurations in Python, which are read without being run."""

import builtins
import time

import pytest
import torch

from paumer_hf.conversion.mmsegmentation import CONFIG_TEXT_LIMIT, convert_mmsegmentation, parse_config_text
from paumer_hf.conversion.source_weights import ConversionError


@pytest.fixture
def convert(fill_state, mmseg_shapes, mmseg_model, save_mmseg):
    """A function that converts the network of `mmseg_model` with other fields of its backbone and its head."""

    def run(*, meta=None, head=None, others=None, weights=None, without=(), **backbone):
        state = fill_state(mmseg_shapes()) | (weights or {})
        state = {name: tensor for name, tensor in state.items() if not name.startswith(tuple(without))}
        model = mmseg_model(**backbone)
        model["decode_head"] |= head or {}
        return convert_mmsegmentation(save_mmseg(state, meta=meta, beside=model | (others or {})))

    return run


CONTRADICTIONS = [
    ("backbone", "embed_dims", 64, "32"),
    ("backbone", "num_layers", 12, "3"),
    ("backbone", "patch_size", 16, "8"),
    ("backbone", "in_channels", 4, "3"),
    ("backbone", "img_size", [32, 40], "16"),
    ("backbone", "img_size", 64, "16"),
    ("decode_head", "num_classes", 150, "5"),
    ("decode_head", "num_layers", 4, "2"),
    ("decode_head", "embed_dims", 32, "24"),
    ("decode_head", "in_channels", 64, "32"),
]


@pytest.mark.parametrize(("group", "field", "stated", "found"), CONTRADICTIONS)
def test_a_configuration_that_contradicts_the_weights_is_refused_with_both_values(
    group, field, stated, found, convert
):
    with pytest.raises(ConversionError) as refused:
        convert(**({field: stated} if group == "backbone" else {"head": {field: stated}}))
    message = str(refused.value)
    assert all(part in message for part in ("model_config.json", f"{group}.{field}", str(stated), found))


def test_a_linear_head_has_as_many_classes_as_stated(fill_state, mmseg_shapes, mmseg_model, save_mmseg):
    beside = mmseg_model(decoder="linear")
    beside["decode_head"]["num_classes"] = 2
    with pytest.raises(ConversionError, match=r"num_classes` is 2, but the weights have 5"):
        convert_mmsegmentation(save_mmseg(fill_state(mmseg_shapes(decoder="linear")), beside=beside))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("with_cls_token", False),
        ("pre_norm", True),
        ("patch_norm", True),
        ("final_norm", False),
        ("interpolate_mode", "nearest"),
        ("out_indices", [0, 1]),
        ("out_indices", 0),
        ("norm_cfg", {"type": "BN"}),
        ("norm_cfg", {"type": "LN", "eps": "small"}),
        ("norm_cfg", "LN"),
        ("act_cfg", {"type": "HSwish"}),
        ("num_heads", 4.0),
        ("num_heads", 5),
    ],
)
def test_what_paumer_does_not_have_is_refused_by_name(field, value, convert):
    named = "32 channels cannot be shared by 5" if value == 5 else rf"`backbone\.{field}"
    with pytest.raises(ConversionError, match=named):
        convert(**{field: value})


@pytest.mark.parametrize("out_indices", [-1, 2, [2], [0, 1, 2]])
def test_the_last_layer_may_be_named(out_indices, convert):
    assert convert(out_indices=out_indices).config["num_hidden_layers"] == 3


def test_a_head_on_another_than_the_last_layer_is_refused(convert):
    assert convert(out_indices=[2, 0], head={"in_index": 0}).has_decoder
    with pytest.raises(ConversionError, match="out_indices"):
        convert(out_indices=[0, 2], head={"in_index": 0})
    for index in (2, [0, 1], "last"):
        with pytest.raises(ConversionError, match="in_index"):
            convert(out_indices=[0, 2], head={"in_index": index})


def test_several_heads_are_refused(convert):
    with pytest.raises(ConversionError, match="`decode_head` is"):
        convert(others={"decode_head": [{"type": "FCNHead"}, {"type": "FCNHead"}]})


def test_an_epsilon_of_zero_is_a_number(convert):
    epsilon = convert(norm_cfg={"type": "LN", "eps": 0}).config["layer_norm_eps"]
    assert isinstance(epsilon, float)
    assert epsilon == 0


def test_aligned_corners_are_noted(convert):
    assert "aligned corners" in convert(head={"align_corners": True}).notes[1]


def test_positions_that_are_no_square_need_an_image_size(fill_state, mmseg_shapes, save_mmseg):
    source = save_mmseg(fill_state(mmseg_shapes(grid=(3, 5))))
    with pytest.raises(ConversionError, match=r"15 position embeddings.*`img_size` in model_config\.json"):
        convert_mmsegmentation(source, num_attention_heads=4)


def test_a_network_without_final_normalisation_is_refused(convert):
    with pytest.raises(ConversionError, match="no final normalisation"):
        convert(without=["backbone.ln1."])


def test_other_heads_are_refused(convert):
    with pytest.raises(ConversionError, match=r"no place for 1 of the weights, 'decode_head\.convs\.0\.conv\.weight'"):
        convert(weights={"decode_head.convs.0.conv.weight": torch.zeros(3)})
    with pytest.raises(ConversionError, match="neither Segmenter's mask transformer"):
        convert(weights={"decode_head.mlp.weight": torch.zeros(3)}, without=["decode_head.cls_emb"])
    kernel = {"decode_head.conv_seg.weight": torch.zeros(5, 32, 3, 3)}
    with pytest.raises(ConversionError, match=r"'decode_head\.conv_seg\.weight' has the shape"):
        convert(weights=kernel, without=["decode_head.cls_emb"])


def test_a_missing_weight_is_named(convert):
    with pytest.raises(ConversionError, match=r"'backbone\.layers\.1\.attn\.attn\.in_proj_weight' is missing"):
        convert(without=["backbone.layers.1.attn.attn.in_proj_weight"])


@pytest.mark.parametrize(
    "norm",
    [
        {"mean": [1, 2], "std": [1, 1, 1]},
        {"mean": [1, 2, 3], "std": [1, 0, 1]},
        {"mean": [1, 2, float("nan")], "std": [1, 1, 1]},
        {"mean": [1, 2, 10**400], "std": [1, 1, 1]},
        {"mean": "grey", "std": [1, 1, 1]},
    ],
)
def test_a_normalization_other_than_of_three_channels_is_refused(norm, convert):
    with pytest.raises(ConversionError, match=r"data_preprocessor\.(mean|std)` is .*three numbers"):
        convert(others={"data_preprocessor": norm})


# --- configurations in Python ---


def test_literals_are_read():
    text = "a = dict(b=[1, -2.5, (True, None)], c={'d': 'e', 1: 2})\nf = g = 'h'\n"
    assert parse_config_text(text) == {"a": {"b": [1, -2.5, [True, None]], "c": {"d": "e", 1: 2}}, "f": "h", "g": "h"}
    assert parse_config_text("{'model': dict(type='x'), 'a-b': 1}") == {"model": {"type": "x"}, "a-b": 1}


def test_everything_else_is_skipped_or_stands_as_a_placeholder():
    text = (
        "import os\n_base_ = ['x.py']\nx = 3\ndef f(): pass\nx.y = 1\nx += 1\n"
        "model = dict(a=x, b=f(1), c=[x], d=1 + 1, e={{_base_.y}}, f=dict([('a', 1)]), **x)\n"
    )
    variables = parse_config_text(text)
    assert set(variables) == {"_base_", "x", "model"}
    assert variables["x"] == 3
    assert set(variables["model"]) == set("abcdef")
    placeholders = [*"abdef"]
    assert all(repr(variables["model"][name]) == "computed in line 7" for name in placeholders)
    assert repr(variables["model"]["c"]) == "[computed in line 7]"


def test_a_field_that_is_computed_is_refused_where_it_is_needed(fill_state, mmseg_shapes, save_mmseg):
    state = fill_state(mmseg_shapes())
    text = "model = dict(backbone=dict(num_heads={}, drop_rate=1 / 8), decode_head=dict(num_heads=3))"
    assert convert_mmsegmentation(save_mmseg(state, meta={"cfg": text.format(4)})).config["num_attention_heads"] == 4
    with pytest.raises(ConversionError, match=r"`backbone\.num_heads` is computed in line 1"):
        convert_mmsegmentation(save_mmseg(state, meta={"cfg": text.format("2 * 2")}))


def test_nothing_in_a_configuration_is_run(tmp_path, monkeypatch):
    def forbid(*args, **kwargs):
        raise AssertionError("something was evaluated")

    for name in ("eval", "exec"):
        monkeypatch.setattr(builtins, name, forbid)
    target = tmp_path / "made"
    attack = f"__import__('pathlib').Path({str(target)!r}).touch()"
    text = (
        f"{attack}\nmodel = {attack}\nmodel = dict(a={attack}, b=[{attack}])\ndict = lambda **k: {attack}\n"
        f'x = dict()\n@{attack}\nclass A({attack}): pass\nf"""{{{attack}}}"""\nwhile True: pass\n'
    )
    assert parse_config_text(text)["model"].keys() == {"a", "b"}
    assert not target.exists()


HOSTILE = {
    "too long": "a = 1\n" * (CONFIG_TEXT_LIMIT // 6 + 1),
    "no Python": "backbone: {type: VisionTransformer}\n  x",
    "null": "a = '\0'",
    "surrogate": "a = '\ud800'",
    "brackets": "(" * 100_000,
    "open dictionaries": "a = " + "dict(a=" * 190,
    "signs": "a = " + "-" * 100_000 + "1",
    "sum": "a = " + "1 + " * 50_000 + "1",
    "attributes": "a = b" + ".c" * 50_000,
    "digits": "a = " + "9" * 100_000,
    "branches": "if a: pass\n" + "elif a: pass\n" * 20_000,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_texts_end_soon_with_a_refusal(kind):
    begin = time.process_time()
    with pytest.raises(ValueError, match=r"characters|cannot be parsed"):
        parse_config_text(HOSTILE[kind])
    assert time.process_time() - begin < 10


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 190 + "]" * 190, "a = 0x" + "f" * 100_000, "a = 2 ** 9 ** 9 ** 9", ""]
)
def test_odd_texts_are_read(text):
    assert len(parse_config_text(text)) == bool(text)


def test_an_integer_of_thousands_of_digits_is_refused_by_name(fill_state, mmseg_shapes, save_mmseg):
    text = f"model = dict(backbone=dict(num_heads=0x{'f' * 9000}), decode_head=dict())"
    with pytest.raises(ConversionError, match=r"backbone\.num_heads` is a number of thousands of digits"):
        convert_mmsegmentation(save_mmseg(fill_state(mmseg_shapes()), meta={"cfg": text}))


def test_an_unreadable_text_is_refused_unless_the_configuration_lies_beside(
    fill_state, mmseg_shapes, mmseg_model, save_mmseg
):
    state, meta = fill_state(mmseg_shapes()), {"cfg": "model = dict("}
    with pytest.raises(ConversionError, match=r"`meta` of the file cannot be read.*model_config\.json"):
        convert_mmsegmentation(save_mmseg(state, meta=meta))
    converted = convert_mmsegmentation(save_mmseg(state, meta=meta, beside=mmseg_model()))
    assert any("was not read" in note for note in converted.notes)
    assert converted.config["num_attention_heads"] == 4
