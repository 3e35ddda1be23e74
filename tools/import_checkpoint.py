"""import_checkpoint.py MODEL.pt -o CHECKPOINT.h5 - a checkpoint of MECOMP's notebook as one of attune.

Its network is told from the names and shapes of its tensors, its frame size and sample rate from its `config`. What it
says of its training (epoch, val_accuracy, val_loss, config) is kept as text and numbers of /state; its
optimiser's moments are not: attune trains on from it as from the start of a stage. Layout: src/store/checkpoint.h.
"""
import argparse
import json
import os
import pathlib
import sys
import tempfile

import h5py
import numpy

FORMAT, VERSION = "attune-checkpoint", 1
STATISTICS = (".running_mean", ".running_var")


def fail(code, path, what):
    print(f"import-checkpoint: {path}: {what}", file=sys.stderr)
    sys.exit(code)


def refuse(path, what):
    fail(65, path, what)


def load(path):
    """The file's dictionary; nothing in it is run."""
    if not os.path.isfile(path):
        fail(66, path, "no such file")
    import torch  # takes seconds, which mistakes need not wait for
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        refuse(path, f"torch cannot read it: {(str(error) or type(error).__name__).splitlines()[0][:200]}")
    if isinstance(loaded, dict) and "model_state_dict" not in loaded:
        loaded = {"model_state_dict": loaded}
    state = loaded.get("model_state_dict") if isinstance(loaded, dict) else None
    if not isinstance(state, dict) or not all(
            isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in state.items()):
        refuse(path, "holds no model_state_dict")
    tensors = {name: value.detach().float().numpy().astype("<f4") for name, value in state.items()
               if not name.endswith(".num_batches_tracked")}
    for name, value in tensors.items():
        if value.ndim == 0 or value.size == 0:
            refuse(path, f"is of another network: {name} is no array")
    return loaded, tensors


def number(path, config, name, default):
    value = config.get(name, default)
    if type(value) is not int or not 0 < value < 1 << 31:
        refuse(path, f"its config's {name} is {str(value)[:40]!r}")
    return value


def network_of(path, tensors, config):
    """The network's shape, which attune checks again when it reads the file."""
    if not isinstance(config, dict):
        refuse(path, "its config is no dictionary")
    try:
        tiny = "cnn_frontend.0.net.0.weight" in tensors
        layers = sum(name.startswith("gru.weight_ih_l") for name in tensors)
        attention = len(tensors["attn.0.bias"]) if "attn.0.bias" in tensors else 0
        frame = number(path, config, "frame_size", 2048)
        return {
            "architecture": "AudioEmbeddingTiny" if tiny else "AudioEmbeddingGRU",
            "sample_rate": number(path, config, "sample_rate", 22050),
            "frame_size": frame,
            "hop_size": number(path, config, "hop_size", frame),
            "features": tensors["gru.weight_ih_l0"].shape[1],
            "hidden": tensors["gru.weight_hh_l0"].shape[1],
            "layers": layers,
            "pooling": "attention" if attention else str(config.get("pooling", "mean" if tiny else "last")),
            "attention": attention,
            "projection": len(tensors["projection.0.bias"]),
            "embedding": len(tensors["projection.3.bias"]),
        }
    except KeyError as error:
        refuse(path, f"is of another network: no tensor {error}")
    except (IndexError, TypeError):
        refuse(path, "is of another network: its tensors have other shapes")


def text(value):
    """Of fixed length: attune reads no other, see src/store/h5_attribute.h."""
    return numpy.bytes_(str(value).encode(errors="replace") + b"\0")


def write(file, network, tensors, loaded, source):
    attributes = {"format": FORMAT, "attune_version": "", "network": json.dumps(network), **network}
    for name, value in attributes.items():
        file.attrs[name] = text(value) if isinstance(value, str) else numpy.int32(value)
    file.attrs["format_version"] = numpy.int32(VERSION)
    for name, value in tensors.items():
        group = "statistics" if name.endswith(STATISTICS) else "parameters"
        file.create_dataset(f"{group}/{name}", data=value, chunks=value.shape, fletcher32=True)
    state = file.create_group("state")
    state.attrs["imported_from"] = text(source)
    for name, value in loaded.items():
        if (not isinstance(name, str) or isinstance(value, bool) or
                name in ("model_state_dict", "optimizer_state_dict")):
            continue
        if isinstance(value, int) and 0 <= value < 1 << 64:
            state.attrs[name] = numpy.uint64(value)
        elif isinstance(value, (int, float)):
            state.attrs[name] = numpy.float64(value)
        elif isinstance(value, (dict, str)):
            state.attrs[name] = text(value if isinstance(value, str) else json.dumps(value, default=str))


def may_replace(path):
    if not os.path.exists(path):
        return True
    try:
        with h5py.File(path, "r") as file:
            return str(file.attrs.get("format")) in map(str, (FORMAT, FORMAT.encode(), text(FORMAT)))
    except OSError:
        return False


def main():
    parser = argparse.ArgumentParser(prog="import-checkpoint", description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a .pt file")
    parser.add_argument("-o", "--output", required=True, metavar="CHECKPOINT.h5")
    arguments = parser.parse_args()
    if not may_replace(arguments.output):
        fail(73, arguments.output, "exists and is not a checkpoint of attune")
    loaded, tensors = load(arguments.model)
    network = network_of(arguments.model, tensors, loaded.get("config") or {})
    output = pathlib.Path(arguments.output)
    # Whole or not at all: another name in the same folder, then the right one.
    try:
        handle, temporary = tempfile.mkstemp(dir=output.parent, prefix=f".{output.name}.", suffix=".tmp")
    except OSError as error:
        fail(73, output, f"cannot create: {error.strerror}")
    try:
        os.close(handle)
        with h5py.File(temporary, "w", libver=("v110", "v110"), track_order=False) as file:
            write(file, network, tensors, loaded, os.path.basename(arguments.model))
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~UMASK)
        os.replace(temporary, output)
    except BaseException as error:
        os.unlink(temporary)
        if isinstance(error, OSError):
            fail(74, output, f"cannot write: {error.strerror or error}")
        raise
    count = sum(value.size for name, value in tensors.items() if not name.endswith(STATISTICS))
    print(f"{network['architecture']} of {count} parameters -> {output}", file=sys.stderr)


UMASK = os.umask(0)
os.umask(UMASK)
main()
