// SPDX-License-Identifier: Apache-2.0
// Encoders as TorchScript files. Apart from the rest, since torch::jit costs compile time.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/module.hpp>
#include <doppel/encoders/by_name.hpp>
#include <doppel/encoders/resnet.hpp>
#include <doppel/encoders/vit.hpp>
#include <doppel/io/atomic_file.hpp>
#include <doppel/weights/preprocessing.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <torch/csrc/jit/api/compilation_unit.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include <cstddef>
#include <exception>
#include <filesystem>
#include <memory>
#include <ostream>
#include <string>
#include <variant>

namespace doppel::weights {

namespace detail {

/// Writes the functions of a module tree in TorchScript, from the leaves to the root.
class Scripted {
public:
    explicit Scripted(const encoders::ByName& spec) : spec_(spec), unit_(std::make_shared<torch::jit::CompilationUnit>()) {}

    torch::jit::Module operator()(const torch::nn::Module& encoder) const { return made(encoder, "Encoder", true); }

private:
    torch::jit::Module made(const torch::nn::Module& from, const std::string& name, bool root = false) const {
        torch::jit::Module script(c10::QualifiedName("__torch__.doppel." + std::string(root ? "Encoder" : "Part")), unit_, /*shouldMangle=*/true);
        script.register_attribute("training", c10::BoolType::get(), from.is_training());
        for (const auto& own : from.named_parameters(/*recurse=*/false)) {
            const Tensor value = own.value().detach().cpu().contiguous().clone();
            script.register_parameter(own.key(), value.set_requires_grad(own.value().requires_grad()), /*is_buffer=*/false);
        }
        for (const auto& own : from.named_buffers(/*recurse=*/false))
            script.register_parameter(own.key(), own.value().detach().cpu().contiguous().clone(), /*is_buffer=*/true);
        for (const auto& child : from.named_children()) script.register_module(child.key(), made(*child.value(), child.key()));
        if (const std::string source = root ? source_of_root() : source_of(from, name); !source.empty()) script.define(source);
        return script;
    }

    /// What a part computes; empty for a container.
    std::string source_of(const torch::nn::Module& part, const std::string& name) const {
        static const std::string head = "def forward(self, x: Tensor) -> Tensor:\n";
        if (const auto* conv = dynamic_cast<const torch::nn::Conv2dImpl*>(&part)) {
            const auto& size = conv->options.kernel_size();
            const auto& stride = conv->options.stride();
            const bool patches = (*stride)[0] == (*size)[0] && (*size)[0] > 1;
            const auto pad = patches ? 0 : (*size)[0] / 2;
            return head + fmt::format("    return torch.conv2d(x, self.weight, {}, [{}, {}], [{}, {}])\n", conv->bias.defined() ? "self.bias" : "None",
                                      (*stride)[0], (*stride)[1], pad, pad);
        }
        if (const auto* linear = dynamic_cast<const torch::nn::LinearImpl*>(&part))
            return head + fmt::format("    return torch.linear(x, self.weight, {})\n", linear->bias.defined() ? "self.bias" : "None");
        const auto buffers = part.named_buffers(/*recurse=*/false);
        if (buffers.contains("running_mean"))
            return head + "    if self.training:\n        self.num_batches_tracked.add_(1)\n"
                          "    return torch.batch_norm(x, self.weight, self.bias, self.running_mean, self.running_var, self.training, 0.1, 1e-05, True)\n";
        const auto children = part.named_children();
        if (const auto* vit = std::get_if<encoders::Vit>(&spec_.spec)) {
            const auto net = vit->resolved();
            if (name.starts_with("norm") || name == "fc_norm")
                return head + fmt::format("    return torch.layer_norm(x, [{}], self.weight, self.bias, {})\n", net.dim, net.eps);
            if (!children.contains("attn")) return {};
            return head + fmt::format("    qkv = self.attn.qkv.forward(self.norm1.forward(x)).view([x.size(0), x.size(1), 3, {}, {}]).permute([2, 0, 3, 1, 4])\n"
                                      "    mixed = torch.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2])\n"
                                      "    y = x + self.attn.proj.forward(mixed.transpose(1, 2).flatten(2))\n"
                                      "    return y + self.mlp.fc2.forward(torch.gelu(self.mlp.fc1.forward(self.norm2.forward(y))))\n",
                                      net.heads, net.dim / net.heads);
        }
        if (children.contains("conv1"))
            return head + fmt::format("    y = self.bn2.forward(self.conv2.forward(torch.relu(self.bn1.forward(self.conv1.forward(x)))))\n{}"
                                      "    return torch.relu(y + {})\n",
                                      children.contains("conv3") ? "    y = self.bn3.forward(self.conv3.forward(torch.relu(y)))\n" : "",
                                      children.contains("downsample") ? "self.downsample.forward(x)" : "x");
        if (children.contains("0")) return head + in_sequence("self", children.size()) + "    return x\n";
        return {};
    }

    static std::string in_sequence(const std::string& parts, std::size_t count) {
        std::string text;
        for (std::size_t i = 0; i < count; ++i) text += fmt::format("    x = getattr({}, \"{}\").forward(x)\n", parts, i);
        return text;
    }

    std::string source_of_root() const {
        if (const auto* net = std::get_if<encoders::ResNet>(&spec_.spec))
            return fmt::format("def forward_map(self, images: Tensor) -> Tensor:\n"
                               "    x = torch.relu(self.bn1.forward(self.conv1.forward(images)))\n{}"
                               "    return self.layer4.forward(self.layer3.forward(self.layer2.forward(self.layer1.forward(x))))\n"
                               "def forward(self, images: Tensor) -> Tensor:\n"
                               "    return torch.mean(self.forward_map(images), [2, 3])\n",
                               net->stem == Stem::imagenet ? "    x = torch.max_pool2d(x, [3, 3], [2, 2], [1, 1])\n" : "");
        const auto vit = std::get<encoders::Vit>(spec_.spec).resolved();
        const auto side = vit.image_size / vit.patch;
        return fmt::format("def positions(self, rows: int, columns: int) -> Tensor:\n"
                           "    if rows == {0} and columns == {0}:\n"
                           "        return self.pos_embed\n"
                           "    table = self.pos_embed[:, 1:].transpose(1, 2).reshape([1, {1}, {0}, {0}])\n"
                           "    resized = torch.upsample_bicubic2d(table, [rows, columns], False)\n"
                           "    return torch.cat([self.pos_embed[:, :1], resized.flatten(2).transpose(1, 2)], 1)\n"
                           "def tokens(self, images: Tensor) -> Tensor:\n"
                           "    patches = self.patch_embed.proj.forward(images)\n"
                           "    where = self.positions(patches.size(2), patches.size(3))\n"
                           "    first = self.cls_token.expand([images.size(0), -1, -1])\n"
                           "    x = torch.cat([first, patches.flatten(2).transpose(1, 2)], 1) + where\n"
                           "{2}"
                           "    return x\n"
                           "def forward(self, images: Tensor) -> Tensor:\n"
                           "    return {3}\n",
                           side, vit.dim, in_sequence("self.blocks", static_cast<std::size_t>(vit.depth)),
                           vit.pool == VitPool::token ? "self.norm.forward(self.tokens(images))[:, 0]" : "self.fc_norm.forward(torch.mean(self.tokens(images)[:, 1:], [1]))");
    }

    encoders::ByName spec_;
    std::shared_ptr<torch::jit::CompilationUnit> unit_;
};

}  // namespace detail

/// Returns a shipped encoder as a scripted module: images [B, C, H, W] → features [B, F], of any batch size, and any image size
/// that the encoder takes. Tensors keep their names; BatchNorm follows training and evaluation mode. A ResNet also has
/// forward_map(images), the last feature map. A Vision Transformer's drop_path is left out.
inline torch::jit::Module script_of(const encoders::ByName& spec, const torch::nn::Module& encoder) {
    try {
        return detail::Scripted(spec)(encoder);
    } catch (const std::exception& problem) {  // torch::jit::ErrorReport begins with an empty line
        std::string text = problem.what();
        text.erase(0, text.find_first_not_of('\n'));
        fail("script_of: the module is no ", spec.name(), ": ", text.substr(0, text.find('\n')));
    }
}

/// Writes a shipped encoder as a TorchScript file, in evaluation mode, whole or not at all. torch.jit.load in Python,
/// torch::jit::load in C++ and encoders::TorchScript read it without doppel. `metadata` stand in the file as doppel.json
/// (torch.jit.load(path, _extra_files={"doppel.json": ""})).
///
///     weights::save_torch_script("encoder.pt", opened.spec, *opened.module, opened.metadata);
inline void save_torch_script(const std::filesystem::path& path, const encoders::ByName& spec, const torch::nn::Module& encoder,
                              const Metadata& metadata = {}) {
    auto script = script_of(spec, encoder);
    script.eval();
    const torch::jit::ExtraFilesMap extra{{"doppel.json", nlohmann::json(metadata).dump()}};
    io::write_atomically(path, [&](std::ostream& out) { script.save(out, extra); });
}

}  // namespace doppel::weights
