#!/usr/bin/env python3
"""make_map_goldens.py - what scikit-learn makes of tests/map/goldens/points.csv.

    pip install numpy scikit-learn
    tools/make_map_goldens.py

Writes points.csv, 240 rows of 4 numbers from three normal distributions of different shapes, and expected.csv:
k-means' inertia, mixtures' mean log-likelihood and the principal axes' variances.
"""
import pathlib

import numpy as np
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "tests/map/goldens"


def main():
    random = np.random.default_rng(7)
    turn = np.linalg.qr(random.normal(size=(4, 4)))[0]
    points = np.concatenate([
        random.normal(size=(100, 4)) * [1.5, 0.3, 0.3, 0.2] @ turn,
        random.normal(size=(80, 4)) * [0.2, 0.5, 0.2, 0.2] + [1.5, 1.5, 0, 0],
        random.normal(size=(60, 4)) * 0.4 + [-1, 1, 1.5, 0.5],
    ])
    np.savetxt(FOLDER / "points.csv", points, "%.6f", ",")
    points = np.loadtxt(FOLDER / "points.csv", delimiter=",").astype(np.float32).astype(np.float64)
    expected = {}
    for k in (1, 2, 3, 5, 8):
        expected[f"inertia_{k}"] = KMeans(k, n_init=50, tol=0, random_state=0).fit(points).inertia_
    for kind in ("full", "diag"):
        for k in (1, 2, 3):
            mixture = GaussianMixture(k, covariance_type=kind, n_init=20, tol=1e-6, max_iter=1000, random_state=0)
            expected[f"{kind}_{k}"] = mixture.fit(points).score(points)
    for i, variance in enumerate(np.sort(np.linalg.eigvalsh(np.cov(points.T, bias=True)))[::-1]):
        expected[f"variance_{i}"] = variance
    (FOLDER / "expected.csv").write_text("".join(f"{name},{value:.12g}\n" for name, value in expected.items()))


if __name__ == "__main__":
    main()
