"""`view`: frames as pictures for a manager that sees, which it cites like notes."""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from analyzer_agent.config import Settings
from analyzer_agent.events import discard
from analyzer_agent.llm.openai_chat import to_chat_messages
from analyzer_agent.llm.sighted import sees_pictures
from analyzer_agent.protocols import FrameQuery, Reply
from analyzer_agent.records import ShownPicture
from analyzer_agent.sample import sample_path
from analyzer_agent.session import Session
from analyzer_agent.storage import Store
from analyzer_agent.testing import FakeVideo, ScriptedModel, call
from analyzer_agent.timeline import TimeRange
from analyzer_agent.toolbox import SessionVideo, Toolbox
from analyzer_agent.toolbox.view import PictureRenderer
from openai_server import OpenAIServer


class Album:
    """Makes pictures that say what is on them."""

    def __init__(self) -> None:
        self.made: list[tuple[str, tuple[int, ...], Any]] = []

    def part(self, video: Any, times: Sequence[int], region: Any) -> Mapping[str, Any] | None:
        self.made.append((video.id, tuple(times), region))
        return None if times[0] == 7_000 else {"type": "image_url", "image_url": {"url": f"{video.id} {list(times)} {region}"}}


@pytest.fixture
def album() -> Album:
    return Album()


@pytest.fixture
def box(tmp_path: Path, album: Album) -> Any:
    film = FakeVideo(60_000)
    with Store(tmp_path / "store.db") as store:
        store.notes.add_video(film.id, film.name, str(film.path), film.duration)
        yield Toolbox(store, [SessionVideo("film", film, TimeRange(0, 60_000))], {}, pictures=album)


def viewed(box: Toolbox, **arguments: Any) -> Any:
    return box.run(call("view", **arguments), discard)


def times(result: Any) -> list[tuple[int, ...]]:
    return [picture.times for picture in result.pictures]


def test_the_frames_of_the_ranges_and_no_others_each_with_a_number(box: Toolbox) -> None:
    result = viewed(box, ranges=[[5, 7], ["0:50", "0:50.08"]])
    assert times(result) == [(5_000 + 250 * n,) for n in range(8)] + [(50_000,), (50_040,)]
    assert [picture.number for picture in result.pictures] == list(range(1, 11))
    assert [str(picture.span) for picture in result.pictures][-3:] == ["0:06.75-0:07", "0:50-0:50.04", "0:50.04-0:50.08"]
    assert result.text == "view: 10 frames, shown to you." and result.note_ids == () and result.found == 10
    assert viewed(box, ranges=[[5, 6]], every=0.5).pictures[0].number == 11


def test_the_first_look_is_one_sheet_of_the_whole(box: Toolbox) -> None:
    (picture,) = viewed(box).pictures
    assert picture.times == tuple(3_750 * n for n in range(16)) and picture.span == TimeRange(0, 60_000)
    assert picture.label.startswith("#1 a sheet of 16 frames: 0:00, 0:03.75, 0:07.5")
    sheets = viewed(box, ranges=[[0, 20]], every=1, sheet=True)
    assert times(sheets) == [tuple(range(0, 16_000, 1_000)), tuple(range(16_000, 20_000, 1_000))]
    assert sheets.text == "view: 20 frames on 2 sheets, shown to you. Cite a frame of a sheet with its time: [#2 0:01]."


def test_a_moment_is_one_frame(box: Toolbox) -> None:
    assert times(viewed(box, ranges="0:06, 0:08-0:10"))[:1] == [(6_000,)]


def test_a_region_goes_with_the_picture(box: Toolbox, album: Album) -> None:
    viewed(box, ranges=[[1, 1.04]], region="left half")
    assert album.made == [("fake", (1_000,), (0.0, 0.0, 0.5, 1.0))]


def test_what_cannot_be_decoded_is_told(box: Toolbox) -> None:
    result = viewed(box, ranges=[[6, 8]], every=1)
    assert times(result) == [(6_000,)] and result.text == "view: 1 frame, shown to you. 1 cannot be decoded, at 0:07."


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"ranges": [[0, 60]], "every": 2}, "that is 30 pictures, and a call shows at most 16. Shorten the ranges, or give every=3.75."),
        ({"every": 0}, "'every': cannot show a frame every 0 seconds"),
        ({"region": "the left"}, "'the left' is not a region"),
        ({"ranges": [[70, 80]]}, "lies outside of what can be analyzed"),
    ],
)
def test_what_cannot_be_shown_is_refused(box: Toolbox, arguments: dict[str, Any], told: str) -> None:
    assert told in (viewed(box, **arguments).refusal or "")


def test_it_is_offered_only_to_a_model_that_sees(box: Toolbox, tmp_path: Path) -> None:
    assert "view" in {tool["function"]["name"] for tool in box.schemas()}
    blind = Toolbox(box.store, list(box.session_videos.values()), {})
    assert "view" not in {tool["function"]["name"] for tool in blind.schemas()}
    assert "'view' is not a tool" in (viewed(blind).refusal or "")


def test_numbers_are_never_those_of_notes(box: Toolbox) -> None:
    store = box.store
    first = store.notes.reserve_ids(3)
    ids = store.ledger.keep("fake", "k:1", [], [])
    assert list(first) == [1, 2, 3] and ids == [] and list(store.notes.reserve_ids(2)) == [4, 5] and list(store.notes.reserve_ids(0)) == []


# --- in messages --------------------------------------------------------------------------------------------------------


def message(*numbers: int) -> dict[str, Any]:
    parts = [ShownPicture(n, "fake", TimeRange(n * 1_000, n * 1_000 + 500), (n * 1_000,)).to_part() for n in numbers]
    return {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "view: ..."}, *parts]}


def test_pictures_follow_their_labels_and_come_back_the_same(album: Album) -> None:
    renderer = PictureRenderer(album, {"fake": FakeVideo()})
    plain = {"role": "user", "content": "What?"}
    assert renderer.render([plain, message(1)]) == renderer.render([plain, message(1)])
    assert renderer.render([plain, message(1)])[1]["content"] == [
        {"type": "text", "text": "view: ..."},
        {"type": "text", "text": "#1 0:01"},
        {"type": "image_url", "image_url": {"url": "fake [1000] None"}},
    ]


def test_the_oldest_pictures_leave_many_at_a_time_and_say_how_to_come_back(album: Album) -> None:
    renderer = PictureRenderer(album, {"fake": FakeVideo()})

    def left(count: int) -> list[str]:
        parts = renderer.render([message(*range(10, 10 + count))])[0]["content"]
        return [part["text"] for part in parts[1:] if "left out" in part.get("text", "")]

    assert left(32) == []
    gone = '#10-#25, 0:10-0:25.5: 16 left out; view(ranges=[["0:10", "0:25.5"]], every=1) shows them again'
    assert left(33) == left(48) == [gone], "in one line"
    assert [line.partition(":")[0] for line in left(49)] == ["#10-#41, 0"]
    (stub,) = renderer.render([message(7)])[0]["content"][1:]
    assert stub["text"] == '#7 0:07: left out; view(ranges=[["0:07", "0:07.5"]]) shows it again'


def test_chat_completions_get_pictures_in_a_message_after_all_results(album: Album) -> None:
    sent = PictureRenderer(album, {"fake": FakeVideo()}).render(
        [message(1), {"role": "tool", "tool_call_id": "d", "content": "x"}, message(2)]
    )
    roles = [(one["role"], one["content"] if isinstance(one["content"], str) else len(one["content"])) for one in to_chat_messages(sent)]
    assert roles == [("tool", "view: ..."), ("tool", "x"), ("tool", "view: ..."), ("user", 5)]


# --- through a session --------------------------------------------------------------------------------------------------


def shown(body: dict[str, Any]) -> list[tuple[str, tuple[int, ...]]]:
    """Return the labels of the pictures in a request with their shapes, in either API."""
    lists = [one.get("content") or one.get("output") for one in body.get("messages") or body["input"]]
    parts = [part for content in lists if isinstance(content, list) for part in content]
    found = []
    for label, part in pairwise(parts):
        if part["type"] in ("image_url", "input_image"):
            url = part["image_url"] if isinstance(part["image_url"], str) else part["image_url"]["url"]
            with av.open(io.BytesIO(base64.b64decode(url.partition(",")[2])), "r") as container:
                found.append((label["text"], next(container.decode(container.streams.video[0])).to_ndarray(format="rgb24").shape))
    return found


def test_a_sheet_that_is_cited_does_not_pose_as_a_close_look(tmp_path: Path) -> None:
    model = ScriptedModel(
        Reply(calls=(call("view"),)),
        Reply(calls=(call("finish", answer="No whale is shown [#1].", notes=[1], confidence="high", outcome="not_found", claim="none"),)),
        Reply(calls=(call("finish", "f2", answer="No whale [#1].", notes=[1], confidence="high", outcome="not_found", claim="none"),)),
    )
    settings = Settings(store=tmp_path / "store.db", sees="yes", verify="never", max_analyzer_ms=0)
    with Session(sample_path(), settings=settings, model=model) as session:
        session.ask("Is there a whale?")
        video = session.session_videos[0].video
        keys = [provenance.key for provenance in session.store.notes.provenances(video=video.id, analyzer="look")]
        assert {part.step for part in session.store.ledger.covered(video.id, keys, TimeRange(0, video.duration))} == {
            -(-video.duration // 16)
        }


def test_a_frame_of_a_sheet_is_cited_by_its_time(tmp_path: Path) -> None:
    said = "A gull takes the fish [#1 0:12.75] [#1 0:12.75]."
    answer: dict[str, Any] = {"answer": said, "notes": [1], "confidence": "high", "outcome": "answered"}
    model = ScriptedModel(Reply(calls=(call("view"),)), Reply(calls=(call("finish", **answer),)))
    settings = Settings(store=tmp_path / "store.db", sees="yes", verify="never", max_analyzer_ms=0)
    with Session(sample_path(), settings=settings, model=model) as session:
        told = session.ask("Who takes the fish?")
        (cited,) = told.citations
    assert told.text == f"A gull takes the fish [#{cited.note}]."
    assert str(cited.span) == "0:12.75-0:13.75" and cited.whole is None, "the note is of that frame alone"


def finishing(answer: str, number: int = 1, **more: Any) -> Reply:
    given = {"answer": answer, "notes": [1], "confidence": "high", "outcome": "answered"} | more
    return Reply(calls=(call("finish", f"f{number}", **given),))


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Any]:
    """Give a function that opens a session on the sample clip with the replies of a manager that sees."""
    with ExitStack() as stack:

        def opened(*replies: Reply, verify: Any = "never") -> Session:
            settings = Settings(store=tmp_path / "store.db", sees="yes", verify=verify, max_analyzer_ms=0)
            return stack.enter_context(Session(sample_path(), settings=settings, model=ScriptedModel(*replies)))

        yield opened


SHEET = call("view", ranges=[["0:02", "0:06"]], every=0.5, sheet=True)


def test_each_frame_of_a_sheet_has_a_note_of_its_own(asked: Any) -> None:
    said = "B) First a ferry [#1 0:02] [#1 0:02.5], then a gull [#1 0:03-0:04]."
    judged = Reply(calls=(call("judge", seen="A ferry.", sufficient=True, missing=""),))
    views = Reply(calls=(SHEET, call("view", "c2", ranges="0:20")))
    session = asked(views, finishing(said, notes=[1, 2], choice="B"), judged, verify="always")
    told = session.ask("What is shown?", options=["a dog", "a ferry, then a gull"])
    whole = "First a ferry (0:02) (0:02.5), then a gull (0:03-0:04)."
    assert [(str(cited.span), cited.text) for cited in told.citations] == [
        ("0:02-0:02.5", whole),
        ("0:02.5-0:03", whole),
        ("0:03-0:04", whole),
    ], "what is only listed is no evidence"
    content = session.model.requests[-1][0][-1]["content"]
    assert [part["text"].partition(" ")[2] for part in content[1:] if part["type"] == "text"] == [
        *("0:02", "0:02.5", "a sheet of 3 frames: 0:03, 0:03.5, 0:04"),
    ]
    assert "seen in its frames" in content[0]["text"] and "ferry" not in content[0]["text"].partition("Cited notes")[2]


def test_a_sheet_that_was_shown_was_looked_at_whether_or_not_it_is_cited(asked: Any) -> None:
    views = Reply(calls=(call("view", ranges=[["0:00", "0:34"]], every=1, sheet=True),))
    session = asked(views, finishing("One ferry [#1 0:02].", claim="count"))
    answer = session.ask("How many ferries?")
    assert answer.complete.holds and [str(cited.span) for cited in answer.citations] == ["0:02-0:03"]
    assert len(session.model.requests) == 2, "it is not sent back"


def test_a_draft_that_is_sent_back_leaves_no_note(asked: Any) -> None:
    refused = Reply(calls=(call("judge", seen="A ferry.", sufficient=False, missing="a whale"),))
    accepted = Reply(calls=(call("judge", seen="A ferry.", sufficient=True, missing=""),))
    replies = [Reply(calls=(SHEET,)), finishing("A whale [#1 0:02]."), refused, finishing("A ferry [#1 0:03].", 2), accepted]
    session = asked(*replies, verify="always")
    answer = session.ask("What is shown?")
    video = session.session_videos[0].video
    notes = session.store.notes.read(video.id, TimeRange(0, video.duration), kinds=["look"])
    assert [note.text for note in notes] == ["A ferry."] and [cited.note for cited in answer.citations] == [notes[0].id]


def test_a_single_frame_shows_a_second_at_most(asked: Any) -> None:
    session = asked(Reply(calls=(call("view", ranges=[["0:05", "0:15"]], every=5),)), finishing("A ferry [#1]."))
    assert [str(cited.span) for cited in session.ask("What is shown?").citations] == ["0:05-0:06"]


def test_no_sheet_of_one_frame_for_the_very_end(box: Toolbox) -> None:
    assert [len(one) for one in times(viewed(box, ranges=[[0, 16.02]], every=1, sheet=True))] == [16]
    assert [len(one) for one in times(viewed(box, ranges=[[0, 16.7]], every=1, sheet=True))] == [16, 1]


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_a_cited_picture_becomes_a_note(tmp_path: Path, api: Any) -> None:
    with OpenAIServer() as server:
        server.calls(("view", {"ranges": [["0:02", "0:03"]], "every": 0.5}))
        server.calls(("finish", {"answer": "A ferry is moored [#2].", "notes": [2], "confidence": "high", "outcome": "answered"}))
        settings = Settings(
            store=tmp_path / "store.db", model="m", sees="yes", api=api, base_url=server.url, verify="never", max_analyzer_ms=0
        )
        with Session(sample_path(), settings=settings) as session:
            answer = session.ask("What is moored?")
            (note,) = session.store.notes.get([answer.citations[0].note]).values()
            assert session.toolbox.covered(session.session_videos[0])["look"] == [TimeRange(2_500, 3_000)]
    assert [label for label, _ in shown(server.requests[1].body)] == ["#1 0:02", "#2 0:02.5"] and shown(server.requests[0].body) == []
    (citation,) = answer.citations
    assert (citation.kind, citation.engine, citation.text) == ("look", "m", "A ferry is moored.")
    assert (
        citation.span == TimeRange(2_500, 3_000) and citation.note not in (1, 2) and answer.text == f"A ferry is moored [#{citation.note}]."
    )
    assert note.observation.detail == {"question": "What is moored?", "frames": [2_500], "seen": 2_500}


def test_pictures_stay_in_a_conversation_and_can_be_cited_later(tmp_path: Path) -> None:
    model = ScriptedModel(
        Reply(calls=(call("view", ranges=[["0:02", "0:02.04"]]),)),
        Reply(calls=(call("finish", answer="A ferry [#1].", notes=[1], confidence="high", outcome="answered"),)),
        Reply(calls=(call("finish", "f2", answer="It is red [#1].", notes=[1], confidence="high", outcome="answered"),)),
    )
    settings = Settings(store=tmp_path / "store.db", sees="yes", verify="never", max_analyzer_ms=0)
    with Session(sample_path(), settings=settings, model=model) as session:
        first, second = session.ask("What is moored?"), session.ask("Which colour is it?")
    assert [citation.text for citation in second.citations] == ["It is red."]
    assert first.citations[0].note != second.citations[0].note

    def pictures(messages: Any) -> list[str]:
        parts = [part for one in messages if isinstance(one["content"], list) for part in one["content"]]
        return [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]

    before, after = model.requests[1][0], model.requests[2][0]
    assert pictures(after) == pictures(before) != [] and list(after[: len(before)]) == list(before), "byte for byte"


def test_pictures_that_an_answer_does_not_cite_leave_the_conversation_where_it_ends(tmp_path: Path) -> None:
    views = Reply(calls=(call("view"), call("view", "c2", ranges="0:02"), call("view", "c3", ranges="0:04")))
    answers = [Reply(calls=(call("finish", f"f{n}", answer="A ferry [#2].", notes=[2], outcome="answered"),)) for n in range(3)]
    model = ScriptedModel(views, *answers)
    settings = Settings(store=tmp_path / "store.db", sees="yes", verify="never", max_analyzer_ms=0)
    with Session(sample_path(), settings=settings, model=model) as session:
        for question in ("What is moored?", "Which colour is it?", "Sure?"):
            session.ask(question)

    def told(messages: Any) -> list[str]:
        parts = [part for one in messages if isinstance(one["content"], list) for part in one["content"]]
        return [part.get("text", "picture") for part in parts]

    during, after, later = (told(model.requests[n][0]) for n in (1, 2, 3))
    assert during.count("picture") == 3 and after.count("picture") == 1
    assert after[after.index("picture") - 1] == "#2 0:02" and "#1 a sheet of 16 frames: 0:00, " in after[1]
    assert after[1].endswith('left out; view(ranges=[["0:00", "0:34"]], sheet=true) shows it again')
    assert later[: len(after)] == after, "and then nothing changes"
    assert model.requests[2][0][:3] == model.requests[1][0][:3], "nor does what came before them"


def test_a_frame_that_breaks_off_later_is_left_out_of_the_message(tmp_path: Path) -> None:
    from analyzer_agent.session.pictures import FramePictures

    class Broken(FakeVideo):
        def read_frames(self, query: FrameQuery) -> Any:
            yield from ()

    film = FakeVideo(2_000, picture_at=lambda pts: np.full((36, 64, 3), pts // 10 % 256, np.uint8))
    pictures = FramePictures(512, 100_000)
    assert pictures.part(Broken(2_000), [0], None) is None
    sheet = pictures.part(film, [0, 500], (0.0, 0.0, 0.5, 1.0))
    assert sheet and sheet is pictures.part(film, (0, 500), (0.0, 0.0, 0.5, 1.0)), "made once"
    assert film.reads == [TimeRange(0, 1), TimeRange(480, 481)] or len(film.reads) == 2


@pytest.mark.parametrize("name", ["gpt-5.4", "gpt-4o-mini", "o3", "claude-sonnet-4-5", "gemini-2.5-flash", "Qwen/Qwen2.5-VL-7B-Instruct"])
def test_models_known_to_see(name: str) -> None:
    assert sees_pictures(name)


@pytest.mark.parametrize(
    "name", ["gpt-3.5-turbo", "gpt-oss-120b", "o3-mini", "qwen3:8b", "vision-lab/llama3.1:8b", "mistral-7b", "gemma3:1b", "m"]
)
def test_models_not_known_to_see(name: str) -> None:
    assert not sees_pictures(name)


@pytest.mark.parametrize(
    ("model", "sees", "offered"), [("gpt-5.4", "auto", True), ("gpt-5.4", "no", False), ("m", "auto", False), ("m", "yes", True)]
)
def test_who_sees_is_known_by_name_or_said(tmp_path: Path, model: str, sees: Any, offered: bool) -> None:
    settings = Settings(store=tmp_path / "store.db", model=model, sees=sees, base_url="http://127.0.0.1:9/v1")
    with Session(sample_path(), settings=settings) as session:
        assert ("view" in {tool["function"]["name"] for tool in session.toolbox.schemas()}) == offered


def test_what_was_viewed_for_one_question_is_no_absence_for_the_next(asked: Any) -> None:
    views = Reply(calls=(call("view", ranges=[["0:00", "0:34"]], every=1, sheet=True),))
    sought = Reply(calls=(call("find_all", "s1", words="kite", kinds=["look"]),))
    nowhere = finishing("Not looked at for kites.", 2, notes=[], confidence="low", outcome="not_found")
    session = asked(views, finishing("One ferry [#1 0:02].", claim="count"), sought, nowhere)
    session.ask("How many ferries?")
    assert not session.ask("What colour is the kite?").citations
    told = str(session.model.requests[-1][0][1:])
    assert "No note matches 'kite' in look." in told and "absence" not in told
