#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the trainings of docs/results.md, and writes that file, docs/choosing.md's table and the README's.

    docs/make_results.py DATA [WHAT ...]      measures what docs/results.json does not have yet; without WHAT: everything
    docs/make_results.py DATA WHAT --again    measures it anew
    docs/make_results.py --write              only writes the documents from docs/results.json

WHAT is
    1k 10k 50k 10k-256    every method, --seeds of them (3), on so many images of CIFAR-10; 10k-256: batches of 256
    sensitivity           every method's most delicate option at three values, on 1,000 images
    choices               the defaults of before beside those that replaced them, on 1,000 and 10,000 images
    methods               all of these
    embedded cifar10 clothing fashion memory      single runs
    1k/byol, 1k/byol/2    what begins so

--seeds N, --until HH:MM (no run starts afterwards), --work FOLDER (runs/results: unpacked images, run folders).
DATA is a folder with cifar10-jpeg/cifar10-jpeg-{train,test}.tar.gz (class folders inside), clothing-2k/ (splits of class
folders) and fashion-mnist/ (IDX files, .gz). DOPPEL_TRAIN names a training program that is ready, instead of ./run's.

Protocol. A run uses the method's defaults for small images. Its figures are of the last epoch, on the first images of each class of
the test split, by which nothing was chosen. Options are judged (sensitivity, choices) by other images of the training split, which
no run trains on. A run that fails is listed with its reason. docs/results.json gets each run as soon as it ends; a measurement
that is interrupted goes on with the runs that are missing.
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
STORE = pathlib.Path(os.environ.get("DOPPEL_RESULTS", ROOT / "docs/results.json"))

# Every method of the registry: its title, its most delicate option and three values of it, of which one is the default.
METHODS = {
    "simclr": ("SimCLR", "temperature", (0.1, 0.2, 0.5)),
    "simclr_v2": ("SimCLR v2", "temperature", (0.1, 0.2, 0.5)),
    "dcl": ("DCL", "temperature", (0.1, 0.2, 0.5)),
    "dclw": ("DCLW", "sigma", (0.25, 0.5, 1)),
    "nnclr": ("NNCLR", "queue", (250, 1000, 4000)),
    "supcon": ("SupCon, with labels", "temperature", (0.05, 0.2, 0.5)),
    "directclr": ("DirectCLR", "dims", (8, 32, 64)),
    "ressl": ("ReSSL", "target-temperature", (0.02, 0.04, 0.07)),
    "inst_disc": ("InstDisc", "temperature", (0.05, 0.1, 0.2)),
    "moco_v1": ("MoCo v1", "momentum", (0.9, 0.99, 0.999)),
    "moco_v2": ("MoCo v2", "momentum", (0.9, 0.99, 0.999)),
    "moco_v3": ("MoCo v3", "momentum", (0.5, 0.9, 0.99)),
    "byol": ("BYOL", "momentum", (0.5, 0.9, 0.99)),
    "simsiam": ("SimSiam", "base-lr", (0.2, 0.6, 1.8)),
    "swav": ("SwAV", "epsilon", (0.015, 0.03, 0.06)),
    "dino": ("DINO", "target-temperature", (0.02, 0.04, 0.07)),
    "ibot": ("iBOT", "target-temperature", (0.02, 0.04, 0.07)),
    "barlow_twins": ("Barlow Twins", "lambda", (0.001, 0.0051, 0.025)),
    "vicreg": ("VICReg", "covariance", (1, 4, 16)),
    "mmcr": ("MMCR", "lr", (0.005, 0.015, 0.05)),
    "mmcr_momentum": ("MMCR-Momentum", "momentum", (0.5, 0.9, 0.99)),
    "tico": ("TiCo", "rho", (2, 8, 32)),
    "wmse": ("W-MSE", "out-dim", (10, 20, 30)),
    "lejepa": ("LeJEPA", "lambda", (0.01, 0.05, 0.2)),
}
TRANSFORMER = {"ibot": "vit_ti8d2"}  # needs patches

# Settings for small images that were compared before a default was decided: that of before, and the other one. The last is the
# default: SupCon's stayed.
CHOICES = {
    "supcon": ["--temperature 0.5", "--temperature 0.2"],
    "moco_v3": ["--momentum 0.99", "--momentum 0.9"],
    "mmcr": ["--lr 0.005", "--lr 0.015"],
    "mmcr_momentum": ["--lr 0.005 --momentum 0.99", "--lr 0.015 --momentum 0.9"],
    "wmse": ["--lr 0.005", "--lr 0.015"],
}
CHOICE_SEEDS = {"1k": 3, "10k": 1}  # seeds at each size

# Images of each class to train on, of the test split, and of the training split for judging options; epochs.
SIZES = {
    "1k": dict(title="1,000 images", train=100, test=200, judge=100, options=["--epochs", "20"]),
    "10k": dict(title="10,000 images", train=1000, test=200, judge=200, options=["--epochs", "8"]),
    "10k-256": dict(title="10,000 images, batches of 256", train=1000, test=200, judge=0,
                    options=["--epochs", "8", "--batch-size", "256"]),
    "50k": dict(title="50,000 images", train=5000, test=1000, judge=0, options=["--epochs", "3"]),
}

SINGLE = {
    "embedded": dict(
        title="Embedded images, 4,000 to train on and 1,000 to evaluate on",
        data=lambda data, work: [],
        options=["--epochs", "24"]),
    "cifar10": dict(
        shown="cifar10",
        title="CIFAR-10 (JPEG q75), the first 1,000 training and 200 test images of each class",
        data=lambda data, work: ["--data", str(subset(data, work, "10k"))],
        options=["--arch", "resnet18x0.25", "--stem", "strided", "--epochs", "110", "--batch-size", "128",
                 "--temperature", "0.1", "--knn-every", "10"]),
    "clothing": dict(
        shown="clothing-2k",
        title="clothing-2k, 1,354 photographs to train on, 341 to validate on",
        data=lambda data, work: ["--data", str(data / "clothing-2k")],
        options=["--size", "64", "--arch", "resnet18x0.25", "--stem", "imagenet", "--epochs", "200", "--batch-size", "128",
                 "--temperature", "0.1", "--strength", "0.8", "--blur", "0", "--min-scale", "0.15", "--hidden", "512",
                 "--warmup", "0.1", "--projector-norm", "hidden", "--knn-every", "20"]),
    "fashion": dict(
        shown="fashion-mnist",
        title="Fashion-MNIST from the .gz files, 60,000 to train on, 10,000 to evaluate on",
        data=lambda data, work: ["--data", str(data / "fashion-mnist")],
        options=["--arch", "resnet18x0.125", "--stem", "strided", "--epochs", "1"]),
}

GPU = [("simclr", ""), ("moco_v2", ""), ("byol", ""), ("simsiam", ""), ("barlow_twins", ""), ("vicreg", ""),
       ("dino", " --arch resnet18"), ("swav", ""), ("mmcr", " --hidden 8192 --out-dim 512 --hidden-layers 2")]


# ---- what there is to run -----------------------------------------------------------------------------


def encoder(method):
    return ["--arch", TRANSFORMER[method]] if method in TRANSFORMER else ["--arch", "resnet18x0.125", "--stem", "strided"]


def runs_of(size, seeds):
    """Yields (key, method, images to evaluate on, options) of each run; all methods with a seed before the next seed."""
    for seed in range(1, seeds + 1):
        for method in METHODS:
            yield f"{size}/{method}/{seed}", method, "test", [*encoder(method), *SIZES[size]["options"], "--seed", str(seed)]


def sensitivity_runs():
    for method, (_, option, values) in METHODS.items():
        for value in values:
            yield (f"sensitivity/{method}/{value}", method, "judge",
                   [*encoder(method), *SIZES["1k"]["options"], f"--{option}", str(value), "--seed", "1"])


def choice_runs():
    for size, seeds in CHOICE_SEEDS.items():
        for seed in range(1, seeds + 1):
            for method, settings in CHOICES.items():
                for setting in settings:
                    yield (f"choices/{method}/{size}/{setting}/{seed}", method, "judge",
                           [*encoder(method), *SIZES[size]["options"], *setting.split(), "--seed", str(seed)])


def size_of(key):
    """The size whose images a run trains on."""
    first, _, *more = key.split("/")
    return {"sensitivity": "1k", "choices": more[0]}.get(first, first)


def all_runs(seeds):
    yield from runs_of("1k", seeds)
    yield from sensitivity_runs()
    yield from choice_runs()
    for size in ("10k", "10k-256", "50k"):
        yield from runs_of(size, seeds)


# ---- images -------------------------------------------------------------------------------------------


def subset(data, work, size):
    """Unpacks the first images of each class, by name: train, test, and judge from the training split's next images."""
    plan = SIZES[size]
    folder = work / f"cifar10-{10 * plan['train']}"
    if all((folder / part).exists() for part in ("train", "test", *["judge"] * (plan["judge"] > 0))):
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    partial = work / f"{folder.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    for split, parts in (("train", [("train", plan["train"]), ("judge", plan["judge"])]), ("test", [("test", plan["test"])])):
        taken = {}
        with tarfile.open(data / "cifar10-jpeg" / f"cifar10-jpeg-{split}.tar.gz") as archive:
            for member in sorted((m for m in archive.getmembers() if m.isfile()), key=lambda m: m.name):
                path = pathlib.PurePath(member.name)
                number = taken[path.parent.name] = taken.get(path.parent.name, 0) + 1
                for part, count in parts:
                    if 0 < number <= count:
                        target = partial / part / path.parent.name / path.name
                        target.parent.mkdir(parents=True, exist_ok=True)
                        target.write_bytes(archive.extractfile(member).read())
                    number -= count
    partial.rename(folder)
    return folder


def photographs(data, folder, count):
    """Makes class folders of `count` photographs, repeating those of clothing-2k."""
    source = sorted((data / "clothing-2k" / "train").rglob("*.jpg"))
    for i in range(count):
        photo = source[i * 797 % len(source)]
        (folder / photo.parent.name).mkdir(parents=True, exist_ok=True)
        (folder / photo.parent.name / f"{i:05}.jpg").symlink_to(photo)
    return folder


# ---- running ------------------------------------------------------------------------------------------


def program():
    if ready := os.environ.get("DOPPEL_TRAIN"):
        return ready
    subprocess.run([str(ROOT / "run"), "build", "example_train"], check=True)
    return str(ROOT / "build/release/examples/train")


def train(command, out):
    """Runs a training on one core. Returns its figures, or {"failed": reason}."""
    shutil.rmtree(out, ignore_errors=True)
    print("+", " ".join(map(str, command)), flush=True)
    done = subprocess.run([*command, "--out", str(out)], stderr=subprocess.PIPE, text=True, errors="replace")
    if done.returncode == 0:
        return figures_of(out)
    if done.returncode in (130, 143, -2, -15):
        sys.exit("interrupted; the same command goes on with the runs that are missing")
    return {"failed": (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]}


def figures_of(out):
    """Returns the figures of a run folder; of the last epoch."""
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    config = json.loads((out / "config.json").read_text())
    end = lines[-1]
    if end.get("event") != "end" or "knn_top1" not in end:
        return {"failed": "; ".join(f"{what}: {why}" for what, why in end.get("failed", {}).items()) or "no figures"}
    names = ("knn_top1", "knn_top1_random", "knn_top1_pixels", "feature_std", "effective_rank", "train_seconds",
             "train_images_per_second", "step", "epoch", "collapsed", "attention_on_objects", "attention_on_objects_random",
             "objects_share")
    resolved = config["resolved"]
    return {**{name: end[name] for name in names if name in end}, "seed": config["run"]["seed"], "encoder": resolved["encoder"],
            "size": resolved["size"], "batch_size": config["training"]["batch_size"], "device": resolved["device"],
            "precision": resolved["precision"], "threads": resolved["threads"], "cores": os.cpu_count(), "machine": machine(),
            "torch": config["torch"], "doppel": config["doppel"], "validation_images": resolved["validation_images"]}


def machine():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def run_single(name, data, work):
    plan = SINGLE[name]
    command = [str(ROOT / "run"), *(["demo"] if name == "embedded" else ["train", "simclr"]), *plan["data"](data, work), *plan["options"]]
    began = time.time()
    figures = train(command, work / name)
    return {**figures, "command": single_command(name), "seconds_in_all": round(time.time() - began)}


def single_command(name):
    plan = SINGLE[name]
    start = "./run demo" if name == "embedded" else f"./run train simclr --data {plan['shown']}"
    return " ".join([start, *plan["options"]])


def memory(data):
    """Measures the peak memory of runs over few and many photographs."""
    figures = {}
    options = ["--size", "64", "--arch", "resnet18x0.25", "--stem", "imagenet", "--batch-size", "64", "--workers", "2"]
    binary = program()
    for count, epochs in ((1000, 10), (10000, 1), (20000, 1)):
        with tempfile.TemporaryDirectory() as scratch:
            scratch = pathlib.Path(scratch)
            command = [binary, "simclr", "--data", str(photographs(data, scratch / "photographs", count)), *options,
                       "--epochs", str(epochs), "--out", str(scratch / "out")]
            print("+", " ".join(command), flush=True)
            child = subprocess.Popen(command)
            _, status, usage = os.wait4(child.pid, 0)
            if status != 0:
                sys.exit(f"the run over {count} photographs failed")
            figures[str(count)] = usage.ru_maxrss / 1024
    figures["command"] = "./run train simclr --data PHOTOGRAPHS " + " ".join(options)
    return figures


def load():
    store = json.loads(STORE.read_text()) if STORE.exists() else {}
    return {"single": {}, "embedded_methods": {}, "runs": {}, **store}


def keep(kind, key, figures):
    """Stores what was measured; reads the file first, which another process may have written."""
    store = load()
    store[kind][key] = figures
    partial = STORE.with_name(STORE.name + ".partial")
    partial.write_text(json.dumps(store, indent=1) + "\n")
    partial.rename(STORE)


def measure(data, wanted, again, seeds, until, work):
    single = [name for name in [*SINGLE, "memory"] if not wanted or name in wanted]
    many = [run for run in all_runs(seeds) if not wanted or any(begins(run[0], what) for what in wanted)]
    known = {*SINGLE, "memory", "methods"}
    for what in wanted:
        if what not in known and not any(begins(run[0], what) for run in many):
            sys.exit(f"{what}: there is nothing of that name to measure; {', '.join(['methods', 'sensitivity', 'choices', *SIZES, *SINGLE, 'memory'])}, "
                     f"or what a run's key begins with: 1k/simclr/1 (methods: {', '.join(METHODS)})")
    late = lambda: until and datetime.datetime.now() >= until
    binary = program() if many else ""
    for key, method, judged, options in many:
        if late() or (key in load()["runs"] and not again):
            continue
        folder = subset(data, work, size_of(key))
        figures = train([binary, method, "--data", str(folder / "train"), "--val", str(folder / judged), *options, "--threads", "1",
                         "--progress", "off"], work / key)
        shutil.rmtree(work / key / "checkpoints", ignore_errors=True)
        command = " ".join(["./run train", method, "--data", f"{folder.name}/train", "--val", f"{folder.name}/{judged}", *options])
        keep("runs", key, {**figures, "command": command})
        print(key, figures.get("failed") or f"{100 * figures['knn_top1']:.1f} %", flush=True)
    for name in single:
        if late() or (name in load()["single"] and not again):
            continue
        keep("single", name, memory(data) if name == "memory" else run_single(name, data, work))


def begins(key, what):
    return what == "methods" or key == what or key.startswith(what + "/")


# ---- writing ------------------------------------------------------------------------------------------


def percent(values):
    """Mean and, for several, standard deviation in percent."""
    mean = f"{100 * statistics.mean(values):.1f}"
    return f"{mean} ± {100 * statistics.stdev(values):.1f}" if len(set(values)) > 1 else mean


class Cell:
    """The figures of a method at a size, over its seeds."""

    def __init__(self, store, size, method):
        found = {key.split("/")[2]: figures for key, figures in store["runs"].items() if key.startswith(f"{size}/{method}/")}
        self.failed = {seed: figures["failed"] for seed, figures in found.items() if "failed" in figures}
        self.good = [figures for figures in found.values() if "failed" not in figures]

    def all(self, name):
        return [figures[name] for figures in self.good]

    def gains(self):
        return [figures["knn_top1"] - figures["knn_top1_random"] for figures in self.good]

    def text(self):
        if not self.good:
            return "failed" if self.failed else "–"
        return percent(self.all("knn_top1")) + " %"


def measured(store, size):
    """The methods with figures at a size, best first, and their cells."""
    cells = {method: Cell(store, size, method) for method in METHODS}
    return sorted(((m, c) for m, c in cells.items() if c.good), key=lambda mc: -statistics.mean(mc[1].all("knn_top1")))


def size_section(store, size):
    cells = measured(store, size)
    if not cells:
        return []
    first = cells[0][1].good[0]
    plan = SIZES[size]
    random = [value for method, cell in cells if method not in TRANSFORMER for value in cell.all("knn_top1_random")]
    text = [f"## Each method on CIFAR-10 (JPEG q75): {plan['title']}", "",
            f"{10 * plan['train']:,} images to train on, {first['validation_images']:,} test images; {first['size']} px, "
            f"`{' '.join(plan['options'])}`, resnet18x0.125 with the strided stem (iBOT: {TRANSFORMER['ibot']}), "
            f"{first['device']} {first['precision']}, one core ({first['machine']}), torch {first['torch']}. Raw pixels: "
            f"{100 * first['knn_top1_pixels']:.1f} %. The untrained ResNet: {percent(random)} %.", "",
            "| method | k-NN, last epoch | gain | seeds | spread | rank | batch | steps |", "|---|---|---|---|---|---|---|---|"]
    for method, cell in cells:
        mean = lambda name: statistics.mean(cell.all(name))
        note = ", which warned of collapse" if any(cell.all("collapsed")) else ""
        text.append(f"| {METHODS[method][0]}{note} | **{cell.text()}** | {'+' if statistics.mean(cell.gains()) >= 0 else ''}{percent(cell.gains())} | "
                    f"{len(cell.good)} | {mean('feature_std'):.3f} | {mean('effective_rank'):.0f} | {cell.good[0]['batch_size']} | "
                    f"{cell.good[0]['step']} |")
    interval = 1.96 * (0.25 * 0.75 / first["validation_images"]) ** 0.5
    text += ["", f"± is the standard deviation over the seeds, which decide weights, order and views. That there are {first['validation_images']:,} "
             f"test images alone makes a figure uncertain by about {100 * interval:.1f} points (95 %). Gain: points above the untrained "
             "encoder of the same seed. Spread and rank: of the features.", "", "Repeat one:", "", "```sh",
             f"docs/make_results.py DATA {size}/{cells[0][0]}/1", "```", ""]
    return text


def sensitivity_section(store):
    rows = []
    for method, (title, option, values) in METHODS.items():
        found = [store["runs"].get(f"sensitivity/{method}/{value}") for value in values]
        if not any(found):
            continue
        shown = ["–" if f is None else "failed" if "failed" in f else f"{100 * f['knn_top1']:.1f} %" for f in found]
        rows.append(f"| {title} | `--{option}` | " + " | ".join(f"{value}: {text}" for value, text in zip(values, shown)) + " |")
    if not rows:
        return []
    return ["## One delicate option of each method", "",
            "k-NN after training on 1,000 images as above, seed 1, on 1,000 images of the training split that no run trains on: choose by these, "
            "not by the test images of the other tables. One of the three values is the default.", "",
            "| method | option | low | middle | high |", "|---|---|---|---|---|", *rows, ""]


def choices_section(store):
    rows = []
    for method, settings in CHOICES.items():
        for setting in settings:
            cells = []
            for size, seeds in CHOICE_SEEDS.items():
                found = [store["runs"].get(f"choices/{method}/{size}/{setting}/{seed}") for seed in range(1, seeds + 1)]
                good = [f["knn_top1"] for f in found if f and "failed" not in f]
                cells.append(f"{percent(good)} % ({len(good)})" if good else "–")
            if cells != ["–"] * len(cells):
                rows.append(f"| {METHODS[method][0]} | `{setting}`{', the default' if setting == settings[-1] else ''} | " + " | ".join(cells) + " |")
    if not rows:
        return []
    return ["## Defaults that were chosen by images of their own", "",
            "k-NN of the last epoch, mean ± standard deviation (seeds), after training as in the tables above, on images of the training split "
            "that no run trains on: 1,000 of them for 1,000 training images, 2,000 for 10,000. The last line of a method is its default now.", "",
            "| method | options | " + " | ".join(SIZES[size]["title"] for size in CHOICE_SEEDS) + " |", "|---|---|" + "---|" * len(CHOICE_SEEDS), *rows, ""]


def failures_section(store):
    failed = [f"- `{key}`: {figures['failed']} (`{figures['command']}`)" for key, figures in store["runs"].items() if "failed" in figures]
    return ["## Runs that failed", "", *failed, ""] if failed else []


def single_section(name, f):
    gain = 100 * (f["knn_top1"] - max(f["knn_top1_random"], f["knn_top1_pixels"]))
    return [f"## {SINGLE[name]['title']}", "", "```sh", f["command"], "```", "",
            "| k-NN | untrained encoder | raw pixels | gain over both | training |", "|---|---|---|---|---|",
            f"| **{100 * f['knn_top1']:.1f} %** | {100 * f['knn_top1_random']:.1f} % | {100 * f['knn_top1_pixels']:.1f} % | "
            f"{gain:+.1f} points | {f['train_seconds']:.0f} s, {f['train_images_per_second']:.0f} images/s |", "",
            f"{f['encoder']}, {f['size']} px, {f['epoch']} epochs, batch {f['batch_size']}, seed {f['seed']}, "
            f"{f['device']} {f['precision']}; spread of the features {f['feature_std']:.4f}, effective rank {f['effective_rank']:.1f}; "
            f"{f.get('threads', f['cores'])} of {f['cores']} cores ({f['machine']}), torch {f['torch']}, doppel {f['doppel']}.", ""]


def memory_section(f):
    return ["## Peak memory", "", "```sh", f["command"], "```", "",
            "| photographs (400 × 533 px JPEG, class folders) | peak resident memory |", "|---|---|",
            f"| 1,000, 10 epochs | {f['1000']:.0f} MiB |", f"| 10,000, 1 epoch | {f['10000']:.0f} MiB |",
            f"| 20,000, 1 epoch | {f['20000']:.0f} MiB |", "",
            "Images are decoded when needed and not kept. Memory grows by the features for k-NN (512 bytes per "
            "image here) and, up to 64 MiB, by the portion of validation images that k-NN on pixels holds.", ""]


def embedded_section(methods):
    """The figures by which the options for small images were chosen."""
    methods = dict(sorted(methods.items(), key=lambda item: list(METHODS).index(item[0].removesuffix("_vit"))))
    f = next(iter(methods.values()))
    text = ["## The figures by which the defaults for small images were chosen", "",
            f"Embedded images, 4,000 to train on, 1,000 to evaluate on; {f['size']} px, seed {f['seed']}, {f['device']} {f['precision']}, "
            f"{f['cores']} cores, or one where the command says so ({f['machine']}), torch {f['torch']}. The options were chosen by these "
            "same evaluation images, most with seed 1 alone, ReSSL's and W-MSE's with seeds 1 to 3; learning rate or momentum of MoCo v3, MMCR and W-MSE by images "
            "of CIFAR-10 (above). So these figures are too good; they show "
            "that a method learns, not which method is best.", "",
            "| method | k-NN | untrained encoder | gain | other seeds' gains | spread | rank | training | command |", "|---|---|---|---|---|---|---|---|---|"]
    for name, f in methods.items():
        others = ", ".join(f"{100 * gain:+.1f}" for gain in f.get("gain_of_seed", {}).values()) or "–"
        text.append(f"| {title_of(name)} | **{100 * f['knn_top1']:.1f} %** | {100 * f['knn_top1_random']:.1f} % | "
                    f"{100 * (f['knn_top1'] - f['knn_top1_random']):+.1f} | {others} | {f['feature_std']:.3f} | {f['effective_rank']:.0f} | "
                    f"{f['train_seconds']:.0f} s | `{f['command']}` |")
    looks = {name: f for name, f in methods.items() if "attention_on_objects" in f}
    if looks:
        text += ["", "Share of the last block's class-token attention that falls on the objects, for the head with the largest share: " +
                 "; ".join(f"{title_of(name)} {100 * f['attention_on_objects']:.1f} % ({100 * f['attention_on_objects_random']:.1f} % untrained)"
                           for name, f in looks.items()) + f". The objects fill {100 * next(iter(looks.values()))['objects_share']:.1f} % of the images."]
    return [*text, ""]


def title_of(name):
    return "MoCo v3, ViT" if name == "moco_v3_vit" else METHODS[name][0] + (", ViT" if name in ("dino", "ibot") else "")


def missing_section(store, seeds):
    lines = []
    for size in SIZES:
        runs = [key for key, *_ in runs_of(size, seeds)]
        missing = [key for key in runs if key not in store["runs"]]
        if missing:
            which = sorted({key.split("/")[1] for key in missing})
            what = "all methods" if len(which) == len(METHODS) else ", ".join(METHODS[method][0] for method in METHODS if method in which)
            lines.append(f"- {SIZES[size]['title']}: {len(missing)} of {len(runs)} runs ({what}); `docs/make_results.py DATA {size}`")
    missing = [key for key, *_ in sensitivity_runs() if key not in store["runs"]]
    if missing:
        lines.append(f"- sensitivity: {len(missing)} of {len(list(sensitivity_runs()))} runs; `docs/make_results.py DATA sensitivity`")
    missing = [key for key, *_ in choice_runs() if key not in store["runs"]]
    if missing:
        lines.append(f"- choices: {len(missing)} of {len(list(choice_runs()))} runs; `docs/make_results.py DATA choices`")
    lines += [f"- {name}: `docs/make_results.py DATA {name}`" for name in [*SINGLE, "memory"] if name not in store["single"]]
    return ["## Not measured", "", *lines, "",
            "Training on a GPU (bf16 and fp32, 50 epochs of ResNet-18 on all CIFAR-10 JPEG files): no GPU was available. The commands:", "",
            "```sh", *(f"./run train {name} --data cifar10 --epochs 50 --batch-size 512 --device cuda --precision bf16{more}" for name, more in GPU),
            "```", ""]


def readme_rows(store):
    """Fills the last columns of the README's method table, whose rows begin with | `name` |."""
    def row(line):
        cells = line.split(" | ")
        name = cells[0].strip("| `")
        if len(cells) < 4 or name not in METHODS:
            return line
        embedded = [(label, store["embedded_methods" if key != "simclr" else "single"].get("embedded" if key == "simclr" else key))
                    for label, key in ((("ResNet ", "moco_v3"), ("ViT ", "moco_v3_vit")) if name == "moco_v3" else
                                       (("ViT " if name in ("dino", "ibot") else "", name),))]
        shown = ", ".join(f"{label}{100 * f['knn_top1']:.1f} % ({100 * (f['knn_top1'] - f['knn_top1_random']):+.1f})" for label, f in embedded if f) or "–"
        cell = Cell(store, "1k", name)
        small = cell.text() + (f" ({100 * statistics.mean(cell.gains()):+.1f})" if cell.good else "")
        return " | ".join([*cells[:3], small, shown + " |"])
    path = ROOT / "README.md"
    path.write_text("".join(row(line) + "\n" for line in path.read_text().splitlines()))


def between(path, name, lines):
    """Replaces what stands between <!-- name --> and <!-- /name -->."""
    text = path.read_text()
    start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    if start not in text or end not in text:
        sys.exit(f"{path}: has no {start.strip()} … {end}")
    path.write_text(text[:text.index(start) + len(start)] + "".join(line + "\n" for line in lines) + text[text.index(end):])


def choosing_table(store):
    sizes = [size for size in SIZES if measured(store, size)]
    order = {method: -statistics.mean(cell.all("knn_top1")) for size in reversed(sizes) for method, cell in measured(store, size)}
    seeds = lambda method: "/".join(str(len(Cell(store, size, method).good)) for size in sizes)
    rows = [f"| {METHODS[method][0]} ({seeds(method)}) | " + " | ".join(Cell(store, size, method).text() for size in sizes) + " |" for method in sorted(order, key=order.get)]
    table = ["| method (seeds) | " + " | ".join(SIZES[size]["title"] for size in sizes) + " |", "|---|" + "---|" * len(sizes), *rows]
    for size in sizes:
        cells = measured(store, size)
        untrained = lambda wanted: [value for method, cell in cells if (method in TRANSFORMER) == wanted for value in cell.all("knn_top1_random")]
        table += ["", f"{SIZES[size]['title']}: raw pixels {100 * cells[0][1].good[0]['knn_top1_pixels']:.1f} %, untrained ResNet {percent(untrained(False))} %" +
                  (f", untrained ViT (iBOT) {percent(untrained(True))} %" if untrained(True) else "") +
                  f"; {cells[0][1].good[0]['validation_images']:,} test images."]
    return table


def write(seeds):
    store = load()
    text = ["# Results", "",
            "Measured figures, each with its command; `docs/make_results.py DATA` runs them all and writes this file.",
            "k-NN: encoder output, k = 20, T = 0.1, bank = un-augmented training images. Figures are of the last epoch. Times are of "
            "training alone. [choosing.md](choosing.md) says what follows from them.", ""]
    for size in SIZES:
        text += size_section(store, size)
    text += sensitivity_section(store) + choices_section(store) + failures_section(store)
    for name in SINGLE:
        if name in store["single"]:
            text += single_section(name, store["single"][name])
    if "memory" in store["single"]:
        text += memory_section(store["single"]["memory"])
    if store["embedded_methods"]:
        text += embedded_section(store["embedded_methods"])
    text += missing_section(store, seeds)
    (ROOT / "docs/results.md").write_text("\n".join(text))
    readme_rows(store)
    between(ROOT / "docs/choosing.md", "figures", choosing_table(store))


def main():
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__.strip())
    parser = argparse.ArgumentParser(usage=__doc__.strip())
    parser.add_argument("data", nargs="?")
    parser.add_argument("what", nargs="*")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--until", default="")
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "runs/results")
    o = parser.parse_args()
    until = None
    if o.until:
        clock = datetime.time.fromisoformat(o.until)
        until = datetime.datetime.combine(datetime.date.today(), clock)
        if until < datetime.datetime.now():
            until += datetime.timedelta(days=1)
    if not o.write:
        if not o.data or not pathlib.Path(o.data).is_dir():
            sys.exit(f"{o.data}: no such folder; DATA is the folder of the data sets (--help)")
        o.work.mkdir(parents=True, exist_ok=True)
        measure(pathlib.Path(o.data).resolve(), o.what, o.again, o.seeds, until, o.work.resolve())
    write(o.seeds)


if __name__ == "__main__":
    main()
