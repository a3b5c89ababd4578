"""What a lake holds against what a world says (world.py): items exactly, sequences, deletions, history, no key twice."""
import lake
from world import canon_item


class Places:
    """Sequences as the table has them, against the model's places: the same record, and all of them in the same order as bytes."""

    def __init__(self):
        self.seen = {}

    def same(self, text, at, what):
        assert (text is None) == (at is None) and (text is None or int(text.rsplit("-", 1)[1]) == at[1]), f"{what} {text} instead of {at}"
        if text is not None: self.seen[text] = at

    def in_order(self):
        texts = sorted(self.seen, key=str.encode)
        for a, b in zip(texts, texts[1:]): assert self.seen[a] < self.seen[b], f"{a} before {b}: {self.seen[a]}, {self.seen[b]}"


def bronze(root, table, delivered):
    _, rows = lake.load(str(root / "bronze/dynamodb" / table))
    assert len(rows) == len(delivered), f"{table}: Bronze has {len(rows)} rows of {len(delivered)} delivered"


def quarantine(w, root, table, files):
    """files: name → events. What a target's order has no place for stands there once for each file and attribute, and nothing else."""
    want = sorted({(f, e["id"], t.order) for t in w.targets for f, events in files.items() for e in events if w.rejected(e, t)})
    path = root / "quarantine/dynamodb" / table
    rows = lake.load(str(path))[1] if (path / "_delta_log").exists() else []
    assert len(rows) == len(want), f"{table}: {len(rows)} rows in quarantine instead of {len(want)}: {want}"
    for (file, event, attribute), row in zip(want, sorted(rows, key=lambda x: (x["_ingest_file"], x["_event_id"]))):
        assert (row["_ingest_file"], row["_event_id"]) == (file, event), f"{table}: quarantine {row} instead of {file}, {event}"
        assert row["_reason"].startswith("no version") and attribute in row["_reason"] and row["op"] and row["_sequence"], f"{table}: {row}"


def target(w, t, domain, delivered):
    """A target of the world below its domain's folder, its history too."""
    silver(w, t, domain / t.name, delivered)
    if t.history: history(w, t, domain / f"{t.name}_history", delivered)


def silver(w, t, path, delivered):
    want = w.silver(delivered, t)
    if not (path / "_delta_log").exists():
        assert not want, f"{path.name}: no table for {len(want)} keys"
        return
    fields, rows = lake.load(str(path))
    seen, places = set(), Places()
    for row in rows:
        item = lake.item(fields, row)
        k = w.key_of(item)
        assert k in want, f"{path.name}: {k} should not be there: {item}"
        assert k not in seen, f"{path.name}: {k} twice"
        seen.add(k)
        expect, gone, at, del_at, us = want[k]
        assert canon_item(item) == canon_item(expect), f"{path.name}: {k}: {item} instead of {expect}"
        places.same(row["_sequence"], at, f"{path.name}: {k}: _sequence")
        assert int(row["_updated_at"].timestamp()) == us // 1_000_000, f"{path.name}: {k}: _updated_at"
        if not t.hard:
            assert bool(row["_is_deleted"]) == gone, f"{path.name}: {k}: deleted"
            places.same(row["_deleted_sequence"], del_at, f"{path.name}: {k}: _deleted_sequence")
    assert seen == set(want), f"{path.name}: missing {set(want) - seen}"
    places.in_order()


def history(w, t, path, delivered):
    want = w.runs(delivered, t)
    if not (path / "_delta_log").exists():
        assert not want, f"{path.name}: no history"
        return
    fields, rows = lake.load(str(path))
    got, places = {}, Places()
    for row in rows:
        item = lake.item(fields, row)
        got.setdefault(w.key_of(item), []).append((row["__START_AT"], row["__END_AT"], item))
    assert set(got) == set(want), f"{path.name}: keys {set(got) ^ set(want)}"
    for k, runs in want.items():
        mine = sorted(got[k], key=lambda x: x[0].encode())
        assert len(mine) == len(runs), f"{path.name}: {k}: {mine} instead of {runs}"
        for (start, end, item), (expect, start_at, end_at) in zip(mine, runs):
            places.same(start, start_at, f"{path.name}: {k}: __START_AT")
            places.same(end, end_at, f"{path.name}: {k}: __END_AT")
            assert canon_item(item) == canon_item(expect), f"{path.name}: {k}: history {item} instead of {expect}"
    places.in_order()
