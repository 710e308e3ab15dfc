# SPDX-License-Identifier: Apache-2.0
"""Makes tests/reference/resnet_*.txt: what torchvision's ResNets give, in float64, for weights and images that a
formula makes (the test uses the same formula, so no weight is stored). Needs torch and torchvision.

    python3 tests/reference/make_resnet_fixtures.py

A line is a key and its values:
    parameter NAME norm first last      gradient of the parameter; parameters in order of registration
    buffer NAME sum                     after one forward pass in training mode; 0 for counters
    eval ROW v...                       the first 16 features of an image, evaluation mode
    train ROW v...                      the same in training mode
"""
import math
import pathlib

import torch
import torchvision

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)


def noise(count, stream):
    """`count` numbers in [-1, 1): a multiplicative hash of (place, stream) in 32 bits."""
    h = (torch.arange(count, dtype=torch.int64) * 2654435761 + (stream + 1) * 2246822519) & 0xFFFFFFFF
    h = ((h ^ (h >> 16)) * 73244475) & 0xFFFFFFFF
    h = ((h ^ (h >> 16)) * 73244475) & 0xFFFFFFFF
    h = h ^ (h >> 16)
    return h.to(torch.float64) / 2**31 - 1


def fill(net):
    with torch.no_grad():
        for i, p in enumerate(net.parameters()):
            n = noise(p.numel(), i).view(p.shape)
            if p.dim() == 4:
                p.copy_(n * math.sqrt(6 * p.shape[0] / p.numel()))  # variance 2 / fan-in
            else:
                p.copy_(0.25 * n + (0.75 if i % 3 == 1 else 0))     # conv.weight, bn.weight, bn.bias in turn
        for i, (name, b) in enumerate(net.named_buffers()):
            if name.endswith("running_mean"):
                b.copy_(0.25 * noise(b.numel(), 1000 + i))
            elif name.endswith("running_var"):
                b.copy_(1 + 0.5 * noise(b.numel(), 1000 + i))


def write(folder, name, net, size):
    net.fc = torch.nn.Identity()
    fill(net)
    images = noise(2 * 3 * size * size, 5000).view(2, 3, size, size)
    lines = []

    def put(*words):
        lines.append(" ".join(w if isinstance(w, str) else f"{w:.12g}" for w in words))

    net.eval()
    with torch.no_grad():
        for row, features in enumerate(net(images)):
            put("eval", str(row), *features[:16].tolist())
    net.train()
    features = net(images)
    for row in range(2):
        put("train", str(row), *features[row, :16].tolist())
    (features * noise(features.numel(), 6000).view(features.shape)).sum().backward()
    for key, p in net.named_parameters():
        g = p.grad.flatten()
        put("parameter", key, g.norm().item(), g[0].item(), g[-1].item())
    for key, b in net.named_buffers():
        put("buffer", key, 0.0 if key.endswith("num_batches_tracked") else b.sum().item())
    (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")


def main():
    folder = pathlib.Path(__file__).resolve().parent
    for depth in (18, 34, 50, 101):
        net = getattr(torchvision.models, f"resnet{depth}")(weights=None)
        write(folder, f"resnet{depth}_imagenet", net, 40)
    net = torchvision.models.resnet18(weights=None)
    net.conv1 = torch.nn.Conv2d(3, 64, 3, stride=1, padding=1, bias=False)
    net.maxpool = torch.nn.Identity()
    write(folder, "resnet18_cifar", net, 16)


if __name__ == "__main__":
    main()
