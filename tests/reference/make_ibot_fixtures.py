#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes ibot.txt: values, gradients and centers of iBOT's patch loss, and how block masks look, by implementations that
are not ours. Inputs come from formulas that the tests use too (tests/losses/ibot.cpp, tests/augment/block_mask.cpp), so only
outputs are stored.

Needs: pip install torch lightly (made with lightly 1.6.0, torch 2.11.0)
Usage: python make_ibot_fixtures.py

Where the numbers come from
  ibot_STEP      lightly's IBOTPatchLoss through four steps, which writes its center after each; equal to the formula
                 of the authors' code, which takes all patches, given the same center
  ibot_sinkhorn  the same cross-entropy with lightly's sinkhorn() of the hidden patches, as DINOv2's code has it
  masks          lightly's random_block_mask, 2000 views of 14 x 14 patches: the share of the patches that is hidden,
                 and of the hidden ones (last column aside) the share with a hidden neighbor to the right

All in float64. Each line: case, what, numbers.
"""
import pathlib
import random

import torch
from lightly.loss.ibot_loss import IBOTPatchLoss
from lightly.loss.swav_loss import sinkhorn
from lightly.models.utils import random_block_mask

from formulas import chirp

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
HERE = pathlib.Path(__file__).parent

IMAGES, GLOBALS, SIDE, K = 3, 2, 3, 5
HIDDEN = (3, 0, 1, 4, 2, 8)  # patches of each view: image 0 of both views, image 1 …
STEPS = 4


def student(step):
    return chirp((IMAGES * GLOBALS, SIDE * SIDE, K), 0.017 + 0.002 * step, 0.6)


def teacher(step):
    return 0.3 * chirp((IMAGES * GLOBALS, SIDE * SIDE, K), 0.011 + 0.003 * step, 0.3) + 0.1


def masks():
    places = (torch.arange(SIDE * SIDE) * 7).unsqueeze(0) + (torch.arange(IMAGES * GLOBALS) * 5).unsqueeze(1)
    return places % (SIDE * SIDE) < torch.tensor(HIDDEN).unsqueeze(1)


def authors(s, t, mask, center, temperature):
    """Over the views, each a batch of images: mean over the hidden patches, over images, over views."""
    total = 0
    for view in range(GLOBALS):
        each = [view + GLOBALS * image for image in range(IMAGES)]
        p = ((t[each] - center) / temperature).softmax(-1)
        loss = -(p * (s[each] / 0.1).log_softmax(-1)).sum(-1)
        m = mask[each].double()
        total = total + ((loss * m).sum(-1) / m.sum(-1).clamp(min=1)).mean()
    return total / GLOBALS


def text(values):
    return " ".join(f"{v:.13g}" for v in values)


def losses(out):
    mask = masks()
    assert tuple(mask.sum(1).tolist()) == HIDDEN
    criterion = IBOTPatchLoss(output_dim=K)
    for step in range(STEPS):
        temperature = (torch.linspace(0.04, 0.07, 3).tolist() + [0.07])[step]
        s, t = student(step), teacher(step)
        seen = s[mask].clone().requires_grad_()
        center = criterion.center.value.clone()
        loss = criterion(t[mask], seen, mask.view(-1, SIDE, SIDE), teacher_temp=temperature)
        loss.backward()
        theirs = authors(s, t, mask, center, temperature)
        assert abs(loss.item() - theirs.item()) < 1e-12, (loss, theirs)
        print(f"ibot_{step}", "value", text([loss.item()]), file=out)
        print(f"ibot_{step}", "gradient", text(seen.grad.flatten().tolist()), file=out)
        print(f"ibot_{step}", "state", text(criterion.center.value.flatten().tolist()), file=out)
        print(f"ibot_{step}: loss {loss.item()}, the authors' {theirs.item()}")
    s, t = student(0), teacher(0)
    seen = s[mask].clone().requires_grad_()
    weight = (1 / mask.sum(1, keepdim=True).clamp(min=1)).expand_as(mask)[mask]
    p = sinkhorn(t[mask], iterations=3, epsilon=0.07)
    loss = -((p * (seen / 0.1).log_softmax(-1)).sum(-1) * weight).sum() / len(mask)
    loss.backward()
    print("ibot_sinkhorn value", text([loss.item()]), file=out)
    print("ibot_sinkhorn gradient", text(seen.grad.flatten().tolist()), file=out)
    print(f"ibot_sinkhorn: loss {loss.item()}")


def blocks(out):
    random.seed(1)
    hidden = random_block_mask((2000, 14, 14), batch_mask_ratio=1.0)
    share = hidden.double().mean().item()
    neighbor = (hidden[:, :, :-1] & hidden[:, :, 1:]).sum().item() / hidden[:, :, :-1].sum().item()
    print("masks share", text([share]), file=out)
    print("masks neighbor", text([neighbor]), file=out)
    print(f"masks: {share} hidden, {neighbor} with a hidden neighbor")


with open(HERE / "ibot.txt", "w") as stream:
    losses(stream)
    blocks(stream)
