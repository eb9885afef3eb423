"""`ChatModel` and `Vision`: the models that manage analyzers and describe images."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from analyzer_agent.records import TokenUsage, ToolCall

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Vision(Protocol):
    """A model that answers questions about images.

    To count among the costs of a question, and to stay within its limits, it makes each request
    inside `metering.room_for_call()` and gives `metering.count_call` the tokens that it used.
    """

    model: str

    def describe(self, images: Sequence["NDArray[np.uint8]"], prompt: str, labels: Sequence[str] = ()) -> str:
        """Answer `prompt` about `images` (H x W x 3, uint8, RGB), each preceded by its label."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A model's reply.

    `state` is opaque (reasoning items) and is sent back with its calls. `notices` are warnings for
    the user about the server, each told once. `prompt_cut` tells that the server did not read the
    whole prompt.
    """

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    usage: TokenUsage = TokenUsage()
    state: Any = None
    notices: tuple[str, ...] = ()
    prompt_cut: bool = False


class ChatModel(Protocol):
    """A language model that can call tools. Messages and tools have the Chat Completions format.

    An assistant message may carry `state`, the `Reply.state` it came with; adapters that do not
    recognise it must ignore it.

    A model that sets `reports_progress = True` takes one more argument, `on_progress`, which it
    calls with the tokens so far while it writes what is not shown.

    A model that sets `reads_records = True` finds what the messages say as data, too: a
    `records.QuestionRecord` as `record` of the system message. No other model is sent one.
    """

    manager: str
    model: str

    def complete(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]],
        on_text: Callable[[str], None] | None = None,
        timeout: float | None = None,
        cancel: threading.Event | None = None,
        must_call: bool | str = False,
    ) -> Reply:
        """Return the next reply within `timeout` s; stream its text to `on_text`.

        `must_call` requires a tool call, or one of the tool that it names, if the model supports that.

        Raises:
            AgentError: the model cannot be reached or refuses; the hint says what to change.
            Cancelled: `cancel` was set.
        """
