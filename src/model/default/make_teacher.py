#!/usr/bin/env python3
"""make_teacher.py CORPUS OUT MODEL.onnx [COUNT] - what the built-in model's recurrent half was taught by (CARD.md).

CORPUS has tracks.csv (id, split, group) and <split>/<id>.*. Writes to OUT
  pieces/         COUNT (12000) pieces of 9 s (WAV), made from the training tracks, and every other track, whole
  manifest.csv    of them: id, split, group
  teacher.npy     (COUNT, 32) of length 1, with teacher.txt: attune train --teacher OUT/teacher.npy
A piece is one to four runs, in two of three cases all of one track, else of any. In three of ten cases another piece is
mixed in, up to 12 dB below; half are up to a fifth faster or slower, at another pitch; half are at another level, -8 to
4 dB; and four of ten have five points of their spectrum moved by up to 6 dB. The teacher hears what the network will
hear: so no two pieces are the same, and there is no limit to them.

The teacher is what a network could say of its own front end's 64 features, x over time t: their means, their deviations,
the means of |x(t) - x(t-1)| and of |x(t) - x(t-4)|, and the attention-weighted mean of MODEL's states beside them: 384
numbers, centred and scaled by the training tracks, turned into their 32 principal axes, divided by the variances along
these to the power 1/8 (a quarter of the way to whitening), and made length 1. No label is used.

Needs ffmpeg and the packages numpy, onnx, onnxruntime. The same versions of them give the same files."""
import csv
import glob
import multiprocessing
import os
import subprocess
import sys
import wave

import numpy as np
import onnx
import onnxruntime

RATE, SAMPLES, DIMENSIONS, POWER, SEED = 22050, 9 * 22050, 32, 1 / 8, 1


class Model:
    """A published or exported AudioEmbeddingTiny, heard from inside."""

    def __init__(self, path):
        model, options = onnx.load(path), onnxruntime.SessionOptions()
        nodes = model.graph.node
        self.names = [next(n for n in nodes if n.op_type == kind).output[0] for kind in ("GlobalAveragePool", "ReduceSum")]
        for name in self.names:
            model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), options)

    def describe(self, samples):
        """The 384 numbers of samples (16 bits)."""
        features, states = self.session.run(self.names, {"audio": samples[None].astype(np.float32) / 32768})
        x = features.reshape(-1, 64).astype(np.float64)
        changes = [np.abs(x[k:] - x[:-k]).mean(0) for k in (1, 4)]
        return np.concatenate([x.mean(0), x.std(0), *changes, states.ravel()])


def fit(rows):
    """What turns such rows into the teacher's: mean, scale, axes."""
    mean, scale = rows.mean(0), rows.std(0) + 1e-9
    variances, axes = np.linalg.eigh(np.cov(((rows - mean) / scale).T))
    kept = slice(-1, -1 - DIMENSIONS, -1)
    return mean, scale, axes[:, kept] * variances[kept] ** -POWER


def teach(fitted, rows):
    mean, scale, axes = fitted
    vectors = (rows - mean) / scale @ axes
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


# ---- audio


def decode(path):
    command = ["ffmpeg", "-v", "fatal", "-i", path, "-ac", "1", "-ar", str(RATE), "-f", "s16le", "-"]
    return np.frombuffer(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout, np.int16)


def write_wav(path, samples):
    with wave.open(path, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())


def faster(samples, count):
    """All of them, in `count` samples."""
    spectrum, kept = np.fft.rfft(samples), np.zeros(count // 2 + 1, complex)
    bins = min(len(kept), len(spectrum))
    kept[:bins] = spectrum[:bins]
    return np.fft.irfft(kept, count) * (count / len(samples))


def run_of(track, count, speed, random):
    length = int(np.ceil(count * speed))
    track = np.pad(track, (0, max(0, length + 1 - len(track))))
    start = random.integers(len(track) - length)
    samples = track[start : start + length] / 32768
    return samples[:count] if speed == 1 else faster(samples, count)


def runs_of(tracks, random):
    """SAMPLES of one to four runs."""
    ends = np.sort(random.integers(RATE // 4, SAMPLES - RATE // 4, random.integers(4)))
    speed = random.choice([1, np.exp(random.uniform(-0.2, 0.2))])
    track, any_track, runs = random.integers(len(tracks)), random.random() < 1 / 3, []
    for count in np.diff([0, *ends, SAMPLES]):
        if any_track:
            track = random.integers(len(tracks))
        if count:
            runs.append(run_of(tracks[track], count, speed, random))
    return np.concatenate(runs)


def equalise(samples, decibels):
    f = np.log(np.fft.rfftfreq(SAMPLES, 1 / RATE) + 20)
    gain = np.interp(f, np.log([60, 250, 1000, 4000, 10000]), decibels)
    return np.fft.irfft(np.fft.rfft(samples) * 10 ** (gain / 20), SAMPLES)


def make(tracks, number):
    random = np.random.default_rng([SEED, number])
    samples = runs_of(tracks, random)
    if random.random() < 0.3:
        samples = samples + runs_of(tracks, random) * 10 ** (random.uniform(-12, 0) / 20)
    if random.random() < 0.4:
        samples = equalise(samples, random.uniform(-6, 6, 5))
    if random.random() < 0.5:
        samples = samples * 10 ** (random.uniform(-8, 4) / 20)
    return np.round(samples * 32768).clip(-32768, 32767).astype(np.int16)


# ---- work in several processes, which share what was made before they were


shared = {}


def describe(samples):
    if "model" not in shared:
        shared["model"] = Model(shared["path"])
    return shared["model"].describe(samples)


def make_lesson(number):
    piece = make(shared["tracks"], number)
    write_wav(f"{shared['out']}/pieces/v{number}.wav", piece)
    return teach(shared["fitted"], describe(piece))


def main():
    corpus, out, path = sys.argv[1:4]
    count = int(sys.argv[4]) if len(sys.argv) > 4 else 12000
    os.makedirs(f"{out}/pieces", exist_ok=True)
    with open(f"{corpus}/tracks.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    audio = lambda row: glob.glob(f"{corpus}/{row['split']}/{row['id']}.*")[0]
    shared.update(path=path, out=out, tracks=[decode(audio(row)) for row in rows if row["split"] == "train"])
    with multiprocessing.Pool() as pool:
        shared["fitted"] = fit(np.array(pool.map(describe, shared["tracks"], 4)))
    with multiprocessing.Pool() as pool:
        lessons = pool.map(make_lesson, range(count), 16)
    with open(f"{out}/manifest.csv", "w", newline="") as file:
        manifest = csv.writer(file)
        manifest.writerow(["id", "split", "group"])
        names = [f"v{number}" for number in range(count)]
        manifest.writerows([name, "train", ""] for name in names)
        for row in rows:
            if row["split"] != "train":
                write_wav(f"{out}/pieces/{row['id']}.wav", decode(audio(row)))
                manifest.writerow([row["id"], row["split"], row["group"]])
    np.save(f"{out}/teacher.npy", np.array(lessons))
    with open(f"{out}/teacher.txt", "w") as file:
        file.write("\n".join(names) + "\n")


if __name__ == "__main__":
    main()
