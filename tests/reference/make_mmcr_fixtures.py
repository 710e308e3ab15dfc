#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes mmcr.txt: values and gradients of MMCR, TiCo, DirectCLR and SIGReg by implementations that are not ours. Inputs
come from formulas that the tests use too (tests/losses/mmcr.cpp, tico.cpp, directclr.cpp, lejepa.cpp), so only outputs are
stored.

Needs: pip install torch numpy lightly (made with lightly 1.6.0, torch 2.11.0, numpy 2.4.6)
Usage: python make_mmcr_fixtures.py

Where the numbers come from
  MMCR       the formula of the authors' code (unit rows, means over views, of online and momentum branch, local term of
             the online branch) with torch.linalg.svdvals in float64; equal to torch's matrix_norm(ord="nuc") and,
             without local term and for unit rows, to lightly's MMCRLoss, which differs in both
  TiCo       lightly's TiCoLoss, three calls after another
  DirectCLR  lightly's DirectCLRLoss
  SIGReg     the formula in numpy, number by number over the quadrature; equal to lightly's SIGReg and LeJEPALoss with
             the same directions

Each line: case, what (value, gradient, state), numbers. Gradients are those of all inputs that require one, in order.
"""

import math
import pathlib

import numpy
import torch
import torch.nn.functional as F
from lightly.loss import DirectCLRLoss, MMCRLoss, TiCoLoss
from lightly.loss.lejepa_loss import LeJEPALoss

from formulas import chirp

HERE = pathlib.Path(__file__).parent
torch.set_default_dtype(torch.float64)


def online(view, shape):
    return chirp(shape, 0.13 + 0.05 * view, 0.9 - 0.1 * view)


def target(view, shape):
    return chirp(shape, 0.11 + 0.04 * view, 0.3 + 0.2 * view)


def same(a, b, tolerance=1e-12):
    a, b = (v.item() if isinstance(v, torch.Tensor) else v for v in (a, b))
    assert abs(a - b) <= tolerance * max(1, abs(a)), (a, b)


def gradients(inputs):
    return torch.cat([x.grad.flatten() for x in inputs]).tolist()


# ---- MMCR ---------------------------------------------------------------------------------------------


def mmcr(z, momentum, weight):
    """z, momentum: lists of [N, D], a tensor a view."""
    z = torch.stack([F.normalize(x, dim=-1) for x in z], dim=-1)  # [N, D, V]
    centroids = z.mean(-1)
    if momentum:
        follower = torch.stack([F.normalize(x, dim=-1) for x in momentum], dim=-1)
        centroids = (centroids + follower.mean(-1)) * 0.5
    capacity = torch.linalg.svdvals(centroids).sum()
    same(capacity, torch.linalg.matrix_norm(centroids, ord="nuc"))
    local = torch.linalg.svdvals(z).sum() / len(z) if weight else 0
    return weight * local - capacity


def mmcr_cases():
    for name, views, shape, follows, weight in (
        ("mmcr_square", 2, (6, 6), False, 0),
        ("mmcr_tall", 3, (9, 4), False, 0),
        ("mmcr_wide", 2, (4, 9), False, 0),
        ("mmcr_local", 3, (5, 6), False, 0.3),
        ("mmcr_momentum", 2, (5, 6), True, 0),
        ("mmcr_momentum_local", 4, (7, 5), True, 0.2),
    ):
        z = [online(v, shape).requires_grad_() for v in range(views)]
        momentum = [target(v, shape) for v in range(views)] if follows else []
        value = mmcr(z, momentum, weight)
        value.backward()
        if not weight:
            unit = torch.stack([F.normalize(x.detach(), dim=-1) for x in z], dim=1)
            other = torch.stack([F.normalize(x, dim=-1) for x in momentum], dim=1) if follows else unit
            same(value, MMCRLoss(lmda=0)(unit, other))
        yield name, "value", [value.item()]
        yield name, "gradient", gradients(z)


# ---- TiCo, DirectCLR ----------------------------------------------------------------------------------


def tico_cases():
    loss = TiCoLoss()
    for step in range(3):
        a = online(step, (5, 6)).requires_grad_()
        b = target(step, (5, 6)).requires_grad_()
        value = loss(a, b)
        value.backward()
        yield f"tico_{step}", "value", [value.item()]
        yield f"tico_{step}", "gradient", gradients([a, b])
        yield f"tico_{step}", "state", loss.C.flatten().tolist()


def directclr_cases():
    for dims in (2, 3, 6):
        a, b = online(0, (5, 6)).requires_grad_(), online(1, (5, 6)).requires_grad_()
        value = DirectCLRLoss(loss_dim=dims, temperature=0.1)(a, b)
        value.backward()
        yield f"directclr_{dims}", "value", [value.item()]
        yield f"directclr_{dims}", "gradient", gradients([a, b])


# ---- SIGReg -------------------------------------------------------------------------------------------


def sigreg(z, directions, weight, count, knots, t_max):
    """z [V, N, D], directions [D, K] -> value and gradient, by sums over the points of the quadrature."""
    views, n, dim = z.shape
    a = directions / numpy.sqrt((directions**2).sum(0))
    gradient = numpy.zeros_like(z)
    statistic, step = 0.0, t_max / (knots - 1)
    k = a.shape[1]
    for v in range(views):
        for j in range(k):
            x = z[v] @ a[:, j]
            for i in range(knots):
                t = i * step
                normal = math.exp(-t * t / 2)
                area = (1 if i in (0, knots - 1) else 2) * step * normal
                real, imaginary = numpy.cos(t * x).mean() - normal, numpy.sin(t * x).mean()
                statistic += n * area * (real**2 + imaginary**2) / (views * k)
                slope = 2 * area * t * (imaginary * numpy.cos(t * x) - real * numpy.sin(t * x)) / (views * k)
                gradient[v] += weight * slope[:, None] * a[:, j]
    center = z[:count].mean(0)
    apart = z - center
    scale = (1 - weight) * 2 / z.size
    gradient += scale * apart
    gradient[:count] -= scale * apart.sum(0) / count
    return weight * statistic + (1 - weight) * (apart**2).mean(), gradient


class Fixed(LeJEPALoss):
    """lightly's loss with directions that are given."""

    def __init__(self, directions, **options):
        super().__init__(**options)
        unit = directions / directions.norm(dim=0)
        self.sigreg._generate_unit_vectors = lambda device, dtype, num_features: unit


def sigreg_cases():
    shape, k = (5, 4), 7
    directions = chirp((shape[1], k), 0.19, 0.6)
    for name, views, count, weight, knots, t_max in (
        ("sigreg", 2, 2, 0.05, 17, 3.0),
        ("sigreg_one", 1, 1, 1.0, 17, 3.0),
        ("sigreg_globals", 4, 2, 0.3, 9, 5.0),
    ):
        z = torch.stack([1.5 * online(v, shape) for v in range(views)]).requires_grad_()
        value, gradient = sigreg(z.detach().numpy(), directions.numpy(), weight, count, knots, t_max)
        if views > 1:  # lightly's grid is float32
            loss = Fixed(directions, lambda_param=weight, sigreg_knots=knots, sigreg_t_max=t_max)
            parts = {"global_proj": z[:count], "local_proj": z[count:]}
            if count == views:  # its loss wants a local view
                regular = loss.sigreg(z)
                theirs = weight * regular + (1 - weight) * (z - z.mean(0)).square().mean()
            else:
                theirs = loss(**parts)
            theirs.backward()
            same(value, theirs, 1e-6)
            assert numpy.abs(gradient - z.grad.numpy()).max() < 1e-6
        yield name, "value", [value]
        yield name, "gradient", gradient.flatten().tolist()


with open(HERE / "mmcr.txt", "w") as out:
    for cases in (mmcr_cases, tico_cases, directclr_cases, sigreg_cases):
        for name, what, values in cases():
            print(name, what, " ".join(f"{v:.13g}" for v in values), file=out)
