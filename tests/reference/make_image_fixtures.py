#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes images.txt: small synthetic files in many formats, and the pixels that Pillow reads from them.
A line a file: name, width, height, channels, the file in hexadecimal, its pixels in hexadecimal ("=NAME": those of that
file).

Needs: pip install pillow numpy (made with Pillow 13.0.0)
Usage: python make_image_fixtures.py > images.txt
"""
import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps

WIDTH, HEIGHT = 19, 13
shown = {}  # names by pixels


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
    pixels = pixels.astype(np.uint8).tobytes().hex()
    print(name, width, height, channels, file.hex(), "=" + shown[pixels] if pixels in shown else pixels)
    shown.setdefault(pixels, name)


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


def bmp(bits, rows, header=40, compression=0, colors=(), masks=(), from_top=False):
    """A BMP that Pillow itself does not write; `rows` are bytes, from the bottom unless `from_top`."""
    if not compression or masks:
        rows = [row + bytes(-len(row) % 4) for row in rows]
    palette = b"".join(bytes(color[::-1]) + b"\0" * (header > 12) for color in colors)
    size = struct.pack("<HH", WIDTH, HEIGHT) if header == 12 else struct.pack("<ii", WIDTH, -HEIGHT if from_top else HEIGHT)
    info = struct.pack("<I", header) + size + struct.pack("<HH", 1, bits)
    if header > 12:
        info += struct.pack("<IIIIII", compression, sum(map(len, rows)), 2835, 2835, len(colors), 0)
        info += struct.pack(f"<{len(masks)}I", *masks)
        info += bytes(max(0, header - len(info)))
    start = 14 + len(info) + len(palette)
    file = info + palette + b"".join(rows)
    return b"BM" + struct.pack("<IHHI", 14 + len(file), 0, 0, start) + file


def run_lengths(rows, bits):
    """RLE8 or RLE4: runs of equal numbers, the first five pixels of a row as they are, filled up to even."""
    packed = []
    for row in rows:
        row, out = row.tolist(), b"\0\5"
        out += bytes(row[:5] + [0] if bits == 8 else [row[0] << 4 | row[1], row[2] << 4 | row[3], row[4] << 4, 0])
        at = 5
        while at < len(row):
            end = at
            while end < len(row) and row[end] == row[at]:
                end += 1
            out += bytes([end - at, row[at] if bits == 8 else row[at] * 17])
            at = end
        packed.append(out + b"\0\0")
    return packed[:-1] + [packed[-1][:-2] + b"\0\1"]


def tiff(order, bits, pixels, photometric, tile=None, extra=None):
    """An uncompressed TIFF that Pillow itself does not write: one strip, or tiles."""
    samples = 1 if pixels.ndim == 2 else pixels.shape[2]
    data = pixels.reshape(HEIGHT, WIDTH, samples).astype({"<": "<", ">": ">"}[order] + f"u{bits // 8}")
    if tile:
        data = np.pad(data, ((0, -HEIGHT % tile), (0, -WIDTH % tile), (0, 0)))
        blocks = [data[y:y + tile, x:x + tile].tobytes() for y in range(0, HEIGHT, tile) for x in range(0, WIDTH, tile)]
    else:
        blocks = [data.tobytes()]
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    entries = {256: [WIDTH], 257: [HEIGHT], 258: [bits] * samples, 259: [1], 262: [photometric], 277: [samples]}
    if extra is not None:
        entries[338] = [extra]
    entries.update({322: [tile], 323: [tile], 324: blocks, 325: list(map(len, blocks))} if tile else
                   {273: blocks, 278: [HEIGHT], 279: [len(blocks[0])]})
    table_end = 8 + 2 + 12 * len(entries) + 4
    more, table = b"", b""
    for tag, values in sorted(entries.items()):
        if values is blocks:
            values, at = [], table_end + 100
            for block in blocks:
                values.append(at)
                at += len(block)
        packed = struct.pack(order + f"{len(values)}I", *values)
        if len(values) > 1:
            more, packed = more + packed, struct.pack(order + "I", table_end + len(more))
        table += struct.pack(order + "HHI", tag, 4, len(values)) + packed
    more += bytes(100 - len(more))
    return head + struct.pack(order + "H", len(entries)) + table + bytes(4) + more + b"".join(blocks)


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

# An animation; and one whose first picture leaves some of the canvas free.
show("webp_animated", saved(rgb, "WEBP", save_all=True, append_images=[rgb.rotate(180)], lossless=True, exact=True))
still = saved(rgb.crop((0, 0, 11, 7)), "WEBP", lossless=True)
frame = struct.pack("<HBHBHBHB", 4 // 2, 0, 2 // 2, 0, 10, 0, 6, 0) + bytes(4) + still[12:]
chunks = [(b"VP8X", bytes([2, 0, 0, 0, WIDTH - 1, 0, 0, HEIGHT - 1, 0, 0])), (b"ANIM", bytes(6)), (b"ANMF", frame)]
body = b"WEBP" + b"".join(name + struct.pack("<I", len(data)) + data for name, data in chunks)
show("webp_animated_part", b"RIFF" + struct.pack("<I", len(body)) + body)

few = rgb.quantize(13)
show("gif_palette", saved(few, "GIF"))
passes = [y for first, step in ((0, 8), (4, 8), (2, 4), (1, 2)) for y in range(first, HEIGHT, step)]
mixed = few.copy()  # small images are not interlaced by Pillow
mixed.putdata(np.asarray(few)[passes].reshape(-1))
interlaced = bytearray(saved(mixed, "GIF", optimize=False))
interlaced[interlaced.index(b"," + struct.pack("<HHHH", 0, 0, WIDTH, HEIGHT)) + 9] |= 64
show("gif_interlaced", bytes(interlaced))
show("gif_transparent", saved(few, "GIF", transparency=3))
show("gif_gray", saved(gray, "GIF"), scene(1))
show("gif_animated", saved(few, "GIF", save_all=True, append_images=[few.rotate(180)]))
for name, options in {"": {}, "_transparent": {"transparency": 3}}.items():
    part = bytearray(saved(few.crop((0, 0, 11, 7)), "GIF", interlace=0, **options))
    part[6:10] = struct.pack("<HH", WIDTH, HEIGHT)
    corner = part.index(b"," + struct.pack("<HHHH", 0, 0, 11, 7))
    part[corner + 1:corner + 5] = struct.pack("<HH", 4, 2)
    show("gif_part" + name, bytes(part))

numbers, colors = np.asarray(few)[::-1], [tuple(few.getpalette()[3 * i:3 * i + 3]) for i in range(13)]
bits = np.unpackbits(numbers.astype(np.uint8)[:, :, None], axis=2)
show("bmp_24", saved(rgb, "BMP"))
show("bmp_gray", saved(gray, "BMP"))
show("bmp_one_bit", saved(gray.convert("1"), "BMP"))
show("bmp_palette", saved(few, "BMP"))
show("bmp_alpha", saved(Image.fromarray(scene(4), "RGBA"), "BMP"))
show("bmp_4", bmp(4, [np.packbits(row[:, 4:].reshape(-1)).tobytes() for row in bits], colors=colors))
show("bmp_1", bmp(1, [np.packbits(row & 1).tobytes() for row in numbers], colors=colors[:2]))
show("bmp_os2", bmp(8, [row.tobytes() for row in numbers], header=12, colors=colors + [(0, 0, 0)] * 243))
show("bmp_os2_24", bmp(24, [row[:, ::-1].tobytes() for row in scene(3)[::-1]], header=12))
show("bmp_from_top", bmp(24, [row[:, ::-1].tobytes() for row in scene(3)], from_top=True))
show("bmp_rle8", bmp(8, run_lengths(numbers, 8), compression=1, colors=colors))
show("bmp_rle4", bmp(4, run_lengths(numbers, 4), compression=2, colors=colors))
short = np.random.default_rng(3).integers(0, 65536, (HEIGHT, WIDTH)).astype("<u2")
show("bmp_555", bmp(16, [row.tobytes() for row in short & 0x7FFF]))
show("bmp_565", bmp(16, [row.tobytes() for row in short], compression=3, masks=(0xF800, 0x7E0, 0x1F)))
four = np.dstack([scene(3), np.full((HEIGHT, WIDTH), 7, np.uint8)])[::-1]
for header in (40, 56, 124):
    show(f"bmp_masks_{header}", bmp(32, [row[:, ::-1].tobytes() for row in four], header=header, compression=3,
                                    masks=(0xFF000000, 0xFF0000, 0xFF00) + (0xFF,) * (header > 40)))
show("bmp_32", bmp(32, [row[:, [2, 1, 0, 3]].tobytes() for row in four]))

show("ppm_rgb", saved(rgb, "PPM"))
show("ppm_gray", saved(gray, "PPM"))
title = f"P%d # made by a script\n{WIDTH} {HEIGHT}\n# the largest value:\n%d\n"
for kind, pixels in {2: scene(1), 3: scene(3)}.items():
    show(f"ppm_text_{kind}", (title % (kind, 255) + "\n".join(map(str, pixels.reshape(-1))) + "\n").encode())
show("ppm_rgb_16_bit", (title % (6, 65535)).encode() + wide.astype(">u2").tobytes(), np.rint(wide / 257))
show("ppm_gray_16_bit", (title % (5, 65535)).encode() + wide[:, :, 0].astype(">u2").tobytes(),
     np.rint(wide[:, :, 0] / 257))
ten = wide[:, :, 1] & 1023
show("ppm_gray_10_bit", (title % (5, 1023)).encode() + ten.astype(">u2").tobytes(), np.rint(ten * 255 / 1023))
show("ppm_text_10_bit", (title % (2, 1023) + " ".join(map(str, ten.reshape(-1)))).encode() + b"\n",
     np.rint(ten * 255 / 1023))
show("ppm_rgb_4_bit", (title % (6, 15)).encode() + (scene(3) >> 4).tobytes())

for name, compression in {"lzw": "tiff_lzw", "deflate": "tiff_adobe_deflate", "packbits": "packbits"}.items():
    show(f"tiff_{name}", saved(rgb, "TIFF", compression=compression))
show("tiff_gray", saved(gray, "TIFF"))
show("tiff_one_bit", saved(gray.convert("1"), "TIFF", compression="group4"))
show("tiff_alpha", saved(Image.fromarray(scene(4), "RGBA"), "TIFF"))
show("tiff_gray_alpha", saved(Image.fromarray(scene(2), "LA"), "TIFF"))
for orientation in (3, 6):
    show(f"tiff_orientation_{orientation}", saved(rgb, "TIFF", exif=oriented(orientation)))
show("tiff_pages", saved(rgb, "TIFF", save_all=True, append_images=[rgb.rotate(180)], compression="tiff_lzw"))
show("tiff_motorola", tiff(">", 8, scene(3), 2))
show("tiff_tiles", tiff("<", 8, scene(3), 2, tile=16))
show("tiff_white_is_0", tiff("<", 8, 255 - scene(1), 0), scene(1))
for name, order, tile in (("intel", "<", None), ("motorola", ">", None), ("tiles", "<", 16)):
    show(f"tiff_gray_16_bit_{name}", tiff(order, 16, wide[:, :, 0], 1, tile), np.rint(wide[:, :, 0] / 257))
show("tiff_rgb_16_bit", tiff("<", 16, wide, 2), np.rint(wide / 257))
show("tiff_gray_16_bit_white_is_0", tiff("<", 16, wide[:, :, 0], 0), 255 - np.rint(wide[:, :, 0] / 257))
