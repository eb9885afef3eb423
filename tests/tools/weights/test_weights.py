"""The table of published weights against what the libraries themselves say, and fetching them into what the engines look for."""

import hashlib
import importlib.util
import socket
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import tiny_clip
import tiny_whisper
from analyzer_agent.errors import AgentError
from analyzer_agent.protocols import Availability, EngineConfig, EngineSpec, WeightCaches
from analyzer_agent.tools.engines import easyocr, faster_whisper, open_clip, ultralytics, whisper_files
from analyzer_agent.tools.engines.huggingface import Hub
from analyzer_agent.tools.weights import catalog, download, http
from analyzer_agent.tools.weights.catalog import DEFAULTS, PUBLISHED, Weights
from analyzer_agent.tools.weights.download import WeightFile, choose_weights, download_weights, plan_download
from analyzer_agent.tools.weights.local import check_folder, find_local
from weights_server import REVISION, WeightsServer

needs_extra = pytest.mark.skipif(importlib.util.find_spec("ultralytics") is None, reason="needs the extra 'vision'")


def of(analyzer: str) -> dict[str, Weights]:
    return {entry.name: entry for entry in PUBLISHED if entry.analyzer == analyzer}


# --- the table ----------------------------------------------------------------------------------------------------------


def test_whisper_models_and_their_other_names_are_those_of_faster_whisper() -> None:
    from faster_whisper.utils import _MODELS

    known = {name: entry.source for name, entry in of("speech").items()}
    assert known | {other: known[name] for other, name in catalog.ALIASES.items()} == _MODELS
    assert {whisper_files.name_of(entry.folder.rpartition("/")[2]) for entry in of("speech").values()} == set(known)


@needs_extra
def test_detectors_are_those_of_ultralytics_in_its_release() -> None:
    import inspect

    ultralytics._library()
    from ultralytics.utils import downloads

    assert {entry.files[0] for entry in of("objects").values()} <= downloads.GITHUB_ASSETS_NAMES
    release = inspect.signature(downloads.attempt_download_asset).parameters["release"].default
    assert {entry.source for entry in of("objects").values()} == {
        f"https://github.com/{downloads.GITHUB_ASSETS_REPO}/releases/download/{release}/{name}.pt" for name in of("objects")
    }


@needs_extra
def test_readers_are_those_of_easyocr_with_its_sums_and_languages() -> None:
    config = easyocr_config()
    known = config.detection_models | config.recognition_models["gen1"] | config.recognition_models["gen2"]
    theirs = {model["filename"]: model for model in known.values()}
    for entry in of("text").values():
        model = theirs[entry.files[0]]
        assert (entry.source, entry.md5) == (model["url"], model["md5sum"])
    languages = {name: entry.languages.split() for name, entry in of("text").items() if name != "detector"}
    assert set().union(*languages.values()) == set(config.all_lang_list)
    assert languages["latin"] == config.latin_lang_list and languages["arabic"] == config.arabic_lang_list
    assert languages["cyrillic"] == config.cyrillic_lang_list and languages["devanagari"] == config.devanagari_lang_list
    assert of("text")["detector"].source == config.detection_models["craft"]["url"]


def easyocr_config() -> ModuleType:
    """EasyOCR's tables, without importing EasyOCR."""
    spec = importlib.util.find_spec("easyocr")
    assert spec is not None and spec.submodule_search_locations
    own = importlib.util.spec_from_file_location("easyocr_tables", Path(spec.submodule_search_locations[0]) / "config.py")
    assert own is not None and own.loader is not None
    module = importlib.util.module_from_spec(own)
    own.loader.exec_module(module)
    return module


def test_each_analyzer_has_one_default_and_names_once() -> None:
    assert [(entry.analyzer, entry.name) for entry in PUBLISHED if entry.default] == list(DEFAULTS.items())
    assert len({(entry.analyzer, entry.name) for entry in PUBLISHED}) == len(PUBLISHED)


# --- choosing -----------------------------------------------------------------------------------------------------------


def named(*words: str) -> list[str]:
    return [f"{entry.analyzer}={entry.name}" for entry in choose_weights(words)]


def test_words_choose_weights() -> None:
    assert named("speech") == ["speech=base"]
    assert named("speech=large-v3, tiny", "objects=yolo11m") == ["speech=large-v3", "speech=tiny", "objects=yolo11m"]
    assert named("speech=turbo") == ["speech=large-v3-turbo"]
    assert named("speech", "speech=base") == ["speech=base"], "once each"
    assert named("text=de,ja") == ["text=latin", "text=japanese", "text=english", "text=detector"], (
        "the detector last: it completes the set"
    )
    assert named("text") == ["text=english", "text=detector"]
    assert named() == ["speech=base", "text=english", "text=detector", "objects=yolo26s", "captions=mscoco-ViT-B-32", "tags=ViT-B-32"]


@pytest.mark.parametrize(
    ("word", "said", "hint"),
    [
        ("scenes", "There are no weights for 'scenes'.", "Choose from: speech, text, objects, captions, tags."),
        ("speech=huge", "There are no weights 'huge' for 'speech'.", "Choose from: large-v3, large-v2"),
        ("speech=", "There are no weights '' for 'speech'.", "Choose from: large-v3"),
        ("speech=99", "There are no weights '99' for 'speech'.", "Choose from"),
        ("text=xx", "There are no weights 'xx' for 'text'.", "or by language: af, az"),
        ("", "There are no weights for ''.", "Choose from"),
    ],
)
def test_wrong_words_are_told_with_the_right_ones(word: str, said: str, hint: str) -> None:
    with pytest.raises(AgentError) as raised:
        choose_weights([word])
    assert str(raised.value) == said and hint in raised.value.hint


# --- from the publishers to the engines ---------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[WeightsServer]:
    with WeightsServer() as running:
        yield running


@pytest.fixture
def nobody(tmp_path: Path) -> WeightCaches:
    """Caches of a user who has none."""
    return WeightCaches(hub=tmp_path / "no", easyocr=tmp_path / "no", ultralytics=tmp_path / "no.json")


def planned(server: WeightsServer, folder: Path, *words: str, token: str = "") -> list[WeightFile]:
    moved = [
        entry._replace(source=entry.source.replace("https://github.com", server.url)) if entry.source.startswith("http") else entry
        for entry in choose_weights(words)
    ]
    return plan_download(moved, folder, Hub(server.url, {"Authorization": f"Bearer {token}"} if token else {}), github=server.url)


def pulled(server: WeightsServer, folder: Path, *words: str) -> list[str]:
    """Fetch what is not here and return the names of the files that were fetched."""
    missing = [file for file in planned(server, folder, *words) if not file.is_here()]
    return [event.file.path.name for event in download_weights(missing) if isinstance(event, download.DownloadDone)]


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_whisper.make(tmp_path_factory.mktemp("whisper"))


def test_whisper_is_fetched_found_and_loaded(server: WeightsServer, whisper: Path, tmp_path: Path, nobody: WeightCaches) -> None:
    server.add_repository("Systran/faster-whisper-tiny", whisper)
    config = EngineConfig(weights_dir=tmp_path / "carried", caches=nobody, device="cpu", offline=True)
    assert "weights pull speech" in faster_whisper.find_whisper(config).fix
    fetched = pulled(server, tmp_path / "carried", "speech=tiny")
    assert fetched == ["config.json", "tokenizer.json", "vocabulary.json", "model.bin"], "what the engine looks for comes last"
    folder = tmp_path / "carried" / "speech" / "faster-whisper-tiny"
    assert names(folder) == names(whisper) and all((folder / name).read_bytes() == (whisper / name).read_bytes() for name in names(whisper))
    assert faster_whisper.find_whisper(config).weights.startswith("faster-whisper-tiny ")
    assert find_local(of("speech")["tiny"], config) == folder and find_local(of("speech")["base"], config) is None
    assert "de" in faster_whisper.load_whisper(config).languages
    before = len(server.requests)
    assert pulled(server, tmp_path / "carried", "speech=tiny") == []
    assert len(server.requests) == before + 1, "only the listing is asked for again"


@needs_extra
@pytest.mark.parametrize(("analyzer", "config"), [("captions", tiny_clip.COCA), ("tags", tiny_clip.CLIP)])
def test_open_clip_is_fetched_found_and_loaded(
    server: WeightsServer, tmp_path: Path, nobody: WeightCaches, analyzer: str, config: dict[str, Any]
) -> None:
    made = tiny_clip.make(tmp_path / "made", config)
    (made / "open_clip_pytorch_model.bin").write_bytes(b"a pickle that nobody needs beside safetensors")
    entry = of(analyzer)[DEFAULTS[analyzer]]
    server.add_repository(entry.source, made)
    assert pulled(server, tmp_path / "carried", analyzer) == ["open_clip_config.json", "open_clip_model.safetensors"]
    engine = open_clip.COCA if analyzer == "captions" else open_clip.CLIP
    here = EngineConfig(weights_dir=tmp_path / "carried", caches=nobody, device="cpu", offline=True)
    assert engine.find(here).weights.startswith(entry.source.partition("/")[2])
    assert find_local(entry, here) == tmp_path / "carried" / entry.folder / "open_clip_model.safetensors"
    engine.load(here)


def test_a_publisher_without_safetensors_gives_pickles(server: WeightsServer, tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.mkdir()
    (made / "open_clip_pytorch_model.bin").write_bytes(b"1")
    server.add_repository(of("captions")["ViT-L-14"].source, made)
    assert pulled(server, tmp_path / "carried", "captions=ViT-L-14") == ["open_clip_pytorch_model.bin"]


@needs_extra
def test_a_detector_is_fetched_found_and_loaded(server: WeightsServer, tmp_path: Path, nobody: WeightCaches) -> None:
    from benchmarks.speed.objects import random_detector

    data = random_detector(tmp_path).read_bytes()
    server.add_asset("/ultralytics/assets/releases/download/v8.4.0/yolo11n.pt", data)
    assert pulled(server, tmp_path / "carried", "objects=yolo11n") == ["yolo11n.pt"]
    here = EngineConfig(weights_dir=tmp_path / "carried", caches=nobody, device="cpu", offline=True)
    assert ultralytics.find(here).weights.startswith("yolo11n.pt:")
    assert find_local(of("objects")["yolo11n"], here) == tmp_path / "carried" / "yolo11n.pt"
    assert len(ultralytics.load(here).names) == 80


def archive(path: Path, name: str, data: bytes) -> bytes:
    with zipfile.ZipFile(path, "w") as made:
        made.writestr(name, data)
    return path.read_bytes()


@pytest.fixture
def readers(server: WeightsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Archives of EasyOCR's that hold a few bytes each, with their sums in our table."""
    contents = {name: f"weights of {name}".encode() * 50_000 for name in of("text")}
    for name, entry in of("text").items():
        path = entry.source.removeprefix("https://github.com")
        server.add_asset(path, archive(tmp_path / "made.zip", entry.files[0], contents[name]), digest=False)
    table = [
        entry._replace(md5=hashlib.md5(contents[entry.name]).hexdigest()) if entry.analyzer == "text" else entry for entry in PUBLISHED
    ]
    monkeypatch.setattr(download, "PUBLISHED", tuple(table))
    return contents


@needs_extra
def test_readers_are_unpacked_where_easyocr_looks(
    server: WeightsServer, readers: dict[str, bytes], tmp_path: Path, nobody: WeightCaches
) -> None:
    carried = tmp_path / "carried"
    here = EngineConfig(weights_dir=carried, caches=nobody, device="cuda:0", offline=True)
    assert "analyzer-agent weights pull text" in easyocr.find(here).fix
    assert pulled(server, carried, "text=de,ja") == ["latin_g2.pth", "japanese_g2.pth", "english_g2.pth", "craft_mlt_25k.pth"]
    assert names(carried) == sorted(f"easyocr/{name}.pth" for name in ("latin_g2", "japanese_g2", "english_g2", "craft_mlt_25k"))
    assert (carried / "easyocr" / "latin_g2.pth").read_bytes() == readers["latin"]
    assert easyocr.find(here).missing is None
    assert (
        find_local(of("text")["japanese"], here) == carried / "easyocr" / "japanese_g2.pth"
        and find_local(of("text")["korean"], here) is None
    )
    assert pulled(server, carried, "text=de,ja") == []
    (carried / "easyocr" / "latin_g2.pth").write_bytes(b"cut off")
    assert pulled(server, carried, "text=de") == ["latin_g2.pth"], "what is not whole is fetched again"


@pytest.mark.parametrize("content", [b"not what it was", None])
def test_an_archive_that_holds_something_else_leaves_nothing(
    server: WeightsServer, readers: dict[str, bytes], tmp_path: Path, content: bytes | None
) -> None:
    path = of("text")["korean"].source.removeprefix("https://github.com")
    server.listings.clear()
    server.files[path] = archive(tmp_path / "made.zip", "korean_g2.pth", content) if content else b"no archive"
    with pytest.raises(AgentError, match=r"'korean_g2\.pth' cannot be extracted from 'korean_g2\.pth\.zip': "):
        pulled(server, tmp_path / "carried", "text=ko")
    assert names(tmp_path / "carried") == []


# --- when things go wrong -----------------------------------------------------------------------------------------------


DATA = bytes(range(256)) * 4_000
PATH = "/ultralytics/assets/releases/download/v8.4.0/yolo26s.pt"


def test_what_breaks_off_goes_on(server: WeightsServer, tmp_path: Path) -> None:
    server.add_asset(PATH, DATA)
    server.breaks["yolo26s.pt"] = 300_000
    assert pulled(server, tmp_path, "objects") == ["yolo26s.pt"]
    assert [request.headers.get("Range") for request in server.asked("yolo26s.pt")] == [None, "bytes=300000-"]
    assert names(tmp_path) == ["yolo26s.pt"] and (tmp_path / "yolo26s.pt").read_bytes() == DATA


@pytest.mark.parametrize("ranges", [True, False])
def test_what_was_left_is_gone_on_with_later_or_anew(server: WeightsServer, tmp_path: Path, nobody: WeightCaches, ranges: bool) -> None:
    server.add_asset(PATH, DATA)
    server.ranges = ranges
    events: Any = download_weights(planned(server, tmp_path, "objects"))
    while getattr(next(events), "done", 0) < 500_000:
        pass
    events.close()  # as Ctrl-C does
    assert names(tmp_path) == ["yolo26s.pt.part"]
    assert find_local(of("objects")["yolo26s"], EngineConfig(weights_dir=tmp_path, caches=nobody)) is None
    done = [event.done for event in download_weights(planned(server, tmp_path, "objects")) if isinstance(event, download.DownloadProgress)]
    assert (done[0] > 500_000) == ranges and done[-1] == len(DATA)
    assert names(tmp_path) == ["yolo26s.pt"] and (tmp_path / "yolo26s.pt").read_bytes() == DATA


def test_a_piece_of_another_file_is_thrown_away(server: WeightsServer, tmp_path: Path) -> None:
    server.add_asset(PATH, DATA)
    (tmp_path / "yolo26s.pt.part").write_bytes(b"of last year")
    assert pulled(server, tmp_path, "objects") == ["yolo26s.pt"]
    (tmp_path / "yolo26s.pt").unlink()
    (tmp_path / "yolo26s.pt.part").write_bytes(b"longer" * 1_000_000)
    assert pulled(server, tmp_path, "objects") == ["yolo26s.pt"]
    assert (tmp_path / "yolo26s.pt").read_bytes() == DATA


def test_a_piece_that_is_longer_than_a_file_of_unknown_size_is_thrown_away(server: WeightsServer, tmp_path: Path) -> None:
    server.files["/file"] = DATA
    (tmp_path / "file.part").write_bytes(DATA)
    assert list(http.download(f"{server.url}/file", tmp_path / "file"))[-1] == len(DATA)
    assert (tmp_path / "file").read_bytes() == DATA


def test_a_file_that_is_not_what_its_publisher_says_is_deleted(server: WeightsServer, whisper: Path, tmp_path: Path) -> None:
    server.add_repository("Systran/faster-whisper-tiny", whisper)
    for name, kind in (("tokenizer.json", "sha256"), ("config.json", "git")):
        place = f"/Systran/faster-whisper-tiny/resolve/{REVISION}/{name}"
        good = server.files[place]
        server.files[place] = bytes([good[0] ^ 1]) + good[1:]
        with pytest.raises(AgentError, match=rf"'{name}' from 127.0.0.1:\d+ does not have the {kind} sum .*; it was deleted"):
            pulled(server, tmp_path / name, "speech=tiny")
        assert f"speech/faster-whisper-tiny/{name}" not in str(names(tmp_path / name))
        server.files[place] = good


def test_a_server_that_gives_less_than_it_says_is_given_up_on(server: WeightsServer, tmp_path: Path) -> None:
    server.add_asset(PATH, DATA)
    server.files[PATH] = DATA[:1000]
    with pytest.raises(AgentError, match=r"'yolo26s\.pt' from .* has 1000 bytes instead of 1024000; it was deleted"):
        pulled(server, tmp_path, "objects")
    assert names(tmp_path) == []


def test_github_may_not_tell_of_a_release(server: WeightsServer, tmp_path: Path) -> None:
    server.files[PATH] = DATA
    (file,) = planned(server, tmp_path, "objects")
    assert (file.size, file.digest) == (None, None)
    assert pulled(server, tmp_path, "objects") == ["yolo26s.pt"]


def test_an_unreachable_publisher_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        monkeypatch.setattr(http, "TIMEOUT_S", 0.2)
        with pytest.raises(AgentError, match=rf"^127\.0\.0\.1:{port} cannot be reached: it did not answer in time\."):
            plan_download(choose_weights(["speech=tiny"]), tmp_path, Hub(f"http://127.0.0.1:{port}", {}))
    with pytest.raises(AgentError, match=rf"^127\.0\.0\.1:{port} cannot be reached: Connection refused\."):
        plan_download(choose_weights(["speech=tiny"]), tmp_path, Hub(f"http://127.0.0.1:{port}", {}))
    with pytest.raises(AgentError, match=rf"^127\.0\.0\.1:{port} cannot be reached: Connection refused\."):
        plan_download(choose_weights(["objects"]), tmp_path, Hub("", {}), github=f"http://127.0.0.1:{port}")


def test_what_a_hub_does_not_have_is_told(server: WeightsServer, tmp_path: Path) -> None:
    with pytest.raises(AgentError, match=r"refused '/api/models/Systran/faster-whisper-tiny/revision/main': 404"):
        planned(server, tmp_path, "speech=tiny")
    address = "/api/models/Systran/faster-whisper-tiny/revision/main"
    server.listings[address] = {"sha": REVISION, "siblings": [{"rfilename": "config.json", "size": 1, "blobId": "0"}]}
    with pytest.raises(AgentError, match=r"has no 'model\.bin' any more"):
        planned(server, tmp_path, "speech=tiny")
    server.listings[address] = ["who are you?"]
    with pytest.raises(AgentError, match="does not answer like a Hugging Face hub"):
        planned(server, tmp_path, "speech=tiny")
    server.files[address] = b"<html>"
    del server.listings[address]
    with pytest.raises(AgentError, match="cannot be understood"):
        planned(server, tmp_path, "speech=tiny")


def test_a_name_cannot_lead_out_of_the_folder(server: WeightsServer, whisper: Path, tmp_path: Path) -> None:
    server.add_repository("Systran/faster-whisper-tiny", whisper)
    listing = server.listings["/api/models/Systran/faster-whisper-tiny/revision/main"]
    listing["siblings"].append({"rfilename": "vocabulary./../../../../evil", "size": 1, "blobId": "0"})
    assert {file.path.parent for file in planned(server, tmp_path, "speech=tiny")} == {tmp_path / "speech" / "faster-whisper-tiny"}


def test_the_token_goes_to_the_hub_and_no_further(server: WeightsServer, whisper: Path, tmp_path: Path) -> None:
    server.add_repository("Systran/faster-whisper-tiny", whisper)
    for _ in download_weights(planned(server, tmp_path, "speech=tiny", token="hf_secret")):
        pass
    hub, store = server.url.removeprefix("http://"), server.store.removeprefix("http://")
    told = {(request.headers["Host"], request.headers.get("Authorization")) for request in server.requests}
    assert told == {(hub, "Bearer hf_secret"), (store, None)}
    assert not any(b"hf_secret" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_a_full_disk_is_told_before_anything_is_fetched(server: WeightsServer, tmp_path: Path) -> None:
    server.add_asset(PATH, DATA)
    server.listings["/repos/ultralytics/assets/releases/tags/v8.4.0"]["assets"][0]["size"] = 10**18
    with pytest.raises(AgentError, match=r"^1000000000\.00 GB are to be downloaded, and .* GB free\."):
        pulled(server, tmp_path / "new" / "folder", "objects")
    assert server.asked("yolo26s.pt") == []


def test_a_folder_that_cannot_be_written_is_told(server: WeightsServer, tmp_path: Path) -> None:
    server.add_asset(PATH, DATA)
    (tmp_path / "file").touch()
    with pytest.raises(AgentError, match="cannot be written: "):
        pulled(server, tmp_path / "file", "objects")


def test_the_hub_is_asked_as_its_own_library_asks(
    server: WeightsServer, whisper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import HfApi, hf_hub_url

    # The library looks up on the public hub which coding agent may be running it, whatever endpoint it is given.
    monkeypatch.setattr("huggingface_hub.utils._detect_agent._fetch_registry", lambda: None, raising=False)
    server.add_repository("Systran/faster-whisper-tiny", whisper)
    info = HfApi(endpoint=server.url).model_info("Systran/faster-whisper-tiny", revision="main", files_metadata=True)
    files = {file.path.name: file for file in planned(server, tmp_path, "speech=tiny")}
    theirs, ours = (request.path for request in server.requests)
    assert theirs == ours
    for sibling in info.siblings or ():
        if sibling.rfilename in files:
            file, sum_ = files[sibling.rfilename], sibling.lfs.sha256 if sibling.lfs else sibling.blob_id
            assert (file.size, file.digest and file.digest.value) == (sibling.size, sum_)
            assert file.url == hf_hub_url("Systran/faster-whisper-tiny", sibling.rfilename, revision=info.sha, endpoint=server.url)


# --- a folder that was named ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "said", "hint"),
    [
        (None, "No weights in '{}': there is no such folder.", "analyzer-agent weights pull speech --to {}"),
        ((), "No weights in '{}'.", "Fill it: analyzer-agent weights pull speech --to {}"),
        (("model.bin", "tokenizer.json"), "No weights in '{}'.", "It looks like a Whisper model itself: --weights speech={}"),
        (("speech/faster-whisper-base/model.bin.part",), "No weights in '{}'.", "Fill it: "),
        (("open_clip_config.json", "model.safetensors"), "No weights in '{}'.", "--weights tags={}"),
        (("own.pt",), "No weights in '{}'.", "It looks like the weights of a detector: --weights objects={}/own.pt"),
        (("craft_mlt_25k.pth", "english_g2.pth"), "No weights in '{}'.", "--weights text={}"),
    ],
)
def test_a_folder_without_weights_is_told_wherever_it_was_named(
    tmp_path: Path, files: tuple[str, ...] | None, said: str, hint: str
) -> None:
    from analyzer_agent.config import Settings
    from analyzer_agent.session import available_tools

    folder = tmp_path / "x"
    for name in files or ():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    if files == ():
        folder.mkdir()
    for settings in (Settings(weights_dir=folder), Settings(weights_dir=folder, tools=("scenes",))):
        with pytest.raises(AgentError) as refused:
            available_tools(settings)
        assert str(refused.value) == said.format(folder) and hint.format(folder) in refused.value.hint


@pytest.mark.parametrize(
    "files",
    [
        ("speech/faster-whisper-base/model.bin", "speech/faster-whisper-base/tokenizer.json"),
        ("faster-whisper-base/model.bin", "faster-whisper-base/tokenizer.json"),
        ("yolov8s-worldv2.pt",),
        ("yolo11n_int8_openvino_model/metadata.yaml",),
        ("easyocr/english_g2.pth",),
        ("open_clip/CLIP-ViT-B-32-laion2B-s34B-b79K/open_clip_model.safetensors",),
    ],
    ids=lambda files: files[0],
)
def test_a_folder_with_weights_is_taken(tmp_path: Path, files: tuple[str, ...]) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    check_folder(tmp_path, ())


def test_a_plug_in_may_keep_its_own_weights_there(tmp_path: Path) -> None:
    def find(config: EngineConfig) -> Availability:
        here = config.weights_dir and (config.weights_dir / "plug-in.bin").is_file()
        return Availability(weights="plug-in 1") if here else Availability(missing="no weights")

    engine = EngineSpec("plug-in", 0, find, lambda config: None)
    with pytest.raises(AgentError):
        check_folder(tmp_path, [engine])
    (tmp_path / "plug-in.bin").touch()
    check_folder(tmp_path, [engine])


def test_the_usual_folder_need_not_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from analyzer_agent.config import Settings
    from analyzer_agent.session import available_tools

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "nobody"))
    assert available_tools(Settings(tools=("scenes",)))[0]
    assert available_tools(Settings(tools=("scenes",), weights_dir=None))[0]
