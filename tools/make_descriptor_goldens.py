#!/usr/bin/env python3
"""make_descriptor_goldens.py FOLDER - what tests/descriptors must find: descriptors.csv (samples, name, value) of a
signal that the tests make, too, and chroma_filter.csv (tuning, bin, 12 weights). By librosa, in double precision, where
it has the feature; loudness and harmonies by their definitions. Needs librosa."""
import csv
import os
import sys

import librosa
import numpy as np

RATE, MASK = 22050, (1 << 64) - 1
LENGTHS = [60000, 24 * 2205]  # the second ends with a hop
CHORDS = [(48, 4, 7), (53, 4, 7), (57, 3, 7), (59, 3, 6), (60, 4, 8), (55, 5, 7)]
INTERVALS = ["minor_second", "major_second", "minor_third", "major_third", "fourth", "tritone"]
TRIADS = {"major": (4, 7), "minor": (3, 7), "diminished": (3, 6), "augmented": (4, 8)}


def noise(count):
    """Uniform in [-1, 1): SplitMix64, as tests/support."""
    state, out = 5, np.empty(count)
    for i in range(count):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        x = state
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & MASK
        x = (x ^ x >> 27) * 0x94D049BB133111EB & MASK
        out[i] = np.float32((x ^ x >> 31) >> 40) * np.float32(2**-23) - np.float32(1)
    return out


def signal(count):
    """A chord every half second, 23 cents sharp, that fades behind a burst of noise."""
    i = np.arange(count)
    t, since, chord = i / RATE, i % 11025 / RATE, i // 11025 % len(CHORDS)
    x = 0.3 * np.exp(-40 * since) * noise(count)
    for note in range(3):
        pitch = np.array([c[0] + (c[note] if note else 0) for c in CHORDS])[chord]
        hertz = 440 * 2 ** ((pitch - 69 + 0.23) / 12)
        for harmonic in range(1, 5):
            x += 0.1 / harmonic * np.exp(-3 * since) * np.sin(2 * np.pi * harmonic * hertz * t)
    return x.astype(np.float32).astype(np.float64)


def scaled(value, low, high):
    return 2 * (value - low) / (high - low) - 1


def timbre(y):
    frames = (len(y) - 512) // 128 + 1
    padded = np.concatenate([np.zeros(384), y])
    S = np.abs(librosa.stft(padded, n_fft=512, hop_length=128, center=False))[:, :frames]
    S = np.vstack([S[:255], S[256:]])  # bliss has 256 bins, the last of them at 11,025 Hz
    hertz = np.arange(256) * RATE / 512
    features = {"centroid": librosa.feature.spectral_centroid(S=S, sr=RATE, freq=hertz) / (RATE / 2),
                "rolloff": librosa.feature.spectral_rolloff(S=S**2, sr=RATE, freq=hertz + RATE / 512,
                                                            roll_percent=0.95) / (RATE / 2),
                "flatness": librosa.feature.spectral_flatness(S=S, power=1, amin=1e-300)}
    return {f"{name}_{what}": scaled(value, 0, 1) for name, x in features.items()
            for what, value in [("mean", x.mean()), ("deviation", x.std())]}


def level(y):
    crossings = librosa.zero_crossings(y, pad=False).sum() / len(y)
    energy = np.array([np.mean(y[i:i + 1024]**2) for i in range(0, len(y), 1024)])
    decibels = lambda e: scaled(10 * np.log10(max(e, 1e-9)), -90, 0)
    return {"zero_crossings": scaled(crossings, 0, 1), "loudness_mean": decibels(energy.mean()),
            "loudness_deviation": decibels(energy.std())}


def harmony(y):
    S = np.abs(librosa.stft(y, n_fft=8192, hop_length=2205, pad_mode="reflect"))[:, :-(-len(y) // 2205)]
    tuning = librosa.estimate_tuning(S=S, sr=RATE, n_fft=8192, resolution=0.01)
    bank = librosa.filters.chroma(sr=RATE, n_fft=8192, tuning=tuning, dtype=np.float64)
    chroma = librosa.util.normalize(bank @ S**2, norm=1, axis=0)
    sharp = librosa.util.normalize(np.exp(15 * chroma), norm=1, axis=0)
    up = lambda steps: np.roll(sharp, -steps, axis=0)
    dyads = np.array([(sharp * up(i)).sum(axis=0).mean() for i in range(1, 7)])
    triads = np.array([(sharp * up(a) * up(b)).sum(axis=0).mean() for a, b in TRIADS.values()])
    lengths = np.linalg.norm(dyads), np.linalg.norm(triads)
    values = {name: 2 * x / lengths[0] - 1 for name, x in zip(INTERVALS, dyads)}
    values |= {name: 2 * x / lengths[1] - 1 for name, x in zip(TRIADS, triads)}
    values |= {"intervals": min(scaled(lengths[0], 0, 0.25), 1), "triads": min(scaled(lengths[1], 0, 0.025), 1),
               "triads_of_intervals": scaled(np.arctan2(20 * lengths[1], lengths[0]), 0, np.pi / 2),
               "tuning": tuning}
    return values


def main(folder):
    whole = signal(max(LENGTHS))
    with open(os.path.join(folder, "descriptors.csv"), "w", newline="") as f:
        out = csv.writer(f, lineterminator="\n")
        out.writerow(["samples", "name", "value"])
        for count in LENGTHS:
            y = whole[:count]
            for name, value in (level(y) | timbre(y) | harmony(y)).items():
                out.writerow([count, name, f"{value:.9g}"])
    with open(os.path.join(folder, "chroma_filter.csv"), "w", newline="") as f:
        out = csv.writer(f, lineterminator="\n")
        out.writerow(["tuning", "bin"] + [f"weight_{c}" for c in range(12)])
        for tuning in [-0.5, -0.1, 0, 0.49]:
            bank = librosa.filters.chroma(sr=RATE, n_fft=8192, tuning=tuning, dtype=np.float64)
            for k in [0, 1, 2, 5, 11, 17, 31, 64, 163, 327, 500, 1000, 2047, 4096]:
                out.writerow([tuning, k] + [f"{w:.9g}" for w in bank[:, k]])


main(sys.argv[1])
