"""The door to EasyOCR: CRAFT finds the text, a recogniser per script reads it. Made for a GPU: several seconds a frame without.

Weights are the user's: nothing is downloaded here. EasyOCR checks its weights against a table of MD5 sums and, left to
itself, deletes a file that does not match and fetches another; `download_enabled=False` turns that into an error. It loads
them as pickles (`torch.load(weights_only=False)`): the sums are what stands between a file and its code being run.
Which languages can be read depends on the recognisers that lie in the folder: `unsupported_reason` tells, from EasyOCR's own tables.
"""

import sys
import threading
import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyzer_agent.errors import ToolRefusal, Unavailable, require
from analyzer_agent.installing import VISION, install_extra, vision_size
from analyzer_agent.protocols import Availability, EngineConfig, EngineSpec
from analyzer_agent.tools.engines.adaptive_batch import retry_with_room
from analyzer_agent.tools.engines.gpu import real_device, torch_device
from analyzer_agent.tools.engines.telemetry_off import temporary_environment

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_DETECTOR = "craft_mlt_25k.pth"

_SCRIPTS = (
    *(("th", "thai_g1"), ("ch_tra", "zh_tra_g1"), ("ch_sim", "zh_sim_g2"), ("ja", "japanese_g2"), ("ko", "korean_g2")),
    *(("ta", "tamil_g1"), ("te", "telugu_g2"), ("kn", "kannada_g2"), ("bengali", "bengali_g1"), ("arabic", "arabic_g1")),
    *(("devanagari", "devanagari_g1"), ("cyrillic", "cyrillic_g2")),
)
"""Languages, or the names of EasyOCR's lists of them, and the recogniser that reads them and English, in the order in which
`easyocr.Reader` chooses. English alone has one of its own; all else goes to the one for Latin script."""


class EasyOcr:
    """Readers for sets of languages, each loaded when first asked for; calls from several threads wait for each other."""

    def __init__(self, library: Any, config: EngineConfig, device: str) -> None:
        self.device = device
        self._library = library
        self._config = config
        self._folder = _folder(config)
        self._readers: dict[tuple[str, ...], Any] = {}
        self._lock = threading.Lock()

    def read(self, image: "NDArray[np.uint8]", languages: Sequence[str]) -> list[tuple[str, float, tuple[float, float, float, float]]]:
        """Return text, score and upright box (pixels) of each line on a BGR picture.

        Source: `easyocr.Reader.readtext`, with its own defaults.

        Raises:
            ToolRefusal: EasyOCR does not know a language, or cannot read these together.
            Unavailable: the weights for these languages are missing, are not the ones it expects, or memory is too short.
        """

        def work() -> Any:
            return self._reader(tuple(languages)).readtext(image)

        with self._lock, _warnings_off():
            found = retry_with_room(work, make_room=self._config.make_room, release=self._release)
        return [(text, float(score), _upright(corners)) for corners, text, score in found]

    def close(self) -> None:
        """Give the memory of all readers back."""
        with self._lock:
            self._readers.clear()
            self._release()

    def _release(self) -> None:
        if self.device.startswith("cuda"):
            self._library.easyocr.torch.cuda.empty_cache()

    def _reader(self, languages: tuple[str, ...]) -> Any:
        if languages not in self._readers:
            self._readers[languages] = self._open(languages)
        return self._readers[languages]

    def _open(self, languages: tuple[str, ...]) -> Any:
        if unknown := _unread_reason(languages):
            raise ToolRefusal(f"easyocr {unknown}.")
        before = list(sys.path)
        try:
            return self._library.Reader(
                list(languages),
                gpu=self.device != "cpu" and self.device,
                model_storage_directory=str(self._folder),
                # EasyOCR makes this folder if it is not there, and appends it to sys.path.
                user_network_directory=str(self._folder),
                download_enabled=False,
                verbose=False,
            )
        except FileNotFoundError as missing:
            raise Unavailable(f"EasyOCR cannot read {', '.join(languages)}: {missing}.", hint=_fetch(self._folder, languages)) from missing
        finally:
            sys.path[:] = before


class _warnings_off(warnings.catch_warnings):
    """Hush what EasyOCR's dependencies say about its own calls: nothing that who asks a question could change."""

    def __enter__(self) -> None:
        super().__enter__()
        warnings.filterwarnings("ignore", message=".*pin_memory.*")
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=FutureWarning)
        warnings.filterwarnings("ignore", message=".*non-contiguous chunk of memory.*")


def _upright(corners: Sequence[Sequence[float]]) -> tuple[float, float, float, float]:
    """Return the upright box `x, y, width, height` around four corners."""
    across, down = [float(x) for x, _ in corners], [float(y) for _, y in corners]
    return min(across), min(down), max(across) - min(across), max(down) - min(down)


# --- which languages ----------------------------------------------------------------------------------------------------


@cache
def _tables() -> Any:
    """Return EasyOCR's own tables, `easyocr.config`, without importing the package, and torch with it."""
    package = find_spec("easyocr")
    spec = spec_from_file_location("easyocr.config", Path(str(package and package.origin)).with_name("config.py"))
    tables = module_from_spec(spec)  # type: ignore[arg-type]
    with temporary_environment():  # it sets a variable
        spec.loader.exec_module(tables)  # type: ignore[union-attr]
    return tables


def _known() -> set[str]:
    """Return the languages that EasyOCR both lists and brings the characters of."""
    characters = Path(_tables().BASE_PATH) / "character"
    return {language for language in _tables().all_lang_list if (characters / f"{language}_char.txt").is_file()}


def _listed(script: str) -> set[str]:
    return set(getattr(_tables(), f"{script}_lang_list", [script]))


def _recogniser(languages: Sequence[str]) -> tuple[str, set[str]]:
    """Return the name of the recogniser that `easyocr.Reader` takes for these languages, and all languages it can read together."""
    if list(languages) == ["en"]:
        return "english_g2", {"en"}
    for script, name in _SCRIPTS:
        if (listed := _listed(script)) & set(languages):
            return name, listed | {"en"}
    return "latin_g2", _listed("latin")


def _unread_reason(languages: Sequence[str]) -> str:
    """Return why no recogniser reads these languages, or ""."""
    known = _known()
    if unknown := sorted(set(languages) - known):
        return f"does not know {', '.join(map(repr, unknown))}; it knows {', '.join(sorted(known))}"
    together = _recogniser(languages)[1]
    if apart := sorted(set(languages) - together):
        return f"cannot read {', '.join(apart)} together with {', '.join(sorted(set(languages) & together - {'en'}))}"
    return ""


def _file(recogniser: str) -> str:
    return str((_tables().recognition_models["gen1"] | _tables().recognition_models["gen2"])[recogniser]["filename"])


def unsupported_reason(config: EngineConfig, options: Mapping[str, Any]) -> str:
    """Tell why the languages of `options` cannot be read, as far as the files in the folder tell."""
    if find_spec("easyocr") is None:
        return "the package 'easyocr' is not installed"
    languages = sorted(set(options.get("languages") or ["en"]))
    if unread := _unread_reason(languages):
        return unread
    folder, file = _folder(config), _file(_recogniser(languages)[0])
    return "" if (folder / file).is_file() else f"the recogniser {file!r} for {', '.join(languages)} is not in {folder}"


# --- finding and loading ------------------------------------------------------------------------------------------------


def _folder(config: EngineConfig) -> Path:
    """Return the folder that must hold the weights: the one named, the weights folder's, or EasyOCR's own."""
    if config.weights is not None:
        return config.weights if config.weights.is_dir() else config.weights.parent
    candidates = [config.weights_dir / "easyocr"] if config.weights_dir else []
    return next((folder for folder in candidates if _missing_files(folder) == ""), config.caches.easyocr)


def _missing_files(folder: Path) -> str:
    """Return what is not in the folder, or "": the detector and a recogniser, whichever, must be there."""
    if not (folder / _DETECTOR).is_file():
        return repr(_DETECTOR)
    files = [_file(name) for name in ("english_g2", "latin_g2", *(name for _, name in _SCRIPTS))]
    return "" if any((folder / file).is_file() for file in files) else f"{files[0]!r} or another recogniser"


def _fetch(folder: Path, languages: Sequence[str] = ()) -> str:
    wanted = f"text={','.join(languages)}" if languages else "text"
    return f"analyzer-agent weights pull {wanted}, or unpack EasyOCR's model files into {folder}"


def find(config: EngineConfig) -> Availability:
    """Tell whether EasyOCR, its weights and a GPU are there; weights that the user names are used without a GPU too."""
    if find_spec("easyocr") is None:
        return Availability(missing="the package 'easyocr' is not installed", fix=install_extra(VISION), size=vision_size())
    folder, device = _folder(config), torch_device(config.device)
    absent = _missing_files(folder)
    if config.weights is None and device == "cpu":
        folder = config.weights_dir / "easyocr" if absent and config.weights_dir else folder
        first = "analyzer-agent weights pull text, then " if absent else ""
        return Availability(missing="EasyOCR needs a GPU", fix=f"to run it on the CPU all the same: {first}--weights text={folder}")
    if absent:
        return Availability(missing=f"EasyOCR's weights {absent} are not in {folder}", fix=_fetch(folder))
    # The sums that EasyOCR checks make the files the same wherever this version of it runs.
    return Availability(weights=f"craft_mlt_25k/easyocr-{version('easyocr')}", device=device)


def load(config: EngineConfig) -> EasyOcr:
    """Return the readers; weights load with the first frame of each set of languages.

    Raises:
        Unavailable: the package, the weights, a GPU or the device asked for are missing.
    """
    missing_input = find(config)
    if missing_input.missing:
        raise Unavailable(f"Reading text with EasyOCR: {missing_input.missing}.", hint=missing_input.fix)
    with _warnings_off():
        library = require("easyocr", VISION, "Reading text with EasyOCR")
    return EasyOcr(library, config, real_device(library.easyocr.torch, config.device, "Reading text with EasyOCR"))


ENGINE = EngineSpec(
    name="easyocr",
    tier=0,
    find=find,
    load=load,
    unsupported_reason=unsupported_reason,
    about="CRAFT and a recogniser per script, on a GPU; over 80 languages, those whose weights were put there",
)
