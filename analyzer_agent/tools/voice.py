"""Voice: when anybody speaks, without the words."""

from analyzer_agent.protocols import Spec
from analyzer_agent.tools.audio_tracks import TRACK_OPTION, settle_track
from analyzer_agent.tools.support.stretches import Blocks, Class, StretchAnalyzer


class Voice(StretchAnalyzer):
    """Detect voice on one audio track."""

    version = "2"
    kind = "voice"
    classes = (Class("voice", 0.5),)
    blocks = Blocks(window=32, length=900 * 32, lead=150 * 32)


SPEC = Spec(
    name="voice",
    tool="find_voice",
    description="Find when somebody speaks, without the words. Cheap.",
    grain=60_000,
    factory=Voice,
    needs_engine=True,
    kinds=("voice",),
    options_schema={"track": TRACK_OPTION},
    context=Voice.blocks.context,
    needs="audio",
    settle=settle_track,
)
