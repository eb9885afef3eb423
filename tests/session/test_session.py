"""Sessions on real small clips: ask, go on after a crash, be interrupted, and a whole question with a language model's server."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from analyzer_agent.config import Settings
from analyzer_agent.errors import AgentError
from analyzer_agent.events import Answered, TextDelta
from analyzer_agent.llm import open_model
from analyzer_agent.protocols import Reply
from analyzer_agent.records import JSON
from analyzer_agent.session import Session
from analyzer_agent.testing import FakeAnalyzer, fake_spec
from analyzer_agent.timeline import TimeRange
from analyzer_agent.toolbox import Tool, Toolbox
from media_maker import Clip, write
from openai_server import OpenAIServer
from session_kit import SUBTITLES, says


def test_a_question_on_a_real_file(opened: Callable[..., Session]) -> None:
    session = opened(SUBTITLES, says("Forty pounds [#2].", 2))
    answer = session.ask("What does a crate cost?")
    assert answer.text == "Forty pounds [#2]."
    cited = answer.citations[0]
    assert (cited.text, cited.kind, cited.video, cited.span) == (
        "A crate costs forty pounds.",
        "subtitle",
        "pier.mp4",
        TimeRange(1000, 1800),
    )
    turn = session.store.history.turns("t")[-1]
    assert turn["answer"] == json.loads(json.dumps(answer.to_dict())) and turn["answer"]["session"] == "t"
    assert turn["prompt"] and turn["manager"] == "scripted"


class TestRefusedAtOnce:
    def test_no_video(self) -> None:
        with pytest.raises(AgentError, match="at least one video"):
            Session()

    @pytest.mark.parametrize("question", ["", "  \n"])
    def test_no_question(self, opened: Callable[..., Session], question: str) -> None:
        with pytest.raises(AgentError, match="question is empty"):
            opened().ask(question)

    def test_no_word(self, opened: Callable[..., Session]) -> None:
        session = opened()
        with pytest.raises(AgentError, match=r"There is no word in the question '\?\?\?'\."):
            session.ask("???")
        for words in ("", " ?!"):
            with pytest.raises(AgentError, match="There is no word to search for"):
                session.search(words)

    def test_too_many_options(self, opened: Callable[..., Session]) -> None:
        with pytest.raises(AgentError, match="There are 27 options"):
            opened().ask("Which?", [str(n) for n in range(27)])

    @pytest.mark.parametrize(
        ("scope", "told"),
        [
            ({"start_ms": 1500, "end_ms": 500}, "empty or backwards"),
            ({"start_ms": 500, "end_ms": 500}, "empty or backwards"),
            ({"start_ms": 9000}, "beyond the end"),
            ({"start_ms": 0, "end_ms": 99_000}, "beyond the end"),
        ],
    )
    def test_a_scope_that_is_none(self, opened: Callable[..., Session], scope: dict[str, int], told: str) -> None:
        with pytest.raises(AgentError, match=told):
            opened(**scope)

    def test_what_was_opened_is_closed_again(self, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from analyzer_agent.media import MediaFile

        closed = []
        plain = MediaFile.close

        def close(self: MediaFile) -> None:
            closed.append(self.name)
            plain(self)

        monkeypatch.setattr(MediaFile, "close", close)
        with pytest.raises(AgentError, match="beyond the end"):
            Session(clip, settings=Settings(store=tmp_path / "s.db", start_ms=9000))
        assert closed == ["pier.mp4"]


def test_same_names_are_told_apart(clip: Path, opened: Callable[..., Session], tmp_path: Path) -> None:
    copies = []
    for n in range(3):
        (tmp_path / str(n)).mkdir()
        copies.append(write(tmp_path / str(n) / "pier.mp4", Clip(times=[i * 40 for i in range(10 + n)])))
    assert list(opened(videos=copies).toolbox.session_videos) == ["pier.mp4", "pier.mp4(2)", "pier.mp4(3)"]


def test_an_error_ends_the_question_and_the_session_goes_on(opened: Callable[..., Session]) -> None:
    def fails(messages: object) -> Reply:
        raise AgentError("The server is gone.", hint="Start it.")

    session = opened(fails, SUBTITLES, says("Forty [#2].", 2))
    with pytest.raises(AgentError, match="The server is gone"):
        session.ask("first")
    assert session.interrupted is None
    assert session.ask("second").finished == "answered"
    first, second = session.store.history.turns("t")
    assert first["answer"] == {"question": "first", "answer": None, "finished": "failed", "error": "The server is gone."}
    assert second["answer"]["answer"] == "Forty [#2]."


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_a_language_model_end_to_end(opened: Callable[..., Session], api: Any) -> None:
    with OpenAIServer(key="sk-test-secret") as server:
        server.calls(("search_notes", {"query": "crate price"}), reasoning=["hm"])
        server.calls(
            ("read_subtitles", {"ranges": [["0:00", "0:02"]]}), ("find_nothing", {}), text="I read the subtitles.", reasoning=["so"]
        )
        server.says("A crate costs forty pounds [#2].")
        server.calls(("judge", {"sufficient": True, "missing": ""}), reasoning=["yes"])
        server.calls(("search_notes", {"query": "welcome"}))
        server.calls(("finish", {"answer": "At the harbour [#1].", "notes": [1], "confidence": "high", "found": True}))
        model = open_model("m", api=api, base_url=server.url, api_key="sk-test-secret")
        session = opened(model=model)
        events = list(session.stream("What does a crate cost?"))
        assert isinstance(events[-1], Answered)
        first = events[-1].answer
        second = session.ask("Where are we?")
    assert first.text == "A crate costs forty pounds [#2]." and first.citations[0].text == "A crate costs forty pounds."
    assert "".join(e.text for e in events if isinstance(e, TextDelta)).endswith("A crate costs forty pounds [#2].")
    assert [s.tool for s in first.steps] == ["search_notes", "read_subtitles", "find_nothing"] and first.steps[2].refused
    assert (first.usage.llm_calls, first.usage.input_tokens, first.usage.output_tokens) == (4, 44, 28)
    assert second.citations[0].text == "Welcome to the harbour." and second.manager == "openai" and second.model == "m"
    streamed = ["stream" in request.body for request in server.requests]
    assert streamed == [True, True, True, False, True, True], "the judge's words are not for the user"
    assert [request.body.get("tool_choice") for request in server.requests] == [None, None, None, "required", None, None]
    name = "messages" if api == "chat" else "input"
    before, after = (server.requests[n].body[name] for n in (2, 4))
    assert after[: len(before)] == before, "the judge apart, a request begins with the one before"
    assert server.requests[4].body["tools"] == server.requests[2].body["tools"]
    assert "A crate costs forty pounds" in json.dumps(after[len(before) :])


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_what_the_server_refuses_ends_the_question(opened: Callable[..., Session], api: Any) -> None:
    with OpenAIServer(key="right") as server:
        session = opened(model=open_model("m", api=api, base_url=server.url, api_key="sk-wrong-secret"))
        with pytest.raises(AgentError) as refused:
            session.ask("What?")
    assert refused.value.hint and "sk-wrong-secret" not in str(refused.value)


def test_no_key_is_ever_written(opened: Callable[..., Session], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    secret = "sk-very-secret-123456"
    caplog.set_level(0)
    with OpenAIServer(key=secret) as server:
        server.calls(("read_subtitles", {"ranges": [["0:00", "0:02"]]}))
        server.says("Forty [#2].")
        server.fails(403, f"no access with {secret}")
        settings = {"api_key": secret, "base_url": server.url, "manager": "openai", "api": "chat", "verify": "never"}
        session = opened(model=open_model("m", api="chat", base_url=server.url, api_key=secret), **settings)
        session.ask("How much?")
        with pytest.raises(AgentError) as refused:
            session.ask("Again?")
    told = f"{refused.value} {refused.value.hint}"
    shown = [told, repr(session.settings), repr(session), repr(session.model), repr(vars(session)), caplog.text]
    session.close()
    assert not any(secret in text for text in shown)
    for file in tmp_path.glob("store.db*"):
        assert secret.encode() not in file.read_bytes()


def test_the_checkpoints_lie_in_the_store_and_only_the_newest(opened: Callable[..., Session], tmp_path: Path) -> None:
    session = opened(SUBTITLES, says("Forty [#2].", 2), SUBTITLES, says("Forty [#2].", 2))
    session.ask("one")
    session.ask("two")
    db = sqlite3.connect(tmp_path / "store.db")
    assert db.execute("SELECT count(*) FROM checkpoints").fetchone()[0] == 1
    db.close()


def test_indexing_without_a_question(opened: Callable[..., Session]) -> None:
    session = opened()
    assert [type(e).__name__ for e in session.index_stream()][-1] == "ToolFinished"
    with pytest.raises(AgentError, match="Unknown analyzer 'nonsense'"):
        list(session.index_stream(["nonsense"]))


class TestMisuse:
    """What a person gets wrong when opening a session is an error with a way out, not a traceback from within."""

    @pytest.mark.parametrize(
        ("given", "told", "hint"),
        [
            ({"weights_dirr": "w"}, "Unknown setting 'weights_dirr'.", "Did you mean 'weights_dir'?"),
            ({"mode": "blindd"}, "mode='blindd' is not valid: choose one of", "Did you mean 'blind'?"),
            ({"videos": [["a.mp4", "b.mp4"]]}, "A video is given as a path, not as ['a.mp4', 'b.mp4'].", "Session(*files)"),
            ({"videos": [None]}, "A video is given as a path, not as None.", ""),
            ({"start_ms": 5000, "end_ms": 3000}, "The range 0:05-0:03 is empty or backwards.", "--to must come after --from."),
            ({"language": "fr"}, "Unknown setting 'language'.", "It is an option of speech: options = {'speech': {'language': ...}}"),
        ],
    )
    def test_told(self, opened: Callable[..., Session], given: dict[str, Any], told: str, hint: str) -> None:
        with pytest.raises(AgentError) as refused:
            opened(**given)
        assert str(refused.value).startswith(told) and hint in refused.value.hint

    def test_a_question_is_text_with_a_word(self, opened: Callable[..., Session]) -> None:
        session, nothing = opened(), cast(Any, None)
        with pytest.raises(AgentError, match="The question is None, not text"):
            session.ask(nothing)
        with pytest.raises(AgentError, match="There is no word in the question"):
            session.ask("???")
        assert "closed" not in repr(session)
        session.close()
        assert repr(session).endswith(", closed>")

    def test_paths_and_the_models_name_as_text(self, clip: Path, tmp_path: Path) -> None:
        with Session(str(clip), store=str(tmp_path / "s.db"), tools="subtitles", model="m", base_url="http://localhost:1/v1") as session:
            assert (session.settings.model, session.model.model, session.settings.store) == ("m", "m", tmp_path / "s.db")
        with pytest.raises(AgentError, match="No weights in"):
            Session(clip, weights=str(tmp_path))


class TestNotes:
    """Notes read and searched without a question."""

    @pytest.fixture
    def session(self, opened: Callable[..., Session]) -> Session:
        session = opened()
        (result,) = session.index(["subtitles"])
        assert (result.tool, len(result.note_ids)) == ("read_subtitles", 2)
        return session

    def test_all_in_time_order(self, session: Session) -> None:
        assert [(n.id, n.kind, n.span, n.text, n.notes, n.video) for n in session.notes()] == [
            (1, "subtitle", TimeRange(200, 900), "Welcome to the harbour.", (1,), "pier.mp4"),
            (2, "subtitle", TimeRange(1000, 1800), "A crate costs forty pounds.", (2,), "pier.mp4"),
        ]
        assert session.notes(["speech"]) == [] and len(session.notes("subtitle")) == 2
        assert [n.id for n in session.notes(start=1)] == [n.id for n in session.notes(start="0:01.5", video="pier.mp4")] == [2]
        assert [n.id for n in session.notes(end=0.95)] == [1]

    def test_what_was_searched_for_first(self, session: Session, clip: Path) -> None:
        assert [n.text for n in session.search("crate pounds")] == ["A crate costs forty pounds."]
        assert session.search("crate", end=0.9) == session.search("crate", ["text"]) == session.search("whale") == []
        assert [n.id for n in session.search("harbour", video=clip)] == [1]

    def test_as_the_command_line_prints_them(self, session: Session) -> None:
        assert session.notes()[0].to_dict() == {
            **{"id": 1, "video": "pier.mp4", "kind": "subtitle", "analyzer": "subtitles", "engine": "pyav"},
            **{"start": 0.2, "end": 0.9, "text": "Welcome to the harbour.", "score": None, "uncertain": False, "notes": [1]},
        }

    @pytest.mark.parametrize(
        ("given", "told", "hint"),
        [
            ({"kinds": ["speach"]}, "Unknown kind 'speach'.", "Did you mean 'speech'?"),
            ({"video": "other.mp4"}, "This session has no video 'other.mp4'.", "Choose from: pier.mp4."),
            ({"start": "soon"}, "'soon' is not a time; give seconds (64.2) or a clock (1:04.2, 1:02:03.5).", ""),
            ({"start": 2, "end": 1}, "The range 0:02-0:01 is empty or backwards.", "`end` must come after `start`."),
        ],
    )
    def test_wrong(self, session: Session, given: dict[str, Any], told: str, hint: str) -> None:
        for read in (session.notes, partial(session.search, "crate")):
            with pytest.raises(AgentError) as refused:
                read(**given)
            assert str(refused.value) == told and refused.value.hint == hint

    def test_words_with_their_times(self, opened: Callable[..., Session]) -> None:
        session = opened()
        words: list[JSON] = [["costs", 1200, 1500, 0.9], ["forty", 1500, 1800, 0.8]]

        class Heard(FakeAnalyzer):
            def analyze(self, video: Any, grains: Sequence[Any]) -> Iterator[Any]:
                for grain, found in super().analyze(video, grains):
                    yield grain, [replace(one, kind="speech", detail={"words": words}) for one in found]

        spec = replace(fake_spec(Heard([(TimeRange(1200, 1800), "costs forty")]), grain=2000), kinds=("speech",))
        session.toolbox = Toolbox(session.store, session.session_videos, {"fake": Tool(spec)})
        session.index()
        (note,) = session.notes(["speech"])
        assert [(w.text, w.span, w.probability) for w in note.words] == [
            ("costs", TimeRange(1200, 1500), 0.9),
            ("forty", TimeRange(1500, 1800), 0.8),
        ]
