"""P1's peer: the same export by DuckDB SQL, the schema spelled out, typed columns, to Parquet. usage: p1_duckdb.py IN OUT.parquet"""
import sys

import duckdb

S, N, BOOL = "STRUCT(S VARCHAR)", "STRUCT(N VARCHAR)", "STRUCT(BOOL BOOLEAN)"
GEO = f"STRUCT(M STRUCT(lat {N}, lon {N}))"
ADDRESS = f"STRUCT(M STRUCT(name {S}, street {S}, zip {S}, city {S}, country {S}, geo {GEO}))"
LINES = f"STRUCT(L STRUCT(M STRUCT(sku {S}, title {S}, qty {N}))[])"
ITEM = {"pk": S, "sk": S, "type": S, "name": S, "email": S, "version": N, "rating": N, "newsletter": BOOL, "phone": S, "address": ADDRESS, "languages": "STRUCT(SS VARCHAR[])",
        "favourites": f"STRUCT(L {S}[])", "status": S, "created_at": S, "price": N, "currency": S, "gift": BOOL, "lines": LINES, "shipping": ADDRESS, "tags": "STRUCT(SS VARCHAR[])"}


def address(p):
    m = f"{p}.M"
    return (f"CASE WHEN {m} IS NOT NULL THEN {{'name': {m}.name.S, 'street': {m}.street.S, 'zip': {m}.zip.S, 'city': {m}.city.S, 'country': {m}.country.S, "
            f"'geo': {{'lat': {m}.geo.M.lat.N::DECIMAL(38,18), 'lon': {m}.geo.M.lon.N::DECIMAL(38,18)}}}} END")


COLUMNS = {"version": "version.N::BIGINT", "rating": "rating.N::DECIMAL(38,18)", "newsletter": "newsletter.BOOL", "gift": "gift.BOOL", "price": "price.N::BIGINT",
           "address": address("address"), "shipping": address("shipping"), "languages": "languages.SS", "tags": "tags.SS",
           "favourites": "list_transform(favourites.L, lambda x: x.S)",
           "lines": "list_transform(lines.L, lambda x: {'sku': x.M.sku.S, 'title': x.M.title.S, 'qty': x.M.qty.N::BIGINT})"}
con = duckdb.connect(config={"threads": "2"})
item = "STRUCT(" + ", ".join(f'"{k}" {v}' for k, v in ITEM.items()) + ")"
select = ", ".join(f'{COLUMNS.get(k, f"{k}.S")} AS "{k}"' for k in ITEM)
con.execute(f"COPY (SELECT {select} FROM (SELECT unnest(Item) FROM read_json('{sys.argv[1]}/AWSDynamoDB/*/data/*.json.gz', format='newline_delimited', "
            f"columns={{'Item': '{item}'}}))) TO '{sys.argv[2]}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)")
