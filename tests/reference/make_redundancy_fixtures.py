#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes redundancy.txt: values and gradients of Barlow Twins, VICReg and W-MSE, and three training steps of the first
two on a tiny network, by implementations that are not ours. Inputs and weights come from formulas that the tests use
too (tests/losses, tests/methods: barlow_twins.cpp, vicreg.cpp, wmse.cpp), so only outputs are stored.

Needs: pip install torch lightly (made with lightly 1.6.0, torch 2.11.0)
Usage: python make_redundancy_fixtures.py

Where the numbers come from
  Barlow Twins  lightly's BarlowTwinsLoss, times the scale; equal to the formula of the authors' code with
                torch.nn.BatchNorm1d(affine=False)
  VICReg        lightly's VICRegLoss, equal to the formula of the authors' code; with the sum of the variance terms
                (the paper's equation 6) that formula
  W-MSE         the formula of the authors' code with torch.linalg for partitions that are given; equal to lightly's
                WMSELoss that draws the same
  steps         torch.optim.SGD, learning rate 0.01, momentum 0.9, on lightly's ProjectionHead with the authors' layers
                (Barlow Twins without biases, VICReg with biases in the hidden layers only; lightly's own heads differ)

All in float64. Each line: case, what, numbers. A loss has value and gradient (both inputs, in order). Steps have "loss"
(of the three steps) and, after the third, each tensor by its name: sum, sum of squares, products with a wave, first 4
values.
"""
import math
import pathlib

import torch
from lightly.loss import BarlowTwinsLoss, VICRegLoss
from lightly.loss.wmse_loss import WMSELoss
from lightly.models.modules.heads import ProjectionHead
from torch import nn
from torch.nn import functional as F

from formulas import chirp, wave

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
HERE = pathlib.Path(__file__).parent


def pair(shape):
    """Two related views whose dimensions vary by less and by more than 1."""
    width = 0.4 + 0.45 * torch.arange(shape[1])
    z0 = chirp(shape, 0.13, 0.9) * width + 0.2
    z1 = (0.6 * chirp(shape, 0.13, 0.9) + 0.5 * chirp(shape, 0.29, 0.4)) * width - 0.1
    return z0.requires_grad_(), z1.requires_grad_()


def same(a, b, tolerance=1e-12):
    a, b = a.item(), b.item()
    assert abs(a - b) <= tolerance * max(1, abs(a)), (a, b)


def off_diagonal(c):
    return c[~torch.eye(len(c), dtype=torch.bool)]


def barlow_twins(z0, z1, weight, scale):
    norm = nn.BatchNorm1d(z0.shape[1], affine=False)
    c = norm(z0).T @ norm(z1) / len(z0)
    return scale * ((1 - c.diagonal()).square().sum() + weight * off_diagonal(c).square().sum())


def vicreg(z0, z1, invariance, variance, covariance, paper):
    loss = invariance * F.mse_loss(z0, z1)
    for z in (z0, z1):
        hinge = F.relu(1 - torch.sqrt(z.var(0) + 1e-4)).mean()
        loss = loss + variance * (hinge if paper else hinge / 2)
        loss = loss + covariance * off_diagonal(torch.cov(z.T)).square().sum() / z.shape[1]
    return loss


def wmse(z0, z1, size, orders, eps):
    def whiten(x):
        x = x - x.mean(0)
        covariance = (1 - eps) * x.T @ x / (len(x) - 1) + eps * torch.eye(x.shape[1])
        return x @ torch.linalg.inv(torch.linalg.cholesky(covariance)).T

    loss = 0
    for order in orders:
        w0, w1 = (torch.cat([whiten(z[part]) for part in order.view(-1, size)]) for z in (z0, z1))
        loss = loss + 2 - 2 * F.cosine_similarity(w0, w1).mean()
    return loss / len(orders)


def losses():
    for rows, columns in ((5, 7), (9, 4), (6, 6)):
        where = f"{rows}x{columns}"
        for weight, scale in ((0.0051, 1), (0.3, 0.024)):
            z = pair((rows, columns))
            value = scale * BarlowTwinsLoss(lambda_param=weight)(*z)
            same(value, barlow_twins(*z, weight, scale))
            yield f"barlow_{where}_{weight}_{scale}", value, z
        for weights in ((25, 25, 1), (10, 5, 2)):
            for paper in (False, True):
                z = pair((rows, columns))
                value = vicreg(*z, *weights, paper)
                if not paper:
                    same(value, VICRegLoss(*weights)(*z))
                name = f"vicreg_{where}_{weights[0]}_{'paper' if paper else 'code'}"
                yield name, value, z

    draw = torch.randperm
    for eps, count in ((0.0, 1), (0.0, 2), (0.1, 1)):
        z = pair((12, 3))
        orders = [(torch.arange(12) * 5 + 2) % 12, (torch.arange(12) * 7 + 4) % 12][:count]
        value = wmse(*z, 6, orders, eps)
        queue = iter(orders)
        torch.randperm = lambda n: next(queue)
        theirs = WMSELoss(embedding_dim=3, w_size=6, w_iter=count, eps=eps, track_running_stats=False)
        same(value, theirs(torch.cat(z)))
        torch.randperm = draw
        yield f"wmse_{eps}_{count}", value, z


# ---- three steps --------------------------------------------------------------------------------------

STEPS, BATCH, LR, MOMENTUM = 3, 6, 0.01, 0.9


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


def steps(criterion, hidden_bias):
    def hidden(width):
        return (width, 16, nn.BatchNorm1d(16), nn.ReLU(), hidden_bias)

    encoder, projector = TinyNet(), ProjectionHead([hidden(8), hidden(16), (16, 12, None, None, False)])
    network = nn.ModuleDict({"encoder": encoder, "projector": projector}).train()
    with torch.no_grad():
        for i, (name, p) in enumerate(network.named_parameters()):
            p.copy_(start(i, name, p.shape))
    optimizer = torch.optim.SGD(network.parameters(), lr=LR, momentum=MOMENTUM)
    values = []
    for step in range(STEPS):
        # As batch_of() in torch_support.hpp; the views pass one after the other.
        x = [wave((BATCH, 3, 12, 12), 0.37 + 0.011 * v, step).float().double() for v in range(2)]
        z = [projector(encoder(view)) for view in x]
        loss = criterion(*z)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    return values, {name.replace("layers.", ""): value for name, value in network.state_dict().items()}


def statistics(value):
    flat = value.detach().double().flatten()
    return [flat.sum().item(), flat.square().sum().item(), (flat * wave(tuple(flat.shape), 1.1, 0.5)).sum().item(),
            *flat[:4].tolist()]


def text(values):
    return " ".join(f"{v:.13g}" for v in values)


with open(HERE / "redundancy.txt", "w") as out:
    for name, value, inputs in losses():
        value.backward()
        print(name, "value", text([value.item()]), file=out)
        print(name, "gradient", text(torch.cat([z.grad.flatten() for z in inputs]).tolist()), file=out)
    cases = {"steps_barlow_twins": (BarlowTwinsLoss(lambda_param=0.0051), False),
             "steps_vicreg": (VICRegLoss(), True),
             "steps_vicreg_paper": (lambda z0, z1: vicreg(z0, z1, 25, 25, 1, True), True)}
    for name, (criterion, hidden_bias) in cases.items():
        values, state = steps(criterion, hidden_bias)
        print(name, "loss", text(values), file=out)
        for key, value in state.items():
            print(name, key, text(statistics(value)), file=out)
        print(f"{name}: losses {values}")
