"""A log as Parquet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from daenr_bench.frame_log.columns import COLUMNS, Column, chunks, names_of
from daenr_common.extras import require
from daenr_common.files import atomic_file
from daenr_common.strict_json import encode
from daenr_export.loop.log import LoggedRun


def parquet_module() -> Any:
    """Import pyarrow's Parquet.

    Raises:
        MissingExtraError: it is not installed.
    """
    return require("pyarrow.parquet", extra="parquet", purpose="writing Parquet")


def write_parquet(run: LoggedRun, path: Path) -> None:
    """Write a row for each frame, null where there is no value; the run's header is the schema's metadata `daenr`.

    Raises:
        MissingExtraError: pyarrow is not installed.
        DaenrError: the file cannot be written.
    """
    parquet = parquet_module()
    arrow, names = require("pyarrow", extra="parquet", purpose="writing Parquet"), names_of(run)
    word = arrow.dictionary(arrow.int32(), arrow.string())
    kinds = {"int64": arrow.int64(), "uint32": arrow.uint32(), "bool": arrow.bool_(), "name": word}
    metadata = {"daenr": json.dumps(encode(run.header))}
    schema = arrow.schema([(name, kinds[kind]) for name, kind in COLUMNS.items()], metadata=metadata)
    with atomic_file(path) as temporary, parquet.ParquetWriter(temporary, schema) as writer:
        for chunk in chunks(run):
            arrays = [_array(arrow, column, names.get(name)) for name, column in chunk.items()]
            writer.write_table(arrow.table(arrays, schema=schema))


def _array(arrow: Any, column: Column, names: tuple[str, ...] | None) -> Any:
    if names is None:
        return arrow.array(np.ascontiguousarray(column.values), mask=column.absent)
    index = arrow.array(column.values.astype(np.int32), mask=column.absent)
    return arrow.DictionaryArray.from_arrays(index, arrow.array(names, arrow.string()))
