"""AudioEmbeddingTiny in PyTorch: hours of audio per second from PCM in pinned host memory to embeddings.

usage: torch_peer.py [--model FILE.onnx] [--json FILE] [--budget SECONDS] [--seconds LENGTH] [--device cuda|cpu]

Not yet run on a GPU. What PyTorch can do at its best: batch normalisation folded into the convolutions, inference mode,
the next batch copied while one is computed, cuDNN's GRU, and the best batch size within memory. Three
precisions (fp32 strict, TF32, fp16), eager and with torch.compile (all but the GRU, which it cannot
compile). All tracks have one length, so nothing is padded: the easiest case there is. Weights are random, or the
file's where the package onnx can be imported; the arithmetic does not depend on them. --check embeds noise with
the file's weights and compares with ONNX Runtime instead.
"""
import argparse
import contextlib
import json
import sys
import time

import torch
from torch import nn
from torch.nn import functional

RATE, FRAME = 22050, 2048


class Frontend(nn.Module):
    """(frames, 2048) -> (frames, 64)"""

    def __init__(self):
        super().__init__()
        self.conv = nn.ModuleList([
            nn.Conv1d(1, 1, 5, 2, 2), nn.Conv1d(1, 32, 1),
            nn.Conv1d(32, 32, 5, 2, 2, groups=32), nn.Conv1d(32, 64, 1)])

    def forward(self, frames):
        x = frames.unsqueeze(1)
        for conv in self.conv:
            x = functional.gelu(conv(x))
        return x.mean(dim=2)


class Head(nn.Module):
    """states (tracks, frames, 128) -> (tracks, 32)"""

    def __init__(self):
        super().__init__()
        self.attention, self.score = nn.Linear(128, 128), nn.Linear(128, 1)
        self.project1, self.project2 = nn.Linear(128, 128), nn.Linear(128, 32)

    def forward(self, states):
        weights = torch.softmax(self.score(torch.tanh(self.attention(states))), dim=1)
        pooled = (states * weights).sum(dim=1)
        return functional.normalize(self.project2(functional.gelu(self.project1(pooled))), dim=1)


class Network(nn.Module):
    """(tracks, samples) -> (tracks, 32)"""

    def __init__(self):
        super().__init__()
        self.frontend, self.head = Frontend(), Head()
        self.gru = nn.GRU(64, 128, 2, batch_first=True)

    def forward(self, audio):
        tracks, frames = audio.shape[0], audio.shape[1] // FRAME
        features = self.frontend(audio[:, :frames * FRAME].reshape(-1, FRAME))
        return self.head(self.gru(features.view(tracks, frames, 64))[0])


def gates(array):
    """ONNX's order z, r, h to PyTorch's r, z, n."""
    z, r, h = array.chunk(3)
    return torch.cat([r, z, h])


def load_weights(network, path):
    """Finds each tensor by the operator that reads it, never by its name."""
    import onnx
    from onnx import numpy_helper
    graph = onnx.load(path).graph
    constants = {t.name: torch.tensor(numpy_helper.to_array(t)) for t in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            constants[node.output[0]] = torch.tensor(numpy_helper.to_array(node.attribute[0].t))
    convolutions = iter(network.frontend.conv)
    linear = iter([network.head.attention, network.head.score, network.head.project1, network.head.project2])
    layers = iter(range(2))
    last = None
    state = {}
    for node in graph.node:
        inputs = [constants.get(name) for name in node.input]
        if node.op_type == "Conv":
            conv = next(convolutions)
            conv.weight.data, conv.bias.data = inputs[1].clone(), inputs[2].clone()
        elif node.op_type == "GRU":
            layer = next(layers)
            bias = inputs[3][0].chunk(2)
            state |= {f"weight_ih_l{layer}": gates(inputs[1][0]), f"weight_hh_l{layer}": gates(inputs[2][0]),
                      f"bias_ih_l{layer}": gates(bias[0]), f"bias_hh_l{layer}": gates(bias[1])}
        elif node.op_type == "MatMul" and inputs[1] is not None:
            last = next(linear)
            last.weight.data = inputs[1].T.contiguous()
        elif node.op_type == "Add" and last is not None:
            last.bias.data = next(value for value in inputs if value is not None).clone()
            last = None
        elif node.op_type == "Gemm":
            last = next(linear)
            transposed = any(a.name == "transB" and a.i for a in node.attribute)
            last.weight.data = inputs[1].clone() if transposed else inputs[1].T.contiguous()
            last.bias.data = inputs[2].clone()
            last = None
    network.gru.load_state_dict(state)


def set_precision(name):
    """The type to compute in."""
    torch.backends.cuda.matmul.allow_tf32 = name == "tf32"
    torch.backends.cudnn.allow_tf32 = name == "tf32"
    return torch.float16 if name == "fp16" else torch.float32


class Runner:
    """Feeds batches of one size: the next is copied while the present one is computed."""

    def __init__(self, network, batch, samples, dtype, device):
        self.network, self.device = network, device
        self.cuda = device.type == "cuda"
        some = torch.rand(min(batch, 16), samples).sub_(0.5).to(dtype)
        self.host = [some.repeat(-(-batch // 16), 1)[:batch].contiguous() for _ in range(2)]
        if self.cuda:
            self.host = [block.pin_memory() for block in self.host]
            self.copies = torch.cuda.Stream()
        self.there = [torch.empty(batch, samples, dtype=dtype, device=device) for _ in range(2)]
        self.results = torch.empty(batch, 32, dtype=dtype, pin_memory=self.cuda)

    def run(self, count):
        """Embeds `count` batches; returns seconds."""
        self.wait()
        start = time.perf_counter()
        copied = [self.event() for _ in range(2)]
        read = [self.event() for _ in range(2)]
        self.copy(0, None, copied[0])
        for i in range(count):
            if i + 1 < count:
                self.copy((i + 1) % 2, read[(i + 1) % 2] if i > 0 else None, copied[(i + 1) % 2])
            if self.cuda:
                torch.cuda.current_stream().wait_event(copied[i % 2])
            embedding = self.network(self.there[i % 2])
            if self.cuda:
                read[i % 2].record()
            self.results.copy_(embedding, non_blocking=True)
        self.wait()
        return time.perf_counter() - start

    def event(self):
        return torch.cuda.Event() if self.cuda else None

    def copy(self, index, read, copied):
        with torch.cuda.stream(self.copies) if self.cuda else contextlib.nullcontext():
            if read is not None and self.cuda:
                self.copies.wait_event(read)
            self.there[index].copy_(self.host[index], non_blocking=True)
            if self.cuda:
                copied.record()

    def wait(self):
        if self.cuda:
            torch.cuda.synchronize()


def measure(network, batch, seconds, dtype, device, target):
    """Hours of audio per second, or why there are none."""
    samples = int(seconds * RATE)
    try:
        runner = Runner(network, batch, samples, dtype, device)
        runner.run(1)
        once = runner.run(1)
        count = max(2, min(200, int(target / max(once, 1e-6))))
        taken = min(runner.run(count) for _ in range(2))
    except RuntimeError as error:  # out of memory is one of them
        return f"{type(error).__name__}: {error}".splitlines()[0][:100]
    finally:
        runner = None
        if device.type == "cuda":
            torch.cuda.empty_cache()
    if not bool(torch.isfinite(network(torch.zeros(1, samples, dtype=dtype, device=device))).all()):
        sys.exit("torch_peer: an embedding is not finite")
    return batch * samples / RATE / 3600 * count / taken


def compiled(network):
    """Front end and head compiled; the GRU is cuDNN's either way."""
    whole = Network.__new__(Network)
    nn.Module.__init__(whole)
    whole.frontend, whole.head = torch.compile(network.frontend), torch.compile(network.head)
    whole.gru = network.gru
    return whole


def peers(arguments, device, report):
    start = time.monotonic()
    left = lambda: arguments.budget - (time.monotonic() - start)
    torch.manual_seed(1)
    source = Network()
    if arguments.model:
        load_weights(source, arguments.model)
    state = source.state_dict()
    for precision in ["fp32", "tf32", "fp16"]:
        dtype = set_precision(precision)
        network = Network()
        network.load_state_dict(state)
        network = network.eval().to(device, dtype)
        if device.type == "cuda":
            network.gru.flatten_parameters()
        best = None
        for batch in arguments.batches:  # grows until memory ends or it no longer helps
            if left() < 0:
                report(precision, "eager", batch, "the time was up")
                break
            rate = measure(network, batch, arguments.seconds, dtype, device, arguments.target)
            report(precision, "eager", batch, rate)
            if isinstance(rate, str) or (best and rate < 0.7 * best[0]):
                break
            best = max(best or (0, 0), (rate, batch))
        if best is None or arguments.eager_only:
            continue
        torch._dynamo.reset()
        for batch in sorted({best[1], best[1] * 4 if best[1] * 4 in arguments.batches else best[1]}):
            if left() < 0:
                report(precision, "compile", batch, "the time was up")
                break
            try:
                rate = measure(compiled(network), batch, arguments.seconds, dtype, device, arguments.target)
            except Exception as error:  # a compiler that is not there is reported, not hidden
                rate = f"{type(error).__name__}: {error}".splitlines()[0][:100]
            report(precision, "compile", batch, rate)


def best_of(runs):
    measured = [run for run in runs if "hours_per_second" in run]
    return max(measured, key=lambda run: run["hours_per_second"], default=None)


def check(model):
    """Embeds noise with the file's weights; compares with ONNX Runtime."""
    import numpy
    import onnxruntime
    network = Network().eval()
    load_weights(network, model)
    audio = torch.rand(2, 5 * RATE) - 0.5
    with torch.inference_mode():
        got = network(audio).numpy()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    error = numpy.abs(got - session.run(None, {"audio": audio.numpy()})[0]).max()
    print(f"largest difference from ONNX Runtime: {error:.2g}")
    sys.exit(0 if error < 1e-5 else 1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model")
    parser.add_argument("--json")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=30, help="length of a track")
    parser.add_argument("--budget", type=float, default=120, help="seconds, after which nothing new is started")
    parser.add_argument("--target", type=float, default=1.0, help="seconds of one measurement")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4, 16, 64, 256, 1024])
    parser.add_argument("--eager-only", action="store_true")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    if arguments.check:
        check(arguments.model)
    if arguments.device == "cuda" and not torch.cuda.is_available():
        sys.exit("torch_peer: PyTorch sees no CUDA device")
    device = torch.device(arguments.device)
    name = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    runs = []

    def report(precision, mode, batch, rate):
        is_rate = isinstance(rate, float)
        runs.append({"precision": precision, "mode": mode, "batch": batch,
                     "hours_per_second" if is_rate else "reason": rate})
        print(f"{precision:6}{mode:9}{batch:8}  " + (f"{rate:12.2f}" if is_rate else rate), flush=True)
        if arguments.json:  # every time, so that a run cut short leaves what it has
            with open(arguments.json, "w") as file:
                json.dump({"bench": "torch", "version": torch.__version__, "device": name,
                           "track_seconds": arguments.seconds, "best": best_of(runs), "runs": runs}, file, indent=1)

    print(f"PyTorch {torch.__version__} on {name}, tracks of {arguments.seconds:g} s")
    print(f"{'':15}{'batch':>8}  {'hours/s':>12}")
    with torch.inference_mode():
        peers(arguments, device, report)
    best = best_of(runs)
    if best:
        print("best: {precision} {mode}, batch {batch}: {hours_per_second:.2f} hours/s".format(**best))
    sys.exit(0 if best else 1)


main()
