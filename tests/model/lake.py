"""Rows of a Delta table, read by delta-rs, back to DynamoDB items by the fields' metadata and the rescued data (interface.md)."""
import base64
import json

import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder


def load(path, version=None):
    t = DeltaTable(path, version=version)
    rows = pa.table(QueryBuilder().register("t", t).execute("SELECT * FROM t").read_all()).to_pylist()
    return json.loads(t.schema().to_json())["fields"], rows


def text(v):
    return format(v, "f") if hasattr(v, "as_tuple") else str(v)


def scalar(t, v):
    if t == "B": return {"B": base64.b64encode(v).decode()}
    if t == "BOOL": return {"BOOL": v}
    return {t: text(v) if t == "N" else v}


def typed(t, element, delta, v):
    if t in ("S", "N", "B", "BOOL"): return scalar(t, v)
    if t == "M": return {"M": members(delta["fields"], v)}
    if t in ("SS", "NS", "BS"): return {t: [scalar(t[0], x)[t[0]] for x in v]}
    assert t == "L", t
    if element == "json": return {"L": [{"NULL": True} if x is None else json.loads(x) for x in v]}
    inner = element[2:-1] if element.startswith("L<") else None
    return {"L": [{"NULL": True} if x is None else typed("L" if inner else element, inner, delta["elementType"], x) for x in v]}


def members(fields, row):
    out = {}
    for f in fields:
        meta = f.get("metadata") or {}
        if "dynamodb.type" not in meta or row.get(f["name"]) is None: continue
        name = meta.get("dynamodb.name", f["name"])
        assert name not in out, f"two columns for {name}"
        out[name] = typed(meta["dynamodb.type"], meta.get("dynamodb.element"), f["type"], row[f["name"]])
    return out


def lay_over(item, rescued):
    for k, v in rescued.items():
        if k in item and "M" in v and "M" in item[k]: lay_over(item[k]["M"], v["M"])
        else: item[k] = v
    return item


def item(fields, row):
    out = members(fields, row)
    return lay_over(out, json.loads(row["_rescued_data"])) if row.get("_rescued_data") else out
