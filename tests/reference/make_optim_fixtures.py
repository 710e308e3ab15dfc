# SPDX-License-Identifier: Apache-2.0
"""Makes sgd.txt, adamw.txt and lars.txt beside this file: parameters and state after 20 steps in float64, from
parameters and gradients that a formula makes (the tests use the same formula).

    pip install torch==2.11.0 numpy && pip install --no-deps lightly==1.6.0 timm==1.0.31
    python3 tests/reference/make_optim_fixtures.py

sgd.txt and adamw.txt are by torch.optim. lars.txt is by lightly.utils.lars, by timm.optim.lars and, for the forms that
neither has, by the papers' equations in numpy, one parameter at a time; where these overlap they must agree.
A line is a case, a kind (parameter or a piece of state), a name and the values.
"""
import pathlib
import sys
import types

import numpy
import torch

torch.set_num_threads(1)

STEPS = 20
SHAPES = {"conv.weight": (2, 3, 3, 3), "bn.weight": (4,), "bn.bias": (4,), "fc.weight": (3, 4), "late.weight": (2, 2)}

# For LARS: bn.bias and zero.weight start at zero, scale has no dimension.
LARS_SHAPES = {"conv.weight": (2, 3, 2, 2), "bn.weight": (3,), "bn.bias": (3,), "fc.weight": (3, 4),
               "late.weight": (2, 2), "zero.weight": (2, 3), "scale": ()}


def noise(count, stream):
    """`count` numbers in [-1, 1): a multiplicative hash of (place, stream) in 32 bits."""
    h = (torch.arange(count, dtype=torch.int64) * 2654435761 + (stream + 1) * 2246822519) & 0xFFFFFFFF
    h = ((h ^ (h >> 16)) * 73244475) & 0xFFFFFFFF
    h = ((h ^ (h >> 16)) * 73244475) & 0xFFFFFFFF
    h = h ^ (h >> 16)
    return h.to(torch.float64) / 2**31 - 1


def skipped(name, step):
    """late.weight has no gradient in three steps."""
    return name == "late.weight" and step in (0, 1, 7)


def gradient(place, name, shape, step, zeros=False):
    g = noise(torch.Size(shape).numel(), 100 + 10 * step + place).view(shape)
    return g * 0 if zeros and name in ("fc.weight", "zero.weight") and step in (0, 4) else g


def start(shapes, zeros=False):
    return {name: noise(torch.Size(shape).numel(), i).view(shape) * (not (zeros and name in ("bn.bias", "zero.weight")))
            for i, (name, shape) in enumerate(shapes.items())}


def torch_run(make, shapes, lr_at, decay_all=False, zeros=False, weight_decay_at=None):
    """Steps of a torch optimizer with two groups: what decays, and what does not."""
    parameters = {name: torch.nn.Parameter(p) for name, p in start(shapes, zeros).items()}
    decayed = [p for p in parameters.values() if p.dim() > 1 or decay_all]
    plain = [p for p in parameters.values() if not (p.dim() > 1 or decay_all)]
    optimizer = make(decayed, plain)
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = lr_at(step)
        if weight_decay_at:
            optimizer.param_groups[0]["weight_decay"] = weight_decay_at(step)
        for i, (name, p) in enumerate(parameters.items()):
            p.grad = None if skipped(name, step) else gradient(i, name, p.shape, step, zeros)
        optimizer.step()
    return {name: p.detach() for name, p in parameters.items()}, {n: optimizer.state[p] for n, p in parameters.items()}


def groups(decayed, plain, weight_decay):
    return [g for g in ({"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0})
            if g["params"]]


def line(case, kind, name, values):
    return " ".join([case, kind, name] + [f"{v:.15g}" for v in torch.as_tensor(values).flatten().tolist()])


def write(path, lines):
    (pathlib.Path(__file__).resolve().parent / path).write_text("\n".join(lines) + "\n")


def sgd():
    cases = {
        "plain": dict(momentum=0.0, weight_decay=0.0),
        "momentum": dict(momentum=0.9, weight_decay=0.01),
        "nesterov": dict(momentum=0.8, weight_decay=0.05, nesterov=True),
        "decay_all": dict(momentum=0.9, weight_decay=0.1, decay_all=True),
    }
    lines = []
    for case, o in cases.items():
        parameters, state = torch_run(
            lambda decayed, plain: torch.optim.SGD(groups(decayed, plain, o["weight_decay"]), lr=0.1,
                                                   momentum=o["momentum"], nesterov=o.get("nesterov", False)),
            SHAPES, lambda step: 0.1 / (1 + step), decay_all=o.get("decay_all", False))
        for name, p in parameters.items():
            lines.append(line(case, "parameter", name, p))
            if state[name].get("momentum_buffer") is not None:
                lines.append(line(case, "momentum", name, state[name]["momentum_buffer"]))
    write("sgd.txt", lines)


def adamw():
    cases = {
        "no_decay": dict(weight_decay=0.0),
        "adamw": dict(weight_decay=0.5),
        "decay_all": dict(weight_decay=0.5, decay_all=True, betas=(0.8, 0.95), eps=1e-3),
        "scheduled": dict(weight_decay=0.04, weight_decay_at=lambda step: 0.04 + 0.02 * step),
        "adam": dict(weight_decay=0.5, make=torch.optim.Adam),
    }
    lines = []
    for case, o in cases.items():
        parameters, state = torch_run(
            lambda decayed, plain: o.get("make", torch.optim.AdamW)(
                groups(decayed, plain, o["weight_decay"]), betas=o.get("betas", (0.9, 0.999)), eps=o.get("eps", 1e-8),
                foreach=False, fused=False),
            SHAPES, lambda step: 0.05 / (1 + step), decay_all=o.get("decay_all", False),
            weight_decay_at=o.get("weight_decay_at"))
        for name, p in parameters.items():
            lines.append(line(case, "parameter", name, p))
            lines += [line(case, kind, name, state[name][kind]) for kind in ("exp_avg", "exp_avg_sq", "step")]
    write("adamw.txt", lines)


def equations(rule, eta, momentum, weight_decay, base_lr, nesterov=False, adapt_all=False, lr_of=None):
    """LARS by its equations: the place of the learning rate, what stands below ‖w‖, and who is left out."""
    parameters, velocities = {}, {}
    for i, (name, w) in enumerate(start(LARS_SHAPES, True).items()):
        w = w.numpy().copy()
        v = numpy.zeros_like(w)
        for step in range(STEPS):
            if skipped(name, step):
                continue
            lr = lr_of(name, w.ndim, lars_lr(base_lr, step)) if lr_of else lars_lr(base_lr, step)
            g = gradient(i, name, w.shape, step, True).numpy()
            w_norm, g_norm = float(numpy.sqrt((w * w).sum())), float(numpy.sqrt((g * g).sum()))
            update = g
            if w.ndim > 1 or adapt_all:
                u = g + weight_decay * w
                u_norm = float(numpy.sqrt((u * u).sum()))
                if rule in ("byol", "simclr"):
                    update = u * (eta * w_norm / u_norm) if w_norm > 0 and u_norm > 0 else u
                elif w_norm > 0 and g_norm > 0:
                    ratio = eta * w_norm / (g_norm + weight_decay * w_norm + 1e-8)
                    if rule == "clipped":
                        ratio = 1.0 if ratio >= lr else ratio / lr
                    update = ratio * u
            if rule == "simclr":
                update, lr = lr * update, 1.0
            v = momentum * v + update
            w = w - lr * (update + momentum * v if nesterov else v)
        parameters[name], velocities[name] = w, v
    return parameters, velocities


def lars_lr(base, step):
    """Up from zero, again and again."""
    return base * ((step % 7) / 6.0)


def bare(*packages):
    """Packages without what their __init__ imports, which wants torchvision."""
    for package in packages:
        sys.modules[package] = types.ModuleType(package)
        sys.modules[package].__path__ = [str(pathlib.Path(p, *package.split("."))) for p in sys.path]


def lightly_lars(weight_decay, nesterov):
    bare("lightly", "lightly.utils")
    from lightly.utils.lars import LARS

    parameters, state = torch_run(
        lambda decayed, plain: LARS(groups(decayed, plain, weight_decay), lr=0.0, momentum=0.9, nesterov=nesterov,
                                    trust_coefficient=0.02),
        LARS_SHAPES, lambda step: lars_lr(1.5, step), zeros=True)
    return parameters, {name: s["momentum_buffer"] for name, s in state.items()}


def timm_lars():
    """Without the parameters whose norm or gradient is zero at times: timm clips and decays those too."""
    bare("timm", "timm.optim")
    from timm.optim.lars import Lars

    parameters, state = torch_run(
        lambda decayed, plain: Lars(groups(decayed, plain, 0.05), lr=0.0, momentum=0.9, trust_coeff=0.02,
                                    trust_clip=True, always_adapt=True, foreach=False),
        LARS_SHAPES, lambda step: lars_lr(0.04, step), decay_all=True, zeros=True)
    kept = ("conv.weight", "bn.weight", "late.weight", "scale")
    return {n: parameters[n] for n in kept}, {n: state[n]["momentum_buffer"] for n in kept}


def lars():
    by = lambda rule, **o: equations(rule, **{**dict(eta=0.02, momentum=0.9, weight_decay=0.05, base_lr=1.5), **o})
    cases = {
        "byol": by("byol"),
        "byol_no_decay": by("byol", weight_decay=0.0, momentum=0.0),
        "byol_nesterov": by("byol", nesterov=True),
        "barlow": by("byol", lr_of=lambda name, ndim, lr: lr * (1.0 if ndim > 1 else 0.024)),
        "fixed": by("byol", lr_of=lambda name, ndim, lr: 0.3 if name.startswith("fc.") else lr),
        "simclr": by("simclr", eta=0.001, base_lr=3.0),
        "simclr_nesterov": by("simclr", nesterov=True),
        "larc": by("larc", adapt_all=True),
        "larc_no_decay": by("larc", adapt_all=True, weight_decay=0.0),
        "clipped": by("clipped", base_lr=0.04),
        "clipped_all": by("clipped", base_lr=0.04, adapt_all=True),
        "lightly": lightly_lars(0.05, False),
        "lightly_nesterov": lightly_lars(0.05, True),
        "timm": timm_lars(),
    }
    for ours, theirs in ((by("larc"), cases["lightly"]), (by("larc", nesterov=True), cases["lightly_nesterov"]),
                         (cases["clipped_all"], cases["timm"])):
        for mine, other in zip(ours, theirs):
            for name, t in other.items():
                numpy.testing.assert_allclose(mine[name], t.numpy(), rtol=1e-12, atol=1e-14, err_msg=name)
    write("lars.txt", [line(case, kind, name, t) for case, (parameters, velocities) in cases.items()
                       for name in parameters
                       for kind, t in (("parameter", parameters[name]), ("momentum", velocities[name]))
                       if not (kind == "momentum" and case == "byol_no_decay")])


if __name__ == "__main__":
    sgd()
    adamw()
    lars()
