"""README and docs say what is there: commands, flags, tools, settings; the references are those that the code makes."""

import importlib.util
import re
import shlex
from collections.abc import Iterator
from types import ModuleType

import click
import pytest

from analyzer_agent import tools as registry
from analyzer_agent.cli import main
from analyzer_agent.config import SETTINGS
from places import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]
MADE = ("cli.md", "settings.md", "analyzers.md")
WRITTEN = [page for page in PAGES if page.name not in MADE]
_COMMAND = re.compile(r"(?:^|[`$\s(])(?:\.venv/bin/)?analyzer-agent ((?:[a-z]|-h|--)[^`\n]*)")


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", MADE)
def test_a_reference_is_the_one_that_the_code_makes(name: str) -> None:
    made = generator().PAGES[name]()
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == made, "run: python docs/generate.py"


def written_commands() -> Iterator[tuple[str, str]]:
    for page in WRITTEN:
        for found in _COMMAND.findall(page.read_text(encoding="utf-8")):
            yield page.name, found


def resolved(line: str) -> tuple[click.Command, list[str]]:
    """Return the command that a line calls, and the rest of its words."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        words = line.split()
    command: click.Command = main
    while words and isinstance(command, click.Group):
        assert words[0] in command.commands or words[0].startswith("-"), f"there is no command {words[0]!r}: {line}"
        if words[0].startswith("-"):
            break
        command = command.commands[words.pop(0)]
    return command, words


@pytest.mark.parametrize(("page", "line"), sorted(set(written_commands())))
def test_a_command_in_the_docs_exists_with_its_flags(page: str, line: str) -> None:
    command, words = resolved(line)
    flags = {opt for param in command.params for opt in (*param.opts, *param.secondary_opts)} | {"-h", "--help", "--version"}
    for word in words:
        if re.fullmatch(r"--?[a-z][a-z-]*(=.*)?", word):
            assert word.partition("=")[0] in flags, f"{page}: {word} is no flag of `analyzer-agent {command.name}`"


def test_every_command_is_in_readme_or_the_usage_page() -> None:
    text = "".join((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/usage.md"))
    for name in main.commands:
        assert re.search(rf"(`|analyzer-agent ){name}\b", text), f"nothing says that there is a command {name}"


def test_flags_named_in_running_text_exist() -> None:
    known = {opt for command in all_commands(main) for param in command.params for opt in param.opts} | {"--help", "--version"}
    known |= {
        "--extra-index-url",
        "--force-reinstall",
        "--no-deps",
        "--strict",
        "--editable",
        "--index-url",
        "--jinja",
    }  # of pip, mypy and llama.cpp
    for page in WRITTEN:
        for flag in re.findall(r"`(--[a-z][a-z-]*)", page.read_text(encoding="utf-8")):
            assert flag in known, f"{page.name}: {flag}"


def all_commands(group: click.Group) -> Iterator[click.Command]:
    for command in group.commands.values():
        yield command
        if isinstance(command, click.Group):
            yield from all_commands(command)


def test_readme_lists_every_analyzer_with_its_tool() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in registry.names():
        spec, _ = registry.load(name)
        assert f"| `{name}` | `{spec.tool}` |" in readme


def test_settings_named_in_the_docs_exist() -> None:
    for page in PAGES:
        for name in re.findall(r"\bANALYZER_AGENT_([A-Z][A-Z_]*[A-Z])\b", page.read_text(encoding="utf-8")):
            assert name.lower() in SETTINGS or name in ("CONFIG", "COMPLETE", "NAME"), f"{page.name}: ANALYZER_AGENT_{name}"


def test_links_between_pages_lead_somewhere() -> None:
    for page in [*PAGES, *sorted((ROOT / "docs" / "adr").glob("*.md"))]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_no_page_holds_the_marks_of_a_merge() -> None:
    for page in [*PAGES, ROOT / "CHANGELOG.md"]:
        assert not re.search(r"^(<{7} |={7}$|>{7} )", page.read_text(encoding="utf-8"), re.M), page.name
