"""Tables by tests/tools/delta_write.c, read by every reader that is here, against the rows that went in."""
import collections
import json
import os
import subprocess
import sys
import tempfile

import deltalake
import pyarrow.parquet

import readers
import tap
import through_query

BUILD = os.environ.get("TRIB_BUILD", "build")
LAST = 5  # the version after the creation, four appends and a removal


def check_rows(reader, name, path, expected):
    fields = readers.schema(path)["fields"]
    wanted = collections.Counter(readers.rows_of(pyarrow.parquet.read_table(expected), fields, "the input"))
    assert sum(wanted.values()) == 30
    found = collections.Counter(reader.rows(name, path, fields=fields))
    assert found == wanted, f"only read: {list((found - wanted))[:2]}, not read: {list((wanted - found))[:2]}"


def check_facts(path, protocol):
    table = deltalake.DeltaTable(path)
    assert table.version() == LAST, table.version()
    assert table.metadata().configuration["tributary.note"] == '{"a": [1]}'
    assert table.transaction_version("tributary.test") == LAST
    assert (table.protocol().min_reader_version, table.protocol().min_writer_version) == protocol
    assert json.loads(table.schema().to_json())["fields"][0]["metadata"] == {"dynamodb.type": "N"}
    adds = table.get_add_actions(flatten=True)
    assert sum(adds.column("num_records").to_pylist()) == 30
    assert sorted(adds.column("min.id").to_pylist()) == [0, 10, 20]
    assert sorted(adds.column("max.id").to_pylist()) == [9, 19, 29]


def check_versions(reader, name, path):
    counts = [len(reader.rows(name, path, v)) for v in readers.versions(path)]
    assert counts == [0, 10, 20, 30, 40, 30], counts


def check_appended(path):
    """Another writer goes on where we stopped, and its checkpoint keeps what is ours."""
    rows = deltalake.QueryBuilder().register("t", deltalake.DeltaTable(path)).execute("SELECT * FROM t WHERE id < 5").read_all()
    deltalake.write_deltalake(path, rows, mode="append")
    table = deltalake.DeltaTable(path)
    table.create_checkpoint()
    assert table.version() == LAST + 1
    assert through_query.count(path) == (0, 35, ""), through_query.count(path)
    assert deltalake.DeltaTable(path).transaction_version("tributary.test") == LAST


def main():
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([f"{BUILD}/delta_write", folder], check=True, timeout=120)
        expected = os.path.join(folder, "expected.parquet")
        for name in readers.ALL:
            try:
                reader = readers.Readers([name])
            except readers.Unavailable as e:
                tap.skip(f"read by {name}", f"{e}")
                continue
            with reader:
                for table in "commits", "checkpointed", "features":
                    path = os.path.join(folder, table)
                    tap.case(f"{table} read by {name}", lambda p=path: check_rows(reader, name, p, expected))
                tap.case(f"every version read by {name}", lambda: check_versions(reader, name, os.path.join(folder, "commits")))
        for table, protocol in ("commits", (1, 2)), ("checkpointed", (1, 2)), ("features", (1, 7)):
            tap.case(f"{table}: properties, transactions, statistics", lambda: check_facts(os.path.join(folder, table), protocol))
        for table in "commits", "checkpointed":
            tap.case(f"{table}: delta-rs goes on", lambda: check_appended(os.path.join(folder, table)))
    tap.done()


if __name__ == "__main__":
    sys.exit(main())
