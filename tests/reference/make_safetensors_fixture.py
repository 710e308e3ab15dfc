# SPDX-License-Identifier: Apache-2.0
"""Writes python.safetensors, which tests/io/safetensors.cpp reads: one tensor of each dtype, by formula.

    pip install safetensors torch && python make_safetensors_fixture.py
"""
import pathlib

import safetensors.torch
import torch

n = torch.arange(6)
tensors = {
    "f64": (n.double() / 7 - 0.5).reshape(2, 3),
    "f32": (n.float() / 7 - 0.5).reshape(3, 2),
    "f16": (n.half() / 8 - 0.5).reshape(6),
    "bf16": (n.bfloat16() / 8 - 0.5).reshape(1, 6),
    "i64": (n - 3) * 10**12,
    "i32": ((n - 3) * 10**8).int(),
    "i16": ((n - 3) * 10**4).short(),
    "i8": ((n - 3) * 40).char(),
    "u8": (n * 50).byte(),
    "bool": n % 3 == 0,
    "scalar": torch.tensor(2.5),
    "empty": torch.zeros(0, 4),
    "naïve \"name\"": torch.tensor([1, 2], dtype=torch.uint8),
}
path = pathlib.Path(__file__).with_name("python.safetensors")
safetensors.torch.save_file(tensors, path, metadata={"format": "pt", "note": "ünï \"quoted\"\nline"})
print(path, path.stat().st_size, "bytes")
