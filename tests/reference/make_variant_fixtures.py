#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes variants.txt: values and gradients of DCL, DCLW, NNCLR, ReSSL and SupCon by implementations that are not ours.
Inputs come from formulas that tests/losses/dcl.cpp, nnclr.cpp, ressl.cpp, supcon.cpp uses too, so only outputs are stored.

Needs: pip install torch torchvision lightly (made with lightly 1.6.0, torch 2.11.0); of solo-learn 1.0.2 three files
are loaded by themselves: pip install --no-deps --target FOLDER solo-learn==1.0.2
Usage: python make_variant_fixtures.py FOLDER

Where the numbers come from
  DCL      lightly's DCLLoss; the value again by loops of Yeh et al. 2021, section 3
  DCLW     torch, the paper's equation with the gradient through the weights; the value equals lightly's DCLWLoss, the
           gradient does not: there the weights are constants, and with them constant it does
  NNCLR    solo-learn's nnclr_loss_func of the rows that lightly's NNMemoryBankModule finds, mean of both directions.
           lightly's NTXentLoss of the same rows is another loss (negatives from both sides), not compared
  ReSSL    solo-learn's ressl_loss_func of unit rows, the target's temperature 0.4 times the online one's
  SupCon   solo-learn's simclr_loss_func with the images of a class as further positives; the value again by loops of
           Khosla et al. 2020, equation 2. Images 3 and 4 have no label

All in float64.

variants.txt
    NAME TEMPERATURE value V
    NAME TEMPERATURE gradient V...      with respect to both views; to the predictions (NNCLR), the online view (ReSSL)
"""
import importlib.util
import math
import pathlib
import sys
import warnings

import torch
from lightly.loss import DCLLoss, DCLWLoss
from lightly.models.modules import NNMemoryBankModule
from torch.nn import functional as F

from formulas import chirp

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
warnings.filterwarnings("ignore", message="To copy construct from a tensor")  # lightly's weights
HERE = pathlib.Path(__file__).parent
N, D, K = 5, 6, 9
LABELS = [0, 1, 0, -1, -1]


def solo_learn(name):
    path = pathlib.Path(sys.argv[1]) / "solo" / "losses" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"solo_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


nnclr_loss_func = solo_learn("nnclr").nnclr_loss_func
ressl_loss_func = solo_learn("ressl").ressl_loss_func
simclr_loss_func = solo_learn("simclr").simclr_loss_func


def unit(x):
    return x / x.norm(dim=1, keepdim=True)


def leaf(a, b):
    return chirp((N, D), a, b).requires_grad_()


def same(a, b, tolerance=1e-12):
    a, b = (v.item() if isinstance(v, torch.Tensor) else v for v in (a, b))
    assert abs(a - b) <= tolerance * max(1, abs(a)), (a, b)


def result(loss, *inputs):
    return loss.item(), torch.cat([g.flatten() for g in torch.autograd.grad(loss, inputs, retain_graph=True)])


def decoupled_by_loops(z, temperature, sigma=None):
    """z: 2N unit rows, view 0 first."""
    rows = z.detach().tolist()

    def cosine(i, j):
        return sum(a * b for a, b in zip(rows[i], rows[j]))

    positive = [cosine(i, i + N) for i in range(N)]
    weight = [1.0] * N
    if sigma is not None:
        mean = sum(math.exp(c / sigma) for c in positive) / N
        weight = [2 - math.exp(c / sigma) / mean for c in positive]
    total = 0.0
    for k in range(2 * N):
        others = [math.exp(cosine(k, j) / temperature) for j in range(2 * N) if j % N != k % N]
        total += math.log(sum(others)) - weight[k % N] * positive[k % N] / temperature
    return total / (2 * N)


def decoupled(z0, z1, temperature, weight):
    a, b = unit(z0), unit(z1)
    positive = (a * b).sum(1)
    image = torch.arange(2 * N) % N
    z = torch.cat([a, b])
    logits = (z @ z.t() / temperature).masked_fill(image[:, None] == image[None, :], -math.inf)
    return logits.logsumexp(1).mean() - (weight(positive) * positive / temperature).mean()


def supcon_by_loops(z, labels, temperature):
    rows = z.detach().tolist()
    total = 0.0
    for i in range(len(rows)):
        s = [sum(a * b for a, b in zip(rows[i], row)) / temperature for row in rows]
        log_all = math.log(sum(math.exp(s[j]) for j in range(len(rows)) if j != i))
        mates = [p for p in range(len(rows)) if p != i and labels[p] == labels[i]]
        total += sum(log_all - s[p] for p in mates) / len(mates)
    return total / len(rows)


def cases(t):
    z0, z1 = leaf(0.13, 0.9), leaf(0.29, 0.4)
    value = DCLLoss(temperature=t)(z0, z1)
    same(value, decoupled_by_loops(unit(torch.cat([z0, z1])), t))
    yield "dcl", result(value, z0, z1)

    def weight(c):
        return 2 - N * (c / 0.5).softmax(0)

    value = decoupled(z0, z1, t, weight)
    theirs = DCLWLoss(temperature=t, sigma=0.5)(z0, z1)
    same(value, theirs)
    same(value, decoupled_by_loops(unit(torch.cat([z0, z1])), t, 0.5))
    ours, constant = result(value, z0, z1)[1], result(decoupled(z0, z1, t, lambda c: weight(c.detach())), z0, z1)[1]
    lightly_gradient = result(theirs, z0, z1)[1]
    assert (constant - lightly_gradient).abs().max() < 1e-12 < 1e-3 < (ours - lightly_gradient).abs().max()
    yield "dclw", result(value, z0, z1)

    memory = unit(chirp((K, D), 0.17, 0.2))
    bank = NNMemoryBankModule(size=(K, D))
    bank.bank = memory.clone()
    p0, p1 = leaf(0.23, 0.5), leaf(0.37, 0.1)
    nn0, nn1 = (bank(z.detach(), update=False).to(memory.dtype) for z in (z0, z1))
    value = nnclr_loss_func(nn1, p0, t) / 2 + nnclr_loss_func(nn0, p1, t) / 2
    yield "nnclr", result(value, p0, p1)

    value = ressl_loss_func(F.normalize(z0, dim=1), F.normalize(z1, dim=1), memory, t, 0.4 * t)
    yield "ressl", result(value, z0)

    classes = torch.tensor([label if label >= 0 else 100 + i for i, label in enumerate(LABELS)]).repeat(2)
    more = (classes[:, None] == classes[None, :]).logical_and(~torch.eye(2 * N, dtype=torch.bool))
    value = simclr_loss_func(z0, z1, t, more)
    same(value, supcon_by_loops(unit(torch.cat([z0, z1])), classes.tolist(), t))
    yield "supcon", result(value, z0, z1)


def text(values):
    return " ".join(f"{v:.13g}" for v in values)


with open(HERE / "variants.txt", "w") as out:
    for temperature in (0.07, 0.5):
        for name, (value, gradient) in cases(temperature):
            print(name, temperature, "value", text([value]), file=out)
            print(name, temperature, "gradient", text(gradient.tolist()), file=out)
            print(f"{name} at {temperature}: {value}")
