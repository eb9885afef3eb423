"""A store with a million random notes, as from analyzing about a hundred hours of video.

Words follow Zipf's law; "the" is in most sentences and "person" in every second note.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, product

from analyzer_agent.records import JSON, Observation, Provenance
from analyzer_agent.storage import Store
from analyzer_agent.timeline import TimeRange, grid_step

HOUR = 3_600_000
_BEGINNINGS = ("ba", "ce", "di", "fo", "gu", "ha", "ki", "la", "me", "ni", "po", "ru", "sa", "te", "vi", "wo", "za", "chi", "sto", "bri")
_ENDINGS = ("", "s", "ed", "ing", "er", "a", "o", "um", "ly", "ist", "in", "or")
_THINGS = ("car", "chair", "dog", "cup", "bottle", "bus", "bird", "book", "boat", "horse", "tie")

WORDS = ("the", "a", "and", "of", "to", *(f"{a}{b}n{c}" for c, a, b in product(_ENDINGS, _BEGINNINGS, _BEGINNINGS)))
"""All words, the most frequent first."""

_FREQUENT = list(accumulate(1 / (n + 1) for n in range(len(WORDS))))


class Layer:
    """The notes of one engine.

    They are of one kind, in grains of `grain` seconds, `every` seconds long and sampled every
    `step` seconds (0: not sampled).
    """

    def __init__(self, kind: str, grain: int, step: int, every: float, tier: int = 0) -> None:
        self.kind, self.grain, self.step, self.every = kind, grain * 1000, grid_step(step) if step else 0, every
        self.provenance = Provenance(f"{kind}:{tier}", kind, "1", f"engine{tier}", tier, "", "", {"detector": "content"}, tier > 0)

    def grains(self, chance: random.Random, span: TimeRange) -> Iterator[tuple[TimeRange, list[Observation]]]:
        """Yield each grain with its observations."""
        length = round(self.every * 1000)
        for grain in span.grains(self.grain, span.end):
            pieces = (TimeRange(at, min(at + length, grain.end)) for at in range(grain.start, grain.end, length))
            yield grain, [self._observed(chance, piece, grain, text) for piece in pieces for text in self._texts(chance)]

    def _observed(self, chance: random.Random, span: TimeRange, grain: TimeRange, text: str) -> Observation:
        detail: dict[str, JSON] = {}
        if self.kind == "speech":
            words: JSON = [[span.start + 300 * n, span.start + 300 * n + 250, word, 0.9] for n, word in enumerate(text.split())]
            detail = {"words": words, "language": "en"}
        elif self.kind in ("object", "text"):
            detail = {"pts": span.start, "boxes": [[0.1, 0.25, 0.3, 0.5]]}
        elif self.kind == "scene":
            first = {"continues": True} if span.start == grain.start else {"cut": True, "pts": span.start, "frame": span.start // 40}
            detail = {**first, "rate": "25", "until": span.end - 40}
        return Observation(span, self.kind, text, round(chance.random(), 3), detail)

    def _texts(self, chance: random.Random) -> list[str]:
        if self.kind == "object":
            seen = ((chance.randint(1, 5), "person"), (1, chance.choice(_THINGS)))
            return [f"{n} {thing}" for n, thing in seen if chance.random() < 0.7]
        if self.kind in ("voice", "motion", "scene"):
            return [{"voice": "voice", "motion": "movement", "scene": "shot"}[self.kind]]
        said = sentence(chance, {"speech": 9, "text": 3, "caption": 8, "tag": 1}[self.kind])
        return [f"a person {said}" if self.kind == "caption" else said]


LAYERS = (
    *(Layer("speech", 120, 0, 4), Layer("speech", 120, 0, 30, tier=1), Layer("text", 8, 2, 2), Layer("object", 8, 1, 1)),
    *(Layer("tag", 8, 8, 4), Layer("caption", 8, 8, 8), Layer("voice", 60, 0, 12), Layer("motion", 60, 0, 10), Layer("scene", 60, 0, 7)),
)
"""The engines; the second one for speech is of a weaker tier, so its notes are hidden when read."""


def sentence(chance: random.Random, words: int) -> str:
    """Return a sentence of `words` words, drawn by frequency."""
    return " ".join(chance.choices(WORDS, cum_weights=_FREQUENT, k=words))


def fill(store: Store, videos: Sequence[str], hours: int) -> int:
    """Commit the notes of all engines for `hours` hours of each video; return their number."""
    chance, notes = random.Random(7), 0
    for layer in LAYERS:
        store.notes.add_provenance(layer.provenance)
    for video in videos:
        store.notes.add_video(video, f"{video}.mp4", f"/{video}.mp4", hours * HOUR)
        for hour in range(hours):
            for layer in LAYERS:
                notes += commit(store, video, layer, layer.grains(chance, TimeRange(hour * HOUR, (hour + 1) * HOUR)))
    return notes


def commit(store: Store, video: str, layer: Layer, grains: Iterable[tuple[TimeRange, Sequence[Observation]]]) -> int:
    """Claim and commit grains as `evidence.gather` does; return the number of notes."""
    found, key = list(grains), layer.provenance.key
    store.ledger.claim(video, key, [span for span, _ in found])
    for span, notes in found:
        instants = range(span.start, span.end, layer.step) if layer.step else ()
        store.ledger.commit(video, key, span, layer.step, instants, notes, 1)
    return sum(len(notes) for _, notes in found)
