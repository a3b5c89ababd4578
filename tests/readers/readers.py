"""Delta tables as four independent readers see them: delta-rs, DuckDB's delta extension, Polars, Spark with Delta.

    readers = Readers()                        # or Readers(["deltars", "spark"]); raises Unavailable with the reason
    rows = readers.rows("duckdb", path, 3)     # a list of Row in no particular order
    readers.agree(path, 3)                     # all of them read the same rows: returns them, else raises Disagreement
    for version in versions(path): …           # every version that the log still has

Rows are comparable and hashable, whatever the reader: a Row is a tuple of (column, value) in the order of the table's
schema, and so is a struct; an array is a tuple; a map is a Map of its sorted entries; BINARY is bytes, DECIMAL a
Decimal, TIMESTAMP an aware datetime in UTC, DATE a date; a NaN equals itself. The Delta schema in the log says what a value is: a reader
that gives a column of another name, order or type is told apart as well.

Polars percent-encodes the path of a table: use one without spaces. One Spark session (a JVM) is started with the first table that is read by it and serves all others of the process.
Nothing here is used by the program; nothing here knows how the program works.
"""
import collections
import datetime
import glob
import json
import math
import os
import re
import sys
import tempfile

ALL = ("deltars", "duckdb", "polars", "spark")
UTC = datetime.timezone.utc


class Unavailable(Exception):
    """A reader is not installed here (make setup installs all)."""


class Disagreement(Exception):
    """Two readers read different things, or one of them cannot read the table at all."""


class Row(tuple):
    """A row or a struct: (name, value) pairs; row["name"] looks one up."""
    __slots__ = ()

    def __getitem__(self, key):
        if isinstance(key, str):
            for name, value in self:
                if name == key:
                    return value
            raise KeyError(key)
        return tuple.__getitem__(self, key)

    def get(self, key, default=None):
        return next((value for name, value in self if name == key), default)

    def names(self):
        return [name for name, _ in self]


class Map(tuple):
    """A map: its (key, value) pairs, sorted by key."""
    __slots__ = ()


class NaN(float):
    """The one float that equals itself."""
    def __new__(cls):
        return float.__new__(cls, "nan")

    def __eq__(self, other):
        return isinstance(other, float) and math.isnan(other)

    def __ne__(self, other):
        return not self == other

    def __hash__(self):
        return hash("NaN")


# ---- the log, as far as it is needed to know what a reader should see -------------------------------------------------
def versions(path):
    """The versions that can be read, oldest first: those with a commit file, from the first complete state on."""
    names = os.listdir(os.path.join(path, "_delta_log"))
    commits = sorted(int(n[:20]) for n in names if re.fullmatch(r"\d{20}\.json", n))
    checkpoints = sorted({int(n[:20]) for n in names if re.match(r"\d{20}\.checkpoint\.", n)})
    if not commits:
        raise Disagreement(f"{path}: its log has no commit")
    start = 0 if commits[0] == 0 else next((c for c in checkpoints if c >= commits[0] - 1), commits[-1])
    return [v for v in commits if v >= start]


def schema(path, version=None):
    """The Delta schema (a dict) at a version, as delta-rs reads it; metadata of the fields included."""
    from deltalake import DeltaTable
    try:
        return json.loads(DeltaTable(path, version=version).schema().to_json())
    except Exception as e:  # of several kinds, all saying that there is no such version
        raise Disagreement(f"delta-rs finds no schema in {path} at version {version}: {first_lines(e)}") from e


def type_text(delta_type):
    """struct<a:long,b:array<string>>: for messages and comparison; nullability and metadata left out."""
    if isinstance(delta_type, str):
        return delta_type.replace(" ", "")
    kind = delta_type["type"]
    if kind == "struct":
        return "struct<" + ",".join(f"{f['name']}:{type_text(f['type'])}" for f in delta_type["fields"]) + ">"
    if kind == "array":
        return f"array<{type_text(delta_type['elementType'])}>"
    return f"map<{type_text(delta_type['keyType'])},{type_text(delta_type['valueType'])}>"


# ---- from Arrow to values ---------------------------------------------------------------------------------------------
def arrow_fits(arrow, delta_type):
    """Whether an Arrow type is what the Delta type should become; None or the reason against."""
    import pyarrow.types as t
    if isinstance(delta_type, str):
        if delta_type.startswith("decimal"):
            precision, scale = map(int, re.findall(r"\d+", delta_type))
            good = t.is_decimal(arrow) and (arrow.precision, arrow.scale) == (precision, scale)
        else:
            good = {
                "string": lambda a: t.is_string(a) or t.is_large_string(a) or t.is_string_view(a),
                "binary": lambda a: t.is_binary(a) or t.is_large_binary(a) or t.is_binary_view(a),
                "byte": t.is_int8, "short": t.is_int16, "integer": t.is_int32, "long": t.is_int64,
                "float": t.is_float32, "double": t.is_float64, "boolean": t.is_boolean, "date": t.is_date32,
                "timestamp": lambda a: t.is_timestamp(a) and a.tz is not None,
                "timestamp_ntz": lambda a: t.is_timestamp(a) and a.tz is None,
                "void": t.is_null,
            }[delta_type](arrow)
        return None if good else f"{arrow} where the schema has {delta_type}"
    kind = delta_type["type"]
    if kind == "struct":
        return struct_fits(arrow, delta_type["fields"])
    is_list = t.is_list(arrow) or t.is_large_list(arrow) or t.is_list_view(arrow) or t.is_large_list_view(arrow)
    if kind == "array":
        return arrow_fits(arrow.value_type, delta_type["elementType"]) if is_list else f"{arrow} where there is an array"
    if t.is_map(arrow):
        return arrow_fits(arrow.key_type, delta_type["keyType"]) or arrow_fits(arrow.item_type, delta_type["valueType"])
    # Polars has no maps: it gives lists of {key, value}.
    if not (is_list and t.is_struct(arrow.value_type) and [f.name for f in arrow.value_type] == ["key", "value"]):
        return f"{arrow} where there is a map"
    entry = arrow.value_type
    return arrow_fits(entry[0].type, delta_type["keyType"]) or arrow_fits(entry[1].type, delta_type["valueType"])


def struct_fits(arrow, fields):
    got, wanted = [f.name for f in arrow], [f["name"] for f in fields]
    if got != wanted:
        return f"columns {got} where the schema has {wanted}"
    for a, f in zip(arrow, fields):
        why = arrow_fits(a.type, f["type"])
        if why:
            return f"{f['name']}: {why}"
    return None


def value(v, delta_type):
    """A value out of pyarrow's to_pylist in its comparable form."""
    if v is None:
        return None
    if isinstance(delta_type, str):
        if isinstance(v, float) and math.isnan(v):
            return NaN()
        if delta_type == "timestamp":
            return v.astimezone(UTC)
        return v
    kind = delta_type["type"]
    if kind == "struct":
        return Row((f["name"], value(v[f["name"]], f["type"])) for f in delta_type["fields"])
    if kind == "array":
        return tuple(value(x, delta_type["elementType"]) for x in v)
    entries = [(e["key"], e["value"]) if isinstance(e, dict) else e for e in v]
    return Map(sorted(((value(k, delta_type["keyType"]), value(x, delta_type["valueType"])) for k, x in entries),
                      key=lambda e: repr(e[0])))


def rows_of(table, fields, reader):
    """The Rows of a pyarrow Table; raises Disagreement where its shape is not the schema's."""
    why = struct_fits(table.schema, fields)
    if why:
        raise Disagreement(f"{reader} reads {why}")
    columns = []
    for column, field in zip(table.columns, fields):
        columns.append([value(v, field["type"]) for v in plain_times(column).to_pylist()])
    names = [f["name"] for f in fields]
    return [Row(zip(names, values)) for values in zip(*columns)] if columns else []


def plain_times(column):
    """Timestamps in microseconds and UTC: other units and zones would come out of to_pylist as other objects."""
    import pyarrow as pa

    def plain(t):
        if pa.types.is_timestamp(t):
            return pa.timestamp("us", tz="UTC" if t.tz is not None else None)
        if pa.types.is_struct(t):
            return pa.struct([pa.field(f.name, plain(f.type)) for f in t])
        if pa.types.is_large_list(t):
            return pa.large_list(plain(t.value_type))
        if pa.types.is_list(t):
            return pa.list_(plain(t.value_type))
        if pa.types.is_map(t):
            return pa.map_(plain(t.key_type), plain(t.item_type))
        return t

    wanted = plain(column.type)
    return column if wanted == column.type else column.cast(wanted)


# ---- the readers ------------------------------------------------------------------------------------------------------
class DeltaRs:
    def __init__(self):
        import deltalake
        self.deltalake = deltalake

    def table(self, path, version):
        import pyarrow as pa
        table = self.deltalake.DeltaTable(path, version=version)
        # Not to_pyarrow_table: that one does not know deletion vectors.
        return pa.table(self.deltalake.QueryBuilder().register("t", table).execute("SELECT * FROM t").read_all())


class DuckDb:
    def __init__(self):
        import duckdb
        import duckdb_extension_delta
        self.con = duckdb.connect(config={"allow_unsigned_extensions": "true", "threads": "2"})
        found = glob.glob(glob.escape(list(duckdb_extension_delta.__path__)[0]) + "/extensions/*/delta.duckdb_extension")
        if len(found) != 1:
            raise Unavailable("duckdb-extension-delta has no delta.duckdb_extension for this DuckDB")
        self.con.execute(f"LOAD '{found[0]}'")
        self.con.execute("SET TimeZone = 'UTC'")

    def table(self, path, version):
        at = "" if version is None else f", version => {int(version)}"
        quoted = path.replace("'", "''")
        return self.con.execute(f"SELECT * FROM delta_scan('{quoted}'{at})").to_arrow_table()


class Polars:
    def __init__(self):
        import polars
        self.polars = polars

    def table(self, path, version):
        return self.polars.scan_delta(path, version=version).collect().to_arrow()


class Spark:
    def __init__(self):
        jars = os.environ.get("TRIB_SPARK_JARS") or ",".join(sorted(glob.glob(
            os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../.deps/jars/*.jar"))))
        if not jars:
            raise Unavailable("Spark's Delta jars are not there")
        self.jars, self.session, self.scratch = jars, None, None

    def start(self):
        from pyspark.sql import SparkSession
        os.environ.update(TZ="UTC", SPARK_LOCAL_IP="127.0.0.1", PYSPARK_PYTHON=sys.executable)
        self.scratch = tempfile.TemporaryDirectory(prefix="spark-")
        settings = {
            "spark.jars": self.jars,
            "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
            "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
            "spark.sql.session.timeZone": "UTC",
            "spark.sql.shuffle.partitions": "2",
            "spark.databricks.delta.snapshotPartitions": "2",
            "spark.sql.warehouse.dir": self.scratch.name,
            "spark.local.dir": self.scratch.name,
            "spark.driver.memory": "1g",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            # Many small tables, each read once: compiling costs more than it gives.
            "spark.sql.codegen.wholeStage": "false",
            "spark.sql.codegen.factoryMode": "NO_CODEGEN",
            "spark.driver.extraJavaOptions": "-Duser.timezone=UTC -XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        }
        builder = SparkSession.builder.master("local[2]").appName("readers")
        for key, setting in settings.items():
            builder = builder.config(key, setting)
        self.session = builder.getOrCreate()
        self.session.sparkContext.setLogLevel("OFF") # what fails raises; its stack traces would bury the report

    def table(self, path, version):
        if self.session is None:
            self.start()
        reader = self.session.read.format("delta")
        if version is not None:
            reader = reader.option("versionAsOf", int(version))
        return reader.load(path).toArrow()

    def close(self):
        if self.session is not None:
            self.session.stop()
            self.scratch.cleanup()
            self.session = None


MAKERS = {"deltars": DeltaRs, "duckdb": DuckDb, "polars": Polars, "spark": Spark}


class Readers:
    """The readers of one process; a context manager that ends Spark's session."""

    def __init__(self, names=ALL):
        self.readers = {}
        for name in names:
            try:
                self.readers[name] = MAKERS[name]()
            except ImportError as e:
                raise Unavailable(f"{name}: {e} (make setup installs it)") from e

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if "spark" in self.readers:
            self.readers["spark"].close()

    def rows(self, name, path, version=None, fields=None):
        """The rows of a table by one reader. fields: the Delta schema's, when the caller has it already."""
        fields = schema(path, version)["fields"] if fields is None else fields
        try:
            table = self.readers[name].table(path, version)
        except Exception as e:  # what a reader raises is of many kinds, and each of them says that it cannot read
            raise Disagreement(f"{name} cannot read {path} at version {version}: {first_lines(e)}") from e
        return rows_of(table, fields, name)

    def agree(self, path, version=None, expected=None):
        """The rows that all readers read. expected: what they should be (any iterable of Rows), if that is known."""
        fields = schema(path, version)["fields"]
        reference, wanted = ("expected", collections.Counter(expected)) if expected is not None else (None, None)
        rows = []
        for name in self.readers:
            rows = self.rows(name, path, version, fields)
            got = collections.Counter(rows)
            if wanted is None:
                reference, wanted = name, got
            elif got != wanted:
                raise Disagreement(f"{path} at version {version}:\n{difference(reference, wanted, name, got)}")
        return rows


def difference(one, left, other, right, limit=5):
    """What stands in one counter of rows and not in the other, in words."""
    lines = [f"{one} has {left.total()} rows, {other} has {right.total()}"]
    for name, rows in ((one, left - right), (other, right - left)):
        for row, count in list(rows.items())[:limit]:
            lines.append(f"  only {name} ({count}x): {row!r}")
        if len(rows) > limit:
            lines.append(f"  … and {len(rows) - limit} more rows of {name}")
    return "\n".join(lines)


def first_lines(error, count=4):
    return "\n".join(str(error).strip().splitlines()[:count]) or type(error).__name__
