# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What a user installs, cites and reads first: metadata, requirements, citation, change log."""

import ast
import configparser
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml


ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


@pytest.fixture(scope="module")
def pyproject() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def citation() -> dict:
    return yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def requirements(text: str) -> dict[str, str]:
    """From name to the rest of each requirement, names as package indexes compare them."""
    pairs = (re.fullmatch(r"([\w.-]+)(.*)", line.strip()) for line in text.strip().splitlines())
    return {normalized(pair[1]): pair[2] for pair in pairs if pair}


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def literal_version() -> str:
    tree = ast.parse((ROOT / "src/paumer_hf/__init__.py").read_text(encoding="utf-8"))
    assigned = [node for node in tree.body if isinstance(node, ast.Assign)]
    return next(ast.literal_eval(node.value) for node in assigned if ast.unparse(node.targets[0]) == "__version__")


def imported_libraries(folder: str) -> set[str]:
    """The top modules that the Python files below a folder import, apart from the standard library and our own."""
    names = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module.partition(".")[0])
    return names - sys.stdlib_module_names - {"paumer_hf"}


def test_metadata_and_tools_stand_in_one_place_each(setup_cfg: configparser.ConfigParser, pyproject: dict):
    assert set(pyproject) == {"build-system", "tool"}
    assert "setuptools" not in pyproject["tool"]
    assert {name for name in setup_cfg.sections() if not name.startswith("options")} == {"metadata"}
    for other in ("setup.py", "requirements.txt", "tox.ini", "pytest.ini", "mypy.ini", "ruff.toml", ".flake8"):
        assert not (ROOT / other).exists(), f"{other} would be a third place"


def test_version_is_one_literal(setup_cfg: configparser.ConfigParser, citation: dict):
    assert setup_cfg["metadata"]["version"] == "attr: paumer_hf.__version__"
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|rc\d+)?", literal_version())
    assert citation["version"] == literal_version()


def test_requirements_have_lower_bounds_and_no_upper_ones(setup_cfg: configparser.ConfigParser):
    extras = setup_cfg["options.extras_require"]
    for text in (setup_cfg["options"]["install_requires"], *(extras[name] for name in extras if name != "dev")):
        for name, bound in requirements(text).items():
            assert re.fullmatch(r">=[\d.]+", bound), f"{name}{bound}: `make test-lowest` reads only >= and a version"


def test_tools_have_exact_versions(setup_cfg: configparser.ConfigParser):
    for name, bound in requirements(setup_cfg["options.extras_require"]["dev"]).items():
        assert re.fullmatch(r"==[\d.]+", bound), f"{name}{bound}"


@pytest.mark.parametrize("folder", ["src", "scripts"])
def test_what_is_imported_is_required(folder: str, setup_cfg: configparser.ConfigParser):
    extras = setup_cfg["options.extras_require"]
    extra = "".join(extras[name] for name in extras if name != "dev")
    required = requirements(setup_cfg["options"]["install_requires"] + extra)
    distributions = packages_distributions()
    for library in sorted(imported_libraries(folder)):
        names = {normalized(name) for name in distributions.get(library, [library])}
        assert names & set(required), f"{folder} imports {library}, which setup.cfg does not name"


def test_what_is_required_is_used(setup_cfg: configparser.ConfigParser):
    distributions = packages_distributions()
    libraries = imported_libraries("src") | imported_libraries("scripts")
    used = {normalized(name) for library in libraries for name in distributions.get(library, [])}
    # transformers writes checkpoints with safetensors, and accelerate's tracker writes for tensorboard.
    unused = set(requirements(setup_cfg["options"]["install_requires"])) - used - {"safetensors"}
    assert not unused, f"setup.cfg requires {unused}, which nothing imports"


def test_pre_commit_runs_the_same_versions(setup_cfg: configparser.ConfigParser):
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    revisions = {repo["repo"].rpartition("/")[2]: repo["rev"] for repo in config["repos"]}
    tools = requirements(setup_cfg["options.extras_require"]["dev"])
    assert revisions["ruff-pre-commit"] == "v" + tools["ruff"].removeprefix("==")
    assert revisions["codespell"] == "v" + tools["codespell"].removeprefix("==")


def test_types_are_announced(setup_cfg: configparser.ConfigParser):
    assert (ROOT / "src/paumer_hf/py.typed").is_file()
    assert "py.typed" in setup_cfg["options.package_data"]["paumer_hf"]


def test_licence_is_complete(setup_cfg: configparser.ConfigParser):
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert setup_cfg["metadata"]["license_expression"] == "Apache-2.0"
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_citation_is_valid():
    pytest.importorskip("cffconvert", reason="the extra `dev` is not installed")
    program = "from cffconvert.cli.cli import cli; cli()"
    command = [sys.executable, "-c", program, "--validate", "--infile", str(ROOT / "CITATION.cff")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "valid according to schema version 1.2.0" in result.stdout, result.stdout + result.stderr


def test_citation_names_the_paper(citation: dict):
    paper = citation["preferred-citation"]
    assert citation["type"] == "software"
    assert citation["title"].startswith("paumer_hf")
    assert paper["title"] == "PAUMER: Patch Pausing Transformer for Semantic Segmentation"
    assert [author["given-names"] for author in paper["authors"]] == ["Evann", "Prabhu Teja", "François"]
    assert paper["identifiers"][0]["value"] == "arXiv:2311.00586"


def test_change_log_names_this_version_or_what_is_unreleased():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[(.+?)\]( - \d{4}-\d\d-\d\d)?$", text, flags=re.MULTILINE)
    assert headings[0] == ("Unreleased", "")
    assert len(headings) == len(re.findall(r"^## ", text, flags=re.MULTILINE))
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security", "Checkpoints"}
    assert set(re.findall(r"^### (.+)$", text, flags=re.MULTILINE)) <= kinds


def test_every_make_target_of_the_documents_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, flags=re.MULTILINE))
    for path in [*ROOT.glob("*.md"), ROOT / ".ci/run"]:
        named = set(re.findall(r"(?:^|`)make ([a-z-]+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE))
        assert named <= targets, f"{path.name} names {named - targets}"


@pytest.mark.skipif(os.name != "posix", reason="files are executable by their mode only on POSIX systems")
def test_continuous_integration_can_be_run():
    assert os.access(ROOT / ".ci/run", os.X_OK)
