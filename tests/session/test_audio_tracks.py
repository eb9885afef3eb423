"""Several audio tracks: the default one is heard, others can be chosen, and what nobody heard is told."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tiny_whisper
from analyzer_agent import AgentError, Session
from analyzer_agent.events import discard
from analyzer_agent.protocols import Reply
from analyzer_agent.records import ToolCall, ToolResult, Unexamined
from analyzer_agent.sample import sample_path
from analyzer_agent.testing import ScriptedModel, call
from analyzer_agent.toolbox import Tool, Toolbox
from analyzer_agent.tools import speech, voice
from cli_kit import Cli
from engines import Ready
from session_kit import says
from sounds import BurstListener, LevelDetector, Spoken, bursts, write_tracks

WORDS = bursts(4_000, [(500, 1_000), (1_400, 1_900)])
WHOLE = "0:00-0:04"
MIC = Spoken(WORDS, "ger", "Mic")

LISTEN = Reply(calls=(call("transcribe_speech", ranges=[["0:00", "0:04"]]),))

Opened = Callable[..., Session]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    """Open sessions in which bursts are words and voices."""
    sessions: list[Session] = []

    def open_one(*tracks: Spoken, name: str = "talk.mkv", replies: Iterable[Reply] = (), **more: Any) -> Session:
        file = tmp_path / name
        if tracks:
            write_tracks(file, tracks)
        session = Session(
            file, store=tmp_path / "s.db", model=ScriptedModel(*replies), verify="never", weights={"speech": tiny_whisper.made()}, **more
        )
        sessions.append(session)
        own = {name: tool.spec for name, tool in session.toolbox.tools.items()}
        hearing = ((speech.SPEC, BurstListener()), (voice.SPEC, LevelDetector()))
        tools = {spec.name: Tool(replace(own.get(spec.name, spec)), Ready(engine)) for spec, engine in hearing}
        session.toolbox = Toolbox(session.store, session.session_videos, tools)
        return session

    yield open_one
    for session in sessions:
        session.close()


def heard(session: Session, tool: str = "transcribe_speech", **options: Any) -> ToolResult:
    arguments = {"ranges": [["0:00", "0:04"]], **options}
    (result,) = session.toolbox.scheduler.run([ToolCall("1", tool, json.dumps(arguments))], discard)
    return result


def others(left: Iterable[Unexamined]) -> list[tuple[str, str, str]]:
    return [(u.analyzer, str(u.span), u.detail) for u in left if u.reason == "other_track"]


@pytest.mark.parametrize("name", ["talk.mkv", "talk.mka", "talk.m4a", "talk.mov"])
def test_the_default_track_is_the_default(opened: Opened, name: str) -> None:
    loud = replace(MIC, samples=WORDS * 100)  # AAC keeps it
    session = opened(Spoken(language="eng"), replace(loud, default=True), name=name)
    assert [track.default for track in session.session_videos[0].video.audio_tracks] == [False, True]
    result = heard(session, "find_voice")
    assert result.found >= 1
    assert [(left[0], left[2]) for left in others(result.not_examined)] == [("voice", "audio track 1 (eng)")]


def test_without_a_flag_it_is_the_first(opened: Opened) -> None:
    session = opened(Spoken(language="eng"), MIC)
    result = heard(session)
    assert result.found == 0
    assert others(result.not_examined) == [("speech", WHOLE, "audio track 2 (Mic, ger)")]
    assert "analyzed 0:00-0:04" in result.text
    assert 'Not examined, because it is on another track (<notes>"audio track 2 (Mic, ger)"</notes>): 0:00-0:04' in result.text


@pytest.mark.parametrize("track", [2, "2", "de", "ger", "deu", "German", "de-AT"])
def test_a_track_is_chosen_by_number_or_language(opened: Opened, track: int | str) -> None:
    session = opened(Spoken(language="eng"), MIC, Spoken(language="fre"), track=track)
    result = heard(session)
    assert [note.text for note in result.shown] == ["w0 w1"]
    assert [left[2] for left in others(result.not_examined)] == ["audio track 1 (eng)", "audio track 3 (fre)"]


def test_of_two_tracks_of_a_language_the_default_one_is_meant(opened: Opened) -> None:
    session = opened(Spoken(language="ger"), replace(MIC, default=True), track="de")
    assert heard(session).found == 1


@pytest.mark.parametrize("track", ["ger", 2, "German"])
def test_the_model_can_choose_a_track(opened: Opened, track: int | str) -> None:
    session = opened(Spoken(language="eng"), MIC)
    assert heard(session).found == 0
    result = heard(session, track=track)
    assert [note.text for note in result.shown] == ["w0 w1"]
    assert others(result.not_examined) == []  # the first one was heard before


def test_a_track_that_is_not_there_is_refused(opened: Opened) -> None:
    session = opened(Spoken(language="eng"), MIC)
    assert "audio track 3 does not exist in this video; it has audio tracks 1 to 2" in heard(session, track=3).text
    assert "no audio track of this video is in this language; it has" in heard(session, track="fr").text
    with pytest.raises(AgentError, match=r"There is no audio track in 'fr'\.") as refused:
        opened(track="fr")
    assert refused.value.hint == "Choose --track from: 1 (eng), 2 (Mic, ger)."
    with pytest.raises(AgentError, match="There is no audio track 3"):
        opened(track=3)


def test_the_briefing_names_the_tracks_and_the_default_one(opened: Opened) -> None:
    session = opened(Spoken(language="eng"), replace(MIC, default=True), replies=[LISTEN, says("Nothing.", found=False)])
    session.ask("What?")
    model: Any = session.model
    assert "audio tracks: 1 (eng), 2 (ger, default); no subtitle track" in str(model.requests[0])


def test_not_found_names_the_tracks_that_nobody_heard(opened: Opened) -> None:
    session = opened(Spoken(language="eng"), MIC, replies=[LISTEN, says("Not found.", found=False)])
    answer = session.ask("What does the captain wait for?")
    assert answer.finished == "not_found"
    assert others(answer.not_examined) == [(name, WHOLE, "audio track 2 (Mic, ger)") for name in ("speech", "voice")]


def test_an_answer_that_cites_speech_names_them_too(opened: Opened) -> None:
    session = opened(MIC, Spoken(language="eng"), replies=[LISTEN, says("It waits [#1].", 1)])
    assert others(session.ask("What?").not_examined) == [("speech", WHOLE, "audio track 2 (eng)")]


def test_what_a_later_step_heard_is_not_named(opened: Opened) -> None:
    second = Reply(calls=(call("transcribe_speech", ranges=[["0:00", "0:04"]], track=2),))
    session = opened(Spoken(language="eng"), MIC, replies=[LISTEN, second, says("It waits [#2].", 2)])
    answer = session.ask("What?")
    assert [citation.text for citation in answer.citations] == ["w0 w1"]
    assert others(answer.not_examined) == []


def test_notes_of_one_track_never_hide_those_of_another(opened: Opened) -> None:
    spoken = Spoken(bursts(4_000, [(200, 400)]), "eng")
    session = opened(spoken, replace(MIC, default=True))
    assert [note.text for note in heard(session).shown] == ["w0 w1"]
    heard(session, track=1)
    assert {note.text for note in session.notes() if note.kind == "speech"} == {"w0", "w0 w1"}
    assert {note.text for note in session.search("w0 w1")} == {"w0", "w0 w1"}
    chosen = opened(track="en")
    assert {note.text for note in chosen.notes() if note.kind == "speech"} == {"w0"}


def test_a_single_track_is_told_as_before(opened: Opened) -> None:
    session = opened(MIC)
    assert others(heard(session).not_examined) == []
    assert [p.params["track"] for p in session.store.notes.provenances()] == [1]


# --- the command line, with the real voice detector -----------------------------------------------------------------------


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    """The sample's sound on a second track, after silence."""
    from analyzer_agent.media import open_video
    from analyzer_agent.timeline import TimeRange

    said = open_video(sample_path()).audio(TimeRange(0, 8_000))
    return write_tracks(tmp_path / "talk.mkv", [Spoken(language="eng"), Spoken(said, "ger", "Mic")])


def test_index_tells_of_the_other_tracks(cli: Cli, talk: Path) -> None:
    result = cli("index", talk, "--with", "voice")
    assert "voice 0:00-0:08 (other track: audio track 2 (Mic, ger))" in result.stdout + result.stderr
    told = cli.json("index", talk, "--with", "voice", "--json")
    assert [left["reason"] for left in told["indexed"][0]["not_examined"]] == ["other_track"]


@pytest.mark.parametrize("track", ["2", "de"])
def test_a_track_is_chosen_with_a_flag(cli: Cli, talk: Path, track: str) -> None:
    cli("index", talk, "--with", "voice", "--track", track, "--quiet")
    assert next(note["kind"] for note in cli.json("notes", talk, "--json")) == "voice"
    result = cli("index", talk, "--with", "voice", "--track", "fr", code=1)
    assert result.stderr == "Error: There is no audio track in 'fr'.\nHint: Choose --track from: 1 (eng), 2 (Mic, ger).\n"


# --- several video tracks ---------------------------------------------------------------------------------------------------


def two_pictures(path: Path) -> Path:
    """Write a video of two pictures, of which the second is flagged as default."""
    import av
    import numpy as np
    from av.stream import Disposition

    with av.open(str(path), "w") as container:
        streams: list[Any] = [container.add_stream("mpeg4", rate=5, width=64, height=48, pix_fmt="yuv420p") for _ in range(2)]
        streams[0].disposition, streams[1].disposition = Disposition(0), Disposition.default
        streams[0].metadata["title"] = "Slides"
        for number in range(10):
            for stream in streams:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), 9 * number, np.uint8), format="rgb24")))
        container.mux([packet for stream in streams for packet in stream.encode(None)])
    return path


def test_other_video_tracks_are_told_with_what_was_not_found(tmp_path: Path, cli: Cli) -> None:
    video = two_pictures(tmp_path / "talk.mkv")
    told = cli.json("index", video, "--with", "motion", "--json")
    left = told["indexed"][0]["not_examined"]
    assert [(one["reason"], one["detail"]) for one in left] == [("other_track", "video track 1 (Slides)")]
    answer = cli.json("ask", video, "Is the word BRAVO shown?", "--manager", "rules", "--tools", "motion,scenes", "--json", "--quiet")
    others = [one for one in answer["not_examined"] if one["reason"] == "other_track"]
    assert {one["detail"] for one in others} == {"video track 1 (Slides)"}
