"""What a question may run and cost, told without running it: no model is called, and no engine is loaded."""

from dataclasses import dataclass
from typing import Any

from analyzer_agent.briefing import Briefing
from analyzer_agent.config import Settings
from analyzer_agent.protocols import ChatModel
from analyzer_agent.records import TokenUsage
from analyzer_agent.session.options import price_of
from analyzer_agent.toolbox import Tool, Toolbox
from analyzer_agent.toolbox.planned import PlannedRun, planned_runs

_MODES_WITHOUT_ANALYZERS = ("frames", "blind")


@dataclass(frozen=True, slots=True)
class QuestionPlan:
    """What answering a question may run and cost.

    Attributes:
        mode: the mode of the session.
        model: the language model, or "rules".
        max_steps: the most steps, each one call of the model; 1 in a mode that makes one call.
        prompt_tokens: about how long the first request is; None if that depends on what is found.
        prompt_usd: what the first request costs; None if the price is not known.
        runs: the analyzers over the whole scope, of which a manager runs only what it needs.
        on_request: the analyzers that run on requests of the model only.
    """

    mode: str
    model: str
    max_steps: int
    prompt_tokens: int | None
    prompt_usd: float | None
    runs: tuple[PlannedRun, ...]
    on_request: tuple[str, ...] = ()

    @property
    def estimate_ms(self) -> int:
        """How long all runs together take at most, in ms, as far as it is known."""
        return sum(run.estimate_ms or 0 for run in self.runs)

    @property
    def unmeasured(self) -> tuple[str, ...]:
        """The analyzers that have something new to analyze and whose speed is not known."""
        return tuple(dict.fromkeys(run.analyzer for run in self.runs if run.new_ms and run.estimate_ms is None))

    def to_dict(self) -> dict[str, Any]:
        """Return the object that `ask --plan --json` prints; times in seconds."""
        return {
            "mode": self.mode,
            "model": self.model,
            "max_steps": self.max_steps,
            "prompt_tokens": self.prompt_tokens,
            "prompt_usd": self.prompt_usd,
            "estimate_seconds": self.estimate_ms / 1000,
            "unmeasured": list(self.unmeasured),
            "on_request": list(self.on_request),
            "runs": [run.to_dict() for run in self.runs],
        }


def question_plan(toolbox: Toolbox, settings: Settings, model: ChatModel, question: str) -> QuestionPlan:
    """Return the plan of a question about all videos of a session."""
    wanted = [] if settings.mode in _MODES_WITHOUT_ANALYZERS else [tool for tool in toolbox.offered if not _needs_query(tool)]
    asked = () if settings.mode != "manager" else tuple(tool.spec.name for tool in toolbox.offered if _needs_query(tool))
    runs = tuple(run for run in planned_runs(toolbox, wanted) if run.refusal is None)
    rules, managed = model.manager == "rules", settings.mode == "manager"
    tokens = _prompt_tokens(toolbox, question) if managed and not rules else None
    usd = None if tokens is None else _usd(tokens, model.model, settings)
    return QuestionPlan(settings.mode, "rules" if rules else model.model, settings.max_steps if managed else 1, tokens, usd, runs, asked)


def _needs_query(tool: Tool) -> bool:
    return any(name in tool.spec.options_schema for name in tool.spec.required)


def _prompt_tokens(toolbox: Toolbox, question: str) -> int:
    from analyzer_agent.llm.prompt_size import estimated_usage

    briefing = Briefing(toolbox)
    texts = (briefing.system, briefing.covered(), briefing.costs(), question)
    return estimated_usage([{"role": "user", "content": text} for text in texts], toolbox.schemas(), "", ()).input_tokens


def _usd(tokens: int, model: str, settings: Settings) -> float | None:
    from analyzer_agent.llm import OPENAI_URL
    from analyzer_agent.llm.prices import cost_of

    return cost_of(TokenUsage(tokens, 0), model, settings.base_url or OPENAI_URL, price_of(model, settings))
