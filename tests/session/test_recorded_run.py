"""The run that README shows: the replies a language model gave, replayed through the live analyzers on the sample clip."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from analyzer_agent import Session
from analyzer_agent.protocols import Reply
from analyzer_agent.records import ToolCall
from analyzer_agent.sample import sample_path
from analyzer_agent.testing import ScriptedModel, call
from places import ROOT

RUN = json.loads((ROOT / "examples" / "recorded_run.json").read_text(encoding="utf-8"))
_LINE = re.compile(r'^#(\d+) [^"]*"(.*)"$', re.M)


def plain(text: str) -> str:
    """Return the letters and digits of a text: engines differ in case and punctuation."""
    return re.sub(r"\W+", " ", text).strip().lower()


def replayed(turn: Sequence[tuple[str, dict[str, Any]]]) -> Callable[[Sequence[Mapping[str, Any]]], Reply]:
    """Return a turn as a function of the messages: ids depend on which call ended first, texts do not."""

    def reply(messages: Sequence[Mapping[str, Any]]) -> Reply:
        shown = {plain(text): number for m in messages for number, text in _LINE.findall(str(m["content"]))}

        def now(recorded: str) -> int:
            return int(shown[plain(RUN["notes"][recorded])])

        calls: list[ToolCall] = []
        for name, arguments in turn:
            if name == "finish":
                answer = re.sub(r"\[#(\d+)\]", lambda m: f"[#{now(m[1])}]", arguments["answer"])
                arguments = arguments | {"answer": answer, "notes": [now(str(n)) for n in arguments["notes"]]}
            calls.append(call(name, f"call-{len(messages)}-{len(calls)}", **arguments))
        return Reply(calls=tuple(calls))

    return reply


def test_the_recorded_run_still_holds_on_the_live_analyzers(tmp_path: Path, installed_weights: None) -> None:
    for number, recorded in enumerate(RUN["questions"]):
        model = ScriptedModel(*map(replayed, recorded["turns"]))
        with Session(sample_path(), store=tmp_path / "store.db", model=model, verify="never") as session:
            answer = session.ask(recorded["question"])
        final = recorded["turns"][-1][0][1]
        assert re.sub(r"#\d+", "#", answer.text) == re.sub(r"#\d+", "#", final["answer"])
        assert [plain(c.text) for c in answer.citations] == [plain(RUN["notes"][str(n)]) for n in final["notes"]]
        assert answer.finished == "answered" and not answer.unsupported
        assert (answer.usage.media_ms_analyzed == 0) is (number > 0), "the second question rests on what the first one left"


def test_readme_shows_the_recorded_run() -> None:
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    for recorded in RUN["questions"]:
        assert recorded["question"] in readme
        assert recorded["turns"][-1][0][1]["answer"] in readme
    assert RUN["model"].split(",")[0] in readme and RUN["date"] in readme
