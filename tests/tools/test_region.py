"""Regions: what a name means, and that small text is read in one at the source's resolution."""

import base64
import io
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer_agent.config import Settings
from analyzer_agent.errors import ToolRefusal
from analyzer_agent.events import discard
from analyzer_agent.protocols import EngineConfig
from analyzer_agent.regions import NAMED, crop, parse_region, pixel_box
from analyzer_agent.session.assembly import choose_vision
from analyzer_agent.storage import Store
from analyzer_agent.testing import FakeEngine, FakeVideo, call
from analyzer_agent.timeline import TimeRange
from analyzer_agent.toolbox import SessionVideo, Tool, Toolbox
from analyzer_agent.tools import look, text
from analyzer_agent.tools.engines import opencv, rapidocr, vision
from openai_server import OpenAIServer, Turn

SIZE = (3840, 2160)
PLACE = [0.75, 0.75, 1, 1]
SIGN = "EXIT 27"


@pytest.mark.parametrize(
    ("given", "region"),
    [
        (None, None),
        ("left half", (0, 0, 0.5, 1)),
        (" Top-Right ", (0.5, 0, 1, 0.5)),
        ("center", (0.25, 0.25, 0.75, 0.75)),
        ([0, 0, 1, 1], None),
        ("0.5,0,1,.5", (0.5, 0, 1, 0.5)),
        ("[0.5, 0, 1, 0.5]", (0.5, 0, 1, 0.5)),
        ([0.12345, 0, 1, 0.5], (0.123, 0, 1, 0.5)),
    ],
)
def test_a_region_is_a_name_or_four_fractions(given: Any, region: Any) -> None:
    assert parse_region(given) == region


@pytest.mark.parametrize(
    "given",
    ["left", "", "0.5,0", "0,0,1,2", 5, [0, 0, 1], [0, 0, 1, "1"], [0.5, 0, 0.5, 1], [-0.1, 0, 1, 1], [0, 0, 1, 1.5], [0, 0, True, 1]],
)
def test_anything_else_is_refused(given: Any) -> None:
    with pytest.raises(ToolRefusal, match="is not a region"):
        parse_region(given)


fractions = st.integers(0, 1000).map(lambda n: n / 1000)


@given(
    st.tuples(fractions, fractions).filter(lambda x: x[0] != x[1]),
    st.tuples(fractions, fractions).filter(lambda y: y[0] != y[1]),
    st.integers(1, 50),
)
def test_a_region_always_holds_a_pixel_and_lies_in_the_picture(across: tuple[float, float], down: tuple[float, float], side: int) -> None:
    region = (min(across), min(down), max(across), max(down))
    left, top, right, bottom = pixel_box(region, (side, 2 * side))
    assert 0 <= left < right <= side and 0 <= top < bottom <= 2 * side
    assert crop(np.zeros((2 * side, side, 3), np.uint8), region).shape == (bottom - top, right - left, 3)


def test_quarters_make_up_the_whole() -> None:
    assert sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (NAMED[f"{a} {b}"] for a in ("top", "bottom") for b in ("left", "right"))) == 1


# --- small text ---------------------------------------------------------------------------------------------------------


def street() -> Any:
    """Return a picture of 3840 x 2160 with a sign in the last sixteenth, its letters 12 pixels high."""
    cv2 = opencv.library()
    image = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
    image[1860:1900, 3300:3440] = (20, 110, 30)
    cv2.putText(image, SIGN, (3312, 1886), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (255, 255, 255), 1, cv2.LINE_AA)
    return image


@pytest.fixture(scope="module")
def reader() -> Any:
    return rapidocr.load(EngineConfig())


@pytest.fixture
def box(tmp_path: Path, reader: Any) -> Any:
    film = FakeVideo(2_000, picture_at=lambda pts: street(), size=SIZE)
    with Store(tmp_path / "store.db") as store:
        store.notes.add_video(film.id, film.name, str(film.path), film.duration)

        def made(name: str, spec: Any, engine: Any) -> Toolbox:
            return Toolbox(store, [SessionVideo("film", film, TimeRange(0, 2_000))], {name: Tool(spec, FakeEngine(engine))})

        yield made


def test_a_region_reads_small_letters_and_places_them_in_the_whole_picture(box: Any, reader: Any) -> None:
    toolbox = box("text", text.SPEC, reader)
    result = toolbox.run(call("read_screen_text", ranges=[[0, 1]], region=PLACE), discard)
    note = next(note for note in toolbox.store.notes.get(result.note_ids).values() if note.text == SIGN)
    x, y, width, height = note.observation.detail["box"]
    assert 0.85 < x < x + width < 0.9 and 0.85 < y < y + height < 0.89, "in the whole picture"


def test_a_model_is_sent_one_type_for_each_value(box: Any) -> None:
    (sent,) = (tool["function"]["parameters"]["properties"] for tool in box("look", look.SPEC, None).schemas()[:1])
    assert sent["region"]["type"] == "string" and sent["region"].keys() >= {"description"}
    assert sent["compare"]["type"] == sent["ranges"]["type"] == "string" and "description" in sent["compare"]


def test_a_region_stands_beside_the_whole_picture_and_is_no_coverage_of_it(box: Any, reader: Any) -> None:
    toolbox = box("text", text.SPEC, reader)
    toolbox.run(call("read_screen_text", ranges=[[0, 1]], region=PLACE), discard)
    video = toolbox.session_videos["film"]
    assert toolbox.covered(video) == {} and [u.span for u in toolbox.unexamined()] == [TimeRange(0, 2_000)]
    whole = toolbox.run(call("read_screen_text", ranges=[[0, 1]]), discard)
    assert whole.analyzed_ms == 2_000 and toolbox.covered(video) == {"text": [TimeRange(0, 2_000)]}
    assert SIGN in toolbox.run(call("read_notes", range=[0, 2]), discard).text, "nothing is hidden"


def test_a_model_is_sent_the_pixels_of_the_region(box: Any, reader: Any) -> None:
    """The model of this test is OCR behind a server: it sees what is in the picture that arrives."""

    def answer(body: dict[str, Any]) -> Turn:
        url = body["messages"][0]["content"][-1]["image_url"]["url"]
        with av.open(io.BytesIO(base64.b64decode(url.partition(",")[2])), "r") as container:
            image = next(container.decode(video=0)).to_ndarray(format="bgr24")
        lines = [line for line, score, _ in reader.read(image, ["en"]) if score > 0.5]
        return Turn(text=f"A sign says {lines}." if lines else '{"seen": false, "times": [], "answer": ""}')

    with OpenAIServer() as server:
        server.answer = answer
        eyes = choose_vision(Settings(vision_model="m", base_url=server.url))
        toolbox = box("look", look.SPEC, vision.load_looks(EngineConfig(vision=eyes)))
        question = "What does the sign say?"
        assert SIGN not in toolbox.run(call("look", question=question, ranges=[[0, 0.04]]), discard).text
        assert SIGN in toolbox.run(call("look", question=question, ranges=[[0, 0.04]], region=PLACE), discard).text
