"""README and docs: their links lead somewhere, the paths they name exist, their Python runs, their commands parse."""

import re
import shlex
from pathlib import Path

import click
import pytest

from vmplace.cli.group import cli

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "examples" / "README.md"])
EACH = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)

pytestmark = pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="the docs are not part of this distribution")


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@EACH
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@EACH
def test_paths_of_the_package_exist(page):
    named = re.findall(r"`(vmplace/[\w/.]+)`", page.read_text(encoding="utf-8"))
    assert [path for path in named if not (ROOT / path).exists()] == []


@EACH
def test_python_runs(page):
    for code in blocks(page, "python"):
        exec(compile(code, str(page), "exec"), {})


@EACH
def test_commands_parse(page):
    text = "\n".join(blocks(page, "(?:sh|text)"))
    for line in re.findall(r"^vmplace .*$", text, re.MULTILINE):
        words = shlex.split(line.split("   ")[0].split("&&")[0].replace("FILE...", "FILE").replace("NODE...", "NODE"))[1:]
        words = [word.replace("N", "1") if word in ("N", "M") else word for word in words]
        command = cli.get_command(click.Context(cli), words[0])
        assert command is not None, line
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("-")} <= known, line


def test_every_option_is_described():
    text = (ROOT / "docs" / "documents.md").read_text(encoding="utf-8")
    group = click.Context(cli)
    options = {
        option
        for name in cli.list_commands(group)
        for parameter in cli.get_command(group, name).params
        if isinstance(parameter, click.Option)
        for option in parameter.opts
    }
    assert sorted(option for option in options if not re.search(rf"{option}(?![\w-])", text)) == []


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150
