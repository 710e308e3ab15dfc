# SPDX-License-Identifier: Apache-2.0
"""Writes files as the authors of other libraries name them, by convert.py, with the features of their own networks.

    foreign_encoders.py CONVERT.py FOLDER

needs torch, torchvision, timm and safetensors; lightly where it is there. For each NAME: NAME.safetensors (weights),
NAME.io.safetensors (images and features). Prints the names.
"""
import argparse
import contextlib
import io
import pathlib
import runpy
import sys

import safetensors.torch
import timm
import torch
import torchvision

convert, folder = sys.argv[1], pathlib.Path(sys.argv[2])
torch.manual_seed(1)
torch.set_num_threads(1)


def lively(net):
    """Running statistics, scales and tokens that matter."""
    for name, tensor in list(net.named_buffers()) + list(net.named_parameters()):
        with torch.no_grad():
            if name.endswith("running_mean"):
                tensor.normal_(0, 0.1)
            elif name.endswith("running_var") or name.endswith("gamma"):
                tensor.uniform_(0.5, 1.5)
            elif name in ("cls_token", "pos_embed", "class_token", "encoder.pos_embedding"):
                tensor.normal_(0, 0.5)
    return net.eval()


def behind(prefix, net):
    return {prefix + name: tensor for name, tensor in net.state_dict().items()}


def converted(file, out):
    """What convert.py prints."""
    sys.argv = [convert, str(folder / file), str(folder / out)]
    with contextlib.redirect_stdout(io.StringIO()) as text:
        runpy.run_path(convert, run_name="__main__")
    return text.getvalue()


def rejected(file, part):
    """convert.py ends with one line that has this part, and writes nothing."""
    try:
        converted(file, "rejected.safetensors")
    except SystemExit as end:
        assert part in str(end) and "\n" not in str(end), end
    else:
        raise AssertionError(f"{file} was converted")
    assert not (folder / "rejected.safetensors").exists()


def write(name, content, features, size=64):
    images = torch.randn(2, 3, size, size)
    torch.save(content, folder / f"{name}.pth")
    converted(f"{name}.pth", f"{name}.safetensors")
    with torch.no_grad():
        expected = features(images).flatten(1)
    safetensors.torch.save_file({"images": images, "features": expected.contiguous()}, folder / f"{name}.io.safetensors")
    print(name)


def resnet(depth=18):
    net = lively(getattr(torchvision.models, f"resnet{depth}")())
    net.fc = torch.nn.Identity()
    return net


def vit(**options):
    options = {"img_size": 32, "patch_size": 8, "embed_dim": 192, "depth": 2, "num_heads": 3, "num_classes": 0} | options
    return lively(timm.models.VisionTransformer(**options))


torch.save({"w": torch.ones(2), "at": pathlib.PurePosixPath("x")}, folder / "objects.pth")
rejected("objects.pth", "holds objects of pathlib.PurePosixPath besides tensors")
(folder / "text.pth").write_text("a text")
rejected("text.pth", "is no file of PyTorch's")
rejected("none.pth", "No such file")
torch.save({"state_dict": {"w": torch.ones(2)}, "optimizer": {"m": torch.ones(3)}, "epoch": 1}, folder / "plain.pth")
assert "1 tensor, 0.0 MB; left out: optimizer" in converted("plain.pth", "plain.safetensors")
assert list(safetensors.torch.load_file(folder / "plain.safetensors")) == ["w"]

net, other = resnet(), resnet()
head = {"fc.weight": torch.zeros(2, 512)}
options = argparse.Namespace(arch="resnet18", lr=0.03)
write("torchvision", net.state_dict() | head, net)
write("torchvision_resnet50", (bottleneck := resnet(50)).state_dict(), bottleneck)
write("moco", {"epoch": 200, "state_dict": behind("module.encoder_q.", net) | behind("module.encoder_k.", other) | {"module.queue": torch.zeros(4, 4)},
               "optimizer": {"state": {0: {"momentum_buffer": torch.zeros(1)}}}}, net)
write("simsiam", {"state_dict": behind("module.encoder.", net) | {"module.predictor.0.weight": torch.zeros(1)}, "epoch": 100}, net)
write("swav", behind("module.", net) | {"module.projection_head.0.weight": torch.zeros(1), "module.prototypes.weight": torch.zeros(3)}, net)
write("barlow_twins", {"epoch": 1, "model": behind("module.backbone.", net) | {"module.projector.0.weight": torch.zeros(1), "module.bn.running_mean": torch.zeros(1)}}, net)
write("vicreg", {"model": behind("module.backbone.", net) | {"module.projector.0.weight": torch.zeros(1)}}, net)
sequential = torch.nn.Sequential(*list(net.children())[:-1])
write("lightly", behind("backbone.", sequential) | behind("backbone_momentum.", torch.nn.Sequential(*list(other.children())[:-1])) |
      {"projection_head.layers.0.weight": torch.zeros(1)}, net)
small, later = vit(), vit()
write("dino", {"student": behind("module.backbone.", later) | {"module.head.mlp.0.weight": torch.zeros(1)}, "teacher": behind("backbone.", small) | {"head.mlp.0.weight": torch.zeros(1)},
               "epoch": 3, "args": options}, small, size=32)
write("timm_avg", (averaged := vit(global_pool="avg")).state_dict() | {"head.weight": torch.zeros(1)}, averaged, size=32)
scaled = vit(init_values=1.0)
write("dinov2", scaled.state_dict() | {"mask_token": torch.zeros(1, 192)}, scaled, size=32)
heads = vit(embed_dim=384, num_heads=12, depth=1)
write("moco_v3", {"state_dict": behind("module.base_encoder.", heads) | behind("module.momentum_encoder.", vit(embed_dim=384, num_heads=12, depth=1)) |
                  {"module.predictor.0.weight": torch.zeros(1)}}, heads, size=32)
theirs = torchvision.models.VisionTransformer(image_size=32, patch_size=8, num_layers=2, num_heads=3, hidden_dim=192, mlp_dim=768)
theirs.heads = torch.nn.Identity()
write("torchvision_vit", lively(theirs).state_dict() | {"heads.head.weight": torch.zeros(1)}, theirs, size=32)
try:
    from lightly.models import ResNetGenerator
except ImportError:
    pass
else:
    generated = lively(ResNetGenerator("resnet-18", width=0.25))
    generated.linear = torch.nn.Identity()
    write("lightly_generated", behind("backbone.", generated), generated, size=32)
