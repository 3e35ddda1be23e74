#!/usr/bin/env python3
"""make_teacher.py CORPUS OUT MODEL.onnx [COUNT [SECONDS]] - what the built-in model's recurrent half was taught by (CARD.md).

CORPUS has tracks.csv (id, split, group) and <split>/<id>.*. Writes to OUT
  pieces/         COUNT (6000) pieces of SECONDS (30; WAV), made from the training tracks, and every other track, whole
  manifest.csv    of them: id, split, group
  teacher.npy     (COUNT, 32) of length 1, with teacher.txt: attune train --teacher OUT/teacher.npy
A piece is one to four runs, in two of three cases all of one track, else of any. In three of ten cases another piece is
mixed in, up to 12 dB below; half are up to a fifth faster or slower, at another pitch; half are at another level, -8 to
4 dB; and four of ten have five points of their spectrum moved by up to 6 dB. The teacher hears what the network will
hear: so no two pieces are the same, and there is no limit to them.

The teacher is what a network could say of its own front end's 64 features x(t) and of its states. z(t) are the features'
first 24 principal axes, each of variance 1. Eight views: the attention-weighted mean and the deviations of MODEL's states;
the deviations of x and their logarithms; the logarithms of the mean |x(t) - x(t-1)| over the deviation; the means of z and
of tanh z; and the correlations of z (Fisher's atanh). Each number is centred and scaled by the training tracks, and
each view divided by the fourth root of its size, so that large ones do not drown the others. The teacher is the 32 principal
axes of these 772 numbers, divided by the variances along them to the power 1/8, and made length 1. No label is used.

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

RATE, AXES, DIMENSIONS, POWER, SEED = 22050, 24, 32, 1 / 8, 1


class Model:
    """A published or exported AudioEmbeddingTiny, heard from inside."""

    def __init__(self, path):
        model, options = onnx.load(path), onnxruntime.SessionOptions()
        outputs = {node.op_type: node.output[0] for node in model.graph.node}  # of each kind the last
        self.names = [outputs["GlobalAveragePool"], outputs["GRU"], outputs["ReduceSum"]]
        for name in self.names:
            model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), options)

    def hear(self, samples):
        """Features (frames, 64), the deviations of the states (128) and their weighted mean (128) of samples (16 bits)."""
        features, states, mean = self.session.run(self.names, {"audio": samples[None].astype(np.float32) / 32768})
        return features.reshape(-1, 64).astype(np.float64), states.reshape(-1, 128).std(0), mean.ravel()


def principal(rows, weights=1):
    """Mean, scale, axes (the first has the largest variance) and the variances along these."""
    mean, scale = rows.mean(0), (rows.std(0) + 1e-9) / weights
    variances, axes = np.linalg.eigh(np.cov(((rows - mean) / scale).T))
    return mean, scale, axes[:, ::-1], variances[::-1]


def fit_frames(features):
    """What turns x(t) into z(t)."""
    mean, scale, axes, variances = principal(np.concatenate(features))
    return mean, scale, axes[:, :AXES] / np.sqrt(variances[:AXES])


def describe(frames, x, states_deviation, states_mean):
    """The eight views."""
    mean, scale, axes = frames
    z = (x - mean) / scale @ axes
    deviation = x.std(0) + 1e-4
    change = np.abs(np.diff(x, axis=0)).mean(0) + 1e-4
    covariance = np.cov(z.T)
    root = np.sqrt(np.diag(covariance) + 1e-2)
    correlations = (covariance / np.outer(root, root))[np.triu_indices(AXES, 1)]
    return [
        states_mean,
        states_deviation,
        deviation,
        np.log(deviation),
        np.log(change / deviation),
        z.mean(0),
        np.tanh(z).mean(0),
        np.arctanh(correlations.clip(-0.99, 0.99)),
    ]


def fit(rows):
    """What turns views into the teacher's numbers."""
    weights = np.concatenate([np.full(view.size, view.size**-0.25) for view in rows[0]])
    mean, scale, axes, variances = principal(np.array([np.concatenate(row) for row in rows]), weights)
    return mean, scale, axes[:, :DIMENSIONS] * variances[:DIMENSIONS] ** -POWER


def teach(fitted, views):
    mean, scale, axes = fitted
    vectors = (np.concatenate(views) - mean) / scale @ axes
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


def runs_of(tracks, samples, random):
    """`samples` samples of one to four runs."""
    ends = np.sort(random.integers(RATE // 4, samples - RATE // 4, random.integers(4)))
    speed = random.choice([1, np.exp(random.uniform(-0.2, 0.2))])
    track, any_track, runs = random.integers(len(tracks)), random.random() < 1 / 3, []
    for count in np.diff([0, *ends, samples]):
        if any_track:
            track = random.integers(len(tracks))
        if count:
            runs.append(run_of(tracks[track], count, speed, random))
    return np.concatenate(runs)


def equalise(samples, decibels):
    f = np.log(np.fft.rfftfreq(len(samples), 1 / RATE) + 20)
    gain = np.interp(f, np.log([60, 250, 1000, 4000, 10000]), decibels)
    return np.fft.irfft(np.fft.rfft(samples) * 10 ** (gain / 20), len(samples))


def make(tracks, count, number):
    random = np.random.default_rng([SEED, number])
    samples = runs_of(tracks, count, random)
    if random.random() < 0.3:
        samples = samples + runs_of(tracks, count, random) * 10 ** (random.uniform(-12, 0) / 20)
    if random.random() < 0.4:
        samples = equalise(samples, random.uniform(-6, 6, 5))
    if random.random() < 0.5:
        samples = samples * 10 ** (random.uniform(-8, 4) / 20)
    return np.round(samples * 32768).clip(-32768, 32767).astype(np.int16)


# ---- work in several processes, which share what was made before they were


shared = {}


def hear(samples):
    if "model" not in shared:
        shared["model"] = Model(shared["path"])
    return shared["model"].hear(samples)


def make_lesson(number):
    piece = make(shared["tracks"], shared["samples"], number)
    write_wav(f"{shared['out']}/pieces/v{number}.wav", piece)
    return teach(shared["fitted"], describe(shared["frames"], *hear(piece)))


def main():
    corpus, out, path = sys.argv[1:4]
    count = int(sys.argv[4]) if len(sys.argv) > 4 else 6000
    shared["samples"] = (int(sys.argv[5]) if len(sys.argv) > 5 else 30) * RATE
    os.makedirs(f"{out}/pieces", exist_ok=True)
    with open(f"{corpus}/tracks.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    audio = lambda row: glob.glob(f"{corpus}/{row['split']}/{row['id']}.*")[0]
    shared.update(path=path, out=out, tracks=[decode(audio(row)) for row in rows if row["split"] == "train"])
    with multiprocessing.Pool() as pool:
        heard = pool.map(hear, shared["tracks"], 4)
    shared["frames"] = fit_frames([x for x, _, _ in heard])
    shared["fitted"] = fit([describe(shared["frames"], *track) for track in heard])
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
