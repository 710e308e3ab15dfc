# SPDX-License-Identifier: Apache-2.0
"""Makes tests/reference/sgd.txt: parameters and momentum buffers after 20 steps of torch.optim.SGD in float64, from
parameters and gradients that a formula makes (the test uses the same formula). Needs torch.

    python3 tests/reference/make_optim_fixtures.py

A line is a case, a kind (parameter or momentum), a name and the values.
"""
import pathlib

import torch

torch.set_num_threads(1)

SHAPES = {"conv.weight": (2, 3, 3, 3), "bn.weight": (4,), "bn.bias": (4,), "fc.weight": (3, 4), "late.weight": (2, 2)}


def noise(count, stream):
    """`count` numbers in [-1, 1): a multiplicative hash of (place, stream) in 32 bits."""
    h = (torch.arange(count, dtype=torch.int64) * 2654435761 + (stream + 1) * 2246822519) & 0xFFFFFFFF
    h = ((h ^ (h >> 16)) * 73244475) & 0xFFFFFFFF
    h = ((h ^ (h >> 16)) * 73244475) & 0xFFFFFFFF
    h = h ^ (h >> 16)
    return h.to(torch.float64) / 2**31 - 1


def run(momentum, weight_decay, nesterov=False, decay_all=False):
    parameters = {}
    for i, (name, shape) in enumerate(SHAPES.items()):
        parameters[name] = torch.nn.Parameter(noise(torch.Size(shape).numel(), i).view(shape))
    decayed = [p for p in parameters.values() if p.dim() > 1 or decay_all]
    plain = [p for p in parameters.values() if not (p.dim() > 1 or decay_all)]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
    sgd = torch.optim.SGD([g for g in groups if g["params"]], lr=0.1, momentum=momentum, nesterov=nesterov)
    for step in range(20):
        for group in sgd.param_groups:
            group["lr"] = 0.1 / (1 + step)
        for i, (name, p) in enumerate(parameters.items()):
            skipped = name == "late.weight" and step in (0, 1, 7)
            p.grad = None if skipped else noise(p.numel(), 100 + 10 * step + i).view(p.shape)
        sgd.step()
    return parameters, sgd


def main():
    cases = {
        "plain": dict(momentum=0.0, weight_decay=0.0),
        "momentum": dict(momentum=0.9, weight_decay=0.01),
        "nesterov": dict(momentum=0.8, weight_decay=0.05, nesterov=True),
        "decay_all": dict(momentum=0.9, weight_decay=0.1, decay_all=True),
    }
    lines = []
    for case, options in cases.items():
        parameters, sgd = run(**options)
        for name, p in parameters.items():
            tensors = {"parameter": p.detach(), "momentum": sgd.state[p].get("momentum_buffer")}
            for kind, t in tensors.items():
                if t is not None:
                    lines.append(" ".join([case, kind, name] + [f"{v:.15g}" for v in t.flatten().tolist()]))
    path = pathlib.Path(__file__).resolve().parent / "sgd.txt"
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
