# build.sh - sourced by tools/attune, tools/test and .ci/run: install what is missing, build what has changed.
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
    log=$(mktemp)
    mkdir -p "$root/build"
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
