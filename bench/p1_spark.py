"""P1's peer: the same export by Spark + Delta, schema spelled out. usage: p1_spark.py IN OUT; TRIB_SPARK_JARS names the jars."""
import os
import sys

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

S, N = "struct<S:string>", "struct<N:string>"
GEO = f"struct<M:struct<lat:{N},lon:{N}>>"
ADDRESS = f"struct<M:struct<name:{S},street:{S},zip:{S},city:{S},country:{S},geo:{GEO}>>"
ITEM = {"pk": S, "sk": S, "type": S, "name": S, "email": S, "version": N, "rating": N, "newsletter": "struct<BOOL:boolean>", "phone": S, "address": ADDRESS,
        "languages": "struct<SS:array<string>>", "favourites": f"struct<L:array<{S}>>", "status": S, "created_at": S, "price": N, "currency": S, "gift": "struct<BOOL:boolean>",
        "lines": f"struct<L:array<struct<M:struct<sku:{S},title:{S},qty:{N}>>>>", "shipping": ADDRESS, "tags": "struct<SS:array<string>>"}
D = "cast({} as decimal(38,18))"


def address(p):
    m = f"Item.{p}.M"
    return (f"if({m} is null, null, named_struct('name',{m}.name.S,'street',{m}.street.S,'zip',{m}.zip.S,'city',{m}.city.S,'country',{m}.country.S,"
            f"'geo',named_struct('lat',{D.format(m + '.geo.M.lat.N')},'lon',{D.format(m + '.geo.M.lon.N')})))")


SPECIAL = {"version": "try_cast(Item.version.N as bigint)", "price": "try_cast(Item.price.N as bigint)", "rating": D.format("Item.rating.N"), "newsletter": "Item.newsletter.BOOL",
           "gift": "Item.gift.BOOL", "address": address("address"), "shipping": address("shipping"), "languages": "Item.languages.SS", "tags": "Item.tags.SS",
           "favourites": "transform(Item.favourites.L, x -> x.S)",
           "lines": "transform(Item.lines.L, x -> named_struct('sku',x.M.sku.S,'title',x.M.title.S,'qty',cast(x.M.qty.N as bigint)))"}
spark = (SparkSession.builder.master("local[2]").config("spark.jars", os.environ["TRIB_SPARK_JARS"]).config("spark.driver.memory", "4g")
         .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension").config("spark.ui.enabled", "false").config("spark.ui.showConsoleProgress", "false")
         .config("spark.sql.parquet.compression.codec", "zstd").config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog").getOrCreate())
schema = "Item struct<" + ",".join(f"{k}:{v}" for k, v in ITEM.items()) + ">"
df = spark.read.schema(schema).json(f"{sys.argv[1]}/AWSDynamoDB/*/data/*.json.gz")
df.select([F.expr(SPECIAL.get(k, f"Item.{k}.S")).alias(k) for k in ITEM]).write.format("delta").save(sys.argv[2])
# The JVM is nobody's waited-for child: its CPU time is read before it ends.
stat = open(f"/proc/{spark.sparkContext._gateway.proc.pid}/stat").read().rsplit(")", 1)[1].split()
print("CPU_NS", (int(stat[11]) + int(stat[12])) * 10**9 // os.sysconf("SC_CLK_TCK"))
