#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes device/operators.hpp: the operators that have a CUDA kernel of their own in this Python's torch (./run device --table).

The dispatcher's registry says which they are, tags say which make the host wait, and torchgen's native_functions.yaml says
which take tensors of several devices. No GPU is needed: operators register themselves when the library is loaded, so a torch
that is built with CUDA is.
"""
import pathlib
import re
import sys

import torch


def takes_several_devices(yaml):
    """Names of operators whose device check is off, or that go through TensorIterator, which takes numbers from the CPU."""
    names, delegates, name = set(), {}, None
    for line in yaml.splitlines():
        if found := re.match(r"- func: ([\w.]+)\(", line):
            name = found[1]
        elif "device_check: NoCheck" in line or "structured_inherits: TensorIterator" in line:
            names.add(name)
        elif found := re.match(r"\s+structured_delegate: ([\w.]+)", line):
            delegates[name] = found[1]
    return names | {name for name, out in delegates.items() if out in names}


def main():
    registered = [name.removeprefix("aten::") for name in torch._C._dispatch_get_registrations_for_dispatch_key("CUDA")
                  if name.startswith("aten::")]
    if not registered:
        sys.exit(f"make_table.py: torch {torch.__version__} is built without CUDA and registers no CUDA kernel; take a torch with CUDA")
    torchgen = pathlib.Path(torch.__file__).parent.parent / "torchgen"
    several = takes_several_devices((torchgen / "packaged/ATen/native/native_functions.yaml").read_text())
    print("// SPDX-License-Identifier: Apache-2.0")
    print("// The operators with a CUDA kernel. Written by ./run device --table; do not edit.")
    print("#pragma once\n\nnamespace simulated {\n")
    print(f'inline constexpr const char* table_torch = "{torch.__version__.split("+")[0]}";  ///< the LibTorch it was made from\n')
    print("/// n: takes tensors of several devices. d: reads a value back. s: the result's shape depends on data.")
    print("struct TableRow {\n    const char *name, *flags;\n};\ninline constexpr TableRow table[] = {")
    for name in sorted(registered):
        base, _, overload = name.partition(".")
        tags = getattr(getattr(torch.ops.aten, base), overload or "default").tags
        flags = "n" * (name in several) + "d" * (torch.Tag.data_dependent_output in tags) + "s" * (torch.Tag.dynamic_output_shape in tags)
        print(f'    {{"{name}", "{flags}"}},')
    print("};\n\n}  // namespace simulated")


main()
