#!/usr/bin/python3
"""check_run.py RUN... - reads what a training run wrote with nothing of ours: log.csv, log.jsonl and the event file hold
the same numbers, and those of every further RUN are those of the first, times aside."""
import csv
import glob
import json
import math
import os
import struct
import sys


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


assert crc32c(b"123456789") == 0xE3069283  # the check value that catalogues of checksums give


def masked(data):
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at, value, shift = at + 1, value | (byte & 127) << shift, shift + 7
        if byte < 128:
            return value, at


def fields(data):
    """(number, value) of a protobuf message's fields."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        elif key & 7 == 1:
            value, at = struct.unpack_from("<d", data, at)[0], at + 8
        elif key & 7 == 5:
            value, at = struct.unpack_from("<f", data, at)[0], at + 4
        else:
            assert key & 7 == 2, key
            size, at = varint(data, at)
            value, at = data[at : at + size], at + size
        yield key >> 3, value


def read_events(folder):
    (path,) = glob.glob(os.path.join(glob.escape(folder), "events.out.tfevents.[0-9]*.*.attune"))
    data, at, events = open(path, "rb").read(), 0, []
    while at < len(data):
        size, crc = struct.unpack_from("<QI", data, at)
        assert crc == masked(data[at : at + 8])
        body = data[at + 12 : at + 12 + size]
        assert struct.unpack_from("<I", data, at + 12 + size)[0] == masked(body)
        at += 16 + size
        events.append(dict(fields(body)))
    assert events[0][3] == b"brain.Event:2" and all(1.7e9 < e[1] < 1e10 for e in events), events[:2]
    rows = []
    for event in events[1:]:
        scalars = [dict(fields(value)) for number, value in fields(event[5]) if number == 1]
        tags = [s[1].decode().split("/") for s in scalars]
        assert all(2 in s for s in scalars), "a value of 0 must be written, too"
        assert len({kind for kind, _ in tags}) == 1
        rows.append((tags[0][0], event.get(2, 0), {tag[1]: s[2] for tag, s in zip(tags, scalars)}))
    return rows


def same(a, b, relative):
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    return math.isclose(a, b, rel_tol=relative, abs_tol=1e-45)


def check(folder):
    rows, before = [], 0
    for row in csv.DictReader(open(os.path.join(folder, "log.csv"), newline="")):
        assert None not in row and float(row["seconds"]) >= before, row
        before = float(row["seconds"])
        numbers = {name: float(text) for name, text in list(row.items())[4:] if text}
        rows.append((row["kind"], int(row["step"]), int(row["epoch"]), numbers))
    lines = [json.loads(line) for line in open(os.path.join(folder, "log.jsonl"))]
    events = read_events(folder)
    assert len(lines) == len(rows) == len(events), (len(lines), len(rows), len(events))
    for (kind, step, epoch, numbers), line, event in zip(rows, lines, events):
        assert (kind, step) == event[:2] and (kind, step, epoch) == (line["kind"], line["step"], line["epoch"])
        assert list(line)[4:] == list(event[2]), (line, event)
        assert set(numbers) == set(event[2])
        for name, number in numbers.items():
            assert (line[name] is None) != math.isfinite(number), (name, number, line)
            assert line[name] is None or same(line[name], number, 1e-8), (name, number, line)
            assert same(event[2][name], struct.unpack("<f", struct.pack("<f", number))[0], 1e-6), (name, number, event)
    return rows


def text_of(rows):
    return "\n".join(map(repr, rows))


first = None
for run in sys.argv[1:]:
    rows = text_of(check(run))
    first = first or rows
    assert rows == first, f"{run} differs from {sys.argv[1]}:\n{rows}\n--\n{first}"
