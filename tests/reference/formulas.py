# SPDX-License-Identifier: Apache-2.0
"""Values that the fixtures' scripts and the tests make alike, so that only outputs are stored: those of
tests/torch_support.hpp, in float64."""
import math

import torch


def wave(shape, a, b):
    """sin(a·i + b), i = 0, 1, …"""
    return (torch.arange(math.prod(shape), dtype=torch.float64) * a + b).sin().reshape(shape)


def chirp(shape, a, b):
    """A wave that gets faster: as a matrix it has full rank, where wave() has rank two."""
    i = torch.arange(math.prod(shape), dtype=torch.float64)
    return (i * i * a + i * b + b).sin().reshape(shape)
