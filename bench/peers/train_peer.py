"""A step of training, forward and backward, in attune and in PyTorch by turns: clips per second, and the ratio.

usage: train_peer.py BENCH_TRAIN [THREADS [TURNS]]      (bench/peers/train finds the first)

The paper's step: 12 triplets of 15 s, anchors, positives and negatives passing on their own, AudioEmbeddingTiny at
its published size, dropout 0.1. PyTorch is given each group's frames as one batch, as fast as it can be in eager mode.
"""
import pathlib
import statistics
import subprocess
import sys
import time

import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
from torch_network import Network, triplet_loss  # noqa: E402

CLIPS, GROUPS, SAMPLES = 36, 3, 15 * 22050


def main():
    threads = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    turns = int(sys.argv[3]) if len(sys.argv) > 3 else 7
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    network = Network()
    network.gru.dropout, network.projection[2].p = 0.1, 0.1
    network.train()
    clips = torch.rand(CLIPS, SAMPLES) - 0.5
    attune = subprocess.Popen([sys.argv[1], str(threads), "--turns"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True)

    def attune_step():
        print(file=attune.stdin, flush=True)
        return float(attune.stdout.readline())

    def torch_step():
        network.zero_grad(set_to_none=True)
        start = time.perf_counter()
        triplet_loss(torch.cat([network(group) for group in clips.chunk(GROUPS)])).backward()
        return time.perf_counter() - start

    ours, theirs = [], []
    for turn in range(turns + 1):  # the first is a rehearsal
        pair = attune_step(), torch_step()
        time.sleep(0.05)  # PyTorch's threads spin for a moment
        if turn > 0:
            ours.append(pair[0])
            theirs.append(pair[1])
    attune.stdin.close()
    attune.wait()
    ratios = [b / a for a, b in zip(ours, theirs)]
    print(f"{CLIPS} clips of 15 s in {GROUPS} groups, {threads} threads, medians of {turns} turns")
    print(f"attune                {CLIPS / statistics.median(ours):8.1f} clips/s")
    print(f"PyTorch {torch.__version__:13} {CLIPS / statistics.median(theirs):8.1f} clips/s")
    print(f"attune is {statistics.median(ratios):.2f} times as fast (from {min(ratios):.2f} to {max(ratios):.2f})")


main()
