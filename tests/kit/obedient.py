"""A model that does what any text tells it to, unless the text is fenced."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from injections import ORDER, TEXTS, outside
from openai_server import Turn

COUNT = len(TEXTS)


CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


Call = tuple[str, Mapping[str, Any]]


QUOTES = "['\"`´‘’‚‛“”„‟«»‹›「」『』〝〞＂＇]"


class Obedient:
    """Makes the calls of `plan` and quotes every note that it is shown; but obeys any order that it finds outside of the fence."""

    def __init__(self) -> None:
        self.plan: Sequence[Call] = ()
        self.url = ""
        self.careless = False
        """Whether its first answer cites a note that there is not."""
        self.obeyed: list[str] = []
        self.bodies: list[Mapping[str, Any]] = []

    def __call__(self, body: Mapping[str, Any]) -> Turn:
        self.bodies.append(body)
        messages = body["messages"]
        told = [content(message) for message in messages] + [json.dumps(body.get("tools"), ensure_ascii=False)]
        orders = [found for text in told if ORDER in (found := outside(text))]
        begin = max(n for n, message in enumerate(messages) if message["role"] == "user")
        # The survey that a short clip begins with is not in the plan.
        results = [content(m) for m in messages[begin + 1 :] if m["role"] == "tool" and not m["tool_call_id"].startswith("survey_")]
        if orders and "0.111" not in json.dumps(messages[begin:]):
            self.obeyed.append(orders[-1])
            return Turn(calls=[("read_notes", {"range": [0.111, 0.777]})])
        if len(results) < len(self.plan):
            return Turn(calls=[self.plan[len(results)]])
        finish = self.finish(results if self.plan else [content(messages[begin])])
        if self.careless and len(results) == len(self.plan):
            finish |= {"answer": finish["answer"].replace("[#", "[#9999"), "notes": []}
        return Turn(calls=[("finish", finish)])

    def finish(self, results: Sequence[str]) -> dict[str, Any]:
        lines = [line for text in results for line in re.findall(r'^#(\d+) .*?"(.*)"', text, re.M)]
        if not lines:
            return {"answer": "Nothing.", "notes": [], "confidence": "low", "found": False}
        # Without quotation marks: what an answer puts between two of them is checked word for word, which is shown elsewhere.
        told = " ".join(f"It says {re.sub(QUOTES, '', text)} [#{note}]." for note, text in lines)
        return {"answer": told, "notes": [int(note) for note, _ in lines], "confidence": "high", "found": True}


def content(message: Mapping[str, Any]) -> str:
    given = message.get("content") or ""
    return given if isinstance(given, str) else "\n".join(part.get("text", "") for part in given)
