"""onnx_run.py FOLDER BATCH:SAMPLES... - what ONNX Runtime makes of FOLDER/audio.f32, an f32 for each sample, with every
FOLDER/NAME.onnx, each of which onnx.checker must find good: FOLDER/NAME-BATCH.f32, (BATCH, E)."""
import pathlib
import sys

import numpy
import onnx
import onnxruntime

folder = pathlib.Path(sys.argv[1])
audio = numpy.fromfile(folder / "audio.f32", "<f4")
options = onnxruntime.SessionOptions()
options.log_severity_level = 3
options.intra_op_num_threads = 1
for path in sorted(folder.glob("*.onnx")):
    onnx.checker.check_model(str(path), full_check=True)
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (given,), (made,) = session.get_inputs(), session.get_outputs()
    if (given.name, made.name) != ("audio", "embedding") or any(isinstance(axis, int) for axis in given.shape):
        sys.exit(f"{path}: {given.name} {given.shape} -> {made.name} {made.shape}")
    for batch, samples in (map(int, argument.split(":")) for argument in sys.argv[2:]):
        rows = audio[:batch * samples].reshape(batch, samples)
        session.run(None, {"audio": rows})[0].tofile(folder / f"{path.stem}-{batch}.f32")
