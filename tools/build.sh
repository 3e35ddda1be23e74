# build.sh - sourced by the scripts of tools, tests, bench and .ci: install what is missing, build what has changed.
# Says what it does only when there is something to do.

root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)

say() { printf '%s\n' "$*" >&2; }

# True if a package's sign (see tools/packages) is on this machine.
present() {
    case $1 in
        pc:*) pkg-config --exists "${1#pc:}" 2>/dev/null ;;
        py:*) /usr/bin/python3 -c "import ${1#py:}" 2>/dev/null ;;
        clang-rt) compgen -G '/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*' >/dev/null || compgen -G '/usr/lib/clang/*/lib/linux/libclang_rt.fuzzer-*' >/dev/null ;;
        /*) [ -e "$1" ] ;;
        *) command -v "$1" >/dev/null 2>&1 ;;
    esac
}

# need GROUP...: installs the packages of these groups that are missing; those without a group are `build`.
need() {
    local package sign group missing=()
    while read -r package sign group; do
        case $package in '' | '#'*) continue ;; esac
        [[ " $* " == *" ${group:-build} "* ]] || continue
        present "$sign" || missing+=("$package")
    done <"$root/tools/packages"
    [ ${#missing[@]} -gt 0 ] || return 0
    if ! command -v apt-get >/dev/null 2>&1; then
        say "attune needs these packages (Debian's names), and this system has no apt-get to install them:"
        say "  ${missing[*]}"
        exit 78
    fi
    local sudo=
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null 2>&1; then
            say "attune needs these packages; install them as root, then run this again:"
            say "  apt-get install ${missing[*]}"
            exit 78
        fi
        sudo=sudo
    fi
    say "attune: installing ${missing[*]}"
    local log
    log=$(mktemp)
    if ! { $sudo apt-get update && $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
        say "attune: the installation failed:"
        tail -n 20 "$log" >&2
        rm -f "$log"
        exit 78
    fi
    rm -f "$log"
}

# configured PRESET TESTS: true if the build folder is there, with tests if they are asked for.
configured() {
    local folder=$root/build/$1 cache=$root/build/$1/CMakeCache.txt
    { [ -e "$folder/build.ninja" ] || [ -e "$folder/Makefile" ]; } && { [ "$2" = OFF ] || grep -q '^ATTUNE_TESTS:BOOL=ON' "$cache"; }
}

# build PRESET TESTS TARGET...: configures where needed, TESTS is ON or OFF (which needs no Criterion), and builds
# quietly. On failure, shows the compiler's output. A folder that was configured by hand keeps its generator.
build() {
    local preset=$1 tests=$2 log lock ninja=(-G Ninja)
    shift 2
    if ! mkdir -p "$root/build" 2>/dev/null || [ ! -w "$root/build" ]; then
        [ "$tests" = OFF ] && [ -x "$root/build/$preset/src/cli/attune" ] && return # another user's, as it is
        say "attune: $root/build: cannot write there; build it as its owner, or in a clone of your own"
        exit 73
    fi
    log=$(mktemp) || exit 73
    exec {lock}>"$root/build/lock" # two first runs at once take turns
    flock "$lock"
    [ ! -e "$root/build/$preset/CMakeCache.txt" ] || ninja=()
    configured "$preset" OFF || say "attune: building (once, about a minute)"
    if ! { { configured "$preset" "$tests" || (cd "$root" && cmake --preset "$preset" "${ninja[@]}" "-DATTUNE_TESTS=$tests" "-DATTUNE_BENCH=$tests"); } &&
           cmake --build "$root/build/$preset" -j "$(nproc)" --target "$@"; } >"$log" 2>&1; then
        say "attune: the build failed:"
        tail -n 40 "$log" >&2
        rm -f "$log"
        exit 70
    fi
    rm -f "$log"
    exec {lock}>&-
}

# python_with VENV MODULES PACKAGE...: sets `python` to the first python3 that has the modules, words of MODULES: the one
# on PATH, or that of VENV, where pip installs the packages (and takes its options) from PyPI if neither has them.
python_with() {
    local venv=$1 modules=$2 log
    local has='import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, sys.argv[1].split())))'
    shift 2
    for python in python3 "$venv/bin/python"; do
        ! "$python" -c "$has" "$modules" 2>/dev/null || return 0
    done
    python3 -c 'import ensurepip' 2>/dev/null || need python
    say "attune: installing $modules in $venv (once)"
    log=$(mktemp)
    # One that was left half made has a python and no pip.
    if [ ! -x "$venv/bin/pip" ] && ! python3 -m venv "$venv" >"$log" 2>&1; then
        say "attune: python3 cannot make an environment in $venv:"
        tail -n 5 "$log" >&2
        rm -f "$log"
        exit 78
    fi
    if ! "$venv/bin/pip" install --quiet "$@" >"$log" 2>&1; then
        say "attune: pip cannot install $modules in $venv:"
        tail -n 5 "$log" >&2
        rm -f "$log"
        exit 74
    fi
    rm -f "$log"
}
