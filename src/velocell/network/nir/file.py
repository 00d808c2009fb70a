"""NIR graphs in files: HDF5, as the package `nir` writes and reads it."""

from __future__ import annotations

from pathlib import Path

from velocell.data.files import replacing
from velocell.errors import NetworkError
from velocell.network.nir.needs import Graph, require_nir

MOST_BYTES = 1 << 30  # of all values of a graph, unpacked
_MOST_THINGS = 10_000


def write(path: str | Path, graph: Graph) -> None:
    """Raises NetworkError, and VelocellError where the file cannot be written."""
    nir = require_nir()
    with replacing(path) as part:
        nir.write(part, graph)


def read(path: str | Path) -> Graph:
    """A graph of any program. Raises NetworkError for what is not a graph, or is larger than MOST_BYTES."""
    nir = require_nir()
    if not Path(path).is_file():
        raise NetworkError(f"{path} does not exist, or is not a file; check the path")
    try:
        _check(Path(path))
        # Without NIR's own check of shapes, which refuses the forms that single frameworks need.
        graph = nir.read(path, type_check=False)
    except NetworkError:
        raise
    # h5py and nir check little themselves, so a damaged file raises what it likes.
    except Exception as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise NetworkError(
            f"{path} is not a NIR graph ({why}); write one with velocell export net.toml -o net.nir"
        ) from None
    if not isinstance(graph, nir.NIRGraph):
        raise NetworkError(f"{path} holds a single {type(graph).__name__}, no graph; wrap it into a nir.NIRGraph")
    return graph


def _check(path: Path) -> None:
    """Nothing that unpacks to more than fits, and nothing that lies outside of the file."""
    import h5py

    total = things = 0
    with h5py.File(path, "r") as file:
        groups = [file]
        while groups:
            group = groups.pop()
            for name in group:
                things += 1
                if things > _MOST_THINGS or not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise NetworkError(f"{path} has links or more than {_MOST_THINGS} entries; no NIR graph needs them")
                thing = group[name]
                if isinstance(thing, h5py.Group):
                    groups.append(thing)
                    continue
                total += thing.size * thing.dtype.itemsize if thing.size else 0
                if total > MOST_BYTES or thing.external or thing.is_virtual:
                    raise NetworkError(f"{path} holds more than {MOST_BYTES >> 20} MiB or values of other files")
