#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes dino.txt: the loss, the head and the temperatures of DINO, KoLeo, and three training steps of the method on a
tiny network, by implementations that are not ours. Inputs and weights come from formulas that the tests use too
(tests/losses/dino.cpp, tests/methods/dino.cpp), so only outputs are stored.

Needs: pip install torch numpy lightly (made with lightly 1.6.0, torch 2.11.0)
Usage: python make_dino_fixtures.py

Where the numbers come from
  loss          lightly's DINOLoss over five epochs of one step each, with its own center and temperature warm-up; equal
                to the sum over pairs of the authors' code
  Sinkhorn      DINOv2's formula in numpy: the target's rows of all global views together
  temperature   numpy.linspace, then the last value, as in the authors' code
  KoLeo         lightly's KoLeoLoss of each global view, summed, times 0.1
  head          lightly's DINOProjectionHead; with BatchNorm torch.nn's layers in the authors' order, whose linear
                layers keep their biases (lightly's do not)
  steps         torch.optim.SGD, learning rate 0.05, momentum 0.9; encoder passes by resolution, one head pass over all
                views, target on the global views, lightly's loss and its update of the target by half a cosine

All in float64. Each line: case, what, numbers. Steps have "loss" (of the three steps) and, after the third, each tensor
by its name: sum, sum of squares, products with a wave, first 4 values; so have gradients of the head.
"""
import math
import pathlib
import warnings

import numpy
import torch
from lightly.loss import DINOLoss, KoLeoLoss
from lightly.models.modules.heads import DINOProjectionHead
from lightly.models.utils import update_momentum
from torch import nn
from torch.nn import functional as F

from formulas import chirp, wave

warnings.filterwarnings("ignore")  # weight_norm has a successor with other names
torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
HERE = pathlib.Path(__file__).parent


def online(view, step, shape=(5, 7)):
    return chirp(shape, 0.13 + 0.05 * view, 0.9 - 0.1 * view + 0.3 * step).requires_grad_()


def target(view, step, shape=(5, 7)):
    return chirp(shape, 0.11 + 0.04 * view, 0.3 + 0.2 * view + 0.3 * step) + 0.2


def same(a, b, tolerance=1e-12):
    a, b = float(a), float(b)
    assert abs(a - b) <= tolerance * max(1, abs(a)), (a, b)


def statistics(value):
    flat = value.detach().double().flatten()
    return [flat.sum().item(), flat.square().sum().item(), (flat * wave(tuple(flat.shape), 1.1, 0.5)).sum().item(),
            *flat[:4].tolist()]


def text(values):
    return " ".join(f"{v:.13g}" for v in values)


def gradients(inputs):
    return torch.cat([x.grad.flatten() for x in inputs]).tolist()


def pairs(p, log_q):
    """The authors' sum over pairs."""
    terms = [-(p[t] * log_q[v]).sum(1).mean() for t in range(len(p)) for v in range(len(log_q)) if v != t]
    return sum(terms) / len(terms)


def losses(out):
    for views, globals_ in ((4, 2), (2, 2), (3, 1)):
        criterion = DINOLoss(7, 0.04, 0.07, 3, 0.1, 0.9)
        center = torch.zeros(1, 7)
        for step in range(5):
            name = f"dino_{views}_{globals_}_{step}"
            s, t = [online(v, step) for v in range(views)], [target(v, step) for v in range(globals_)]
            temperature = numpy.concatenate((numpy.linspace(0.04, 0.07, 3), numpy.ones(7) * 0.07))[step]
            by_hand = pairs([((x - center) / temperature).softmax(1) for x in t], [(x / 0.1).log_softmax(1) for x in s])
            loss = criterion(t, s, epoch=step)
            same(loss, by_hand)
            loss.backward()
            center = 0.9 * center + 0.1 * torch.cat(t).mean(0, keepdim=True)
            print(name, "value", text([loss.item()]), file=out)
            print(name, "gradient", text(gradients(s)), file=out)
            print(name, "center", text(criterion.center.flatten().tolist()), file=out)
            assert torch.allclose(center.flatten(), criterion.center.flatten(), atol=1e-14)

    s, t = [online(v, 0) for v in range(4)], [target(v, 0) for v in range(2)]
    q = numpy.exp(torch.cat(t).numpy() / 0.05).T  # [K, B]
    q /= q.sum()
    for _ in range(3):
        q /= q.sum(1, keepdims=True)
        q /= q.shape[0]
        q /= q.sum(0, keepdims=True)
        q /= q.shape[1]
    p = torch.from_numpy((q * q.shape[1]).T.copy()).chunk(2)
    loss = pairs(p, [(x / 0.1).log_softmax(1) for x in s])
    loss.backward()
    print("sinkhorn", "value", text([loss.item()]), file=out)
    print("sinkhorn", "gradient", text(gradients(s)), file=out)

    for first, last, epochs in ((0.04, 0.07, 30), (0.04, 0.07, 1), (0.02, 0.06, 4), (0.04, 0.04, 0)):
        schedule = numpy.concatenate((numpy.linspace(first, last, epochs), numpy.ones(40 - epochs) * last))
        print(f"temperature_{epochs}", "value", text(schedule.tolist()), file=out)

    x = [online(v, 0, (6, 4)) for v in range(2)]
    loss = 0.1 * sum(KoLeoLoss()(view) for view in x)
    loss.backward()
    print("koleo", "value", text([loss.item()]), file=out)
    print("koleo", "gradient", text(gradients(x)), file=out)


# ---- the head -----------------------------------------------------------------------------------------

class NormedHead(nn.Module):
    """The authors' head with BatchNorm."""

    def __init__(self, width, hidden, bottleneck, out, trained_gain):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(width, hidden), nn.BatchNorm1d(hidden), nn.GELU(),
                                    nn.Linear(hidden, hidden), nn.BatchNorm1d(hidden), nn.GELU(),
                                    nn.Linear(hidden, bottleneck))
        self.last_layer = nn.utils.weight_norm(nn.Linear(bottleneck, out, bias=False))
        self.last_layer.weight_g.requires_grad = trained_gain

    def forward(self, x):
        return self.last_layer(F.normalize(self.layers(x), dim=-1, p=2))


def make_head(norm, trained_gain):
    if norm:
        return NormedHead(8, 16, 6, 12, trained_gain)
    return DINOProjectionHead(8, 16, 6, 12, norm_last_layer=not trained_gain)


def start(i, name, shape):
    noise = chirp(tuple(shape), 0.13 + 0.01 * i, 0.7 + 0.1 * i)
    if len(shape) > 1:
        return noise * math.sqrt(3 / math.prod(shape[1:]))
    return 1 + 0.1 * noise if name.endswith("weight") else 0.1 * noise


def renamed(name):
    return name.replace("layers.", "mlp.")


def heads(out):
    for norm, trained_gain in ((False, False), (False, True), (True, True)):
        name = f"head_{'norm' if norm else 'plain'}_{'gain' if trained_gain else 'fixed'}"
        head = make_head(norm, trained_gain).train()
        with torch.no_grad():
            for i, (key, p) in enumerate(head.named_parameters()):
                p.copy_(start(i, key, p.shape))
        x = chirp((5, 8), 0.17, 0.4).requires_grad_()
        z = head(x)
        (z * wave(tuple(z.shape), 0.9, 0.2)).sum().backward()
        print(name, "output", text(z.flatten().tolist()), file=out)
        print(name, "input", text(x.grad.flatten().tolist()), file=out)
        for key, p in head.named_parameters():
            if p.requires_grad:
                print(name, renamed(key), text(statistics(p.grad)), file=out)


# ---- three steps --------------------------------------------------------------------------------------

STEPS, BATCH, LR, MOMENTUM = 3, 6, 0.05, 0.9


class TinyNet(nn.Module):
    """As in torch_support.hpp."""

    def __init__(self, width=8):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, stride=2)
        self.bn = nn.BatchNorm2d(width)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x))).mean((2, 3))


def batch(step):
    """As batch_of(6, step, 2) in torch_support.hpp."""
    views = [wave((BATCH, 3, 12, 12), 0.37 + 0.011 * v, step) for v in range(2)]
    views += [wave((BATCH, 3, 8, 8), 0.53 + 0.013 * v, step) for v in range(2)]
    return [view.float().double() for view in views]


def steps(norm, trained_gain):
    def network():
        return nn.ModuleDict({"encoder": TinyNet(), "projector": make_head(norm, trained_gain)}).train()

    student, teacher = network(), network()
    named = list(student.named_parameters()) + list(teacher.named_parameters())
    with torch.no_grad():
        for i, (name, p) in enumerate(named):
            p.copy_(start(i, name, p.shape))
    for p in teacher.parameters():
        p.requires_grad = False
    optimizer = torch.optim.SGD([p for p in student.parameters() if p.requires_grad], lr=LR, momentum=MOMENTUM)
    criterion = DINOLoss(12, 0.04, 0.07, 2, 0.1, 0.9)
    values = []
    for step in range(STEPS):
        x = batch(step)
        features = [student["encoder"](torch.cat(x[:2])), student["encoder"](torch.cat(x[2:]))]
        s = student["projector"](torch.cat(features)).chunk(4)
        with torch.no_grad():
            t = teacher["projector"](teacher["encoder"](torch.cat(x[:2]))).chunk(2)
        loss = criterion(list(t), list(s), epoch=step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        update_momentum(student, teacher, 1 - 0.1 * (1 + math.cos(math.pi * step / STEPS)) / 2)
        values.append(loss.item())
    state = {renamed(name): value for name, value in student.state_dict().items()}
    state |= {"target." + renamed(name): value for name, value in teacher.state_dict().items()}
    state["loss.center"] = criterion.center
    return values, state


with open(HERE / "dino.txt", "w") as out:
    losses(out)
    heads(out)
    for name, norm, trained_gain in (("steps_dino", False, False), ("steps_dino_norm", True, True)):
        values, state = steps(norm, trained_gain)
        print(name, "loss", text(values), file=out)
        for key, value in state.items():
            print(name, key, text(statistics(value)), file=out)
        print(f"{name}: losses {values}")
