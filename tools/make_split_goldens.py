#!/usr/bin/env python3
"""Writes tests/train/split_goldens.h: what scikit-learn's train_test_split gives, for tests/train/test_split.c.

    python3 -m venv VENV && VENV/bin/pip install scikit-learn && VENV/bin/python tools/make_split_goldens.py

Of each split: rows, shares, seed, the sizes of the training, validation and test set, a checksum over the rows of
each in their order (c = 31 c + row, modulo 2^64), and their first three rows.
"""
import pathlib

import numpy
import sklearn
from sklearn.model_selection import train_test_split

SPLITS = [
    (8000, 0.3, 0.33, 42), (60, 0.5, 0.6, 42),  # the published ones
    (10, 0.3, 0.5, 42), (11, 0.3, 0.5, 0), (1000, 0.1, 0.5, 7), (65537, 0.2, 0.5, 4294967295),
    (100003, 0.123, 0.7, 123456789), (4096, 0.25, 0.25, 1),
]


def checksum(rows):
    c = 0
    for row in rows:
        c = (31 * c + int(row)) % 2**64
    return c


def golden(count, held_out, validation, seed):
    train, held = train_test_split(numpy.arange(count), test_size=held_out, random_state=seed)
    test, val = train_test_split(held, test_size=validation, random_state=seed)
    parts = [train, val, test]
    sizes = ", ".join(str(len(part)) for part in parts)
    sums = ", ".join(f"0x{checksum(part):016x}u" for part in parts)
    firsts = ", ".join("{" + ", ".join(str(row) for row in part[:3]) + "}" for part in parts)
    return f"    {{{count}, {held_out}, {validation}, {seed}u, {{{sizes}}}, {{{sums}}}, {{{firsts}}}}},"


def main():
    path = pathlib.Path(__file__).resolve().parent.parent / "tests/train/split_goldens.h"
    lines = [
        f"/* split_goldens.h - made by tools/make_split_goldens.py with scikit-learn {sklearn.__version__} and numpy",
        f" * {numpy.__version__}. */",
        "/* clang-format off */",
        *(golden(*split) for split in SPLITS),
        "/* clang-format on */",
    ]
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
