"""Tables in other libraries' hands: Arrow (which any of them takes), pandas, polars. None of these is loaded before."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velocell.data.extras import install_line
from velocell.errors import TableError

Columns = Mapping[str, NDArray[Any]]


def arrow_table(columns: Columns, meta: Mapping[str, Any]) -> Any:
    """A `pyarrow.Table`: NaN is null, `meta` is JSON in the schema's metadata under `velocell`, as in Parquet files.
    Raises TableError where pyarrow is not installed."""
    _require("pyarrow", install_line("parquet"))
    import pyarrow as pa

    arrays = {
        name: pa.array(values, mask=np.isnan(values)) if values.dtype.kind == "f" else pa.array(values)
        for name, values in columns.items()
    }
    return pa.table(arrays).replace_schema_metadata({"velocell": json.dumps(meta)})


def pandas_frame(columns: Columns, meta: Mapping[str, Any]) -> Any:
    """A `pandas.DataFrame` with `meta` in its `attrs`. Raises TableError where pandas is not installed."""
    _require("pandas", "pip install pandas")
    import pandas as pd

    frame = pd.DataFrame(dict(columns))
    frame.attrs.update(meta)
    return frame


def polars_frame(columns: Columns) -> Any:
    """A `polars.DataFrame`; NaN is null. Raises TableError where polars is not installed."""
    _require("polars", "pip install polars")
    import polars as pl

    return pl.DataFrame({name: pl.Series(name, values, nan_to_null=True) for name, values in columns.items()})


def _require(module: str, line: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise TableError(f"this needs {module}; install it with: {line}")
