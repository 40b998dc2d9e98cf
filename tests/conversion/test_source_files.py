# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
import os
import random
import re
import sys
import types
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from paumer_hf.conversion.source_files import read_source
from paumer_hf.conversion.source_weights import ConversionError


WEIGHTS = {
    "encoder.weight": torch.arange(12.0).reshape(3, 4),
    "encoder.bias": torch.tensor([0.5, -1.0, 3.0], dtype=torch.float16),
    "steps": torch.tensor(7),
}


def save_legacy(weights, path):
    torch.save(weights, path, _use_new_zipfile_serialization=False)


def save_compressed(weights, path):
    torch.save(weights, path)
    rewrite(path, lambda name, data: data, zipfile.ZIP_DEFLATED)


def save_npz(weights, path):
    np.savez(path, **{key: value.numpy() for key, value in weights.items()})


def rewrite(path, change, compression=zipfile.ZIP_STORED):
    """Write the entries of a zip archive again, each as `change` makes it of its name and data."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: change(name, archive.read(name)) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)


FORMATS = [
    pytest.param("w.pth", torch.save, id="pth"),
    pytest.param("w.pt", torch.save, id="pt"),
    pytest.param("w.bin", torch.save, id="bin"),
    pytest.param("W.CKPT", torch.save, id="ckpt"),
    pytest.param("w.pth", save_legacy, id="legacy"),
    pytest.param("w.pth", save_compressed, id="compressed"),
    pytest.param("w.safetensors", save_file, id="safetensors"),
    pytest.param("w.npz", save_npz, id="npz"),
]


def assert_same(tensors, expected=WEIGHTS):
    assert set(tensors) == set(expected)
    for key, tensor in expected.items():
        assert tensors[key].dtype == tensor.dtype
        assert torch.equal(tensors[key], tensor)


# --- formats ---


@pytest.mark.parametrize(("name", "save"), FORMATS)
def test_every_format_gives_back_the_weights(tmp_path, name, save):
    path = tmp_path / name
    save(WEIGHTS, path)
    source = read_source(str(path))
    assert_same(source.tensors)
    assert (source.name, source.path) == (str(path), path)
    assert (source.metadata, source.config, source.processor) == ({}, None, None)


def damage_half(data):
    return data[: len(data) // 2]


def damage_start(data):
    return b"\xff" * 16 + data[16:]


DAMAGES = [lambda data: b"", damage_half, damage_start, lambda data: b"<html>not found</html>", lambda data: data[:-1]]


@pytest.mark.parametrize("damage", DAMAGES, ids=["empty", "half", "start", "html", "end"])
@pytest.mark.parametrize(("name", "save"), FORMATS)
def test_a_damaged_file_is_refused_in_one_sentence(tmp_path, name, save, damage):
    path = tmp_path / name
    save(WEIGHTS, path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ConversionError) as caught:
        read_source(path)
    sentence = rf"{re.escape(str(path))} cannot be read: .+; it may be incomplete, download it again.*\."
    assert re.fullmatch(sentence, str(caught.value)), str(caught.value)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize(("name", "save"), FORMATS)
def test_no_damaged_byte_raises_anything_but_conversion_error(tmp_path, name, save):
    path = tmp_path / name
    save({"model": WEIGHTS} if save in (torch.save, save_legacy) else WEIGHTS, path)
    whole, generator, num_refused = path.read_bytes(), random.Random(0), 0
    for _ in range(50):
        data = bytearray(whole)
        for _ in range(3):
            data[generator.randrange(len(data))] = generator.randrange(256)
        path.write_bytes(data)
        try:
            read_source(path)
        except ConversionError:
            num_refused += 1
    assert num_refused


def test_a_pickle_that_ends_too_early_is_damage(tmp_path):
    torch.save(WEIGHTS, tmp_path / "w.pth")
    rewrite(tmp_path / "w.pth", lambda name, data: data[:-10] if name.endswith("data.pkl") else data)
    with pytest.raises(ConversionError, match="it may be incomplete, download it again"):
        read_source(tmp_path / "w.pth")


def test_other_suffixes_are_refused_with_the_known_ones(tmp_path):
    (tmp_path / "w.onnx").write_bytes(b"1")
    with pytest.raises(ConversionError, match=r"w\.onnx.*\.pth, \.pt, \.bin, \.ckpt, \.safetensors, \.npz"):
        read_source(tmp_path / "w.onnx")


@pytest.mark.parametrize(("name", "save"), [("w.safetensors", save_file), ("w.npz", save_npz), ("w.pth", torch.save)])
def test_a_file_without_weights_is_refused(tmp_path, name, save):
    save({}, tmp_path / name)
    with pytest.raises(ConversionError, match=r"holds no weights|must be one of tensors"):
        read_source(tmp_path / name)


@pytest.mark.parametrize(
    "array", [np.zeros(2, "V2"), np.array([{}], object), np.array(["a"])], ids=["bfloat16", "object", "text"]
)
def test_arrays_that_hold_no_numbers_are_refused(tmp_path, array):
    np.savez(tmp_path / "w.npz", good=np.zeros(2), bad=array)
    with pytest.raises(ConversionError, match="'bad' holds no numbers that NumPy knows"):
        read_source(tmp_path / "w.npz")


def test_arrays_of_the_other_byte_order_are_read(tmp_path):
    np.savez(tmp_path / "w.npz", a=np.array([1.5, -2.0], ">f4"))
    assert_same(read_source(tmp_path / "w.npz").tensors, {"a": torch.tensor([1.5, -2.0])})


# --- containers ---

OTHERS = {key: value + 1 for key, value in WEIGHTS.items()}


@pytest.mark.parametrize(
    ("content", "metadata"),
    [
        (
            {"model": WEIGHTS, "n_cls": 5, "optimizer": {"state": {}}, "lr_scheduler": {}, "epoch": 3},
            ["n_cls", "epoch"],
        ),
        ({"state_dict": WEIGHTS, "meta": {"iter": 1}, "message_hub": {}, "param_schedulers": []}, ["meta"]),
        ({"state_dict_ema": WEIGHTS, "model": "vit", "amp": {}, "scaler": {}, "optim": {}}, ["model"]),
        ({"model_ema": WEIGHTS}, []),
        ({"state_dict_ema": OTHERS, "state_dict": WEIGHTS}, ["state_dict_ema"]),
    ],
    ids=["segmenter", "mmsegmentation", "averaged", "averaged_model", "plain_before_averaged"],
)
def test_containers_are_opened_and_the_training_state_left(tmp_path, content, metadata):
    torch.save(content, tmp_path / "w.pth")
    source = read_source(tmp_path / "w.pth")
    assert_same(source.tensors)
    assert list(source.metadata) == metadata


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.ones(1)], "holds a list"),
        ({"teacher": WEIGHTS, "student": WEIGHTS}, r"keys \['teacher', 'student'\]"),
        ({"model": {**WEIGHTS, "name": "vit"}}, "'name' holds a str"),
        ({"model": {"encoder": WEIGHTS}}, "'encoder' holds a dict"),
        ({"model": {3: torch.ones(1)}}, "3 holds a Tensor"),
        ({"a": torch.eye(2).to_sparse()}, "'a' holds a Tensor, but weights are plain tensors"),
        ({"a": torch.ones(2, device="meta")}, "'a' holds a Tensor, but weights are plain tensors"),
    ],
    ids=["list", "keys", "text", "nested", "number", "sparse", "meta"],
)
def test_containers_of_other_things_are_refused(tmp_path, content, message):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(ConversionError, match=message):
        read_source(tmp_path / "w.pth")


def test_the_prefix_of_distributed_training_is_removed_if_all_have_it(tmp_path):
    torch.save({"state_dict": {f"module.{key}": value for key, value in WEIGHTS.items()}}, tmp_path / "all.pth")
    assert_same(read_source(tmp_path / "all.pth").tensors)
    some = {"module.a": torch.ones(1), "b": torch.ones(1)}
    torch.save(some, tmp_path / "some.pth")
    assert_same(read_source(tmp_path / "some.pth").tensors, some)


def test_parameters_come_without_gradients(tmp_path):
    torch.save({"a": torch.nn.Parameter(torch.ones(2))}, tmp_path / "w.pth")
    assert not read_source(tmp_path / "w.pth").tensors["a"].requires_grad


# --- objects in pickles ---

NUMBERS = np.array([[1.5, 2.0, -1.0], [0.0, 4.0, 8.0]])
META = {
    "score": np.float64(0.25),
    "best": np.bool_(True),
    "palette": np.asfortranarray(NUMBERS),
    "reversed": NUMBERS.astype(">f4"),
    "empty": np.array([]),
    "classes": np.array(["wall", "sky"]),
    "objects": np.array([None, "x"], object),
    "single": np.array(3),
    "day": np.datetime64("2026-01-01"),
}
READ_META = {
    **{"score": 0.25, "best": True, "palette": NUMBERS.tolist(), "reversed": NUMBERS.tolist(), "empty": []},
    **{"classes": ["wall", "sky"], "objects": [None, "x"], "single": [3], "day": None},
}


@pytest.fixture
def mmengine_checkpoint(tmp_path, monkeypatch):
    """A checkpoint with the objects that mmengine leaves in it, whose classes do not exist when it is read."""

    class HistoryBuffer:
        def __init__(self):
            self.log_history, self.count_history = np.array([0.5, 0.25]), np.array([], dtype=np.int64)

        def mean(self):
            raise AssertionError("nothing of the file is run")

        def __getstate__(self):
            return {**self.__dict__, "statistics_methods": {"mean": HistoryBuffer.mean}}

        def __setstate__(self, state):
            raise AssertionError("nothing of the file is run")

    module = types.ModuleType("mmengine.logging.history_buffer")
    HistoryBuffer.__module__ = HistoryBuffer.mean.__module__ = module.__name__
    HistoryBuffer.__qualname__, HistoryBuffer.mean.__qualname__ = "HistoryBuffer", "HistoryBuffer.mean"
    module.HistoryBuffer = HistoryBuffer
    content = {"state_dict": WEIGHTS, "meta": META, "message_hub": {"log_scalars": {"loss": HistoryBuffer()}}}
    with monkeypatch.context() as patch:
        for name in ("mmengine", "mmengine.logging"):
            patch.setitem(sys.modules, name, types.ModuleType(name))
        patch.setitem(sys.modules, module.__name__, module)
        torch.save(content, tmp_path / "iter_80000.pth")
    assert "mmengine" not in sys.modules
    return tmp_path / "iter_80000.pth"


@pytest.mark.parametrize("core", [b"numpy._core.multiarray", b"numpy.core.multiarray"], ids=["numpy2", "numpy1"])
def test_checkpoints_of_mmengine_are_read(mmengine_checkpoint, core):
    rewrite(mmengine_checkpoint, lambda _, data: re.sub(rb"numpy\._?core\.multiarray", core, data))
    source = read_source(mmengine_checkpoint)
    assert_same(source.tensors)
    assert source.metadata == {"meta": READ_META}


class Reduced:
    """Pickles as the call that is given."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call

    def __call__(self):
        """Only what can be called is pickled as a function to call."""


def test_an_array_with_a_forged_type_touches_no_memory(tmp_path):
    # The type claims to hold pointers and that these need no care; NumPy would follow them and crash.
    forged = Reduced(np.dtype, ("O", False, True), (3, "|", None, None, None, -1, -1, 0))
    array = Reduced(np._core.multiarray._reconstruct, (np.ndarray, (0,), b"b"), (1, (2,), forged, False, b"A" * 16))
    torch.save({"model": WEIGHTS, "array": array}, tmp_path / "w.pth")
    assert read_source(tmp_path / "w.pth").metadata == {"array": []}


REMEDY = re.escape('torch.save({"state_dict": checkpoint["state_dict"], "meta": {}}, path)')


@pytest.mark.parametrize("save", [torch.save, save_legacy])
def test_code_in_a_pickle_is_named_and_not_run(tmp_path, save):
    marker = tmp_path / "marker"
    save({"model": WEIGHTS, "args": Reduced(os.system, (f"touch {marker}",))}, tmp_path / "w.pth")
    with pytest.raises(ConversionError, match=rf"the Python object '\w+\.system', which only running code .*{REMEDY}"):
        read_source(tmp_path / "w.pth")
    assert not marker.exists()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("protocol", [0, 3, 4, 5])
def test_code_in_a_pickle_of_another_protocol_is_not_run(tmp_path, protocol):
    marker = tmp_path / "marker"
    content = {"model": WEIGHTS, "args": Reduced(os.system, (f"touch {marker}",))}
    torch.save(content, tmp_path / "w.pth", pickle_protocol=protocol)
    with pytest.raises(ConversionError):
        read_source(tmp_path / "w.pth")
    assert not marker.exists()


def test_attributes_in_a_pickle_cannot_be_called(tmp_path):
    name = Reduced(getattr, ("some text", "upper"))
    torch.save({"model": WEIGHTS, "args": Reduced(name, ())}, tmp_path / "w.pth")
    with pytest.raises(ConversionError, match="which only running code could rebuild"):
        read_source(tmp_path / "w.pth")


def test_objects_of_a_program_are_named(tmp_path):
    torch.save({"model": WEIGHTS, "args": types.SimpleNamespace(a=1)}, tmp_path / "w.pth")
    with pytest.raises(ConversionError, match=r"the Python object 'types\.SimpleNamespace', .*" + REMEDY):
        read_source(tmp_path / "w.pth")


def test_what_the_program_allows_elsewhere_is_neither_used_nor_lost(tmp_path):
    torch.save({"model": WEIGHTS, "args": types.SimpleNamespace(a=1)}, tmp_path / "w.pth")
    with torch.serialization.safe_globals([types.SimpleNamespace]):
        before = set(torch.serialization.get_safe_globals())
        assert torch.load(tmp_path / "w.pth", weights_only=True)["args"] == types.SimpleNamespace(a=1)
        with pytest.raises(ConversionError, match="SimpleNamespace"):
            read_source(tmp_path / "w.pth")
        assert set(torch.serialization.get_safe_globals()) == before


def test_a_program_in_torchscript_is_refused_with_the_remedy(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.pt", "w") as archive:
        archive.writestr("w/constants.pkl", b"")
    with pytest.raises(ConversionError, match=f"TorchScript.*{REMEDY}"):
        read_source(tmp_path / "w.pt")
