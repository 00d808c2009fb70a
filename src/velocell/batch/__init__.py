"""Many recordings at once: inputs, an output folder that resumes, and the workers of a Dask cluster.

inputs.py finds recordings, folder.py keeps what is done, cluster.py has the workers, task.py runs one recording in a
process of its own, run.py puts them together. What runs there is the command line's `detect`, so results are its own.
cut.py cuts a long recording in parts and puts together what they found, stitch.py has the ids over the cuts.
"""

from velocell.batch.outcome import Outcome
from velocell.batch.run import Batch, batch

__all__ = ["Batch", "Outcome", "batch"]
