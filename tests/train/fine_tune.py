"""fine_tune.py ATTUNE MODELS CORPUS [--seconds S] - the published checkpoint, fine-tuned for an epoch by attune and by
PyTorch: the same clips in the same batches, then the embeddings of whole tracks by both. Prints the largest
differences; fails where an embedding's is 1e-5 or more.

What is compared with what: best_model.pt in PyTorch, with attune's output of the model exported from the imported
checkpoint; PyTorch's network after its epoch, with attune's output of the model exported from its run. Clips come from
the run's own cache, tracks from the ffmpeg command.

Needs torch, h5py and numpy (tests/train/fine_tune looks for them).
"""
import csv
import os
import pathlib
import subprocess
import sys
import tempfile

import h5py
import numpy
import torch

HERE = pathlib.Path(__file__).resolve().parent
TOOLS = HERE.parents[1] / "tools"
sys.path.insert(0, str(TOOLS))
from torch_network import STEP, Network, mix, triplet_loss  # noqa: E402

RATE, SEED, TRIPLETS, BATCH, TRACKS = 1e-4, 42, 30, 4, 8


def run(*arguments):
    subprocess.run([str(a) for a in arguments], check=True, stdout=subprocess.DEVNULL)


def triplets_of(corpus, split, count, random):
    """Human-like rows: two tracks of a group and one of another."""
    with open(corpus / "tracks.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split]
    groups = sorted({row["group"] for row in rows})
    by_group = {group: [row["id"] for row in rows if row["group"] == group] for group in groups}
    many = [group for group in groups if len(by_group[group]) > 1]
    out = []
    for _ in range(count):
        near = many[random.integers(len(many))]
        far = [group for group in groups if group != near][random.integers(len(groups) - 1)]
        one, two = random.permutation(by_group[near])[:2]
        out.append((str(one), str(two), str(random.permutation(by_group[far])[0])))
    return out


def write_human(path, triplets):
    with open(path, "w") as file:
        file.write("song1,song2,song3,anchor,positive\n")
        for triplet in triplets:
            file.write(",".join(triplet) + ",1,2\n")


def order_of(count, epoch):
    """The order of an epoch's triplets (src/train/sampler.h)."""
    state = mix(numpy.uint64(SEED) + numpy.uint64(STEP) * numpy.uint64(epoch + 1))
    order = [0] * count
    for i in range(count):
        state = state + numpy.uint64(STEP)
        j = (int(mix(state)) >> 32) * (i + 1) >> 32
        order[i] = order[j]
        order[j] = i
    return order


def clips_of(cache, samples):
    """What the run decoded: by the track's id."""
    with h5py.File(cache, "r") as file:
        stored, records = file["samples"], file["tracks"][:]
        scale = 2.0 ** -14 if stored.dtype == numpy.int16 else 1.0
        clips = {}
        for slot, record in enumerate(records):
            clip = numpy.zeros(samples, numpy.float32)
            count = min(int(record["samples"]), samples)
            clip[:count] = stored[slot, :count] * numpy.float32(scale)
            if count:
                clips[pathlib.Path(record["path"].decode()).stem] = torch.from_numpy(clip)
    return clips


def load(path, kind):
    network = Network().to(kind)
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["model_state_dict"])
    return network


def fine_tune(network, clips, triplets):
    """An epoch as MECOMP's notebook has it; anchors, positives and negatives pass on their own."""
    network.train()
    kind = next(network.parameters()).dtype
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-4)
    order, losses = order_of(len(triplets), 0), []
    for first in range(0, len(order), BATCH):
        rows = [triplets[i] for i in order[first:first + BATCH]]
        optimiser.zero_grad()
        passes = [network(torch.stack([clips[row[k]] for row in rows]).to(kind)) for k in range(3)]
        loss = triplet_loss(torch.cat(passes))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        losses.append(loss.item())
    return losses


def decoded(path):
    out = subprocess.run(["ffmpeg", "-v", "fatal", "-i", str(path), "-ac", "1", "-ar", "22050", "-f", "f32le", "-"],
                         check=True, stdout=subprocess.PIPE).stdout
    return torch.from_numpy(numpy.frombuffer(out, "<f4").copy())


def difference(network, attune, model, folder, paths):
    """Of PyTorch's embeddings of whole tracks and attune's with a model: the largest of a component."""
    output = folder / "out.h5"
    run(attune, "embed", *paths, "-o", output, "--force", "--model", model)
    with h5py.File(output, "r") as file:
        rows = {os.path.basename(path.decode()): row for path, row in zip(file["path"][:], file["embedding"][:])}
    network.eval()
    kind = next(network.parameters()).dtype
    worst = 0.0
    with torch.no_grad():
        for path in paths:
            ours = torch.from_numpy(rows[path.name]).double()
            theirs = network(decoded(path)[None].to(kind))[0].double()
            worst = max(worst, (ours - theirs).abs().max().item())
    return worst


def main():
    attune, models, corpus = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    seconds = float(sys.argv[sys.argv.index("--seconds") + 1]) if "--seconds" in sys.argv else 15.0
    numpy.seterr(over="ignore")
    random = numpy.random.default_rng(7)
    training, validation = (triplets_of(corpus, split, TRIPLETS, random) for split in ("train", "val"))
    paths = sorted((corpus / "val").rglob("*.opus"))[:TRACKS]
    checkpoint = models / "best_model.pt"
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        imported, before, after, out = (folder / n for n in ("in.h5", "in.onnx", "out.onnx", "RUN"))
        run(sys.executable, TOOLS / "import_checkpoint.py", checkpoint, "-o", imported)
        run(attune, "export", imported, "-o", before)
        write_human(folder / "train.csv", training)
        write_human(folder / "val.csv", validation)
        run(attune, "train", "--stage", "human", "--from", imported, "--audio", corpus, "--manifest",
            corpus / "tracks.csv", "--triplets", folder / "train.csv", "--validation-triplets", folder / "val.csv",
            "--epochs", 1, "--batch", BATCH, "--rate", RATE, "--dropout", 0, "--seconds", seconds, "--seed", SEED,
            "-o", out)
        run(attune, "export", out / "last.h5", "-o", after)
        clips = clips_of(out / "clips.h5", int(round(seconds * 22050)))
        worst = 0.0
        for kind in (torch.float64, torch.float32):
            network = load(checkpoint, kind)
            first = difference(network, attune, before, folder, paths)
            losses = fine_tune(network, clips, training)
            second = difference(network, attune, after, folder, paths)
            with h5py.File(out / "last.h5", "r") as file:
                parameters = max((torch.from_numpy(file["parameters"][name][:]).double() - p.detach().double()).abs()
                                 .max().item() for name, p in network.named_parameters())
            print(f"{str(kind)[6:]}: losses {losses[0]:.5f} to {losses[-1]:.5f}; embeddings differ by {first:.2g} as "
                  f"published, {second:.2g} fine-tuned; parameters by {parameters:.2g}")
            worst = max(worst, first, second)
    return worst < 1e-5


sys.exit(0 if main() else 1)
