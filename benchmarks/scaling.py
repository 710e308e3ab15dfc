# SPDX-License-Identifier: Apache-2.0
"""Two processes on two cores beside one process on one core, with the same work for each: SimCLR on the embedded images.

Each line is a JSON object as the other benchmarks print: name, value, unit, baseline, baseline_value, ratio. `ratio` of a line with
images/s is that to the baseline; 2 would be perfect. `exposed communication` is what a step of two processes takes longer than a
step of two runs that know nothing of each other, on the same two cores at the same time. `bytes sent` is what a process sends of
gradients in a step, beside the size of the model's parameters.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile


def start(program, folder, name, options, cores):
    out = os.path.join(folder, name)
    shutil.rmtree(out, ignore_errors=True)
    command = [program, "simclr", "--device", "cpu", "--precision", "fp32", "--no-linear", "--log-every", "1", "--workers", "1",
               "--progress", "off", "--out", out, *options]
    if shutil.which("taskset"):
        command = ["taskset", "-c", cores, *command]
    return out, subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def seconds_per_step(out, process):
    """The median, without the first quarter of the steps; None where the run failed."""
    error = process.communicate()[1]
    if process.returncode != 0:
        sys.exit(f"scaling: the run in {out} failed: {error.strip().splitlines()[-1] if error.strip() else process.returncode}")
    with open(os.path.join(out, "metrics.jsonl")) as lines:
        steps = [line for line in map(json.loads, lines) if "images_per_second" in line]
    with open(os.path.join(out, "config.json")) as file:
        images = json.load(file)["training"]["images_per_step"]
    return statistics.median(images / line["images_per_second"] for line in steps[len(steps) // 4:])


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--program", required=True)
    arguments.add_argument("--arch", default="resnet18")
    arguments.add_argument("--size", default=32, type=int)
    arguments.add_argument("--batch-size", default=64, type=int, help="images of each process")
    arguments.add_argument("--steps", default=12, type=int)
    arguments.add_argument("--repeat", default=3, type=int)
    given = arguments.parse_args()
    folder = tempfile.mkdtemp()
    batch = given.batch_size

    def options(processes, *more):
        images = batch * processes * given.steps
        return ["--arch", given.arch, "--size", str(given.size), "--images", str(images), "--epochs", "1", "--batch-size", str(batch * processes),
                *(["--processes", str(processes)] if processes > 1 else []), *more]

    def alone():
        return seconds_per_step(*start(given.program, folder, "one", options(1), "0"))

    def side_by_side():
        both = [start(given.program, folder, f"beside{core}", options(1), str(core)) for core in range(2)]
        return statistics.mean([seconds_per_step(*one) for one in both])

    kinds = {"two processes": [], "two processes, own statistics": ["--no-sync-batch-norm"], "two processes, bf16 gradients": ["--compress-gradients"]}
    times = {name: [] for name in ["one process", "two runs side by side", *kinds]}
    for _ in range(given.repeat):  # in turn, so that what else the machine does meets all
        times["one process"].append(alone())
        times["two runs side by side"].append(side_by_side())
        for name, more in kinds.items():
            times[name].append(seconds_per_step(*start(given.program, folder, "two", options(2, *more), "0,1")))
    step = {name: min(found) for name, found in times.items()}

    def line(name, value, unit, baseline, baseline_value):
        print(json.dumps({"name": name, "value": round(value, 4), "unit": unit, "baseline": baseline, "baseline_value": round(baseline_value, 4),
                          "ratio": round(value / baseline_value, 4)}), flush=True)

    with open(os.path.join(folder, "one", "encoder.safetensors"), "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        parameters = sum((part["data_offsets"][1] - part["data_offsets"][0]) for name, part in json.loads(file.read(size)).items()
                         if name != "__metadata__" and "running" not in name)
    work = f"simclr {given.arch} {given.size} px, {batch} images a process"
    for name in ["two runs side by side", *kinds]:
        line(f"{work}: {name}", 2 * batch / step[name], "images/s", "one process on one core", batch / step["one process"])
    for name in kinds:
        line(f"{work}: {name}, exposed communication", 1000 * (step[name] - step["two runs side by side"]), "ms", "a step of two runs side by side",
             1000 * step["two runs side by side"])
    for name in kinds:  # a ring sends (W - 1) / W of the buffer twice
        line(f"{work}: {name}, bytes of the encoder's gradients sent", parameters * (0.5 if "bf16" in name else 1), "bytes", "the encoder's parameters", parameters)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
