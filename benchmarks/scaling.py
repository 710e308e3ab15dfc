# SPDX-License-Identifier: Apache-2.0
"""Two processes on two cores beside one process on one core, with the same work for each: SimCLR on the embedded images.

All runs are started, and stopped but for one: they go on in turn, some steps each, so that what else the machine does meets all of
them. A figure is the median over the rounds, a ratio the median of the rounds' ratios.

Each line is a JSON object as the other benchmarks print: name, value, unit, baseline, baseline_value, ratio.
- images/s, once beside twice those of one process on one core, once beside two runs that know nothing of each other on the same two
  cores: 1 is perfect.
- exposed communication: what a step takes longer than one of those two runs.
- bytes sent by a process in a step, counted at the machine's loopback interface, beside the gradients, which a ring of two processes
  sends once; in bfloat16, half of them.
"""
import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time


def sent():
    """Bytes that went through the loopback interface so far; None where the system does not say."""
    try:
        with open("/sys/class/net/lo/statistics/tx_bytes") as file:
            return int(file.read())
    except OSError:
        return None


def gradient_bytes(program, folder, options):
    """Of the trained parameters, as a short run's checkpoint has them."""
    out = os.path.join(folder, "short")
    ended = subprocess.run([program, "simclr", "--device", "cpu", "--precision", "fp32", "--progress", "off", "--out", out, *options],
                           stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if ended.returncode != 0:
        sys.exit(f"scaling: a short run failed: {(ended.stderr.strip().splitlines() or [ended.returncode])[-1]}")
    checkpoints = os.path.join(out, "checkpoints")
    with open(os.path.join(checkpoints, os.listdir(checkpoints)[0]), "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        return sum(end - begin for name, part in json.loads(file.read(size)).items() if name.startswith("optimizer.momentum.")
                   for begin, end in [part["data_offsets"]])


class Run:
    """A training, or several at once, that goes on only within measure()."""

    def __init__(self, name, program, folder, cores, options):
        self.name, self.outs, self.started = name, [], []
        for core in cores:
            out = os.path.join(folder, f"{len(os.listdir(folder))}")
            os.mkdir(out)
            command = [program, "simclr", "--device", "cpu", "--precision", "fp32", "--log-every", "1", "--workers", "1", "--progress", "off",
                       "--out", os.path.join(out, "run"), *options]
            if shutil.which("taskset"):
                command = ["taskset", "-c", core, *command]
            self.started.append(subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL,
                                                 stderr=subprocess.PIPE, text=True, start_new_session=True))
            self.outs.append(os.path.join(out, "run"))

    def warm_up(self):
        self.wait_for(5)  # the first calls of processes are compared, which takes longer
        self.signal(signal.SIGSTOP)

    def signal(self, which):
        """To all processes of the sessions."""
        sessions = {one.pid for one in self.started}
        for name in os.listdir("/proc"):
            try:
                if name.isdigit() and os.getsid(int(name)) in sessions:
                    os.kill(int(name), which)
            except ProcessLookupError:
                pass

    def steps(self):
        """Steps that each run has written."""
        counts = []
        for out, process in zip(self.outs, self.started):
            if process.poll() is not None:
                sys.exit(f"scaling: {self.name} ended: {(process.stderr.read().strip().splitlines() or [process.returncode])[-1]}")
            try:
                with open(os.path.join(out, "metrics.jsonl")) as lines:
                    counts.append(sum("images_per_second" in line for line in lines))
            except OSError:
                counts.append(0)
        return counts

    def wait_for(self, more):
        """Returns the seconds at which each run had written `more` further steps."""
        first, times = self.steps(), {}
        while len(times) < len(first):
            for i, count in enumerate(self.steps()):
                if count >= first[i] + more:
                    times.setdefault(i, time.perf_counter())
            time.sleep(0.005)
        return [times[i] for i in range(len(first))]

    def measure(self, steps):
        """Seconds and bytes sent of a step. The step that was stopped in its middle does not count."""
        self.signal(signal.SIGCONT)
        begin, bytes_before = self.wait_for(1), sent()
        end, bytes_after = self.wait_for(steps), sent()
        self.signal(signal.SIGSTOP)
        return statistics.mean(b - a for a, b in zip(begin, end)) / steps, (bytes_after - bytes_before) / steps if bytes_before is not None else None

    def end(self):
        self.signal(signal.SIGKILL)
        for process in self.started:
            process.wait()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--program", required=True)
    arguments.add_argument("--arch", default="resnet18")
    arguments.add_argument("--size", default=32, type=int)
    arguments.add_argument("--batch-size", default=32, type=int, help="images of each process")
    arguments.add_argument("--steps", default=2, type=int, help="steps of a run in a round")
    arguments.add_argument("--rounds", default=8, type=int)
    given = arguments.parse_args()
    if (os.cpu_count() or 1) < 2:
        sys.exit("scaling: two processes need two cores")
    folder, batch = tempfile.mkdtemp(), given.batch_size

    def options(processes, *more):
        return ["--arch", given.arch, "--size", str(given.size), "--images", str(batch * 16), "--epochs", "100000", "--batch-size",
                str(batch * processes), *(["--processes", str(processes)] if processes > 1 else []), *more]

    runs = []
    try:
        model = gradient_bytes(given.program, folder, ["--arch", given.arch, "--size", str(given.size), "--images", "16", "--epochs", "1",
                                                       "--batch-size", "16", "--no-linear"])
        alone, beside = "one process on one core", "two runs side by side"
        two = {"two processes": [], "two processes, own statistics": ["--no-sync-batch-norm"], "two processes, bf16 gradients": ["--compress-gradients"]}
        for name, cores, given_options in [(alone, ["0"], options(1)), (beside, ["0", "1"], options(1)),
                                           *((name, ["0,1"], options(2, *more)) for name, more in two.items())]:
            runs.append(Run(name, given.program, folder, cores, given_options))
            runs[-1].warm_up()
        seconds, bytes_sent = {run.name: [] for run in runs}, {run.name: [] for run in runs}
        for turn in range(given.rounds):
            for run in runs:
                step, count = run.measure(given.steps)
                seconds[run.name].append(step)
                bytes_sent[run.name].append(count)
            print(f"round {turn + 1} of {given.rounds}: " + ", ".join(f"{1000 * found[-1]:.0f} ms {name}" for name, found in seconds.items()),
                  file=sys.stderr, flush=True)
    finally:
        for run in runs:
            run.end()
        shutil.rmtree(folder, ignore_errors=True)

    work = f"simclr {given.arch} {given.size} px, {batch} images a process"

    def line(name, value, unit, baseline, baseline_value, ratio):
        print(json.dumps({"name": f"{work}: {name}", "value": round(value, 4), "unit": unit, "baseline": baseline,
                          "baseline_value": round(baseline_value, 4), "ratio": round(ratio, 4)}), flush=True)

    median = {name: statistics.median(found) for name, found in seconds.items()}

    def compare(name, baseline, each, against):
        """Images a second of `each` cores' batches against `against` ones."""
        ratio = statistics.median(b / a for a, b in zip(seconds[name], seconds[baseline]))
        line(name, each * batch / median[name], "images/s", f"{against}{baseline}", each * batch / median[baseline], ratio)

    compare(beside, alone, 2, "twice ")
    for name in two:
        compare(name, alone, 2, "twice ")
        compare(name, beside, 2, "")
    for name in two:
        exposed = statistics.median(a - b for a, b in zip(seconds[name], seconds[beside]))
        line(f"{name}, exposed communication", 1000 * exposed, "ms", f"a step of {beside}", 1000 * median[beside], exposed / median[beside])
    for name in two:
        if None not in bytes_sent[name]:
            each = statistics.median(bytes_sent[name]) / 2
            expected = model / 2 if "bf16" in name else model
            line(f"{name}, bytes sent by a process", each, "bytes", "the gradients", expected, each / expected)


if __name__ == "__main__":
    main()
