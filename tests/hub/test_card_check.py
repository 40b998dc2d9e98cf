# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Which cards are fit for a page."""

import pytest

from paumer_hf import PauseConfig
from paumer_hf.hub.card_check import check_card


PRESETS = {"fast": PauseConfig({1: 0.25, 2: 0.5})}


@pytest.fixture
def check(tmp_path, card_text):
    """A function that replaces a part of a valid card and checks it."""

    def check(old="", new="", presets=PRESETS, with_code=False):
        assert old in card_text
        (tmp_path / "README.md").write_text(card_text.replace(old, new) if old else card_text + new)
        return check_card(tmp_path / "README.md", presets, with_code)

    return check


def test_a_valid_card_and_its_links(check, tmp_path):
    assert check() == []
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").touch()
    links = "![a](pictures/a.png) [again](pictures/a.png) [b](https://example.org/x) [c](#use) <https://example.org>\n"
    code = "```python\nmodel[0](missing.png)\n```\n"
    assert check(new=links + code) == ["pictures/a.png"]


def test_links_are_read_as_browsers_read_them(check, tmp_path):
    (tmp_path / "guide one.png").touch()
    assert check(new="![a](guide%20one.png)") == ["guide one.png"]
    with pytest.raises(ValueError, match=r"links to %2e%2e/a.png, which cannot lie on its page"):
        check(new="![a](%2e%2e/a.png)")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("---\nlibrary_name", "library_name", "must begin with metadata"),
        (
            "library_name: transformers",
            "library_name: timm",
            "`library_name` .* must be 'transformers', but is 'timm'",
        ),
        ("pipeline_tag: image-segmentation\n", "", "`pipeline_tag` .* must be 'image-segmentation', but is None"),
        ("license: apache-2.0\n", "", "`license` .* is missing"),
        ("license: apache-2.0", "license: other", "needs `license_name` and `license_link`"),
        ("metrics:\n- mean_iou\n", "", "`metrics` .* is missing"),
        ("- paumer", "- [", "cannot be read"),
        ("    metrics:", "    metric:", "cannot be read"),
        ("- paumer", "- custom_code", "but no code goes along"),
        ("1:0.25,2:0.5", "1:0.25", "must name the preset 'fast' with its layers, 1:0.25,2:0.5"),
        ("1:0.25,2:0.5", "1:0.25,2:0.5,3:0.5", "must name the preset 'fast'"),
        ("| fast |", "| fastest |", "must name the preset 'fast'"),
    ],
)
def test_what_is_wrong_is_named(check, old, new, message):
    with pytest.raises(ValueError, match=message):
        check(old, new)


@pytest.mark.parametrize(
    ("link", "message"),
    [("missing.png", "links to missing.png, which is missing"), ("../a.png", "cannot lie"), ("/a.png", "cannot lie")],
)
def test_links_that_lead_nowhere_are_refused(check, link, message):
    with pytest.raises(ValueError, match=message):
        check(new=f"![a]({link})")


def test_code_needs_its_tag(check):
    with pytest.raises(ValueError, match="must hold custom_code, as code goes along"):
        check(with_code=True)
    check("- paumer", "- paumer\n- custom_code", with_code=True)


def test_no_card(tmp_path):
    with pytest.raises(ValueError, match=r"README.md is missing; render one"):
        check_card(tmp_path / "README.md", {})


@pytest.mark.parametrize("line", ['from_pretrained("someone/else", trust_remote_code=True)', "pipeline(model='a/b')"])
def test_a_card_that_loads_another_repository_is_refused(card_text, tmp_path, line):
    path = tmp_path / "README.md"
    path.write_text(card_text + f"\n```python\nx.{line}\n```\n")
    with pytest.raises(ValueError, match=r"loads (someone/else|a/b), but is for me/mine"):
        check_card(path, PRESETS, repo_id="me/mine")
    path.write_text(card_text + '\n```python\nx.from_pretrained("me/mine")\n```\n')
    assert check_card(path, PRESETS, repo_id="me/mine") == []
