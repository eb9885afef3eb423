"""What a video may offer beside `Video`: one pass for several readers, several passes for one.

Knows nothing of how either is done; an analyzer that meets a video without them reads it as it is.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from analyzer_agent.protocols import Video


class SharedDecodeView(Video, Protocol):
    """A view of a video for one reader among several."""

    def close(self) -> None:
        """Tell that it is not read any more."""
        ...


@runtime_checkable
class SupportsSharedDecoding(Protocol):
    """A video that can feed several readers of its picture from one decoding pass."""

    def shared_views(self, count: int) -> Sequence[SharedDecodeView]:
        """Return views of it whose frames come from one pass where they want them at the same time.

        Each is for one thread; the pass begins when all have asked for frames or are closed. Closing one closes it alone.
        """
        ...


@runtime_checkable
class SupportsParallelDecoding(Protocol):
    """A video of which several parts can be decoded at the same time."""

    def parallel_views(self, parts: int) -> Sequence[SharedDecodeView]:
        """Return views for dense reading, each for one thread at a time, to be closed; none where it is better read in one go."""
        ...
