"""Optional capabilities of a `Video`: one decoding pass for several readers, parallel decoding.

`media` implements them; a video without them is read directly.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from analyzer_agent.protocols import Video


class SharedDecodeView(Video, Protocol):
    """A view of a video for one of several readers."""

    def close(self) -> None:
        """Stop reading from this view; the other views are not affected."""


@runtime_checkable
class SupportsSharedDecoding(Protocol):
    """A video that can serve several readers of frames from one decoding pass."""

    def shared_views(self, count: int) -> Sequence[SharedDecodeView]:
        """Return `count` views that share one decoding pass for overlapping requests.

        Each view is for one thread. The pass begins when every view has requested frames or is
        closed.
        """


@runtime_checkable
class SupportsParallelDecoding(Protocol):
    """A video whose parts can be decoded in parallel."""

    def parallel_views(self, parts: int) -> Sequence[SharedDecodeView]:
        """Return at most `parts` views for parallel dense reading; none if that is not faster.

        Each view is for one thread at a time; the caller closes it.
        """
