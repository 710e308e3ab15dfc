// SPDX-License-Identifier: Apache-2.0
// ResNet encoders with the parameter names of torchvision.
#pragma once

#include <doppel/contracts/encoder.hpp>
#include <doppel/core/batch_norm.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/module.hpp>
#include <doppel/encoders/module.hpp>

#include <ATen/ops/conv2d.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>

namespace doppel {

/// The first layers of a ResNet.
enum class Stem {
    imagenet,  ///< 7×7 convolution with stride 2, then 3×3 max-pooling with stride 2: for images of 64 px and more
    cifar,     ///< 3×3 convolution with stride 1, no pooling: for images of about 32 px
    strided,   ///< 3×3 convolution with stride 2, no pooling: a quarter of the cifar stem's cost, for small images
};

inline std::string_view name_of(Stem stem) {
    return stem == Stem::imagenet ? "imagenet" : stem == Stem::cifar ? "cifar" : "strided";
}

}  // namespace doppel

namespace doppel::encoders {

namespace detail {

template <class Layer = torch::nn::Conv2d>
Layer convolution(std::int64_t in, std::int64_t out, std::int64_t size, std::int64_t stride = 1) {
    Layer layer(torch::nn::Conv2dOptions(in, out, size).stride(stride).padding(size / 2).bias(false));
    torch::nn::init::kaiming_normal_(layer->weight, 0, torch::kFanOut, torch::kReLU);
    return layer;
}

/// The 1×1 convolution of a shortcut. On a CPU, with a stride and few channels, it takes every stride-th row and column first, which is
/// the same: oneDNN's backward pass writes past its memory there (uxlfoundation/oneDNN#6035: fewer than 16 channels, channels-last).
class ShortcutImpl : public torch::nn::Conv2dImpl {
public:
    using torch::nn::Conv2dImpl::Conv2dImpl;

    Tensor forward(const Tensor& x) {
        const auto stride = (*options.stride())[0];
        if (stride == 1 || options.in_channels() >= 16 || !x.is_cpu()) return torch::nn::Conv2dImpl::forward(x);
        return at::conv2d(x.slice(2, 0, std::nullopt, stride).slice(3, 0, std::nullopt, stride), weight);
    }
};
TORCH_MODULE(Shortcut);

/// y = relu(f(x) + shortcut(x)); f is two 3×3 convolutions, or 1×1, 3×3, 1×1 in a bottleneck (stride in the 3×3).
class ResidualImpl : public torch::nn::Module {
public:
    ResidualImpl(std::int64_t in, std::int64_t inner, std::int64_t out, std::int64_t stride, bool bottleneck) {
        const std::int64_t kernel = bottleneck ? 1 : 3;  // of the first convolution
        conv1_ = register_module("conv1", convolution(in, inner, kernel, bottleneck ? 1 : stride));
        bn1_ = register_module("bn1", BatchNorm2d(inner));
        conv2_ = register_module("conv2", convolution(inner, inner, 3, bottleneck ? stride : 1));
        bn2_ = register_module("bn2", BatchNorm2d(inner));
        if (bottleneck) {
            conv3_ = register_module("conv3", convolution(inner, out, 1));
            bn3_ = register_module("bn3", BatchNorm2d(out));
        }
        if (stride != 1 || in != out) {
            downsample_ = torch::nn::Sequential(convolution<Shortcut>(in, out, 1, stride), BatchNorm2d(out));
            register_module("downsample", downsample_);
        }
    }

    Tensor forward(const Tensor& x) {
        Tensor y = bn2_(conv2_(bn1_(conv1_(x)).relu_()));
        if (conv3_) y = bn3_(conv3_(y.relu_()));
        return (y + (downsample_ ? downsample_->forward(x) : x)).relu_();
    }

    /// Returns the scale of the branch's last normalization: at zero, the block is the identity.
    Tensor last_scale() const { return bn3_ ? bn3_->weight : bn2_->weight; }

private:
    torch::nn::Conv2d conv1_{nullptr}, conv2_{nullptr}, conv3_{nullptr};
    BatchNorm2d bn1_{nullptr}, bn2_{nullptr}, bn3_{nullptr};
    torch::nn::Sequential downsample_{nullptr};
};
TORCH_MODULE(Residual);

/// The numbers of blocks of the four stages, and whether the blocks are bottlenecks.
struct Layout {
    std::array<std::int64_t, 4> blocks;
    bool bottleneck;
};

inline Layout layout_of(std::int64_t depth) {
    switch (depth) {
        case 18: return {{2, 2, 2, 2}, false};
        case 34: return {{3, 4, 6, 3}, false};
        case 50: return {{3, 4, 6, 3}, true};
        case 101: return {{3, 4, 23, 3}, true};
        default: fail("ResNet: depth must be 18, 34, 50 or 101, got ", depth);
    }
}

}  // namespace detail

struct ResNet;

/// The module that encoders::ResNet describes: images [B, C, H, W] → features [B, F].
class ResNetModuleImpl : public Module {
public:
    explicit ResNetModuleImpl(const ResNet& spec);

    /// Returns the last feature map averaged over positions: [B, C, H, W] → [B, F].
    Tensor forward(const Tensor& images) override { return forward_map(images).mean({2, 3}); }

    /// Returns the last feature map: [B, C, H, W] → [B, F, H/32, W/32], rounded up (H/8 with Stem::cifar, H/16 with
    /// Stem::strided).
    Tensor forward_map(const Tensor& images) {
        require(images.dim() == 4 && images.size(1) == channels_,
                "ResNet: images must be [B, ", channels_, ", H, W], got ", images.sizes());
        Tensor x = bn1_(conv1_(images)).relu_();
        if (stem_ == Stem::imagenet) x = at::max_pool2d(x, {3, 3}, {2, 2}, {1, 1});
        for (auto& stage : stages_) x = stage->forward(x);
        return x;
    }

    /// Returns the size of the last feature map for an image of height and width.
    Grid grid(std::int64_t height, std::int64_t width) const override {
        require(height >= 1 && width >= 1, "ResNet: height and width must be at least 1, got ", height, " x ", width);
        const std::int64_t stride = stem_ == Stem::cifar ? 8 : stem_ == Stem::strided ? 16 : 32;
        return {(height + stride - 1) / stride, (width + stride - 1) / stride};
    }

    /// Returns the features of forward() and of the positions of the last feature map. Throws Error for a mask.
    Patched with_patches(const Tensor& images, const Tensor& mask = {}) override {
        if (mask.defined()) lacks("patches to mask");
        const Tensor map = forward_map(images);
        return {map.mean({2, 3}), map.flatten(2).transpose(1, 2)};
    }

    std::int64_t feature_dim() const override { return feature_dim_; }

private:
    std::int64_t channels_, feature_dim_ = 0;
    Stem stem_;
    torch::nn::Conv2d conv1_{nullptr};
    BatchNorm2d bn1_{nullptr};
    std::array<torch::nn::Sequential, 4> stages_{nullptr, nullptr, nullptr, nullptr};
};
TORCH_MODULE(ResNetModule);

/// A residual network of any width without its classifier. `build()` creates the module with weights from torch's
/// generator.
///
/// Stage s has base · 2^s channels (times 4 at the output of a bottleneck), base = 64 · width rounded to the nearest
/// multiple of 8, at least 8. Every layer is widened, as in SimCLR's ResNet-50 (2×); torchvision's wide_resnet50_2
/// widens the inner convolutions only. F = 8 · base (depth 18, 34) or 32 · base (50, 101).
/// Weights: convolutions normal with variance 2 / fan-out, BatchNorm scale 1 and offset 0.
/// Parameters and buffers have torchvision's names (conv1.weight, layer1.0.bn1.running_mean …), without fc.
/// Throws Error for another depth, a width outside (0, 64], or channels < 1.
/// Source: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", 2015, arXiv:1512.03385, table 1;
/// stride in the 3×3 of a bottleneck as in torchvision.
///
///     auto encoder = encoders::ResNet{.depth = 18, .stem = Stem::cifar}.build();
///     auto features = encoder->forward(images);                      // [B, 3, 32, 32] → [B, 512]
struct ResNet {
    std::int64_t depth = 50;          ///< layers: 18, 34, 50 or 101
    Stem stem = Stem::imagenet;       ///< layers before the four stages
    double width = 1;                 ///< multiplies every number of channels; above 0, at most 64
    bool zero_init_residual = false;  ///< start each block as the identity; SimCLR, SimSiam, Barlow Twins: true
    std::int64_t channels = 3;        ///< channels of the images, ≥ 1

    /// Returns the channels of the stem and of the first stage.
    std::int64_t base() const {
        require(width > 0 && width <= 64, "ResNet: width must be above 0 and at most 64, got ", width);
        return 8 * std::max<std::int64_t>(1, std::llround(8 * width));
    }

    /// Returns the numbers of blocks of the four stages.
    std::array<std::int64_t, 4> blocks() const { return detail::layout_of(depth).blocks; }
    /// Returns whether the blocks are bottlenecks.
    bool has_bottlenecks() const { return detail::layout_of(depth).bottleneck; }
    std::int64_t feature_dim() const { return base() * (has_bottlenecks() ? 32 : 8); }

    /// Returns torchvision's name, with the width if it is not 1: "resnet18", "resnet50x2", "resnet18x0.25".
    std::string name() const {
        std::ostringstream text;
        text << "resnet" << depth;
        if (width != 1) text << 'x' << width;
        return text.str();
    }

    ResNetModule build() const { return ResNetModule(*this); }
};

inline ResNetModuleImpl::ResNetModuleImpl(const ResNet& spec) : channels_(spec.channels), stem_(spec.stem) {
    const auto [blocks, bottleneck] = detail::layout_of(spec.depth);
    require(spec.channels >= 1, "ResNet: channels must be at least 1, got ", spec.channels);
    const std::int64_t base = spec.base(), expansion = bottleneck ? 4 : 1;

    const std::int64_t kernel = spec.stem == Stem::imagenet ? 7 : 3, step = spec.stem == Stem::cifar ? 1 : 2;
    conv1_ = register_module("conv1", detail::convolution(spec.channels, base, kernel, step));
    bn1_ = register_module("bn1", BatchNorm2d(base));

    std::int64_t in = base;
    for (std::size_t stage = 0; stage < blocks.size(); ++stage) {
        const std::int64_t inner = base << stage, out = inner * expansion;
        auto& layer = stages_[stage] = torch::nn::Sequential();
        for (std::int64_t block = 0; block < blocks[stage]; ++block) {
            const std::int64_t stride = stage > 0 && block == 0 ? 2 : 1;
            detail::Residual residual(in, inner, out, stride, bottleneck);
            if (spec.zero_init_residual) torch::nn::init::zeros_(residual->last_scale());
            layer->push_back(residual);
            in = out;
        }
        register_module("layer" + std::to_string(stage + 1), layer);
    }
    feature_dim_ = in;
}

static_assert(contracts::EncoderSpec<ResNet>);

}  // namespace doppel::encoders
