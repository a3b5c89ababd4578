"""What a lake holds against what a world says (world.py): items exactly, sequences, deletions, history, no key twice."""
import lake
from world import canon_item


def number(seq):
    return None if seq is None else int(str(seq).rsplit("-", 1)[1])


def bronze(root, table, delivered):
    _, rows = lake.load(str(root / "bronze/dynamodb" / table))
    assert len(rows) == len(delivered), f"{table}: Bronze has {len(rows)} rows of {len(delivered)} delivered"


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
    seen = set()
    for row in rows:
        item = lake.item(fields, row)
        k = w.key_of(item)
        assert k in want, f"{path.name}: {k} should not be there: {item}"
        assert k not in seen, f"{path.name}: {k} twice"
        seen.add(k)
        expect, gone, seq, del_seq, us = want[k]
        assert canon_item(item) == canon_item(expect), f"{path.name}: {k}: {item} instead of {expect}"
        assert number(row["_sequence"]) == seq, f"{path.name}: {k}: _sequence {row['_sequence']} instead of {seq}"
        assert int(row["_updated_at"].timestamp()) == us // 1_000_000, f"{path.name}: {k}: _updated_at"
        if not t.hard:
            assert bool(row["_is_deleted"]) == gone, f"{path.name}: {k}: deleted"
            assert number(row["_deleted_sequence"]) == del_seq, f"{path.name}: {k}: _deleted_sequence {row['_deleted_sequence']} instead of {del_seq}"
    assert seen == set(want), f"{path.name}: missing {set(want) - seen}"


def history(w, t, path, delivered):
    want = w.runs(delivered, t)
    if not (path / "_delta_log").exists():
        assert not want, f"{path.name}: no history"
        return
    fields, rows = lake.load(str(path))
    got = {}
    for row in rows:
        item = lake.item(fields, row)
        got.setdefault(w.key_of(item), []).append((number(row["__START_AT"]), number(row["__END_AT"]), item))
    assert set(got) == set(want), f"{path.name}: keys {set(got) ^ set(want)}"
    for k, runs in want.items():
        mine = sorted(got[k], key=lambda x: x[0])
        assert [(s, e) for s, e, _ in mine] == [(s, e) for _, s, e in runs], f"{path.name}: {k}: {mine} instead of {runs}"
        for (_, _, item), (expect, _, _) in zip(mine, runs):
            assert canon_item(item) == canon_item(expect), f"{path.name}: {k}: history {item} instead of {expect}"
