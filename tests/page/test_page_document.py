"""What a page is told: lanes with their coverage, texts made safe, answers of any age, stills of what is cited."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analyzer_agent.evidence.merging import NoteReader
from analyzer_agent.media import MissingVideo, open_video
from analyzer_agent.page import PageVideo, build_document
from analyzer_agent.page.stills import stills, thumbnails
from analyzer_agent.page.turns import clean
from analyzer_agent.records import Observation, gap
from analyzer_agent.storage import Store
from analyzer_agent.timeline import TimeRange
from analyzer_agent.tools import load_all
from media_maker import Clip, Tone, write
from page_kit import Place, answer, put_notes, said

SPECS = {name: spec for name, (spec, _) in load_all().items()}
VIDEO = MissingVideo("talk.mp4", 10_000)
AT = "2026-11-28T09:00:00+00:00"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store.db") as store:
        store.notes.add_video(VIDEO.id, VIDEO.name, "/nowhere/talk.mp4", VIDEO.duration)
        yield store


def made(store: Store, *turns: dict[str, Any]) -> dict[str, Any]:
    talk = {"name": "s", "begun": AT, "turns": [{"question": "?", "asked": AT, "answered": AT, "answer": turn} for turn in turns]}
    return build_document(NoteReader(store, SPECS), SPECS, [PageVideo(VIDEO, VIDEO.name)], [talk])


def notes(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [dict(zip(document["fields"], row, strict=True)) for row in document["videos"][0]["notes"]]


def test_each_voice_has_a_lane(store: Store) -> None:
    put_notes(
        store, VIDEO.id, "speech", [said(0, "hello", speaker="Ann"), said(3000, "well", speaker="Bob"), said(6000, "bye", speaker="Ann")]
    )
    document = made(store)
    assert [(lane["analyzer"], lane["speaker"]) for lane in document["videos"][0]["lanes"]] == [("speech", "Ann"), ("speech", "Bob")]
    assert [note["lane"] for note in notes(document)] == [0, 1, 0]
    assert notes(document)[1]["words"] == [["well", 3000, 3200]]


def test_an_analyzer_that_found_nothing_has_a_lane_too(store: Store) -> None:
    put_notes(store, VIDEO.id, "text", [], step=1000, end=8000)
    (lane,) = made(store)["videos"][0]["lanes"]
    assert (lane["analyzer"], lane["coverage"]) == ("text", [[0, 8000, "empty", 1000, ""]])


def test_what_could_not_be_read_is_not_told_as_looked_at(store: Store) -> None:
    put_notes(store, VIDEO.id, "text", [gap(TimeRange(2000, 3000), "undecodable", "the frame is damaged")], step=1000, end=4000)
    (shown,) = made(store)["videos"]
    assert [part[:4] for part in shown["lanes"][0]["coverage"]] == [
        [0, 2000, "empty", 1000],
        [2000, 3000, "unread", 1000],
        [3000, 4000, "empty", 1000],
    ]
    assert shown["lanes"][0]["coverage"][1][4] == "the frame is damaged"
    assert [2000, 3000] in next(row["spans"] for row in shown["unlooked"] if row["what"] == "picture" and row["step"] is None)


def test_texts_lose_what_moves_a_cursor_or_turns_the_reading(store: Store) -> None:
    put_notes(store, VIDEO.id, "text", [Observation(TimeRange(0, 1000), "text", "a\x1b[2Jb\u202ec\x00")], step=1000)
    document = made(store, answer({}, answer="\u202eevil", steps=[{"tool": "x", "args": {"\x07k": ["\u2066v"]}}]))
    assert [note["text"] for note in notes(document)] == ["abc"]
    (turn,) = document["sessions"][0]["turns"]
    assert turn["answer"]["text"] == "evil" and turn["answer"]["steps"][0]["args"] == {"k": ["v"]}


def test_a_citation_of_a_piece_leads_to_the_whole_note(store: Store) -> None:
    put_notes(store, VIDEO.id, "text", [Observation(TimeRange(n * 1000, n * 1000 + 1000), "text", "OPEN") for n in range(3)], step=1000)
    document = made(store, answer({"OPEN": 2}, Place("OPEN", "talk.mp4", 0, 3000)))
    (citation,) = document["sessions"][0]["turns"][0]["answer"]["citations"]
    assert (citation["note"], citation["row"], citation["video"], citation["at"]) == (2, notes(document)[0]["id"], VIDEO.id, 0)


def test_a_citation_of_a_note_that_is_gone_is_found_by_the_name_of_its_video(store: Store) -> None:
    part = {"start": 1, "end": 3}
    places = (Place("gone", "talk.mp4", 1500, 2000), Place("gone", "other.mp4", 0, 1))
    stored = answer({"gone": 99}, *places)
    stored["citations"][0] |= {"whole": part, "words": [{"start": 1.6, "end": 1.8}]}
    document = made(store, stored)
    here, elsewhere = document["sessions"][0]["turns"][0]["answer"]["citations"]
    assert (here["video"], here["at"], here["whole"]) == (VIDEO.id, 1600, [1000, 3000]) and elsewhere["video"] == ""


def test_answers_of_older_versions_and_interrupted_ones_are_shown(store: Store) -> None:
    document = made(store, {"answer": "Twelve."}, {"question": "?", "answer": None, "finished": "interrupted"})
    old, open_ = document["sessions"][0]["turns"]
    assert old["answer"]["text"] == "Twelve." and old["answer"]["citations"] == [] and open_["answer"] is None
    json.dumps(document, allow_nan=False)


def test_numbers_that_json_does_not_know_are_left_out() -> None:
    assert clean({"a": float("nan"), "b": [1.5, float("inf")]}) == {"a": None, "b": [1.5, None]}


def test_stills_are_made_of_instants_within_the_picture(tmp_path: Path) -> None:
    with open_video(write(tmp_path / "a.mp4", Clip())) as video:
        assert [*stills(video, [0, 0, 1000, 5000])] == [0, 1000]
        assert [t for t, _ in thumbnails(video)] == [0, 500, 1000, 1500]
    with open_video(write(tmp_path / "a.m4a", Clip(picture=False, tones=(Tone(),)))) as sound:
        assert stills(sound, [0]) == {} and [*thumbnails(sound)] == []
    with open_video(write(tmp_path / "a.png", Clip(codec="png", times=[0], size=(320, 240), format="image2"))) as image:
        ((at, _),) = thumbnails(image)
        assert at == 0
