# SPDX-License-Identifier: Apache-2.0
"""Makes tests/reference/vit_*.txt: what timm's Vision Transformers give, in float64, for weights and images that a
formula makes (the test uses the same formula, so no weight is stored). Needs torch and timm (1.0.31, with torchvision,
pyyaml, safetensors and huggingface_hub, which it imports; nothing is downloaded) and numpy.

    python3 tests/reference/make_vit_fixtures.py

vit_names.txt, all parameters of vit_{tiny,small,base}_patch16_224 without the classifier, in timm's order:
    parameter NAME SHAPE SHAPE SHAPE    as 192x3x16x16
vit_NET.txt, for each image size HxW that the net is given:
    features HxW/ROW v...               the first 16 features of an image
    token HxW/ROW/TOKEN v...            the first 6 values of a token behind the last norm
    attention HxW/ROW/HEAD sum v...     last block, from the class token to the patches: sum, first 8 values
    image HxW norm first last           gradient of the images
    parameter HxW/NAME norm first last  gradient of a parameter; parameters in order of registration
vit_blocks.txt, get_intermediate_layers of a net of 4 blocks, each behind the last norm:
    token HxW/ROW/BLOCK/TOKEN v...      the first 6 values of a token; BLOCK counts from the last block, 0
    probe HxW/ROW/N/MEAN v...           DINOv2's input of a linear probe: class tokens of the last N blocks, and with MEAN 1
                                        the mean of the last block's patches; each fifth value
vit_sin_cos.txt, MoCo v3's table of positions by numpy, from the formula and not from anybody's code:
    row SIDExDIM/ROW/COLUMN v...        values of a patch, all of 16, each eighth of 384
    sum SIDExDIM sum weighted           over the table, the weights being the noise of stream 7000

timm resizes positions in float32 with antialiasing. Here torch's interpolate does it instead, with the size given, in
float64 and without: DINO's way. Attention is timm's explicit softmax, not torch's fused one.
"""
import math
import pathlib

import numpy
import timm
import timm.layers
import timm.models.vision_transformer as vision_transformer
import torch

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
timm.layers.set_fused_attn(False)


def resized(positions, new_size, old_size, num_prefix_tokens):
    if tuple(new_size) == tuple(old_size):
        return positions
    first, patches = positions[:, :num_prefix_tokens], positions[:, num_prefix_tokens:]
    patches = patches.transpose(1, 2).unflatten(2, tuple(old_size))
    patches = torch.nn.functional.interpolate(patches, size=tuple(new_size), mode="bicubic", align_corners=False)
    return torch.cat([first, patches.flatten(2).transpose(1, 2)], dim=1)


vision_transformer.resample_abs_pos_embed = resized


def noise(count, stream):
    """`count` numbers in [-1, 1): a multiplicative hash of (place, stream) in 32 bits."""
    h = (torch.arange(count, dtype=torch.int64) * 2654435761 + (stream + 1) * 2246822519) & 0xFFFFFFFF
    h = ((h ^ (h >> 16)) * 73244475) & 0xFFFFFFFF
    h = ((h ^ (h >> 16)) * 73244475) & 0xFFFFFFFF
    h = h ^ (h >> 16)
    return h.to(torch.float64) / 2**31 - 1


def fill(net):
    with torch.no_grad():
        for i, (name, p) in enumerate(net.named_parameters()):
            n = noise(p.numel(), i).view(p.shape)
            if name.endswith(("cls_token", "pos_embed")):
                p.copy_(n)
            elif p.dim() > 1:
                p.copy_(n * math.sqrt(6 * p.shape[0] / p.numel()))                    # variance 2 / fan-in
            else:
                p.copy_(0.25 * n + (0.75 if "norm" in name and name.endswith("weight") else 0))


def lines_of(net, sizes):
    fill(net)
    net.eval()  # as in training: no net here drops anything
    for height, width in sizes:
        at = f"{height}x{width}"
        images = noise(2 * 3 * height * width, 5000).view(2, 3, height, width).requires_grad_()
        features = net(images)
        for row in range(2):
            yield ("features", f"{at}/{row}", *features[row, :16].tolist())
        softmax = []
        hook = net.blocks[-1].attn.attn_drop.register_forward_hook(lambda module, given, out: softmax.append(out))
        with torch.no_grad():
            tokens = net.fc_norm(net.forward_features(images))  # one of the two norms is the identity
        hook.remove()
        for row in range(2):
            for token in (0, 1, 2, tokens.shape[1] // 2, tokens.shape[1] - 1):
                yield ("token", f"{at}/{row}/{token}", *tokens[row, token, :6].tolist())
            for head, values in enumerate(softmax[0][row, :, 0, 1:]):
                yield ("attention", f"{at}/{row}/{head}", values.sum().item(), *values[:8].tolist())
        net.zero_grad()
        (features * noise(features.numel(), 6000).view(features.shape)).sum().backward()
        gradients = [("parameter", f"{at}/{name}", p.grad) for name, p in net.named_parameters()]
        for key, name, g in [("image", at, images.grad), *gradients]:
            g = g.flatten()
            yield (key, name, g.norm().item(), g[0].item(), g[-1].item())


def block_lines(net, sizes):
    fill(net)
    net.eval()
    for height, width in sizes:
        at = f"{height}x{width}"
        images = noise(2 * 3 * height * width, 5000).view(2, 3, height, width)
        with torch.no_grad():
            blocks = net.get_intermediate_layers(images, n=4, return_prefix_tokens=True, norm=True)
        for row in range(2):
            for back, (patches, classes) in enumerate(reversed(blocks)):
                tokens = torch.cat([classes, patches], 1)[row]
                for token in (0, 1, len(tokens) - 1):
                    yield ("token", f"{at}/{row}/{back}/{token}", *tokens[token, :6].tolist())
            for n, mean in ((1, 0), (4, 0), (1, 1), (3, 1)):
                parts = [classes[row, 0] for _, classes in blocks[-n:]]
                parts += [blocks[-1][0][row].mean(0)] if mean else []
                yield ("probe", f"{at}/{row}/{n}/{mean}", *torch.cat(parts)[::5].tolist())


def sin_cos(side, dim):
    """Frequencies 10000^(-i / (dim / 4)); sines and cosines of the row, then those of the column."""
    table = numpy.zeros((side, side, dim))
    quarter = dim // 4
    for row in range(side):
        for column in range(side):
            for i in range(quarter):
                w = 10000.0 ** (-i / quarter)
                table[row, column, i::quarter] = [f(w * at) for at in (row, column) for f in (numpy.sin, numpy.cos)]
    return table


def sin_cos_lines():
    everywhere = [(row, column) for row in range(3) for column in range(3)]
    for side, dim, step, places in ((3, 16, 1, everywhere), (14, 384, 8, [(0, 0), (2, 11), (13, 13)])):
        table = sin_cos(side, dim)
        for row, column in places:
            yield ("row", f"{side}x{dim}/{row}/{column}", *table[row, column, ::step].tolist())
        weights = noise(table.size, 7000).numpy().reshape(table.shape)
        yield ("sum", f"{side}x{dim}", table.sum(), (table * weights).sum())


def write(folder, name, lines):
    text = [" ".join(w if isinstance(w, str) else f"{w:.12g}" for w in words) for words in lines]
    (folder / f"vit_{name}.txt").write_text("\n".join(text) + "\n")


def main():
    folder = pathlib.Path(__file__).resolve().parent
    named = [dict(timm.create_model(f"vit_{size}_patch16_224", num_classes=0).named_parameters())
             for size in ("tiny", "small", "base")]
    write(folder, "names", (("parameter", key, *("x".join(map(str, n[key].shape)) for n in named)) for key in named[0]))

    small = dict(img_size=32, patch_size=8, embed_dim=48, depth=2, num_heads=3, num_classes=0, dynamic_img_size=True)
    build = vision_transformer.VisionTransformer
    write(folder, "token", lines_of(build(**small), [(32, 32), (24, 24), (40, 24), (16, 64)]))
    write(folder, "avg", lines_of(build(**small, global_pool="avg"), [(32, 32), (24, 40)]))
    write(folder, "no_bias", lines_of(build(**small | {"mlp_ratio": 2.5, "qkv_bias": False}), [(32, 32)]))
    write(folder, "blocks", block_lines(build(**small | {"depth": 4}), [(32, 32), (40, 24)]))
    tiny = timm.create_model("vit_tiny_patch16_224", num_classes=0, dynamic_img_size=True)
    write(folder, "tiny", lines_of(tiny, [(224, 224), (96, 96)]))
    write(folder, "sin_cos", sin_cos_lines())


if __name__ == "__main__":
    main()
