"""The command line. `main` is the entry point; the commands themselves are in the files beside it."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys


def main() -> None:
    """Run the command in sys.argv and exit: 0 success, 1 wrong data or values, 2 usage, 130 interrupted."""
    # A service is stopped by SIGTERM; it should clean up as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # A terminal of another encoding gets names that it cannot show written out.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = _run()
    except KeyboardInterrupt:
        code = 130
        # A reader that has stalled must not hold up the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    try:
        sys.stdout.flush()
    except OSError as error:
        # Python flushes once more at exit, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if code == 0:
            code = _failed(error)
    sys.exit(code)


def _run() -> int:
    from velocell.cli.app import app

    try:
        app(prog_name="velocell")
    except SystemExit as stop:
        return int(stop.code or 0)
    except Exception as error:
        # The commands guard themselves; this is for what runs outside of them, such as --help.
        return _failed(error)
    return 0


def _failed(error: Exception) -> int:
    from velocell.cli.guard import tell

    # A reader that has seen enough, such as `head`, is not an error.
    if not (isinstance(error, OSError) and error.errno == errno.EPIPE):
        tell(error)
    return 1
