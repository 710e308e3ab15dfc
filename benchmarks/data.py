#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Views a second beside lightly, torchvision v2 and Albumentations: the same images, one thread each, in turns.

usage: data.py --program PROGRAM --peers FOLDER [--images FOLDER] [--repeats N] [--seconds S]    (./run bench data)

First the pixels of 32 views are compared with Pillow's for the same drawn parameters: at most 1 level apart, where the blur is
Pillow's; a sampled Gaussian is compared with a float64 one. Then each side makes two 224-px SimCLR views of each image, for S
seconds, N times in turns; the medians count. Prints one JSON object a line: name, value, unit, baseline, baseline_value, ratio.
"""
import argparse
import io
import json
import os
import pathlib
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time

PACKAGES = ["lightly==1.6.0", "lightly-utils==0.0.2", "albumentations==2.0.8", "albucore==0.0.24", "opencv-python-headless",
            "torchvision==0.26.0", "pillow==12.0.0", "numpy", "scipy", "pydantic", "pydantic-core", "annotated-types",
            "typing-inspection", "typing-extensions", "pyyaml", "simsimd", "stringzilla", "requests", "urllib3", "idna",
            "certifi", "charset-normalizer", "tqdm", "hydra-core", "omegaconf", "antlr4-python3-runtime", "pytorch-lightning",
            "lightning-utilities", "torchmetrics", "python-dateutil", "six", "packaging", "aenum", "fsspec", "filelock", "sympy",
            "mpmath", "networkx", "jinja2", "MarkupSafe"]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def install(folder):
    """Installs the other libraries once, without their dependency torch, which is there."""
    if (folder / "done").exists():
        return
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade", "--target", str(folder), *PACKAGES],
                   check=True, stdout=sys.stderr)
    (folder / "done").touch()


def check_views(program, images, folder):
    """Returns the largest difference from Pillow, and from a float64 Gaussian after Pillow's other operations."""
    import numpy
    from PIL import Image, ImageEnhance, ImageFilter, ImageOps
    from scipy.ndimage import correlate1d
    from torchvision.transforms import functional

    path = folder / "views.jsonl"
    subprocess.run([program, str(images[0].parent), "--views", str(path)], check=True)
    worst = {"boxes": 0, "gaussian": 0}
    for line in path.read_text().splitlines():
        drawn = json.loads(line)
        with Image.open(images[drawn["image"]]) as photo:
            left, top, width, height = drawn["crop"]
            view = ImageOps.exif_transpose(photo).convert("RGB").crop((left, top, left + width, top + height)).resize((224, 224), Image.BICUBIC)
        if drawn["flip"]:
            view = view.transpose(Image.FLIP_LEFT_RIGHT)
        for kind, value in drawn.get("jitter", []):
            if kind < 3:
                view = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)[kind](view).enhance(value)
            else:
                view = functional.adjust_hue(view, value)
        if drawn["gray"]:
            view = view.convert("L").convert("RGB")
        kind, sigma = drawn["blur_kind"], drawn.get("sigma")
        if sigma and kind == "boxes":
            view = view.filter(ImageFilter.GaussianBlur(sigma))
        expected = numpy.asarray(view, dtype=numpy.float64)
        if sigma and kind == "gaussian":
            radius = int(numpy.ceil(4 * sigma))
            weights = numpy.exp(-0.5 * (numpy.arange(-radius, radius + 1) / sigma) ** 2)
            for axis in (0, 1):
                expected = correlate1d(expected, weights / weights.sum(), axis=axis, mode="mirror")
        got = numpy.frombuffer(bytes.fromhex(drawn["pixels"]), dtype=numpy.uint8).reshape(224, 224, 3)
        worst[kind] = max(worst[kind], float(abs(got - expected).max()))
    return worst


def peers():
    """Returns name -> function that makes two views of the bytes of an image."""
    import albumentations
    import cv2
    import numpy
    import torch
    import torchvision
    from lightly.transforms import SimCLRTransform
    from PIL import Image
    from torchvision.transforms import v2

    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    lightly_views = SimCLRTransform(input_size=224)
    tensors = v2.Compose([
        v2.RandomResizedCrop(224, scale=(0.08, 1), interpolation=v2.InterpolationMode.BICUBIC, antialias=True),
        v2.RandomHorizontalFlip(),
        v2.RandomApply([v2.ColorJitter(0.8, 0.8, 0.8, 0.2)], p=0.8), v2.RandomGrayscale(0.2),
        v2.RandomApply([v2.GaussianBlur(23, (0.1, 2.0))], p=0.5), v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)])
    arrays = albumentations.Compose([
        albumentations.RandomResizedCrop(size=(224, 224), scale=(0.08, 1), interpolation=cv2.INTER_CUBIC),
        albumentations.HorizontalFlip(p=0.5),
        albumentations.ColorJitter(brightness=(0.2, 1.8), contrast=(0.2, 1.8), saturation=(0.2, 1.8), hue=(-0.2, 0.2), p=0.8),
        albumentations.ToGray(p=0.2), albumentations.GaussianBlur(blur_limit=0, sigma_limit=(0.1, 2.0), p=0.5),
        albumentations.Normalize(MEAN, STD)])

    def by_lightly(data):
        return lightly_views(Image.open(io.BytesIO(data)).convert("RGB"))

    def by_torchvision(data):
        image = torchvision.io.decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8),
                                               mode=torchvision.io.ImageReadMode.RGB)
        return tensors(image), tensors(image)

    def by_albumentations(data):
        image = cv2.cvtColor(cv2.imdecode(numpy.frombuffer(data, numpy.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        return arrays(image=image)["image"], arrays(image=image)["image"]

    versions = {"python": platform.python_version(), "torch": torch.__version__, "torchvision": torchvision.__version__,
                "pillow": Image.__version__, "albumentations": albumentations.__version__, "opencv": cv2.__version__}
    return {"lightly, Pillow": by_lightly, "torchvision v2, tensors": by_torchvision,
            "Albumentations, OpenCV": by_albumentations}, versions


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--peers", required=True, type=pathlib.Path)
    parser.add_argument("--images", type=pathlib.Path, help="folder of JPEGs; without it, drawn ones of about 28 kB")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.5)
    options = parser.parse_args()
    options.program = os.path.abspath(options.program)
    install(options.peers)
    sys.path.insert(0, str(options.peers))

    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        chosen = folder / "images"
        if options.images:
            chosen.mkdir()
            found = sorted(path for path in options.images.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))[:256]
            if not found:
                sys.exit(f"data.py: {options.images} has no .jpg or .jpeg")
            for number, path in enumerate(found):
                (chosen / f"{number:04}.jpg").symlink_to(path.resolve())
        else:
            subprocess.run([options.program, "--make", str(chosen)], check=True)
        images = sorted(chosen.iterdir())
        data = [path.read_bytes() for path in images]

        others, versions = peers()
        worst = check_views(options.program, images, folder)
        print(json.dumps({"name": "largest difference from Pillow", "value": worst["boxes"], "unit": "levels"}))
        print(json.dumps({"name": "largest difference from a float64 Gaussian blur", "value": round(worst["gaussian"], 3),
                          "unit": "levels"}))
        if worst["boxes"] > 1 or worst["gaussian"] > 1.5:
            sys.exit("data.py: the views are not those of Pillow; no time is worth measuring")

        rows = ["simclr 224", "simclr 224, Pillow's blur", "simclr 224, two threads", "simclr 224, packed file",
                "multi-crop 2x224 + 6x96", "simclr 32"]
        figures = {name: [] for name in [*rows, *others]}
        random.seed(1)
        for _ in range(options.repeats):
            for name in rows:
                done = subprocess.run([options.program, str(chosen), "--row", name, str(options.seconds)], check=True,
                                      capture_output=True, text=True)
                figures[name].append(float(done.stdout))
            for name, two_views in others.items():
                count, began = 0, time.perf_counter()
                while time.perf_counter() - began < options.seconds:
                    two_views(data[count % len(data)])
                    count += 1
                figures[name].append(count / (time.perf_counter() - began))
        medians = {name: statistics.median(values) for name, values in figures.items()}

        def row(name, baseline=None):
            line = {"name": name, "value": round(medians[name], 1), "unit": "images/s"}
            if baseline:
                line |= {"baseline": baseline, "baseline_value": round(medians[baseline], 1),
                         "ratio": round(medians[name] / medians[baseline], 2)}
            print(json.dumps(line))

        for name in others:
            row("simclr 224", name)
        row("simclr 224, Pillow's blur", "lightly, Pillow")
        for name in ("simclr 224, two threads", "simclr 224, packed file", "multi-crop 2x224 + 6x96"):
            row(name, "simclr 224")
        row("simclr 32")
        subprocess.run([options.program, str(chosen), "--stages"], check=True)
        print(json.dumps({"name": "setting", "images": len(data), "bytes_per_image": sum(map(len, data)) // len(data),
                          "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1), **versions}))


if __name__ == "__main__":
    main()
