// SPDX-License-Identifier: Apache-2.0
// Vision Transformer encoders with the parameter names of timm.
#pragma once

#include <doppel/contracts/encoder.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/module.hpp>
#include <doppel/encoders/detail/layer_norm.hpp>
#include <doppel/encoders/module.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace doppel {

/// Dimension, blocks and heads of a Vision Transformer: ti 192, 12, 3; s 384, 12, 6; b 768, 12, 12; l 1024, 24, 16.
enum class VitKind { ti, s, b, l };

inline std::string_view name_of(VitKind kind) {
    return std::array<std::string_view, 4>{"ti", "s", "b", "l"}.at(static_cast<std::size_t>(kind));
}

/// The position embedding.
enum class VitPositions {
    learned,  ///< trained (timm, DINO)
    sin_cos,  ///< a fixed table of sines and cosines of row and column (MoCo v3)
};

/// The pooling of the tokens.
enum class VitPool {
    token,  ///< the class token after the last LayerNorm, `norm`
    avg,    ///< the mean of the patch tokens, then the last LayerNorm, here `fc_norm` (timm's global_pool="avg")
};

/// The initialization of the weights.
enum class VitInit {
    dino,     ///< linear layers, class token, learned positions N(0, 0.02²); patches as torch's convolutions
    moco_v3,  ///< linear layers (q, k, v each), patches U(±√(6/(in + out))), patches' bias 0, class token N(0, 1e-6²)
};

}  // namespace doppel

namespace doppel::encoders {

class VitModule;

/// A Vision Transformer (pre-norm, GELU) without its classifier. `build()` creates the module with weights from torch's
/// generator. Images [B, C, H, W] → features [B, D], float32, also under autocast:
///
///     x₀ = [class token, W · patches + b] + positions;   y = x + attn(norm1(x));   x ← y + fc2(gelu(fc1(norm2(y))))
///
/// H and W may be any multiples of the patch size. For a grid other than that of image_size the positions are
/// interpolated: bicubic, to an explicit size, without antialiasing. Fixed positions are interpolated too, not computed
/// for the new grid, so that a loaded table is used. timm interpolates with antialiasing.
/// Biases start at 0, LayerNorm at scale 1. timm and DINO truncate N(0, 0.02²) at ±2, 100 deviations: not done here.
/// Parameters have the names of timm's vit_*_patch*; fixed positions are a parameter, pos_embed, without gradient.
/// drop_path drops residual branches of single images, with torch's generator of the device, in training mode only;
/// Method keeps the blocks of an Ema target in evaluation mode.
/// Throws Error for options out of range, and for images whose sides are not multiples of the patch size.
/// Source: Dosovitskiy et al., "An Image is Worth 16x16 Words", 2020, arXiv:2010.11929; ti and s: Touvron et al., DeiT,
/// 2020, arXiv:2012.12877; fixed positions, their weights, frozen patches: Chen, Xie, He, MoCo v3, 2021,
/// arXiv:2104.02057, and its code; interpolation: Caron et al., DINO, 2021, arXiv:2104.14294, with the size given as in
/// dinov2's pull request 378; drop_path: Huang et al., "Deep Networks with Stochastic Depth", 2016, arXiv:1603.09382.
///
///     encoders::Vit{.kind = VitKind::s, .drop_path = 0.1}           // DINO's online branch; MoCo v3's ViT-S:
///     encoders::Vit{.heads = 12, .positions = VitPositions::sin_cos, .init = VitInit::moco_v3, .frozen_patches = true}
struct Vit {
    VitKind kind = VitKind::s;                       ///< ti, s, b or l
    std::int64_t patch = 16;                         ///< side of a patch in px, ≥ 1
    std::int64_t image_size = 224;                   ///< side in px of the images that the positions are for
    std::int64_t channels = 3;                       ///< channels of the images, ≥ 1
    std::int64_t dim = 0;                            ///< embedding dimension D; 0: the kind's
    std::int64_t depth = 0;                          ///< blocks; 0: the kind's
    std::int64_t heads = 0;                          ///< attention heads, dividing D; 0: the kind's; MoCo v3's S: 12
    double mlp_ratio = 4;                            ///< hidden width of a block's MLP over D, rounded down
    bool qkv_bias = true;                            ///< whether queries, keys and values have a bias
    VitPositions positions = VitPositions::learned;  ///< learned, or fixed sines and cosines (D a multiple of 4)
    VitPool pool = VitPool::token;                   ///< class token, or mean of the patches
    double drop_path = 0;                            ///< rate in the last block, rising from 0 in the first; in [0, 1)
    double eps = 1e-6;                               ///< added to the variance in LayerNorm, above 0
    VitInit init = VitInit::dino;                    ///< initialization of the weights
    bool mask_token = false;                         ///< a trained token replaces masked patches; iBOT: true
    bool frozen_patches = false;                     ///< the patch projection keeps its random weights; MoCo v3: true

    /// Returns the options with dim, depth and heads filled in. Throws Error for options out of range.
    Vit resolved() const {
        using Size = std::array<std::int64_t, 3>;
        constexpr std::array<Size, 4> sizes{Size{192, 12, 3}, {384, 12, 6}, {768, 12, 12}, {1024, 24, 16}};
        Vit vit = *this;
        auto own = sizes.at(static_cast<std::size_t>(kind)).begin();
        for (auto [value, text] : {std::pair{&vit.dim, "dim"}, {&vit.depth, "depth"}, {&vit.heads, "heads"}}) {
            require(*value >= 0, "ViT: ", text, " must be at least 1, or 0 for that of the kind, got ", *value);
            if (*value == 0) *value = *own;
            ++own;
        }
        require(patch >= 1, "ViT: patch must be at least 1, got ", patch);
        require(image_size >= 1 && image_size % patch == 0, "ViT: image_size must be a multiple of the patch, ", patch,
                ", got ", image_size);
        require(channels >= 1, "ViT: channels must be at least 1, got ", channels);
        require(vit.dim % vit.heads == 0, "ViT: heads must divide dim, ", vit.dim, ", got ", vit.heads);
        require(mlp_ratio > 0 && mlp_ratio <= 64 && vit.hidden() >= 1,
                "ViT: mlp_ratio must be at least 1 / dim and at most 64, got ", mlp_ratio);
        require(positions != VitPositions::sin_cos || vit.dim % 4 == 0,
                "ViT: dim must be a multiple of 4 for sin_cos positions, got ", vit.dim);
        require(drop_path >= 0 && drop_path < 1, "ViT: drop_path must be at least 0 and below 1, got ", drop_path);
        require(eps > 0 && std::isfinite(eps), "ViT: eps must be above 0, got ", eps);
        return vit;
    }

    std::int64_t feature_dim() const { return resolved().dim; }

    /// Returns "vit_s16", with the sizes that differ from the kind's: "vit_s16_heads12".
    std::string name() const {
        const Vit vit = resolved(), plain = Vit{.kind = kind}.resolved();
        std::ostringstream text;
        text << "vit_" << name_of(kind) << patch;
        if (vit.dim != plain.dim) text << "_dim" << vit.dim;
        if (vit.depth != plain.depth) text << "_depth" << vit.depth;
        if (vit.heads != plain.heads) text << "_heads" << vit.heads;
        return text.str();
    }

    VitModule build() const;

    /// Returns the hidden width of the MLPs; dim must be filled in.
    std::int64_t hidden() const { return static_cast<std::int64_t>(static_cast<double>(dim) * mlp_ratio); }
};

namespace detail {

/// One transformer block on tokens [B, T, D].
class VitBlockImpl : public torch::nn::Module {
public:
    VitBlockImpl(const Vit& vit, double drop) : heads_(vit.heads), drop_(drop) {
        namespace nn = torch::nn;
        const auto norm = [&](const char* name) {
            return register_module(name, LayerNorm(vit.dim, vit.eps));
        };
        const auto container = [&](const char* name) {
            return register_module(name, std::make_shared<nn::Module>(name));
        };
        norm1_ = norm("norm1");
        auto attn = container("attn");
        qkv_ = attn->register_module("qkv", nn::Linear(nn::LinearOptions(vit.dim, 3 * vit.dim).bias(vit.qkv_bias)));
        proj_ = attn->register_module("proj", nn::Linear(vit.dim, vit.dim));
        norm2_ = norm("norm2");
        auto mlp = container("mlp");
        fc1_ = mlp->register_module("fc1", nn::Linear(vit.dim, vit.hidden()));
        fc2_ = mlp->register_module("fc2", nn::Linear(vit.hidden(), vit.dim));
    }

    Tensor forward(const Tensor& x) {
        const auto qkv = heads_of(x);
        const Tensor mixed = at::scaled_dot_product_attention(qkv[0], qkv[1], qkv[2]);  // [B, heads, T, D/heads]
        const Tensor y = x + dropped(proj_(mixed.transpose(1, 2).flatten(2)));          // [B, T, D]
        return y + dropped(fc2_(at::gelu(fc1_(norm2_(y)))));
    }

    /// Returns the attention weights of the first token over all tokens, [B, heads, T].
    Tensor attention(const Tensor& x) {
        const auto qkv = heads_of(x);
        const Tensor q = qkv[0].slice(2, 0, 1) / std::sqrt(static_cast<double>(qkv[0].size(3)));
        const Tensor scores = q.matmul(qkv[1].transpose(2, 3)).squeeze(2);  // [B, heads, T]
        return scores.softmax(-1, at::promote_types(scores.scalar_type(), at::kFloat));
    }

private:
    /// Returns queries, keys and values, each [B, heads, T, D/heads].
    std::vector<Tensor> heads_of(const Tensor& x) {
        const Tensor all = qkv_(norm1_(x)).view({x.size(0), x.size(1), 3, heads_, x.size(2) / heads_});
        return all.permute({2, 0, 3, 1, 4}).unbind();
    }

    /// Drops the branch for a share of the images and scales it up for the others. Draws nothing if the rate is 0.
    Tensor dropped(const Tensor& branch) const {
        if (drop_ == 0 || !is_training()) return branch;
        const auto type = at::promote_types(branch.scalar_type(), at::kFloat);
        const Tensor kept = at::empty({branch.size(0), 1, 1}, branch.options().dtype(type)).bernoulli_(1 - drop_);
        return branch * (kept / (1 - drop_));
    }

    std::int64_t heads_;
    double drop_;
    LayerNorm norm1_{nullptr}, norm2_{nullptr};
    torch::nn::Linear qkv_{nullptr}, proj_{nullptr}, fc1_{nullptr}, fc2_{nullptr};
};
TORCH_MODULE(VitBlock);

/// Returns MoCo v3's table: [1, 1 + side², D], zeros for the class token. With ωᵢ = 10000^(−4i/D), i < D/4, a patch has
/// sin(ω · row), cos(ω · row), sin(ω · column), cos(ω · column); patches are in row order.
inline Tensor sin_cos_positions(std::int64_t side, std::int64_t dim) {
    const Tensor omega = at::pow(1e4, at::arange(dim / 4, at::kDouble) * (-4.0 / static_cast<double>(dim)));  // [D/4]
    const Tensor angle = at::arange(side, at::kDouble).unsqueeze(1) * omega;  // [side, D/4]
    const Tensor wave = at::cat({angle.sin(), angle.cos()}, 1);               // [side, D/2]
    const Tensor rows = wave.unsqueeze(1).expand({side, side, dim / 2});
    const Tensor table = at::cat({rows, rows.transpose(0, 1)}, 2);  // [side, side, D]
    return at::cat({at::zeros({1, dim}, at::kDouble), table.flatten(0, 1)}).unsqueeze(0).to(at::kFloat);
}

}  // namespace detail

/// The module that encoders::Vit describes: images [B, C, H, W] → features [B, D].
class VitModuleImpl : public Module {
public:
    explicit VitModuleImpl(const Vit& spec);

    Tensor forward(const Tensor& images) override {
        const Tensor x = through(images, blocks_.size());
        return norm_(vit_.pool == VitPool::token ? x.select(1, 0) : x.slice(1, 1).mean(1));
    }

    /// Returns the features of forward() and the patch tokens after the last LayerNorm. The mask token (option
    /// mask_token) replaces patches where `mask` [B, N] is true; their positions are kept.
    Patched with_patches(const Tensor& images, const Tensor& mask = {}) override {
        const Tensor x = through(images, blocks_.size(), mask);
        if (vit_.pool == VitPool::avg) return {norm_(x.slice(1, 1).mean(1)), norm_(x.slice(1, 1))};
        const Tensor all = norm_(x);
        return {all.select(1, 0), all.slice(1, 1)};
    }

    /// Returns all tokens after the last LayerNorm, the class token first: [B, C, H, W] → [B, 1 + N, D],
    /// N = H · W / patch². With VitPool::avg the features are not their mean, but the LayerNorm of the mean.
    Tensor tokens(const Tensor& images) { return norm_(through(images, blocks_.size())); }

    /// Returns the tokens after each of the last `blocks` blocks, each after the last LayerNorm, in the blocks' order.
    std::vector<Tensor> last_tokens(const Tensor& images, std::int64_t blocks) override {
        require(blocks >= 1 && blocks <= vit_.depth, "ViT: the number of last blocks must be from 1 to ", vit_.depth,
                ", all that there are, got ", blocks);
        std::vector<Tensor> tokens;
        const auto first = static_cast<std::size_t>(vit_.depth - blocks);
        Tensor x = through(images, first);
        for (std::size_t i = first; i < blocks_.size(); ++i) tokens.push_back(norm_(x = blocks_[i](x)));
        return tokens;
    }

    /// Returns the attention of the class token over the patches in the last block: [B, C, H, W] → [B, heads, N].
    /// The sum of a row is 1 minus the attention of the class token to itself.
    Tensor attention(const Tensor& images) {
        return blocks_.back()->attention(through(images, blocks_.size() - 1)).slice(2, 1);
    }

    /// Returns the patch grid of an image of height and width.
    Grid grid(std::int64_t height, std::int64_t width) const override {
        require(height >= 1 && width >= 1 && height % vit_.patch == 0 && width % vit_.patch == 0,
                "ViT: height and width must be multiples of the patch, ", vit_.patch, ", got ", height, " x ", width);
        return {height / vit_.patch, width / vit_.patch};
    }

    std::int64_t feature_dim() const override { return vit_.dim; }

private:
    /// Returns the tokens after the first `blocks` blocks: [B, 1 + N, D].
    Tensor through(const Tensor& images, std::size_t blocks, const Tensor& mask = {}) {
        require(images.dim() == 4 && images.size(1) == vit_.channels,
                "ViT: images must be [B, ", vit_.channels, ", H, W], got ", images.sizes());
        const Tensor where = positions(grid(images.size(2), images.size(3)));  // [1, 1 + N, D]
        Tensor patches = proj_(images).flatten(2).transpose(1, 2);             // [B, N, D]
        if (mask.defined()) {
            require(mask_token_.defined(), "ViT: masked patches need the option mask_token");
            require(mask.dim() == 2 && mask.size(0) == patches.size(0) && mask.size(1) == patches.size(1),
                    "ViT: the mask must be [", patches.size(0), ", ", patches.size(1), "], got ", mask.sizes());
            patches = at::where(mask.unsqueeze(2), mask_token_.to(patches.scalar_type()), patches);
        }
        Tensor x = at::cat({cls_token_.expand({images.size(0), -1, -1}), patches}, 1) + where;
        for (std::size_t i = 0; i < blocks; ++i) x = blocks_[i](x);
        return x;
    }

    Tensor positions(Grid grid) const {
        const std::int64_t side = vit_.image_size / vit_.patch;
        if (grid.rows == side && grid.columns == side) return pos_embed_;
        const Tensor map = pos_embed_.slice(1, 1).transpose(1, 2).unflatten(2, {side, side});  // [1, D, side, side]
        const Tensor resized = at::upsample_bicubic2d(map, {grid.rows, grid.columns}, /*align_corners=*/false);
        return at::cat({pos_embed_.slice(1, 0, 1), resized.flatten(2).transpose(1, 2)}, 1);
    }

    Vit vit_;  // resolved
    Tensor cls_token_, pos_embed_, mask_token_;
    torch::nn::Conv2d proj_{nullptr};
    std::vector<detail::VitBlock> blocks_;
    detail::LayerNorm norm_{nullptr};
};
TORCH_MODULE(VitModule);

inline VitModule Vit::build() const { return VitModule(*this); }

inline VitModuleImpl::VitModuleImpl(const Vit& spec) : vit_(spec.resolved()) {
    namespace nn = torch::nn;
    const std::int64_t side = vit_.image_size / vit_.patch;
    const bool fixed = vit_.positions == VitPositions::sin_cos;
    cls_token_ = register_parameter("cls_token", at::zeros({1, 1, vit_.dim}));
    const Tensor table = fixed ? detail::sin_cos_positions(side, vit_.dim) : at::zeros({1, 1 + side * side, vit_.dim});
    pos_embed_ = register_parameter("pos_embed", table, !fixed);
    if (vit_.mask_token) mask_token_ = register_parameter("mask_token", at::zeros({1, vit_.dim}));
    proj_ = nn::Conv2d(nn::Conv2dOptions(vit_.channels, vit_.dim, vit_.patch).stride(vit_.patch));
    register_module("patch_embed", std::make_shared<nn::Module>("PatchEmbed"))->register_module("proj", proj_);
    auto blocks = register_module("blocks", nn::ModuleList());
    for (std::int64_t i = 0; i < vit_.depth; ++i) {
        const double share = vit_.depth > 1 ? static_cast<double>(i) / static_cast<double>(vit_.depth - 1) : 0;
        blocks->push_back(blocks_.emplace_back(vit_, share * vit_.drop_path));
    }
    norm_ = register_module(vit_.pool == VitPool::token ? "norm" : "fc_norm",
                            detail::LayerNorm(vit_.dim, vit_.eps));

    const at::NoGradGuard no_grad;
    const bool moco = vit_.init == VitInit::moco_v3;
    const auto uniform = [](Tensor& weight, std::int64_t in, std::int64_t out) {  // U(±√(6/(in + out)))
        const double bound = std::sqrt(6.0 / static_cast<double>(in + out));
        weight.uniform_(-bound, bound);
    };
    cls_token_.normal_(0, moco ? 1e-6 : 0.02);
    if (!fixed) pos_embed_.normal_(0, 0.02);
    for (auto& item : blocks->named_parameters()) {
        Tensor& p = item.value();
        if (p.dim() == 2 && moco)  // query, key and value are separate matrices
            uniform(p, p.size(1), p.size(0) / (item.key().ends_with("qkv.weight") ? 3 : 1));
        else if (p.dim() == 2)
            p.normal_(0, 0.02);
        else if (item.key().ends_with("bias"))
            p.zero_();
    }
    if (moco) {
        uniform(proj_->weight, vit_.channels * vit_.patch * vit_.patch, vit_.dim);
        proj_->bias.zero_();
    }
    if (vit_.frozen_patches)
        for (Tensor& p : proj_->parameters()) p.set_requires_grad(false);
}

static_assert(contracts::EncoderSpec<Vit> && contracts::PatchEncoder<decltype(Vit{}.build())>);

}  // namespace doppel::encoders
