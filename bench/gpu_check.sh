#!/usr/bin/env bash
# gpu_check.sh [SHARED] - everything that needs a GPU, in one command and in under nine minutes: build, tests, ceilings,
# throughput beside PyTorch, compute-sanitizer, and real files against their golden vectors. Not yet run on a GPU.
#
# SHARED is the folder with audio/ and models/ (default: shared/ or ../shared; without it the last step is left out).
# Writes <gpu>-<date>.md and .json, and -logs.tar.gz with the steps' full logs, into bench/results, or into
# $ATTUNE_RESULTS. A step that fails or runs out of time is recorded and the others go on; the exit status is then 1.
# Leaves the GPU's settings as they are.
#
# Needs nvcc, CMake and pkg-config, but no package registry: libraries come from /opt/attune-deps (bin/ lib/ include/
# and env.sh) if it is there, else from the system. Beside FFmpeg, HDF5, protobuf-c, Criterion, xxHash and jansson these
# are what Debian calls zlib1g-dev libssl-dev libcsv-dev libmicrohttpd-dev libonnx-dev.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit 1
deadline=$((SECONDS + ${ATTUNE_GPU_CHECK_SECONDS:-520}))
build=$root/build/gpu
logs=$root/build/gpu-check
results=${ATTUNE_RESULTS:-$root/bench/results}
rm -rf "$logs"
mkdir -p "$logs" "$results"
shared=
for folder in "${1:-}" "$root/shared" "$root/../shared"; do
    [ -n "$folder" ] && [ -d "$folder/audio" ] && shared=$(cd "$folder" && pwd) && break
done
model=$shared/models/mecomp/audio_embedding_model.onnx
[ -n "$shared" ] && [ -e "$model" ] || model=
# shellcheck disable=SC1091
[ -e /opt/attune-deps/env.sh ] && . /opt/attune-deps/env.sh
# What only static linking wants is not among those libraries, and pkg-config would ask for it.
if compgen -G '/opt/attune-deps/lib/pkgconfig/*.pc' >/dev/null; then
    mkdir -p "$logs/pkgconfig"
    for description in /opt/attune-deps/lib/pkgconfig/*.pc; do
        sed '/^\(Requires\|Libs\)\.private/d' "$description" >"$logs/pkgconfig/${description##*/}"
    done
    export PKG_CONFIG_PATH=$logs/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
fi
for cuda in "${CUDA_HOME:-}" "${CUDA_PATH:-}" /usr/local/cuda; do
    [ -n "$cuda" ] && [ -x "$cuda/bin/nvcc" ] && PATH=$PATH:$cuda/bin && break
done

names=() states=() times=()
# step NAME SECONDS COMMAND...: runs it, no longer than that and than the deadline, its output in $logs/NAME.log.
step() {
    local name=$1 limit=$2 start=$SECONDS left=$((deadline - SECONDS)) state code
    shift 2
    [ "$limit" -le "$left" ] || limit=$left
    if [ "$limit" -lt 5 ]; then
        state="no time left"
    else
        timeout --kill-after=5 "$limit" "$@" >"$logs/$name.log" 2>&1 </dev/null
        code=$?
        case $code in
            0) state=ok ;;
            77) state=skipped ;;
            124 | 137) state="out of time ($limit s)" ;;
            *) state="failed ($code)" ;;
        esac
    fi
    names+=("$name") states+=("$state") times+=("$((SECONDS - start))")
    printf '%-22s %-22s %4d s\n' "$name" "$state" "$((SECONDS - start))"
    case $state in
        ok | skipped) ;;
        *) [ ! -e "$logs/$name.log" ] || tail -n 15 "$logs/$name.log" | sed 's/^/    | /' ;;
    esac
    [ "$state" = ok ]
}

machine() {
    local code=0
    nvidia-smi --query-gpu=name,driver_version,memory.total,compute_cap --format=csv,noheader || code=1
    nvcc --version | tail -n 2
    cmake --version | head -n 1
    printf '%s processors, %s\n' "$(nproc)" "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)"
    command -v pkg-config || { echo "no pkg-config: CMake will not find the libraries"; code=1; }
    return $code
}

configure() {
    local capability generator="Unix Makefiles"
    capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d '. ')
    command -v ninja >/dev/null && generator=Ninja
    [ -e "$build/CMakeCache.txt" ] && generator=$(sed -n 's/^CMAKE_GENERATOR:INTERNAL=//p' "$build/CMakeCache.txt")
    cmake -S "$root" -B "$build" -G "$generator" -DCMAKE_BUILD_TYPE=Release -DATTUNE_CUDA=ON -DATTUNE_WERROR=OFF \
        -DATTUNE_TESTS=ON -DATTUNE_BENCH=ON -DCMAKE_CUDA_ARCHITECTURES="${capability:-90}-real"
}

gpu_tests() {
    (cd "$build" && ATTUNE_REQUIRE_GPU=1 ctest -L gpu --output-on-failure --no-tests=error --timeout 120)
}

# sanitize TOOL UNIT: a test that runs every kernel on little work. Criterion runs each test in a process of its own, so
# the sanitizer follows processes, and its summaries say what counts rather than the first process's exit status.
sanitize() {
    command -v compute-sanitizer >/dev/null || { echo "no compute-sanitizer"; return 77; }
    local log=$logs/sanitize-$1-$2.log
    compute-sanitizer --tool "$1" --target-processes all --print-limit 20 \
        "$build/tests/cuda/test_cuda_$2" --filter "$2/little_of_everything" --timeout 300 2>&1
    grep -q 'SUMMARY: 0 ' "$log" && ! grep -qE 'SUMMARY: [1-9]' "$log" &&
        ! grep -q 'ATTUNE-SKIP' "$log" && ! grep -q 'Failing: [1-9]' "$log"
}

torch_peer() {
    python3 -c 'import torch' 2>/dev/null || { echo "python3 has no torch"; return 77; }
    # a model where the package onnx can read it; the arithmetic is the same either way
    local weights=()
    [ -n "$model" ] && python3 -c 'import onnx' 2>/dev/null && weights=(--model "$model")
    PYTHONUNBUFFERED=1 python3 bench/peers/torch_peer.py --budget 75 --json "$logs/torch.json" "${weights[@]}"
}

# A step of training beside PyTorch's, turn by turn.
train_peer() {
    python3 -c 'import torch, numpy' 2>/dev/null || { echo "python3 has no torch and numpy"; return 77; }
    PYTHONUNBUFFERED=1 python3 bench/peers/train_peer.py "$build/bench/bench_train" 2 9 --device cuda \
        --json "$logs/train.json"
}

# Files end to end. The shared audio is short beside what opening a device takes: it is taken twenty times.
embed_all() {
    local i
    mkdir -p "$logs/audio"
    for i in {1..20}; do
        cp -r "$shared/audio" "$logs/audio/$i" || return
    done
    "$build/bench/bench_embed" "$model" cuda "$(nproc)" "$logs/audio"
    local code=$?
    rm -rf "$logs/audio"
    return $code
}

# golden PRECISION BOUND: the shared audio end to end on the GPU against the golden vectors.
golden() {
    if [ -z "$model" ] || [ ! -e "$shared/audio/golden_mecomp.csv" ]; then
        echo "no shared audio"
        return 77
    fi
    python3 -c 'import h5py, numpy' || return 77
    local out=$logs/golden-$1.h5 code
    rm -rf "$out" "$out.parts"
    "$build/src/cli/attune" embed "$shared/audio" -o "$out" --model "$model" --device cuda --precision "$1"
    code=$?
    [ "$code" = 0 ] || [ "$code" = 3 ] || return "$code" # 3: the files that are broken on purpose
    python3 - "$out" "$shared/audio/golden_mecomp.csv" "$2" <<'PYTHON'
import csv, os, sys
import h5py, numpy
output, golden, bound = sys.argv[1], sys.argv[2], float(sys.argv[3])
with h5py.File(output) as file:
    print("device:", file.attrs["device"], "precision:", file.attrs["precision"])
    name = lambda path: os.path.basename(path.decode() if isinstance(path, bytes) else path)
    rows = {name(path): row for path, row in zip(file["path"][:], file["embedding"][:])}
worst, compared, bad = 0.0, 0, 0
for row in csv.DictReader(open(golden)):
    got = rows.get(row["file"])
    if got is None:
        print("missing:", row["file"])
        bad += 1
    elif int(row["samples"]) == 0:
        bad += int(not numpy.isnan(got).all())
    else:
        expected = numpy.array([float(row[f"e{i}"]) for i in range(32)])
        error = float(numpy.abs(got - expected).max())
        if not error < bound:
            print(f"{row['file']}: {error:.3g}")
            bad += 1
        worst, compared = max(worst, error), compared + 1
print(f"{compared} files, largest difference {worst:.3g}, bound {bound:g}, {bad} bad")
sys.exit(1 if bad or compared == 0 else 0)
PYTHON
}
export build logs shared model root
export -f machine configure gpu_tests sanitize torch_peer train_peer embed_all golden

model_option=${model:+--model $model}
step machine 20 bash -c machine
step configure 60 bash -c configure &&
    step build 200 cmake --build "$build" --parallel "$(nproc)" --target attune bench_kernels bench_engine bench_embed \
        bench_train test_cuda_device test_cuda_train_device test_cuda_frontend_device
if [ -x "$build/bench/bench_kernels" ]; then
    step tests 150 bash -c gpu_tests
    for unit in device train_device; do
        step "sanitize-memcheck-$unit" 60 bash -c "sanitize memcheck $unit"
    done
    # shellcheck disable=SC2086
    step bench-kernels 40 "$build/bench/bench_kernels" --json "$logs/kernels.json" $model_option
    # shellcheck disable=SC2086
    step bench-engine 110 "$build/bench/bench_engine" --limit 6 --json "$logs/engine.json" $model_option
    [ -z "$model" ] || step bench-embed 60 bash -c embed_all
    step bench-train 30 "$build/bench/bench_train" 2 cuda
    step train-torch 60 bash -c train_peer
    step golden-exact 30 bash -c 'golden exact 1e-5'
    step golden-fast 30 bash -c 'golden fast 5e-4'
fi
step torch 110 bash -c torch_peer
if [ -x "$build/bench/bench_kernels" ]; then
    for unit in device train_device; do
        step "sanitize-racecheck-$unit" 60 bash -c "sanitize racecheck $unit"
    done
fi

# --- results ---
gpu=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -n 1)
gpu=${gpu:-no GPU}
slug=$(printf '%s' "$gpu" | tr '[:upper:] ' '[:lower:]-' | tr -cd 'a-z0-9-')
base=$results/$slug-$(date +%Y-%m-%d)
commit=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
bad=0
{
    printf '# %s, %s\n\nCommit %s, by bench/gpu_check.sh.\n\n' "$gpu" "$(date +%Y-%m-%d)" "$commit"
    printf '| step | result | seconds |\n|---|---|---|\n'
    for i in "${!names[@]}"; do
        printf '| %s | %s | %s |\n' "${names[$i]}" "${states[$i]}" "${times[$i]}"
    done
    for name in machine bench-kernels bench-engine bench-embed torch bench-train train-torch golden-exact golden-fast tests; do
        [ -s "$logs/$name.log" ] || continue
        printf '\n## %s\n\n```\n' "$name"
        tail -n 60 "$logs/$name.log"
        printf '```\n'
    done
    for i in "${!names[@]}"; do
        case ${states[$i]} in ok | skipped) continue ;; esac
        printf '\n## %s: %s\n\n```\n' "${names[$i]}" "${states[$i]}"
        tail -n 200 "$logs/${names[$i]}.log" 2>/dev/null
        printf '```\n'
    done
} >"$base.md"
tar czf "$base-logs.tar.gz" --exclude='*.h5' --exclude=pkgconfig --exclude=./audio -C "$logs" .
{
    printf '{"gpu": "%s", "date": "%s", "commit": "%s", "steps": [' "$gpu" "$(date +%Y-%m-%d)" "$commit"
    for i in "${!names[@]}"; do
        [ "$i" = 0 ] || printf ','
        printf '\n {"name": "%s", "result": "%s", "seconds": %s}' "${names[$i]}" "${states[$i]}" "${times[$i]}"
    done
    printf ']'
    for part in kernels engine torch train; do # a bench that was stopped leaves half a file
        if [ -s "$logs/$part.json" ] && tail -c 3 "$logs/$part.json" | grep -q '}'; then
            printf ',\n"%s": ' "$part"
            cat "$logs/$part.json"
        fi
    done
    printf '}\n'
} >"$base.json"
for state in "${states[@]}"; do
    case $state in ok | skipped) ;; *) bad=$((bad + 1)) ;; esac
done

# attune beside PyTorch's best, on tracks of 30 s
python3 - "$base.json" >>"$base.md" 2>/dev/null <<'PYTHON'
import json, sys
data = json.load(open(sys.argv[1]))
peer = (data.get("torch") or {}).get("best")
print("\n## beside PyTorch's best\n")
for run in data.get("engine", {}).get("runs", []):
    if run["lengths"] == "30 s":
        ratio = f", {run['hours_per_second'] / peer['hours_per_second']:.1f} times PyTorch" if peer else ""
        print(f"- {run['precision']}, PCM {run['pcm']}: {run['hours_per_second']:.1f} hours/s{ratio}")
for run in data.get("train", {}).get("runs", []):
    print(f"- training: {run['attune_clips_per_second']:.0f} clips/s, {run['ratio']:.1f} times PyTorch in {run['precision']}")
PYTHON
printf '\n'
sed -n '/^## beside/,$p' "$base.md" | sed 1,2d
printf 'results: %s.md and .json; %d of %d steps failed; %d s\n' "$base" "$bad" "${#names[@]}" "$SECONDS"
[ "$bad" = 0 ]
