# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Reading the weights and the configuration of a source from a file, a folder or the Hub; no code of it is run."""

import dataclasses
import json
import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
import yaml
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
from safetensors.torch import load_file
from transformers.utils import cached_file

from paumer_hf.conversion.pickle_stand_ins import stand_ins
from paumer_hf.conversion.source_weights import ConversionError


INDEX_SUFFIX = ".index.json"
# What the weights of a folder or a page are called, the preferred first.
WEIGHT_NAMES = [name + end for name in ("model.safetensors", "pytorch_model.bin") for end in ("", INDEX_SUFFIX)]
CONFIG_NAMES = ("config.json", "model_config.json", "variant.yml")
REMEDY = (
    "in the environment that wrote it, keep only the weights, under the key that they have there: "
    '`torch.save({"state_dict": checkpoint["state_dict"], "meta": {}}, path)`.'
)
# Under which keys a container has the weights: averaged ones only where there are no others.
WRAPPERS = ("model", "state_dict", "state_dict_ema", "model_ema")
# The state of a training, which is as large as the weights and of no use here.
TRAINING_STATE = {
    *("optimizer", "optim", "optimizer_states", "lr_scheduler", "lr_schedulers", "param_schedulers"),
    *("amp", "scaler", "loss_scaler", "amp_scaler", "message_hub"),
}


@dataclasses.dataclass(frozen=True)
class Source:
    """What a source holds."""

    name: str  # as it was asked for
    path: Path  # the file of the weights, the first of several
    tensors: dict[str, torch.Tensor]
    metadata: dict[str, Any]  # what lies beside the weights in their file, without the state of the training
    config: dict[str, Any] | None  # the configuration in the folder of the weights
    processor: dict[str, Any] | None  # `preprocessor_config.json` there


def read_source(
    name_or_path: str | os.PathLike,
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | os.PathLike | None = None,
    local_files_only: bool = False,
    force_download: bool = False,
    proxies: dict[str, str] | None = None,
    subfolder: str = "",
) -> Source:
    """Read a source; tensors are mapped into memory where their format allows it.

    The configuration is read from the folder of the weights. Of several, that of the format's origin is taken:
    `config.json`, `model_config.json`, `variant.yml` in this order beside `.safetensors` and `.bin`, otherwise
    `variant.yml`, `model_config.json`, `config.json`.

    Args:
        name_or_path: A file of weights, a folder that has one, or the name of a page of the Hub, "owner/name".
        revision: Branch, tag or commit of the page.
        token: Token for the page.
        cache_dir: Where downloads are kept.
        local_files_only: Whether to take only what was downloaded before.
        force_download: Whether to download again what was downloaded before.
        proxies: Proxy for each protocol.
        subfolder: Folder inside the folder or the page.

    Raises:
        ConversionError: If there is no such source, or it cannot be read.
    """
    name = os.fspath(name_or_path)
    path = Path(name).expanduser()
    if path.is_dir():
        files, indexed = _find_in_folder(path / subfolder)
    elif path.is_file():
        files, indexed = _with_shards(path, _fetch_from(path.parent))
    else:
        options: dict[str, Any] = {"revision": revision, "token": token, "cache_dir": cache_dir}
        options |= {"local_files_only": local_files_only, "subfolder": subfolder}
        options |= {"force_download": force_download, "proxies": proxies}
        files, indexed = _find_on_page(_Page(name, options))
    tensors: dict[str, torch.Tensor] = {}
    metadata: dict[str, Any] = {}
    for file in files:
        of_file, metadata = _read_weights(file, name if Path(name) == file else f"{name} ({file.name})")
        tensors |= of_file
    if missing := sorted(indexed - tensors.keys()):
        raise ConversionError(
            f"{name}: {len(missing)} weights that the index names are in none of its files, {missing[0]!r} is the "
            "first of them; the files are incomplete or of different models."
        )
    first = files[0]
    config_names = CONFIG_NAMES if first.suffix.lower() in (".safetensors", ".bin") else CONFIG_NAMES[::-1]
    if all(key.startswith("module.") for key in tensors):  # so DistributedDataParallel names them
        tensors = {key.removeprefix("module."): tensor for key, tensor in tensors.items()}
    processor = _read_beside(first, ("preprocessor_config.json",))
    return Source(name, first, tensors, metadata, _read_beside(first, config_names), processor)


# --- where the weights are ---

_Weights = tuple[list[Path], set[str]]  # files of weights, and the weights that they hold if there is an index
_Fetch = Callable[[str], Path | None]  # from the name of a file to its path, None if there is none


def _fetch_from(folder: Path) -> _Fetch:
    return lambda filename: folder / filename if (folder / filename).is_file() else None


def _find_in_folder(folder: Path) -> _Weights:
    fetch = _fetch_from(folder)
    if (found := _find_by_name(fetch)) is not None:
        return found
    present = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    candidates = [name for name in present if Path(name).suffix.lower() in READERS and fetch(name)]
    if len(candidates) == 1:
        return [folder / candidates[0]], set()
    if candidates:
        raise ConversionError(f"{folder} has several files of weights, {candidates}; give the path of one of them.")
    raise ConversionError(
        f"{folder} has no weights, only {present[:12] or 'nothing'}; they are looked for as {', '.join(WEIGHT_NAMES)} "
        f"or as the only file whose name ends in one of {', '.join(READERS)}."
    )


def _find_by_name(fetch: _Fetch) -> _Weights | None:
    found = next((path for path in map(fetch, WEIGHT_NAMES) if path is not None), None)
    return None if found is None else _with_shards(found, fetch)


def _with_shards(path: Path, fetch: _Fetch) -> _Weights:
    """The file `path` alone, or all files that it names if it is an index."""
    if not path.name.endswith(INDEX_SUFFIX):
        return [path], set()
    weight_map = _read_mapping(path).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ConversionError(f"{path} has no `weight_map`, which says in which files the weights are.")
    files = []
    for name in dict.fromkeys(weight_map.values()):
        # An index must not point out of its folder.
        file = fetch(name) if isinstance(name, str) and name == Path(name).name else None
        if file is None:
            raise ConversionError(f"{path} names the file {name!r}, which is not beside it; download all files again.")
        files.append(file)
    return sorted(files), set(weight_map)


class _Page:
    """A page of the Hub, whose files are downloaded one by one."""

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        self.name = name
        self.offline_reason = ""  # why the Hub could not be asked, once it could not
        self._options = options

    def fetch(self, filename: str) -> Path | None:
        """The path of a file, downloaded if need be; None if the page has none of that name."""
        try:
            found = cached_file(self.name, filename, **self._options)
        except Exception as error:  # The client also raises errors of the HTTP library below it.
            cause = error.__cause__
            if isinstance(cause, LocalEntryNotFoundError):
                self.offline_reason = _one_line(error)
                self._options["local_files_only"] = True  # the next files must not wait for the same failure
                return None
            is_missing = isinstance(error, OSError) and error.errno is None
            if is_missing and (cause is None or isinstance(cause, EntryNotFoundError)):
                return None
            self.fail(_one_line(error), error)
        return None if found is None else Path(found)

    def fail(self, reason: str, cause: Exception | None = None) -> NoReturn:
        raise ConversionError(
            f"{self.name} is neither an existing file or folder nor a page of the Hub that could be reached: {reason}"
        ) from cause


def _find_on_page(page: _Page) -> _Weights:
    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", page.name) or Path(page.name).suffix.lower() in READERS:
        page.fail("the name of a page has the form owner/name.")
    page.fetch("config.json")  # First, for it fails where there is no page, but not where a page has none.
    weights = _find_by_name(page.fetch)
    if weights is None and page.offline_reason:
        page.fail(page.offline_reason)
    if weights is None:
        raise ConversionError(
            f"{page.name}: it has no weights called {', '.join(WEIGHT_NAMES)}; give the path of a downloaded file."
        )
    page.fetch("preprocessor_config.json")
    return weights


def _read_beside(path: Path, names: tuple[str, ...]) -> dict[str, Any] | None:
    found = next((path.parent / name for name in names if (path.parent / name).is_file()), None)
    return None if found is None else _read_mapping(found)


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        # Segmenter dumps the image size as a Python tuple, whose tag the safe loader does not know.
        content = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text.replace("!!python/tuple", ""))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise ConversionError(f"{path} cannot be read: {_one_line(error)}") from error
    if not isinstance(content, dict):
        raise ConversionError(f"{path} holds a {type(content).__name__}, but must be a mapping from names to values.")
    return content


_Read = tuple[dict[str, torch.Tensor], dict[str, Any]]  # weights and metadata


def _read_weights(path: Path, label: str) -> _Read:
    suffix = path.suffix.lower()
    if suffix not in READERS:
        raise ConversionError(f"{label}: the name of a file of weights ends in one of {', '.join(READERS)}.")
    try:
        tensors, metadata = READERS[suffix](path, label)
    except ConversionError:
        raise
    except Exception as error:  # A damaged file can fail anywhere in its reader.
        lines = str(error).splitlines() if path.stat().st_size else ["the file is empty"]
        reason = ": ".join([type(error).__name__, *lines[:1]]).rstrip(". ")
        raise ConversionError(f"{label} cannot be read: {reason}; it may be incomplete, download it again.") from error
    if not tensors:
        raise ConversionError(f"{label} holds no weights.")
    return tensors, metadata


def _read_npz(path: Path, label: str) -> _Read:
    if not zipfile.is_zipfile(path):
        raise ValueError("it is not a zip archive")
    tensors = {}
    with np.load(path, allow_pickle=False) as archive:
        for key in archive.files:
            try:
                array = archive[key]
                tensors[key] = torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))
            except (TypeError, ValueError) as error:
                if isinstance(error, ValueError) and "Object arrays" not in str(error):
                    raise  # damaged
                raise ConversionError(
                    f"{label}: the array {key!r} holds no numbers that NumPy knows, and bfloat16 is none of these; "
                    f"save it as float32 ({error})"
                ) from error
    return tensors, {}


def _read_torch(path: Path, label: str) -> _Read:
    entries = zipfile.ZipFile(path).infolist() if zipfile.is_zipfile(path) else []
    if any(entry.filename.endswith("/constants.pkl") for entry in entries):
        raise ConversionError(f"{label} is a program in TorchScript, which paumer_hf never runs; {REMEDY}")
    # The older format is no zip archive, and what is compressed cannot be used in place.
    if entries:
        with zipfile.ZipFile(path) as archive:
            if (damaged := archive.testzip()) is not None:  # torch does not look at the checksums
                raise ValueError(f"the checksum of its part {damaged} is wrong")
    mmap = bool(entries) and all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
    with stand_ins():
        try:
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
        except Exception as error:
            _explain_refusal(label, error)
            raise
    return _unwrap(content, label)


def _explain_refusal(label: str, error: Exception) -> None:
    """Raise a ConversionError if `error` says that the file holds more than weights."""
    message = str(error)
    if "Unsupported operand" in message:
        raise ConversionError(
            f"{label} cannot be read: it is damaged or a pickle of another protocol than `torch.save` takes by "
            "default; it may be incomplete, download it again, or save it with the default protocol."
        ) from error
    found = re.search(r"GLOBAL (\S+) w|unrecognized function (.+)|add_safe_globals`.* but got (.+)", message)
    found = found or re.search(r"`*([\w.]+)`* must be imported", message)
    if found:
        raise ConversionError(
            f"{label} holds the Python object {next(filter(None, found.groups()))!r}, which only running code could "
            f"rebuild, and paumer_hf never does that; {REMEDY}"
        ) from error


def _unwrap(content: Any, label: str) -> _Read:
    """Weights and metadata of what `torch.load` gave."""
    if not isinstance(content, dict):
        raise ConversionError(f"{label} holds a {type(content).__name__}, but must be a dictionary of weights.")
    metadata = {}
    if not content or not all(isinstance(value, torch.Tensor) for value in content.values()):
        wrapper = next((key for key in WRAPPERS if isinstance(content.get(key), dict)), None)
        if wrapper is None:
            raise ConversionError(
                f"{label} holds a dictionary with the keys {list(content)[:8]}, but must be one of tensors, or have "
                f"one under {' or '.join(map(repr, WRAPPERS))}."
            )
        metadata = {key: value for key, value in content.items() if key not in {wrapper, *TRAINING_STATE}}
        content = content[wrapper]
    for key, value in content.items():
        is_plain = isinstance(value, torch.Tensor) and value.layout == torch.strided and value.device.type == "cpu"
        if not isinstance(key, str) or not is_plain:
            raise ConversionError(f"{label}: {key!r} holds a {type(value).__name__}, but weights are plain tensors.")
    return {key: value.detach() for key, value in content.items()}, metadata


READERS: dict[str, Callable[[Path, str], _Read]] = {
    **dict.fromkeys((".pth", ".pt", ".bin", ".ckpt"), _read_torch),
    ".safetensors": lambda path, _: (load_file(path), {}),
    ".npz": _read_npz,
}


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


__all__ = ["Source", "read_source"]
