#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes swav.txt: Sinkhorn's assignments, values and gradients of SwAV's loss, and three training steps on a tiny
network with views of two sizes, by implementations that are not ours. Inputs and weights come from formulas that the
tests use too (tests/losses/swav.cpp), so only outputs are stored.

Needs: pip install torch lightly (made with lightly 1.6.0, torch 2.11.0)
Usage: python make_swav_fixtures.py

Where the numbers come from
  sinkhorn  lightly's sinkhorn(), equal to the formula of the authors' code (exp of the scores as they are, no largest
            score taken off)
  loss      lightly's SwaVLoss on scores of unit embeddings and unit prototypes, equal to the formula of the authors'
            code; several sets of prototypes: the mean
  steps     torch.optim.SGD, learning rate 0.05, momentum 0.9. Each step first normalizes the prototypes (lightly's
            normalize_weight), passes the views of one size together through the encoder and all views together through
            the head; the queue is used once it is full and written after use, from a given epoch (a step here) on

All in float64. Each line: case, what, numbers. Sinkhorn has the assignments. A loss has value and gradient (embeddings
of all views, then prototypes, in order). Steps have "loss" (of the three steps) and, after the third, each tensor by
its name, with prototypes normalized: sum, sum of squares, products with a wave, first 4 values.
"""
import math
import pathlib

import torch
from lightly.loss.swav_loss import SwaVLoss, sinkhorn
from lightly.models.utils import normalize_weight
from torch import nn
from torch.nn import functional as F

from formulas import chirp, wave

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
HERE = pathlib.Path(__file__).parent


def view(v, shape):
    """Related views of the same images."""
    return chirp(shape, 0.17, 0.8) + 0.6 * chirp(shape, 0.31 + 0.07 * v, 0.2 + 0.1 * v)


def prototypes(i, shape):
    return chirp(shape, 0.23 + 0.05 * i, 0.5)


def past(i, shape):
    return F.normalize(chirp(shape, 0.37 + 0.03 * i, 0.1))


def same(a, b, tolerance=1e-12):
    assert (a - b).abs().max() <= tolerance * max(1, a.abs().max()), (a, b)


# ---- the authors' formulas ----------------------------------------------------------------------------


def assign(scores, epsilon, iterations):
    q = torch.exp(scores / epsilon).T
    q /= q.sum()
    k, b = q.shape
    for _ in range(iterations):
        q /= q.sum(1, keepdim=True)
        q /= k
        q /= q.sum(0, keepdim=True)
        q /= b
    return (q * b).T


def by_formula(scores, globals_, queued, epsilon, temperature):
    total = 0
    for i in range(globals_):
        with torch.no_grad():
            pool = scores[i] if queued is None else torch.cat((queued[i], scores[i]))
            q = assign(pool, epsilon, 3)[-len(scores[i]):]
        others = [s for v, s in enumerate(scores) if v != i]
        total += sum(-(q * F.log_softmax(s / temperature, 1)).sum(1).mean() for s in others) / len(others)
    return total / globals_


def swav(z, weights, globals_, queues=None, epsilon=0.05, temperature=0.1):
    """The mean over the sets of prototypes, by lightly."""
    total = 0
    unit = [F.normalize(x) for x in z]
    for w in weights:
        scores = [x @ w.T for x in unit]
        queued = None if queues is None else [(x @ w.T).detach() for x in queues]
        loss = SwaVLoss(temperature, 3, epsilon)(scores[:globals_], scores[globals_:], queued).sum()
        same(loss, by_formula(scores, globals_, queued, epsilon, temperature))
        total = total + loss
    return total / len(weights)


def assignments():
    for rows, columns in ((6, 4), (4, 9)):
        for epsilon, iterations in ((0.05, 3), (0.2, 1), (0.05, 20)):
            scores = chirp((rows, columns), 0.21, 0.4)
            q = sinkhorn(scores, iterations, epsilon)
            same(q, assign(scores, epsilon, iterations))
            yield f"sinkhorn_{rows}x{columns}_{epsilon}_{iterations}", q


def losses():
    cases = {"two": (2, 2, [7], False, 0.05, 0.1), "crops": (2, 4, [7], False, 0.05, 0.1),
             "one_global": (1, 3, [5], False, 0.1, 0.2), "sets": (2, 3, [7, 4], False, 0.05, 0.1),
             "queue": (2, 4, [7], True, 0.05, 0.1)}
    for name, (globals_, views, sets, queue, epsilon, temperature) in cases.items():
        z = [view(v, (5, 6)).requires_grad_() for v in range(views)]
        w = [F.normalize(prototypes(i, (k, 6))).requires_grad_() for i, k in enumerate(sets)]
        queues = [past(i, (8, 6)) for i in range(globals_)] if queue else None
        yield f"loss_{name}", swav(z, w, globals_, queues, epsilon, temperature), z + w


# ---- three steps --------------------------------------------------------------------------------------

STEPS, BATCH, LR, MOMENTUM, WIDTH = 3, 6, 0.05, 0.9, 12


class TinyNet(nn.Module):
    """As in torch_support.hpp."""

    def __init__(self, width=8):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, stride=2)
        self.bn = nn.BatchNorm2d(width)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x))).mean((2, 3))


def start(i, name, shape):
    noise = chirp(tuple(shape), 0.13 + 0.01 * i, 0.7 + 0.1 * i)
    if len(shape) > 1:
        return noise * math.sqrt(3 / math.prod(shape[1:]))
    return 1 + 0.1 * noise if name.endswith("weight") else 0.1 * noise


def steps(sets, length, begin):
    head = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, WIDTH))
    state = nn.Module()
    for i, k in enumerate(sets):
        state.register_parameter(f"prototypes_{i}", nn.Parameter(torch.zeros(k, WIDTH)))
    if length:
        for i in range(2):
            state.register_buffer(f"queue_{i}", torch.zeros(length, WIDTH))
    network = nn.ModuleDict({"encoder": TinyNet(), "projector": head, "loss": state}).train()
    with torch.no_grad():
        for i, (name, p) in enumerate(network.named_parameters()):
            p.copy_(start(i, name, p.shape))
    optimizer = torch.optim.SGD(network.parameters(), lr=LR, momentum=MOMENTUM)
    weights, queues = list(state.parameters()), list(state.buffers())
    values, written = [], 0
    for step in range(STEPS):
        for w in weights:
            normalize_weight(w)
        # As batch_of() in torch_support.hpp with two small views.
        large = [wave((BATCH, 3, 12, 12), 0.37 + 0.011 * v, step).float().double() for v in range(2)]
        small = [wave((BATCH, 3, 8, 8), 0.53 + 0.013 * v, step).float().double() for v in range(2)]
        features = [network["encoder"](torch.cat(views)) for views in (large, small)]
        z = head(torch.cat(features)).chunk(4)
        loss = swav(z, weights, 2, queues if length and written >= length else None)
        if length and step >= begin:
            for r in range(max(0, BATCH - length), BATCH):
                for i in range(2):
                    queues[i][written % length] = F.normalize(z[i].detach())[r]
                written += 1
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    for w in weights:
        normalize_weight(w)
    return values, network.state_dict()


def statistics(value):
    flat = value.detach().double().flatten()
    return [flat.sum().item(), flat.square().sum().item(), (flat * wave(tuple(flat.shape), 1.1, 0.5)).sum().item(),
            *flat[:4].tolist()]


def text(values):
    return " ".join(f"{v:.13g}" for v in values)


with open(HERE / "swav.txt", "w") as out:
    for name, q in assignments():
        print(name, "q", text(q.flatten().tolist()), file=out)
    for name, value, inputs in losses():
        value.backward()
        print(name, "value", text([value.item()]), file=out)
        # The only global view says nothing itself.
        gradients = [torch.zeros_like(x) if x.grad is None else x.grad for x in inputs]
        print(name, "gradient", text(torch.cat([g.flatten() for g in gradients]).tolist()), file=out)
    # The queue is full after the first step; after the second, having gone round; from the second epoch on, shorter
    # than a batch.
    cases = {"steps": ([7], 0, 0), "steps_queue": ([7], 6, 0), "steps_round": ([5, 9], 8, 0), "steps_late": ([7], 5, 1)}
    for name, (sets, length, begin) in cases.items():
        values, state = steps(sets, length, begin)
        print(name, "loss", text(values), file=out)
        for key, value in state.items():
            print(name, key, text(statistics(value)), file=out)
        print(f"{name}: losses {values}")
