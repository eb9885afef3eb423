"""The manager's briefing: what the videos are, what is covered, what analyzers cost here, what is left of the budget.

Its length does not depend on the length of the videos. Knows nothing of conversations.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from analyzer_agent.evidence.rendering import spans_text
from analyzer_agent.prompts import render
from analyzer_agent.timeline import TimeRange, clock
from analyzer_agent.toolbox import Offer, Toolbox

if TYPE_CHECKING:
    from analyzer_agent.graph import Limits, State

_SPANS_SHOWN = 8


def brief(toolbox: Toolbox, limits: "Limits", state: "State") -> str:
    """Return the system prompt for the next step."""
    offers = list(toolbox.offers.values())
    return render(
        "manager",
        videos="\n".join(_video(offer) for offer in offers),
        covered="\n".join(_covered(toolbox, offer) for offer in offers),
        costs=_costs(toolbox),
        budget=_budget(limits, state),
    )


def _video(offer: Offer) -> str:
    video = offer.video
    facts = [f"{offer.scope}" if offer.scope.end - offer.scope.start == video.duration else f"{offer.scope} (only this part may be used)"]
    if video.picture:
        turned = f", turned by {video.rotation} degrees" if video.rotation else ""
        facts.append(f"{video.size[0]}x{video.size[1]} at {float(video.rate):.4g} frames per second{turned}")
    else:
        facts.append("no picture")
    for noun, tracks in (("audio", video.audio_tracks), ("subtitle", video.subtitle_tracks)):
        listed = ", ".join(f"{t.number}{f' ({t.language})' if t.language else ''}" for t in tracks)
        facts.append(f"{noun} tracks: {listed}" if tracks else f"no {noun} track")
    return f'- "{offer.name}": {"; ".join(facts)}'


def _covered(toolbox: Toolbox, offer: Offer) -> str:
    done = toolbox.covered(offer)
    name = f"{offer.name}: " if len(toolbox.offers) > 1 else ""
    if not done:
        return f"- {name}nothing yet"
    return "\n".join(f"- {name}{analyzer}: {_spans(spans, offer.scope)}" for analyzer, spans in sorted(done.items()))


def _spans(spans: list[TimeRange], scope: TimeRange) -> str:
    if spans == [scope]:
        return "all of it"
    more = f" and {len(spans) - _SPANS_SHOWN} more parts" if len(spans) > _SPANS_SHOWN else ""
    return spans_text(spans[:_SPANS_SHOWN]) + more


def _costs(toolbox: Toolbox) -> str:
    lines = []
    for tool in toolbox.tools.values():
        speed = toolbox.speed(tool)
        weak = ", weak: its notes are uncertain" if tool.engine and tool.engine.uncertain else ""
        by = f" ({tool.engine.name}{weak})" if tool.engine else ""
        cost = f"about {_per_minute(speed)} per minute of video" if speed else "not measured yet"
        lines.append(f"- {tool.spec.tool}{by}: {cost}")
    lines += [f"- {name} cannot run here: {reason}" for name, reason in toolbox.missing.items()]
    return "\n".join(lines)


def _per_minute(speed: float) -> str:
    takes = 60 / speed
    return f"{takes:.2g} s" if takes < 60 else clock(round(takes) * 1000)


def _budget(limits: "Limits", state: "State") -> str:
    said = [f"This is step {state['step'] + 1} of {limits.steps}."]
    left: Mapping[str, float | None] = {
        "analyzer seconds": None if limits.analyzer_ms is None else (limits.analyzer_ms - state["analyzer_ms"]) / 1000,
        "tokens": None if limits.tokens is None else limits.tokens - state["input_tokens"] - state["output_tokens"],
    }
    said += [f"{max(0, value):.0f} {noun} are left." for noun, value in left.items() if value is not None]
    return " ".join(said)
