#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the trainings of docs/results.md and writes that file.

    docs/make_results.py DATA [NAME ...]     all of them, or the named ones: embedded cifar10 clothing fashion memory, or
                                             a method: byol, moco_v2, …; "methods" is all of these
    docs/make_results.py DATA NAME@SEED      a method with another seed, whose gain is shown beside that of seed 1
    docs/make_results.py --from NAME FOLDER  take the figures of NAME or NAME@SEED from the run folder of its command
    docs/make_results.py --write             only write docs/results.md from docs/results.json

DATA is a folder with cifar10-jpeg/cifar10-jpeg-{train,test}.tar.gz (class folders inside), clothing-2k/ (splits of class
folders) and fashion-mnist/ (IDX files, .gz). Each run's figures go into docs/results.json as soon as it ends; a run that is
repeated replaces its figures and drops those of its other seeds. Times are meaningful only on an otherwise idle machine.
"""
import json
import os
import pathlib
import platform
import subprocess
import sys
import tarfile
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
STORE = ROOT / "docs/results.json"

RUNS = {
    "embedded": dict(
        title="Embedded images, 4,000 to train on and 1,000 to evaluate on",
        data=lambda data, scratch: [],
        options=["--epochs", "24"]),
    "cifar10": dict(
        shown="cifar10",
        title="CIFAR-10 (JPEG q75), the first 1,000 training and 200 test images of each class",
        data=lambda data, scratch: ["--data", str(cifar10(data, scratch))],
        options=["--arch", "resnet18x0.25", "--stem", "strided", "--epochs", "110", "--batch-size", "128",
                 "--temperature", "0.1", "--knn-every", "10"]),
    "clothing": dict(
        shown="clothing-2k",
        title="clothing-2k, 1,354 photographs to train on, 341 to validate on",
        data=lambda data, scratch: ["--data", str(data / "clothing-2k")],
        options=["--size", "64", "--arch", "resnet18x0.25", "--stem", "imagenet", "--epochs", "200", "--batch-size", "128",
                 "--temperature", "0.1", "--strength", "0.8", "--blur", "0", "--min-scale", "0.15", "--hidden", "512",
                 "--warmup", "0.1", "--projector-norm", "hidden", "--knn-every", "20"]),
    "fashion": dict(
        shown="fashion-mnist",
        title="Fashion-MNIST from the .gz files, 60,000 to train on, 10,000 to evaluate on",
        data=lambda data, scratch: ["--data", str(data / "fashion-mnist")],
        options=["--arch", "resnet18x0.125", "--stem", "strided", "--epochs", "1"]),
}

# One line per method: each trains on the embedded images for at most three minutes on two cores, or on one. Options that are
# not given are the method's for small images. SimCLR is "embedded" above.
SMALL = ["--arch", "resnet18x0.25", "--stem", "strided"]
GPU = [("simclr", ""), ("moco_v2", ""), ("byol", ""), ("simsiam", ""), ("barlow_twins", ""), ("vicreg", ""),
       ("dino", " --arch resnet18"), ("swav", ""), ("mmcr", " --hidden 8192 --out-dim 512 --hidden-layers 2")]
ONE = ["--threads", "1"]  # one core is enough for three minutes
METHODS = {
    "inst_disc": dict(title="InstDisc", method="inst_disc", options=[*SMALL, "--epochs", "50"]),
    "moco_v1": dict(title="MoCo v1", method="moco_v1", options=[*SMALL, "--epochs", "24"]),
    "moco_v2": dict(title="MoCo v2", method="moco_v2", options=[*SMALL, "--epochs", "18"]),
    "moco_v3": dict(title="MoCo v3, ResNet", method="moco_v3", options=[*SMALL, "--epochs", "20"]),
    "moco_v3_vit": dict(title="MoCo v3, ViT", method="moco_v3", options=["--arch", "vit_ti8d4", "--epochs", "10"]),
    "byol": dict(title="BYOL", method="byol", options=[*SMALL, "--epochs", "24"]),
    "simsiam": dict(title="SimSiam", method="simsiam", options=[*SMALL, "--epochs", "36"]),
    "barlow_twins": dict(title="Barlow Twins", method="barlow_twins", options=[*SMALL, "--epochs", "16", *ONE]),
    "vicreg": dict(title="VICReg", method="vicreg", options=[*SMALL, "--epochs", "24", *ONE]),
    "dino": dict(title="DINO, ViT", method="dino", options=["--arch", "vit_ti8d2", "--epochs", "16"]),
    "ibot": dict(title="iBOT, ViT", method="ibot", options=["--arch", "vit_ti8d2", "--epochs", "16"]),
    "swav": dict(title="SwAV", method="swav", options=[*SMALL, "--epochs", "20", *ONE]),
    "mmcr": dict(title="MMCR", method="mmcr", options=[*SMALL, "--epochs", "24", *ONE]),
    "mmcr_momentum": dict(title="MMCR-Momentum", method="mmcr_momentum", options=[*SMALL, "--epochs", "24", *ONE]),
    **{name: dict(title=title, method=name, options=[*SMALL, "--epochs", epochs, *ONE])
       for name, title, epochs in [("dcl", "DCL", "18"), ("dclw", "DCLW", "18"), ("nnclr", "NNCLR", "18"),
                                   ("ressl", "ReSSL", "30"), ("supcon", "SupCon, with labels", "18"),
                                   ("simclr_v2", "SimCLR v2", "18"), ("directclr", "DirectCLR", "18"),
                                   ("tico", "TiCo", "28"), ("wmse", "W-MSE", "18"), ("lejepa", "LeJEPA", "18")]},
}


def cifar10(data, scratch):
    """Unpacks the first images of each class, by name."""
    for split, count in (("train", 1000), ("test", 200)):
        taken = {}
        with tarfile.open(data / "cifar10-jpeg" / f"cifar10-jpeg-{split}.tar.gz") as archive:
            members = sorted((m for m in archive.getmembers() if m.isfile()), key=lambda m: m.name)
            for member in members:
                label = pathlib.PurePath(member.name).parent.name
                taken[label] = taken.get(label, 0) + 1
                if taken[label] > count:
                    continue
                target = scratch / "cifar10" / split / label / pathlib.PurePath(member.name).name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.extractfile(member).read())
    return scratch / "cifar10"


def run(name, data, seed=""):
    if name in METHODS:
        with tempfile.TemporaryDirectory() as scratch:
            out = pathlib.Path(scratch) / "out"
            command = [str(ROOT / "run"), "train", METHODS[name]["method"], *METHODS[name]["options"],
                       *(["--seed", seed] if seed else []), "--out", str(out)]
            print("+", " ".join(command), flush=True)
            subprocess.run(command, check=True)
            return {**figures_of(out), "command": command_of(name)}
    plan = RUNS[name]
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        out = scratch / "out"
        where = plan["data"](data, scratch)
        if name == "embedded":
            command = [str(ROOT / "run"), "demo", *plan["options"], "--out", str(out)]
        else:
            command = [str(ROOT / "run"), "train", "simclr", *where, *plan["options"], "--out", str(out)]
        print("+", " ".join(command), flush=True)
        began = time.time()
        subprocess.run(command, check=True)
        return {**figures_of(out), "command": command_of(name), "seconds_in_all": round(time.time() - began)}


def figures_of(out):
    """Returns the figures of a run folder."""
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    config = json.loads((out / "config.json").read_text())
    end = lines[-1]
    figures = {key: end[key] for key in ("knn_top1", "knn_top1_random", "knn_top1_pixels", "feature_std", "effective_rank",
                                         "train_seconds", "train_images_per_second", "step", "epoch")}
    figures.update({key: end[key] for key in ("attention_on_objects", "attention_on_objects_random", "objects_share")
                    if key in end})
    resolved = config["resolved"]
    figures.update(seed=config["run"]["seed"], encoder=resolved["encoder"],
                   size=resolved["size"], batch_size=config["training"]["batch_size"], device=resolved["device"],
                   precision=resolved["precision"], threads=resolved["threads"], cores=os.cpu_count(), machine=machine(),
                   torch=config["torch"], doppel=config["doppel"])
    return figures


def parse(name, figures):
    """Returns (NAME, SEED or "") of an argument; exits with one line if there is no such run."""
    method, at, seed = name.partition("@")
    if method not in {*RUNS, *METHODS, "memory"}:
        sys.exit(f"{name}: there is no run of that name; the runs are {', '.join([*RUNS, 'memory', *METHODS])}")
    if at and (method not in METHODS or not seed.isdecimal()):
        sys.exit(f"{name}: a seed must be a whole number and belongs to a method: {', '.join(METHODS)}")
    if at and method not in figures:
        sys.exit(f"{name}: measure {method} first")
    return method, seed


def keep(figures, method, seed, measured):
    """Stores the measured figures; with a seed, stores the gain beside the figures of the method."""
    if not seed:
        figures[method] = measured
    elif str(measured["seed"]) == seed:
        gains = figures[method].setdefault("gain_of_seed", {})
        gains[seed] = round(measured["knn_top1"] - measured["knn_top1_random"], 4)
    else:
        sys.exit(f"{method}@{seed}: the run's seed must be {seed}, it is {measured['seed']}")
    STORE.write_text(json.dumps(figures, indent=1) + "\n")


def command_of(name):
    """Returns the command that docs/results.md shows."""
    if name in METHODS:
        return " ".join(["./run train", METHODS[name]["method"], *METHODS[name]["options"]])
    plan = RUNS[name]
    start = "./run demo" if name == "embedded" else f"./run train simclr --data {plan['shown']}"
    return " ".join([start, *plan["options"]])


def photographs(data, scratch, count):
    """Makes class folders of `count` photographs, repeating those of clothing-2k."""
    source = sorted((data / "clothing-2k" / "train").rglob("*.jpg"))
    folder = scratch / f"photographs-{count}"
    for i in range(count):
        photo = source[i * 797 % len(source)]
        (folder / photo.parent.name).mkdir(parents=True, exist_ok=True)
        (folder / photo.parent.name / f"{i:05}.jpg").symlink_to(photo)
    return folder


def memory(data):
    """Measures the peak memory of runs over few and many photographs."""
    figures = {}
    for count, epochs in ((1000, 10), (10000, 1), (20000, 1)):
        with tempfile.TemporaryDirectory() as scratch:
            scratch = pathlib.Path(scratch)
            photos = photographs(data, scratch, count)
            options = ["--size", "64", "--arch", "resnet18x0.25", "--stem", "imagenet", "--batch-size", "64", "--workers", "2"]
            subprocess.run([str(ROOT / "run"), "build", "example_train"], check=True)
            command = [str(ROOT / "build/release/examples/train"), "simclr", "--data", str(photos), *options,
                       "--epochs", str(epochs), "--out", str(scratch / "out")]
            print("+", " ".join(command), flush=True)
            child = subprocess.Popen(command)
            _, status, usage = os.wait4(child.pid, 0)
            if status != 0:
                sys.exit(f"the run over {count} photographs failed")
            figures[str(count)] = usage.ru_maxrss / 1024
    figures["command"] = "./run train simclr --data PHOTOGRAPHS " + " ".join(options)
    return figures


def machine():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def write(figures):
    text = ["# Results", "",
            "Measured figures, each with its command; `docs/make_results.py DATA` runs them all and writes this file.",
            "k-NN: encoder output, k = 20, T = 0.1, bank = un-augmented training images. Times are of training alone.", ""]
    for name, plan in RUNS.items():
        if name not in figures:
            continue
        f = figures[name]
        text += [f"## {plan['title']}", "", "```sh", f["command"], "```", "",
                 "| k-NN | untrained encoder | raw pixels | gain over both | training |",
                 "|---|---|---|---|---|",
                 f"| **{100 * f['knn_top1']:.1f} %** | {100 * f['knn_top1_random']:.1f} % | {100 * f['knn_top1_pixels']:.1f} % | "
                 f"{100 * (f['knn_top1'] - max(f['knn_top1_random'], f['knn_top1_pixels'])):+.1f} points | "
                 f"{f['train_seconds']:.0f} s, {f['train_images_per_second']:.0f} images/s |", "",
                 f"{f['encoder']}, {f['size']} px, {f['epoch']} epochs, batch {f['batch_size']}, seed {f['seed']}, "
                 f"{f['device']} {f['precision']}; spread of the features {f['feature_std']:.4f}, effective rank {f['effective_rank']:.1f}; "
                 f"{f.get('threads', f['cores'])} of {f['cores']} cores ({f['machine']}), torch {f['torch']}, doppel {f['doppel']}.", ""]
    if "memory" in figures:
        f = figures["memory"]
        text += ["## Peak memory", "", "```sh", f["command"], "```", "",
                 "| photographs (400 × 533 px JPEG, class folders) | peak resident memory |", "|---|---|",
                 f"| 1,000, 10 epochs | {f['1000']:.0f} MiB |", f"| 10,000, 1 epoch | {f['10000']:.0f} MiB |",
                 f"| 20,000, 1 epoch | {f['20000']:.0f} MiB |", "",
                 "Images are decoded when needed and not kept. Memory grows by the features for k-NN (512 bytes per "
                 "image here) and, up to 64 MiB, by the portion of validation images that k-NN on pixels holds.", ""]
    measured = [name for name in METHODS if name in figures]
    if measured:
        f = figures[measured[0]]
        seeds = sorted({seed for name in measured for seed in figures[name].get("gain_of_seed", {})}, key=int)
        text += ["## Each method on the embedded images", "",
                 f"4,000 images to train on, 1,000 to evaluate on; {f['size']} px, seed {f['seed']}, {f['device']} {f['precision']}, "
                 f"{f['cores']} cores, or one where the command says so ({f['machine']}), torch {f['torch']}.", "",
                 "| method | k-NN | untrained encoder | gain | " + "".join(f"seed {seed} | " for seed in seeds) +
                 "spread | rank | training | command |", "|---|---|---|---|---|---|---|---|" + "---|" * len(seeds)]
        for name in measured:
            f = figures[name]
            others = [f.get("gain_of_seed", {}).get(seed) for seed in seeds]
            text.append(f"| {METHODS[name]['title']} | **{100 * f['knn_top1']:.1f} %** | {100 * f['knn_top1_random']:.1f} % | "
                        f"{100 * (f['knn_top1'] - f['knn_top1_random']):+.1f} | "
                        + "".join("– | " if gain is None else f"{100 * gain:+.1f} | " for gain in others) +
                        f"{f['feature_std']:.3f} | {f['effective_rank']:.0f} | "
                        f"{f['train_seconds']:.0f} s | `{f['command']}` |")
        text += ["", *(["The seed decides weights, order and views; the gain is in points above the untrained encoder of the "
                        "same seed. Runs of a few hundred steps vary a lot between seeds.", ""] if seeds else [])]
        text += ["The options for small images were chosen by k-NN on these same evaluation images, most with seed 1 alone, ReSSL's "
                 "and W-MSE's with seeds 1 to 3 (4 and 5 were run once, afterwards). The figures show that a method learns, not which "
                 "method is best.", ""]
        looks = [name for name in measured if "attention_on_objects" in figures[name]]
        if looks:
            text += ["Share of the last block's class-token attention that falls on the objects, for the head with the largest share: " +
                     "; ".join(f"{METHODS[name]['title']} {100 * figures[name]['attention_on_objects']:.1f} % "
                               f"({100 * figures[name]['attention_on_objects_random']:.1f} % untrained)" for name in looks) +
                     f". The objects fill {100 * figures[looks[0]]['objects_share']:.1f} % of the images.", ""]
    text += ["## Not measured", "",
             *(f"{plan['title']}: no figure yet; `docs/make_results.py DATA {name}` measures it.\n"
               for name, plan in {**RUNS, **METHODS}.items() if name not in figures),
             "Training on a GPU (bf16 and fp32, 50 epochs of ResNet-18 on all CIFAR-10 JPEG files): no GPU was available. The "
             "commands:", "", "```sh", *(f"./run train {name} --data cifar10 --epochs 50 --batch-size 512 --device cuda --precision bf16{more}"
                              for name, more in GPU), "```", ""]
    (ROOT / "docs/results.md").write_text("\n".join(text))


def main():
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__.strip())
    figures = json.loads(STORE.read_text()) if STORE.exists() else {}
    if sys.argv[1] == "--from" and len(sys.argv) == 4:
        method, seed = parse(sys.argv[2], figures)
        if method == "memory":
            sys.exit("memory: has no run folder; use it without --from")
        keep(figures, method, seed, {**figures_of(pathlib.Path(sys.argv[3])), "command": command_of(method)})
    elif sys.argv[1].startswith("--") and sys.argv[1] != "--write":
        sys.exit(__doc__.strip())
    elif sys.argv[1] != "--write":
        data = pathlib.Path(sys.argv[1]).resolve()
        names = sys.argv[2:] or [*RUNS, "memory", "methods"]
        names = [n for name in names for n in (METHODS if name == "methods" else [name])]
        for method, seed in [parse(name, figures) for name in names]:
            keep(figures, method, seed, memory(data) if method == "memory" else run(method, data, seed))
    write(figures)


if __name__ == "__main__":
    main()
