"""Voice: when anybody speaks, without the words.

The probability of voice depends only on the track: it is computed in blocks on a fixed grid, each
after a fixed lead-in, so both sides of a grain's edge see the same values.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from analyzer_agent.protocols import Analyzer, Engine, Grain, Spec, Video
from analyzer_agent.records import JSON, Observation
from analyzer_agent.timeline import TimeRange, merge
from analyzer_agent.tools.audio_tracks import TRACK_OPTION, check_track, mix_input, option_number, settle_track
from analyzer_agent.tools.support.audio_chunks import SAMPLE_RATE

WINDOW_MS = 32
"""Length of a detector window, in ms: one probability each."""

BLOCK_MS = 900 * WINDOW_MS
"""Length of a block, in ms."""

RUN_UP_MS = 150 * WINDOW_MS
"""Lead-in before a block, in ms, after which the detector's recurrent state has settled."""

MAX_BRIDGED_GAP_MS = 500
"""Shorter pauses within a voice are bridged, in ms."""

MIN_VOICE_MS = 100
"""Shorter voices are clicks and are dropped, in ms."""

THRESHOLD = 0.5


class VoiceDetector(Protocol):
    """Interface of a voice activity detection engine; equal input gives equal output."""

    def probabilities(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probability of voice for each 32 ms window, the last one padded.

        Args:
            samples: float32[n], mono, 16 kHz. The state carries over from window to window.

        Returns:
            float32[ceil(n / 512)], 0 to 1.
        """


class Voice(Analyzer):
    """Detect voice on one audio track with the engine's `probabilities`."""

    version = "2"

    def __init__(self, options: Mapping[str, Any], engine: Engine) -> None:
        self.engine = engine.name
        self._track = option_number(options)
        self.params: Mapping[str, JSON] = {"track": self._track}
        self.lane = "" if self._track == 1 else f"track {self._track}"
        self._engine = engine

    def analyze(self, video: Video, grains: Sequence[Grain]) -> Iterator[tuple[Grain, Sequence[Observation]]]:
        """Yield the voices of each grain, clipped to it.

        Raises:
            ToolRefusal: the track does not exist.
        """
        check_track(video, self._track)
        known: dict[int, NDArray[np.float32]] = {}
        for grain in grains:
            # A pause or click at the edge depends on MAX_BRIDGED_GAP_MS + MIN_VOICE_MS beyond it.
            reach = TimeRange(
                max(grain.span.start - 2 * MAX_BRIDGED_GAP_MS, 0), min(grain.span.end + 2 * MAX_BRIDGED_GAP_MS, video.duration)
            )
            blocks = range(reach.start // BLOCK_MS, -(-reach.end // BLOCK_MS))
            known = {at: known[at] if at in known else self._block(video, at) for at in blocks}
            yield grain, self._pieces(known, reach, grain.span)

    def inputs(self, video: Video) -> Mapping[str, JSON]:
        """Return how the channels are mixed, unless it is the plain mean."""
        return mix_input(video, self._track)

    def _block(self, video: Video, at: int) -> NDArray[np.float32]:
        begin, end = at * BLOCK_MS, min((at + 1) * BLOCK_MS, video.duration)
        lead = max(begin - RUN_UP_MS, 0)
        samples = video.audio(TimeRange(lead, end), SAMPLE_RATE, self._track)
        detector: VoiceDetector = self._engine.get()
        return detector.probabilities(samples)[(begin - lead) // WINDOW_MS :]

    def _pieces(self, blocks: Mapping[int, NDArray[np.float32]], reach: TimeRange, grain: TimeRange) -> list[Observation]:
        first = min(blocks) * BLOCK_MS // WINDOW_MS
        probs = np.concatenate([blocks[at] for at in sorted(blocks)])
        low, high = reach.start // WINDOW_MS, -(-reach.end // WINDOW_MS)
        found = []
        for voice in _voices(probs[low - first : high - first] >= THRESHOLD, low):
            if piece := voice.within(grain):
                score = float(probs[piece.start // WINDOW_MS - first : -(-piece.end // WINDOW_MS) - first].mean())
                detail: dict[str, JSON] = {"track": self._track}
                detail |= {"continues": True} if voice.start < grain.start else {}
                found.append(Observation(piece, "voice", "voice", round(score, 3), detail))
        return found


def _voices(voiced: NDArray[np.bool_], begin: int) -> list[TimeRange]:
    """Return the voices among windows, of which the first has the number `begin`.

    Pauses shorter than `MAX_BRIDGED_GAP_MS` are bridged, then voices shorter than `MIN_VOICE_MS`
    are dropped.
    """
    steps = np.diff(np.concatenate(([0], voiced.astype(np.int8), [0])))
    starts, ends = (np.flatnonzero(steps == way) + begin for way in (1, -1))
    pieces = (TimeRange(start * WINDOW_MS, end * WINDOW_MS) for start, end in zip(starts.tolist(), ends.tolist(), strict=True))
    return [voice for voice in merge(pieces, MAX_BRIDGED_GAP_MS - 1) if voice.length >= MIN_VOICE_MS]


SPEC = Spec(
    name="voice",
    tool="find_voice",
    description="Find when somebody speaks, without the words. Cheap.",
    grain=60_000,
    factory=Voice,
    needs_engine=True,
    kinds=("voice",),
    options_schema={"track": TRACK_OPTION},
    context=BLOCK_MS + RUN_UP_MS + 2 * MAX_BRIDGED_GAP_MS,
    needs="audio",
    settle=settle_track,
)
