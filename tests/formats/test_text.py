"""Text recordings: what is found by content, exact times, and lines that mean nothing."""

from __future__ import annotations

import io
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from strategies import EPOCH_US, assert_same_recording, read_or_refused, recordings

from velocell import formats
from velocell.data.recording import Recording
from velocell.errors import RecordingError, VelocellError
from velocell.formats import open_recording, source
from velocell.formats.text import layout as text_layout
from velocell.formats.text import text

# Headers and an event, and what stands in lines under them: numbers in all ways, what separates them, and trash.
HEADS = [
    "t_us,x,y,p\n1,2,3,1",
    "t_s;x;y\n1.5;2;3",
    "x,y,t_ns\n2,3,1500",
    "t x label y p\n1 2 7 3 1",
    "t_ms,x,y,p\n1.25,2,3,-1",
]
FIELDS = st.one_of(
    st.integers(-2, 1_000_000).map(str),
    st.sampled_from(["0", "1", "-1", "-0", "007", "1.5", "2.", ".5", "1.0005", "1.00049999", "2147483647",
                     "-2147483648", "123456789012345678", "1234567890123456789", "+1", "1e3", "", "#", "%", "x", '"1"',
                     "nan", "\xa0", "\x1c", "\0"]),
)  # fmt: skip
BETWEEN = st.sampled_from([",", ",", ";", ";", " ", " ", "\t", ", ", " ;", "  ", ",,", "\r"])
LINES = st.one_of(
    st.tuples(st.lists(FIELDS, min_size=1, max_size=6), BETWEEN).map(lambda pair: pair[1].join(pair[0])),
    st.lists(st.one_of(FIELDS, BETWEEN), max_size=11).map("".join),
)

T = [1_000, 1_500, 90_000, 90_000, 2_000_001]
X = [3, 100, 7, 50, 0]
Y = [9, 4, 80, 2, 60]
P = [1, 0, 0, 1, 1]
SECONDS = [f"{t / 1e6:.6f}" for t in T]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cam.txt"


def rows(*columns: list[object], separator: str = " ") -> str:
    return "".join(separator.join(map(str, row)) + "\n" for row in zip(*columns, strict=True))


def read(path: Path, content: str) -> Recording:
    path.write_bytes(content.encode())
    return formats.read(path)


def check(recording: Recording, *, polarity: bool = True) -> None:
    assert recording.t_us.tolist() == T
    assert recording.x.tolist() == X
    assert recording.y.tolist() == Y
    assert (recording.p.tolist() if polarity else recording.p) == ([bool(p) for p in P] if polarity else None)


class TestLayouts:
    @pytest.mark.parametrize("separator", [" ", ",", "\t", ";", ", ", "  "])
    @pytest.mark.parametrize("times", [T, SECONDS], ids=["us", "s"])
    @pytest.mark.parametrize("order", ["txyp", "xypt", "xytp", "txy"])
    def test_found_by_content(self, path: Path, separator: str, times: list[object], order: str) -> None:
        columns = {"t": times, "x": X, "y": Y, "p": P}
        recording = read(path, rows(*(columns[name] for name in order), separator=separator))
        check(recording, polarity="p" in order)
        notes = "; ".join(recording.notes)
        assert f"columns {' '.join(order)} found by their values" in notes
        assert ("times read as us" if times is T else "times read as s,") in notes
        assert "101x81 inferred" in notes

    @pytest.mark.parametrize(
        ("header", "columns"),
        [
            ("t,x,y,p", [T, X, Y, P]),
            ("p,y,x,timestamp", [P, Y, X, T]),
            ("x,y,pol,ts", [X, Y, P, T]),
            ("Time,X,Y,Polarity", [T, X, Y, P]),
            ("t,x,y,on", [T, X, Y, P]),
            ("id,t,x,y,p,area", [list("12345"), T, X, Y, P, [0.5] * 5]),
            ("t_us,x,y,p", [T, X, Y, P]),
            ('"t [us]","x","y","p"', [T, X, Y, P]),
            ("t [\u00b5s],x [px],y [pixels],p", [T, X, Y, P]),
            ("t_\u03bcs,x (px),y(px),polarity", [T, X, Y, P]),
            ("x [us],t [px],x,y,t [s],p", [X, X, X, Y, SECONDS, P]),
            ("t_ns,x,y,p", [[1_000 * t for t in T], X, Y, P]),
            ("time(ns),x,y,p", [[1_000 * t - 500 + 999 * (k % 2) for k, t in enumerate(T)], X, Y, P]),
            ("t_s,x,y,p", [SECONDS, X, Y, P]),
            ("t_ms,x,y,p", [[t / 1000 for t in T], X, Y, P]),
            ("t_us,x,y,p", [[f"{t}.4" for t in T], X, Y, P]),
            ("t_ns,x,y,p", [[f"{t}000.0" for t in T], X, Y, P]),
        ],
    )
    def test_header(self, path: Path, header: str, columns: list[list[object]]) -> None:
        check(read(path, f"{header}\n{rows(*columns, separator=',')}"))

    def test_header_in_another_encoding(self, path: Path) -> None:
        path.write_bytes(b"t [\xb5s],x,y,p\n" + rows(T, X, Y, P, separator=",").encode())
        check(formats.read(path))

    def test_header_without_polarity(self, path: Path) -> None:
        check(read(path, f"y x t\n{rows(Y, X, T)}"), polarity=False)

    def test_stated_seconds_may_be_whole(self, path: Path) -> None:
        assert read(path, "t_s,x,y\n1,0,0\n2,0,0\n").t_us.tolist() == [1_000_000, 2_000_000]

    def test_minus_one_is_off(self, path: Path) -> None:
        check(read(path, rows(SECONDS, X, Y, [2 * p - 1 for p in P])))

    def test_nanoseconds_since_1970(self, path: Path) -> None:
        recording = read(path, rows([1_000 * (EPOCH_US + t) for t in T], X, Y, P))
        assert recording.t_us.tolist() == [EPOCH_US + t for t in T]
        assert "times read as ns" in "; ".join(recording.notes)

    def test_microseconds_since_1970(self, path: Path) -> None:
        assert read(path, rows([EPOCH_US + t for t in T], X, Y, P)).t_us.tolist() == [EPOCH_US + t for t in T]

    def test_comments_and_blank_lines(self, path: Path) -> None:
        events = rows(T, X, Y, P).splitlines()
        body = "# made by\n\n# hand\n" + events[0] + "\n\n# pause\n" + events[1] + "  # odd\n" + "\n".join(events[2:])
        check(read(path, body))
        check(read(path, body.replace("#", "%")))

    def test_size_in_the_first_line(self, path: Path) -> None:
        recording = read(path, "240 180\n" + rows(SECONDS, X, Y, P))
        check(recording)
        assert recording.size == (240, 180)
        assert open_recording(path).size_from == "from the first lines"

    @pytest.mark.parametrize("line", ["# width 240 height 180", "% Width: 240, Height: 180", "# width=240 height=180"])
    def test_size_in_a_comment(self, path: Path, line: str) -> None:
        assert read(path, f"{line}\n{rows(T, X, Y, P)}").size == (240, 180)

    def test_given_size(self, path: Path) -> None:
        path.write_text("240 180\n" + rows(T, X, Y, P))
        recording = formats.read(path, size=(640, 480))
        assert recording.size == (640, 480)
        assert "sensor size 640x480 as given; the file says 240x180" in recording.notes
        path.write_text(rows(T, X, Y, P))
        assert formats.read(path, size=(640, 480)).size == (640, 480)

    @pytest.mark.parametrize("ending", ["\r\n", "\n"])
    @pytest.mark.parametrize("last", [True, False])
    def test_line_ends(self, path: Path, ending: str, last: bool) -> None:
        for order in ([T, X, Y, P], [X, Y, P, SECONDS]):
            body = rows(*order, separator=",").replace("\n", ending)
            check(read(path, body if last else body.removesuffix(ending)))

    def test_byte_order_mark(self, path: Path) -> None:
        check(read(path, "\ufefft,x,y,p\n" + rows(T, X, Y, P, separator=",")))
        check(read(path, "\ufeff" + rows(T, X, Y, P)))

    def test_as_numpy_saves_it(self, path: Path) -> None:
        np.savetxt(path, np.column_stack([np.array(T) / 1e6, X, Y, P]), header="t x y p")
        recording = formats.read(path)
        check(recording)
        assert "named in line 1" in "; ".join(recording.notes)

    @pytest.mark.parametrize("content", ["t,x,y,p\n", "# t x y p", "64 48\n", "t,x,y\n# nothing\n\n"])
    def test_no_events(self, path: Path, content: str) -> None:
        recording = read(path, content)
        assert len(recording) == 0
        assert recording.size == ((64, 48) if content.startswith("64") else (1, 1))

    def test_whole_numbers_written_as_decimals(self, path: Path) -> None:
        check(
            read(path, rows([f"{t}.0" for t in T], [f"{x}.0" for x in X], [f"{y}e0" for y in Y], [f"{p}." for p in P]))
        )

    def test_a_few_decimals_later_on(self, path: Path) -> None:
        n = text_layout._SAMPLE_ROWS + 10
        body = "t_us,x,y\n" + "".join(f"{k},5,6\n" for k in range(n)) + f"{n}.0,7.0,8.0\n"
        recording = read(path, body)
        assert recording.t_us.tolist() == list(range(n + 1))
        assert (recording.x[-1], recording.y[-1]) == (7, 8)


class TestOpenQuestions:
    """What the content leaves open is refused with the way to state it."""

    def test_two_possible_orders(self, path: Path) -> None:
        events = "10 5 6 1\n11 5 7 0\n"
        with pytest.raises(RecordingError, match=r"can be read as t x y p or x y t p; name the columns.*t_us,x,y,p"):
            read(path, events)
        assert read(path, "t x y p\n" + events).t_us.tolist() == [10, 11]
        assert read(path, "x y t p\n" + events).t_us.tolist() == [6, 7]

    def test_the_longer_column_is_the_time(self, path: Path) -> None:
        assert read(path, "0 5 6 1\n1000 5 7 0\n").t_us.tolist() == [0, 1000]

    def test_nothing_fits(self, path: Path) -> None:
        with pytest.raises(RecordingError, match=r"cannot tell which columns of .*cam.txt are t, x, y and p"):
            read(path, rows([5, 3, 4, 2, 1], [5, 3, 4, 2, 1], [5, 3, 4, 2, 1], P))
        with pytest.raises(RecordingError, match="cannot tell"):
            read(path, rows(T, X))
        with pytest.raises(RecordingError, match="and p 0/1 or -1/1"):
            read(path, rows(T, X, Y, [0, 1, 2, 3, 4]))
        with pytest.raises(RecordingError, match="and p 0/1 or -1/1"):
            read(path, rows(T, X, Y, [0, 1, -1, 0, 1]))
        with pytest.raises(RecordingError, match="cannot tell"):
            read(path, rows(T, X, Y, P, P))

    @pytest.mark.parametrize("column", range(4))
    def test_infinite(self, path: Path, column: int) -> None:
        """Such a number is written with digits; no warning of NumPy either."""
        columns = [[1, 2, 3], [4, 5, 6], [7, 8, 9], [0, 1, 1]]
        columns[column] = ["1e400"] * 3
        with pytest.raises(RecordingError, match="cannot tell which columns"):
            read(path, rows(*columns))

    def test_unsorted_under_a_header(self, path: Path) -> None:
        recording = read(path, "t,x,y\n5,1,1\n7,1,1\n6,1,1\n")
        assert recording.t_us.tolist() == [5, 6, 7]
        assert "back" in "; ".join(recording.notes)
        with pytest.raises(RecordingError, match="back"):
            open_recording(path, strict=True).read()

    def test_blocks_are_read_one_after_the_other(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        n = 4 * source.SMALLEST_BLOCK
        monkeypatch.setattr(text, "_BLOCK_BYTES", 1 << 16)
        for off in (0, -1):  # at the end, with whole blocks of 1 before
            polarity = [0] * (n // 4) + [1] * (n // 2) + [off] * (n // 4)
            path.write_text("t,x,y,p\n" + rows(range(n), [3] * n, [4] * n, polarity, separator=","))
            if off == 0:
                blocks = [len(block) for block in open_recording(path).blocks()]
                assert sum(blocks) == n
                assert max(blocks) <= n // 2
            else:
                with pytest.raises(RecordingError, match="only 0 and 1, or only -1 and 1"):
                    formats.read(path)

    def test_unclear_unit(self, path: Path) -> None:
        events = "0 1 2 1\n86400000001 3 4 0\n"
        with pytest.raises(RecordingError, match=r"more than a day if they are in us.*t_s, t_ms, t_us or t_ns"):
            read(path, events)
        assert read(path, "t_us x y p\n" + events).t_us.tolist() == [0, 86_400_000_001]
        assert read(path, "t_ns x y p\n" + events).t_us.tolist() == [0, 86_400_000]


class TestBadLines:
    @pytest.mark.parametrize(
        ("line", "why"),
        [
            ("1600,5,5", "4 fields are needed, got 3"),
            ("1600,5,5,1,1", "4 fields are needed, got 5"),
            ("1600,5,abc,1", "y is 'abc', not a number"),
            ("1600,5.5,5,1", "x is '5.5', not a whole number"),
            ("nan,5,5,1", "t is 'nan', not a number"),
            ("1600,inf,5,1", "x is 'inf', not a number"),
            ("1600,,5,1", "x is '', not a number"),
            ("1_600,5,5,1", "t is '1_600', not a number"),
            ("0x40,5,5,1", "t is '0x40', not a number"),
            ("1600,5,5,2", r"p is '2', not 0 or 1 \(or -1 or 1\)"),
            ("1600,5,5,1e3", r"p is '1e3', not 0 or 1 \(or -1 or 1\)"),
            ("1e400,5,5,1", "t is too large"),
            ("99999999999999999999,5,5,1", "t is too large"),
            ("1600,3000000000,5,1", "x is too large"),
            ("1600 5 5 1", "4 fields are needed, got 1"),
            ("a,b,c,d", "t is 'a', not a number"),
            ("1600,5,\u00b2,1", r"y is '\\xc2\\xb2', not a number"),
        ],
    )
    @pytest.mark.parametrize("at", [2, 5])
    def test_named(self, path: Path, line: str, why: str, at: int) -> None:
        lines = ["t,x,y,p", *rows([1_500] * 6, [1] * 6, [2] * 6, [1] * 6, separator=",").splitlines()]
        lines[at] = line
        with pytest.raises(
            RecordingError, match=rf"cam.txt line {at + 1} \(.*\) is not an event: {why}; correct or remove it"
        ):
            read(path, "\n".join(lines))

    def test_far_into_a_long_file(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(text, "_BLOCK_BYTES", 1_000)
        lines = ["# a comment", "t,x,y", *(f"{k},5,6" for k in range(9_000))]
        lines[8_765] = "oops"
        with pytest.raises(RecordingError, match=r"line 8766 \('oops'\)"):
            read(path, "\n".join(lines))

    def test_binary_further_on(self, path: Path) -> None:
        path.write_bytes(b"t,x,y\n" + b"1,2,3\n" * 2_000 + b"1,\x00,\x1b[0m\n")
        with pytest.raises(RecordingError, match=r"line 2002 \('1,\\x00,\\x1b\[0m'\)"):
            formats.read(path)

    def test_first_event(self, path: Path) -> None:
        with pytest.raises(RecordingError, match=r"line 2 \('5 x 6 1'\) is not an event"):
            read(path, "# hello\n5 x 6 1\n")

    @pytest.mark.parametrize(
        "first", ["Hello world, how are you?", "t,x,x,y", "t,x", "time,stamp,x,y,t", "<html>", "{'t': 'x'}"]
    )
    def test_header(self, path: Path, first: str) -> None:
        with pytest.raises(RecordingError, match=r"cam.txt line 1 \(.*\) is neither an event nor a header"):
            read(path, f"{first}\n1,2,3,4\n")

    def test_header_of_another_length(self, path: Path) -> None:
        with pytest.raises(RecordingError, match="line 2 has 4 fields where line 1 names 3"):
            read(path, "t,x,y\n1,2,3,1\n")

    @pytest.mark.parametrize("content", ["\n\n", "# only\n# comments\n", "   "])
    def test_nothing_there(self, path: Path, content: str) -> None:
        with pytest.raises(RecordingError, match=r"cam\.txt"):
            read(path, content)

    def test_a_head_that_ends_within_a_line(self, path: Path) -> None:
        cut = text_layout.find_layout(b"t_us,x,y\n1,2,3\n2,3,0.", False, path)
        assert cut.with_decimals == frozenset()
        with pytest.raises(RecordingError, match=r"cam.txt has no event in its first 12 bytes"):
            text_layout.find_layout(b"t_us,x,y\n1,2", False, path)

    def test_long_line(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(text, "_BLOCK_BYTES", 100)
        with pytest.raises(RecordingError, match="a line of more than 65536 characters"):
            read(path, "t,x,y\n1,2,3\n" + "1" * 100_000)

    def test_outside(self, path: Path) -> None:
        recording = read(path, "50 90\n" + rows(T, X, Y, P))
        assert recording.size == (50, 90)
        assert recording.x.tolist() == [x for x in X if x < 50]
        assert "2 events outside the sensor; left out" in recording.notes
        assert read(path, "t,x,y\n1,2,3\n2,-3,3\n").t_us.tolist() == [1]
        with pytest.raises(RecordingError, match=r"the first is at x = -3"):
            open_recording(path, strict=True).read()
        with pytest.raises(RecordingError, match=r"first time is -1 us"):
            read(path, "t,x,y\n-1,2,3\n2,3,3\n")

    def test_truncated_anywhere(self, path: Path) -> None:
        content = ("64 48\n" + rows(SECONDS, [3] * 5, [4] * 5, P)).encode()
        for length in range(1, len(content)):
            path.write_bytes(content[:length])
            read_or_refused(path)

    @given(data=st.data())
    def test_mutated_anywhere(self, tmp_path: Path, data: st.DataObject) -> None:
        path = tmp_path / "cam.txt"
        content = bytearray(("t,x,y,p\n" + rows(SECONDS, X, Y, P, separator=",")).encode())
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(content)
        read_or_refused(path)

    @given(content=st.text(st.sampled_from("0123456789.,;- \teE#%txyp\n\r\"'_xnaif"), min_size=1, max_size=60))
    def test_any_text(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "cam.txt").write_bytes(content.encode())
        read_or_refused(tmp_path / "cam.txt")


DECIMALS = st.from_regex(r"\A[0-9]{1,10}(\.[0-9]{0,9})?(e[-+]?[0-9]{1,2})?\Z")


class TestExactTimes:
    @pytest.mark.parametrize(
        ("written", "expected"),
        [
            ("1605537493.718345", 1605537493718345),
            ("1605537493.718344500000000001", 1605537493718345),
            ("1605537493.7183445", 1605537493718345),
            ("1605537493.7183444999999", 1605537493718344),
            ("1605537493.718345499", 1605537493718345),
            ("1.605537493718345000e+09", 1605537493718345),
            ("1605537493", 1605537493000000),
            ("0.0000005", 1),
            ("0.00000049", 0),
            ("1e-06", 1),
            (".25", 250_000),
            ("7.", 7_000_000),
            ("+1.5", 1_500_000),
            ("9007199254.740993", 9007199254740993),
        ],
    )
    def test_seconds(self, path: Path, written: str, expected: int) -> None:
        assert read(path, f"t_s,x,y\n{written},1,2\n").t_us.tolist() == [expected]
        # Written differently from the line before, last on its line, and in a file without a header.
        assert read(path, f"x,y,p,t_s\n1,2,0,0.0\n1,2,1,{written}\n").t_us.tolist() == [0, expected]

    @given(st.lists(DECIMALS, min_size=1, max_size=8), st.sampled_from([0, 3, 6]))
    @example(["0.001", "1e-06", "10.5", "1.5"], 6)
    @example(["1e0", "1e1"], 0)
    def test_the_fast_way_is_the_exact_one(self, texts: list[str], places: int) -> None:
        converted = text._decimal_times(np.array(texts, "S40"), places)
        if converted is not None:
            expected = [int((Decimal(t).scaleb(places)).to_integral_value(ROUND_HALF_UP)) for t in texts]
            assert converted.tolist() == expected

    @pytest.mark.parametrize("texts", [["1.5", "22.25", "3"], ["1605537493.718345"] * 3, ["1.50e+01", "2.50e+02"]])
    def test_the_fast_way_is_taken(self, texts: list[str]) -> None:
        assert text._decimal_times(np.array(texts, "S40"), 6) is not None

    @pytest.mark.parametrize("bad", ["-1.5", "1.5.5", "1-5", "", "e5", "1e", "nan", "1 5", "123456789012345678901"])
    def test_the_fast_way_is_not_taken(self, bad: str) -> None:
        for texts in ([bad], ["1.5", bad], [bad, "1.5"]):
            assert text._decimal_times(np.array(texts, "S40"), 6) is None

    def test_cut_texts_are_not_taken(self) -> None:
        assert text._decimal_times(np.array(["1.2345"], "S6"), 6) is None

    @settings(max_examples=400)
    @given(
        lines=st.lists(LINES, min_size=1, max_size=4),
        head=st.sampled_from(HEADS),
        last=st.sampled_from(["", "\n", "\r\n"]),
    )
    @example(["1,2,3", "4 ,5, 6", "7,8,-9"], HEADS[2], "")
    @example(["1 2 x 1", "4 5  a 1 "], HEADS[3], "")
    @example(["1500,2,3", "1499,2,3", "-1500,2,3"], HEADS[2], "")
    def test_the_plain_way_is_the_exact_one(self, lines: list[str], head: str, last: str) -> None:
        """It gives what the definition gives, or leaves the block to it."""
        layout = text_layout.find_layout(head.encode(), True, Path("cam.txt"))
        content = "\n".join(lines) + last
        found = text._read_plain(content.encode("latin-1"), layout)
        if found is None:
            return
        expected = text._read_exactly(content.split("\n"), 1, layout, Path("cam.txt"))
        assert {name: values.tolist() for name, values in found.items()} == {
            name: values.tolist() for name, values in expected.items()
        }

    @pytest.mark.parametrize("head", HEADS)
    def test_the_plain_way_is_taken(self, head: str) -> None:
        layout = text_layout.find_layout(head.encode(), True, Path("cam.txt"))
        events = head.split("\n", 1)[1]
        plain = text._read_plain(f"{events}\r\n\n{events}".encode(), layout)
        assert plain is not None
        assert len(plain["t"]) == 2

    @pytest.mark.parametrize(
        "line",
        ["1,2,3,1 # c", "1,+2,3,1", "1,2,3", "1,2,3,1,1", "1,2,3,2", "1e3,2,3,1", "1,2.0,3,1", "1,2147483648,3,1",
         "a,2,3,1", "1,2,3,1\v", "-1,2,3,1", "1,2,3,", "1,2,,1", "1 2,3,1", "1;2;3;1", "9999999999999999999999,2,3,1",
         "1,2,3,1\0"],
    )  # fmt: skip
    def test_the_plain_way_is_not_taken(self, line: str) -> None:
        layout = text_layout.find_layout(b"t_us,x,y,p\n1,2,3,1\n", True, Path("cam.txt"))
        for content in (line, f"1,2,3,1\n{line}", f"{line}\n1,2,3,1"):
            assert text._read_plain(content.encode(), layout) is None

    @given(
        events=st.lists(
            st.tuples(st.integers(0, 10**12), st.integers(0, 999), st.integers(0, 999), st.integers(0, 1)), min_size=1
        ),
        style=st.sampled_from(["{:.6f}", "{:.9f}", "{:.3f}", "{!r}", "{:.18e}", "{:g}"]),
        whole=st.sampled_from(["{}", "{}.0", "{:.2e}"]),
        separator=st.sampled_from([",", " ", ", ", "\t"]),
    )
    def test_the_fast_reader_is_the_exact_one(
        self, tmp_path: Path, events: list[tuple[int, ...]], style: str, whole: str, separator: str
    ) -> None:
        lines = [
            separator.join([style.format(t / 1e6), *(whole.format(value) for value in rest)])
            for t, *rest in sorted(events)
        ]
        layout = text_layout.find_layout(f"t_s,x,y,p\n{lines[0]}\n".encode(), True, tmp_path)
        fast = text._read_fast([line.replace(f"{layout.separator} ", f"{layout.separator}") for line in lines], layout)
        exact = text._read_exactly(lines, 1, layout, tmp_path)
        for name, values in exact.items() if fast is not None else ():
            np.testing.assert_array_equal(fast[name], values, err_msg=name)

    @pytest.mark.parametrize("separator", [",", " ", ", ", "\t"])
    @pytest.mark.parametrize("style", ["{:d}", "{:.6f}", "{:.18e}"])
    def test_common_files_are_read_fast(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, separator: str, style: str
    ) -> None:
        def never(*_: object) -> None:
            raise AssertionError("the slow reader was used")

        monkeypatch.setattr(text, "_read_exactly", never)
        times = [style.format(t if style == "{:d}" else t / 1e6) for t in T]
        check(read(path, "# made by hand\n" + rows(X, Y, P, times, separator=separator)))
        check(read(path, rows(times, [f"{x}.0" for x in X], Y, P, separator=separator)))

    def test_blocks_join(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        n = 3_000
        t = EPOCH_US + 7 * np.arange(n)
        path.write_text("".join(f"{s // 10**6}.{s % 10**6:06d} {k % 50} 3 {k % 2}\n" for k, s in enumerate(t.tolist())))
        for size in (1_000, 4_096, 1 << 22):
            monkeypatch.setattr(text, "_BLOCK_BYTES", size)
            recording = formats.read(path)
            np.testing.assert_array_equal(recording.t_us, t)
            np.testing.assert_array_equal(recording.x, np.arange(n) % 50)


class TestWriting:
    @given(recording=recordings())
    def test_round_trip(self, tmp_path: Path, recording: Recording) -> None:
        formats.write_csv(recording, tmp_path / "cam.csv")
        assert_same_recording(formats.read(tmp_path / "cam.csv"), recording)

    def test_what_is_written(self, tmp_path: Path) -> None:
        recording = Recording.from_arrays([EPOCH_US], [2], [3], [1], width=7, height=8)
        formats.write_csv(recording, tmp_path / "cam.csv")
        assert (tmp_path / "cam.csv").read_text() == (
            f"# width 7 height 8 start_us {EPOCH_US} stop_us {EPOCH_US + 1}\nt_us,x,y,p\n{EPOCH_US},2,3,1\n"
        )
        table = np.loadtxt(io.StringIO((tmp_path / "cam.csv").read_text()), np.int64, delimiter=",", skiprows=2)
        assert table.tolist() == [EPOCH_US, 2, 3, 1]

    def test_many_rows(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(text, "_WRITTEN_ROWS", 7)
        recording = Recording.from_arrays(np.arange(50), np.arange(50), np.zeros(50))
        formats.write_csv(recording, tmp_path / "cam.csv")
        assert_same_recording(formats.read(tmp_path / "cam.csv"), recording)

    def test_missing_folder(self, tmp_path: Path) -> None:
        with pytest.raises(VelocellError, match=r"cannot write .*nowhere.cam\.csv: .*make the folder first"):
            formats.write_csv(Recording.from_arrays([1], [2], [3]), tmp_path / "nowhere" / "cam.csv")


@pytest.mark.parametrize(("off", "on"), [("False", "True"), ("OFF", "ON"), ("off", "on"), ("FALSE", "TRUE")])
@pytest.mark.parametrize("header", ["t_us,x,y,p", "t_us,x,y,on"])
def test_polarity_in_words(path: Path, off: str, on: str, header: str) -> None:
    recording = read(path, f"{header}\n1,2,3,{off}\n4,5,6,{on}\n7,8,9,{off}\n")
    assert recording.p is not None
    assert recording.p.tolist() == [False, True, False]
    assert recording.t_us.tolist() == [1, 4, 7]


@pytest.mark.parametrize("line", ["%geometry:1280,720", "% geometry: 1280x720"])
def test_geometry_as_metavision_writes_it(path: Path, line: str) -> None:
    assert read(path, f"{line}\n1,2,0,10\n3,4,1,2000\n5,6,1,4000\n").size == (1280, 720)


# --- a last line that was cut -----------------------------------------------------------------------------

CUT = "t_us,x,y,p\n1000,10,20,1\n1100,11,21,0\n1200,12,22,1"


@pytest.mark.parametrize("n", range(1, 13))
def test_a_last_line_that_was_cut_is_told(tmp_path: Path, n: int) -> None:
    """Of its n characters, all as they stand; whether a digit is missing cannot be known."""
    (tmp_path / "a.csv").write_text(CUT[: len(CUT) - 12 + n])
    source = formats.open_recording(tmp_path / "a.csv")
    found = source.read()
    if n < 12:
        assert found.t_us.tolist() == [1000, 1100]
        assert source.integrity.faults == {"trailing_bytes": n}
    else:
        assert found.t_us.tolist() == [1000, 1100, 1200]
        assert source.integrity.facts == {"unended": 1}
        assert "1 last line without an end: its last number may be cut" in found.notes
    (tmp_path / "a.csv").write_text(CUT + "\n")
    source = formats.open_recording(tmp_path / "a.csv")
    source.read()
    assert (source.integrity.facts, source.integrity.faults) == ({}, {})


def test_a_last_time_that_was_cut_is_left_out(tmp_path: Path) -> None:
    """Time is the last column, without a header."""
    (tmp_path / "a.csv").write_text("1,2,0,1000\n3,4,1,1100\n5,6,0,12")
    source = formats.open_recording(tmp_path / "a.csv")
    assert source.read().t_us.tolist() == [1000, 1100]
    assert source.integrity.faults == {"trailing_bytes": 8}
    (tmp_path / "a.csv").write_text("t_us,x,y\n1000,1,2\nend")
    with pytest.raises(RecordingError, match=r"bytes after the last whole entry.*line 3 was cut"):
        formats.read(tmp_path / "a.csv", strict=True)


@pytest.mark.parametrize(("name", "text"), [("t_us", "1.70000E+15"), ("t_s", "1.70E+09"), ("t_us", "2.5e6")])
def test_times_that_lost_their_last_digits(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "a.csv").write_text(f"{name},x,y\n{text},1,2\n")
    with pytest.raises(RecordingError, match="have lost their last digits; save them as whole numbers of us"):
        formats.read(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("name", "text", "t_us"),
    [
        ("t_us", "2.1E+03", 2_100),
        ("t_us", "1.700000000000000000e+15", 1_700_000_000_000_000),
        ("t_us", "1200.0", 1_200),
    ],
)
def test_times_as_spreadsheets_write_them(tmp_path: Path, name: str, text: str, t_us: int) -> None:
    (tmp_path / "a.csv").write_text(f"{name},x,y\n{text},1,2\n")
    assert formats.read(tmp_path / "a.csv").t_us.tolist() == [t_us]
