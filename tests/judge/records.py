"""records.py - what the records of a journal add up to, computed another way than attune does it."""
import collections
import itertools


def standing(records, skips=False):
    """Answers that were not taken back: {(listener, row, repeat): record}; with skips, these too."""
    each, out = collections.defaultdict(list), {}
    for record in records:
        if record["record"] in ("answer", "skip"):
            each[record["listener"]].append(record)
        elif record["record"] == "undo":
            each[record["listener"]].pop()
    for record in itertools.chain(*each.values()):
        key = record["listener"], record["row"], record["repeat"]
        assert key not in out, f"twice: {key}"
        out[key] = record
    return {key: record for key, record in out.items() if skips or record["record"] == "answer"}


def votes_of(answers):
    """{row: Counter of pairs}, and {row: Counter of (anchor, positive)}."""
    pairs, orders = collections.defaultdict(collections.Counter), collections.defaultdict(collections.Counter)
    for (_, row, repeat), record in answers.items():
        if not repeat:
            pairs[row][tuple(sorted((record["anchor"], record["positive"])))] += 1
            orders[row][record["anchor"], record["positive"]] += 1
    return pairs, orders


def kappa(pairs):
    """Fleiss' kappa from every ordered pair of raters of every row."""
    rows = [list(counter.elements()) for counter in pairs.values() if sum(counter.values()) >= 2]
    if not rows:
        return None
    agree = [sum(a == b for a, b in itertools.permutations(row, 2)) / (len(row) * (len(row) - 1)) for row in rows]
    every = [vote for row in rows for vote in row]
    chance = sum((every.count(k) / len(every)) ** 2 for k in set(every))
    return None if chance == 1 else (sum(agree) / len(agree) - chance) / (1 - chance)
