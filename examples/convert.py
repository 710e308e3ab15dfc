#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes a safetensors file of weights in PyTorch's own format (.pth, .pt, .tar, .ckpt, .bin).

    convert.py FILE OUT.safetensors

Only tensors are read (torch.load with weights_only): nothing in the file is executed. Names of nested dictionaries are joined
by dots; optimizers' states are left out, and a single outer dictionary such as "state_dict" loses its name.
Needs torch and safetensors.
"""
import argparse
import os
import re
import sys
import warnings

OPTIMIZERS = {"optimizer", "optimizers", "optimizer_states", "optimizer_state_dict", "scheduler", "lr_scheduler", "lr_schedulers",
              "scaler", "fp16_scaler", "amp", "callbacks", "loops"}


def stop(message):
    sys.exit(f"convert: {message}")


def load(path):
    try:
        with open(path, "rb") as file:
            start = file.read(2)
    except OSError as problem:
        stop(f"{path}: {problem.strerror}")
    if start != b"PK" and start[:1] != b"\x80":
        stop(f"{path}: is no file of PyTorch's (it begins with {start!r})")
    import torch

    harmless = [argparse.Namespace]  # the options of a run, which many authors store
    try:
        import numpy

        core = getattr(numpy, "_core", None) or numpy.core
        harmless += [core.multiarray.scalar, numpy.dtype] + [type(numpy.dtype(t)) for t in ("f8", "f4", "i8", "i4", "bool")]
    except ImportError:
        pass
    try:
        with torch.serialization.safe_globals(harmless), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as problem:  # noqa: BLE001: torch's errors have no common base
        text = str(problem)
        if "TorchScript" in text:
            stop(f"{path}: is a TorchScript file, which encoders::TorchScript reads as it is")
        if found := re.search(r"GLOBAL ([\w.]+)", text):
            stop(f"{path}: holds objects of {found[1]} besides tensors; loading them would run code of the file. If you trust its origin, "
                 "load it yourself and save the tensors alone: torch.save(model.state_dict(), FILE)")
        stop(f"{path}: cannot be read as a PyTorch file: {(text.splitlines() or [type(problem).__name__])[0]}")


def tensors_in(value, prefix=""):
    """Yields name and tensor of all tensors in nested dictionaries and lists."""
    import torch

    if isinstance(value, torch.Tensor):
        yield prefix[:-1], value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from tensors_in(item, f"{prefix}{key}.")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from tensors_in(item, f"{prefix}{index}.")


def flat(content):
    """The tensors of a checkpoint by name, and the names of the outer entries that were left out."""
    left_out = []
    if isinstance(content, dict):
        left_out = [str(key) for key in content if str(key).lower() in OPTIMIZERS and any(tensors_in(content[key]))]
        content = {key: item for key, item in content.items() if str(key) not in left_out}
        holders = [key for key, item in content.items() if any(True for _ in tensors_in(item))]
        if len(holders) == 1 and isinstance(content[holders[0]], dict):
            content = content[holders[0]]
    return dict(tensors_in(content)), left_out


def main():
    parser = argparse.ArgumentParser(prog="convert", description=__doc__.split("\n")[0])
    parser.add_argument("file", metavar="FILE", help="weights in PyTorch's own format")
    parser.add_argument("out", metavar="OUT", help="safetensors file to write")
    arguments = parser.parse_args()
    if not arguments.out.endswith(".safetensors"):
        stop(f"{arguments.out}: the output must end in .safetensors")
    tensors, left_out = flat(load(arguments.file))
    if not tensors:
        stop(f"{arguments.file}: holds no tensors")
    from safetensors.torch import save_file

    # Copies: tensors may share memory, which the format does not allow.
    tensors = {name: tensor.detach().to_dense().contiguous().clone() for name, tensor in tensors.items()}
    partial = f"{arguments.out}.partial"
    try:
        save_file(tensors, partial, metadata={"format": "pt", "source": os.path.basename(arguments.file)})
        os.replace(partial, arguments.out)
    except OSError as problem:
        stop(f"{arguments.out}: cannot be written: {problem.strerror or problem}")
    size = os.path.getsize(arguments.out) / 1e6
    count = "1 tensor" if len(tensors) == 1 else f"{len(tensors)} tensors"
    print(f"{arguments.out}: {count}, {size:.1f} MB" + (f"; left out: {', '.join(left_out)}" if left_out else ""))


if __name__ == "__main__":
    main()
