#!/usr/bin/env python3
"""Exports AudioEmbeddingTiny and AudioEmbeddingGRU by real PyTorch, to check the ONNX reader by hand.

    make_test_models.py FOLDER [--dump PROGRAM | --built]

Writes FOLDER/<configuration>-<exporter>.onnx: every configuration that the paper varied, by the TorchScript
exporter in opsets 13 to 20 and by the graph exporter in opset 18 and later, with random weights and random batch
statistics. --dump takes tests/model's program test_model_files: each file is then read by it and every
parameter compared with PyTorch's (batch normalisation folded here in double). --built writes nothing; FOLDER is one
that `test_model_files write` filled: files whose names differ only after the '@' hold the same network in
different spellings, and ONNX Runtime must give the same embeddings for all of them.

Needs torch, onnx, onnxscript, onnxruntime and numpy; the last line says how many files failed.
"""
import argparse
import itertools
import json
import math
import pathlib
import subprocess
import sys
import warnings

import numpy as np
import onnxruntime
import torch
from torch import nn
from torch.nn import functional

CONFIGURATIONS = {
    "tiny": {},
    "tiny-half-hop": {"hop": 1024},
    "tiny-frame1024": {"frame": 1024},
    "tiny-frame4096-half-hop": {"frame": 4096, "hop": 2048},
    "tiny-hidden256": {"hidden": 256},
    "tiny-1layer": {"layers": 1},
    "tiny-3layers": {"layers": 3},
    "tiny-mean": {"pooling": "mean"},
    "tiny-last": {"pooling": "last"},
    "tiny-last-1layer": {"pooling": "last", "layers": 1},
    "tiny-embedding16": {"embedding": 16},
    "tiny-embedding128": {"embedding": 128},
    "gru": {"architecture": "gru", "pooling": "last"},
    "gru-attention": {"architecture": "gru", "pooling": "attention"},
    "gru-hidden256": {"architecture": "gru", "pooling": "last", "hidden": 256},
}


def separable(inputs, outputs):
    return [
        nn.Conv1d(inputs, inputs, 5, 2, 2, groups=inputs, bias=False), nn.BatchNorm1d(inputs), nn.GELU(),
        nn.Conv1d(inputs, outputs, 1, bias=False), nn.BatchNorm1d(outputs), nn.GELU(),
    ]


class Network(nn.Module):
    def __init__(self, architecture="tiny", pooling="attention", frame=2048, hop=None, hidden=128, layers=2,
                 embedding=32):
        super().__init__()
        self.architecture, self.pooling, self.frame, self.hop = architecture, pooling, frame, hop or frame
        tiny = architecture == "tiny"
        if tiny:
            self.cnn = nn.Sequential(*separable(1, 32), *separable(32, 64))
        else:
            self.cnn = nn.Sequential(
                nn.Conv1d(1, 64, 7, 2, 3), nn.BatchNorm1d(64), nn.ReLU(), nn.MaxPool1d(2, 2),
                nn.Conv1d(64, 128, 5, 2, 2), nn.BatchNorm1d(128), nn.ReLU())
        self.features = 64 if tiny else 128
        self.mean = nn.AdaptiveAvgPool1d(1)
        self.gru = nn.GRU(self.features, hidden, layers, batch_first=True, dropout=0.1 if layers > 1 else 0.0)
        if pooling == "attention":
            self.attn = nn.Sequential(nn.Linear(hidden, hidden), nn.Tanh(), nn.Linear(hidden, 1))
        self.projection = nn.Sequential(nn.Linear(hidden, hidden), nn.GELU() if tiny else nn.ReLU(),
                                        nn.Dropout(0.1), nn.Linear(hidden, embedding))

    def frames(self, audio):
        batch, samples = audio.shape
        if self.hop == self.frame:
            count = samples // self.frame
            return audio[:, :count * self.frame].reshape(batch, count, self.frame), count
        rows = samples // self.hop
        half = audio[:, :rows * self.hop].reshape(batch, rows, self.hop)
        return torch.cat([half[:, :-1], half[:, 1:]], dim=2), rows - 1

    def forward(self, audio):
        frames, _ = self.frames(audio)
        x = self.mean(self.cnn(frames.reshape(-1, 1, self.frame))).squeeze(2)
        states, last = self.gru(x.view(audio.shape[0], -1, self.features))
        if self.pooling == "attention":
            weights = torch.softmax(self.attn(states).squeeze(2), dim=1)
            pooled = (states * weights.unsqueeze(-1)).sum(dim=1)
        elif self.pooling == "mean":
            pooled = states.mean(dim=1)
        else:
            pooled = last[-1]
        return functional.normalize(self.projection(pooled), p=2, dim=1)


def make(configuration, seed):
    torch.manual_seed(seed)
    network = Network(**configuration).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
    return network


def arrays(network):
    """The parameters in the order in which `test_model_files dump` writes them, folded in double."""
    state = {name: tensor.detach().double().numpy() for name, tensor in network.state_dict().items()}
    convolutions, biases = [], []
    modules = list(network.cnn)
    for index, module in enumerate(modules):
        if isinstance(module, nn.Conv1d):
            prefix = f"cnn.{index + 1}."
            scale = state[prefix + "weight"] / np.sqrt(state[prefix + "running_var"] + modules[index + 1].eps)
            bias = 0 if module.bias is None else state[f"cnn.{index}.bias"]
            convolutions.append(state[f"cnn.{index}.weight"] * scale[:, None, None])
            biases.append((bias - state[prefix + "running_mean"]) * scale + state[prefix + "bias"])
    parts = [part for pair in zip(convolutions, biases) for part in pair]
    for layer in range(network.gru.num_layers):
        parts += [state[f"gru.{name}_l{layer}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    if network.pooling == "attention":
        parts += [state[f"attn.{i}.{name}"] for i in (0, 2) for name in ("weight", "bias")]
    parts += [state[f"projection.{i}.{name}"] for i in (0, 3) for name in ("weight", "bias")]
    return np.concatenate([part.ravel() for part in parts])


def exporters():
    for opset in (13, 14, 15, 16, 17, 18, 19, 20):
        yield f"script{opset}", {"dynamo": False, "opset_version": opset}
    yield "script17-fixed", {"dynamo": False, "opset_version": 17, "fixed": True}
    yield "script17-fixed-batch", {"dynamo": False, "opset_version": 17, "fixed": "batch"}
    yield "script18-fixed-samples", {"dynamo": False, "opset_version": 18, "fixed": "samples"}
    yield "script16-unfolded", {"dynamo": False, "opset_version": 16, "do_constant_folding": False}
    yield "script14-kept", {"dynamo": False, "opset_version": 14, "do_constant_folding": False,
                            "training": torch.onnx.TrainingMode.PRESERVE}
    yield "script15-inputs", {"dynamo": False, "opset_version": 15, "keep_initializers_as_inputs": True}
    for opset in (18, 20, 21):
        yield f"graph{opset}", {"dynamo": True, "opset_version": opset}
    yield "graph18-fixed", {"dynamo": True, "opset_version": 18, "fixed": True}
    yield "graph18-plain", {"dynamo": True, "opset_version": 18, "optimize": False}


def export(network, path, dynamo, fixed=False, **options):
    audio = torch.randn(2, network.frame * 5 + 100)
    dynamic = {"batch": {1: "samples"}, "samples": {0: "batch"}, False: {0: "batch", 1: "samples"}, True: {}}[fixed]
    if dynamo:
        shapes = {axis: torch.export.Dim(name, min=network.frame * (4 if name == "samples" else 0) or 1)
                  for axis, name in dynamic.items()}
        options |= {"dynamic_shapes": ({axis: torch.export.Dim.DYNAMIC for axis in shapes},)} if shapes else {}
    elif dynamic:
        options |= {"dynamic_axes": {"audio": dynamic, "embedding": {0: "batch"}}}
    torch.onnx.export(network, (audio,), str(path), input_names=["audio"], output_names=["embedding"],
                      dynamo=dynamo, **({"external_data": False, "verbose": False} if dynamo else {}), **options)


def open_session(path):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def embed(path, audio):
    return open_session(path).run(None, {"audio": audio})[0]


def check_parameters(program, path, network):
    run = subprocess.run([program, "dump", str(path)], capture_output=True)
    if run.returncode != 0:
        return run.stderr.decode().strip()
    head, _, body = run.stdout.partition(b"\n")
    got, want = np.frombuffer(body, np.float32).astype(np.float64), arrays(network)
    described = json.loads(head)
    for name, value in {"frame_size": network.frame, "hop_size": network.hop, "layers": network.gru.num_layers,
                        "hidden": network.gru.hidden_size, "pooling": network.pooling}.items():
        if described[name] != value:
            return f"{name} is {described[name]}, not {value}"
    if got.shape != want.shape:
        return f"{got.size} parameters, not {want.size}"
    error = np.max(np.abs(got - want) / (1 + np.abs(want)))  # exporters fold in f32
    return None if error < 1e-6 else f"parameters differ by {error:.2g}"


def check_exports(folder, program):
    failed = total = 0
    for seed, (name, configuration) in enumerate(CONFIGURATIONS.items()):
        network = make(configuration, seed)
        audio = torch.randn(2, network.frame * 5 + 100)
        with torch.no_grad():
            want = network(audio).numpy()
        for exporter, options in exporters():
            path = folder / f"{name}-{exporter}.onnx"
            total += 1
            try:
                export(network, path, **options)
            except Exception as error:  # an exporter's own failure is reported, not hidden
                print(f"{path.name}: not exported: {str(error).splitlines()[0][:150]}")
                failed += 1
                continue
            error = float(np.max(np.abs(embed(path, audio.numpy()) - want)))
            problem = None if error < 1e-5 else f"ONNX Runtime and PyTorch differ by {error:.2g}"
            problem = problem or (check_parameters(program, path, network) if program else None)
            print(f"{path.name}: {problem or 'ok'}", flush=True)
            failed += problem is not None
    return total, failed


def check_built(folder):
    failed = total = 0
    files = sorted(path for path in folder.glob("*.onnx") if "@" in path.name)
    for name, group in itertools.groupby(files, key=lambda path: path.name.split("@")[0]):
        want = None
        for path in group:
            total += 1
            session = open_session(path)
            shape = [size if isinstance(size, int) else default
                     for size, default in zip(session.get_inputs()[0].shape, (2, 10000))]
            audio = np.random.default_rng(1).standard_normal((2, 10000)).astype(np.float32) * 0.3
            got = session.run(None, {"audio": audio[:shape[0], :shape[1]]})[0]
            want = got if want is None else want
            error = float(np.max(np.abs(got - want[:len(got)])))
            unit = float(np.max(np.abs(np.linalg.norm(got, axis=1) - 1)))
            good = math.isfinite(error) and error < 1e-5 and unit < 1e-5
            failed += not good
            print(f"{path.name}: {'ok' if good else 'FAILED'}, differs by {error:.2g}", flush=True)
    return total, failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--dump", metavar="PROGRAM")
    parser.add_argument("--built", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.built:
        total, failed = check_built(options.folder)
    else:
        options.folder.mkdir(parents=True, exist_ok=True)
        total, failed = check_exports(options.folder, options.dump)
    print(f"{total} files, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
