"""Makes a lake with every kind of table (append-only with nested columns, keyed with soft and hard deletes, history, Gold,
quarantine; a schema that grows and a column that is widened on the way) and lets all readers read each at every version.
TRIB_SEED gives other data."""
import collections
import json
import os
import pathlib
import random
import subprocess
import tempfile

import tap
from readers import Readers, versions

BIN = os.path.abspath(os.environ.get("TRIB_BIN", "build/tributary"))
SEED = os.environ.get("TRIB_SEED", "1")
CONFIG = """
pipeline: readers
lake: ./lake
state: ./state
batch: {files: 1}
tables:
  - name: shop
    key: {partition: pk, sort: sk}
    source: {type: files, path: ./in}
    schema:
      hints: {created_at: timestamp, customs_no: "decimal(38,0)"}
    silver:
      - {where: "type = 'order'", domain: sales, table: orders}
      - {where: "type = 'customer'", domain: sales, table: customers, history: scd2}
      - {domain: plain, table: everything, deletes: hard}
gold:
  - {subject: sales, name: revenue_by_day, sql: revenue.sql}
"""
REVENUE = """
SELECT CAST(created_at AS DATE) AS day, count(*) AS orders, CAST(sum(coalesce(price, 0)) AS DECIMAL(38,2)) AS revenue
FROM silver.orders
WHERE NOT _is_deleted AND status NOT IN ('cart', 'cancelled', 'returned')
GROUP BY 1
"""
TABLES = {"bronze/dynamodb/shop", "quarantine/dynamodb/shop", "silver/sales/orders", "silver/sales/customers",
          "silver/sales/customers_history", "silver/plain/everything", "gold/sales/revenue_by_day"}


def tributary(*args, cwd):
    done = subprocess.run([BIN, *args, "--progress", "none"], cwd=cwd, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise AssertionError(f"tributary {' '.join(args)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def make_lake(folder):
    """Runs the pipeline over the export, then over a random number of record files at a time. The truth comes back."""
    (folder / "tributary.yaml").write_text(CONFIG)
    (folder / "revenue.sql").write_text(REVENUE)
    tributary("simulate", "--out", "delivery", "--seed", SEED, "--items", "300", "--changes", "400", cwd=folder)
    delivery, source = folder / "delivery", folder / "in"
    truth = json.loads((delivery / "_truth.json").read_text())
    source.mkdir()
    (delivery / "AWSDynamoDB").rename(source / "AWSDynamoDB")
    tributary("run", "--once", cwd=folder)
    for files in batches(sorted(delivery.glob("ingest_date=*/**/*.gz"))):
        for f in files:
            to = source / f.relative_to(delivery)
            to.parent.mkdir(parents=True, exist_ok=True)
            f.rename(to)
        tributary("run", "--once", cwd=folder)
    return truth


def batches(files):
    choice = random.Random(int(SEED))
    while files:
        n = choice.randint(1, 2)
        yield files[:n]
        files = files[n:]


def tables_of(lake):
    return {str(p.parent.relative_to(lake)) for p in lake.glob("**/_delta_log")}


def read_all(readers, lake, table, last):
    path, rows = str(lake / table), None
    for version in versions(path):
        rows = readers.agree(path, version)
    last[table] = rows


def same(what, wanted, got):
    assert wanted == got, f"{what}: expected {wanted}, read {got}"


def compare_with_truth(truth, last):
    """What the generator knows without knowing the pipeline."""
    bronze = collections.Counter(row["op"] for row in last["bronze/dynamodb/shop"] if row["_origin"] == "stream")
    same("records", {op: truth["records"][op] for op in ("INSERT", "MODIFY", "REMOVE")}, dict(bronze))
    same("corrupt records", truth["records"]["corrupt"], len(last["quarantine/dynamodb/shop"]))
    for kind in ("orders", "customers"):
        deleted = collections.Counter(row["_is_deleted"] for row in last[f"silver/sales/{kind}"])
        same(kind, truth[kind], {"live": deleted[False], "deleted": deleted[True]})
    keys = {(row["pk"], row["sk"]) for row in last["silver/plain/everything"]}
    same("keys of everything", len(keys), len(last["silver/plain/everything"]))
    same("live items", truth["orders"]["live"] + truth["customers"]["live"], len(keys))
    open_ended = [row for row in last["silver/sales/customers_history"] if row["__END_AT"] is None]
    same("open states of customers", truth["customers"]["live"], len(open_ended))
    days = {str(row["day"]): (row["orders"], row["revenue"]) for row in last["gold/sales/revenue_by_day"]}
    wanted = {d["day"]: (int(d["orders"]), type(next(iter(days.values()))[1])(d["revenue"])) for d in truth["revenue_by_day"]}
    same("revenue by day", wanted, days)


def nothing_new(folder, lake):
    before = {t: versions(str(lake / t)) for t in TABLES}
    tributary("run", "--once", cwd=folder)
    same("versions after a run without new input", before, {t: versions(str(lake / t)) for t in TABLES})


def main():
    with tempfile.TemporaryDirectory() as name, Readers() as readers:
        folder, last, truth = pathlib.Path(name), {}, {}
        lake = folder / "lake"
        print(f"# TRIB_SEED={SEED}")
        tap.case("the pipeline runs", lambda: truth.update(make_lake(folder)))
        tap.case("the tables are there", lambda: same("missing tables", set(), TABLES - tables_of(lake)))
        for table in sorted(tables_of(lake)):
            tap.case(f"{table} at every version", lambda t=table: read_all(readers, lake, t, last))
        tap.case("the last versions hold the truth", lambda: compare_with_truth(truth, last))
        tap.case("a run without new input commits nothing", lambda: nothing_new(folder, lake))
    tap.done()


main()
