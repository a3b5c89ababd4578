"""What the tests of lakes on S3 share: plain signed requests, a shop to load, the program, tables compared."""
import datetime
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import socket
import subprocess
import time
import urllib.parse
import xml.etree.ElementTree as ET

REGION = "eu-west-1"
BIN = os.environ.get("TRIB_BIN", "build/tributary")
QUERIES = [
    "SELECT * FROM silver.customers ORDER BY ALL",
    "SELECT * FROM silver.orders ORDER BY ALL",
    "SELECT * FROM silver.orders_history ORDER BY ALL",
    "SELECT * EXCLUDE (_ingest_ts) FROM bronze.shop ORDER BY ALL",
    "SELECT * EXCLUDE (_quarantined_ts, _ingest_ts) FROM quarantine.shop ORDER BY ALL",
    "SELECT * FROM gold.revenue_by_day ORDER BY ALL",
]
CONFIG = """\
pipeline: shop
lake: {lake}
state: {state}
{more}
tables:
  - name: shop
    key: {{partition: pk, sort: sk}}
    source: {{type: files, path: {source}}}
    silver:
      - {{domain: crm, table: customers, where: "type = 'customer'"}}
      - {{domain: sales, table: orders, where: "type = 'order'", history: scd2}}
gold:
  - {{subject: sales, name: revenue_by_day, sql: revenue.sql}}
"""
SQL = "SELECT day, count(*) AS orders FROM (SELECT CAST(_updated_at AS DATE) AS day FROM silver.orders) GROUP BY day\n"


class Checks:
    def __init__(self):
        self.done = self.failed = 0

    def __call__(self, good, what, more=""):
        self.done += 1
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.done} - {what}", flush=True)
        if not good and more:
            print(more, flush=True)
        return good

    def end(self):
        print(f"1..{self.done}")
        return 1 if self.failed else 0


class S3:
    """Plain requests to a server, path-style, signed here."""

    def __init__(self, port, key, secret):
        self.port, self.key, self.secret = port, key, secret

    def __call__(self, method, path, query="", body=b"", **headers):
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        digest = hashlib.sha256(body).hexdigest()
        path = urllib.parse.quote(path)
        headers = {"host": f"127.0.0.1:{self.port}", "x-amz-date": now, "x-amz-content-sha256": digest,
                   **{k.replace("_", "-"): v for k, v in headers.items()}}
        names = ";".join(sorted(headers))
        canonical = "\n".join([method, path, query, *(f"{n}:{headers[n]}" for n in sorted(headers)), "", names, digest])
        scope = f"{now[:8]}/{REGION}/s3/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        key = ("AWS4" + self.secret).encode()
        for part in (now[:8], REGION, "s3", "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        sign = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={self.key}/{scope}, SignedHeaders={names}, Signature={sign}"
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            c.request(method, path + ("?" + query if query else ""), body, headers)
            r = c.getresponse()
            return r.status, r.read(), dict(r.getheaders())
        finally:
            c.close()

    def keys(self, bucket, prefix=""):
        found, token = [], None
        while True:
            query = {"list-type": "2", "prefix": prefix, **({"continuation-token": token} if token else {})}
            text = "&".join(f"{urllib.parse.quote(k, safe='')}={urllib.parse.quote(v, safe='')}"
                            for k, v in sorted(query.items()))
            status, body, _ = self("GET", f"/{bucket}", text)
            if status != 200:
                raise RuntimeError(f"list: {status} {body}")
            root = ET.fromstring(body)
            space = root.tag[:root.tag.index("}") + 1] if root.tag.startswith("{") else ""
            found += [c.findtext(f"{space}Key") for c in root.iter(f"{space}Contents")]
            token = root.findtext(f"{space}NextContinuationToken")
            if not token:
                return found

    def upload(self, folder, bucket, prefix, only=None):
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_file() and (only is None or only(name)):
                status, body, _ = self("PUT", f"/{bucket}/{prefix}/{name}", body=path.read_bytes())
                if status != 200:
                    raise RuntimeError(f"put {name}: {status} {body}")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for_port(port, process):
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            if process.poll() is not None:
                return False
            time.sleep(0.05)
    return False


class Lake:
    """A pipeline in a folder of its own."""

    def __init__(self, folder, lake, source, environment, more=""):
        folder.mkdir()
        self.folder, self.config = folder, folder / "tributary.yaml"
        (folder / "revenue.sql").write_text(SQL)
        self.config.write_text(CONFIG.format(lake=lake, source=source, state="./state", more=more))
        self.environment = {**os.environ, **environment}

    def start(self, *args):
        return subprocess.Popen([BIN, *args, "-c", str(self.config)], env=self.environment, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def __call__(self, *args):
        p = self.start(*args)
        out, err = p.communicate(timeout=300)
        return p.returncode, out, err

    def tables(self):
        result = {}
        for q in QUERIES:
            code, out, err = self("query", "--output", "jsonl", q)
            result[q] = [json.loads(line) for line in out.splitlines()] if code == 0 else f"exit {code}: {err}"
        return result


def compare(check, what, got, want):
    for q in QUERIES:
        same = got[q] == want[q] and isinstance(got[q], list) and len(got[q]) > 0
        check(same, f"{what}: {q.split('FROM ')[1].split()[0]} has the {len(want[q])} rows of the local lake",
              str(got[q])[:500])


def simulate(folder, *args):
    subprocess.run([BIN, "simulate", "--out", str(folder), *args], check=True, stdout=subprocess.DEVNULL)
    return pathlib.Path(folder)
