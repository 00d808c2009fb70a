"""Torch tensors: equal to what torch reads, and harmless whatever their pickle says.

Most files are made by torch itself. The hostile ones, and those for machines without torch, are
put together from pickle operations here; one test shows that torch reads such a file too.
"""

from __future__ import annotations

import pickle
import struct
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from places import SHARED
from strategies import read_or_refused

from velocell import formats
from velocell.errors import RecordingError
from velocell.formats.arrays import pickle as torch_pickle

NOTEBOOK = SHARED / "2404_circle.dat"
SHAPES = st.tuples(st.integers(0, 5), st.integers(1, 4), st.integers(1, 4)) | st.tuples(
    st.integers(0, 4), st.just(2), st.integers(1, 3), st.integers(1, 4)
)


@pytest.fixture(scope="module")
def torch() -> Iterator[Any]:
    module = pytest.importorskip("torch", reason="torch is not installed")
    # Torch warns where one leaves open whether it should check.
    with module.sparse.check_sparse_tensor_invariants():
        yield module


# Pickle operations, protocol 2, as torch.save writes them.


def word(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def number(value: int) -> bytes:
    data = value.to_bytes(9, "little", signed=True)
    return b"\x8a\x09" + data


def row(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def call(function: bytes, *arguments: bytes) -> bytes:
    return function + row(*arguments) + b"R"


def whole(*values: int) -> bytes:
    return row(*map(number, values))


def dense(
    key: str, numel: int, shape: tuple[int, ...], stride: tuple[int, ...], *, offset: int = 0, kind: str = "LongStorage"
) -> bytes:
    storage = row(word("storage"), name("torch", kind), word(key), word("cpu"), number(numel)) + b"Q"
    hooks = call(name("collections", "OrderedDict"))
    rebuild = name("torch._utils", "_rebuild_tensor_v2")
    return call(rebuild, storage, number(offset), whole(*shape), whole(*stride), b"\x89", hooks)


def sparse(indices: bytes, values: bytes, shape: tuple[int, ...], layout: str = "torch.sparse_coo") -> bytes:
    how = call(name("torch.serialization", "_get_layout"), word(layout))
    size = call(name("torch", "Size"), whole(*shape))
    return call(name("torch._utils", "_rebuild_sparse_tensor"), how, row(indices, values, size, b"\x88"))


def save(
    path: Path,
    description: bytes,
    storages: dict[str, bytes],
    *,
    byteorder: bytes | None = b"little",
    compression: int = zipfile.ZIP_STORED,
) -> Path:
    with zipfile.ZipFile(path, "w", compression) as members:
        members.writestr("cam/data.pkl", b"\x80\x02" + description + b".")
        if byteorder is not None:
            members.writestr("cam/byteorder", byteorder)
        members.writestr("cam/version", b"3\n")
        for key, data in storages.items():
            members.writestr(f"cam/data/{key}", data)
    return path


def longs(*values: int, order: str = "<") -> bytes:
    return np.array(values, f"{order}i8").tobytes()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cam.dat"


def refused(path: Path, message: str) -> None:
    with pytest.raises(RecordingError, match=message) as caught:
        formats.read(path)
    assert "cam.dat" in str(caught.value)
    assert "\n" not in str(caught.value)


class TestTheNotebook:
    def test_facts(self) -> None:
        if not NOTEBOOK.is_file():
            pytest.skip(f"{NOTEBOOK} is absent")
        recording = formats.read(NOTEBOOK)
        assert len(recording) == 25_948
        assert recording.size == (50, 50)
        assert recording.p is None
        assert (recording.start_us, recording.stop_us) == (0, 500_000)
        rows = np.unique(recording.y).tolist()
        assert set(rows) <= {*range(5, 15), *range(20, 30), *range(35, 45)}
        assert "torch sparse tensor of shape (500, 50, 50), 1000 us a frame" in recording.notes[0]
        assert formats.read(NOTEBOOK, frame_time_us=250).stop_us == 125_000

    def test_as_torch_reads_it(self, torch: Any) -> None:
        if not NOTEBOOK.is_file():
            pytest.skip(f"{NOTEBOOK} is absent")
        expected = torch.load(NOTEBOOK, weights_only=True).to_dense().numpy()
        np.testing.assert_array_equal(formats.read(NOTEBOOK).to_dense(), expected)


class TestAsTorchReadsIt:
    WITH_STORAGE = ("uint8", "int8", "bool", "int16", "int32", "int64", "float16", "float32", "float64")
    DTYPES = (*WITH_STORAGE, "uint16", "uint32", "uint64")

    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("shape", [(6, 3, 5), (4, 2, 3, 5)])
    def test_dense(self, torch: Any, path: Path, dtype: str, shape: tuple[int, ...]) -> None:
        counts = np.random.default_rng(1).integers(0, 2 if dtype == "bool" else 4, shape)
        torch.save(torch.from_numpy(counts).to(getattr(torch, dtype)), path)
        recording = formats.read(path, frame_time_us=500)
        loaded = torch.load(path, weights_only=True).to(torch.float32).numpy()
        np.testing.assert_array_equal(recording.to_dense(500), loaded)
        assert (recording.p is not None) == (len(shape) == 4)
        assert recording.stop_us == shape[0] * 500

    @pytest.mark.parametrize("dtype", WITH_STORAGE)
    @pytest.mark.parametrize("coalesced", [True, False])
    @pytest.mark.parametrize("shape", [(6, 3, 5), (4, 2, 3, 5)])
    def test_sparse(self, torch: Any, path: Path, dtype: str, coalesced: bool, shape: tuple[int, ...]) -> None:
        generator = np.random.default_rng(2)
        index = np.stack([generator.integers(0, length, 30) for length in shape])
        counts = torch.from_numpy(generator.integers(0, 2 if dtype == "bool" else 4, 30)).to(getattr(torch, dtype))
        if dtype == "bool":
            # Two positions that are the same would give True + True.
            index = np.unique(index, axis=1)
            counts = counts[: index.shape[1]]
        tensor = torch.sparse_coo_tensor(torch.from_numpy(index), counts, shape)
        torch.save(tensor.coalesce() if coalesced else tensor, path)
        loaded = torch.load(path, weights_only=True).to_dense().to(torch.float32).numpy()
        np.testing.assert_array_equal(formats.read(path).to_dense(), loaded)

    @given(
        counts=SHAPES.flatmap(lambda shape: hnp.arrays(np.int64, shape, elements=st.integers(0, 3))),
        is_sparse=st.booleans(),
        protocol=st.sampled_from([2, 3, 4, 5]),
    )
    def test_any_counts(self, torch: Any, tmp_path: Path, counts: np.ndarray, is_sparse: bool, protocol: int) -> None:
        tensor = torch.from_numpy(counts)
        torch.save(tensor.to_sparse() if is_sparse else tensor, tmp_path / "cam.dat", pickle_protocol=protocol)
        recording = formats.read(tmp_path / "cam.dat")
        np.testing.assert_array_equal(recording.to_dense(), counts)
        assert recording.size == counts.shape[:-3:-1]

    @pytest.mark.parametrize(
        "view",
        [
            lambda t: t.permute(2, 0, 1),
            lambda t: t[1:4],
            lambda t: t[:, 1:, ::2],
            lambda t: t[::3, :1],
            lambda t: t.transpose(1, 2)[2:],
        ],
        ids=["permuted", "offset", "strided", "sparse rows", "transposed"],
    )
    def test_views_of_a_larger_storage(self, torch: Any, path: Path, view: Callable[[Any], Any]) -> None:
        tensor = view(torch.arange(6 * 5 * 4).reshape(6, 5, 4) % 5)
        torch.save(tensor, path)
        np.testing.assert_array_equal(formats.read(path).to_dense(), tensor.numpy())

    def test_the_operations_of_this_file(self, torch: Any, path: Path) -> None:
        description = sparse(dense("0", 6, (3, 2), (2, 1)), dense("1", 2, (2,), (1,)), (4, 3, 5))
        save(path, description, {"0": longs(0, 3, 1, 2, 4, 0), "1": longs(2, 1)})
        expected = np.zeros((4, 3, 5))
        expected[0, 1, 4], expected[3, 2, 0] = 2, 1
        np.testing.assert_array_equal(torch.load(path, weights_only=True).to_dense().numpy(), expected)
        np.testing.assert_array_equal(formats.read(path).to_dense(), expected)


class TestWithoutTorch:
    def test_big_endian(self, path: Path) -> None:
        save(path, dense("0", 4, (2, 1, 2), (2, 2, 1)), {"0": longs(0, 1, 2, 0, order=">")}, byteorder=b"big")
        assert formats.read(path).t_us.tolist() == [0, 1_000, 1_000]

    def test_without_byte_order(self, path: Path) -> None:
        save(path, dense("0", 4, (2, 1, 2), (2, 2, 1)), {"0": longs(0, 1, 2, 0)}, byteorder=None)
        assert formats.read(path).x.tolist() == [1, 0, 0]

    def test_compressed(self, path: Path) -> None:
        description = dense("0", 4, (2, 1, 2), (2, 2, 1))
        save(path, description, {"0": longs(0, 1, 2, 0)}, compression=zipfile.ZIP_DEFLATED)
        assert len(formats.read(path)) == 3

    def test_odd_bools(self, path: Path) -> None:
        save(path, dense("0", 3, (3, 1, 1), (1, 1, 1), kind="BoolStorage"), {"0": b"\x00\x07\xff"})
        assert formats.read(path).t_us.tolist() == [1_000, 2_000]

    def test_planes_are_off_and_on(self, path: Path) -> None:
        save(path, dense("0", 2, (1, 2, 1, 1), (2, 1, 1, 1)), {"0": longs(1, 2)})
        assert formats.read(path).p.tolist() == [False, True, True]

    def test_given_size(self, path: Path) -> None:
        save(path, dense("0", 4, (2, 1, 2), (2, 2, 1)), {"0": longs(0, 1, 2, 0)})
        recording = formats.read(path, size=(8, 6))
        assert recording.size == (8, 6)
        assert (recording.start_us, recording.stop_us) == (0, 2_000)
        assert "as given; the tensor's is 2x1" in recording.notes[1]
        with pytest.raises(RecordingError, match="outside the 1x6 sensor"):
            formats.read(path, size=(1, 6))

    def test_no_events(self, path: Path) -> None:
        save(path, sparse(dense("0", 0, (3, 0), (1, 1)), dense("1", 0, (0,), (1,)), (7, 3, 5)), {"0": b"", "1": b""})
        recording = formats.read(path)
        assert (len(recording), recording.size, recording.stop_us) == (0, (5, 3), 7_000)


ONE = {"0": longs(1)}


class TestRefused:
    @pytest.mark.parametrize(
        ("description", "message"),
        [
            (dense("0", 1, (1, 1), (1, 1)), r"must have shape \(T, H, W\) or \(T, 2, H, W\), got \(1, 1\)"),
            (dense("0", 1, (1, 1, 1, 1), (1, 1, 1, 1)), r"got \(1, 1, 1, 1\)"),
            (dense("0", 1, (), ()), r"got \(\)"),
            (dense("0", 1, (2, 1, 1), (1, 1, 1)), "does not fit its 1 stored values"),
            (dense("0", 1, (1, 1, 1), (1, 1, 1), offset=1), "does not fit its 1 stored values"),
            (dense("0", 1, (1, 1, 1), (1, 1, 1), offset=2**61), "does not fit its 1 stored values"),
            (dense("0", 1, (500, 50, 50), (0, 0, 0)), r"save tensor\.contiguous\(\)"),
            (dense("0", 1, (2**60, 2**60, 2**60), (0, 0, 0)), "does not fit its 1 stored values"),
            (dense("0", 2**60, (2**59, 1, 1), (1, 1, 1)), "damaged or incomplete"),
            (dense("0", 2, (1, 1, 2), (1, 1, 1)), "has 8 bytes instead of 16"),
            (dense("9", 1, (1, 1, 1), (1, 1, 1)), "damaged or incomplete"),
            (dense("../x", 1, (1, 1, 1), (1, 1, 1)), "damaged or incomplete"),
            (dense("0", 1, (1, 1, -1), (1, 1, 1)), "not a whole number"),
            (dense("0", 1, (1, 1, 1), (1, 1, -1)), "not a whole number"),
            (dense("0", 1, (1, 1, 1), (1, 1)), "different lengths"),
            (dense("0", 1, (1,) * 9, (1,) * 9), "too many dimensions"),
            (dense("0", 1, (1, 1, 1), (1, 1, 1), kind="BFloat16Storage"), r"'torch\.BFloat16Storage'"),
            (sparse(dense("0", 1, (1, 1), (1, 1)), dense("0", 1, (1,), (1,)), (3, 3, 3)), "not one count for each"),
            (sparse(dense("0", 1, (1,), (1,)), dense("0", 1, (1,), (1,)), (3,)), "not one count for each"),
            (sparse(word("a"), dense("0", 1, (1,), (1,)), (3, 3, 3)), "without indices or values"),
            (sparse(whole(1), whole(1), (3, 3, 3), "torch.sparse_csr"), "a layout other than sparse_coo"),
            (whole(1, 2), "does not hold one tensor"),
            (b"}", "EMPTY_DICT in the description"),
            (call(name("torch", "Size"), whole(1, 2)), "does not hold one tensor"),
            (row(*[name("torch", "Size")] * 3) + b"R", "does not hold one tensor"),
            (b"R", "does not hold one tensor"),
            (b"h\x07", "does not hold one tensor"),
        ],
    )
    def test_descriptions(self, path: Path, description: bytes, message: str) -> None:
        save(path, description, ONE)
        tracemalloc.start()
        refused(path, message)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2_000_000

    @pytest.mark.parametrize(
        ("indices", "values", "message"),
        [
            ((0, 9, 0), (1,), "lie outside the shape .* in dimension 1"),
            ((0, 0, -1), (1,), "lie outside the shape .* in dimension 2"),
            ((0, 0, 0), (-1,), "none below 0"),
            ((0, 0, 0), (2**40,), "not brightness"),
            # A file of 1 kB would make events of 50 MB.
            ((0, 0, 0), (1_100_000,), "holds 1.1e.06 events in 1 entries of a tensor; .* not brightness"),
        ],
    )
    def test_sparse_values(self, path: Path, indices: tuple[int, ...], values: tuple[int, ...], message: str) -> None:
        description = sparse(dense("0", 3, (3, 1), (1, 1)), dense("1", 1, (1,), (1,)), (4, 3, 5))
        save(path, description, {"0": longs(*indices), "1": longs(*values)})
        refused(path, message)

    @pytest.mark.parametrize("value", [0.5, -1.0, np.nan, np.inf, 1e30])
    def test_float_values(self, path: Path, value: float) -> None:
        data = struct.pack("<d", value)
        save(path, dense("0", 1, (1, 1, 1), (1, 1, 1), kind="DoubleStorage"), {"0": data})
        refused(path, "event counts")

    def test_huge_frames(self, path: Path) -> None:
        indices, values = dense("0", 3, (3, 1), (1, 1)), dense("1", 1, (1,), (1,))
        storages = {"0": longs(0, 0, 0), "1": longs(1)}
        save(path, sparse(indices, values, (2**61, 3, 5)), storages)
        refused(path, "do not fit")
        save(path, sparse(indices, values, (4, 2**40, 5)), storages)
        refused(path, "must be between 1 and 65536")

    def test_byte_order(self, path: Path) -> None:
        save(path, dense("0", 1, (1, 1, 1), (1, 1, 1)), ONE, byteorder=b"middle")
        refused(path, "unknown byte order")

    def test_packed_bomb(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        n = 1 << 20
        description = dense("0", n, (n, 1, 1), (1, 1, 1), kind="ByteStorage")
        save(path, description, {"0": bytes(n)}, compression=zipfile.ZIP_DEFLATED)
        assert len(formats.read(path)) == 0
        monkeypatch.setattr("velocell.data.budget._HELD", 1 << 19)
        refused(path, "asks for a tensor of shape .* of 1.05 MB, more than .* with --budget 2 if you trust it")

    def test_long_description(self, path: Path) -> None:
        save(path, dense("0", 1, (1, 1, 1), (1, 1, 1)) + b"N0" * torch_pickle.MAX_PICKLE_BYTES, ONE)
        refused(path, "more than one tensor")

    def test_old_torch_format(self, torch: Any, path: Path) -> None:
        torch.save(torch.ones(2, 3, 4), path, _use_new_zipfile_serialization=False)
        refused(path, "a torch file from before torch 1.6")

    def test_other_torch_objects(self, torch: Any, path: Path) -> None:
        torch.save({"events": torch.ones(2, 3, 4)}, path)
        refused(path, "save the tensor alone")
        torch.save(torch.nn.Linear(2, 2), path)
        refused(path, r"refers to 'torch\.nn\.modules\.linear\.Linear'.* is not run")
        torch.save(torch.ones(3, 4, 5).to_sparse(2), path)
        refused(path, r"indices \(2, 12\) and values \(12, 5\)")


class TestBombs:
    """Pickles that would run code, or eat memory or time, if anything obeyed them."""

    @pytest.mark.parametrize(
        ("module", "attribute"), [("os", "system"), ("builtins", "eval"), ("torch.hub", "load"), ("torch._utils", "x")]
    )
    def test_names(self, path: Path, tmp_path: Path, module: str, attribute: str) -> None:
        trap = tmp_path / "trap"
        save(path, call(name(module, attribute), word(f"touch {trap}")), {})
        refused(path, rf"refers to '{module}\.{attribute}', which .* is not run")
        # Pickle protocol 4 names it from the stack.
        save(path, word(module) + word(attribute) + b"\x93" + row(word(f"touch {trap}")) + b"R", {})
        refused(path, rf"refers to '{module}\.{attribute}'")
        assert not trap.exists()

    def test_a_real_one(self, path: Path, tmp_path: Path) -> None:
        class Bomb:
            def __reduce__(self) -> Any:
                return exec, (f"__import__('pathlib').Path({str(tmp_path / 'trap')!r}).touch()",)

        save(path, pickle.dumps(Bomb(), protocol=2)[2:-1], {})
        refused(path, r"refers to '__builtin__\.exec'")
        assert not (tmp_path / "trap").exists()
        pickle.loads(pickle.dumps(Bomb()))
        assert (tmp_path / "trap").exists(), "the bomb of this test is a dud"

    @pytest.mark.parametrize(
        "description",
        [
            name("torch", "Size") + b"N}X\x01\x00\x00\x00aNs\x86b",
            word("a") + b"r\xff\xff\xff\x7f" + b"0",
            b"\x8e" + struct.pack("<Q", 1 << 40),
            b"X\xff\xff\xff\xff",
            b"\x8b\xff\xff\xff\x7f",
            b")" + b"2\x86" * 5_000 + b"0",
            b")" + b"q\x00h\x00h\x00\x86" * 5_000,
            name("torch.serialization", "_get_layout") + b")" + b"q\x00h\x00h\x00\x86" * 60 + b"\x85R",
            b")" + b"q\x00h\x00h\x00\x86" * 60 + word("x") + b"\x93",
            row(word("storage"), b")" + b"q\x00h\x00h\x00\x86" * 60, word("0"), word("cpu"), number(1)) + b"Q",
        ],
        ids=["build", "memo", "bytes8", "unicode", "long4", "dup", "doubling", "in a layout", "in a name", "in an id"],
    )
    def test_blow_ups(self, path: Path, description: bytes) -> None:
        save(path, description, {})
        tracemalloc.start()
        refused(path, "does not hold one tensor")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 5_000_000


class TestDamage:
    def content(self, path: Path) -> bytes:
        description = sparse(dense("0", 6, (3, 2), (2, 1)), dense("1", 2, (2,), (1,)), (4, 3, 5))
        return save(path, description, {"0": longs(0, 3, 1, 2, 4, 0), "1": longs(2, 1)}).read_bytes()

    def test_truncated_anywhere(self, path: Path) -> None:
        content = self.content(path)
        for length in range(len(content)):
            path.write_bytes(content[:length])
            refused(path, r"cam\.dat")

    def test_truncated_description(self, path: Path) -> None:
        description = dense("0", 1, (1, 1, 1), (1, 1, 1))
        for length in range(len(description)):
            save(path, description[:length], ONE)
            refused(path, r"cam\.dat")

    @given(data=st.data())
    def test_mutated_description(self, tmp_path: Path, data: st.DataObject) -> None:
        path = tmp_path / "cam.dat"
        description = bytearray(sparse(dense("0", 3, (3, 1), (1, 1)), dense("1", 1, (1,), (1,)), (4, 3, 5)))
        for _ in range(data.draw(st.integers(1, 3))):
            description[data.draw(st.integers(0, len(description) - 1))] = data.draw(st.integers(0, 255))
        save(path, bytes(description), {"0": longs(0, 1, 2), "1": longs(1)})
        read_or_refused(path)
