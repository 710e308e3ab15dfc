// SPDX-License-Identifier: Apache-2.0
// MLP projection and prediction heads.
#pragma once

#include <doppel/contracts/head.hpp>
#include <doppel/core/batch_norm.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/module.hpp>

#include <cstdint>
#include <vector>

namespace doppel::heads {

using contracts::Built;

/// The normalization after the last linear layer of a head.
enum class LastNorm {
    none,        ///< no normalization
    plain,       ///< BatchNorm without scale and offset (SimSiam's projector, MoCo v3)
    scale_only,  ///< BatchNorm with a scale and the offset fixed at zero (SimCLR authors' code)
    affine,      ///< BatchNorm with scale and offset
};

/// Which linear layers have a bias.
enum class Bias {
    unless_normed,  ///< layers without a BatchNorm after them
    always,         ///< all layers
    never,          ///< no layer
    hidden_only,    ///< all but the last (BYOL)
    frozen_last,    ///< the last only, not trained (SimSiam's projector, whose last BatchNorm cancels it)
};

/// [Linear → BatchNorm → ReLU] for each hidden width, then Linear → out: [B, in] → [B, out]. `in` is inferred.
/// Modules are numbered as in torch.nn.Sequential: 0.weight, 1.weight, 3.weight …
/// Source: Chen et al., SimCLR, 2020, arXiv:2002.05709, section 2.1.
///
///     .projector = heads::Mlp{.hidden = {2048}, .out = 128}          // SimCLR, two layers
///     .projector = heads::Mlp{.hidden = {2048}, .out = 128, .norm = false}   // MoCo v2
struct Mlp {
    std::vector<std::int64_t> hidden{2048};  ///< widths of the hidden layers, each ≥ 1; empty: one linear layer
    std::int64_t out = 128;                  ///< output width, ≥ 1
    bool norm = true;                        ///< BatchNorm after each hidden linear layer
    LastNorm last_norm = LastNorm::none;     ///< BatchNorm after the last linear layer
    Bias bias = Bias::unless_normed;         ///< which linear layers have a bias

    Built<torch::nn::Sequential> build(std::int64_t in) const {
        namespace nn = torch::nn;
        require(out >= 1, "Mlp: out must be at least 1, got ", out);
        nn::Sequential layers;
        auto linear = [&](std::int64_t from, std::int64_t to, bool normed, bool last = false) {
            const bool with_bias = bias == Bias::always || (bias == Bias::unless_normed && !normed) ||
                                   (bias == Bias::hidden_only && !last) || (bias == Bias::frozen_last && last);
            nn::Linear layer(nn::LinearOptions(from, to).bias(with_bias));
            if (bias == Bias::frozen_last && last) layer->bias.set_requires_grad(false);
            layers->push_back(layer);
        };
        for (const auto width : hidden) {
            require(width >= 1, "Mlp: hidden widths must be at least 1, got ", width);
            linear(in, width, norm);
            if (norm) layers->push_back(BatchNorm1d(width));
            layers->push_back(nn::ReLU());
            in = width;
        }
        linear(in, out, last_norm != LastNorm::none, true);
        if (last_norm != LastNorm::none) {
            BatchNorm1d last(nn::BatchNorm1dOptions(out).affine(last_norm != LastNorm::plain));
            if (last_norm == LastNorm::scale_only) last->bias.set_requires_grad(false);
            layers->push_back(last);
        }
        return {layers, out};
    }
};

static_assert(contracts::HeadSpec<Mlp>);

}  // namespace doppel::heads
