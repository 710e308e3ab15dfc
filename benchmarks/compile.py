#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""CPU seconds that a source of one #include takes to compile, beside torch's own headers in the same run.

usage: compile.py [--repeat N] [--compiler CXX] FLAG...      ./run bench compile [--repeat N] gives compiler and flags

Prints one JSON object a line: name, value, unit, baseline, baseline_value, ratio. Of N runs the fastest counts; between
the runs of one header all others are compiled, so that a busy machine slows all of them alike.
"""
import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile

# Header, and the baseline that its time is divided by.
HEADERS = [
    ("torch/torch.h", None),
    ("ATen/ATen.h", None),
    ("doppel/doppel.hpp", "torch/torch.h"),
    ("doppel/eval.hpp", "torch/torch.h"),
    ("doppel/core/module.hpp", "torch/torch.h"),
    ("doppel/core/tensor.hpp", "ATen/ATen.h"),
    ("doppel/losses/nt_xent.hpp", "ATen/ATen.h"),
]


def compile_seconds(compiler, flags, header, folder):
    source = os.path.join(folder, "one.cpp")
    with open(source, "w", encoding="utf-8") as file:
        file.write(f"#include <{header}>\n")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([compiler, *flags, "-c", source, "-o", os.path.join(folder, "one.o")], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--compiler", default=os.environ.get("CXX", "g++"))
    options, flags = parser.parse_known_args()
    if options.repeat < 1:
        sys.exit(f"compile.py: --repeat must be at least 1, got {options.repeat}")
    fastest = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.repeat):
            for header, _ in HEADERS:
                seconds = compile_seconds(options.compiler, flags, header, folder)
                fastest[header] = min(seconds, fastest.get(header, seconds))
    for header, baseline in HEADERS:
        line = {"name": f"compile <{header}>", "value": round(fastest[header], 2), "unit": "CPU s"}
        if baseline:
            line.update(baseline=f"<{baseline}>", baseline_value=round(fastest[baseline], 2),
                        ratio=round(fastest[header] / fastest[baseline], 3))
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
