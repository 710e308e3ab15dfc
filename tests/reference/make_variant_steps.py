#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes variant_steps.txt: three training steps of the methods that change a slot or two of a known one, on a tiny
network, by implementations that are not ours. Inputs and weights come from formulas that the tests use too
(tests/methods), so only outputs are stored.

Needs: pip install torch torchvision lightly (made with lightly 1.6.0, torch 2.11.0); of solo-learn 1.0.2 three files
are loaded by themselves: pip install --no-deps --target FOLDER solo-learn==1.0.2
Usage: python make_variant_steps.py FOLDER

Where the numbers come from
  DCL             lightly's DCLLoss, which has one logarithm over both views' negatives as the paper has
  DCLW            the paper's equation in torch, with the gradient through the weights (lightly takes them as constants)
  NNCLR           solo-learn's nnclr_loss_func, mean of both directions, of the rows that lightly's NNMemoryBankModule
                  finds; the support set is written by hand, wrapping around
  ReSSL           solo-learn's ressl_loss_func of unit rows; the queue by hand, wrapping around
  SupCon          solo-learn's simclr_loss_func with the images of a class as further positives
  SimCLR v2       lightly's NTXentLoss; a projector of three layers, the offset of the last BatchNorm is not trained
  DirectCLR       lightly's DirectCLRLoss on the encoder's features
  MMCR            the formula of the authors' code with torch.linalg.svdvals; both views in one BatchNorm batch
  TiCo            lightly's TiCoLoss, the online branch first
  W-MSE           the formula of the authors' code with torch.linalg for partitions that are given; the projector sees
                  both views at once. wmse: the whole batch, wmse_parts: two partitions into halves, wmse_four: four
                  views, each pair once
  LeJEPA          lightly's LeJEPALoss with directions that are given and its grid in float64; two large and two small
                  views, an encoder pass a size, the projector over all
  heads           lightly's ProjectionHead with the layers of the papers' or authors' heads
  EMA             lightly's update_momentum, cosine_schedule
  optimizer       torch.optim.SGD, momentum 0.9, the learning rate as in CASES

All in float64; queues are rounded to float32 whenever they are written.

    CASE loss V V V                          of the three steps
    CASE NAME V...                           after the third: sum, sum of squares, products with a wave, first 4 values
"""
import copy
import importlib.util
import math
import pathlib
import sys

import torch
from lightly.loss import DCLLoss, DirectCLRLoss, NTXentLoss, TiCoLoss
from lightly.loss.lejepa_loss import LeJEPALoss
from lightly.models.modules import NNMemoryBankModule
from lightly.models.modules.heads import ProjectionHead
from lightly.models.utils import update_momentum
from lightly.utils.scheduler import cosine_schedule
from torch import nn
from torch.nn import functional as F

from formulas import chirp, wave

torch.set_num_threads(1)
HERE = pathlib.Path(__file__).parent
STEPS, BATCH, MOMENTUM = 3, 6, 0.9


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


# ---- the network ----------------------------------------------------------------------------------------


class TinyNet(nn.Module):
    """As in torch_support.hpp."""

    def __init__(self, width=8):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, stride=2)
        self.bn = nn.BatchNorm2d(width)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x))).mean((2, 3))


class Network:
    """Encoder, perhaps projector, predictor and a copy that follows; filled by formula in the order of their names."""

    def __init__(self, lr, projector=None, predictor=None, follows=False):
        self.parts = {"encoder": TinyNet()}
        if projector is not None:
            self.parts["projector"] = projector
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
        self.optimizer = torch.optim.SGD(trained, lr=lr, momentum=MOMENTUM)

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
        h = self.parts["encoder"](x)
        return self.parts["projector"](h) if "projector" in self.parts else h

    def embed_all(self, views):
        """The encoder view by view, the projector over all views at once."""
        return self.parts["projector"](torch.cat([self.parts["encoder"](x) for x in views])).chunk(len(views))

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
        return {**dict(self.named("named_parameters")), **dict(self.named("named_buffers"))}


def views(step, local=0):
    """As batch_of() in torch_support.hpp."""
    dtype = torch.get_default_dtype()
    large = [wave((BATCH, 3, 12, 12), 0.37 + 0.011 * v, step).float().to(dtype) for v in range(2)]
    return large + [wave((BATCH, 3, 8, 8), 0.53 + 0.013 * v, step).float().to(dtype) for v in range(local)]


def noisy_views(step, count, images=12):
    """As noisy() in variant_steps.cpp: related views whose embeddings fill all dimensions."""
    shared = chirp((images, 3, 12, 12), 0.00037, 0.61 + step)
    dtype = torch.get_default_dtype()
    return [(shared + 0.6 * chirp(shared.shape, 0.00023 + 0.0001 * v, 0.5 + step)).float().to(dtype)
            for v in range(count)]


def head(*widths, last=None, norm=True, bias=None):
    """Linear, BatchNorm, ReLU for each hidden width, then Linear; bias None: where no BatchNorm follows."""
    biases = [] if bias is None else [bias]
    hidden = [(before, after, nn.BatchNorm1d(after) if norm else None, nn.ReLU(), *biases)
              for before, after in zip(widths[:-2], widths[1:-1])]
    return ProjectionHead([*hidden, (*widths[-2:], last, None, *biases)])


class Ring:
    """The last rows that were written, unit-norm, float32."""

    def __init__(self, count, dim):
        self.rows, self.place = self.rounded(unit(chirp((count, dim), 0.17, 0.2))), 0

    @staticmethod
    def rounded(x):
        return x.float().to(torch.get_default_dtype())

    def write(self, keys):
        places = (self.place + torch.arange(len(keys))) % len(self.rows)
        self.rows = self.rows.clone()
        self.rows[places] = self.rounded(unit(keys.detach()))
        self.place = (self.place + len(keys)) % len(self.rows)

    def state(self):
        return {"queue.rows": self.rows, "queue.pointer": torch.tensor([float(self.place)])}


# ---- the cases ------------------------------------------------------------------------------------------


def two_views(criterion, projector, lr, noisy=False):
    """One network, two views one after the other, a loss on both."""
    net, losses = Network(lr, projector), []
    for step in range(STEPS):
        z0, z1 = (net.embed(x) for x in (noisy_views(step, 2) if noisy else views(step)))
        losses.append(net.step(criterion(z0, z1)))
    return losses, net.state()


def dclw(z0, z1, temperature=0.1, sigma=0.5):
    a, b = unit(z0), unit(z1)
    positive = (a * b).sum(1)
    weight = 2 - len(a) * (positive / sigma).softmax(0)
    image = torch.arange(2 * len(a)) % len(a)
    z = torch.cat([a, b])
    logits = (z @ z.t() / temperature).masked_fill(image[:, None] == image[None, :], -math.inf)
    return logits.logsumexp(1).mean() - (weight * positive / temperature).mean()


def supcon(z0, z1):
    label = (torch.arange(BATCH) % 3).repeat(2)
    mates = (label[:, None] == label[None, :]).logical_and(~torch.eye(2 * BATCH, dtype=torch.bool))
    return simclr_loss_func(z0, z1, 0.1, mates)


def simclr_v2_head():
    projector = head(8, 16, 16, 12, last=nn.BatchNorm1d(12))
    projector.layers[7].bias.requires_grad_(False)
    return projector


def nnclr(lr):
    net = Network(lr, head(8, 16, 16, 12, last=nn.BatchNorm1d(12)), head(12, 10, 12))
    ring, losses = Ring(15, 12), []
    for step in range(STEPS):
        bank = NNMemoryBankModule(size=(15, 12))
        bank.bank = ring.rows.clone()
        z0, z1 = (net.embed(x) for x in views(step))
        p0, p1 = (net.parts["predictor"](z) for z in (z0, z1))
        near0, near1 = (bank(z.detach(), update=False).to(z.dtype) for z in (z0, z1))
        losses.append(net.step(nnclr_loss_func(near1, p0, 0.1) / 2 + nnclr_loss_func(near0, p1, 0.1) / 2))
        ring.write(z0)
    return losses, {**net.state(), **ring.state()}


def ressl(lr):
    net, ring, losses = Network(lr, head(8, 16, 12, norm=False), follows=True), Ring(15, 12), []
    for step in range(STEPS):
        x0, x1 = views(step)
        q = net.embed(x0)
        net.follow(0.9)
        k = net.keys(x1)
        losses.append(net.step(ressl_loss_func(F.normalize(q, dim=1), F.normalize(k, dim=1), ring.rows, 0.1, 0.04)))
        ring.write(k)
    return losses, {**net.state(), **ring.state()}


def mmcr(lr, follows=False, weight=0.1):
    net, losses = Network(lr, head(8, 16, 16, 12, bias=False), follows=follows), []
    for step in range(STEPS):
        both = torch.cat(views(step))
        z = torch.stack([F.normalize(v, dim=1) for v in net.embed(both).chunk(2)], 2)  # [N, D, V]
        centroids = z.mean(2)
        if follows:
            other = torch.stack([F.normalize(v, dim=1) for v in net.keys(both).chunk(2)], 2)
            centroids = (centroids + other.mean(2)) / 2
        local = torch.linalg.svdvals(z).sum() / len(z)
        losses.append(net.step(weight * local - torch.linalg.svdvals(centroids).sum()))
        if follows:
            net.follow(0.9)
    return losses, net.state()


def tico(lr):
    net, criterion, losses = Network(lr, head(8, 16, 12), follows=True), TiCoLoss(), []
    for step in range(STEPS):
        x0, x1 = views(step)
        losses.append(net.step(criterion(net.embed(x0), net.keys(x1))))
        net.follow(cosine_schedule(step, STEPS + 1, 0.9, 1))
    return losses, {**net.state(), "loss.covariance": criterion.C}


def wmse_of(z0, z1, size, orders):
    def whiten(x):
        x = x - x.mean(0)
        return x @ torch.linalg.inv(torch.linalg.cholesky(x.T @ x / (len(x) - 1))).T

    value = 0
    for order in orders:
        w0, w1 = (torch.cat([whiten(z[part]) for part in order.view(-1, size)]) for z in (z0, z1))
        value = value + 2 - 2 * F.cosine_similarity(w0, w1).mean()
    return value / len(orders)


def wmse(lr, size, orders, count=2):
    net, losses = Network(lr, head(8, 16, 4, bias=True)), []
    for step in range(STEPS):
        z = net.embed_all(noisy_views(step, count))
        terms = [wmse_of(z[a], z[b], size, orders) for a in range(count) for b in range(a + 1, count)]
        losses.append(net.step(sum(terms) / len(terms)))
    return losses, net.state()


def lejepa(lr):
    criterion = LeJEPALoss(lambda_param=0.05, sigreg_knots=17, sigreg_t_max=3.0)
    regular, dtype = criterion.sigreg, torch.get_default_dtype()
    directions = unit(chirp((12, 7), 0.19, 0.6).t()).t().to(dtype)
    regular._generate_unit_vectors = lambda device, dtype, num_features: directions
    t = torch.linspace(0, 3, 17, dtype=dtype)
    regular.t, regular.phi, regular.weights = t, (-t * t / 2).exp(), torch.full((17,), 3 / 8, dtype=dtype)
    regular.weights[[0, -1]] = 3 / 16
    regular.weights *= regular.phi
    net, losses = Network(lr, head(8, 16, 16, 12, bias=True)), []
    for step in range(STEPS):
        seen = views(step, local=2)
        h = torch.cat([net.parts["encoder"](torch.cat(seen[:2])), net.parts["encoder"](torch.cat(seen[2:]))])
        z = net.parts["projector"](h).view(4, BATCH, 12)
        losses.append(net.step(criterion(global_proj=z[:2], local_proj=z[2:])))
    return losses, net.state()


whole = torch.arange(12)
CASES = {
    "dcl": lambda: two_views(DCLLoss(temperature=0.1), head(8, 16, 12), 0.01),
    "dclw": lambda: two_views(dclw, head(8, 16, 12), 0.01),
    "supcon": lambda: two_views(supcon, head(8, 16, 12), 0.01),
    "simclr_v2": lambda: two_views(NTXentLoss(temperature=0.1), simclr_v2_head(), 0.01),
    "directclr": lambda: two_views(DirectCLRLoss(loss_dim=5, temperature=0.1), None, 0.05, noisy=True),
    "nnclr": lambda: nnclr(0.01),
    "ressl": lambda: ressl(0.01),
    "mmcr": lambda: mmcr(0.01),
    "mmcr_momentum": lambda: mmcr(0.01, follows=True),
    "tico": lambda: tico(0.01),
    "wmse": lambda: wmse(0.01, 12, [whole]),
    "wmse_parts": lambda: wmse(0.01, 6, [(whole * 5 + 2) % 12, (whole * 7 + 4) % 12]),
    "wmse_four": lambda: wmse(0.01, 12, [whole], count=4),
    "lejepa": lambda: lejepa(0.05),
}


def statistics(value):
    flat = value.detach().to(torch.float64).flatten()
    return [flat.sum().item(), flat.square().sum().item(), (flat * wave(tuple(flat.shape), 1.1, 0.5)).sum().item(),
            *flat[:4].tolist()]


def text(values):
    return " ".join(f"{v:.13g}" for v in values)


with open(HERE / "variant_steps.txt", "w") as out:
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
