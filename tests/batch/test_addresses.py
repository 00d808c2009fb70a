"""Recordings at addresses: an S3 server on loopback, behind a connection that breaks off."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

import pytest

from velocell.batch import fetch, folder
from velocell.batch.inputs import find_inputs
from velocell.batch.run import Batch
from velocell.cli.child import answer
from velocell.errors import OptionError, RecordingError
from velocell.formats import write_npz
from velocell.simulate import notebook_scene, simulate

boto3 = pytest.importorskip("boto3")
pytest.importorskip("s3fs")
pytest.importorskip("pyarrow")
threaded = pytest.importorskip("moto.server")
# The servers' own sockets are closed by their threads, after the test.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
OPTIONS = {"bands": "16,62,177,500"}


class Breaking:
    """A TCP connection to a server that breaks off after `after` bytes of an answer, `times` times."""

    def __init__(self, port, after):
        self._to, self._after, self.times, self.broken = port, after, 0, 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._to))
            threading.Thread(target=self._pass, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, True), daemon=True).start()

    def _pass(self, source, target, answers):
        passed = 0
        try:
            while data := source.recv(4096):
                passed += len(data)
                if answers and passed > self._after and self.broken < self.times:
                    self.broken += 1
                    break
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def close(self):
        self._socket.close()


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    """s3://data/day/a.npz, c.npz (damaged) and notes.txt; gives the breaking connection."""
    path = tmp_path_factory.mktemp("s3") / "a.npz"
    write_npz(simulate(notebook_scene())[0], path)
    server = threaded.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    connection = Breaking(port, after=20_000)
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
    s3 = boto3.client("s3", endpoint_url=f"http://{host}:{port}", **keys)
    s3.create_bucket(Bucket="data")
    s3.put_object(Bucket="data", Key="day/a.npz", Body=path.read_bytes())
    s3.put_object(Bucket="data", Key="day/c.npz", Body=path.read_bytes()[:900])
    s3.put_object(Bucket="data", Key="day/notes.txt", Body=b"hello")
    connection.s3, connection.path = s3, path
    yield connection
    connection.close()
    server.stop()


@pytest.fixture(autouse=True)
def environment(bucket, monkeypatch):
    """As a user would set it."""
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{bucket.port}", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)


def run(text, out):
    job = Batch(OPTIONS)
    with folder.opened(out, job.settings()) as made:
        return [answer(each) for each in job.jobs(made, find_inputs([text], out))]


def test_a_folder_of_a_bucket_although_the_connection_breaks(bucket, tmp_path):
    bucket.broken, bucket.times = 0, 3
    good, bad = run("s3://data/day", tmp_path / "s3")
    assert bucket.broken == 3
    (local,) = run(bucket.path, tmp_path / "local")
    assert (good.status, good.sha256, good.rows) == ("done", local.sha256, local.rows)
    assert (good.name, good.source) == ("a.npz", "s3://data/day/a.npz")
    assert "damaged" in bad.error
    for name, column in local.tracks().columns().items():
        assert (good.tracks().columns()[name].tobytes()) == column.tobytes(), name
    assert good.tracks().meta["inputs"][0]["recording"]["file"] == "a.npz"  # not where the copy was


def test_done_work_is_recognised_by_the_servers_digest_and_other_contents_are_noticed(bucket, tmp_path, monkeypatch):
    bucket.times = 0
    run("s3://data/day/*.npz", tmp_path / "out")
    with monkeypatch.context() as patch:
        patch.setattr(fetch, "copied", lambda *_: pytest.fail("it was copied again"))
        assert run("s3://data/day/a.npz", tmp_path / "out")[0].resumed
    bucket.s3.put_object(Bucket="data", Key="day/a.npz", Body=bucket.path.read_bytes() + b"x")
    assert not run("s3://data/day/a.npz", tmp_path / "out")[0].resumed
    bucket.s3.put_object(Bucket="data", Key="day/a.npz", Body=bucket.path.read_bytes())


def test_what_is_not_there_is_one_sentence(bucket, tmp_path):
    bucket.times = 0
    with pytest.raises(OptionError, match="no recordings match s3://data/gone"):
        find_inputs(["s3://data/gone.npz"], tmp_path)
    with pytest.raises(RecordingError, match=r"s3://data/gone.npz does not exist"):
        fetch.content_of("s3://data/gone.npz")
