"""The door to open_clip, through its real loaders: what it gives is what the plain library gives, whatever else is asked."""

import gc
import json
import os
import pickle
import subprocess
import sys
import textwrap
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiny_clip
from analyzer_agent.errors import Unavailable
from analyzer_agent.protocols import EngineConfig
from analyzer_agent.tools.engines import gpu, open_clip_files, open_clip_loading
from analyzer_agent.tools.engines import open_clip as door
from patience import processor_seconds
from tiny_clip import lay

open_clip = pytest.importorskip("open_clip", reason="the extra 'gpu' is not installed")
torch = pytest.importorskip("torch")

GROUPS = [["a dog", "a cat", "two horses on a hill"], ["rain", "sunshine"]]


@pytest.fixture(scope="module")
def coca(coca_weights: Path) -> door.CoCa:
    return door.COCA.load(EngineConfig(weights=coca_weights, device="cpu"))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def clip(clip_weights: Path) -> door.Clip:
    return door.CLIP.load(EngineConfig(weights=clip_weights, device="cpu"))  # type: ignore[no-any-return]


@pytest.fixture(autouse=True)
def nobodys_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")


def pictures(count: int) -> list[Any]:
    """Return BGR pictures of several shapes."""
    dice = np.random.default_rng(7)
    found = [dice.integers(0, 255, (40 + 9 * n, 64, 3), np.uint8) for n in range(count)]
    for n, image in enumerate(found):
        image[:: n + 1, :, n % 3] = 20 * n
    return found


# --- the same as the plain library --------------------------------------------------------------------------------------


def opened(folder: Path) -> tuple[Any, Any]:
    """Return the model and the transform as open_clip's manual opens them."""
    model, _, prepare = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    return model.eval(), prepare


def plain_caption(folder: Path, image: Any) -> str:
    """Return the greedy caption of a BGR picture: one picture, one token at a time, the whole forward pass each time."""
    from PIL import Image

    model, prepare = opened(folder)
    pixels = prepare(Image.fromarray(image[..., ::-1].copy()))[None]
    tokens = [49_406]
    with torch.no_grad():
        while len(tokens) < 30 and tokens[-1] != tiny_clip.END:
            logits = model(pixels, torch.tensor([tokens]), output_labels=False)["logits"]
            tokens.append(int(logits[0, -1].argmax()))
    return open_clip.decode(torch.tensor(tokens)).split("<end_of_text>")[0].replace("<start_of_text>", "")  # type: ignore[no-any-return]


def test_captions_are_the_plain_librarys(coca: door.CoCa, coca_weights: Path) -> None:
    images = pictures(9)
    told = coca.caption(images)
    assert told == [plain_caption(coca_weights, image) for image in images]
    import open_clip

    lengths = {len(open_clip.tokenize(text)[0].nonzero()) for text in told}
    assert len(set(told)) > 5 and len(lengths) > 2, "the pictures are told apart, and some sentences end early"


def test_a_caption_does_not_depend_on_what_else_is_in_the_batch(coca: door.CoCa) -> None:
    images = pictures(7)
    together = coca.caption(images)
    assert [coca.caption([image])[0] for image in images] == together
    assert coca.caption(images[::-1]) == together[::-1]
    assert coca.caption(images[2:5]) == together[2:5]


def test_probabilities_are_the_plain_librarys(clip: door.Clip, clip_weights: Path) -> None:
    from PIL import Image

    model, prepare = opened(clip_weights)
    tokenizer = open_clip.get_tokenizer(f"local-dir:{clip_weights}")
    images = pictures(6)
    found = clip.probabilities(images, GROUPS)
    for image, fits in zip(images, found, strict=True):
        with torch.no_grad():
            features = model.encode_image(prepare(Image.fromarray(image[..., ::-1].copy()))[None], normalize=True)
            for group, scores in zip(GROUPS, fits, strict=True):
                texts = model.encode_text(tokenizer(group), normalize=True)
                expected = (model.logit_scale.exp() * features @ texts.T).softmax(dim=-1)[0].tolist()
                assert scores == pytest.approx(expected, abs=1e-5)
    assert np.std([fits[0][0] for fits in found]) > 0.01, "the pictures are told apart"


def test_probabilities_do_not_depend_on_what_else_is_asked(clip: door.Clip) -> None:
    images = pictures(7)
    together = clip.probabilities(images, GROUPS)
    assert [clip.probabilities([image], GROUPS)[0] for image in images] == together
    assert clip.probabilities(images[::-1], GROUPS) == together[::-1]


def test_pictures_that_were_prepared_elsewhere_give_the_same(clip: door.Clip, coca: door.CoCa) -> None:
    images = pictures(5)
    with ThreadPoolExecutor(3) as threads:
        prepared = list(threads.map(clip.prepare, images))
        shown = list(threads.map(coca.prepare, images))
    mixed = [*prepared[:2], *images[2:]]
    assert clip.probabilities(prepared, GROUPS) == clip.probabilities(mixed, GROUPS) == clip.probabilities(images, GROUPS)
    assert np.array_equal(clip.image_features(prepared), clip.image_features(images))
    assert coca.caption(shown) == coca.caption(images)


def test_texts_are_read_once_per_vocabulary(clip: door.Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    encode = clip._model.encode_text

    def counted(tokens: Any, **how: Any) -> Any:
        asked.append(len(tokens))
        return encode(tokens, **how)

    monkeypatch.setattr(clip._model, "encode_text", counted)
    first = clip.probabilities(pictures(1), [["x", "y"]])
    clip.probabilities(pictures(3), [["x", "y"]])
    assert asked == [2]
    assert clip.probabilities(pictures(1), [["x", "z"]]) != first


def test_a_coca_is_a_clip_too(coca_weights: Path) -> None:
    engine = door.CLIP.load(EngineConfig(weights=coca_weights, device="cpu"))
    for fits in engine.probabilities(pictures(2), GROUPS):
        assert [sum(group) for group in fits] == pytest.approx([1, 1])


def test_short_memory_halves_the_batch_and_gives_the_same(coca_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = door.COCA.load(EngineConfig(weights=coca_weights, device="cpu"))
    images = pictures(5)
    expected, sizes, encode = engine.caption(images), [], engine._model._encode_image

    def small(pixels: Any) -> Any:
        sizes.append(len(pixels))
        if len(pixels) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return encode(pixels)

    monkeypatch.setattr(engine._model, "_encode_image", small)
    assert engine.caption(images) == expected
    assert sizes == [8, 4, 2, 2, 2] and engine.batch == 8, "so many are handed over as before; the engine splits them"


def test_room_is_made_before_batches_shrink_and_while_loading(coca_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    idle = ["one", "another"]
    config = EngineConfig(weights=coca_weights, device="cpu", make_room=lambda: bool(idle) and bool(idle.pop()))
    move = torch.nn.Module.to

    def short(model: Any, *where: Any, **how: Any) -> Any:
        if len(idle) > 1 and not model.training:  # the engine's own move: the library's comes before `eval`
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return move(model, *where, **how)

    with monkeypatch.context() as patched:
        patched.setattr(torch.nn.Module, "to", short)
        engine = door.COCA.load(config)
    assert idle == ["one"]
    images = pictures(5)
    encode, sizes = engine._model._encode_image, []

    def crowded(pixels: Any) -> Any:
        sizes.append(len(pixels))
        if idle:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return encode(pixels)

    monkeypatch.setattr(engine._model, "_encode_image", crowded)
    assert len(engine.caption(images)) == 5
    assert (sizes, idle) == ([8, 8], [])


def test_a_closed_engine_holds_no_memory(clip_weights: Path) -> None:
    engine = door.CLIP.load(EngineConfig(weights=clip_weights, device="cpu"))
    assert engine.device == "cpu" and engine.probabilities(pictures(1), GROUPS)
    held = weakref.ref(engine._model)
    engine.close()
    gc.collect()
    assert held() is None


@pytest.mark.parametrize(("wanted", "device"), [("auto", "cuda"), ("cpu", "cpu"), ("cuda:1", "cuda:1")])
def test_where_it_would_run_is_told_from_files(
    wanted: str, device: str, coca_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "_DRIVER_FILES", (str(tmp_path),))
    monkeypatch.setattr(gpu, "torch_build", lambda: "13.0")
    assert door.find_coca(EngineConfig(weights=coca_weights, device=wanted)).device == device
    monkeypatch.setattr(gpu, "torch_build", lambda: "cpu")
    assert door.find_clip(EngineConfig(weights=coca_weights)).device == "cpu"


# --- loading ------------------------------------------------------------------------------------------------------------


def test_a_bare_file_named_after_its_model_loads(tmp_path: Path) -> None:
    """The tiny model takes the place of ViT-B-32's configuration: the way from name to model is the real one."""
    import shutil

    folder = tiny_clip.make(tmp_path / "made", tiny_clip.CLIP)
    bare = tmp_path / "tiny-clip.safetensors"
    shutil.copy(folder / "open_clip_model.safetensors", bare)
    found = open_clip_files.Checkpoint(bare, "tiny-clip", bare.name, "")
    _, model, _, _ = open_clip_loading.open_checkpoint(found, "Testing")
    assert torch.equal(model.visual.proj, opened(folder)[0].visual.proj)


@pytest.mark.parametrize("ending", ["bin", "pt"])
def test_pickled_weights_load_as_weights_only(ending: str, coca_weights: Path, coca: door.CoCa, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    torch.save(load_file(coca_weights / "open_clip_model.safetensors"), tmp_path / f"mine.{ending}")
    (tmp_path / open_clip_files.CONFIG).write_bytes((coca_weights / open_clip_files.CONFIG).read_bytes())
    images = pictures(2)
    assert door.COCA.load(EngineConfig(weights=tmp_path / f"mine.{ending}", device="cpu")).caption(images) == coca.caption(images)


class Trap:
    """A pickle that makes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_a_pickle_with_code_in_it_is_refused_and_not_run(coca_weights: Path, tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    torch.save({"state_dict": Trap(sprung)}, tmp_path / "mine.pt")
    (tmp_path / open_clip_files.CONFIG).write_bytes((coca_weights / open_clip_files.CONFIG).read_bytes())
    with pytest.raises(Unavailable, match=r"mine\.pt"):
        door.COCA.load(EngineConfig(weights=tmp_path / "mine.pt", device="cpu"))
    assert not sprung.exists()
    pickle.loads(pickle.dumps(Trap(sprung)))
    assert sprung.exists(), "the trap works"


def test_what_cannot_be_loaded_is_named(coca_weights: Path, clip_weights: Path, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no CoCa; it cannot write"):
        door.COCA.load(EngineConfig(weights=clip_weights))
    with pytest.raises(Unavailable, match="cuda:97"):
        door.COCA.load(EngineConfig(weights=coca_weights, device="cuda:97"))
    with pytest.raises(Unavailable, match="no CLIP weights"):
        door.CLIP.load(EngineConfig())
    lay(tmp_path, "broken.safetensors", b"no weights")
    (tmp_path / open_clip_files.CONFIG).write_bytes((clip_weights / open_clip_files.CONFIG).read_bytes())
    with pytest.raises(Unavailable, match=r"broken\.safetensors"):
        door.CLIP.load(EngineConfig(weights=tmp_path))


@pytest.mark.parametrize("name", ["hf_model_name", "hf_tokenizer_name"])
def test_models_that_would_go_to_the_hub_are_refused(name: str, clip_weights: Path, tmp_path: Path) -> None:
    lay(tmp_path)
    config = {"model_cfg": tiny_clip.CLIP | {"text_cfg": tiny_clip.CLIP["text_cfg"] | {name: "somebody/something"}}}
    (tmp_path / open_clip_files.CONFIG).write_text(json.dumps(config))
    with pytest.raises(Unavailable, match="would have to be fetched"):
        door.CLIP.load(EngineConfig(weights=tmp_path, device="cpu"))


_WATCHED = """
    import logging, os, sys, warnings
    told = []
    def hook(event, args):
        if event.startswith(("socket.connect", "socket.getaddrinfo", "os.system", "os.posix_spawn")):
            told.append((event, args))
        if event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+") and not str(args[0]).startswith("/dev/"):
            told.append((event, args[0]))
    sys.dont_write_bytecode = True
    sys.addaudithook(hook)
    from pathlib import Path
    import numpy as np
    from analyzer_agent.protocols import EngineConfig
    from analyzer_agent.tools.engines import open_clip as door
    environment, filters = dict(os.environ), list(warnings.filters)
    image = np.zeros((48, 64, 3), np.uint8)
    assert len(door.COCA.load(EngineConfig(weights=Path(sys.argv[1]), device="cpu")).caption([image])) == 1
    assert door.CLIP.load(EngineConfig(weights=Path(sys.argv[2]), device="cpu")).probabilities([image], [["a", "b"]])
    assert dict(os.environ) == environment, set(os.environ.items()) ^ set(environment.items())
    assert not logging.getLogger().handlers and not logging.getLogger().filters
    assert not told, told
"""


def test_loading_and_running_touch_no_network_and_leave_no_trace(coca_weights: Path, clip_weights: Path, tmp_path: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "XDG_", "TOKENIZERS_"))}
    script = [sys.executable, "-c", textwrap.dedent(_WATCHED), str(coca_weights), str(clip_weights)]
    done = subprocess.run(script, capture_output=True, text=True, check=False, env=clean | {"HOME": str(tmp_path)}, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_finding_does_not_wait_for_anything() -> None:
    with processor_seconds(2):
        for _ in range(20):
            door.find_clip(EngineConfig())
            door.find_coca(EngineConfig())
