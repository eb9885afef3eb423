"""`doctor`: what works on this machine, what does not, and what fixes it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from analyzer_agent.cli.options import common, settings_of
from analyzer_agent.cli.plain import as_json, one_line

if TYPE_CHECKING:
    from analyzer_agent.doctor import Finding

_TITLES = {"opencv": "OpenCV", "gpu": "GPU"}
_MARKS = {"works": ("ok", "green"), "weak": ("weak", "yellow"), "missing": ("no", "yellow"), "broken": ("BAD", "red")}


@click.command()
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object.")
@common("analyzers", "manager", "store")
def doctor(as_object: bool, **flags: Any) -> None:
    """Show what works here, and how to fix what does not.

    Tells of each analyzer and engine whether it works, why not, and the one line that fixes it.
    The exit code is 1 if something is broken that the program cannot do without.
    """
    settings = settings_of(flags)
    from analyzer_agent.doctor import as_record, examine

    findings = list(examine(settings))
    broken = [finding for finding in findings if finding.state == "broken"]
    if as_object:
        click.echo(as_json({"ok": not broken, "findings": [as_record(finding) for finding in findings]}))
    else:
        _show(findings)
        weak = sum(finding.state == "weak" for finding in findings)
        missing = sum(finding.state == "missing" for finding in findings)
        click.echo(
            f"\n{len(broken)} broken, {missing} not available, {weak} weak" if broken else f"\nReady: {missing} not available, {weak} weak"
        )
    if broken:
        click.get_current_context().exit(1)


def _show(findings: "Sequence[Finding]") -> None:
    section = ""
    for finding in findings:
        if finding.section != section:
            section = finding.section
            click.echo(click.style(_TITLES.get(section, section.capitalize()), bold=True))
            if section == "packages":
                _show_packages([f for f in findings if f.section == section])
        if section == "packages" and finding.state == "works":
            continue
        mark, colour = _MARKS[finding.state]
        click.echo(f"  {click.style(f'{mark:<4}', fg=colour)} {one_line(finding.name)}: {one_line(finding.detail)}")
        if finding.fix:
            click.echo(f"       {click.style('fix:', bold=True)} {one_line(finding.fix)}")


def _show_packages(findings: "Sequence[Finding]") -> None:
    """Print the installed packages on a few lines."""
    listed = [f"{finding.name} {finding.detail}" for finding in findings if finding.state == "works"]
    for at in range(0, len(listed), 5):
        mark = click.style("ok  ", fg="green") if at == 0 else "    "
        click.echo(f"  {mark} {', '.join(listed[at : at + 5])}")
