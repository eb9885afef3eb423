"""Whether a server read the whole prompt: the tokens that it counted, compared with the text that was sent."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analyzer_agent.records import TokenUsage, ToolCall

_CHARS_PER_TOKEN = 4.0
"""An estimate for people: English text with JSON (measured: 4.4 for the manager's prompt, 3.1 for lines of notes)."""

_PICTURE_TOKENS = 1000
"""An estimate: models take 300 to 1,500 tokens for a picture of 1,024 pixels a side."""

_LEAST_COUNTED = 64
"""Below it, a count is none: no prompt with tools is so short."""

_LEAST_GROWTH = 40.0
_SLACK = 0.9
_SIZES = frozenset(1024 * 2**n * m for n in range(1, 9) for m in (1, 3))
"""The lengths that contexts have: a prompt of just this length was cut to it."""

_REPEATED = re.compile(r"(\S)\1{3,}|\s{2,}")
_CJK = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]")
_OTHER = re.compile(r"[^\x00-\u02ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]")
_DIGIT = re.compile(r"[0-9]")

_LATIN_CHARS, _CJK_CHARS, _OTHER_CHARS, _DIGITS = 7.5, 5.0, 6.5, 3.0
"""The most characters per token on running text of a script, with a margin.

Measured with o200k, cl100k, DeepSeek's and Claude's tokenizer on 16 texts: English 4.4 to 7.6,
French 6.6, German 5.8, Russian 4.9, Arabic 4.4, Thai 2.9, Chinese 2.2, Korean 1.9, digits 2.2.
"""

_SAME_RATE = 0.8
"""Results have at least so many tokens per character, compared with the prompt and schemas before them (measured: 1.4)."""


def least_tokens(text: str) -> float:
    """Return the tokens that any tokenizer needs for `text`, at least."""
    text = _REPEATED.sub(" ", text)
    cjk, other, digits = len(_CJK.findall(text)), len(_OTHER.findall(text)), len(_DIGIT.findall(text))
    latin = len(text) - cjk - other - digits
    return latin / _LATIN_CHARS + cjk / _CJK_CHARS + other / _OTHER_CHARS + digits / _DIGITS


def estimated_usage(
    messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]], text: str, calls: Sequence[ToolCall]
) -> TokenUsage:
    """Return an estimate of the tokens of a call whose server reported none.

    Args:
        messages: the conversation that was sent.
        tools: the tools that were sent.
        text: the text of the reply.
        calls: the calls of the reply.
    """
    sent = sum(len(_text(message)) for message in messages) + (len(str([*tools])) if tools else 0)
    pictures = sum(_pictures(message.get("content")) for message in messages)
    written = len(text) + sum(len(call.name) + len(call.arguments) for call in calls)
    tokens_in, tokens_out = (-(-count // int(_CHARS_PER_TOKEN)) for count in (sent, written))
    return TokenUsage(tokens_in + pictures * _PICTURE_TOKENS, tokens_out, estimated=True)


def _pictures(content: Any) -> int:
    return sum(part.get("type") == "image_url" for part in content if isinstance(part, Mapping)) if isinstance(content, list) else 0


def _latin(text: str) -> int:
    text = _REPEATED.sub(" ", text)
    return len(text) - len(_CJK.findall(text)) - len(_OTHER.findall(text))


@dataclass(frozen=True)
class _Sent:
    """A request: the text of its system message and of each other message, its tools, and the tokens counted."""

    system: str
    rest: tuple[str, ...]
    tools: str
    counted: int

    def rate(self) -> float:
        """Return the tokens per character, at most those of the estimate: other scripts take more than what follows may."""
        return min(1 / _CHARS_PER_TOKEN, self.counted / max(1, len(self.system) + sum(map(len, self.rest)) + len(self.tools)))

    def continues(self, earlier: "_Sent") -> bool:
        return self.tools == earlier.tools and len(self.rest) > len(earlier.rest) and self.rest[: len(earlier.rest)] == earlier.rest


class PromptWatch:
    """Notices prompts that a server cut.

    Keeps the last request. A count proves a cut if no tokenizer could write the text with so few
    tokens, if it grew by less than what was added could take, or if it is the length of a context
    and more was sent. A server that counts only what its cache did not hold proves nothing.
    """

    def __init__(self) -> None:
        self._last: _Sent | None = None
        self._counts_new_only = False

    def missing(self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]], usage: TokenUsage) -> int | None:
        """Return about how many tokens were sent if not all of them were read, else None."""
        if usage.input_tokens < _LEAST_COUNTED:
            return None
        texts = [(message["role"], _text(message)) for message in messages]
        system = "\n".join(text for role, text in texts if role == "system")
        sent = _Sent(system, tuple(text for role, text in texts if role != "system"), str([*tools]), usage.input_tokens)
        last, self._last = self._last, sent
        whole = "\n".join((system, *sent.rest))
        about = round((len(whole) + len(sent.tools)) / _CHARS_PER_TOKEN)
        grown = last is not None and sent.continues(last)
        if last is not None and grown and self._is_cached(last, sent):
            self._counts_new_only = True
        if self._counts_new_only:
            return None
        short = sent.counted < _SLACK * least_tokens(whole)
        behind = last is not None and grown and self._is_behind(last, sent)
        full = about >= sent.counted and (sent.counted in _SIZES or sent.counted + 1 in _SIZES)
        return max(about, sent.counted + 1) if short or behind or full else None

    def _is_behind(self, last: _Sent, sent: _Sent) -> bool:
        """Return whether the count grew by less than the new text takes."""
        added = "\n".join(sent.rest[len(last.rest) :])
        shrunk = max(0, len(last.system) - len(sent.system))
        least = max(least_tokens(added), _SAME_RATE * last.rate() * _latin(added)) - shrunk
        return least >= _LEAST_GROWTH and sent.counted - last.counted < _SLACK * least

    def _is_cached(self, last: _Sent, sent: _Sent) -> bool:
        """Return whether the count fits the new text alone, as that of a server that leaves out its cache."""
        added = "\n".join(sent.rest[len(last.rest) :])
        return sent.counted < last.counted and least_tokens(added) <= sent.counted <= len(added) + len(sent.system)


def _text(message: Mapping[str, Any]) -> str:
    return "\n".join((*_parts(message.get("content")), *(str(call["function"]["arguments"]) for call in message.get("tool_calls") or ())))


def _parts(content: Any) -> Iterable[str]:
    if isinstance(content, str):
        return (content,)
    return (str(part.get("text") or "") for part in content or () if isinstance(part, Mapping))
