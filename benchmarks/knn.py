#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Exact nearest neighbors beside the bare matrix product, and beside FAISS's flat index on the same rows, in turns.

usage: knn.py --program PROGRAM --peers FOLDER [--rounds N] [--repeats N] [--sizes QUERIES BANK WIDTH]    (./run bench knn)

First both find the 20 nearest rows of each query, and the neighbors are compared: they must be the same but for rows whose cosines
float32 cannot distinguish. Then doppel's program, which times its parts beside a bare matrix product, and FAISS run in turns; the
medians of the rounds count. Prints one JSON object a line: name, value, unit, baseline, baseline_value, ratio.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time


def install(folder):
    """Installs FAISS and what it imports, once."""
    if not (folder / "done").exists():
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade", "--target", str(folder),
                        "faiss-cpu==1.15.1", "numpy", "packaging"], check=True, stdout=sys.stderr)
        (folder / "done").touch()
    sys.path.insert(0, str(folder))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--peers", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs=3, default=(10000, 50000, 512), metavar=("QUERIES", "BANK", "WIDTH"))
    options = parser.parse_args()
    install(options.peers / "faiss")
    import faiss
    import numpy

    count, rows, width = options.sizes
    sizes = [str(number) for number in options.sizes]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([options.program, "--write", folder, *sizes], check=True)
        read = pathlib.Path(folder)
        queries = numpy.fromfile(read / "queries", numpy.float32).reshape(count, width)
        bank = numpy.fromfile(read / "bank", numpy.float32).reshape(rows, width)
        found = numpy.fromfile(read / "found", numpy.int64).reshape(count, 20)
        cosines = numpy.fromfile(read / "cosines", numpy.float32).reshape(count, 20)
    flat = faiss.IndexFlatIP(width)
    flat.add(bank)
    values, places = flat.search(queries, 20)
    apart = float(abs(values - cosines).max())
    same = sum(len(numpy.intersect1d(a, b)) for a, b in zip(found, places)) / found.size
    print(json.dumps({"name": "neighbors that FAISS finds too", "value": same, "unit": "share"}))
    print(json.dumps({"name": "largest difference of cosines from FAISS's", "value": apart, "unit": ""}))
    if same < 0.9999 or apart > 1e-5:
        sys.exit("knn.py: the neighbors are not FAISS's; no time is worth measuring")

    lines, other = {}, []
    for _ in range(options.rounds):
        run = subprocess.run([options.program, str(options.repeats), *sizes], check=True, capture_output=True, text=True)
        for line in map(json.loads, run.stdout.splitlines()):
            lines.setdefault(line["name"], []).append(line)
        for _ in range(options.repeats):
            began = time.perf_counter()
            flat.search(queries, 20)
            other.append(time.perf_counter() - began)
    for name, all_rounds in lines.items():
        value, baseline, ratio = (statistics.median(line[key] for line in all_rounds) for key in ("value", "baseline_value", "ratio"))
        print(json.dumps({"name": name, "value": round(value, 4), "unit": all_rounds[0]["unit"], "baseline": all_rounds[0]["baseline"],
                          "baseline_value": round(baseline, 4), "ratio": round(ratio, 3)}))
    value, faiss_seconds = statistics.median(line["value"] for line in lines["nearest_20"]), statistics.median(other)
    print(json.dumps({"name": "nearest_20", "value": round(value, 4), "unit": "s", "baseline": f"faiss-cpu {faiss.__version__}, IndexFlatIP",
                      "baseline_value": round(faiss_seconds, 4), "ratio": round(value / faiss_seconds, 3)}))
    print(json.dumps({"name": "setting", "queries": count, "bank": rows, "features": width, "cores": os.cpu_count(),
                      "load": round(os.getloadavg()[0], 1), "numpy": numpy.__version__}))


if __name__ == "__main__":
    main()
