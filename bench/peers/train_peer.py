"""A step of training, forward and backward, in attune and in PyTorch by turns: clips per second, and the ratio.

usage: train_peer.py BENCH_TRAIN [THREADS [TURNS]] [--device cuda] [--json FILE]     (bench/peers/train finds the first)

The paper's step: 12 triplets of 15 s, anchors, positives and negatives passing on their own, AudioEmbeddingTiny at
its published size, dropout 0.1. PyTorch is given each group's frames as one batch, as fast as it can be in eager mode.
On a GPU, both begin with the clips in the host's memory, PyTorch's pinned, and PyTorch's gradients may stay on the
device; it is measured in strict f32, as attune computes, and with TF32. Not yet run on a GPU.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import time

import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
from torch_network import Network, triplet_loss  # noqa: E402

CLIPS, GROUPS, SAMPLES = 36, 3, 15 * 22050


class Peer:
    """PyTorch's network and clips."""

    def __init__(self, device):
        torch.manual_seed(1)
        self.device = device
        self.network = Network()
        self.network.gru.dropout, self.network.projection[2].p = 0.1, 0.1
        self.network.to(device).train()
        self.clips = torch.rand(CLIPS, SAMPLES) - 0.5
        if device != "cpu":
            self.clips = self.clips.pin_memory()

    def wait(self):
        if self.device != "cpu":
            torch.cuda.synchronize(self.device)

    def step(self):
        self.network.zero_grad(set_to_none=True)
        self.wait()
        start = time.perf_counter()
        clips = self.clips.to(self.device, non_blocking=True)
        triplet_loss(torch.cat([self.network(group) for group in clips.chunk(GROUPS)])).backward()
        self.wait()
        return time.perf_counter() - start


def measure(attune, peer, turns):
    """Seconds of each turn's steps: attune's and PyTorch's."""
    ours, theirs = [], []
    for turn in range(turns + 1):  # the first is a rehearsal
        print(file=attune.stdin, flush=True)
        pair = float(attune.stdout.readline()), peer.step()
        time.sleep(0.05)  # PyTorch's threads spin for a moment
        if turn > 0:
            ours.append(pair[0])
            theirs.append(pair[1])
    return ours, theirs


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bench_train")
    parser.add_argument("threads", type=int, nargs="?", default=2)
    parser.add_argument("turns", type=int, nargs="?", default=7)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N, for both")
    parser.add_argument("--json")
    arguments = parser.parse_args()
    threads, turns, device = arguments.threads, arguments.turns, arguments.device
    torch.set_num_threads(threads)
    peer = Peer(device)
    attune = subprocess.Popen([arguments.bench_train, str(threads), device, "--turns"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)
    print(f"{CLIPS} clips of 15 s in {GROUPS} groups, {device}, {threads} threads, medians of {turns} turns")
    results = []
    for precision in ["f32"] if device == "cpu" else ["f32", "tf32"]:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
        ours, theirs = measure(attune, peer, turns)
        ratios = [b / a for a, b in zip(ours, theirs)]
        result = {"precision": precision, "attune_clips_per_second": CLIPS / statistics.median(ours),
                  "torch_clips_per_second": CLIPS / statistics.median(theirs), "ratio": statistics.median(ratios)}
        results.append(result)
        print(f"attune                     {result['attune_clips_per_second']:8.1f} clips/s")
        print(f"PyTorch {torch.__version__:13} {precision:4} {result['torch_clips_per_second']:8.1f} clips/s")
        print(f"attune is {result['ratio']:.2f} times as fast (from {min(ratios):.2f} to {max(ratios):.2f})", flush=True)
    attune.stdin.close()
    attune.wait()
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({"torch": torch.__version__, "clips": CLIPS, "runs": results}, file)
            file.write("\n")


main()
