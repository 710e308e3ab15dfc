#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes nt_xent.json: values and gradients of lightly's NTXentLoss on inputs made by a formula.

Needs: pip install torch lightly (made with lightly 1.6.0, torch 2.11.0)
Usage: python make_nt_xent_fixture.py > nt_xent.json
"""
import json

import torch
from lightly.loss import NTXentLoss


def wave(n, d, a, b):
    return torch.sin(torch.arange(n * d, dtype=torch.float64) * a + b).reshape(n, d)


cases = []
for n, d, temperature in [(2, 3, 0.5), (5, 4, 0.1), (8, 6, 0.5), (6, 5, 0.05)]:
    x = wave(n, d, 0.9, 0.3).requires_grad_()
    y = wave(n, d, 1.3, 0.1).requires_grad_()
    loss = NTXentLoss(temperature=temperature)(x, y)
    loss.backward()
    cases.append(dict(n=n, d=d, temperature=temperature, loss=loss.item(),
                      gradient=torch.cat([x.grad, y.grad]).flatten().tolist()))
print(json.dumps(dict(source="lightly.loss.NTXentLoss", cases=cases), indent=1))
