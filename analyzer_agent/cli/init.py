"""`init`: write a settings file, and tell what is here: a key, model servers, engines and their weights."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analyzer_agent.cli.doctor import can, show_ways
from analyzer_agent.cli.help import command
from analyzer_agent.cli.options import shared_options
from analyzer_agent.cli.output import echo
from analyzer_agent.errors import AgentError
from analyzer_agent.sanitize import one_line
from analyzer_agent.wording import first_few

if TYPE_CHECKING:
    from analyzer_agent.config import Settings
    from analyzer_agent.llm.local_servers import LocalServer

_MODELS_NAMED = 5


@command()
@click.option("--force", is_flag=True, help="Replace an existing file.")
@shared_options("config", "offline")
def init(config: str | None, force: bool, offline: bool | None) -> None:
    """Write a settings file, and tell what is here.

    Every setting is explained in the file, and commented out. If no key is set and a model server
    answers on this machine (Ollama, LM Studio, llama.cpp, vLLM), the file names that server and its
    first model. With --offline, not even this machine is asked for servers.
    """
    from analyzer_agent.config import chosen_file, default_file, load, template
    from analyzer_agent.llm.local_servers import local_servers

    file = chosen_file(config, os.environ) or default_file()
    if file.exists() and not force:
        raise AgentError(
            f"There is a settings file already: {str(file)!r}.", hint="See it with: analyzer-agent config list; or add --force."
        )
    before = load({}, os.environ)
    servers = [] if offline or before.offline else local_servers()
    named = {}
    if servers and not (before.api_key or before.base_url):
        named = {"base_url": servers[0].base_url, "model": servers[0].models[0]}
    _write(file, template(named))
    told = f"{named['model']} at {named['base_url']} manages the analyzers" if named else "every setting is commented out"
    echo(f"Wrote {one_line(str(file))}: {one_line(told)}.")
    _tell(load({}, os.environ, file), servers, bool(offline))


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise AgentError(
            f"The settings file {str(file)!r} cannot be written: {error.strerror}.", hint="Choose another place with --config FILE."
        ) from error


def _tell(settings: "Settings", servers: "list[LocalServer]", unasked: bool) -> None:
    """Print what was found: key, servers, manager, and what can be asked about, with the commands that add the rest."""
    from analyzer_agent.doctor import examine

    findings = list(examine(settings))
    echo(f"Key: {'OPENAI_API_KEY is set' if settings.api_key else 'OPENAI_API_KEY is not set'}")
    for server in servers:
        echo(one_line(f"Server: {server.name}, {server.base_url}: {first_few(server.models, _MODELS_NAMED)}"))
    if not servers:
        echo(f"Server: {'not asked (--offline)' if unasked else 'none answers on this machine at the usual ports'}")
    for finding in findings:
        if finding.section == "manager":
            echo(one_line(f"Manager: {finding.name}, {finding.detail}"))
        if finding.state == "broken":
            echo(one_line(f"Broken: {finding.name}: {finding.detail}{'; fix: ' * bool(finding.fix)}{finding.fix}"))
    weights = [finding.name for finding in findings if finding.section == "analyzers" and finding.detail.startswith("weights ")]
    echo(f"Weights: {', '.join(weights) or 'none yet'}")
    echo(click.style(f"You can: ask about {', '.join(can(findings))}.", bold=True))
    show_ways(findings, settings)
