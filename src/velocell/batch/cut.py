"""One recording cut in time: a plan, its parts, each of which may run anywhere, and what they make together.

The plan reads the whole once: it finds hot pixels and lamps, calibrates, and notes when the networks are exchanged
(`calibration.learning`), so that there is one decision for all parts. Each part runs the networks from so long before
its cut that their spikes behind it are those of the whole (`network.memory`), which is checked at each cut: the part
before has given spikes of the same time. Where they do not agree, the part is run again with twice the run-in, in the
end from the start of the recording. Objects keep their ids over the cuts (`batch.stitch`).

    plan/                  plan.json, and a .toml for each network
    part-NNNN/             rows.npz, spikes.npz; head.npz, tail.npz: rows around its cuts; before.npz, after.npz:
                           spikes there; part.json
"""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from velocell.batch.stitch import INSTANTS, Ids, pairs
from velocell.calibration.learning import learning
from velocell.calibration.search import Search
from velocell.data.recording import Recording
from velocell.data.spikes import Spikes
from velocell.data.spool import Spool, saved
from velocell.data.tables import Columns, joined_columns
from velocell.errors import OptionError, RecordingError
from velocell.filters.reading import Decision, FilePart
from velocell.network import Network
from velocell.network.memory import run_in_us, settled, that_matter
from velocell.pipeline import calibrated
from velocell.tracking.detection import Findings
from velocell.tracking.detector import Crowding, as_networks
from velocell.tracking.online import follow

TRACKING_PX = 20.0
"""Travel at the lowest edge that the tracker sees before a cut: two and a half times the memory of its fits."""
_GRAIN_US = 10_000  # cuts lie at multiples of about this

Networks = tuple[Network, ...]


@dataclass(frozen=True, eq=False)
class Plan:
    """cuts_us: where the parts begin, and the end (n + 1,). run_in_us: before each cut but the first. networks: from
    when on which are used; the first at the start. decision: of the filters. about: what else it is of, plain values
    by which it is known again."""

    cuts_us: tuple[int, ...]
    run_in_us: int
    networks: tuple[tuple[int, Networks], ...]
    decision: Decision
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def parts(self) -> int:
        return len(self.cuts_us) - 1

    @property
    def first(self) -> Networks:
        """The networks at the start."""
        return self.networks[0][1]

    def in_force(self, at_us: int) -> tuple[int, Networks]:
        """The networks at an instant, and since when."""
        return next((since, found) for since, found in reversed(self.networks) if since <= at_us or since == self.start)

    @property
    def start(self) -> int:
        return self.cuts_us[0]

    def save(self, place: Path) -> None:
        """As a folder, which takes its place at once."""
        values = {
            "cuts_us": self.cuts_us, "run_in_us": self.run_in_us, "decision": self.decision.to_dict(),
            "networks": [[since, len(found)] for since, found in self.networks], "about": self.about,
        }  # fmt: skip
        with _folder(place) as made:
            for k, (_, found) in enumerate(self.networks):
                for number, network in enumerate(found):
                    network.to_toml(made / f"network-{k}-{number}.toml")
            (made / "plan.json").write_text(json.dumps(values), encoding="utf-8")

    @staticmethod
    def load(place: Path) -> Plan | None:
        """What `save` wrote; None where nothing of that kind is there."""
        try:
            values = json.loads((place / "plan.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        networks = tuple(
            (since, tuple(Network.from_toml(place / f"network-{k}-{number}.toml") for number in range(n)))
            for k, (since, n) in enumerate(values["networks"])
        )
        decision = Decision.of(values["decision"])
        return Plan(tuple(values["cuts_us"]), values["run_in_us"], networks, decision, values["about"])


class _Changes:
    """Notes the networks that `learning` would have taken up."""

    def __init__(self, networks: Networks, start_us: int) -> None:
        self.found: list[tuple[int, Networks]] = [(start_us, networks)]

    def adopt(self, networks: Network | Sequence[Network], at_us: int) -> None:
        taken = as_networks(networks)
        at_us = -(-at_us // taken[0].dt_us) * taken[0].dt_us
        self.found[1:] = [*(one for one in self.found[1:] if one[0] < at_us), (at_us, taken)]


def make_plan(footage: FilePart, search: Search, parts: int, about: dict[str, Any] | None = None) -> Plan:
    """Calibrate, and cut into `parts` of about as many events each; fewer, where a part would be shorter than its
    run-in. Reads all blocks. Raises VelocellError."""
    if parts < 1:
        raise OptionError(f"a recording can be cut in 1 part or more, not in {parts}")
    if len(search.templates) > 1:
        raise OptionError("a recording in parts is searched for one shape; give one --template, or leave out --parts")
    search = _whatever_is_followed(search)
    networks = calibrated(footage, search)
    dt = networks[0].dt_us
    unit, counts = math.ceil(_GRAIN_US / dt) * dt, Counter[int]()
    changes = _Changes(networks, footage.outline()[0].start_us)

    def counted(blocks: Iterable[Recording]) -> Iterator[Recording]:
        for block in blocks:
            places, events = np.unique(block.t_us // unit, return_counts=True)
            counts.update(dict(zip(places.tolist(), events.tolist(), strict=True)))
            yield search.seen(block)

    for _ in learning(counted(footage.blocks()), changes, networks, search):
        pass
    decision = footage.decision()
    run_in = max(_run_in_us(found) for _, found in changes.found)
    most = max(1, min(parts, (decision.stop_us - decision.start_us) // max(run_in, 1)))
    cuts = _cuts(counts, unit, most, decision.start_us, decision.stop_us)
    return Plan(cuts, run_in, tuple(changes.found), decision, about or {})


def _whatever_is_followed(search: Search) -> Search:
    """Each of several networks sees all events: what is followed differs before a cut, and what they see must not. The
    networks are calibrated as they are used."""
    return replace(search, rules=search.rules.for_all_networks())


def _run_in_us(networks: Networks) -> int:
    """What networks and tracker need before a cut."""
    dt, bands = networks[0].dt_us, networks[0].bands
    slowest = 0.0 if bands is None else bands.edges[0]
    tracking_us = 1e6 * TRACKING_PX / slowest if slowest > 0 else 0.0
    return max(max(map(run_in_us, networks)), math.ceil(tracking_us / dt) * dt)


def _cuts(counts: Counter[int], unit_us: int, parts: int, start_us: int, stop_us: int) -> tuple[int, ...]:
    """Multiples of the unit between which about as many events lie."""
    places = np.array(sorted(counts), np.int64)
    so_far = np.cumsum([counts[place] for place in places.tolist()])
    wanted = np.arange(1, parts) * (int(so_far[-1]) / parts) if places.size else np.zeros(0)
    inner = (places[np.searchsorted(so_far, wanted)] + 1) * unit_us if places.size else np.zeros(0, np.int64)
    return (start_us, *(cut for cut in np.unique(inner).tolist() if start_us < cut < stop_us), stop_us)


# --- a part ---------------------------------------------------------------------------------------------------------


def run_part(
    footage: FilePart,
    search: Search,
    plan: Plan,
    number: int,
    place: Path,
    *,
    keep_spikes: bool = True,
    run_in_us: int | None = None,
    on_block: Callable[[Recording], object] | None = None,
) -> None:
    """Run one part and write it as the folder `place`. footage: with the plan's decision. run_in_us: instead of the
    plan's."""
    cut_us, stop_us, last = plan.cuts_us[number], plan.cuts_us[number + 1], number + 1 == plan.parts
    begin_us = _begin_us(plan, number, plan.run_in_us if run_in_us is None else run_in_us)
    search = _whatever_is_followed(search)
    online = search.online(plan.first, footage.size)
    if (force := plan.in_force(begin_us)[1]) is not plan.first:
        online.adopt(force, begin_us)
    for since, networks in plan.networks:
        if begin_us < since < stop_us:
            online.adopt(networks, since)
    pieces = follow(online, map(search.seen, footage.between(begin_us, stop_us)), on_block, ends=last)
    around_us = INSTANTS * search.every_us
    before_cut = Crowding()
    with ExitStack() as stack:
        rows, spikes, head, tail = (stack.enter_context(Spool()) for _ in range(4))
        before, after = [Spikes.empty()], [Spikes.empty()]
        for found, answers in pieces:
            own = found["t_us"] > cut_us if number else np.ones(len(found["t_us"]), np.bool_)
            rows.add(_those(found, own))
            head.add(_those(found, ~own & (found["t_us"] > cut_us - around_us)))
            tail.add(_those(found, own & (found["t_us"] > stop_us - around_us)))
            if number and (answers.t_us < cut_us).any():
                before.append(that_matter(plan.in_force(cut_us - 1)[1], answers, cut_us))
                before_cut = online.crowding
            if not last:
                after.append(that_matter(plan.in_force(stop_us - 1)[1], answers, stop_us))
            if keep_spikes:
                spikes.add(answers.where(answers.t_us >= cut_us).columns() if number else answers.columns())
        now = online.crowding
        told = {
            "begin_us": begin_us, "plan": plan.about, "births": now.births - before_cut.births,
            "crowded": now.crowded - before_cut.crowded,
        }  # fmt: skip
        with _folder(place) as made:
            for name, spool in (("rows", rows), ("spikes", spikes), ("head", head), ("tail", tail)):
                spool.save(made / f"{name}.npz")
            for name, found_spikes in (("before", before), ("after", after)):
                with Spool() as spool:
                    spool.add(Spikes.concatenate(found_spikes).columns())
                    spool.save(made / f"{name}.npz")
            (made / "part.json").write_text(json.dumps(told), encoding="utf-8")


def is_run(place: Path, plan: Plan) -> bool:
    """Whether a part of this plan stands there."""
    told = _told(place)
    return told is not None and told["plan"] == json.loads(json.dumps(plan.about))


def _told(place: Path) -> dict[str, Any] | None:
    try:
        told: dict[str, Any] = json.loads((place / "part.json").read_text(encoding="utf-8"))
        return told
    except (OSError, ValueError):
        return None


def _begin_us(plan: Plan, number: int, run_in: int) -> int:
    """Where a part is begun: with a tick, or with the recording."""
    if not number:
        return plan.start
    dt = plan.first[0].dt_us
    return max(plan.start, (plan.cuts_us[number] - run_in) // dt * dt)


def _those(columns: dict[str, Any], which: Any) -> dict[str, Any]:
    return {name: values[which] for name, values in columns.items()}


# --- together -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Whole:
    """What the parts make together. findings: as `pipeline.findings` gives them. about: how it was cut, for metadata:
    the cuts, how much was run before each, and how many objects were followed over each."""

    findings: Findings
    about: dict[str, Any]


def put_together(place: Path, plan: Plan, search: Search, again: Callable[[int, int], object]) -> Whole:
    """The parts `part-NNNN` in a folder. again: runs a part (number) anew with a longer run-in (us)."""
    begins = _checked(place, plan, again)
    same = [_pairs(place, k) for k in range(1, plan.parts)]
    told = [_told(part_place(place, k)) or {} for k in range(plan.parts)]
    crowding = Crowding(sum(one["births"] for one in told), sum(one["crowded"] for one in told))
    ran = _Ran(crowding, tuple(one for one in plan.networks[1:] if one[0] < plan.cuts_us[-1]))
    about = {
        "parts": plan.parts,
        "cuts_us": list(plan.cuts_us[1:-1]),
        "run_in_us": [cut - begin for cut, begin in zip(plan.cuts_us[1:-1], begins, strict=True)],
        "objects_over_cuts": [len(each) for each in same],
    }
    sparse = search.measures and plan.first[0].origin.too_sparse
    layers = max(len(network.layers) for network in plan.first)
    return Whole(Findings(plan.first, _pieces(place, plan, same, layers), (ran,), sparse), about)


def part_place(place: Path, number: int) -> Path:
    """Where a part stands."""
    return place / f"part-{number:04d}"


@dataclass(frozen=True)
class _Ran:
    crowding: Crowding
    changes: tuple[tuple[int, Networks], ...]


def _checked(place: Path, plan: Plan, again: Callable[[int, int], object]) -> list[int]:
    """Where each part but the first was begun, once it goes on from its cut as the part before would have."""
    begins = []
    for k in range(1, plan.parts):
        run_in = plan.run_in_us
        while not agrees(place, plan, k):
            run_in *= 2
            again(k, run_in)
        begins.append(_begin_of(place, k))
    return begins


def agrees(place: Path, plan: Plan, number: int) -> bool:
    """Whether a part goes on from its cut as the one before would have."""
    begin_us, cut_us = _begin_of(place, number), plan.cuts_us[number]
    since_us, networks = plan.in_force(cut_us - 1)
    if begin_us <= plan.start or begin_us <= since_us:  # begun as the whole was, or both with fresh membranes
        return True
    one, other = (
        _spikes_of(part_place(place, k) / name) for k, name in ((number - 1, "after.npz"), (number, "before.npz"))
    )
    return settled(networks, one, other, begin_us, cut_us)


def _begin_of(place: Path, number: int) -> int:
    told = _told(part_place(place, number))
    if told is None:
        raise RecordingError(f"{part_place(place, number)} holds no part; run the same command again")
    return int(told["begin_us"])


def _spikes_of(file: Path) -> Spikes:
    return Spikes.concatenate([_spikes(columns) for columns in saved(file)])


def _spikes(columns: dict[str, Any], layers: int = 0) -> Spikes:
    return Spikes(**columns, layers=layers)


def _none_of(file: Path, layers: int) -> Spikes:
    """No spikes, with a radius where those in the file have one."""
    return next((_spikes(_those(columns, slice(0, 0)), layers) for columns in saved(file, 1)), Spikes.empty(layers))


def _pairs(place: Path, number: int) -> dict[int, int]:
    """Ids of a part -> ids of the one before."""
    ends = [list(saved(part_place(place, k) / f"{name}.npz")) for k, name in ((number - 1, "tail"), (number, "head"))]
    if not all(ends):
        return {}
    return pairs(*map(joined_columns, ends))


def _pieces(
    place: Path, plan: Plan, same: list[dict[int, int]], layers: int
) -> Iterator[tuple[dict[str, Any], Spikes]]:
    ids = Ids()
    for k in range(plan.parts):
        if k:
            ids.go_on(same[k - 1])
        rows, spikes = (part_place(place, k) / f"{name}.npz" for name in ("rows", "spikes"))
        none = _none_of(spikes, layers)
        columns: Columns | None = None
        for columns in saved(rows):
            yield {**columns, "id": ids(columns["id"])}, none
        assert columns is not None  # there is always a step
        for answers in saved(spikes):
            yield _those(columns, slice(0, 0)), _spikes(answers, layers)


@contextmanager
def _folder(place: Path) -> Iterator[Path]:
    """A folder that takes its place once it is full; what stood there goes."""
    place.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    try:
        yield made
        shutil.rmtree(place, ignore_errors=True)
        os.replace(made, place)  # noqa: PTH105
    finally:
        shutil.rmtree(made, ignore_errors=True)


__all__ = ["Plan", "Whole", "agrees", "is_run", "make_plan", "part_place", "put_together", "run_part"]
