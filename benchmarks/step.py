#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A SimCLR step beside PyTorch with lightly's loss, at equal settings, in turns.

usage: step.py --program PROGRAM --peers FOLDER [--repeats N] [--batch N] [--rounds N]    (./run bench step)

Both train the same ResNet-18 at a quarter of its width with the stem for CIFAR, and the same two-layer head with BatchNorm, by SGD
with momentum, on two 32-px views of each image, channels-last, float32. doppel's step makes its views; PyTorch's has them.
Each side is a process of its own; they run in turns, and the medians of the rounds count.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from data import install


def pytorch_step(repeats, batch):
    """Returns the median seconds of a step."""
    import torch
    from lightly.loss import NTXentLoss
    from torchvision.models.resnet import BasicBlock, ResNet

    class Narrow(ResNet):
        """A quarter of the width, and a 3x3 convolution in place of the first layers."""

        def __init__(self):
            super().__init__(BasicBlock, [1, 1, 1, 1])
            self.inplanes = 16
            self.conv1 = torch.nn.Conv2d(3, 16, 3, padding=1, bias=False)
            self.bn1 = torch.nn.BatchNorm2d(16)
            self.maxpool = torch.nn.Identity()
            self.layer1 = self._make_layer(BasicBlock, 16, 2)
            self.layer2 = self._make_layer(BasicBlock, 32, 2, stride=2)
            self.layer3 = self._make_layer(BasicBlock, 64, 2, stride=2)
            self.layer4 = self._make_layer(BasicBlock, 128, 2, stride=2)
            self.fc = torch.nn.Identity()

    torch.manual_seed(1)
    net = Narrow().to(memory_format=torch.channels_last)
    head = torch.nn.Sequential(torch.nn.Linear(128, 256, bias=False), torch.nn.BatchNorm1d(256), torch.nn.ReLU(), torch.nn.Linear(256, 128))
    optimizer = torch.optim.SGD([*net.parameters(), *head.parameters()], lr=0.01, momentum=0.9, weight_decay=5e-4, fused=True)
    loss = NTXentLoss(temperature=0.2)
    views = [torch.randn(batch, 3, 32, 32).contiguous(memory_format=torch.channels_last) for _ in range(2)]
    times = []
    for i in range(-3, repeats):
        began = time.perf_counter()
        a, b = head(net(views[0])), head(net(views[1]))
        loss(a, b).backward()
        optimizer.step()
        optimizer.zero_grad()
        if i >= 0:
            times.append(time.perf_counter() - began)
    return statistics.median(times)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--peers", type=pathlib.Path, required=True)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pytorch", action="store_true", help="only the other side, in this process")
    options = parser.parse_args()
    if options.pytorch:
        print(json.dumps({"value": pytorch_step(options.repeats, options.batch)}))
        return
    options.peers.mkdir(parents=True, exist_ok=True)
    install(options.peers)
    environment = {**os.environ, "PYTHONPATH": f"{options.peers}:{os.environ.get('PYTHONPATH', '')}", "PYTHONWARNINGS": "ignore"}
    own, bare, other = [], [], []
    for _ in range(options.rounds):
        run = subprocess.run([options.program, str(options.repeats), str(options.batch)], check=True, capture_output=True, text=True)
        line = json.loads(run.stdout)
        own.append(line["value"])
        bare.append(line["ratio"])
        run = subprocess.run([sys.executable, __file__, *sys.argv[1:], "--pytorch"], check=True, capture_output=True, text=True, env=environment)
        other.append(json.loads(run.stdout.splitlines()[-1])["value"])
    value, baseline = statistics.median(own), statistics.median(other)
    print(json.dumps({"name": "simclr_step", "value": round(value, 6), "unit": "s", "baseline": "bare forward and backward",
                      "ratio": round(statistics.median(bare), 4)}))
    print(json.dumps({"name": "simclr_step", "value": round(value, 6), "unit": "s", "baseline": "PyTorch with lightly's NTXentLoss",
                      "baseline_value": round(baseline, 6), "ratio": round(value / baseline, 4)}))


if __name__ == "__main__":
    main()
