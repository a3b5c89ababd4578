"""P1's peer: the same export by Polars (JSON lines, schema spelled out) and delta-rs. usage: p1_polars.py IN OUT"""
import glob
import gzip
import io
import sys

import polars as pl
from deltalake import write_deltalake

S, N, BOOL = pl.Struct({"S": pl.String}), pl.Struct({"N": pl.String}), pl.Struct({"BOOL": pl.Boolean})
GEO = pl.Struct({"M": pl.Struct({"lat": N, "lon": N})})
ADDRESS = pl.Struct({"M": pl.Struct({"name": S, "street": S, "zip": S, "city": S, "country": S, "geo": GEO})})
LINES = pl.Struct({"L": pl.List(pl.Struct({"M": pl.Struct({"sku": S, "title": S, "qty": N})}))})
ITEM = {"pk": S, "sk": S, "type": S, "name": S, "email": S, "version": N, "rating": N, "newsletter": BOOL, "phone": S, "address": ADDRESS,
        "languages": pl.Struct({"SS": pl.List(pl.String)}), "favourites": pl.Struct({"L": pl.List(S)}), "status": S, "created_at": S, "price": N, "currency": S,
        "gift": BOOL, "lines": LINES, "shipping": ADDRESS, "tags": pl.Struct({"SS": pl.List(pl.String)})}


def address(c):
    m = pl.col(c).struct.field("M")
    geo = m.struct.field("geo").struct.field("M")
    num = lambda f: geo.struct.field(f).struct.field("N").cast(pl.Decimal(38, 18)).alias(f)  # noqa: E731
    return pl.struct([m.struct.field(f).struct.field("S").alias(f) for f in ("name", "street", "zip", "city", "country")] + [pl.struct([num("lat"), num("lon")]).alias("geo")]).alias(c)


def columns():
    for c, t in ITEM.items():
        if t is ADDRESS: yield address(c)
        elif c in ("version", "price"): yield pl.col(c).struct.field("N").cast(pl.Int64, strict=False).alias(c)
        elif t is N: yield pl.col(c).struct.field("N").cast(pl.Decimal(38, 18)).alias(c)
        elif t is BOOL: yield pl.col(c).struct.field("BOOL").alias(c)
        elif c in ("languages", "tags"): yield pl.col(c).struct.field("SS").alias(c)
        elif c == "favourites": yield pl.col(c).struct.field("L").list.eval(pl.element().struct.field("S")).alias(c)
        elif c == "lines":
            e = pl.element().struct.field("M")
            yield pl.col(c).struct.field("L").list.eval(pl.struct([e.struct.field("sku").struct.field("S").alias("sku"), e.struct.field("title").struct.field("S").alias("title"),
                                                                  e.struct.field("qty").struct.field("N").cast(pl.Int64).alias("qty")])).alias(c)
        else: yield pl.col(c).struct.field("S").alias(c)


for f in sorted(glob.glob(f"{sys.argv[1]}/AWSDynamoDB/*/data/*.json.gz")):
    raw = gzip.open(f).read()
    if raw:
        df = pl.read_ndjson(io.BytesIO(raw), schema={"Item": pl.Struct(ITEM)}).unnest("Item").select(list(columns()))
        write_deltalake(sys.argv[2], df.to_arrow(), mode="append")
