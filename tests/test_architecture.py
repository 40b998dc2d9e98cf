# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""The rules that hold the tree together, read from the source.

Each rule is a function from modules to violations. It is tested twice: the repository keeps it, and it finds a
violation that is put before it.
"""

import ast
import dataclasses
import gc
import graphlib
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path

import pytest


ROOT = Path(__file__).resolve().parents[1]

MAX_LINES = 400
HEADER = "# Copyright 2026 The paumer_hf authors.\n# SPDX-License-Identifier: Apache-2.0\n"
# What `save_pretrained` ships may ask of its users' environments only this.
SHIPPED_MAY_IMPORT = {"PIL", "huggingface_hub", "numpy", "torch", "transformers", *sys.stdlib_module_names}
# What a part of the package may import of the package, "" being `paumer_hf` itself. Only training may import training,
# the other parts all the rest.
FLOORS = {"": {"", "model", "pipeline"}, "model": {"model"}, "data": {"data", "files"}}
NOT_AT_IMPORT = {
    "accelerate",
    "av",
    "datasets",
    "evaluate",
    "gradio",
    "matplotlib",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "peft",
    "tensorboard",
    "torchvision",
}
UNPICKLERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


@dataclasses.dataclass(frozen=True)
class Import:
    """One imported module: `from ..a import b, c` is ("a", level 2, names b and c)."""

    module: str
    level: int
    names: tuple[str, ...]
    line: int

    @property
    def top(self) -> str:
        return self.module.partition(".")[0]


@dataclasses.dataclass(frozen=True)
class Module:
    """A Python file: its place in the repository and its text."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, filename=self.path)

    @cached_property
    def imports(self) -> list[Import]:
        found = []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found += [Import(alias.name, 0, (), node.lineno) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = tuple(alias.name for alias in node.names)
                found.append(Import(node.module or "", node.level, names, node.lineno))
        return found

    @property
    def name(self) -> str:
        return Path(self.path).stem

    @property
    def part(self) -> str | None:
        """The part of the package it belongs to: a folder's or a top file's name; None outside the package."""
        inside = self.path.removeprefix("src/paumer_hf/")
        if inside == self.path:
            return None
        return inside.split("/")[0].removesuffix(".py").removesuffix("__init__")

    @property
    def is_shipped(self) -> bool:
        return self.part == "model" and self.name != "__init__"


@pytest.fixture(scope="module")
def modules() -> Iterator[list[Module]]:
    """All Python files. To look for garbage among their trees again and again takes longer than all rules."""
    gc.disable()
    paths = sorted(path for folder in ("src", "tests", "scripts") for path in (ROOT / folder).rglob("*.py"))
    yield [Module(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in paths]
    gc.enable()


def parts_of_package_in(imported: Import, parts: set[str]) -> Iterator[str]:
    """The parts of paumer_hf that an absolute import names."""
    if imported.level or imported.top != "paumer_hf":
        return
    inside = imported.module.split(".")[1:]
    if inside:
        yield inside[0]
    else:
        yield from {name if name in parts else "" for name in imported.names or ("",)}


# --- what save_pretrained ships ---


def shipped_imports(modules: list[Module]) -> Iterator[str]:
    """A shipped file imports siblings with a single dot, and what every user of transformers has."""
    siblings = {module.name for module in modules if module.is_shipped}
    for module in (module for module in modules if module.is_shipped):
        for imported in module.imports:
            where = f"{module.path}:{imported.line}"
            if imported.module == "__future__":
                yield f"{where}: `from __future__` is not for shipped files"
            elif imported.level == 0 and imported.top not in SHIPPED_MAY_IMPORT:
                yield f"{where}: imports {imported.module}, which a user who loads the code from the Hub may not have"
            elif imported.level > 1 or (imported.level == 1 and not imported.module):
                yield f"{where}: the saver follows only `from .sibling import name`"
            elif imported.level == 1 and imported.module not in siblings:
                yield f"{where}: no sibling is named {imported.module}; shipped files lie flat in one folder"


def shipped_names(modules: list[Module]) -> Iterator[str]:
    """The saver flattens folders, so a base name stands once; and it reads imports by line, also in docstrings."""
    for module in (module for module in modules if module.is_shipped):
        if module.path != f"src/paumer_hf/model/{module.name}.py":
            yield f"{module.path}: shipped files lie flat in src/paumer_hf/model"
        seen_by_saver = set(re.findall(r"^\s*from\s+\.(\S+)\s+import", module.text, flags=re.MULTILINE))
        seen_by_saver |= set(re.findall(r"^\s*import\s+\.(\S+)\s*$", module.text, flags=re.MULTILINE))
        real = {imported.module for imported in module.imports if imported.level}
        for name in sorted(seen_by_saver ^ real):
            yield f"{module.path}: the saver and Python disagree on whether .{name} is imported"


def shipped_order(modules: list[Module]) -> Iterator[str]:
    """The shipped files can be put in an order in which each imports only earlier ones."""
    graph = {
        module.name: {imported.module for imported in module.imports if imported.level}
        for module in modules
        if module.is_shipped
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        yield f"src/paumer_hf/model: a cycle of imports, {' -> '.join(error.args[1])}"


# --- floors ---


def floors(modules: list[Module]) -> Iterator[str]:
    """A part of the package imports only the parts below it."""
    parts = {module.part for module in modules if module.part is not None} | {""}
    for module in (module for module in modules if module.part is not None):
        allowed = FLOORS.get(module.part, parts if module.part == "training" else parts - {"training"})
        for imported in module.imports:
            where = f"{module.path}:{imported.line}"
            if imported.level and module.part != "model":
                yield f"{where}: write `from paumer_hf... import`; relative imports are for the shipped files"
            for part in set(parts_of_package_in(imported, parts)) - allowed:
                yield f"{where}: {module.part or 'the package'} must not import {part or 'paumer_hf'}"


def scripts_are_ends(modules: list[Module]) -> Iterator[str]:
    """Nothing imports a script."""
    scripts = {module.name for module in modules if module.path.startswith("scripts/")} | {"scripts"}
    for module in modules:
        for imported in module.imports:
            if not imported.level and imported.top in scripts - sys.stdlib_module_names - {"evaluate"}:
                yield f"{module.path}:{imported.line}: imports a script; move what is shared into the package"


# --- form ---


def file_form(modules: list[Module]) -> Iterator[str]:
    """A file has the licence header, a docstring in the package and the scripts, and no more than 400 lines."""
    for module in modules:
        num_lines = len(module.text.splitlines())
        if num_lines > MAX_LINES:
            yield f"{module.path}: {num_lines} lines, at most {MAX_LINES}: give a part of its subject its own file"
        if not module.text.startswith(HEADER):
            yield f"{module.path}: does not begin with the copyright and SPDX lines"
        if not module.path.startswith("tests/") and ast.get_docstring(module.tree) is None:
            yield f"{module.path}: its docstring does not say what the file is"
        if module.part == "model" and "from __future__ import annotations" in module.text:
            yield f"{module.path}: annotations as strings cannot be checked by huggingface_hub's `strict`"


def sort_key(name: str) -> tuple[int, str]:
    """The order that ruff keeps in `__all__`: constants, classes, the others."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


def defined_names(tree: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def public_names(modules: list[Module]) -> Iterator[str]:
    """A module of the package says at its foot what is public: sorted, each name once and defined."""
    for module in (module for module in modules if module.part is not None):
        body = module.tree.body
        if module.name == "__init__" and len(body) == 1:
            continue
        last = body[-1]
        if not (isinstance(last, ast.Assign) and ast.unparse(last.targets[0]) == "__all__"):
            yield f"{module.path}: does not end with __all__"
            continue
        names = ast.literal_eval(last.value)
        if names != sorted(set(names), key=sort_key):
            yield f"{module.path}: __all__ is not sorted or repeats a name"
        for name in sorted(set(names) - defined_names(module.tree)):
            yield f"{module.path}: __all__ names {name}, which is not defined"


def mirrored_tests(modules: list[Module]) -> Iterator[str]:
    """src/paumer_hf/a/b.py is tested by tests/a/test_b.py, or test_b_<aspect>.py where one file would be too long."""
    sources = {
        (Path(module.path).parent.relative_to("src/paumer_hf").as_posix(), module.name)
        for module in modules
        if module.part is not None and module.name != "__init__"
    }
    tests = {
        (Path(module.path).parent.relative_to("tests").as_posix(), module.name.removeprefix("test_"))
        for module in modules
        if module.path.startswith("tests/") and module.name.startswith("test_")
    }
    for folder, name in sorted(sources - tests):
        yield f"src/paumer_hf/{folder}/{name}.py: tests/{folder}/test_{name}.py is missing"
    for folder, name in sorted(tests):
        mirrors = [source for of, source in sources if of == folder and f"{name}_".startswith(f"{source}_")]
        if folder in {of for of, _ in sources} - {"."} and not mirrors:
            yield f"tests/{folder}/test_{name}.py: no file of src/paumer_hf/{folder} has this name"


def safe_reading(modules: list[Module]) -> Iterator[str]:
    """Nothing unpickles, and YAML is read without constructing objects."""
    for module in modules:
        for imported in module.imports:
            if imported.level == 0 and imported.top in UNPICKLERS:
                yield f"{module.path}:{imported.line}: imports {imported.top}, which executes what it reads"
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            options = {option.arg: ast.unparse(option.value) for option in node.keywords}
            where = f"{module.path}:{node.lineno}"
            if called == "torch.load" and options.get("weights_only") != "True":
                yield f"{where}: torch.load without weights_only=True unpickles"
            if called in {"yaml.load", "yaml.unsafe_load", "yaml.full_load"}:
                yield f"{where}: {called} constructs objects; take yaml.safe_load"
            if options.get("allow_pickle") == "True":
                yield f"{where}: allow_pickle=True unpickles"


def nothing_left_behind(modules: list[Module]) -> Iterator[str]:
    """No notes to come back to, and no path of one person's machine."""
    notes = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX)\b")
    paths = re.compile(r"(?<![\w.~/)}-])/(work|home|root|Users)/\w")
    for module in modules:
        for number, line in enumerate(module.text.splitlines(), start=1):
            if notes.search(line):
                yield f"{module.path}:{number}: a note to come back to; do it now, or say in an issue what is missing"
            if paths.search(line):
                yield f"{module.path}:{number}: a path that exists on one machine only"


RULES = [
    shipped_imports,
    shipped_names,
    shipped_order,
    floors,
    scripts_are_ends,
    file_form,
    public_names,
    mirrored_tests,
    safe_reading,
    nothing_left_behind,
]

MODEL, DATA, EVALUATION, TRAINING = (f"src/paumer_hf/{part}/" for part in ("model", "data", "evaluation", "training"))
VIOLATIONS = [
    (shipped_imports, {MODEL + "a.py": "import torchvision"}),
    (shipped_imports, {MODEL + "a.py": "def f():\n    from paumer_hf.model.b import c", MODEL + "b.py": ""}),
    (shipped_imports, {MODEL + "a.py": "from . import b", MODEL + "b.py": ""}),
    (shipped_imports, {MODEL + "a.py": "from ..data import b"}),
    (shipped_imports, {MODEL + "a.py": "from .b.c import d", MODEL + "b.py": ""}),
    (shipped_imports, {MODEL + "a.py": "from .b import c"}),
    (shipped_imports, {MODEL + "a.py": "from __future__ import annotations"}),
    (shipped_names, {MODEL + "sub/a.py": ""}),
    (shipped_names, {MODEL + "a.py": '"""A file.\n\nfrom .b import c\n"""', MODEL + "b.py": ""}),
    (shipped_order, {MODEL + "a.py": "from .b import c", MODEL + "b.py": "from .a import d"}),
    (floors, {DATA + "a.py": "from paumer_hf import PaumerConfig"}),
    (floors, {DATA + "a.py": "import paumer_hf.model.pausing"}),
    (floors, {EVALUATION + "a.py": "from paumer_hf.training.loop import train", TRAINING + "loop.py": ""}),
    (floors, {"src/paumer_hf/conversion.py": "from paumer_hf import training", TRAINING + "loop.py": ""}),
    (floors, {"src/paumer_hf/__init__.py": "from paumer_hf.data import a", DATA + "a.py": ""}),
    (floors, {EVALUATION + "a.py": "from .b import c", EVALUATION + "b.py": ""}),
    (scripts_are_ends, {"scripts/demo.py": "", "tests/test_a.py": "import demo"}),
    (scripts_are_ends, {"scripts/demo.py": "", "tests/test_a.py": "from scripts.demo import main"}),
    (file_form, {DATA + "a.py": HEADER + '"""A file."""\n' + "\n" * MAX_LINES}),
    (file_form, {DATA + "a.py": '"""A file."""'}),
    (file_form, {DATA + "a.py": HEADER}),
    (file_form, {MODEL + "a.py": HEADER + '"""A file."""\nfrom __future__ import annotations'}),
    (public_names, {DATA + "a.py": "A = 1"}),
    (public_names, {DATA + "a.py": "a = b = 1\n__all__ = ['b', 'a']"}),
    (public_names, {DATA + "a.py": "a = 1\n__all__ = ['a', 'b']"}),
    (public_names, {DATA + "a.py": "A = 1\n__all__ = ['A']\nB = 2"}),
    (mirrored_tests, {DATA + "a.py": ""}),
    (mirrored_tests, {DATA + "a.py": "", "tests/data/test_a.py": "", "tests/data/test_b.py": ""}),
    (mirrored_tests, {"src/paumer_hf/conversion.py": "", "tests/data/test_conversion.py": ""}),
    (safe_reading, {DATA + "a.py": "import pickle"}),
    (safe_reading, {DATA + "a.py": "torch.load(path, map_location='cpu')"}),
    (safe_reading, {DATA + "a.py": "yaml.load(text, Loader=yaml.Loader)"}),
    (safe_reading, {DATA + "a.py": "np.load(path, allow_pickle=True)"}),
    (nothing_left_behind, {DATA + "a.py": "# TO" + "DO: more"}),
    (nothing_left_behind, {"tests/test_a.py": "path = '" + "/work" + "/shared/data'"}),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_repository_keeps_the_rule(rule: Callable[[list[Module]], Iterator[str]], modules: list[Module]):
    assert len(modules) > 10, "the rules must have something to read"
    violations = list(rule(modules))
    assert not violations, "\n" + "\n".join(violations)


@pytest.mark.parametrize(
    ("rule", "files"), VIOLATIONS, ids=[f"{rule.__name__}{number}" for number, (rule, _) in enumerate(VIOLATIONS)]
)
def test_the_rule_finds_a_violation(rule: Callable[[list[Module]], Iterator[str]], files: dict[str, str]):
    violations = list(rule([Module(path, text) for path, text in files.items()]))
    assert len(violations) == 1, violations


def test_every_rule_is_shown_to_find_a_violation():
    assert {rule for rule, _ in VIOLATIONS} == set(RULES)


def test_other_files_leave_nothing_behind():
    patterns = ("*.md", "*.cfg", "*.toml", "*.cff", "*.yaml", "Makefile", ".pre-commit-config.yaml", ".ci/run")
    paths = [path for pattern in patterns for path in ROOT.glob(pattern)]
    paths += [path for folder in ("scripts", "model_cards") for path in (ROOT / folder).rglob("*.[jmy]*")]
    texts = [Module(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in paths]
    assert len(texts) > 5
    violations = list(nothing_left_behind(texts))
    assert not violations, "\n" + "\n".join(violations)


def test_importing_the_package_loads_no_optional_library(modules: list[Module]):
    """Beyond those that transformers loads itself; and without it, reading scenes that are drawn loads none."""
    imports = [imported for module in modules if module.part in FLOORS[""] for imported in module.imports]
    of_others = {imported.module for imported in imports if imported.top in {"torch", "transformers"}}
    program = f"""
import importlib, sys, types
sys.modules["paumer_hf"] = package = types.ModuleType("paumer_hf")
package.__path__ = ["src/paumer_hf"]
from paumer_hf.data import get_dataset_description as get, load_segmentation_dataset as load
load(get("street_scenes"), "train", size=(32, 32), num_samples=1)[0]
print(*{{name.partition(".")[0] for name in sys.modules}})
for name in [name for name in sys.modules if name.partition(".")[0] == "paumer_hf"]:
    del sys.modules[name]
for name in {["transformers.models.auto.modeling_auto", *sorted(of_others)]}:
    importlib.import_module(name)
before = set(sys.modules)
import paumer_hf
print(*{{name.partition(".")[0] for name in set(sys.modules) - before}})
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == 0, result.stderr
    of_data, of_package = (set(line.split()) for line in result.stdout.splitlines())
    assert "paumer_hf" in of_data & of_package
    assert not (of_data | of_package) & NOT_AT_IMPORT
    assert "transformers" not in of_data
