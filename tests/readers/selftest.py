"""Tests of readers.py against tables that delta-rs writes: what agrees is known, what does not is noticed."""
import datetime
import decimal
import json
import os
import pathlib
import tempfile

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

import tap
from readers import Disagreement, Map, NaN, Readers, Row, versions

UTC = datetime.timezone.utc
TYPES = pa.schema([
    ("s", pa.string()), ("b", pa.binary()), ("i8", pa.int8()), ("i16", pa.int16()), ("i32", pa.int32()),
    ("i64", pa.int64()), ("f", pa.float32()), ("d", pa.float64()), ("dec", pa.decimal128(38, 18)), ("t", pa.bool_()),
    ("day", pa.date32()), ("at", pa.timestamp("us", tz="UTC")),
    ("st", pa.struct([("x", pa.int64()), ("y", pa.struct([("z", pa.string())]))])),
    ("l", pa.list_(pa.struct([("q", pa.int64())]))),
    ("m", pa.map_(pa.string(), pa.decimal128(10, 2))),
])
FULL = {
    "s": "Ωé\U0001f600'\"", "b": b"\x00\xff", "i8": -128, "i16": -32768, "i32": -2**31, "i64": 2**63 - 1, "f": 1.5,
    "d": float("nan"), "dec": decimal.Decimal("12345678901234567890.123456789012345678"), "t": True,
    "day": datetime.date(1969, 12, 31), "at": datetime.datetime(1960, 2, 29, 23, 59, 59, 999999, UTC),
    "st": {"x": None, "y": {"z": "in"}}, "l": [{"q": 1}, None, {"q": None}], "m": {"b": decimal.Decimal("1.10"), "a": None},
}
EMPTY = dict.fromkeys(FULL)
HALF = EMPTY | {"s": "", "st": {"x": 1, "y": None}, "l": [], "m": {}}


def row(v):
    known = {k: v[k] for k in TYPES.names}
    if known["d"] is not None:
        known["d"] = NaN()
    if known["st"] is not None:
        y = known["st"]["y"]
        known["st"] = Row([("x", known["st"]["x"]), ("y", None if y is None else Row(y.items()))])
    if known["l"] is not None:
        known["l"] = tuple(None if e is None else Row(e.items()) for e in known["l"])
    if known["m"] is not None:
        known["m"] = Map(sorted(known["m"].items()))
    return Row(known.items())


def table(*values):
    listed = [v | {"m": list(v["m"].items()) if v["m"] is not None else None} for v in values]
    return pa.Table.from_pylist(listed, schema=TYPES)


def all_types(readers, folder):
    path = str(folder / "all_types")
    write_deltalake(path, table(FULL, EMPTY))
    write_deltalake(path, table(HALF, HALF), mode="append")
    write_deltalake(path, table(FULL), mode="overwrite")
    assert versions(path) == [0, 1, 2], versions(path)
    readers.agree(path, 0, [row(FULL), row(EMPTY)])
    readers.agree(path, 1, [row(FULL), row(EMPTY), row(HALF), row(HALF)])
    got = readers.agree(path, 2, [row(FULL)])
    assert got[0]["st"]["y"]["z"] == "in"
    readers.agree(path)


def disagrees(function, *words):
    try:
        function()
    except Disagreement as e:
        for word in words:
            assert word in str(e), f"{word!r} is not in: {e}"
        return
    raise AssertionError("no Disagreement")


def differences(readers, folder):
    path = str(folder / "differences")
    write_deltalake(path, table(FULL, HALF))
    disagrees(lambda: readers.agree(path, 0, [row(FULL)]), "only deltars (1x)", "expected has 1 rows")
    disagrees(lambda: readers.agree(path, 0, [row(FULL), row(HALF), row(HALF)]), "only expected (1x)")
    changed = FULL | {"st": {"x": None, "y": {"z": "other"}}}
    disagrees(lambda: readers.agree(path, 0, [row(changed), row(HALF)]), "'other'")
    disagrees(lambda: readers.agree(path, 7), "version 7")


def one_reader_off(readers, folder):
    """A reader that loses a row, or a type, is caught, whichever it is."""
    path = str(folder / "one_off")
    write_deltalake(path, table(FULL, HALF))
    for name, reader in readers.readers.items():
        honest = reader.table
        try:
            reader.table = lambda p, v, read=honest: read(p, v).slice(0, 1)
            disagrees(lambda: readers.agree(path, 0), "has 1", name)
            reader.table = lambda p, v, read=honest: read(p, v).drop_columns(["s"])
            disagrees(lambda: readers.agree(path, 0), f"{name} reads columns")
            reader.table = lambda p, v, read=honest: cast(read(p, v), "i64", pa.int32())
            disagrees(lambda: readers.agree(path, 0), f"{name} reads i64: int32")
        finally:
            reader.table = honest


def cast(t, name, to):
    i = t.column_names.index(name)
    return t.set_column(i, name, pa.chunked_array([pa.nulls(t.num_rows, to)]))


def broken_file(readers, folder):
    """A log that names a file which is not there cannot be read."""
    path = folder / "broken"
    write_deltalake(str(path), table(HALF))
    for f in path.glob("*.parquet"):
        f.unlink()
    for name in readers.readers:
        disagrees(lambda n=name: readers.rows(n, str(path), 0), f"{name} cannot read")


def checkpointed(_, folder):
    """Versions before the first checkpoint are gone when their commits are."""
    path = folder / "log"
    for _ in range(4):
        write_deltalake(str(path), table(HALF), mode="append")
    DeltaTable(str(path)).create_checkpoint()
    for v in (0, 1):
        os.remove(path / f"_delta_log/{v:020}.json")
    assert versions(str(path)) == [3], versions(str(path))
    assert json.loads((path / "_delta_log/_last_checkpoint").read_text())["version"] == 3


def main():
    with tempfile.TemporaryDirectory() as folder, Readers() as readers:
        for test in (all_types, differences, one_reader_off, broken_file, checkpointed):
            tap.case(test.__name__, lambda t=test: t(readers, pathlib.Path(folder)))
    tap.done()


main()
