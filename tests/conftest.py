"""What all tests share."""

import os
import sys
import threading

# Each process that a test starts would compile all of Velocell anew, which takes as long as the rest of its start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Where other work waits for the same cores, threads that wait for each other by spinning take minutes for what one does
# in seconds. Tests of several threads ask for them.
for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VELOCELL_THREADS"):
    os.environ.setdefault(threads, "1")

from hypothesis import HealthCheck, settings  # noqa: E402

# No example is judged by its time, which on a busy machine says nothing; files of one folder are written over.
PATIENT = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
settings.register_profile("patient", deadline=None, suppress_health_check=PATIENT)
settings.load_profile("patient")

from velocell.data import apart  # noqa: E402 (NumPy reads the lines above)


def _may_fork() -> bool:
    """Dask leaves a thread that only waits; a copy of the process is safe beside it, and far faster than a new one."""
    others = [thread for thread in threading.enumerate() if not thread.name.startswith("Dask-Offload")]
    return sys.platform == "linux" and len(others) == 1


apart._may_fork = _may_fork
