"""The page of `velocell view` while other programs of the machine open slow connections and send garbage.

    python -m benchmarks.viewer_boundary [--connections 1000]

Prints how long the owner waits for a picture before and meanwhile, and how much the program logged.
"""

from __future__ import annotations

import argparse
import json
import resource
import socket
import subprocess
import sys
import time
from contextlib import ExitStack

from websockets.sync.client import connect


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=1000)
    wanted = parser.parse_args().connections
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4 * wanted + 1000), hard))
    command = [
        sys.executable,
        "-c",
        "from velocell.cli import main; main()",
        "view",
        "demo",
        "--no-browser",
        "--port",
        "0",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as program:
        assert program.stderr is not None
        try:
            address = program.stderr.readline().decode().split(" at ")[1].split()[0]
            port, token = int(address.split(":")[2].split("/")[0]), address.split("token=")[1]
            print(f"alone:      a picture after {picture_s(port, token):.3f} s")
            with ExitStack() as stack:
                for k in range(wanted):
                    slow = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
                    slow.sendall((b"", b"GET / HTTP/1.1\r\nHost: x", b"\x16\x03garbage\r\n\r\n")[k % 3])
                waits = [picture_s(port, token) for _ in range(10)]
                print(f"meanwhile:  a picture after {max(waits):.3f} s at most, of 10; {wanted} slow connections")
        finally:
            program.terminate()
            logged = program.stderr.read()
            print(f"logged:     {len(logged)} bytes")


def picture_s(port: int, token: str) -> float:
    """Seconds until a new page has its first picture."""
    begun = time.perf_counter()
    with connect(f"ws://127.0.0.1:{port}/ws?token={token}", max_size=None, compression=None) as page:
        while isinstance(message := page.recv(timeout=30), bytes) or json.loads(message)["kind"] != "state":
            pass
        page.send(json.dumps({"do": "picture"}))
        while not isinstance(page.recv(timeout=30), bytes):
            pass
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
