#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes method_losses.txt and method_steps.txt: losses of the momentum and predictor families, and three training steps
of each method on a tiny network, by implementations that are not ours. Inputs and weights come from formulas that the
tests use too (tests/losses, tests/methods), so only outputs are stored.

Needs: pip install torch torchvision lightly (made with lightly 1.6.0, torch 2.11.0); of solo-learn 1.0.2 three files are
loaded by themselves: pip install --no-deps --target FOLDER solo-learn==1.0.2
Usage: python make_method_fixtures.py FOLDER

Where the numbers come from
  InfoNCE with a queue  lightly's NTXentLoss with a memory bank of the given rows; equal to solo-learn's moco_loss_func
  MoCo v3's InfoNCE     torch's cross entropy of q k^T / tau, times 2 tau; the value again by loops
  BYOL                  solo-learn's byol_loss_func, both directions; equal to 2 + 2 lightly's NegativeCosineSimilarity
  SimSiam               lightly's NegativeCosineSimilarity; equal to solo-learn's simsiam_loss_func
  InstDisc              torch's cross entropy over the bank; NCE by loops, gradient by hand
  heads                 lightly's MoCoProjectionHead (v2) and SimSiamPredictionHead as they are. The others are its
                        ProjectionHead with the authors' layers, from which lightly's own heads differ: BYOL (authors:
                        bias before the BatchNorm, none in the last layer; lightly: the reverse), SimSiam's projector
                        (authors: the last layer has a bias that is not trained; lightly: none), MoCo v3 (authors: last
                        BatchNorm without scale and offset; lightly: with)
  EMA, its schedule     lightly's update_momentum, cosine_schedule
  optimizer             torch.optim.SGD, learning rate 0.05, momentum 0.9
  SplitBN               torch's batch_norm with the groups as channels, as in MoCo's CIFAR-10 notebook, but a group is
                        of consecutive images; running statistics are the groups' mean
  queue                 lightly's memory bank. The capacity is a multiple of a step's keys: otherwise it drops some

All in float64; queue and bank are rounded to float32 whenever they are written. `loss` cases are given in float32 too.

method_losses.txt
    NAME TYPE TEMPERATURE value V            shapes and formulas: losses_of() below
    NAME TYPE TEMPERATURE gradient V...      with respect to the first input (both predictions for byol, simsiam)
method_steps.txt
    CASE loss V V V                          of the three steps
    CASE NAME V...                           after the third: sum, sum of squares, products with a wave, first 4 values
"""
import copy
import importlib.util
import math
import pathlib
import sys

import numpy
import torch
from lightly.loss import NegativeCosineSimilarity, NTXentLoss
from lightly.models.modules.heads import MoCoProjectionHead, ProjectionHead, SimSiamPredictionHead
from lightly.models.utils import update_momentum
from lightly.utils.scheduler import cosine_schedule
from torch import nn
from torch.nn import functional as F

from formulas import chirp, wave

torch.set_num_threads(1)
HERE = pathlib.Path(__file__).parent


def solo_learn(name):
    path = pathlib.Path(sys.argv[1]) / "solo" / "losses" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"solo_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


moco_loss_func = solo_learn("moco").moco_loss_func
byol_loss_func = solo_learn("byol").byol_loss_func
simsiam_loss_func = solo_learn("simsiam").simsiam_loss_func


def unit(x):
    return x / x.norm(dim=1, keepdim=True)


def same(a, b, tolerance=1e-6):
    a, b = (v.item() if isinstance(v, torch.Tensor) else v for v in (a, b))
    assert abs(a - b) <= tolerance * max(1, abs(a)), (a, b)


# ---- losses -------------------------------------------------------------------------------------------

N, D, K, IMAGES = 5, 6, 9, 11


def cross_entropy_by_loops(query, rows, own, temperature):
    """mean_i log sum_j exp(q_i r_j / t) - q_i r_own(i) / t, number by number."""
    total = 0.0
    for i in range(len(query)):
        logits = [sum(float(a) * float(b) for a, b in zip(query[i], row)) / temperature for row in rows]
        most = max(logits)
        total += most + math.log(sum(math.exp(v - most) for v in logits)) - logits[own[i]]
    return total / len(query)


def nce_by_loops(v, bank, rows, temperature, z):
    """Wu et al. 2018, equations 4 to 8, for unit rows; z None: estimated. Gives loss, gradient to v, Z."""
    v, bank, rows = v.double().numpy(), bank.double().numpy(), rows.numpy()
    n, noise = len(bank), rows.shape[1] - 1
    if z is None:
        values = [math.exp(float(v[b] @ bank[j]) / temperature) for b in range(len(v)) for j in rows[b]]
        z = n * sum(values) / len(values)
    loss, gradient, share = 0.0, numpy.zeros_like(v), noise / n
    for b in range(len(v)):
        for place, j in enumerate(rows[b]):
            p = math.exp(float(v[b] @ bank[j]) / temperature) / z
            h = p / (p + share)
            loss -= math.log(h if place == 0 else 1 - h)
            gradient[b] += bank[j] / temperature * (h - 1 if place == 0 else h)
    return loss / len(v), gradient / len(v), z


def losses_of(dtype, temperature):
    def leaf(a, b):
        return chirp((N, D), a, b).to(dtype).requires_grad_()

    def result(loss, *inputs):
        loss.backward()
        return loss.item(), torch.cat([x.grad.flatten() for x in inputs]).tolist()

    tight = 1e-12 if dtype == torch.float64 else 1e-5
    q, k = leaf(0.13, 0.9), chirp((N, D), 0.29, 0.4).to(dtype)
    memory = unit(chirp((K, D), 0.17, 0.2)).to(dtype)
    loss = NTXentLoss(temperature=temperature, memory_bank_size=(K, D))
    loss.memory_bank.bank = memory.clone()
    value = loss(q, k)
    same(value, moco_loss_func(F.normalize(q, dim=1), F.normalize(k, dim=1), memory.t(), temperature), tight)
    yield "info_nce", result(value, q)

    q = leaf(0.13, 0.9)
    logits = F.normalize(q, dim=1) @ F.normalize(k, dim=1).t() / temperature
    value = 2 * temperature * F.cross_entropy(logits, torch.arange(N))
    same(value, 2 * temperature * cross_entropy_by_loops(unit(q.detach()), unit(k), range(N), temperature), tight)
    yield "in_batch", result(value, q)

    p0, p1, z0, z1 = leaf(0.13, 0.9), leaf(0.23, 0.5), leaf(0.29, 0.4), leaf(0.37, 0.1)
    value = byol_loss_func(p0, z1) + byol_loss_func(p1, z0)
    cosine = NegativeCosineSimilarity()
    same(value, 4 + 2 * (cosine(p0, z1) + cosine(p1, z0)), tight)
    yield "byol", result(value, p0, p1)
    assert z0.grad is None and z1.grad is None

    p0, p1 = leaf(0.13, 0.9), leaf(0.23, 0.5)
    value = 0.5 * (cosine(p0, z1.detach()) + cosine(p1, z0.detach()))
    same(value, 0.5 * (simsiam_loss_func(p0, z1) + simsiam_loss_func(p1, z0)), tight)
    yield "simsiam", result(value, p0, p1)

    bank, index = unit(chirp((IMAGES, D), 0.17, 0.2)).to(dtype), (torch.arange(N) * 7 + 3) % IMAGES
    v = leaf(0.13, 0.9)
    value = F.cross_entropy(F.normalize(v, dim=1) @ bank.t() / temperature, index)
    same(value, cross_entropy_by_loops(unit(v.detach()), bank, index.tolist(), temperature), tight)
    yield "softmax", result(value, v)

    # NCE's input is unit rows here, the gradient with respect to them; first with Z unknown, then with Z = 30.
    rows = torch.cat([index.unsqueeze(1), (torch.arange(N * K).reshape(N, K) * 5 + 2) % IMAGES], 1)
    v = unit(chirp((N, D), 0.13, 0.9)).to(dtype)
    for name, z in (("nce_first", None), ("nce_fixed", 30.0)):
        value, gradient, z = nce_by_loops(v, bank, rows, temperature, z)
        yield name, (value, gradient.flatten().tolist() + [z])


# ---- three steps --------------------------------------------------------------------------------------

STEPS, BATCH, LR, MOMENTUM = 3, 6, 0.05, 0.9


class SplitBN(nn.BatchNorm2d):
    """BatchNorm with statistics of `groups` parts of consecutive images."""

    def __init__(self, width, groups):
        super().__init__(width)
        self.groups = groups

    def forward(self, x):
        if self.groups == 1:
            return super().forward(x)
        n, c, h, w = x.shape
        g, each = self.groups, n // self.groups
        aside = x.view(g, each, c, h, w).permute(1, 0, 2, 3, 4).reshape(each, g * c, h, w)  # groups become channels
        mean, var = self.running_mean.repeat(g), self.running_var.repeat(g)
        y = F.batch_norm(aside, mean, var, self.weight.repeat(g), self.bias.repeat(g), True, self.momentum, self.eps)
        with torch.no_grad():
            self.running_mean.copy_(mean.view(g, c).mean(0))
            self.running_var.copy_(var.view(g, c).mean(0))
            self.num_batches_tracked += 1
        return y.view(each, g, c, h, w).permute(1, 0, 2, 3, 4).reshape(n, c, h, w)


class TinyNet(nn.Module):
    """As in torch_support.hpp."""

    def __init__(self, groups=1, width=8):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, stride=2)
        self.bn = SplitBN(width, groups)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x))).mean((2, 3))


class Network:
    """Encoder, projector, perhaps predictor and a copy that follows; filled by formula in the order of their names."""

    def __init__(self, projector, predictor=None, follows=False, groups=1):
        self.parts = {"encoder": TinyNet(groups), "projector": projector}
        if predictor is not None:
            self.parts["predictor"] = predictor
        if follows:
            for name in ("encoder", "projector"):
                self.parts[f"target.{name}"] = copy.deepcopy(self.parts[name])
        with torch.no_grad():
            for i, (name, p) in enumerate(self.named("named_parameters")):
                p.copy_(self.start(i, name, p.shape))
        for name, part in self.parts.items():
            part.to(torch.get_default_dtype()).train()
            if name.startswith("target."):
                part.requires_grad_(False)
        trained = [p for _, p in self.named("named_parameters") if p.requires_grad]
        self.optimizer = torch.optim.SGD(trained, lr=LR, momentum=MOMENTUM)

    @staticmethod
    def start(i, name, shape):
        noise = chirp(tuple(shape), 0.13 + 0.01 * i, 0.7 + 0.1 * i)
        if len(shape) > 1:
            return noise * math.sqrt(3 / math.prod(shape[1:]))
        return 1 + 0.1 * noise if name.endswith("weight") else 0.1 * noise

    def named(self, kind):
        for part, module in self.parts.items():
            for name, value in getattr(module, kind)():
                yield f"{part}.{name.replace('layers.', '')}", value

    def embed(self, x):
        return self.parts["projector"](self.parts["encoder"](x))

    def predict(self, x):
        return self.parts["predictor"](self.embed(x))

    @torch.no_grad()
    def keys(self, x):
        return self.parts["target.projector"](self.parts["target.encoder"](x))

    def follow(self, m):
        for name in ("encoder", "projector"):
            update_momentum(self.parts[name], self.parts[f"target.{name}"], m)

    def step(self, loss):
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def state(self):
        yield from self.named("named_parameters")
        yield from self.named("named_buffers")


def views(step):
    """As batch_of() in torch_support.hpp."""
    dtype = torch.get_default_dtype()
    return [wave((BATCH, 3, 12, 12), 0.37 + 0.011 * v, step).float().to(dtype) for v in range(2)]


def start_rows(count, dim):
    return unit(chirp((count, dim), 0.17, 0.2)).float().to(torch.get_default_dtype())


def inst_disc():
    net, bank, losses = Network(nn.Linear(8, 12)), start_rows(16, 12), []
    for step in range(STEPS):
        index = (torch.arange(BATCH) * 5 + 3 * step) % 16
        v = F.normalize(net.embed(views(step)[0]), dim=1)
        losses.append(net.step(F.cross_entropy(v @ bank.t() / 0.1, index)))
        bank[index] = F.normalize(0.5 * bank[index] + 0.5 * v.detach(), dim=1).float().to(bank.dtype)
    return losses, {**dict(net.state()), "queue.rows": bank}


def moco(projector, temperature, symmetric=False, groups=1, capacity=12):
    net, losses = Network(projector, follows=True, groups=groups), []
    criterion = NTXentLoss(temperature=temperature, memory_bank_size=(capacity, 12))
    bank = criterion.memory_bank
    bank.bank = start_rows(capacity, 12)

    def against_old_rows(q, k):  # the loss writes the keys at once, they are written below
        rows, place = bank.bank.clone(), bank.bank_ptr.clone()
        value = criterion(q, k)
        bank.bank, bank.bank_ptr = rows, place
        return value

    for step in range(STEPS):
        x0, x1 = views(step)
        q0 = net.embed(x0)
        q1 = net.embed(x1) if symmetric else None
        net.follow(0.9)
        k0 = net.keys(x0) if symmetric else None
        k1 = net.keys(x1)
        loss = against_old_rows(q0, k1)
        if symmetric:
            loss = loss + against_old_rows(q1, k0)
        losses.append(net.step(loss))
        keys = F.normalize(torch.cat([k0, k1]) if symmetric else k1, dim=1)
        bank._dequeue_and_enqueue(keys)
        bank.bank = bank.bank.float().to(torch.get_default_dtype())
    pointer = bank.bank_ptr.to(torch.get_default_dtype()) % capacity
    return losses, {**dict(net.state()), "queue.rows": bank.bank, "queue.pointer": pointer}


def moco_v1(**options):
    return moco(nn.Linear(8, 12), 0.07, **options)


def moco_v2(**options):
    return moco(MoCoProjectionHead(8, 16, 12), 0.2, **options)


def plain(width):
    return nn.BatchNorm1d(width, affine=False)


def moco_v3(vit=False, temperature=1.0):
    hidden = [(8, 16, nn.BatchNorm1d(16), nn.ReLU())] + ([(16, 16, nn.BatchNorm1d(16), nn.ReLU())] if vit else [])
    projector = ProjectionHead(hidden + [(16, 12, plain(12), None)])
    last = (16, 12, plain(12) if vit else None, None, False)
    predictor = ProjectionHead([(12, 16, nn.BatchNorm1d(16), nn.ReLU()), last])
    net, losses = Network(projector, predictor, follows=True), []

    def contrast(q, k):
        logits = F.normalize(q, dim=1) @ F.normalize(k, dim=1).t() / temperature
        return 2 * temperature * F.cross_entropy(logits, torch.arange(len(q)))

    for step in range(STEPS):
        x0, x1 = views(step)
        q0, q1 = net.predict(x0), net.predict(x1)
        net.follow(cosine_schedule(step, STEPS + 1, 0.99, 1))
        k0, k1 = net.keys(x0), net.keys(x1)
        losses.append(net.step(contrast(q0, k1) + contrast(q1, k0)))
    return losses, dict(net.state())


def byol():
    def head(width):
        return ProjectionHead([(width, 16, nn.BatchNorm1d(16), nn.ReLU(), True), (16, 12, None, None, False)])

    net, losses = Network(head(8), head(12), follows=True), []
    for step in range(STEPS):
        x0, x1 = views(step)
        p0, p1 = net.predict(x0), net.predict(x1)
        z0, z1 = net.keys(x0), net.keys(x1)
        losses.append(net.step(byol_loss_func(p0, z1) + byol_loss_func(p1, z0)))
        net.follow(cosine_schedule(step, STEPS + 1, 0.9, 1))
    return losses, dict(net.state())


def simsiam():
    norm = nn.BatchNorm1d
    hidden = [(8, 12, norm(12), nn.ReLU()), (12, 12, norm(12), nn.ReLU())]
    projector = ProjectionHead(hidden + [(12, 12, plain(12), None, True)])
    projector.layers[6].bias.requires_grad_(False)
    net, losses, cosine = Network(projector, SimSiamPredictionHead(12, 4, 12)), [], NegativeCosineSimilarity()
    for step in range(STEPS):
        z0, z1 = (net.embed(x) for x in views(step))
        p0, p1 = net.parts["predictor"](z0), net.parts["predictor"](z1)
        losses.append(net.step(0.5 * (cosine(p0, z1.detach()) + cosine(p1, z0.detach()))))
    return losses, dict(net.state())


CASES = {
    "inst_disc": inst_disc,
    "moco_v1": lambda: moco_v1(groups=2),
    "moco_v2": moco_v2,
    "moco_v2_split": lambda: moco_v2(groups=2),
    "moco_v2_symmetric": lambda: moco_v2(symmetric=True, capacity=24),
    "moco_v2_symmetric_split": lambda: moco_v2(symmetric=True, groups=2, capacity=24),
    "moco_v3": moco_v3,
    "moco_v3_vit": lambda: moco_v3(vit=True, temperature=0.2),
    "byol": byol,
    "simsiam": simsiam,
}


def statistics(value):
    value = value.detach().to(torch.float64)
    flat = value.flatten()
    return [flat.sum().item(), flat.square().sum().item(), (flat * wave(tuple(flat.shape), 1.1, 0.5)).sum().item(),
            *flat[:4].tolist()]


def text(values):
    return " ".join(f"{v:.13g}" for v in values)


with open(HERE / "method_losses.txt", "w") as out:
    for dtype in (torch.float64, torch.float32):
        for temperature in (0.07, 0.5):
            for name, (value, gradient) in losses_of(dtype, temperature):
                where = f"{name} {str(dtype)[6:]} {temperature}"
                print(where, "value", text([value]), file=out)
                print(where, "gradient", text(gradient), file=out)

with open(HERE / "method_steps.txt", "w") as out:
    for name, case in CASES.items():
        torch.set_default_dtype(torch.float32)
        rough_losses, rough_state = case()
        torch.set_default_dtype(torch.float64)
        losses, state = case()
        print(name, "loss", text(losses), file=out)
        worst = max(abs(a - b) for a, b in zip(losses, rough_losses))
        for key, value in state.items():
            now, rough = statistics(value), statistics(rough_state[key])
            print(name, key, text(now), file=out)
            worst = max(worst, *(abs(a - b) / max(1, abs(a)) for a, b in zip(now, rough)))
        print(f"{name}: losses {losses}, float32 differs by {worst:.2g}")
