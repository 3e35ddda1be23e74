"""attune embed beside two ways to do the same with ONNX Runtime: wall time, processor time, memory, largest difference.

usage: embed.py BUILD-FOLDER FOLDER [OPTIONS]       (bench/peers/embed finds the first)

  notebook    the ffmpeg command per file to 22,050 Hz mono f32 through a pipe, then ONNX Runtime with default
              options: what the model's published notebook does.
  in process  libav in the process (decode.c), then ONNX Runtime as MECOMP opens it (no memory arena, no memory
              pattern, all graph optimisations), one session per worker thread: MECOMP is Rust, but here as there
              native code does all the work, and Python only hands it the files (no GIL is held meanwhile).

Both peers are first tried on a sample of the files with several settings, and measured with the quickest. All are
measured from the start of their process to its end, by turns, with the files in the page cache. On a machine that is
busy with something else, times of the wall say little; processor time says more.
"""
import argparse
import ctypes
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy

RATE = 22050
EMBEDDING = 32
TOLERANCE = 1e-5  # what attune promises to be within, in every component
CORES = 2
TARGETS = {"notebook": 5, "in process": 3}  # times slower than attune, at least
MEMORY_TARGET = 10
FFMPEG = ["ffmpeg", "-nostdin", "-v", "error"]

# Workers as processes or threads, how many, and the threads of each session (0: ONNX Runtime's default, all cores).
SETTINGS = {
    "notebook": [("processes", 1, 0), ("processes", 2, 0), ("processes", 2, 1), ("processes", 3, 1),
                 ("processes", 4, 1), ("threads", 2, 1), ("threads", 3, 1)],
    "in process": [("threads", 1, 0), ("threads", 2, 0), ("threads", 2, 1), ("threads", 3, 1),
                   ("processes", 2, 1), ("processes", 3, 1)],
}


def describe(setting):
    kind, workers, threads = setting
    return f"{kind}: {workers}, ORT threads: {threads or 'default'}"


# ---- the peers: each in a process of its own, `embed.py --peer BUILD NAME KIND WORKERS THREADS OUT LIST` ----

class Worker:
    """One session; embeds a file."""

    def __init__(self, peer, threads, build):
        import onnxruntime
        options = onnxruntime.SessionOptions()
        if threads:
            options.intra_op_num_threads = threads
        if peer == "in process":
            options.enable_cpu_mem_arena = False
            options.enable_mem_pattern = False
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        self.session = onnxruntime.InferenceSession(os.environ["ATTUNE_MODEL"], options,
                                                    providers=["CPUExecutionProvider"])
        self.decode = self.by_libav if peer == "in process" else self.by_command
        self.library = ctypes.CDLL(f"{build}/bench/libpeer_decode.so")

    def by_command(self, path):
        command = FFMPEG + ["-i", path, "-map", "0:a:0", "-ac", "1", "-ar", str(RATE), "-f", "f32le", "-"]
        return self.run(numpy.frombuffer(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout,
                                         numpy.float32))

    def by_libav(self, path):
        samples, count = ctypes.POINTER(ctypes.c_float)(), ctypes.c_size_t()
        code = self.library.peer_decode(ctypes.byref(samples), ctypes.byref(count), path.encode(), RATE)
        if code < 0:
            sys.exit(f"{path}: libav's error {code}")
        embedding = self.run(numpy.ctypeslib.as_array(samples, (count.value,)))
        self.library.peer_free(samples)
        return embedding

    def run(self, samples):
        return self.session.run(None, {"audio": samples[None, :]})[0][0]


local = threading.local()  # one worker per thread, and per process


def start_worker(*arguments):
    local.worker = Worker(*arguments)


def embed_file(path):
    return local.worker.decode(path)


def peer_main(build, peer, kind, workers, threads, out, listing):
    files = Path(listing).read_text().splitlines()
    arguments = (peer, int(threads), build)
    if kind == "threads":
        with ThreadPoolExecutor(int(workers), initializer=start_worker, initargs=arguments) as pool:
            embeddings = list(pool.map(embed_file, files))
    elif int(workers) == 1:
        start_worker(*arguments)
        embeddings = [embed_file(path) for path in files]
    else:  # spawned, not forked: nothing is shared, so nothing is counted twice
        with multiprocessing.get_context("spawn").Pool(int(workers), start_worker, arguments) as pool:
            embeddings = pool.map(embed_file, files, chunksize=1)
    numpy.save(out, numpy.array(embeddings))


# ---- measuring ----

PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6


def tree(pid):
    yield pid
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                yield from tree(int(child))
    except OSError:  # it has ended
        pass


def memory(pid):
    """MB of a process tree now: what each process has for itself, and once the most that any shares with files."""
    private, shared = 0, 0
    for process in tree(pid):
        try:
            pages = [int(word) for word in Path(f"/proc/{process}/statm").read_text().split()[1:3]]
        except (OSError, ValueError):
            continue
        private += pages[0] - pages[1]
        shared = max(shared, pages[1])
    return (private + shared) * PAGE_MB


class Figures:
    """One run of a command: seconds of wall and processor, MB at most, all of the whole process tree."""

    def __init__(self, command):
        start = time.perf_counter()
        process = subprocess.Popen(command)
        self.megabytes, self.ended = 0, False
        watcher = threading.Thread(target=self.watch, args=(process.pid,))
        watcher.start()
        _, status, usage = os.wait4(process.pid, 0)
        self.wall = time.perf_counter() - start
        self.ended = True
        watcher.join()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            sys.exit(f"{' '.join(command[:6])} ...: exit {process.returncode}")
        self.processor = usage.ru_utime + usage.ru_stime

    def watch(self, pid):
        while not self.ended:
            self.megabytes = max(self.megabytes, memory(pid))
            time.sleep(0.02)


def run_attune(build, files, folder):
    import h5py
    listing, out = write_list(files, folder), f"{folder}/attune.h5"
    figures = Figures([f"{build}/src/cli/attune", "embed", "-q", "--device", "cpu", "-j", str(CORES), "-o", out,
                       "--force", "--files-from", listing])
    with h5py.File(out) as file:
        paths = [os.path.join(file.attrs["root"].decode(), path.decode()) for path in file["path"][:]]
        rows = dict(zip(paths, file["embedding"][:]))
        figures.embeddings = numpy.array([rows[path] for path in files])
        figures.device = file.attrs["device"].decode()
    return figures


def run_peer(build, peer, setting, files, folder):
    out = f"{folder}/peer.npy"
    kind, workers, threads = setting
    if threads == 0 and os.cpu_count() > CORES:
        threads = CORES  # the default is one a core of the machine, wherever the process may run
    figures = Figures([sys.executable, __file__, "--peer", build, peer, kind, str(workers), str(threads), out,
                       write_list(files, folder)])
    figures.embeddings = numpy.load(out)
    return figures


def write_list(files, folder):
    listing = f"{folder}/files"
    Path(listing).write_text("".join(f"{path}\n" for path in files))
    return listing


def parse_setting(text):
    kind, workers, threads = text.split(",")
    if kind not in ("processes", "threads"):
        raise ValueError
    return kind, int(workers), int(threads)


def best_setting(build, peer, files, folder):
    """A peer's quickest setting on a sample of the files, each tried twice."""
    sample = files[::max(1, len(files) // 16)]
    print(f"{peer}: settings, tried twice on {len(sample)} of the files")
    best = None
    for setting in SETTINGS[peer]:
        turns = [run_peer(build, peer, setting, sample, folder) for _ in range(2)]
        wall, megabytes = min(run.wall for run in turns), max(run.megabytes for run in turns)
        print(f"  {describe(setting):40}{wall:8.2f} s{megabytes:8.0f} MB", flush=True)
        best = min(best or (wall, setting), (wall, setting))
    return best[1]


def report(runs, hours):
    """Prints the table; true if all embeddings agree."""
    own = runs["attune"]
    print(f"{'':12}{'wall s':>9}{'min':>8}{'max':>8}{'times':>8}{'processor s':>13}{'times':>8}"
          f"{'MB':>8}{'times':>8}{'hours/s':>9}{'largest difference':>20}")
    good, verdicts = True, []
    for name, turns in runs.items():
        walls = [run.wall for run in turns]
        slower = statistics.median(run.wall / ours.wall for run, ours in zip(turns, own))
        busier = statistics.median(run.processor / ours.processor for run, ours in zip(turns, own))
        most = max(run.megabytes for run in turns)
        larger = most / max(run.megabytes for run in own)
        difference = max(numpy.abs(run.embeddings - own[0].embeddings).max() for run in turns)
        print(f"{name:12}{statistics.median(walls):9.2f}{min(walls):8.2f}{max(walls):8.2f}{slower:8.2f}"
              f"{statistics.median(run.processor for run in turns):13.2f}{busier:8.2f}{most:8.0f}{larger:8.1f}"
              f"{hours / statistics.median(walls):9.3f}{difference:20.2g}")
        good = good and difference <= TOLERANCE  # which NaN is not
        if name in TARGETS:
            verdicts.append(f"{name}: {TARGETS[name]} times slower: {'yes' if slower >= TARGETS[name] else 'NO'}; "
                            f"{MEMORY_TARGET} times the memory: {'yes' if larger >= MEMORY_TARGET else 'NO'}")
    print("\n".join(verdicts))
    return good


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("folder")
    parser.add_argument("--short", type=int, help="take so many files of 30 s")
    parser.add_argument("--long", type=int, help="take so many files of 4 minutes")
    parser.add_argument("--turns", type=int, default=3)
    for peer in TARGETS:
        parser.add_argument(f"--{peer.replace(' ', '-')}", dest=peer, type=parse_setting,
                            metavar="KIND,WORKERS,THREADS",
                            help="measure this peer so, instead of trying settings: processes,2,1")
    arguments = parser.parse_args()
    folder = Path(arguments.folder).resolve()
    short = sorted(map(str, folder.glob("short/*.mp3")))[:arguments.short]
    long = sorted(map(str, folder.glob("long/*.mp3")))[:arguments.long]
    files = long + short  # the long ones first, for everyone: no worker is left with one at the end
    if not files:
        sys.exit(f"{folder}: no short/*.mp3 and long/*.mp3; tools/make_peer_music makes them")
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    for path in files:  # into the page cache
        Path(path).read_bytes()
    import onnxruntime
    version = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True).stdout.split()[2]
    with tempfile.TemporaryDirectory() as scratch:
        best = {peer: vars(arguments)[peer] or best_setting(arguments.build, peer, files, scratch) for peer in TARGETS}
        runs = {"attune": [], "notebook": [], "in process": []}
        for _ in range(arguments.turns):
            runs["attune"].append(run_attune(arguments.build, files, scratch))
            for peer, setting in best.items():
                runs[peer].append(run_peer(arguments.build, peer, setting, files, scratch))
    hours = (len(short) * 30 + len(long) * 240) / 3600
    print(f"{len(short)} MP3s of 30 s and {len(long)} of 4 minutes, {hours:.2f} hours, {CORES} cores, "
          f"{arguments.turns} turns, medians; attune {runs['attune'][0].device}, "
          f"ONNX Runtime {onnxruntime.__version__}, FFmpeg {version}")
    for peer, setting in best.items():
        print(f"  {peer}: {describe(setting)}")
    sys.exit(0 if report(runs, hours) else f"a component differs by more than {TOLERANCE:g}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        peer_main(*sys.argv[2:])
    else:
        main()
