"""Random worlds: a table's changes, and what Silver and its history must hold of what was delivered (spec: merge.md).

An oracle of its own: a map per key, folded in Python from the records themselves. Nothing here knows the program's code.
"""
import base64
import dataclasses
import json
import random
from decimal import Decimal, getcontext

getcontext().prec = 60  # the usual 28 digits would make different numbers equal
T0_US = 1_790_000_000_000_000
WORDS = ["", "a", "b c", "naïve", "日本", "😀", 'q"uote', "back\\slash", "tab\t", "nul\x00", "{\"S\":\"x\"}", "z" * 40]
NUMBERS = ["0", "1", "-1", "1.0", "7", "42", "1.5", "-0.25", "12345678901234567890", "9223372036854775807", "9223372036854775808", "1E-130",
           "9.9999999999999999999999999999999999999E+125", "0.000000000000000001", "0.0000000000000000001", "1E2", "99999999999999999999.5"]


def b64(raw):
    return base64.b64encode(raw).decode()


class Maker:
    def __init__(self, seed):
        self.r = random.Random(seed)

    def scalar(self, kind):
        r = self.r
        if kind == "S": return {"S": r.choice(WORDS)}
        if kind == "I": return {"N": str(r.randint(-1000, 1000))}
        if kind == "N": return {"N": r.choice(NUMBERS)}
        if kind == "B": return {"B": b64(bytes(r.randrange(256) for _ in range(r.randrange(5))))}
        if kind == "BOOL": return {"BOOL": r.random() < .5}
        return {"NULL": True}

    def value(self, depth=0):
        r, x = self.r, self.r.random()
        if x < .62 or depth > 2: return self.scalar(r.choice("S I N B BOOL NULL I S".split()))
        if x < .70: return {"SS": r.sample(WORDS, r.randint(1, 4))}
        if x < .76: return {"NS": r.sample(["1", "2", "3.5", "10", "-4"], r.randint(1, 4))}
        if x < .79: return {"BS": r.sample([b64(b"\0"), b64(b"ab"), b64(b"\xff")], r.randint(1, 3))}
        if x < .90: return {"M": {r.choice(["x", "y", "Y", "p.q", "r s"]): self.value(depth + 1) for _ in range(r.randint(0, 3))}}
        kind = r.choice("S I M X".split())
        if kind == "M":
            return {"L": [{"M": {k: self.scalar(r.choice("SI")) for k in ("sku", "qty") if r.random() < .8}} for _ in range(r.randint(0, 3))]}
        return {"L": [self.value(depth + 1) if kind == "X" else self.scalar(kind) for _ in range(r.randint(0, 3))]}


def canon(av):
    """Equal exactly where two attribute values are equal."""
    (t, v), = av.items()
    if t == "N": return ("N", Decimal(v).normalize() + 0)
    if t == "B": return ("B", base64.b64decode(v))
    if t == "SS": return (t, frozenset(v))
    if t == "NS": return (t, frozenset(Decimal(x).normalize() + 0 for x in v))
    if t == "BS": return (t, frozenset(base64.b64decode(x) for x in v))
    if t == "L": return (t, tuple(canon(x) for x in v))
    if t == "M": return (t, frozenset((k, canon(x)) for k, x in v.items()))
    return (t, v)


def canon_item(item):
    return {k: canon(v) for k, v in item.items()}


class Versions:
    """The user's own versions of one table: an attribute, mostly growing; at times equal, going back, absent, or without an order."""

    def __init__(self, seed, pool):
        self.r = random.Random(f"versions/{seed}")
        self.attribute = self.r.choice(["ver", "ver", "updated at", 'q"\\v', "é.v", pool[0]])
        self.kind = self.r.choice(["N", "N", "big", "S", "time", "mixed"])
        self.absent = self.r.choice([0, .1, .3])
        self.grows = self.r.choice([.4, .7])
        self.old_share = self.r.choice([0, .5, 1])
        self.at = {}

    def next(self, key):
        r, x = self.r, self.r.random()
        n = self.at.get(key, r.randint(-3, 3))
        n = n + r.randint(1, 3) if x < self.grows else n if x < self.grows + .15 else n - r.randint(1, 6)
        self.at[key] = max(n, self.at.get(key, n))
        if r.random() < self.absent:
            return r.choice([None, None, {"NULL": True}, {"BOOL": True}, {"B": b64(b"7")}, {"L": [{"N": "7"}]}, {"M": {self.attribute: {"N": "7"}}}])
        kind = r.choice(["N", "S", "time", "big"]) if self.kind == "mixed" else self.kind
        if kind == "N": return {"N": r.choice([f"{n}", f"{n}", f"{n}.0", f"{n * 10}E-1", f"{n}.5" if n >= 0 else f"{n}", f"{n}E3" if n > 0 else f"{n}"])}
        if kind == "big": return {"N": f"{10 ** 30 + n}" if n >= 0 else f"-{10 ** 30 - n}"}
        if kind == "time": return {"S": f"2024-05-{10 + n % 20:02}T10:00:{r.choice(['00', '00.5', '00Z'])}"}
        return {"S": r.choice([chr(97 + n % 26) * max(0, n % 5), f"v{n}", f"{n}-a.b", f"{n}/", "é" * (n % 4), f"😀{n}", f"a\x00{n}"])}


def order_of(value):
    """What orders two versions: numbers by value before texts by their bytes. None where there is no order."""
    if value is None: return None
    (t, v), = value.items()
    return (1, Decimal(v)) if t == "N" else (2, v.encode()) if t == "S" else None


@dataclasses.dataclass
class Target:
    """A Silver table of a world: items whose `kind` is this text (None: all), ordered by an attribute (None: by the stream)."""
    name: str
    kind: str | None
    hard: bool
    history: bool
    order: str | None = None


class World:
    """One table: settings, all its changes in order, and which of them each batch delivers (some again, some late).

    growing: attributes appear one after the other, and some integers have fractions only from a moment on.
    versions: the items carry versions of the user's own, which order them (None: about a third of the worlds)."""

    def __init__(self, seed, batches=None, growing=False, versions=None):
        g = random.Random(f"growing/{seed}")
        r = self.r = random.Random(f"world/{seed}")
        m = Maker(f"values/{seed}")
        self.seed = seed
        self.key_type = r.choice("SSNB")
        self.sort = r.random() < .4
        self.hard = r.random() < .4
        self.history = r.random() < .3
        self.where = r.random() < .3
        self.evolution = r.choice(["widen", "widen", "add"])
        self.old_images = r.random() < .8
        pool = [f"a{i}" for i in range(r.randint(2, 8))] + r.sample(["A0", "_sequence", "with space", "dot.ted", "ключ"], 2)
        kinds = {a: r.choice(["any", "any", "S", "I", "I", "N"]) for a in pool}
        born, whole = {a: g.uniform(0, .8) if growing else 0 for a in pool}, {a: g.uniform(.3, .9) if growing else 0 for a in pool}
        if growing: kinds.update({a: "G" for a in g.sample(pool, 2)})
        v = self.versions = Versions(seed, pool) if versions or versions is None and random.Random(f"versions?/{seed}").random() < .35 else None
        self.targets = [Target("t", "order" if self.where else None, self.hard, self.history, v and v.attribute)]
        keys = [self.key(i) for i in range(r.randint(2, 12))]
        state, self.events = {}, []
        seq = 10 ** r.choice([20, 22, 24]) - r.randint(1, 200)
        many = r.randint(10, 80)
        for n in range(many):
            seq += r.randint(1, 9)
            i = r.randrange(len(keys))
            old = state.get(i)
            if old is not None and r.random() < .25:
                op, new = "REMOVE", None
            else:
                op, new = ("INSERT" if old is None else "MODIFY"), dict(keys[i])
                keep = {} if old is None else {a: v for a, v in old.items() if a not in keys[i] and r.random() < .7}
                new.update(keep)
                for a in pool:
                    if n / many >= born[a] and r.random() < .35:
                        kind = kinds[a] if kinds[a] != "G" else "I" if n / many < whole[a] else "N"
                        new[a] = m.value() if kind == "any" or kinds[a] != "G" and r.random() < .08 else m.scalar(kind)
                new["kind"] = {"S": r.choice(["order", "customer"])} if r.random() < .9 else {"N": "1"}
            if op == "MODIFY" and r.random() < .1: new = dict(old)
            elif v is not None and new is not None:
                new.pop(v.attribute, None)
                version = v.next(i)
                if version is not None: new[v.attribute] = version
            shown = self.old_images if v is None else v.r.random() < v.old_share
            self.events.append({"op": op, "keys": keys[i], "new": new, "old": old if shown else None, "seq": seq, "us": T0_US + n * 1_000_000, "id": f"{seed}-{n}"})
            state[i] = new
        self.batches = self.deliver(batches or r.randint(1, 5))

    def key(self, i):
        part = {"S": {"S": f"k{i}" + ["", "é", "😀"][i % 3]}, "N": {"N": str(i * 3 - 4)}, "B": {"B": b64(bytes([i, 0, 255]))}}[self.key_type]
        return {"pk": part, "sk": {"N": str(i % 2)}} if self.sort else {"pk": part}

    @property
    def key_names(self):
        return ["pk", "sk"] if self.sort else ["pk"]

    def deliver(self, n):
        r, out = self.r, [[] for _ in range(n)]
        late = .15 if self.versions is None else self.versions.r.choice([.15, .5])
        for i, e in enumerate(self.events):
            b = i * n // len(self.events)
            if r.random() < late: b = r.randrange(b, n)
            out[b].append(e)
            while r.random() < .15: out[r.randrange(b, n)].append(e)
        for b in out: r.shuffle(b)
        return out

    def record(self, e):
        d = {"ApproximateCreationDateTime": e["us"] // 1_000_000, "Keys": e["keys"], "SequenceNumber": str(e["seq"]), "StreamViewType": "NEW_AND_OLD_IMAGES"}
        if e["new"] is not None: d["NewImage"] = e["new"]
        if e["old"] is not None: d["OldImage"] = e["old"]
        rec = {"eventID": e["id"], "eventName": e["op"], "eventSource": "aws:dynamodb", "dynamodb": d}
        return json.dumps(rec, ensure_ascii=self.r.random() < .5, separators=(",", ":") if self.r.random() < .7 else (", ", ": "))

    # ---- what must come out ------------------------------------------------------------------------------------------
    @staticmethod
    def is_mine(item, target):
        return target.kind is None or item.get("kind") == {"S": target.kind}

    def key_of(self, item):
        return tuple(canon(item[k]) for k in self.key_names)

    @staticmethod
    def version(item, target):
        return None if item is None else order_of(item.get(target.order))

    def rejected(self, e, target):
        """An upsert that the user's order has no place for."""
        return target.order is not None and e["new"] is not None and self.is_mine(e["new"], target) and self.version(e["new"], target) is None

    def per_key(self, delivered, target):
        """Key → its events in order, each with its place `at`: (the version that decides, the stream's number)."""
        out = {}
        for e in {e["id"]: e for e in delivered}.values():
            if not self.rejected(e, target): out.setdefault(self.key_of(e["keys"]), []).append(dict(e))
        for evs in out.values():
            evs.sort(key=lambda e: e["seq"])
            newest = (0,)
            for e in evs:
                own = (0,)
                if target.order is not None:
                    own = self.version(e["new"], target) or self.version(e["old"], target)
                    newest = own or newest
                    own = own or newest  # a delete without a version: just above what it removed
                e["at"] = (own, e["seq"])
            evs.sort(key=lambda e: e["at"])
        return out

    def silver(self, delivered, target):
        """Key → (item, deleted?, place of the values or None, place of the delete or None, time)."""
        out = {}
        for k, evs in self.per_key(delivered, target).items():
            ups = [e for e in evs if e["new"] is not None and self.is_mine(e["new"], target)]
            dels = [e for e in evs if not (e["new"] is not None and self.is_mine(e["new"], target))]
            cand = [(e["at"], e["new"]) for e in ups] + [(e["at"], e["old"]) for e in dels if e["old"] is not None and self.is_mine(e["old"], target)]
            gone = bool(dels) and (not ups or dels[-1]["at"] > ups[-1]["at"])
            if gone and target.hard: continue
            made = dels[-1] if gone else ups[-1]
            if target.hard: cand = [(e["at"], e["new"]) for e in ups]
            if not cand:
                if target.kind is None: out[k] = (evs[0]["keys"], True, None, made["at"], made["us"])
                continue
            at, item = max(cand, key=lambda c: c[0])
            out[k] = (item, gone, at, made["at"] if gone else None, made["us"])
        return out

    def runs(self, delivered, target):
        """Key → [(item, start, end or None)]."""
        out = {}
        for k, evs in self.per_key(delivered, target).items():
            runs = []
            for e in evs:
                up = e["new"] is not None and self.is_mine(e["new"], target)
                if runs and runs[-1][2] is None:
                    if up and canon_item(runs[-1][0]) == canon_item(e["new"]): continue
                    runs[-1][2] = e["at"]
                if up: runs.append([e["new"], e["at"], None])
            if runs: out[k] = [tuple(x) for x in runs]
        return out
