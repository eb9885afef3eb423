"""Cut lists, markers and chapters: what OpenTimelineIO and libav read back are the frames that were cut."""

import csv
import io
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer_agent.clips import FORMATS, Cut, list_files
from analyzer_agent.clips.cut import RATES
from analyzer_agent.errors import Unavailable
from analyzer_agent.timeline import TimeRange
from media_maker import Clip, write

NTSC = Fraction(30000, 1001)
TALK = Cut(Path("/films/my talk.v1.mp4"), 60_000, Fraction(25), True, (64, 48), TimeRange(1000, 1800), 12, "speech", 'Said: "a | b; #c=d"')
OTHER = replace(TALK, path=Path("/films/b.mov"), has_sound=False, span=TimeRange(20_001, 20_039), note=13, kind="text", text="日本 <&>")


def text_of(form: str, suffix: str, *cuts: Cut) -> str:
    return next(file.text for file in list_files(form, cuts) if file.suffix == suffix)


def read_back(text: str, adapter: str, rate: Fraction) -> list[tuple[str, int, int]]:
    otio: Any = pytest.importorskip("opentimelineio")
    pytest.importorskip({"cmx_3600": "otio_cmx3600_adapter", "fcpx_xml": "otio_fcpx_xml_adapter"}.get(adapter, "opentimelineio"))
    read = otio.adapters.read_from_string(text, adapter, **({"rate": float(rate)} if adapter == "cmx_3600" else {}))
    spans = [(clip.name, clip.source_range) for clip in read.find_clips() if clip.parent() is None or clip.parent().kind == "Video"]
    return [(name, span.start_time.to_frames(), span.duration.to_frames()) for name, span in spans]


@pytest.mark.parametrize(("form", "adapter"), [("edl", "cmx_3600"), ("otio", "otio_json"), ("fcpxml", "fcpx_xml")])
@pytest.mark.parametrize("rate", [Fraction(24), Fraction(25), NTSC, Fraction(60000, 1001), Fraction(50)])
def test_editing_programs_read_the_frames_back(form: str, adapter: str, rate: Fraction) -> None:
    if adapter == "fcpx_xml" and rate.denominator > 1:
        pytest.skip("the adapter does not read these rates; see the test of the fractions")
    cuts = [replace(cut, rate=rate) for cut in (TALK, OTHER)]
    expected = [(cut.path.name, first, end - first) for cut in cuts for first, end in [cut.frames(rate)]]
    assert read_back(text_of(form, f".{form}", *cuts), adapter, rate) == expected
    assert 1000 * expected[0][1] / rate <= 1000 < 1000 * (expected[0][1] + 1) / rate


@pytest.mark.parametrize("rate", [NTSC, Fraction(25)])
def test_times_of_fcpxml_are_whole_frames(rate: Fraction) -> None:
    cuts = [replace(cut, rate=rate) for cut in (TALK, OTHER)]
    root = ElementTree.fromstring(text_of("fcpxml", ".fcpxml", *cuts))
    clips = list(root.iter("asset-clip"))
    for cut, clip in zip(cuts, clips, strict=True):
        start, length = (Fraction(clip.attrib[name].removesuffix("s")) * rate for name in ("start", "duration"))
        assert [start, start + length] == [Fraction(frame) for frame in cut.frames(rate)]
    assert [asset.attrib["src"] for asset in root.iter("asset")] == ["file:///films/my%20talk.v1.mp4", "file:///films/b.mov"]
    assert [marker.attrib["value"] for marker in root.iter("marker")] == [TALK.label, "#13 日本 <&>"]


@given(st.sampled_from(RATES), st.integers(0, 200_000), st.integers(1, 500))
def test_a_part_is_the_frames_that_media_shows_in_it(rate: Fraction, first: int, count: int) -> None:
    stamps = [-(-n * 1000 // rate) for n in (first, first + count)]  # as `media` stamps frames: rounded up
    cut = replace(TALK, span=TimeRange(int(stamps[0]), int(stamps[1])))
    assert cut.frames(rate) == (first, first + count)


def test_markers_for_davinci_resolve() -> None:
    lines = text_of("edl", "-markers.edl", TALK).splitlines()
    assert lines[3:5] == [
        "001  001      V     C        01:00:01:00 01:00:01:01 01:00:01:00 01:00:01:01  ",
        'Said: "a / b; #c=d" |C:ResolveColorBlue |M:#12 speech |D:20',
    ]
    assert [(file.video and file.video.name, file.suffix) for file in list_files("edl", [TALK, OTHER])] == [
        (None, ".edl"),
        ("my talk.v1.mp4", "-markers.edl"),
        ("b.mov", "-markers.edl"),
    ]


def test_chapters_are_read_back_by_libav(tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_text(text_of("ffmetadata", "-ffmetadata.txt", TALK, replace(TALK, span=TimeRange(1500, 2000), note=14)))
    with av.open(str(tmp_path / "c.txt"), format="ffmetadata") as container:
        read = [
            (int(c["start"] * Fraction(c["time_base"] or 0) * 1000), int(c["end"] * Fraction(c["time_base"] or 0) * 1000))
            for c in container.chapters()
        ]
        assert read == [(1000, 1500), (1500, 2000)] and container.chapters()[0]["metadata"]["title"] == TALK.label


def test_lists_for_people() -> None:
    (row, _) = csv.DictReader(io.StringIO(text_of("csv", ".csv", TALK, OTHER)))
    assert (row["video"], row["start"], row["end"], row["note"], row["text"]) == ("my talk.v1.mp4", "1.0", "1.8", "12", TALK.text)
    assert text_of("youtube", "-youtube.txt", TALK, replace(TALK, note=15)) == f"0:00 Start\n0:01 {TALK.text}\n"
    assert text_of("chapters", "-chapters.txt", TALK).splitlines()[0] == "CHAPTER01=00:00:01.000"


def test_sound_alone_has_the_times_of_a_usual_rate() -> None:
    cut = replace(TALK, rate=Fraction(0), size=(0, 0))
    assert read_back(text_of("otio", ".otio", cut), "otio_json", Fraction(25)) == [("my talk.v1.mp4", 25, 20)]
    assert "hasVideo" not in text_of("fcpxml", ".fcpxml", cut)


@pytest.mark.parametrize("form", ["edl", "otio"])
def test_a_missing_extra_is_named(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "opentimelineio", None)
    with pytest.raises(Unavailable) as error:
        list_files(form, [TALK])
    assert "[editors]" in error.value.hint and "opentimelineio" in str(error.value)


def test_every_format_takes_a_real_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", Clip())
    pytest.importorskip("otio_cmx3600_adapter")
    for form in FORMATS:
        assert all(file.text.strip() for file in list_files(form, [replace(TALK, path=path)]))
