#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the fuzzers' seeds: small files of every kind that a reader knows, and the inputs of past findings.
Images are those of ../reference/images.txt, some with other EXIF blocks or damaged; the rest is made here. Python's
standard library is enough.

Usage: python make_corpus.py FOLDER     writes FOLDER/TARGET/NAME and FOLDER/TARGET.dict
"""
import gzip
import io
import itertools
import json
import pathlib
import struct
import sys
import tarfile
import zlib

reference = pathlib.Path(__file__).resolve().parent.parent / "reference"
out = pathlib.Path(sys.argv[1])
SEPARATOR = b"<|>"  # between the two files of one input


def seed(target, name, data):
    folder = out / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def dictionary(target, *words):
    lines = ["".join(f"\\x{byte:02x}" for byte in word) for word in words]
    (out / f"{target}.dict").write_text("".join(f'"{line}"\n' for line in lines))


def tiff(order, orientation, before=0, kind=3, count=1):
    """An EXIF block: one directory with `before` other entries and the orientation."""
    mark = {"<": b"II", ">": b"MM"}[order]
    entries = [struct.pack(order + "HHII", 0x100 + i, 4, 1, i) for i in range(before)]
    entries.append(struct.pack(order + "HHIHH", 0x112, kind, count, orientation, 0))
    return (mark + struct.pack(order + "HIH", 42, 8, len(entries)) + b"".join(entries) + struct.pack(order + "I", 0))


ORDERS = {"intel": "<", "motorola": ">"}
TURNS = [(name, order, turn) for name, order in ORDERS.items() for turn in range(1, 9)]

# ---- EXIF ----
for name, order, turn in TURNS:
    seed("exif", f"{name}_{turn}", tiff(order, turn))
    seed("exif", f"prefix_{name}_{turn}", b"Exif\0\0" + tiff(order, turn, before=turn))
for name, order in ORDERS.items():
    whole = tiff(order, 6, before=2)
    seed("exif", f"{name}_cut", whole[:-9])
    seed("exif", f"{name}_kind", tiff(order, 6, kind=4))
    seed("exif", f"{name}_count", tiff(order, 6, count=2))
    seed("exif", f"{name}_nine", tiff(order, 9))
    seed("exif", f"{name}_many_entries", whole[:8] + b"\xff\xff" + whole[10:])
    seed("exif", f"{name}_far_directory", whole[:4] + b"\xff\xff\xff\xff" + whole[8:])
dictionary("exif", b"Exif\0\0", b"II*\0", b"MM\0*", b"\x12\x01\x03\0\x01\0\0\0", b"\x01\x12\0\x03\0\0\0\x01")

# ---- images that Pillow wrote ----
images = {}
for line in (reference / "images.txt").read_text().splitlines():
    name, _, _, _, file, _ = line.split()
    images[name] = bytes.fromhex(file)
    seed(name.split("_")[0], name, images[name])

# ---- JPEG: the smallest one with every EXIF block ----
gray = images["jpeg_gray"]
for name, order, turn in TURNS:
    block = b"Exif\0\0" + tiff(order, turn, before=1)
    seed("jpeg", f"exif_{name}_{turn}", gray[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + gray[2:])
seed("jpeg", "surplus", gray[:-2] + b"\x55" * 4 + gray[-2:])
seed("jpeg", "cut", gray[:-40])
dictionary("jpeg", *(bytes([0xFF, marker]) for marker in (0xC0, 0xC1, 0xC2, 0xC4, 0xC9, 0xCA, 0xCC, 0xD0, 0xD8, 0xD9,
                                                         0xDA, 0xDB, 0xDD, 0xE0, 0xE1, 0xE2, 0xEE, 0xFE)),
           b"Adobe\0", b"JFIF\0", b"Exif\0\0", b"ICC_PROFILE\0")


# ---- PNG ----
def chunk(name, data=b""):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(color, depth, width=7, height=5, interlaced=False, extra=b"", level=9):
    """A gradient; `extra` are chunks before the pixels."""
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    adam7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    rows = bytearray()
    for left, top, across, down in adam7 if interlaced else [(0, 0, 1, 1)]:
        for y in range(top, height, down):
            bits = "".join(f"{(x * 37 + y * 91 + s * 50) % 2**depth:0{depth}b}"
                           for x in range(left, width, across) for s in range(samples))
            if bits:
                bits += "0" * (-len(bits) % 8)
                rows += bytes([y % 5 if depth >= 8 else 0]) + int(bits, 2).to_bytes(len(bits) // 8, "big")
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlaced)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(bytes(rows), level)) +
            chunk(b"IEND"))


palette = {depth: chunk(b"PLTE", bytes(range(3 * min(2**depth, 16)))) for depth in (1, 2, 4, 8)}
for color, depths in {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4), 4: (8, 16), 6: (8, 16)}.items():
    for depth, interlaced in itertools.product(depths, (False, True)):
        extra = palette[depth] if color == 3 else b""
        seed("png", f"made_{color}_{depth}{'_interlaced' * interlaced}", png(color, depth, 7, 5, interlaced, extra))
for name, order, turn in TURNS:
    seed("png", f"exif_{name}_{turn}", png(0, 8, extra=chunk(b"eXIf", tiff(order, turn))))
seed("png", "transparent_gray", png(0, 8, extra=chunk(b"tRNS", b"\0\x25")))
seed("png", "transparent_palette", png(3, 4, extra=palette[4] + chunk(b"tRNS", bytes(16))))
seed("png", "stored", png(2, 8, level=0))
seed("png", "text", png(0, 8, extra=chunk(b"tEXt", b"Title\0doppel") + chunk(b"zTXt", b"k\0\0" + zlib.compress(b"v"))))
seed("png", "color_space", png(2, 8, extra=chunk(b"gAMA", struct.pack(">I", 45455)) + chunk(b"sRGB", b"\0") +
                                chunk(b"pHYs", struct.pack(">IIB", 2835, 2835, 1)) + chunk(b"bKGD", bytes(6)) +
                                chunk(b"tIME", bytes([7, 230, 1, 2, 3, 4, 5]))))
seed("png", "animated", png(0, 8, extra=chunk(b"acTL", struct.pack(">II", 1, 0))))
two = png(2, 8)
seed("png", "cut", two[:-20])
seed("png", "no_end", two[:-12])
dictionary("png", *(name.encode() for name in "IHDR IDAT IEND PLTE tRNS eXIf gAMA sRGB iCCP zTXt iTXt acTL".split()),
           b"\x89PNG\r\n\x1a\n")


# ---- WebP: chunks in a RIFF file ----
def riff(*chunks):
    body = b"WEBP" + b"".join(name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
                              for name, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def extended(flags, *chunks, width=19, height=13):
    size = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    return riff((b"VP8X", bytes([flags, 0, 0, 0]) + size), *chunks)


def first_chunk(webp):
    return webp[12:16], webp[20:20 + struct.unpack("<I", webp[16:20])[0]]


lossy, lossless = first_chunk(images["webp_lossy"]), first_chunk(images["webp_lossless"])
for name, order, turn in TURNS:
    seed("webp", f"exif_{name}_{turn}", extended(8, lossy, (b"EXIF", tiff(order, turn))))
seed("webp", "exif_prefix", extended(8, lossless, (b"EXIF", b"Exif\0\0" + tiff("<", 6))))
seed("webp", "lossy_alpha", extended(16, (b"ALPH", b"\0" + bytes(19 * 13)), lossy))
seed("webp", "color_profile", extended(32, (b"ICCP", b"profile"), lossy))
seed("webp", "animated", extended(2, (b"ANIM", bytes(6)), (b"ANMF", bytes(24))))
seed("webp", "wrong_canvas", extended(0, lossy, width=20))
seed("webp", "cut", images["webp_lossless"][:-100])
dictionary("webp", b"RIFF", b"WEBP", b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"EXIF", b"ICCP", b"ANIM", b"ANMF",
           b"\x9d\x01\x2a")


# ---- formats that Pillow wrote whole: their words ----
part = images["webp_animated_part"]
frame = part.index(b"ANMF") + 8
seed("webp", "animated_cut", part[:-30])
seed("webp", "animated_outside", part[:frame] + b"\5" + part[frame + 1:])
seed("gif", "no_trailer", images["gif_palette"][:-1])
seed("gif", "cut", images["gif_palette"][:-20])
dictionary("gif", b"GIF87a", b"GIF89a", b"!\xf9\x04", b"!\xfe", b"!\xff\x0bNETSCAPE2.0", b",\0\0\0\0", b"\0;")
bmp = images["bmp_24"]
seed("bmp", "cut", bmp[:-9])
seed("bmp", "huge", bmp[:18] + struct.pack("<ii", 2**30, -2**31) + bmp[26:])
seed("bmp", "compressed", bmp[:30] + b"\4" + bmp[31:])
seed("bmp", "far_pixels", bmp[:10] + b"\xff" * 4 + bmp[14:])
rle = images["bmp_rle8"]
seed("bmp", "rle_moves", rle[:-8] + b"\0\2\xff\xff\0\2\0\3\4\5\0\1")
seed("bmp", "rle_long_row", rle[:-8] + b"\xff\1\xff\2\0\1")
seed("bmp", "rle_no_end", rle[:-2])
dictionary("bmp", b"BM", *(struct.pack("<I", size) for size in (12, 40, 52, 56, 64, 108, 124)), b"\0\0", b"\0\1", b"\0\2")
for name, text in {"comments": b"P2 #a\n2#b\n2 # c # d\n7#e\n0 7# f\n7\n0", "short": b"P6 2 2 255 abc", "zero": b"P5 2 0 255 ",
                   "wide": b"P5 99999999999 1 255 a", "deep": b"P5 1 1 65536 ab", "above": b"P5 2 1 3 \1\4"}.items():
    seed("ppm", name, text)
dictionary("ppm", b"P2", b"P3", b"P5", b"P6", b"255", b"65535", b"#", b"\n")
tif = images["tiff_gray_16_bit_tiles"]
seed("tiff", "cut", tif[:-100])
seed("tiff", "no_directory", tif[:8])
seed("tiff", "loop", images["tiff_motorola"][:8] + b"\0\0\0\0\0\x08")
dictionary("tiff", b"II*\0", b"MM\0*", b"II+\0\x08\0\0\0", *(struct.pack("<HH", tag, kind) for kind in (3, 4) for tag in
           (254, 256, 257, 258, 259, 262, 273, 274, 277, 278, 279, 284, 317, 320, 322, 323, 324, 325, 338, 339, 530)))
for name, start in {"text": b"a,b\n1,2\n", "html": b"\xef\xbb\xbf <!DOCTYPE html>", "tar": bytes(257) + b"ustar", "zip": b"PK\3\4",
                    "heic": b"\0\0\0\x18ftypheic", "avi": b"RIFF\0\0\0\0AVI ", "bmp": bmp[:32], "raw": b"II*\0\x10\0\0\0CR"}.items():
    seed("file_kind", name, start)
dictionary("file_kind", b"ustar", b"ftyp", b"RIFF", b"WEBP", b"BM", b"P5", b"DICM", b"<html", b"<svg", b"\xff\xfe")


# ---- IDX ----
def idx(*sizes, data=None, magic=None):
    count = 1
    for size in sizes:
        count *= size
    data = bytes(i * 7 % 256 for i in range(count)) if data is None else data
    return struct.pack(f">{len(sizes) + 1}I", 0x800 + len(sizes) if magic is None else magic, *sizes) + data


images_file, labels_file = idx(3, 4, 5), idx(3, data=b"\0\2\1")
for name, pack in {"plain": bytes, "gzip": lambda data: gzip.compress(data, mtime=0)}.items():
    seed("idx", f"{name}_images", pack(images_file))
    seed("idx", f"{name}_labelled", pack(images_file) + SEPARATOR + pack(labels_file))
    seed("idx", f"{name}_one", pack(idx(1, 1, 1)) + SEPARATOR + pack(idx(1)))
    seed("idx", f"{name}_too_few_labels", pack(images_file) + SEPARATOR + pack(idx(2)))
    seed("idx", f"{name}_short", pack(images_file[:-3]))
    seed("idx", f"{name}_long", pack(images_file + b"x"))
    seed("idx", f"{name}_huge", pack(idx(2**31, 2**31, 2**31, data=b"x")))
    seed("idx", f"{name}_wide", pack(idx(1, 65536, 1)) if name == "gzip" else pack(idx(1, 65536, 1, data=b"")))
    seed("idx", f"{name}_floats", pack(idx(1, 1, 1, magic=0xD03)))
seed("idx", "gzip_cut", gzip.compress(images_file, mtime=0)[:-9])
seed("idx", "gzip_two_members", gzip.compress(images_file[:30], mtime=0) + gzip.compress(images_file[30:], mtime=0))
seed("idx", "gzip_stored", gzip.compress(images_file, 0, mtime=0) + SEPARATOR + labels_file)
seed("idx", "gzip_zeros", gzip.compress(idx(1000, 10, 10, data=bytes(100000)), mtime=0))
dictionary("idx", SEPARATOR, b"\0\0\x08\x03", b"\0\0\x08\x01", b"\0\0\x08\x02", b"\x1f\x8b\x08\0")

# ---- packed files: images and index; the target adds checksum and sizes ----
def text(value):
    return struct.pack("<I", len(value)) + value


def packed(parts, images=b"P5 2 1 255\nab", count=None):
    """Each part as (name, classes, labels): all its images are the same bytes."""
    index = struct.pack("<I", len(parts))
    for name, classes, labels in parts:
        index += text(name) + struct.pack("<I", len(classes)) + b"".join(map(text, classes))
        index += struct.pack("<Q", len(labels) if count is None else count)
        for label in labels:
            index += struct.pack("<QQqIIII", 24, len(images), label, 2, 1, 1, zlib.crc32(images)) + text(b"a/b.pgm")
    return images + SEPARATOR + index


both = [(b"train", [b"cat", b"dog"], [0, 1, -1]), (b"validation", [], [-1])]
seed("packed", "two_parts", packed(both))
seed("packed", "empty", packed([(b"train", [], []), (b"validation", [], [])]))
seed("packed", "one_part", packed(both[:1]))
seed("packed", "label_two", packed([(b"train", [b"cat", b"dog"], [2]), both[1]]))
seed("packed", "many", packed(both, count=2**62))
seed("packed", "cut", packed(both)[:-5])
seed("packed", "more", packed(both) + b"x")
seed("packed", "other_checksum", b"P5 1 1 255\nabc" + packed(both)[13:])
seed("packed", "whole", b"doppel packed\r\n\x1a" + struct.pack("<Q", 1) + bytes(24))
seed("packed", "version_two", b"doppel packed\r\n\x1a" + struct.pack("<Q", 2) + bytes(24))
dictionary("packed", SEPARATOR, text(b"train"), text(b"validation"), struct.pack("<Q", 24), b"\xff" * 8)

# ---- CIFAR-10; the target fills the last record up ----
meta = b"airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n"
seed("cifar", "one", bytes([3]) + bytes(i * 5 % 256 for i in range(3072)))
seed("cifar", "short", bytes([9, 1, 2, 3]))
seed("cifar", "label_ten", bytes([10]))
seed("cifar", "second_label", bytes(3073) + b"\x0a")
seed("cifar", "names", b"\1" + SEPARATOR + meta + b"\n")
seed("cifar", "windows_names", b"\1" + SEPARATOR + meta.replace(b"\n", b"\r\n"))
seed("cifar", "nine_names", b"\1" + SEPARATOR + meta[:-6])
seed("cifar", "no_names", b"\1" + SEPARATOR)
seed("cifar", "latin_1_names", b"\1" + SEPARATOR + meta.replace(b"bird", b"b\xeerd"))
dictionary("cifar", SEPARATOR, b"\n\n", b"\r\n")


# ---- STL-10; the target fills the last image up ----
seed("stl10", "one", bytes([7]) * 9216 + bytes(i // 96 % 256 for i in range(9216)) + bytes(9216) + SEPARATOR + bytes([10]))
seed("stl10", "short", bytes([1, 2, 3]) + SEPARATOR + bytes([1]))
seed("stl10", "label_zero", bytes([1]) + SEPARATOR + bytes([0]))
seed("stl10", "label_eleven", bytes([1]) + SEPARATOR + bytes([11]))
seed("stl10", "two_labels", bytes([1]) + SEPARATOR + bytes([1, 2]))
seed("stl10", "no_labels", bytes([1]))
seed("stl10", "empty", b"")
dictionary("stl10", SEPARATOR)


# ---- tar shards ----
def archive(*members, layout=tarfile.GNU_FORMAT, end=True):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=layout) as tar:
        for name, body in members:
            info = tarfile.TarInfo(name)
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
    data = buffer.getvalue()
    used = max(i + 512 for i in range(0, len(data), 512) if any(data[i:i + 512]))
    return data[:used] + (bytes(1024) if end else b"")


picture, wide = b"P6\n2 1\n255\n" + bytes(range(6)), b"P6\n30000 30000\n255\nx"
sample = [("1.ppm", picture), ("1.cls", b"3\n"), ("2.ppm", picture), ("2.json", b'{"label": "cat"}')]
tar = archive(*sample)
seed("tar", "samples", tar)
seed("tar", "no_end", archive(*sample, end=False))
seed("tar", "only_text", archive(("a.txt", b"x"), (".hidden", b""), ("none", b"")))
seed("tar", "several_images", archive(("1.seg.ppm", picture), ("1.ppm", picture), ("1.b.ppm", picture), ("1.cls.txt", b"x\x01")))
seed("tar", "claims", archive(("1.ppm", wide), ("2.png", b""), ("3.jpg", picture)))
seed("tar", "cut_body", tar[:600])
seed("tar", "cut_header", tar[:1300])
seed("tar", "hole", tar[:1024] + bytes(512) + tar[1536:])
seed("tar", "twice", tar + tar)
seed("tar", "binary_size", tar[:124] + b"\x80" + bytes(10) + b"\x13" + tar[136:])
seed("tar", "huge_size", tar[:124] + b"\x80" + b"\x7f" * 11 + tar[136:])
seed("tar", "large_octal", tar[:124] + b"77777777777 " + tar[136:])
seed("tar", "empty", b"")
seed("tar", "zeros", bytes(2048))
for layout, name in {tarfile.GNU_FORMAT: "gnu", tarfile.PAX_FORMAT: "pax"}.items():
    seed("tar", f"long_{name}", archive(("d/" * 60 + "n" * 130 + ".ppm", picture), ("\u00fc" * 60 + ".cls", b"1"), layout=layout))
pax = archive(("d/" * 60 + "1.ppm", picture), layout=tarfile.PAX_FORMAT)
seed("tar", "pax_length", pax.replace(b"path=", b"size="))
seed("tar", "pax_only", pax[:1024])
seed("tar", "long_name_only", archive(("n" * 130 + ".ppm", picture))[:1024])
dictionary("tar", b"ustar\0", b"ustar  \0", b".ppm", b".cls", b".json", b"././@LongLink", b"path=", b"size=", b'{"label":', b"P6\n1 1\n255\n")

# ---- lists of files ----
TABLES = {
    "plain": "a.png,cat\na.png,dog\n", "one_column": "a.png\n", "named": "label,path,split\n1,a.png,train\n2,a.png,val\n3,a.png,test\n",
    "quotes": '"a.png","x, ""y""\nz"\r\n"a.png" , b\r\n', "open_quote": 'a.png,"x\n', "behind_quote": '"a.png"x\n',
    "semicolons": "a.png;1\na.png;-1\n", "tabs": "a.png\t1\na.png\tx\n", "text": "a.png 1\n\n  a.png\t-5\na.png\n",
    "gone": "a.png,1\nb.png,1\n", "mostly_gone": "a.png\nb.png\nc.png\n", "three": "a.png,1,2\n", "no_path": "a.png,1\n,2\n",
    "other_split": "path,split\na.png,fold\n", "large": "a.png,999999999999999\na.png,9999999999999999\n", "empty": "", "header": "path\n",
    "odd_path": "a.png\n\x01\x7f\n", "long_path": "a.png\n" + "x" * 1500, "folder": "a.png\n.\n", "carriage": "a.png\r\r\n",
}
for name, text in TABLES.items():
    seed("file_list", name, text.encode())
seed("file_list", "byte_order_mark", b"\xef\xbb\xbfpath\na.png\n")
seed("file_list", "utf_16", "a.png".encode("utf-16"))
seed("file_list", "latin_1", b"a.png,\xee\n")
dictionary("file_list", b"a.png", b"path", b"label", b"split", b"train", b'""', b'","', b"\r\n", b"-1")


# ---- safetensors: the header and its data ----
def header(tensors, metadata=None, size=None):
    """One input of both targets: each tensor as (name, type, shape, bytes)."""
    entries, begin = {} if metadata is None else {"__metadata__": metadata}, 0
    for name, kind, shape, bytes_ in tensors:
        entries[name] = {"dtype": kind, "shape": shape, "data_offsets": [begin, begin + bytes_]}
        begin += bytes_
    return json.dumps(entries, separators=(",", ":")).encode() + SEPARATOR + bytes(begin if size is None else size)


def tensors_seed(name, data):
    seed("safetensors_header", name, data)
    seed("safetensors", name, data)


WIDTHS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
tensors_seed("empty", header([]))
tensors_seed("types", header([(kind.lower(), kind, [2], 2 * width) for kind, width in WIDTHS.items()]))
tensors_seed("shapes", header([("scalar", "F32", [], 4), ("none", "U8", [0, 3], 0), ("deep", "U8", [1, 2, 1, 3], 6)]))
tensors_seed("metadata", header([("w", "F32", [2, 3], 24)], {"format": "pt", "arch": "resnet18"}))
tensors_seed("more_data", header([("w", "U8", [2], 2)], size=3))
tensors_seed("unknown_type", header([("w", "F8_E4M3", [2], 2)]))
tensors_seed("huge", header([("w", "F64", [2**62, 2**62], 8)]))
tensors_seed("wraps_to_nothing", header([("w", "F64", [2**62, 2**62], 0)]))
tensors_seed("strides_wrap", header([("w", "U8", [0, 2**62, 2**62], 0)]))
tensors_seed("twice", b'{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
                      b'"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}' + SEPARATOR + b"\0")
tensors_seed("deep", b'{"w":[[[[[1]]]]]}' + SEPARATOR)
tensors_seed("list", b"[]" + SEPARATOR)
tensors_seed("numbers", b'{"w":{"dtype":"U8","shape":[-1,1.5,1e400],"data_offsets":[0,1]}}' + SEPARATOR + b"\0")

file = (reference / "python.safetensors").read_bytes()
seed("safetensors", "python", file)
seed("safetensors", "cut", file[:-1])
seed("safetensors", "long_header", struct.pack("<Q", 2**40) + file[8:])
blank = header([("w", "F32", [2], 8)], {"doppel.crc32": "00000000"})
text, data = blank.split(SEPARATOR)
checked = text.replace(b"00000000", b"%08x" % zlib.crc32(text + data))
seed("safetensors", "checksum", checked + SEPARATOR + data)
seed("safetensors", "checksum_file", struct.pack("<Q", len(checked)) + checked + data)
seed("safetensors", "wrong_checksum", blank)
seed("safetensors", "no_boolean", header([("b", "BOOL", [1], 1)])[:-1] + b"\2")
WORDS = [word.encode() for word in ('"dtype"', '"shape"', '"data_offsets"', '"__metadata__"', "[0,0]", "[0,1]", "[]",
                                    "{}", "9223372036854775807", "18446744073709551616", "1e999", "-0", "\\u0000",
                                    "\\n", "\\ud800")] + [f'"{kind}"'.encode() for kind in WIDTHS]
dictionary("safetensors_header", SEPARATOR, *WORDS)
dictionary("safetensors", SEPARATOR, b'"doppel.crc32"', *WORDS)

# ---- JSON lines ----
lines = [{"step": 1, "loss": 4.5}, {"step": 2, "loss": None}, {"step": 9, "nested": {"a": [1, {"b": []}]}},
         {"note": "é"}]
whole = "".join(json.dumps(line) + "\n" for line in lines).encode()
seed("json_lines", "whole", whole)
seed("json_lines", "empty", b"")
seed("json_lines", "cut", whole[:-4])
seed("json_lines", "no_newline", whole[:-1])
seed("json_lines", "blank", b"\n \t\r\n" + whole + b"\n")
seed("json_lines", "windows", whole.replace(b"\n", b"\r\n"))
seed("json_lines", "number", b"5\n")
seed("json_lines", "last_number", b"{}\n5")
seed("json_lines", "twice", b'{"step":1,"step":9}\n')
seed("json_lines", "large_steps", b'{"step":1e300}\n{"step":18446744073709551615}\n{"step":-5}\n{"step":"9"}\n')
seed("json_lines", "byte_order_mark", b"\xef\xbb\xbf{}\n\xef\xbb\xbf{}")
dictionary("json_lines", b'{"step":', b"}\n", b"{}\n", b"null", b"true", b"1e999", b"\\u0000", b"\\ud800",
           b"\xef\xbb\xbf")

# ---- numbers ----
NUMBERS = """0 1 -1 0.5 .5 1. 1e3 1e-400 1e400 10 1048576 1048577 1e15 1000000000000001 0x10 0x1p3 inf -inf nan nan(1)
    9223372036854775807 9223372036854775808 -9223372036854775808 2147483648 +1 1_000 1,5 -0 - . e {} [1] [1,2] %%
    00000000000000000000001 0.1e1"""
for i, text in enumerate(NUMBERS.split() + ["", " 1", "1 ", "1\n"]):
    seed("number", f"{i:02}", text.encode())
dictionary("number", b"e+", b"e-", b"inf", b"nan", b"0x", b"{}", b"[]", b"1e15", b"1048576")

# ---- inputs of past findings ----
ONE = b'"dtype":"U8","shape":[1],"data_offsets":[0,1]'
FINDINGS = [
    # Texts from the file, with line breaks, went into the Error as they were.
    ("safetensors_header", "name_of_two_lines", b'{"a\\nb":1}' + SEPARATOR),
    ("safetensors_header", "name_of_two_lines_twice", b'{"a\\nb":1,"a\\nb":2}' + SEPARATOR),
    ("safetensors_header", "type_of_two_lines", b'{"w":{' + ONE.replace(b"U8", b"U\\n8") + b"}}" + SEPARATOR + b"\0"),
    ("safetensors_header", "metadata_of_two_lines", b'{"__metadata__":{"a\\nb":1}}' + SEPARATOR),
    ("safetensors", "checksum_of_two_lines", b'{"__metadata__":{"doppel.crc32":"a\\nb"}}' + SEPARATOR),
    ("json_lines", "carriage_return_and_escape", b"[1\r\x1b[31m]\n"),
    # The parser takes a zero byte for the end of its input.
    ("safetensors_header", "zero_byte", b"{}\0more" + SEPARATOR),
    ("json_lines", "zero_byte", b'{"step":1}\0more\n'),
] + [  # libpng took and cleared 2 GiB for a chunk that claims them
    ("png", f"long_{name.decode()}_{len(data)}", two[:33] + struct.pack(">I", 0x7FFFFFF0) + name + data)
    for name in (b"tEXt", b"zTXt", b"iTXt", b"sPLT", b"eXIf") for data in (b"II*\0", b"")
]
for target, name, data in FINDINGS:
    seed(target, f"finding_{name}", data)
