"""Mix the channels of a track to mono so that a voice on any of them is heard.

Layouts are not trusted: a recorder's fourth channel is labelled as a subwoofer. What the channels
hold decides, second by second of the timeline, so the mix does not depend on the requested range:

- The mix is as loud as the loudest channel: a voice on one of six is not 15 dB quieter.
- Channels far below the loudest one are turned down further, or the noise of many would add up.
- Channels of opposite phase are subtracted at half their level. Neither a voice that they share
  nor one that is the same on both cancels.
- Ordinary stereo stays the plain mean.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from av.audio.frame import AudioFrame
    from numpy.typing import NDArray

OPPOSITE = -0.5
"""Channels with a lower correlation coefficient are opposite: their sum is quieter than either."""

_KNEE = 4.0
"""Channels more than this factor (12 dB) below the loudest one are turned down."""

_SIDE = 0.5**0.5
"""Weight of the other channels where one is the centre, which has the dialogue."""

_RAMP_S = 0.02
"""Duration of the transition from one second's weights to the next, in seconds."""

_MEASURED_HZ = 8000
"""Rate at which channels are compared: what is above and far below a voice does not count."""


class Piece(NamedTuple):
    """Consecutive samples: float32[channels, n], the first at `place`; `centre` is a channel, or -1."""

    place: int
    samples: "NDArray[np.float32]"
    centre: int = -1


def by_channel(frame: "AudioFrame") -> "NDArray[np.float32]":
    """Return float32[channels, n], -1..1, for every layout, also those without a name."""
    import numpy as np

    values = frame.to_ndarray()
    if not frame.format.is_planar:
        values = values.reshape(-1, frame.layout.nb_channels).T
    if values.dtype.kind == "f":
        values = values.astype(np.float32, copy=False)
        return values if np.isfinite(values.sum()) else np.nan_to_num(values, nan=0, posinf=1, neginf=-1)
    half = np.float32(1 << (8 * values.dtype.itemsize - 1))
    signed = values.astype(np.float32) - (half if values.dtype.kind == "u" else 0)
    return np.asarray(signed / half, np.float32)


def mixed(pieces: Iterable[Piece], rate: int) -> "Iterator[tuple[int, NDArray[np.float32]]]":
    """Yield (position, float32[n]): the mono mix, in parts that end at whole seconds.

    Weights depend on whole seconds and start with a transition from the second before, so the mix
    is exact from the second whole second of `pieces` on.

    Args:
        pieces: in order; positions are samples since 0 s.
        rate: samples per second.
    """
    import numpy as np

    before: NDArray[np.float32] | None = None
    reached = -1
    for part in _by_second(pieces, rate):
        channels = len(part.samples)
        if channels == 1:
            before = None
            yield part.place, np.clip(part.samples[0], -1, 1)
            continue
        weights = channel_weights(part.samples, part.centre, rate)
        mono = weights @ part.samples
        if before is not None and part.place == reached and len(before) == channels and not np.array_equal(before, weights):
            ramp = min(round(_RAMP_S * rate), len(mono))
            share = np.linspace(1, 0, ramp, endpoint=False, dtype=np.float32)
            mono[:ramp] += share * ((before - weights) @ part.samples[:, :ramp])
        before, reached = weights, part.place + len(mono)
        yield part.place, np.clip(mono, -1, 1)


def _by_second(pieces: Iterable[Piece], rate: int) -> Iterator[Piece]:
    """Join and cut pieces, so that each holds what one second of the timeline has of one kind."""
    import numpy as np

    held: list[Piece] = []
    for piece in pieces:
        rest = piece
        while rest.samples.shape[1]:
            if held and (_end(held) != rest.place or _end(held) % rate == 0 or not _alike(held[0], rest)):
                yield Piece(held[0].place, np.concatenate([one.samples for one in held], axis=1), held[0].centre)
                held = []
            room = rate - rest.place % rate
            held.append(rest._replace(samples=rest.samples[:, :room]))
            rest = rest._replace(place=rest.place + room, samples=rest.samples[:, room:])
    if held:
        yield Piece(held[0].place, np.concatenate([one.samples for one in held], axis=1), held[0].centre)


def _end(held: Sequence[Piece]) -> int:
    return held[-1].place + int(held[-1].samples.shape[1])


def _alike(one: Piece, other: Piece) -> bool:
    return len(one.samples) == len(other.samples) and one.centre == other.centre


def channel_weights(samples: "NDArray[np.float32]", centre: int, rate: int) -> "NDArray[np.float32]":
    """Return the weight of each channel in the mix.

    Args:
        samples: float32[channels, n].
        centre: the channel with the dialogue, or -1.
        rate: samples per second.

    Returns:
        float32[channels]; negative for channels of opposite phase.
    """
    import numpy as np

    channels = len(samples)
    usual = np.full(channels, 1 / channels, np.float32)
    products = _products(samples, rate)
    power = products.diagonal()
    loudest = float(power.max(initial=0))
    if loudest <= 0:
        return usual
    opposite = _opposite(products)
    if channels == 2 and not opposite.any():
        return usual
    weights = np.minimum(1, _KNEE * np.sqrt(power / loudest))
    weights *= np.where((np.arange(channels) == centre) | (centre < 0), 1, _SIDE)
    weights *= np.where(opposite, -0.5, 1)
    total = float(weights @ products @ weights)
    return (weights * np.sqrt(loudest / total)).astype(np.float32) if total > 0 else usual


def cancels(pieces: Iterable[Piece], rate: int, start: int) -> bool:
    """Return whether channels cancel in their plain mean in a whole second from `start` s on."""
    parts = (part for part in _by_second(pieces, rate) if part.place >= start * rate)
    return any(_opposite(_products(part.samples, rate)).any() for part in parts)


def _products(samples: "NDArray[np.float32]", rate: int) -> "NDArray[np.float64]":
    """Return the products of the channels with each other, in the band of a voice."""
    import numpy as np

    step = max(1, rate // _MEASURED_HZ)
    count = samples.shape[1] // step
    # The mean of neighbours takes away what is above a voice, the difference rumble and hum.
    means = samples[:, : count * step].reshape(len(samples), count, step) @ np.full(step, 1 / step, np.float32)
    band = np.diff(means, axis=1)
    return np.asarray(band @ band.T, np.float64)


def _opposite(products: "NDArray[np.float64]") -> "NDArray[np.bool_]":
    """Divide the channels into two groups, so that none cancels another one of its group."""
    import numpy as np

    size = np.sqrt(products.diagonal())
    likeness = products / np.maximum(np.outer(size, size), np.finfo(np.float64).tiny)
    groups: tuple[list[int], list[int]] = [], []
    for channel in np.argsort(-size, kind="stable").tolist():
        same, other = (float(likeness[channel, group].min(initial=1)) for group in groups)
        groups[1 if same < OPPOSITE and other > same else 0].append(channel)
    found = np.zeros(len(size), np.bool_)
    found[groups[1]] = True
    return found
