"""Speech: seams, sentences, language, and the two engines with their real loaders."""

import itertools
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_whisper
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sounds import BurstListener, Ready, SoundVideo, analyzed, bursts, cut

from analyzer_agent.caches import Caches
from analyzer_agent.errors import ToolRefusal, Unavailable
from analyzer_agent.media import open_video
from analyzer_agent.protocols import Availability, EngineConfig
from analyzer_agent.records import Observation
from analyzer_agent.timeline import TimeRange
from analyzer_agent.tools import hearing, seams, speech
from analyzer_agent.tools.engines import faster_whisper, hardware, pocketsphinx, recognizers
from benchmarks.needles.stock import SENTENCES
from benchmarks.needles.voices import recording

CPU = "cpu"


def noise(seconds: float, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, 0.1, int(seconds * 16_000)).astype(np.float32)


def vowels(seconds: float, pitch: int = 110) -> NDArray[np.float32]:
    """A buzz with formants that change: nobody's voice, but near enough for a detector."""
    t = np.arange(int(seconds * 16_000)) / 16_000
    formants = np.array([[730, 1090], [270, 2290], [300, 870]])[(t * 4).astype(int) % 3].T
    tone = sum(
        np.exp(-(((k * pitch - f) / 120) ** 2)) * np.sin(2 * np.pi * k * pitch * (1 + 0.02 * np.sin(5 * t)) * t)
        for k in range(1, 30)
        for f in formants
    )
    return (0.3 * tone / np.abs(tone).max() * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * t))).astype(np.float32)


# --- seams --------------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60))
def test_the_quietest_point_is_the_first_of_the_least_energy(levels: list[int]) -> None:
    samples = np.repeat(np.array(levels, np.float32) / 4, 160)
    if len(levels) <= 10:
        assert seams.quietest(samples) == len(levels) * 10 // 2
    else:
        energy = [sum(level**2 for level in levels[i : i + 10]) for i in range(len(levels) - 9)]
        assert seams.quietest(samples) == energy.index(min(energy)) * 10 + 50


def test_blocks_tile_the_video_and_begin_clear_of_their_edges() -> None:
    duration = 1_201_000
    video = SoundVideo(duration, [noise(duration / 1000)])
    blocks = seams.Blocks(video, 1)
    whole = blocks.touching(TimeRange(0, duration))
    assert whole[0].start == 0 and whole[-1].end == duration
    assert all(one.end == other.start for one, other in itertools.pairwise(whole))
    for block, edge in zip(whole[1:], (600_000, 1_200_000), strict=True):
        assert edge - 5_000 <= block.start <= edge - speech.PAUSE
    # A grain that begins at an edge can do without the block before.
    assert blocks.touching(TimeRange(600_000 - speech.PAUSE, 720_000)) == whole[1:2]
    assert blocks.touching(TimeRange(480_000, 600_000)) == whole[:2]


def test_a_window_is_heard_once_when_adjoining_grains_are_asked_together() -> None:
    duration = 1_320_000
    video = SoundVideo(duration, [bursts(duration, [(at, at + 500) for at in range(1_000, duration - 1_000, 1_000)])])
    listener = BurstListener()
    found = analyzed(speech.SPEC.bind({}, Ready(listener)), video, cut(duration, 120_000))
    words = sum(len(note.detail["words"]) for notes in found.values() for note in notes)
    assert words == duration // 1_000 - 2 and 0 <= 620 * words - listener.decoded <= 4 * 60
    # Blocks are read once, beside the 4 s before each edge; so is the sound in which the language is sought, were there several.
    assert sum(span.length for span in video.asked) == duration + 2 * 4_000


def test_a_grain_waits_for_no_other_than_those_heard_with_it() -> None:
    duration = 600_000
    video = SoundVideo(duration, [bursts(duration, [(at, at + 500) for at in range(1_000, duration - 1_000, 1_000)])])
    listener = BurstListener()
    running = speech.SPEC.bind({}, Ready(listener)).analyze(video, cut(duration, 120_000))
    for number in range(1, 5):
        next(running)
        # Two windows of three words are heard together.
        assert listener.decoded <= 620 * (number * 120 + 6)


# --- sentences ----------------------------------------------------------------------------------------------------------


def said(*words: tuple[str, int, int]) -> list[str]:
    groups = speech.sentences([speech.Word(" " + text, start, end, 1.0) for text, start, end in words])
    return ["".join(word.text for word in group).strip() for group in groups]


def test_sentences_end_at_punctuation_and_at_pauses() -> None:
    assert said(("Yes.", 0, 300), ("Dr.", 310, 400), ("No", 410, 500), ("came", 1301, 1400)) == ["Yes.", "Dr. No", "came"]
    assert said(("one", 0, 300), ("two", 1100, 1200)) == ["one two"]
    assert said(("Ja!”", 0, 300), ("你好。", 310, 500), ("吗", 510, 600)) == ["Ja!”", "你好。", "吗"]


def test_a_long_sentence_is_split_at_its_largest_pause() -> None:
    words = [(f"w{i}", i * 500 + (200 if i >= 20 else 0), i * 500 + 400) for i in range(40)]
    assert [len(group.split()) for group in said(*words)] == [20, 20]
    endless = [(f"w{i}", i * 100, i * 100 + 100) for i in range(1000)]
    groups = said(*endless)
    assert " ".join(groups).split() == [text for text, _, _ in endless]
    assert max(len(group.split()) for group in groups) * 100 <= speech.LONGEST


def test_words_keep_the_spaces_of_their_language() -> None:
    class Chinese(BurstListener):
        def windows(self, samples: Any) -> list[list[tuple[int, int]]]:
            return [[(0, 1_000)]]

        def words(self, windows: Any, language: str, hotwords: str) -> list[list[tuple[str, int, int, float]]]:
            return [[("你", 0, 400, 0.5), ("好", 400, 700, 1.0)]]

    (notes,) = analyzed(speech.SPEC.bind({}, Ready(Chinese())), SoundVideo(1_000, [noise(1)]), cut(1_000, 0)).values()
    detail = {"words": [["你", 0, 400, 0.5], ["好", 400, 700, 1.0]], "language": "en", "track": 1}
    assert notes == [Observation(TimeRange(0, 700), "speech", "你好", 0.75, detail)]


# --- language, tracks, options ------------------------------------------------------------------------------------------


class Linguist(BurstListener):
    """Knows two languages; what is spoken hangs on the level of what it is given."""

    languages = ("de", "en")

    def __init__(self) -> None:
        super().__init__()
        self.given: list[int] = []

    def language(self, samples: NDArray[np.float32]) -> str:
        self.given.append(len(samples) // 16)
        return "de" if samples.max() < 0.01 else "en"


def test_the_language_is_decided_once_per_track_from_its_first_voice() -> None:
    duration = 700_000
    words = [(610_060 + i * 1_000, 610_440 + i * 1_000) for i in range(80)]
    video = SoundVideo(duration, [bursts(duration, words), bursts(duration, [(1_000 * i + 60, 1_000 * i + 840) for i in range(1, 60)])])
    grains = cut(duration, 120_000)
    linguist = Linguist()
    late = analyzed(speech.SPEC.bind({}, Ready(linguist)), video, grains[5:])
    # Ten minutes of silence do not end the search, and the first window with a voice does: 20 words of half a second.
    assert linguist.given == [10_000]
    assert {note.detail["language"] for notes in late.values() for note in notes} == {"en"}
    other = Linguist()
    analyzed(speech.SPEC.bind({"track": 2}, Ready(other)), video, grains[:1])
    assert other.given == [30_000]


def test_a_given_language_is_taken_and_an_unknown_one_refused() -> None:
    video, linguist = SoundVideo(1_000, [bursts(1_000, [(100, 400)])]), Linguist()
    (notes,) = analyzed(speech.SPEC.bind({"language": "de"}, Ready(linguist)), video, cut(1_000, 0)).values()
    assert notes[0].detail["language"] == "de" and linguist.given == []
    with pytest.raises(ToolRefusal, match="'fr' is not known to fake; give 'auto' or one of de, en"):
        analyzed(speech.SPEC.bind({"language": "fr"}, Ready(linguist)), video, cut(1_000, 0))
    linguist.takes_hotwords = False
    with pytest.raises(ToolRefusal, match="cannot use hotwords"):
        analyzed(speech.SPEC.bind({"hotwords": "Webb"}, Ready(linguist)), video, cut(1_000, 0))


@pytest.mark.parametrize(("tracks", "there"), [(0, "no sound"), (1, "track 1 only"), (2, "tracks 1 to 2")])
def test_a_track_that_does_not_exist_is_refused(tracks: int, there: str) -> None:
    video = SoundVideo(1_000, [noise(1)] * tracks)
    with pytest.raises(ToolRefusal, match=f"audio track 3 does not exist.*{there}"):
        analyzed(speech.SPEC.bind({"track": 3}, Ready(BurstListener())), video, cut(1_000, 0))


def test_options_that_change_what_is_stored_are_parameters_and_tracks_are_lanes() -> None:
    plain = speech.SPEC.bind({}, Ready(BurstListener()))
    assert (plain.params, plain.lane) == ({"track": 1, "language": "auto", "hotwords": ""}, "")
    assert speech.SPEC.bind({"track": 2}, Ready(BurstListener())).lane == "track 2"


# --- Whisper: finding weights -------------------------------------------------------------------------------------------


def pretend(folder: Path, content: bytes = b"x") -> Path:
    folder.mkdir(parents=True)
    (folder / "model.bin").write_bytes(content)
    (folder / "tokenizer.json").write_text("{}")
    return folder


def test_the_best_weights_are_found_in_all_the_usual_places(tmp_path: Path) -> None:
    hub, own = tmp_path / "hub", tmp_path / "own"
    config = EngineConfig(weights_dir=own)
    assert "no Whisper weights" in faster_whisper.find_whisper(config, [hub]).missing
    pretend(own / "tiny")
    assert faster_whisper.find_whisper(config, [hub]).weights.startswith("faster-whisper-tiny ")
    pretend(hub / "models--Systran--faster-whisper-small" / "snapshots" / "0123456789abcdef")
    assert faster_whisper.find_whisper(config, [hub]).weights == "faster-whisper-small 0123456789ab"
    pretend(hub / "models--mobiuslabsgmbh--faster-whisper-large-v3-turbo" / "snapshots" / "cafe")
    (hub / "models--Systran--faster-whisper-large-v3" / "snapshots" / "beef").mkdir(parents=True)
    assert faster_whisper.find_whisper(config, [hub]).weights == "faster-whisper-large-v3-turbo cafe"
    names = [model.name for model in recognizers.models([hub, own])]
    assert names == ["large-v3-turbo", "small", "tiny"]
    assert faster_whisper.find_whisper(EngineConfig(weights=Path("turbo")), [hub]).weights == "faster-whisper-large-v3-turbo cafe"


def test_the_snapshot_that_main_points_to_is_taken(tmp_path: Path) -> None:
    model = tmp_path / "models--Systran--faster-whisper-base"
    for revision in ("aaaa", "bbbb"):
        pretend(model / "snapshots" / revision)
    assert recognizers.models([tmp_path])[0].weights.endswith(" aaaa")
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text("bbbb\n")
    assert recognizers.models([tmp_path])[0].weights.endswith(" bbbb")


def test_what_is_missing_is_said_in_one_line_with_its_fix(tmp_path: Path) -> None:
    incomplete = pretend(tmp_path / "mine")
    (incomplete / "tokenizer.json").unlink()
    for weights, missing in ((incomplete, "has no tokenizer.json"), (Path("small"), "'small'"), (Path("smal"), "one of large-v3,")):
        found = faster_whisper.find_whisper(EngineConfig(weights=weights), [tmp_path])
        assert missing in found.missing and "--weights speech=FOLDER" in found.fix and "\n" not in found.missing + found.fix
        with pytest.raises(Unavailable, match="cannot run"):
            faster_whisper.load_whisper(EngineConfig(weights=weights), [tmp_path])


def test_a_users_folder_is_known_by_the_content_of_its_weights(tmp_path: Path) -> None:
    def weights(name: str, content: bytes) -> str:
        folder = pretend(tmp_path / name / "mine", content)
        return faster_whisper.find_whisper(EngineConfig(weights=folder), []).weights

    big = bytes(3_000_000)
    assert weights("a", big) == weights("b", big)
    assert len({weights("c", big), weights("d", big[:-1]), weights("e", b"1" + big[1:]), weights("f", big[:-1] + b"1")}) == 4


def test_broken_weights_are_named(tmp_path: Path) -> None:
    folder = pretend(tmp_path / "mine")
    with pytest.raises(Unavailable, match=r"weights in .*mine.* cannot be loaded on 'cpu'"):
        faster_whisper.load_whisper(EngineConfig(weights=folder, device=CPU), [])


# --- Whisper: the real loader with tiny random weights ------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_whisper.make(tmp_path_factory.mktemp("whisper") / "tiny")


@pytest.fixture(scope="module")
def whisper(tiny: Path) -> faster_whisper.Whisper:
    return faster_whisper.load_whisper(EngineConfig(weights=tiny, device=CPU), [])


def plain_words(folder: Path, samples: NDArray[np.float32], **how: Any) -> list[tuple[str, int, int]]:
    """Use the library as its manual says."""
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    pipeline = BatchedInferencePipeline(WhisperModel(str(folder), device=CPU, compute_type="int8", local_files_only=True))
    segments, _ = pipeline.transcribe(samples, batch_size=3, word_timestamps=True, vad_filter=True, temperature=0.0, **how)
    words = [word for segment in segments for word in segment.words or ()]
    return [(word.word.strip(), start := round(word.start * 1000), max(round(word.end * 1000), start + 1)) for word in words]


def words_of(found: dict[TimeRange, list[Observation]]) -> list[tuple[str, int, int]]:
    return [(word, start, end) for notes in found.values() for note in notes for word, start, end, _ in note.detail["words"]]


@pytest.fixture(scope="module")
def talk() -> NDArray[np.float32]:
    """Recorded sentences with pauses: more windows than are heard together on a CPU."""
    sentences = [recording(text, 16_000) for text in [*SENTENCES, *SENTENCES[::-1]]]
    return np.concatenate([np.pad(samples, (0, (300 + 999 * (i % 2)) * 16)) for i, samples in enumerate(sentences)])


def test_whisper_hears_what_the_library_hears(whisper: faster_whisper.Whisper, tiny: Path, talk: NDArray[np.float32]) -> None:
    from faster_whisper.vad import VadOptions, collect_chunks, get_speech_timestamps

    windows = whisper.windows(talk)
    assert len(windows) > whisper.together > 1 and all(len(window) > 1 for window in windows)
    chunks, _ = collect_chunks(
        talk, get_speech_timestamps(talk, VadOptions(max_speech_duration_s=30, min_silence_duration_ms=160)), max_duration=30
    )
    assert all(np.array_equal(hearing.joined(talk, window), chunk) for window, chunk in zip(windows, chunks, strict=True))
    video = SoundVideo(len(talk) // 16, [talk])
    heard = words_of(analyzed(speech.SPEC.bind({"language": "en"}, Ready(whisper)), video, cut(video.duration, 0)))
    plain = plain_words(tiny, talk, language="en")
    assert [word for word, *_ in heard] == [word for word, *_ in plain] and len(heard) > 20
    stretches = [stretch for window in windows for stretch in window]
    for (_, *times), (_, *wanted) in zip(heard, plain, strict=True):
        # The library lets a word reach into the silence beside its stretch, and rounds where a window begins down to 10 ms.
        start, end = next(s for s in stretches if s[0] <= times[0] < s[1])
        for mine, its in zip(times, wanted, strict=True):
            assert abs(mine - min(max(its, start), end)) <= 20


def test_a_window_is_heard_alike_whenever_it_is_heard(whisper: faster_whisper.Whisper, talk: NDArray[np.float32]) -> None:
    video = SoundVideo(len(talk) // 16, [talk])
    grains = cut(video.duration, 12_000)
    bound = speech.SPEC.bind({"language": "en"}, Ready(whisper))
    whole = analyzed(bound, video, grains)
    for grain in reversed(grains):
        assert analyzed(bound, video, [grain]) == {grain.span: whole[grain.span]}


def test_a_second_track_is_heard_in_the_language_and_with_the_hotwords_asked_for(whisper: faster_whisper.Whisper, tiny: Path) -> None:
    first, second = vowels(3.0), vowels(3.0, 150)
    video = SoundVideo(3_000, [first, second])

    def heard(**options: Any) -> list[str]:
        found = analyzed(speech.SPEC.bind(options, Ready(whisper, "whisper")), video, cut(3_000, 0))
        notes = [note for notes in found.values() for note in notes]
        assert {note.detail["language"] for note in notes} == {options["language"]}
        assert {note.detail["track"] for note in notes} == {options["track"]}
        return [word for word, *_ in words_of(found)]

    def plain(samples: NDArray[np.float32]) -> list[str]:
        return [word for word, *_ in plain_words(tiny, samples, language="de", hotwords="Webb Goddard")]

    asked = heard(track=2, language="de", hotwords="Webb Goddard")
    assert asked == plain(second)
    assert heard(track=1, language="de", hotwords="Webb Goddard") == plain(first)
    others = [heard(track=1, language="de"), heard(track=2, language="en"), heard(track=2, language="de")]
    assert asked not in others, "track, language and hotwords all change what is heard"


def test_whisper_falls_back_to_the_cpu_where_a_gpu_is_seen_but_cannot_be_used(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import ctranslate2

    if ctranslate2.get_cuda_device_count():
        pytest.skip("there is a GPU that can be used")
    monkeypatch.setattr(ctranslate2, "get_cuda_device_count", lambda: 1)
    engine = faster_whisper.load_whisper(EngineConfig(weights=tiny), [])
    assert (engine.device, engine._model.model.device) == (CPU, CPU)
    assert "cannot use the GPU and runs on the CPU: CUDA" in caplog.text
    with pytest.raises(Unavailable, match="on 'cuda:0': CUDA") as caught:
        faster_whisper.load_whisper(EngineConfig(weights=tiny, device="cuda:0"), [])
    assert "--device cpu" in caught.value.hint
    assert faster_whisper.load_whisper(EngineConfig(weights=tiny, device="mps"), []).device == CPU


@pytest.mark.parametrize(("able", "best"), [({"int8", "float32"}, "int8"), ({"float32", "float16", "int8_float16"}, "float16")])
def test_a_gpu_without_cublas_is_found_out_before_it_is_used(
    able: set[str], best: str, tiny: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """CTranslate2 loads cuBLAS with the first computation: the card here takes the weights and fails then, as the real one does."""
    import ctranslate2
    import faster_whisper as library

    real, asked = library.WhisperModel, []

    def model(folder: str, **how: Any) -> Any:
        asked.append((how["device"], how["compute_type"]))
        loaded = real(folder, **how | {"device": CPU, "compute_type": "int8"})
        if how["device"] == "cuda":

            def encode(features: Any) -> None:
                assert features.shape == (80, 3_000)
                raise RuntimeError("Library libcublas.so.12 is not found or cannot be loaded")

            loaded.encode = encode
        return loaded

    can = ctranslate2.get_supported_compute_types
    monkeypatch.setattr(library, "WhisperModel", model)
    monkeypatch.setattr(ctranslate2, "get_cuda_device_count", lambda: 1)
    monkeypatch.setattr(ctranslate2, "get_supported_compute_types", lambda kind, n=0: able if kind == "cuda" else can(kind, n))
    assert faster_whisper.load_whisper(EngineConfig(weights=tiny), []).device == CPU
    assert asked == [("cuda", best), (CPU, "int8")]
    assert "libcublas.so.12" in caplog.text and "nvidia-cublas-cu12" in caplog.text
    with pytest.raises(Unavailable, match="libcublas") as caught:
        faster_whisper.load_whisper(EngineConfig(weights=tiny, device="cuda"), [])
    assert "pip install nvidia-cublas-cu12" in caught.value.hint


def test_whisper_makes_room_when_memory_runs_out_and_gives_it_back_when_closed(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    idle = ["another engine"]
    config = EngineConfig(weights=tiny, device=CPU, make_room=lambda: bool(idle) and bool(idle.pop()))
    engine = faster_whisper.load_whisper(config, [])
    samples = [vowels(2.0), vowels(2.0, 140)]
    expected, encode = engine.words(samples, "en", ""), engine._model.encode

    def short(*args: Any, **how: Any) -> Any:
        if idle:
            raise RuntimeError("CUDA failed with error out of memory")
        return encode(*args, **how)

    monkeypatch.setattr(engine._model, "encode", short)
    assert all(expected) and engine.words(samples, "en", "") == expected
    assert idle == []
    model = engine._model.model
    engine.close()
    assert not model.model_is_loaded


def test_where_whisper_would_run_is_told_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(tmp_path / "tiny")
    monkeypatch.setattr(hardware, "_SIGNS", (str(tmp_path / "gpu"),))

    def device(wanted: str) -> str:
        return faster_whisper.find_whisper(EngineConfig(weights_dir=tmp_path, device=wanted), []).device

    assert [device(wanted) for wanted in ("auto", "cpu", "cuda:1", "mps")] == ["cpu", "cpu", "cuda:1", "cpu"]
    (tmp_path / "gpu").touch()
    assert device("auto") == "cuda"


def test_english_weights_are_for_english_alone(tmp_path: Path) -> None:
    pretend(tmp_path / "small.en")
    config = EngineConfig(weights_dir=tmp_path, caches=Caches(hub=tmp_path / "none"))
    assert [faster_whisper.WHISPER.suits(config, {"language": code}) for code in ("auto", "en")] == ["", ""]
    assert faster_whisper.WHISPER.suits(config, {"language": "de"}) == "the weights 'small.en' know English alone, not 'de'"
    pretend(tmp_path / "medium")
    assert faster_whisper.WHISPER.suits(config, {"language": "de"}) == ""


def test_whisper_says_nothing_where_nobody_speaks(whisper: faster_whisper.Whisper) -> None:
    assert whisper.windows(np.zeros(48_000, np.float32)) == whisper.windows(np.zeros(0, np.float32)) == whisper.windows(noise(3)) == []
    assert whisper.words([], "en", "") == []


def test_whisper_knows_its_languages(whisper: faster_whisper.Whisper) -> None:
    assert {"en", "de"} <= set(whisper.languages)
    assert whisper.language(vowels(2.0)) in whisper.languages


@pytest.mark.slow
def test_whisper_leaves_a_loop(tmp_path: Path) -> None:
    endless = faster_whisper.load_whisper(EngineConfig(weights=tiny_whisper.make(tmp_path / "tiny", stop=-50.0), device=CPU), [])
    calm = vowels(1.0, 140)
    (looping,) = endless._texts([vowels(1.0)], "en", "")
    assert looping.loops and len({word for word, *_ in looping.words}) < len(looping.words)
    heard = endless.words([calm, vowels(1.0)], "en", "")
    for words in heard:
        texts = [word for word, *_ in words]
        threes = list(zip(texts, texts[1:], texts[2:], strict=False))
        assert texts and len(set(threes)) == len(threes)


def test_speech_runs_on_whisper(whisper: faster_whisper.Whisper) -> None:
    samples = np.concatenate([vowels(2.0), np.zeros(10 * 16_000, np.float32), vowels(2.0, 140), np.zeros(16_000, np.float32)])
    video = SoundVideo(len(samples) // 16, [samples])
    bound = speech.SPEC.bind({"language": "en"}, Ready(whisper, "whisper"))
    grains = cut(video.duration, 12_000)
    whole = analyzed(bound, video, grains)
    assert any(whole.values())
    assert analyzed(bound, video, grains[1:]) | analyzed(bound, video, grains[:1]) == whole


# --- pocketsphinx -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sphinx() -> pocketsphinx.Pocketsphinx:
    return pocketsphinx.load(EngineConfig())


def test_pocketsphinx_says_what_it_is_in_milliseconds() -> None:
    started = time.perf_counter()
    found = pocketsphinx.find(EngineConfig())
    assert found == Availability(weights=found.weights) and found.weights.startswith("en-us (pocketsphinx 5")
    assert time.perf_counter() - started < 0.5
    assert pocketsphinx.ENGINE.uncertain and pocketsphinx.ENGINE.tier > faster_whisper.WHISPER.tier


def test_pocketsphinx_serves_english_without_hotwords() -> None:
    served = [{}, {"language": "en", "hotwords": ""}, {"language": "auto"}]
    assert [pocketsphinx.ENGINE.suits(EngineConfig(), options) for options in served] == ["", "", ""]
    assert "not 'de'" in pocketsphinx.ENGINE.suits(EngineConfig(), {"language": "de"})
    assert "hotwords" in pocketsphinx.ENGINE.suits(EngineConfig(), {"hotwords": "Webb"})


def test_pocketsphinx_hears_what_the_library_hears(sphinx: pocketsphinx.Pocketsphinx) -> None:
    from pocketsphinx import Decoder

    samples = vowels(0.6, 160) + noise(0.6, 1) / 10
    decoder = Decoder(samprate=16_000, loglevel="FATAL")
    decoder.start_utt()
    decoder.process_raw((samples * 32767).astype(np.int16).tobytes(), full_utt=True)
    decoder.end_utt()
    plain = [(s.word.partition("(")[0], s.start_frame * 10, (s.end_frame + 1) * 10) for s in decoder.seg() if s.word[0] not in "<[+"]
    assert plain and [(word.strip(), start, end) for word, start, end, _ in sphinx._decode(samples)] == plain


def test_pocketsphinx_forgets_what_it_heard_before(sphinx: pocketsphinx.Pocketsphinx) -> None:
    one, other = vowels(0.6), vowels(0.6, 160) + noise(0.6, 1) / 10
    alone = pocketsphinx.load(EngineConfig())._decode(other)
    sphinx._decode(one)
    assert alone and sphinx._decode(other) == alone
    assert all(word.startswith(" ") and not set(word) & set("<>[]()") for word, *_ in alone)


def test_pocketsphinx_says_nothing_where_nobody_speaks(sphinx: pocketsphinx.Pocketsphinx) -> None:
    assert sphinx.windows(np.zeros(48_000, np.float32)) == sphinx.windows(np.zeros(0, np.float32)) == []


@pytest.mark.shared
@pytest.mark.slow
def test_pocketsphinx_hears_the_telescope(shared: Path, sphinx: pocketsphinx.Pocketsphinx) -> None:
    with open_video(shared / "media" / "nasa_webb.mp4") as video:
        (notes,) = analyzed(speech.SPEC.bind({}, Ready(sphinx, "pocketsphinx")), video, cut(video.duration, 120_000)).values()
    words = [word for note in notes for word in note.detail["words"]]
    text = " ".join(word[0] for word in words)
    assert "space telescope in one of the largest" in text and "goddard space flight center" in text
    # The second and third subtitle stand from 4.26 s and from 8.35 s.
    when = {word[0]: word[1] for word in words}
    assert abs(when["telescope"] - 4_260) <= 500
    assert abs(when["nasa's"] - 8_350) <= 500
