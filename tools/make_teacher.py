#!/usr/bin/env python3
"""make_teacher.py CORPUS OUT MODEL.onnx MODEL.onnx - what attune-2 was taught by (src/model/default/CARD.md).

CORPUS has tracks.csv (id, split, group) and <split>/<id>.*. Writes to OUT
  pieces/         every training track in pieces of 64 frames, and the middle 15 s of every other track (WAV)
  manifest.csv    of them: id, split, group, and as artist the track that a piece is of
  teacher.npy     (pieces, 128) of length 1, with teacher.txt: attune train --teacher OUT/teacher.npy
A row is four vectors of 32 side by side: mean and deviation over time of the 64 features of both models' front ends,
the first model's attention-weighted mean of states, and mean and deviation of 20 MFCCs. Each is centred and scaled by the
training pieces, turned into their 32 principal axes, divided by a power of the variances along these (1/4 the
features, 1/8 the others: half and a quarter of the way to whitening), and made length 1. No label is used.

Needs ffmpeg and the packages numpy, onnx, onnxruntime."""
import csv
import glob
import os
import subprocess
import sys
import wave

import numpy as np
import onnx
import onnxruntime

RATE, FRAME, PIECE, DIMENSIONS = 22050, 2048, 64, 32


class Model:
    """A published or exported AudioEmbeddingTiny, heard from inside."""

    def __init__(self, path):
        model = onnx.load(path)
        nodes = model.graph.node
        pooled_over_positions = next(n for n in nodes if n.op_type == "GlobalAveragePool").output[0]
        pooled_over_time = next(n for n in nodes if n.op_type == "ReduceSum").output[0]
        for name in (pooled_over_positions, pooled_over_time):
            model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
        self.session = onnxruntime.InferenceSession(model.SerializeToString())
        self.names = [pooled_over_positions, pooled_over_time]

    def hear(self, pieces):
        """Features (pieces, PIECE, 64) and states (pieces, 128) of samples (pieces, PIECE * FRAME)."""
        features, states = self.session.run(self.names, {"audio": pieces})
        return features.reshape(len(pieces), PIECE, 64), states.reshape(len(pieces), -1)


def mel_bands(count=64, low=40, high=11000):
    to_mel, to_hertz = lambda f: 2595 * np.log10(1 + f / 700), lambda m: 700 * (10 ** (m / 2595) - 1)
    edges = to_hertz(np.linspace(to_mel(low), to_mel(high), count + 2))[:, None]
    f = np.fft.rfftfreq(FRAME, 1 / RATE)[None]
    rising = (f - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - f) / (edges[2:] - edges[1:-1])
    bands = np.maximum(0, np.minimum(rising, falling))
    return bands / bands.sum(1, keepdims=True)


BANDS = mel_bands()
COSINES = np.cos(np.pi / 64 * (np.arange(64) + 0.5) * np.arange(20)[:, None]) * np.sqrt(2 / 64)


def cepstra(samples):
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[:: FRAME // 2]
    power = np.abs(np.fft.rfft(frames * np.hanning(FRAME))) ** 2
    return np.log(power @ BANDS.T + 1e-6) @ COSINES.T


def statistics(features):
    return np.concatenate([features.mean(-2), features.std(-2)], -1)


def flatten(rows, power):
    """Principal axes of rows (n, D), divided by their variances to a power; n rows of length 1."""
    rows = (rows - rows.mean(0)) / (rows.std(0) + 1e-9)
    variances, axes = np.linalg.eigh(np.cov(rows.T))
    rows = rows @ axes[:, ::-1][:, :DIMENSIONS] * variances[::-1][:DIMENSIONS] ** -power
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def decode(path):
    command = ["ffmpeg", "-v", "error", "-i", path, "-ac", "1", "-ar", str(RATE), "-f", "s16le", "-"]
    return np.frombuffer(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout, np.int16)


def write_wav(path, samples):
    with wave.open(path, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())


def main():
    corpus, out, models = sys.argv[1], sys.argv[2], [Model(path) for path in sys.argv[3:5]]
    os.makedirs(f"{out}/pieces")
    names, parts = [], [[], [], [], []]
    with open(f"{corpus}/tracks.csv", newline="") as tracks, open(f"{out}/manifest.csv", "w", newline="") as list_:
        manifest = csv.writer(list_)
        manifest.writerow(["id", "split", "group", "artist"])
        for row in csv.DictReader(tracks):
            samples, split = decode(glob.glob(f"{corpus}/{row['split']}/{row['id']}.*")[0]), row["split"]
            if split != "train":
                start = max(0, len(samples) - 15 * RATE) // 2
                write_wav(f"{out}/pieces/{row['id']}.wav", samples[start : start + 15 * RATE])
                manifest.writerow([row["id"], split, row["group"], row["id"]])
                continue
            count = len(samples) // (PIECE * FRAME)
            pieces = samples[: count * PIECE * FRAME].reshape(count, -1)
            heard = pieces.astype(np.float32) / 32768
            (first, states), (second, _) = (model.hear(heard) for model in models)
            parts[0].append(statistics(first))
            parts[1].append(statistics(second))
            parts[2].append(states)
            parts[3].append(np.stack([statistics(cepstra(piece)) for piece in heard]))
            for i in range(count):
                names.append(f"{row['id']}-{i}")
                write_wav(f"{out}/pieces/{names[-1]}.wav", pieces[i])
                manifest.writerow([names[-1], split, row["group"], row["id"]])
    rows = [flatten(np.concatenate(part), power) for part, power in zip(parts, (1 / 4, 1 / 4, 1 / 8, 1 / 8))]
    np.save(f"{out}/teacher.npy", (np.concatenate(rows, 1) / 2).astype(np.float32))
    with open(f"{out}/teacher.txt", "w") as file:
        file.write("\n".join(names) + "\n")


main()
