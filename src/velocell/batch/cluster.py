"""The workers: processes of this machine, or a Dask cluster that is there already."""

from __future__ import annotations

import importlib.util
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from velocell.batch.task import leave_interruptions, probe
from velocell.data.extras import install_line
from velocell.data.meta import version
from velocell.errors import OptionError, VelocellError

PATIENCE_S = 10
_LONGEST_GREETING = 1 << 20
_NEEDED = ("distributed", "pyarrow", "fsspec")


def require_cluster() -> None:
    """Raise VelocellError where the extra is not installed."""
    for name in _NEEDED:
        if importlib.util.find_spec(name) is None:
            raise VelocellError(f"velocell batch needs {name}; install it with: {install_line('cluster')}")


@contextmanager
def client_for(scheduler: str | None, workers: int | None, scratch: Path) -> Iterator[Any]:
    """A `distributed.Client` of the scheduler at an address, or of `workers` processes here (None: one per core).

    scratch: folder for what Dask puts on the disk for workers here. Raises OptionError where no scheduler answers.
    """
    client = connect(scheduler, workers, scratch)
    try:
        yield client
    finally:
        cluster = client.cluster
        client.close()
        if cluster is not None:
            cluster.close()


def connect(scheduler: str | None, workers: int | None, scratch: Path) -> Any:
    """The same client, for its user to close."""
    require_cluster()
    import dask
    import distributed

    # What matters is said by us, in one sentence; these tell every lost connection in ten lines.
    for name in ("distributed", "tornado.application", "bokeh"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if scheduler is not None:
        if workers is not None:
            raise OptionError("--workers is for this machine; the workers of --scheduler are started with it")
        try:
            _check_answer(scheduler)
            return _closing(distributed.Client)(scheduler, timeout=PATIENCE_S)
        except (OSError, ValueError, TimeoutError):
            raise OptionError(
                f"no Dask scheduler answers at {scheduler} within {PATIENCE_S} s; check the address, or start one "
                "with: dask scheduler"
            ) from None
    # A recording takes down its own process only; where a worker is lost, others take up its work.
    # Its profiler and its ticks would take a tenth of a core in each process.
    dask.config.set(
        {
            "distributed.scheduler.allowed-failures": 10,
            "distributed.worker.profile.enabled": False,
            "distributed.admin.tick.interval": "1s",
            "distributed.admin.system-monitor.interval": "2s",
        }
    )
    scratch.mkdir(parents=True, exist_ok=True)
    with dask.config.set({"temporary-directory": str(scratch)}):
        cluster = distributed.LocalCluster(
            n_workers=workers or cores(),
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            memory_limit=0,
            scheduler_kwargs={"dashboard": False},
            silence_logs=logging.CRITICAL,
        )
    cluster.sync(dashboard_on_demand, cluster.scheduler)
    client = distributed.Client(cluster)
    client.run(leave_interruptions)
    return client


def _closing(client: type[Any]) -> type[Any]:
    """A client that closes itself where it cannot start. Left to the garbage collector it can stop the process for
    ever: collected while Dask starts a loop, it waits for the lock that this start holds."""

    class Closing(client):  # type: ignore[misc]
        def start(self, **options: Any) -> None:
            try:
                super().start(**options)
            except BaseException:
                self.close()
                raise

    return Closing


def _check_answer(scheduler: str) -> None:
    """A Dask scheduler speaks first: a message of some hundred bytes, its length before it. For anything else that
    takes the connection, Dask's client would wait for ever. Raises OSError."""
    parts = urlsplit(scheduler)
    if parts.scheme != "tcp" or parts.hostname is None or parts.port is None:
        return
    with socket.create_connection((parts.hostname, parts.port), PATIENCE_S) as connection:
        length = b""
        while len(length) < 8:
            more = connection.recv(8 - len(length))
            if not more:
                raise ConnectionError
            length += more
    if int.from_bytes(length, "little") > _LONGEST_GREETING:
        raise ConnectionError


async def dashboard_on_demand(scheduler: Any) -> None:
    """Of a scheduler without a dashboard: Bokeh is loaded once somebody looks, since that takes as long as a recording
    of a few seconds."""
    from tornado import web

    pages = scheduler.http_application

    class Dashboard(web.RequestHandler):
        def get(self) -> None:
            if asked in pages.applications:
                pages.applications.remove(asked)
                from distributed.dashboard.scheduler import connect as connect_pages

                connect_pages(pages, scheduler.http_server, scheduler)
            self.redirect(self.request.uri or "/")

    asked = web.Application([(r"/.*", Dashboard)])
    pages.add_application(asked)


def cores() -> int:
    """How many this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def check_workers(client: Any, folder: str) -> None:
    """Raise OptionError where a worker runs another version, or does not see the output folder. A cluster whose workers
    come later has none to check; each recording checks the version again."""
    try:
        found = client.run(probe, folder)
    except Exception as error:  # whatever a worker raised that cannot even load this module
        raise OptionError(
            f"the workers cannot run Velocell ({type(error).__name__}: {' '.join(str(error).split())[:120]}); "
            f"install Velocell {version()} on each"
        ) from None
    for worker, state in sorted(found.items()):
        if state["velocell"] != version():
            raise OptionError(
                f"the worker {worker} runs Velocell {state['velocell']}, and this is {version()}; install the same one"
            )
        if not state["sees"]:
            raise OptionError(
                f"the worker {worker} on {state['host']} does not see the folder {folder}; put it where all machines do"
            )
