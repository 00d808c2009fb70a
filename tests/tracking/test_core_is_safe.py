"""The core against public Python: two threads on one object, values out of range, arrays that lie anywhere."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from velocell import Network, Recording, Spikes, calibrate, engines
from velocell.engines import native
from velocell.errors import EngineError, RecordingError, VelocellError
from velocell.tracking.detector import Detector

N = 20_000


@pytest.fixture(scope="module")
def network() -> Network:
    return calibrate(bands=(40, 160, 640), radius=5.0)


def events(width: int = 64, height: int = 64) -> Recording:
    rng = np.random.default_rng(1)
    t = np.sort(rng.integers(0, 200_000, N))
    return Recording.from_arrays(
        t, rng.integers(0, width, N), rng.integers(0, height, N), rng.integers(0, 2, N), width=width, height=height
    )


def spikes(channel: int = 0, t_us: int = 1_000, n: int = 200) -> Spikes:
    rng = np.random.default_rng(2)
    t = np.arange(n) * 900 + t_us
    return Spikes(
        t.astype(np.int64), rng.integers(0, 64, n).astype(np.int32), rng.integers(0, 64, n).astype(np.int32),
        np.full(n, channel, np.int32), np.ones(n, np.int32), 2,
    )  # fmt: skip


def outcomes(work: Callable[[], object], threads: int = 4, rounds: int = 60) -> list[Exception]:
    """What calls from several threads at once raise."""
    start = threading.Barrier(threads)
    raised: list[Exception] = []

    def run() -> None:
        start.wait()
        for _ in range(rounds):
            try:
                work()
            except Exception as error:
                raised.append(error)

    all_ = [threading.Thread(target=run) for _ in range(threads)]
    for thread in all_:
        thread.start()
    for thread in all_:
        thread.join()
    return raised


def test_two_threads_on_one_detector(network: Network) -> None:
    detector, recording, found = Detector(network, (64, 64)), events(), spikes()
    raised = outcomes(lambda: detector.step(recording, found, 200_000))
    assert all(isinstance(error, EngineError) and "another thread" in str(error) for error in raised)


def test_two_threads_on_one_decoder() -> None:
    from velocell import _native

    decoder = _native.Evt3Decoder()
    words = np.random.default_rng(3).bytes(400_000)
    raised = outcomes(lambda: decoder.feed(words))
    assert all("another thread" in str(error) for error in raised)


def test_a_detector_in_use_is_refused(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sure to meet: the first call waits inside for the second."""
    detector = Detector(network, (64, 64))
    large = events()
    long = Recording.from_arrays(
        np.repeat(large.t_us, 100), np.repeat(large.x, 100), np.repeat(large.y, 100), width=64, height=64
    )
    raised = outcomes(lambda: detector.step(long, spikes(), 200_000), threads=3, rounds=12)
    assert raised
    assert detector.step(events(), spikes(), 200_000)  # it is free again


@pytest.mark.parametrize("channel", [2, 3, 100, 2**31 - 1, -1, -(2**31)])
def test_channels_beyond_the_bands_are_left_out(network: Network, channel: int) -> None:
    rows = Detector(network, (64, 64)).step(events(), spikes(channel), 200_000)
    assert not len(rows["t_us"])


@pytest.mark.parametrize("every_us", [2**52, 2**40, 10**12])
def test_a_long_interval(network: Network, every_us: int) -> None:
    rows = Detector(network, (64, 64), every_us=every_us).step(events(), spikes(), 200_000)
    assert set(rows["t_us"].tolist()) <= {0}


@pytest.mark.parametrize("every_us", [0, -1, 2**52 + 1, 2**62])
def test_an_interval_that_does_not_fit(network: Network, every_us: int) -> None:
    with pytest.raises(VelocellError, match="every"):
        Detector(network, (64, 64), every_us=every_us)


@pytest.mark.parametrize("until_us", [2**62 + 1, 2**63 - 1, -(2**63)])
def test_times_that_do_not_fit(network: Network, until_us: int) -> None:
    with pytest.raises(RecordingError, match=r"beyond 2\^62 us"):
        Detector(network, (64, 64)).step(events(), spikes(), until_us)
    with pytest.raises(RecordingError, match=r"beyond 2\^62 us"):
        Detector(network, (64, 64)).step(events(), spikes(t_us=2**63 - 10**6), 200_000)


def unaligned(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    data = bytearray(1) + values.tobytes()
    return np.frombuffer(data, values.dtype, offset=1)


@pytest.mark.parametrize("foreign", [unaligned, lambda values: values.astype(values.dtype.newbyteorder(">"))])
def test_arrays_that_lie_anywhere_are_copied(network: Network, foreign: Callable[[Any], Any]) -> None:
    plain = events()
    odd = Recording(
        foreign(plain.t_us), foreign(plain.x), foreign(plain.y), plain.p, plain.width, plain.height,
        plain.start_us, plain.stop_us,
    )  # fmt: skip
    found = spikes()
    other = Spikes(foreign(found.t_us), foreign(found.x), foreign(found.y), foreign(found.channel), found.layer, 2)
    expected = Detector(network, (64, 64)).step(plain, found, 200_000)
    rows = Detector(network, (64, 64)).step(odd, other, 200_000)
    for name, column in expected.items():
        np.testing.assert_array_equal(rows[name], column)
    engine = engines.load("native")
    one, two = (engine.step(network, native.init(network, (64, 64)), part)[1] for part in (plain, odd))
    assert one.t_us.tolist() == two.t_us.tolist()


def test_the_core_itself_refuses_what_is_not_aligned() -> None:
    from velocell import _native

    encoder = _native.Evt3Encoder()
    with pytest.raises(RecordingError, match="not aligned"):
        encoder.feed(unaligned(np.arange(5)), *(np.zeros(5, np.uint16),) * 2, np.zeros(5, np.uint8))


def test_polarities_of_other_bytes(network: Network) -> None:
    """A view of bytes as booleans may hold any of them."""
    plain = events()
    wild = np.random.default_rng(4).integers(0, 256, N).astype(np.uint8).view(np.bool_)
    odd = Recording(plain.t_us, plain.x, plain.y, wild, 64, 64, plain.start_us, plain.stop_us)
    Detector(network, (64, 64)).step(odd, spikes(), 200_000)


@pytest.mark.skipif("libasan" in os.environ.get("LD_PRELOAD", ""), reason="what the sanitizer takes is no measure")
def test_a_claimed_size_costs_no_memory(network: Network) -> None:
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    detector = Detector(network, (16_000, 16_000))
    small = events()
    detector.step(Recording.from_arrays(small.t_us, small.x, small.y, small.p, width=16_000, height=16_000),
                  spikes(), 200_000)  # fmt: skip
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB; the planes alone would be 4 GB
