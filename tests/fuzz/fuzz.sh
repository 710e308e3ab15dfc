#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fuzzes the readers of bytes with libFuzzer: builds tests/fuzz with clang into build/fuzz and shares SECONDS among the
# targets. What is learned stays in build/fuzz/corpus, what breaks the contract goes to build/fuzz/findings.
set -euo pipefail

here=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
build=$(CDPATH='' cd -- "$here/../.." && pwd -P)/build/fuzz
say() { printf 'fuzz: %s\n' "$*" >&2; }
die() { say "$@"; exit 2; }

if ! [[ ${1:-} =~ ^[1-9][0-9]*$ ]]; then
    cat >&2 <<'TEXT'
usage: tests/fuzz/fuzz.sh SECONDS [TARGET...]

One line a target; exit status 1 and the input's path when something is found. Environment:
  CXX                          the clang to use (clang++)
  LIBTORCH=FOLDER              also the target safetensors, the whole loader
  CMAKE_BUILD_PARALLEL_LEVEL   number of compile jobs
TEXT
    exit 2
fi
total=$1
shift

compiler=${CXX:-clang++}
command -v "$compiler" >/dev/null || die "there is no $compiler: install clang (Debian, Ubuntu: apt install clang)"
[[ $("$compiler" --version) == *clang* ]] || die "$compiler is no clang, and only clang has libFuzzer: name one by CXX"
mkdir -p "$build"/{corpus,findings,logs}
exec 9>"$build/lock"  # one fuzz.sh at a time
if command -v flock >/dev/null && ! flock -n 9; then
    say "another fuzz.sh is at work in $build; waiting for it"
    flock 9
fi
# The smallest target shows whether the runtime is there.
if ! echo 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }' |
    "$compiler" -x c++ -fsanitize=fuzzer,address,undefined - -o "$build/probe" 2>"$build/logs/probe.log"; then
    version=$("$compiler" -dumpversion | cut -d. -f1)
    die "$compiler cannot link libFuzzer, see $build/logs/probe.log: install its runtime" \
        "(Debian, Ubuntu: apt install libclang-rt-$version-dev) or name another clang by CXX"
fi
rm -f "$build/probe"

{
    cmake -S "$here" -B "$build" -G Ninja -DFUZZER=ON -DCMAKE_CXX_COMPILER="$compiler" -DDOPPEL_TORCH="${LIBTORCH:-}"
    cmake --build "$build"
} >"$build/logs/build.log" 2>&1 || {
    tail -40 "$build/logs/build.log" >&2
    die "the build failed, see $build/logs/build.log"
}
read -r -a known <"$build/targets.txt"
targets=("$@")
((${#targets[@]})) || targets=("${known[@]}")
for target in "${targets[@]}"; do
    [[ " ${known[*]} " == *" $target "* ]] || die "there is no target $target; there are: ${known[*]}" \
        "(safetensors needs LIBTORCH=FOLDER)"
done

most_bytes() {
    case $1 in
        number) echo 48 ;;
        exif) echo 256 ;;
        file_kind) echo 520 ;;
        cifar) echo 6400 ;;  # two records and the names
        tar) echo 8192 ;;
        jpeg | png | webp | gif | bmp | ppm | tiff) echo 3000 ;;
        *) echo 2000 ;;
    esac
}

# The readers' files: in memory where there is such a place, gone also after a crash.
scratch=$(mktemp -d -p "$([[ -w /dev/shm ]] && echo /dev/shm || echo "${TMPDIR:-/tmp}")" doppel-fuzz.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
export TMPDIR=$scratch UBSAN_OPTIONS=print_stacktrace=1

share=$((total / ${#targets[@]}))
((share > 0)) || share=1
limits=(-timeout=10 -rss_limit_mb=2048 -malloc_limit_mb=128)
findings=0
for target in "${targets[@]}"; do
    log=$build/logs/$target.log
    mkdir -p "$build/corpus/$target"
    status=0
    "$build/$target" -max_total_time="$share" -max_len="$(most_bytes "$target")" "${limits[@]}" \
        -print_final_stats=1 -dict="$build/seeds/$target.dict" \
        -artifact_prefix="$build/findings/$target-" "$build/corpus/$target" "$build/seeds/$target" >&"$log" || status=$?
    awk -v target="$target" -v status="$status" '
        { for (i = 1; i < NF; ++i) { if ($i == "cov:") coverage = $(i + 1); if ($i == "corp:") corpus = $(i + 1) } }
        /^stat::number_of_executed_units/ { runs = $2 }
        /^stat::average_exec_per_sec/ { speed = $2 }
        /^stat::peak_rss_mb/ { memory = $2 }
        END { printf "%-19s %9d runs %7d/s  coverage %5d  corpus %s  memory %d MB  %s\n", target, runs, speed,
              coverage, corpus == "" ? "-" : corpus, memory, status == 0 ? "no finding" : "1 FINDING" }' "$log"
    ((status != 0)) || continue
    findings=$((findings + 1))
    input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -1)
    # Our own word, or the sanitizer's.
    grep -a -m1 '^FINDING' "$log" || grep -a -m1 -E 'runtime error:|Assertion .* failed|^SUMMARY' "$log" ||
        tail -3 "$log"
    if [[ -n $input ]]; then
        printf '    input   %s\n    replay  %s %s %s\n' "$input" "$build/$target" "${limits[*]}" "$input"
    else
        printf '    no input was kept; see %s\n' "$log"
    fi
done
((findings == 0)) || exit 1
