# SPDX-License-Identifier: Apache-2.0
"""Writes augment.txt: what Pillow and torchvision make of small images for fixed parameters.

    pip install pillow torchvision numpy
    python3 make_augment_fixtures.py

One line a picture: name, width, height, channels, bytes in hexadecimal. The pictures named source/* are made by a
formula; "busy" has every kind of edge, "smooth" has slopes. Blur of kind "gaussian" is torchvision's on tensors with
kernel size 2 * ceil(4 * sigma) + 1; everything else runs on Pillow images.
"""
import math
import pathlib

import numpy as np
import PIL
import torch
import torchvision
import torchvision.transforms.functional as F
from PIL import Image, ImageFilter
from torchvision.transforms import InterpolationMode

torch.set_num_threads(1)
W, H = 24, 17
y, x, c = np.meshgrid(np.arange(H), np.arange(W), np.arange(3), indexing="ij")
busy = Image.fromarray(((x * x * 7 + y * y * 13 + x * y * (c + 3) * 11 + c * 85) % 256).astype(np.uint8))
smooth = Image.fromarray(np.clip(x * 9 + y * 5 * (c - 1) + c * 30, 0, 255).astype(np.uint8))
gray = busy.convert("L")
filters = {"bilinear": (Image.Resampling.BILINEAR, InterpolationMode.BILINEAR),
           "bicubic": (Image.Resampling.BICUBIC, InterpolationMode.BICUBIC)}
lines = []


def put(name, picture):
    if isinstance(picture, torch.Tensor):
        picture = picture.permute(1, 2, 0).numpy()
    pixels = np.asarray(picture)
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    lines.append(f"{name} {pixels.shape[1]} {pixels.shape[0]} {channels} {pixels.tobytes().hex()}")


def tensor(picture):
    return torch.from_numpy(np.array(picture)).reshape(H, W, -1).permute(2, 0, 1)


put("source/busy", busy)
put("source/smooth", smooth)
put("source/gray", gray)
for name, (pil, tv) in filters.items():
    for size in ((32, 20), (10, 7), (24, 9), (7, 17), (1, 1)):
        put(f"resize/{name}/{size[0]}x{size[1]}", busy.resize(size, pil))
    put(f"resize/{name}/box", busy.resize((11, 13), pil, box=(2.5, 1.25, 20.75, 15.5)))
    put(f"resize/{name}/gray", gray.resize((10, 23), pil))
    put(f"resize/{name}/x-then-y", busy.resize((30, H), pil).resize((30, 6), pil))
    put(f"resized_crop/{name}", F.resized_crop(busy, 3, 5, height=9, width=12, size=[16, 16], interpolation=tv))
put("resize/short", F.resize(busy, 12))
put("center_crop/11x8", F.center_crop(busy, [8, 11]))
put("center_crop/9x9", F.center_crop(busy, [9, 9]))
put("center_crop/31x12", F.center_crop(busy, [12, 31]))
put("flip", F.hflip(busy))
for factor in (0.4, 1.7):
    put(f"brightness/{factor}", F.adjust_brightness(busy, factor))
    put(f"brightness/gray/{factor}", F.adjust_brightness(gray, factor))
    put(f"contrast/gray/{factor}", F.adjust_contrast(gray, factor))
    put(f"contrast/{factor}", F.adjust_contrast(busy, factor))
for factor in (0.0, 0.5, 1.9):
    put(f"saturation/{factor}", F.adjust_saturation(busy, factor))
for turns in (0.0, 0.1, -0.25, 0.5):
    put(f"hue/{turns}", F.adjust_hue(busy, turns))
put("grayscale", F.rgb_to_grayscale(busy, 3))
for threshold in (128, 100, 256):
    put(f"solarize/{threshold}", F.solarize(busy, threshold))
jitter = {"brightness": lambda p: F.adjust_brightness(p, 1.3), "contrast": lambda p: F.adjust_contrast(p, 0.6),
          "saturation": lambda p: F.adjust_saturation(p, 1.4), "hue": lambda p: F.adjust_hue(p, 0.07)}
for order in (("brightness", "contrast", "saturation", "hue"), ("hue", "contrast", "brightness", "saturation")):
    picture = smooth
    for part in order:
        picture = jitter[part](picture)
    put("jitter/" + "-".join(order), picture)
for sigma in (0.3, 0.8, 2.0):
    put(f"blur/gaussian/{sigma}", F.gaussian_blur(tensor(busy), 2 * math.ceil(4 * sigma) + 1, sigma))
put("blur/gaussian/gray", F.gaussian_blur(tensor(gray), 9, 1.0))
for sigma in (0.3, 0.8, 2.0, 12.0):
    put(f"blur/boxes/{sigma}", busy.filter(ImageFilter.GaussianBlur(sigma)))
put("blur/boxes/gray", gray.filter(ImageFilter.GaussianBlur(1.0)))

target = pathlib.Path(__file__).with_name("augment.txt")
made_with = f"# Pillow {PIL.__version__}, torchvision {torchvision.__version__.split('+')[0]}"
target.write_text("\n".join([made_with, *lines]) + "\n")
print(target, target.stat().st_size, "bytes,", len(lines), "pictures")
