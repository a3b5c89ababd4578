"""A Delta table as `tributary query` sees it, against rows in Parquet files: as bags, by the columns' names."""
import csv
import os
import subprocess

BIN = os.environ.get("TRIB_BIN", "build/tributary")


def literal(text):
    return "'" + str(text).replace("'", "''") + "'"


def query(sql):
    """(exit status, rows as dicts of texts, messages)"""
    done = subprocess.run([BIN, "query", "--output", "csv", "--progress", "none", sql], capture_output=True, text=True, timeout=120)
    return done.returncode, list(csv.DictReader(done.stdout.splitlines())) if done.returncode == 0 else [], done.stderr.strip()


def count(table):
    """(exit status, number of rows or None, messages)"""
    status, rows, text = query(f"SELECT count(*) AS n FROM delta({literal(table)})")
    return status, int(rows[0]["n"]) if rows else None, text


def difference(table, files):
    """None where the rows are the same and some; else what is wrong."""
    theirs = f"read_parquet([{', '.join(literal(f) for f in files)}], hive_partitioning = false)"
    status, described, text = query(f"SELECT column_name FROM (DESCRIBE SELECT * FROM {theirs})")
    if status != 0:
        return text
    columns = ", ".join('"' + row["column_name"].replace('"', '""') + '"' for row in described)
    ours = f"SELECT {columns} FROM delta({literal(table)})"
    theirs = f"SELECT {columns} FROM {theirs}"
    status, rows, text = query(
        f"SELECT (SELECT count(*) FROM ({ours})) AS ours, (SELECT count(*) FROM ({theirs})) AS theirs, "
        f"(SELECT count(*) FROM ({ours} EXCEPT ALL {theirs})) AS only_ours, (SELECT count(*) FROM ({theirs} EXCEPT ALL {ours})) AS only_theirs, "
        f"(SELECT count(*) FROM (DESCRIBE SELECT * FROM delta({literal(table)}))) AS columns")
    if status != 0:
        return text
    found = {key: int(n) for key, n in rows[0].items()}
    same = found["ours"] == found["theirs"] and found["only_ours"] == found["only_theirs"] == 0 and found["columns"] == len(described)
    return None if same else f"{found}, {len(described)} columns expected"
