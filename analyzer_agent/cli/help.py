"""Group the options in `--help`, and move the rarely used ones to `--help-all`."""

import os
from functools import partial
from typing import Any

import click

_HEADINGS = ("Options", "Part of the video", "Answering", "Limits", "Analyzers", "Store and settings")
_MAX_UNGROUPED_OPTIONS = 14
"""Up to this many options are listed without headings."""


class Option(click.Option):
    """An option with a heading in the help; a rare one is shown by `--help-all` only."""

    def __init__(self, *args: Any, heading: str = "", rare: bool = False, **more: Any) -> None:
        super().__init__(*args, **more)
        self.heading, self.rare = heading, rare


def _is_rare(param: click.Parameter) -> bool:
    return isinstance(param, Option) and param.rare


class Command(click.Command):
    """A command with grouped help."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.long = sum(isinstance(param, click.Option) for param in self.params) > _MAX_UNGROUPED_OPTIONS
        if self.long and any(map(_is_rare, self.params)):
            self.params.append(
                click.Option(
                    ["--help-all"],
                    is_flag=True,
                    is_eager=True,
                    expose_value=False,
                    callback=_show_all,
                    help="Show all options, including rarely used ones.",
                )
            )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the command line; for surplus arguments suggest what was probably meant."""
        ctx.allow_extra_args = True
        rest = super().parse_args(ctx, args)
        if ctx.args and not ctx.resilient_parsing:
            raise click.UsageError(_too_many(ctx, ctx.args), ctx)
        return rest

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options under their headings."""
        if not self.long:
            return super().format_options(ctx, formatter)
        groups: dict[str, list[tuple[str, str]]] = {heading: [] for heading in _HEADINGS}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record and (ctx.meta.get(__name__) or not _is_rare(param)):
                groups[getattr(param, "heading", "") or "Options"].append(record)
        for heading, records in groups.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


def _too_many(ctx: click.Context, extra: list[str]) -> str:
    from analyzer_agent.tools.aliases import is_alias_of

    for name, flag in (("names", "--with"), ("kinds", "--kind")):
        if (given := ctx.params.get(name)) and all(map(is_alias_of, extra)):
            return f"Join names with commas: {flag} {','.join([given] if isinstance(given, str) else given)},{','.join(extra)}"
    taken = " ".join(param.make_metavar(ctx) for param in ctx.command.params if isinstance(param, click.Argument))
    one = f"{ctx.info_name} takes {f'one {taken}' if taken else 'no argument'}; {extra[0]!r} is one too many."
    if any(map(os.path.exists, extra)):
        return f"{one} Run it once for each file."
    return f"{one} Put a name with spaces in quotes."


def _show_all(ctx: click.Context, param: click.Parameter, given: bool) -> None:
    if given and not ctx.resilient_parsing:
        ctx.meta[__name__] = True
        click.echo(ctx.get_help(), color=ctx.color)
        ctx.exit()


command = partial(click.command, cls=Command)
"""Like `click.command`, with grouped help."""
