"""The cost of model calls, and of a question, as an answer, an answer file and a score record it."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from analyzer_agent.timeline import seconds


@dataclass(frozen=True, slots=True)
class Price:
    """The price of a model, in USD per million tokens; cached tokens cost as much as others unless `cached` says less."""

    input: float
    output: float
    cached: float | None = None

    def __str__(self) -> str:
        """Return the price as settings write it: `0.5/1.5/0.05`."""
        return "/".join(f"{amount:g}" for amount in (self.input, self.output, self.cached) if amount is not None)

    def cost(self, usage: "TokenUsage") -> float:
        """Return the cost of calls in USD."""
        cached = self.input if self.cached is None else self.cached
        fresh = usage.input_tokens - usage.cached_input_tokens
        return (fresh * self.input + usage.cached_input_tokens * cached + usage.output_tokens * self.output) / 1e6


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens of one model call, or of several.

    Cached tokens are a part of those in, reasoning tokens of those out. `estimated` tells that a
    server reported none, so that they are estimated from the text. `cost_usd` is None where the price
    is not known.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: float | None = None
    estimated: bool = False
    calls: int = 1

    @property
    def tokens(self) -> int:
        """Tokens in and out."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: "TokenUsage") -> "TokenUsage":
        return TokenUsage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_input_tokens + other.cached_input_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            _total_usd((self.cost_usd, self.calls), (other.cost_usd, other.calls)),
            self.estimated or other.estimated,
            self.calls + other.calls,
        )


NO_CALLS = TokenUsage(calls=0)
"""What no call at all has used."""


@dataclass(frozen=True, slots=True)
class Usage:
    """The cost of one question; times are ms, and media time counts once per analyzer.

    `llm_calls` and the tokens in and out are those of the manager and its judge; `vision_calls` and
    `vision_tokens`, in and out, those of models that analyzers ask. Cached and reasoning tokens and
    the cost are those of both. `cost_usd` is None without calls, or where the price of one is not
    known. `tokens_estimated` tells that a server reported no tokens, `fetched_bytes` what was read of
    videos at addresses.
    """

    llm_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    analyzer_ms: int = 0
    media_ms_analyzed: int = 0
    media_ms_reused: int = 0
    wall_ms: int = 0
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0
    vision_calls: int = 0
    vision_tokens: int = 0
    cost_usd: float | None = None
    tokens_estimated: bool = False
    fetched_bytes: int = 0

    @classmethod
    def of_calls(cls, manager: TokenUsage = NO_CALLS, vision: Iterable[TokenUsage] = ()) -> "Usage":
        """Return the cost of calls of the manager, and of those of the models that analyzers asked."""
        asked = sum(vision, NO_CALLS)
        both = manager + asked
        return cls(
            llm_calls=manager.calls,
            input_tokens=manager.input_tokens,
            output_tokens=manager.output_tokens,
            cached_input_tokens=both.cached_input_tokens,
            reasoning_tokens=both.reasoning_tokens,
            vision_calls=asked.calls,
            vision_tokens=asked.tokens,
            cost_usd=both.cost_usd,
            tokens_estimated=both.estimated,
        )

    @property
    def tokens(self) -> int:
        """Tokens in and out of all models."""
        return self.input_tokens + self.output_tokens + self.vision_tokens

    @property
    def model_calls(self) -> int:
        """Calls of all models."""
        return self.llm_calls + self.vision_calls

    def __add__(self, other: "Usage") -> "Usage":
        counts = {name: getattr(self, name) + getattr(other, name) for name in _COUNTS}
        cost = _total_usd((self.cost_usd, self.model_calls), (other.cost_usd, other.model_calls))
        fetched = self.fetched_bytes + other.fetched_bytes
        return Usage(**counts, cost_usd=cost, tokens_estimated=self.tokens_estimated or other.tokens_estimated, fetched_bytes=fetched)

    def to_dict(self) -> dict[str, Any]:
        """Return the `usage` object of an answer; times in seconds with three decimals, money in USD with six."""
        counts = {key: seconds(getattr(self, name)) if "_ms" in name else getattr(self, name) for name, key in _COUNTS.items()}
        cost = None if self.cost_usd is None else round(self.cost_usd, 6)
        fetched = {"fetched_bytes": self.fetched_bytes} if self.fetched_bytes else {}
        return counts | {"cost_usd": cost} | ({"tokens_estimated": True} if self.tokens_estimated else {}) | fetched

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> "Usage":
        """Parse what `to_dict` returns; a missing value is 0, a missing cost unknown.

        Raises:
            ValueError: a value is not an amount.
        """
        counts = {name: round(_amount(given, key) * (1000 if "_ms" in name else 1)) for name, key in _COUNTS.items()}
        cost = None if given.get("cost_usd") is None else float(_amount(given, "cost_usd"))
        estimated, fetched = given.get("tokens_estimated") is True, round(_amount(given, "fetched_bytes"))
        return cls(**counts, cost_usd=cost, tokens_estimated=estimated, fetched_bytes=fetched)

    def to_row(self) -> dict[str, Any]:
        """Return the fields as plain values; `Usage(**row)` reads them."""
        return asdict(self)


_OTHERS = ("cost_usd", "tokens_estimated", "fetched_bytes")
_COUNTS = {name: name.replace("_ms", "_seconds") for name in Usage.__dataclass_fields__ if name not in _OTHERS}
"""The key of each amount in JSON, in the order of the fields."""


def _total_usd(*parts: tuple[float | None, int]) -> float | None:
    """Return the sum of costs, each with its number of calls; None if that of any call is unknown, or if there is none."""
    known = [cost for cost, _ in parts if cost is not None]
    unknown = any(cost is None and calls for cost, calls in parts)
    return None if unknown or not known else sum(known)


def _amount(given: Mapping[str, Any], key: str) -> float:
    value = given.get(key) or 0
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value < 0:
        raise ValueError(f"{key!r} is {value!r}, not an amount")
    return value
