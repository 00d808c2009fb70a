"""Detection on a stream while it arrives: a source of events, the loop, an output of JSON Lines.

`sources.open_source` names the sources, `loop.run` is the loop; memory stays bounded however long it runs.
"""

from velocell.live.loop import Settings, Summary, run
from velocell.live.outputs import Output, open_output
from velocell.live.sources import Source, open_source

__all__ = ["Output", "Settings", "Source", "Summary", "open_output", "open_source", "run"]
