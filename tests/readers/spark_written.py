"""Spark writes tables with all features that it has; `tributary query` reads them."""
import glob
import os
import sys
import tempfile

import readers
import tap
import through_query

SPECIAL = "a b%20/c=d:e?*'\"\\ä+#"


def partition_types(sql, path):
    sql(f"""CREATE TABLE delta.`{path}` (id BIGINT, b BYTE, s SHORT, i INT, f FLOAT, d DOUBLE, de DECIMAL(20,4), bo BOOLEAN, da DATE,
            ts TIMESTAMP, tn TIMESTAMP_NTZ, st STRING) USING delta PARTITIONED BY (b, s, i, f, d, de, bo, da, ts, tn, st)""")
    text = SPECIAL.replace("\\", "\\\\").replace("'", "\\'")
    sql(f"""INSERT INTO delta.`{path}` VALUES
        (1, 1, -2, 3, 1.5, -2.25, 12345.6789, true, DATE'2026-01-31', TIMESTAMP'2026-01-31 23:59:59.123456', TIMESTAMP_NTZ'2026-01-31 01:02:03', 'plain'),
        (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
        (3, -128, 32767, -2147483648, CAST('NaN' AS FLOAT), CAST('-Infinity' AS DOUBLE), -0.0001, false, DATE'1582-10-15', TIMESTAMP'1969-12-31 23:59:59',
         TIMESTAMP_NTZ'1900-01-01 00:00:00', '{text}')""")


def nested(sql, path):
    sql(f"""CREATE TABLE delta.`{path}` USING delta AS SELECT id, named_struct('a', id, 'b', array(named_struct('c', string(id)), null)) st,
            map(string(id), named_struct('d', id)) m, CASE WHEN id % 2 = 0 THEN binary(string(id)) END bin, array(array(id)) ll FROM range(20)""")


def mapped_by_name(sql, path):
    nested(sql, path)
    sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name', 'delta.minReaderVersion' = '2', 'delta.minWriterVersion' = '5')")
    sql(f"ALTER TABLE delta.`{path}` RENAME COLUMN st TO `renamed, st`")
    sql(f"ALTER TABLE delta.`{path}` RENAME COLUMN `renamed, st`.b TO bb")
    sql(f"ALTER TABLE delta.`{path}` DROP COLUMN bin")
    sql(f"ALTER TABLE delta.`{path}` ADD COLUMNS (bin STRING)")
    sql(f"""INSERT INTO delta.`{path}` SELECT id, named_struct('a', id, 'bb', array(named_struct('c', 'new'))),
            map('k', named_struct('d', id)), array(array(id)), 'text' FROM range(3)""")


def mapped_from_birth(mode):
    def make(sql, path):
        sql(f"""CREATE TABLE delta.`{path}` (id BIGINT, `p 1` STRING, st STRUCT<`x y`: INT, l: ARRAY<STRUCT<z: STRING>>>, m MAP<STRING, STRUCT<v: INT>>)
                USING delta PARTITIONED BY (`p 1`) TBLPROPERTIES ('delta.columnMapping.mode' = '{mode}')""")
        sql(f"""INSERT INTO delta.`{path}` SELECT id, CASE WHEN id % 3 > 0 THEN string(id % 3) END, CASE WHEN id % 4 > 0 THEN
                named_struct('x y', int(id), 'l', array(named_struct('z', 'z'), null)) END, map('k', named_struct('v', int(id))) FROM range(12)""")
        sql(f"ALTER TABLE delta.`{path}` RENAME COLUMN `p 1` TO p2")
        sql(f"INSERT INTO delta.`{path}` VALUES (99, 'x', NULL, NULL)")
    return make


def vectors(sql, path, properties=""):
    sql(f"CREATE TABLE delta.`{path}` (id BIGINT, p INT) USING delta PARTITIONED BY (p) TBLPROPERTIES ('delta.enableDeletionVectors' = 'true'{properties})")
    sql(f"INSERT INTO delta.`{path}` SELECT /*+ COALESCE(1) */ id, int(id % 2) FROM range(300000)")
    sql(f"DELETE FROM delta.`{path}` WHERE id < 100000 OR id % 7 = 3")
    sql(f"UPDATE delta.`{path}` SET id = -id WHERE id % 1000 = 0")
    sql(f"DELETE FROM delta.`{path}` WHERE id IN (100001, 299999)")


def vectors_v2(sql, path):
    vectors(sql, path, ", 'delta.checkpointPolicy' = 'v2', 'delta.checkpointInterval' = '2'")
    assert glob.glob(path + "/_delta_log/_sidecars/*.parquet"), "Spark wrote no sidecars"


def checkpoints(extra=""):
    def make(sql, path):
        sql(f"CREATE TABLE delta.`{path}` (id BIGINT, p STRING) USING delta PARTITIONED BY (p) TBLPROPERTIES ('delta.checkpointInterval' = '3'{extra})")
        for i in range(7):
            sql(f"INSERT INTO delta.`{path}` SELECT /*+ REPARTITION(3) */ id, 'p{i}' FROM range({i}, {i + 9})")
        sql(f"DELETE FROM delta.`{path}` WHERE p = 'p2'")
        assert glob.glob(path + "/_delta_log/*.checkpoint*"), "Spark wrote no checkpoint"
        # Only the checkpoint knows what these said.
        for commit in sorted(glob.glob(path + "/_delta_log/*.json"))[:6]:
            os.remove(commit)
    return make


def multi_part(spark):
    def make(sql, path):
        spark.conf.set("spark.databricks.delta.checkpoint.partSize", "4")
        try:
            checkpoints()(sql, path)
        finally:
            spark.conf.unset("spark.databricks.delta.checkpoint.partSize")
        assert len(glob.glob(path + "/_delta_log/*.checkpoint.0*.parquet")) > 2, "Spark wrote no parts"
    return make


def widened(sql, path):
    sql(f"""CREATE TABLE delta.`{path}` (b BYTE, s SHORT, i INT, f FLOAT, d DECIMAL(5,2), da DATE, st STRUCT<x: INT>, l ARRAY<SHORT>) USING delta
            TBLPROPERTIES ('delta.enableTypeWidening' = 'true', 'delta.feature.timestampNtz' = 'supported')""")
    sql(f"INSERT INTO delta.`{path}` VALUES (1, 2, 3, 1.5, 1.25, DATE'2026-01-01', named_struct('x', 1), array(1)), (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)")
    for column, wide in {"b": "INT", "s": "BIGINT", "i": "BIGINT", "f": "DOUBLE", "d": "DECIMAL(20,4)", "da": "TIMESTAMP_NTZ", "st.x": "BIGINT", "l.element": "INT"}.items():
        sql(f"ALTER TABLE delta.`{path}` ALTER COLUMN {column} TYPE {wide}")
    sql(f"""INSERT INTO delta.`{path}` VALUES (100000, 5000000000, 5000000000, 1e300, 1234567890.1234, TIMESTAMP_NTZ'2026-01-01 01:02:03',
            named_struct('x', 5000000000), array(70000))""")


def simple(properties, then=()):
    def make(sql, path):
        sql(f"CREATE TABLE delta.`{path}` (id BIGINT, s STRING) USING delta TBLPROPERTIES ({properties})")
        sql(f"INSERT INTO delta.`{path}` SELECT id, string(id) FROM range(100)")
        for statement in then:
            sql(statement.format(path=path))
        sql(f"UPDATE delta.`{path}` SET s = 'changed' WHERE id < 10")
    return make


def clustered(sql, path):
    sql(f"CREATE TABLE delta.`{path}` (id BIGINT, s STRING) USING delta CLUSTER BY (id)")
    sql(f"INSERT INTO delta.`{path}` SELECT id, string(id) FROM range(100)")
    sql(f"OPTIMIZE delta.`{path}`")


def generated(sql, path):
    sql(f"""CREATE TABLE delta.`{path}` (id BIGINT, n VARCHAR(5), c CHAR(3), x BIGINT DEFAULT 7) USING delta
            TBLPROPERTIES ('delta.feature.allowColumnDefaults' = 'supported')""")
    sql(f"INSERT INTO delta.`{path}` (id, n, c) VALUES (1, 'ab', 'ccc'), (2, NULL, NULL)")
    sql(f"ALTER TABLE delta.`{path}` ADD CONSTRAINT positive CHECK (id > 0)")


def evolved(sql, path):
    nested(sql, path)
    sql(f"ALTER TABLE delta.`{path}` ADD COLUMNS (st.new STRING, m.value.n2 INT, extra DECIMAL(38,18))")
    sql(f"""INSERT INTO delta.`{path}` SELECT id, named_struct('a', id, 'b', null, 'new', 'n'), map('k', named_struct('d', id, 'n2', 2)), null, null,
            CAST('12345678901234567890.123456789012345678' AS DECIMAL(38,18)) FROM range(2)""")
    sql(f"RESTORE TABLE delta.`{path}` TO VERSION AS OF 1")
    sql(f"INSERT INTO delta.`{path}` (id) VALUES (1000)")
    sql(f"REFRESH TABLE delta.`{path}`")


def cloned(sql, path):
    nested(sql, path + "-source")
    sql(f"CREATE TABLE delta.`{path}` SHALLOW CLONE delta.`{path}-source`")
    sql(f"INSERT INTO delta.`{path}` (id) VALUES (1000)")


def odd_paths(sql, path):
    nested(sql, path + "/x y%20z#ä")


REFUSED = {
    "variant": ("CREATE TABLE delta.`{path}` (id BIGINT, v VARIANT) USING delta", "variantType"),
}


def check(spark, reader, name, make, folder):
    path = os.path.join(folder, name)
    make(spark.sql, path)
    if name == "odd paths":
        path += "/x y%20z#ä"
    expected = os.path.join(folder, name + "-expected")
    spark.read.format("delta").load(path).coalesce(1).write.parquet(expected)
    found = through_query.difference(path, glob.glob(glob.escape(expected) + "/*.parquet"))
    assert found is None, found
    assert through_query.count(path)[1] > 0, "an empty table proves nothing"


def check_refused(spark, name, folder):
    statement, feature = REFUSED[name]
    path = os.path.join(folder, name)
    spark.sql(statement.format(path=path))
    status, _, text = through_query.count(path)
    assert status == 69 and f"'{feature}'" in text, (status, text)


def main():
    try:
        holder = readers.Readers(["spark"])
    except readers.Unavailable as e:
        tap.skip("tables by Spark", f"{e}")
        tap.done()
    with holder, tempfile.TemporaryDirectory() as folder:
        holder.readers["spark"].start()
        spark = holder.readers["spark"].session
        tables = {
            "partition types": partition_types, "nested": nested, "mapped by name": mapped_by_name,
            "mapped from birth by name": mapped_from_birth("name"), "mapped from birth by id": mapped_from_birth("id"),
            "vectors": vectors, "vectors and V2 checkpoints": vectors_v2, "checkpoints": checkpoints(),
            "statistics as structs": checkpoints(", 'delta.checkpoint.writeStatsAsStruct' = 'true', 'delta.checkpoint.writeStatsAsJson' = 'false'"),
            "V2 checkpoints": checkpoints(", 'delta.checkpointPolicy' = 'v2'"), "multi-part checkpoints": multi_part(spark),
            "widened types": widened, "row tracking": simple("'delta.enableRowTracking' = 'true'"),
            "in-commit timestamps": simple("'delta.enableInCommitTimestamps' = 'true'"),
            "change feed": simple("'delta.enableChangeDataFeed' = 'true'"), "clustered": clustered, "defaults and constraints": generated,
            "evolved and restored": evolved, "cloned": cloned, "odd paths": odd_paths,
        }
        wanted = sys.argv[1:]
        for name, make in tables.items():
            if not wanted or name in wanted:
                tap.case(name, lambda m=make, n=name: check(spark, holder, n, m, folder))
        for name in REFUSED:
            if not wanted or name in wanted:
                tap.case(f"{name} refused", lambda n=name: check_refused(spark, n, folder))
    tap.done()


if __name__ == "__main__":
    main()
