"""What all tests share."""

import os
import sys

# Each process that a test starts would compile all of Velocell anew, which takes as long as the rest of its start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Where other work waits for the same cores, threads that wait for each other by spinning take minutes for what one does
# in seconds. Tests of several threads ask for them.
for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VELOCELL_THREADS"):
    os.environ.setdefault(threads, "1")
