"""attune's network beside ONNX Runtime's: time per 30 s of audio, memory for 5 minutes, largest difference.

usage: onnx_runtime.py LIBATTUNE.so MODEL.onnx      (bench/peers/onnx_runtime finds both)
"""
import ctypes
import resource
import statistics
import subprocess
import sys
import time

import numpy

RATE = 22050
REPEATS = 15


class Options(ctypes.Structure):
    """attune_engine_options"""

    _fields_ = [("device", ctypes.c_char_p), ("precision", ctypes.c_char_p)]


class Attune:
    """attune through its C interface."""

    def __init__(self, library, model, precision):
        self.lib = ctypes.CDLL(library)
        self.lib.attune_last_error.restype = ctypes.c_char_p
        self.lib.attune_engine_device.restype = ctypes.c_char_p
        self.model, self.engine = ctypes.c_void_p(), ctypes.c_void_p()
        self.check(self.lib.attune_model_open(ctypes.byref(self.model), model.encode()))
        self.check(self.lib.attune_engine_open(ctypes.byref(self.engine), self.model,
                                               ctypes.byref(Options(b"cpu", precision.encode()))))

    def check(self, status):
        if status != 0:
            sys.exit(self.lib.attune_last_error().decode())

    def device(self):
        return self.lib.attune_engine_device(self.engine).decode()

    def __call__(self, samples):
        embedding = numpy.empty(32, numpy.float32)
        self.lib.attune_engine_begin(self.engine)
        self.check(self.lib.attune_engine_push(
            self.engine, samples.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(samples.size)))
        self.check(self.lib.attune_engine_finish(self.engine, embedding.ctypes.data_as(ctypes.c_void_p), None))
        return embedding


class OnnxRuntime:
    """ONNX Runtime on one thread; MECOMP switches its memory arena off."""

    def __init__(self, model, arena):
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = arena
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.version = onnxruntime.__version__

    def __call__(self, samples):
        return self.session.run(None, {"audio": samples[None, :]})[0][0]


def audio(seconds):
    generator = numpy.random.default_rng(1)
    t = numpy.arange(seconds * RATE, dtype=numpy.float64) / RATE
    music = 0.4 * numpy.sin(2 * numpy.pi * 220 * t) * (1 + numpy.sin(2 * numpy.pi * 2 * t))
    return (music + 0.1 * generator.standard_normal(t.size)).astype(numpy.float32)


def open_peer(name, library, model):
    kind, setting = name.split(", ")
    return Attune(library, model, setting) if kind == "attune" else OnnxRuntime(model, setting == "arena on")


def main():
    library, model = sys.argv[1:3]
    if len(sys.argv) == 4:  # the child that measures memory
        run = open_peer(sys.argv[3], library, model)
        run(audio(300))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    names = ["attune, fast", "attune, exact", "ONNX Runtime, arena on", "ONNX Runtime, arena off"]
    peers = [open_peer(name, library, model) for name in names]
    samples = audio(30)
    times = {name: [] for name in names}
    for repeat in range(REPEATS + 2):
        for name, run in zip(names, peers):
            start = time.perf_counter()
            run(samples)
            if repeat >= 2:
                times[name].append(1e3 * (time.perf_counter() - start))
    print(f"attune {peers[0].device()}, ONNX Runtime {peers[2].version}, one thread each, {REPEATS} turns")
    print(f"{'':24}{'ms per 30 s':>12}{'min':>8}{'max':>8}{'MB at 300 s':>13}{'/ fast':>9}{'/ exact':>9}")
    for name in names:
        slower = [statistics.median(b / a for a, b in zip(times[base], times[name])) for base in names[:2]]
        memory = subprocess.run([sys.executable, __file__, library, model, name], check=True,
                                capture_output=True, text=True).stdout
        print(f"{name:24}{statistics.median(times[name]):12.1f}{min(times[name]):8.1f}{max(times[name]):8.1f}"
              f"{float(memory):13.0f}{slower[0]:9.2f}{slower[1]:9.2f}")
    for name, run in list(zip(names, peers))[:2]:
        worst = max(numpy.abs(run(x) - peers[2](x)).max() for x in (audio(1), audio(30), audio(61)))
        print(f"largest difference of a component, {name}: {worst:.2g}")


main()
