"""PySceneDetect: cut candidates, found by its own detectors on frames shrunk the way its `SceneManager` shrinks them.

Knows nothing of grains or of the minimum scene length, which is switched off here (`min_scene_len=0`) and applied on reading.
"""

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from analyzer_agent.errors import require
from analyzer_agent.installing import install_extra
from analyzer_agent.protocols import Availability, EngineConfig, EngineSpec, Pixels
from analyzer_agent.tools.engines import opencv

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_PURPOSE = "Finding scenes"
_MILLISECONDS = Fraction(1, 1000)


class PySceneDetectPass:
    """One pass over consecutive frames; `push` tells which of them start a new shot, some frames late.

    `before` and `after` say how many frames around a frame decide whether it starts a shot; `pixels` which pixels of each, None where
    it is not known that some of them suffice.
    """

    def __init__(self, scenedetect: Any, detector: str, size: tuple[int, int], rate: Fraction) -> None:
        self._library = scenedetect
        self._detector = _detector(scenedetect, detector)
        self._rate = rate
        # A score compares two frames, so a window of scores reaches one frame further back than forward.
        self.after: int = getattr(self._detector, "window_width", 0)
        self.before: int = self.after + 1
        self._size = _working_size(scenedetect, size)
        self._interpolation: int = scenedetect.SceneManager().interpolation.value
        self.pixels = _pixels(size, self._size, self._interpolation)

    def push(self, pts: int, image: "NDArray[np.uint8]") -> list[int]:
        """Take the next frame and return the times at which shots turn out to start.

        Times are ms on the presentation timeline; the image is BGR, whole or its `pixels` alone.
        """
        small = opencv.resize(image, self._size, self._interpolation)
        return [cut.pts for cut in self._detector.process_frame(self._timecode(pts), small)]

    def frame_number(self, elapsed: int) -> int:
        """Return the number of the frame `elapsed` ms after the first one, as PySceneDetect counts: time times average rate."""
        number: int = self._timecode(elapsed).frame_num
        return number

    def _timecode(self, ms: int) -> Any:
        common = self._library.common
        return common.FrameTimecode(common.Timecode(pts=ms, time_base=_MILLISECONDS), fps=self._rate)


class PySceneDetect:
    """PySceneDetect, loaded."""

    detectors: Sequence[str] = ("adaptive", "content")

    def __init__(self) -> None:
        self._library = require("scenedetect", "", _PURPOSE)

    def finder(self, detector: str, size: tuple[int, int], rate: Fraction) -> PySceneDetectPass:
        """Return a fresh pass with the named detector for pictures of `size` (width, height) at `rate` frames per second."""
        return PySceneDetectPass(self._library, detector, size, rate)


def _detector(scenedetect: Any, name: str) -> Any:
    """Return PySceneDetect's detector with its own thresholds, every candidate let through."""
    kinds = {"adaptive": scenedetect.AdaptiveDetector, "content": scenedetect.ContentDetector}
    return kinds[name](min_scene_len=0)


def _working_size(scenedetect: Any, size: tuple[int, int]) -> tuple[int, int]:
    """Return the width and height that frames are shrunk to, as in `SceneManager._decode_thread` with `auto_downscale`."""
    factor = scenedetect.scene_manager.compute_downscale_factor(max(size))
    return size if factor <= 1 else (max(1, round(size[0] / factor)), max(1, round(size[1] / factor)))


@lru_cache(maxsize=32)
def _pixels(size: tuple[int, int], small: tuple[int, int], interpolation: int) -> Pixels | None:
    """Return pixels of a picture from which alone its small picture comes out the same; None where they are most of it, or unknown.

    That the pictures are the same is tried out on noise, for how OpenCV rounds may change with its version and the processor.
    """
    import numpy as np

    rows = _source_pixels(size[1], small[1])
    # To pick out columns costs more than it saves, unless few are left.
    pixels = Pixels(_source_pixels(size[0], small[0]) if size[0] % small[0] == 0 else tuple(range(size[0])), rows)
    if 2 * len(pixels.columns) * len(rows) > size[0] * size[1]:
        return None
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    alone = np.ascontiguousarray(noise[np.ix_(rows, pixels.columns)])
    same = np.array_equal(opencv.resize(alone, small, interpolation), opencv.resize(noise, small, interpolation))
    return pixels if same else None


def _source_pixels(length: int, small: int) -> tuple[int, ...]:
    """Return which pixels of a line of `length` linear interpolation can do with when it makes `small` ones of them.

    Of f = length / small pixels it blends the two in the middle (where f is odd, it takes the middle one). With k pixels fewer to either
    side of them everything lies as before, for the middle of f - 2k pixels falls between two of them in the same way.
    """
    factor = Fraction(length, small)
    fewer = max(0, int((factor - (1 if factor.denominator == 1 else 3)) // 2))
    left = factor - 2 * fewer
    return tuple(at + fewer * (2 * min(small - 1, int(at // left)) + 1) for at in range(length - 2 * fewer * small))


def _find(config: EngineConfig) -> Availability:
    missing = [name for name in ("scenedetect", "cv2") if find_spec(name) is None]
    if missing:
        return Availability(missing=f"{_PURPOSE} needs {missing[0]!r}, which is not installed.", fix=install_extra())
    return Availability()


def _load(config: EngineConfig) -> PySceneDetect:
    return PySceneDetect()


ENGINE = EngineSpec(name="pyscenedetect", tier=0, find=_find, load=_load, about="PySceneDetect's own detectors, on the CPU")
