#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes images.txt: small synthetic files in many formats, and the pixels that Pillow reads from them.
A line a file: name, width, height, channels, the file in hexadecimal, its pixels in hexadecimal.

Needs: pip install pillow numpy (made with Pillow 13.0.0)
Usage: python make_image_fixtures.py > images.txt
"""
import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps

WIDTH, HEIGHT = 19, 13


def scene(channels):
    """Smooth colors, a disc with a hard edge, and a little noise."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(float)
    noise = np.random.default_rng(1).integers(-9, 10, (HEIGHT, WIDTH, channels))
    planes = [128 + 100 * np.sin(x / (3 + c) + c) * np.cos(y / (4 - c / 2)) for c in range(channels)]
    disc = (x - 7) ** 2 + (y - 5) ** 2 < 12
    planes[0][disc] = 240
    planes[-1][disc] = 20
    pixels = np.clip(np.stack(planes, 2) + noise, 0, 255).astype(np.uint8)
    return pixels[:, :, 0] if channels == 1 else pixels


def saved(image, form, **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def show(name, file, pixels=None):
    if pixels is None:
        image = ImageOps.exif_transpose(Image.open(io.BytesIO(file)))
        if image.mode == "LA":
            image = image.getchannel(0)  # the alpha is dropped
        pixels = np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))
    height, width = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else 3
    print(name, width, height, channels, file.hex(), pixels.astype(np.uint8).tobytes().hex())


def png(color, depth, pixels, interlaced=False):
    """A PNG that Pillow itself does not write: big-endian samples, no filter."""
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    adam7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    rows = b""
    for left, top, across, down in adam7 if interlaced else [(0, 0, 1, 1)]:
        for row in pixels[top::down, left::across]:
            rows += b"\0" + row.astype(">u2" if depth == 16 else "u1").tobytes()
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, color, 0, 0, 1 if interlaced else 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def oriented(orientation):
    exif = Image.Exif()
    exif[0x112] = orientation
    return exif


rgb, gray = Image.fromarray(scene(3)), Image.fromarray(scene(1))
cmyk = saved(Image.fromarray(scene(4), "CMYK"), "JPEG", quality=90)
adobe = cmyk.index(b"Adobe")
show("jpeg_420", saved(rgb, "JPEG", quality=75, subsampling="4:2:0"))
show("jpeg_422", saved(rgb, "JPEG", quality=75, subsampling="4:2:2"))
show("jpeg_444", saved(rgb, "JPEG", quality=90, subsampling="4:4:4"))
show("jpeg_progressive", saved(rgb, "JPEG", quality=75, progressive=True))
show("jpeg_restarts", saved(rgb, "JPEG", quality=75, restart_marker_blocks=1))
show("jpeg_gray", saved(gray, "JPEG", quality=75))
show("jpeg_cmyk", cmyk)
show("jpeg_cmyk_unmarked", cmyk[:adobe - 4] + cmyk[adobe + 12:])
show("jpeg_ycck", cmyk[:adobe + 11] + b"\x02" + cmyk[adobe + 12:])  # the same numbers, said to be YCCK
for orientation in range(1, 9):
    show(f"jpeg_orientation_{orientation}", saved(rgb, "JPEG", quality=50, exif=oriented(orientation)))
show("png_rgb", saved(rgb, "PNG"))
show("png_gray", saved(gray, "PNG"))
show("png_one_bit", saved(gray.convert("1"), "PNG"))
show("png_gray_alpha", saved(Image.fromarray(scene(2), "LA"), "PNG"))
show("png_rgb_alpha", saved(Image.fromarray(scene(4), "RGBA"), "PNG"))
show("png_palette", saved(rgb.quantize(13), "PNG"))
show("png_palette_transparent", saved(rgb.quantize(13), "PNG", transparency=3))
show("png_rgb_transparent", saved(rgb, "PNG", transparency=(240, 20, 20)))
show("png_orientation_6", saved(rgb, "PNG", exif=oriented(6)))
wide = np.random.default_rng(2).integers(0, 65536, (HEIGHT, WIDTH, 3))
show("png_rgb_16_bit", png(2, 16, wide), np.rint(wide / 257))
show("png_gray_16_bit", png(0, 16, wide[:, :, 0]), np.rint(wide[:, :, 0] / 257))
show("png_interlaced", png(2, 8, scene(3), interlaced=True))
show("webp_lossy", saved(rgb, "WEBP", quality=70))
show("webp_lossless", saved(rgb, "WEBP", lossless=True))
show("webp_alpha", saved(Image.fromarray(scene(4), "RGBA"), "WEBP", lossless=True, exact=True))
show("webp_orientation_8", saved(rgb, "WEBP", quality=70, exif=oriented(8)))
