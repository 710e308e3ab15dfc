// SPDX-License-Identifier: Apache-2.0
// DINO's projection head: an MLP, a bottleneck of unit length, and a weight-normalized linear layer.
#pragma once

#include <doppel/contracts/head.hpp>
#include <doppel/core/batch_norm.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/module.hpp>

#include <cmath>
#include <cstdint>
#include <memory>

namespace doppel::heads {

using contracts::Built;

class DinoModule;

/// [Linear → GELU] for each hidden layer, Linear → bottleneck, unit length, then K scores without a bias:
///
///     h = MLP(x);   s_k = g_k · (v_k / ‖v_k‖) · (h / ‖h‖)
///
/// Shapes: [B, in] → [B, K], K = out. With g = 1, its initial value, which is not trained by default, the scores are
/// cosines in [−1, 1].
/// Names are those of the authors' state: mlp.0.weight, mlp.2.weight, …, last_layer.weight_g [K, 1] and
/// last_layer.weight_v [K, bottleneck]; with `norm`, BatchNorm layers are counted too. A single layer is mlp.weight
/// there.
/// Initialization: weights of the MLP N(0, 0.02²), biases 0, v as torch's linear layers, U(±1/√bottleneck).
/// Numerics: both lengths in float32 (float64 for float64 inputs), also under autocast; h / ‖h‖ is 0 for h = 0.
/// Differs: the authors truncate N(0, 0.02²) at ±2, which is 100 deviations: not done here. lightly's
/// DINOProjectionHead with batch_norm has no biases; the authors keep them.
/// A trained g has two dimensions, so weight decay applies to it, as in the authors' code.
/// Throws Error for sizes below 1.
/// Source: Caron et al., "Emerging Properties in Self-Supervised Vision Transformers", 2021, arXiv:2104.14294,
/// section 3.1 and appendix C, and the authors' code; Salimans, Kingma, "Weight Normalization", 2016, arXiv:1602.07868.
///
///     .projector = heads::Dino{.out = 65536}
struct Dino {
    std::int64_t layers = 3;        ///< linear layers of the MLP, ≥ 1, including the one to the bottleneck
    std::int64_t hidden = 2048;     ///< width of the hidden layers, ≥ 1
    std::int64_t bottleneck = 256;  ///< width of the unit vector, ≥ 1
    std::int64_t out = 65536;       ///< K ≥ 1, scores
    bool norm = false;              ///< BatchNorm before each GELU
    bool trained_gain = false;      ///< train g; training is more stable without

    Built<DinoModule> build(std::int64_t in) const;
};

/// The module that heads::Dino describes.
class DinoModuleImpl : public torch::nn::Module {
public:
    DinoModuleImpl(const Dino& spec, std::int64_t in) : torch::nn::Module("Dino") {
        namespace nn = torch::nn;
        require(spec.layers >= 1, "heads::Dino: layers must be at least 1, got ", spec.layers);
        require(spec.hidden >= 1, "heads::Dino: hidden must be at least 1, got ", spec.hidden);
        require(spec.bottleneck >= 1, "heads::Dino: bottleneck must be at least 1, got ", spec.bottleneck);
        require(spec.out >= 1, "heads::Dino: out must be at least 1, got ", spec.out);
        mlp_ = register_module("mlp", nn::Sequential());
        for (std::int64_t i = 1; i < spec.layers; ++i) {
            linear(in, spec.hidden);
            if (spec.norm) mlp_->push_back(BatchNorm1d(spec.hidden));
            mlp_->push_back(nn::GELU());
            in = spec.hidden;
        }
        linear(in, spec.bottleneck);
        const double bound = 1 / std::sqrt(static_cast<double>(spec.bottleneck));
        auto last = register_module("last_layer", std::make_shared<nn::Module>("WeightNorm"));
        g_ = last->register_parameter("weight_g", at::ones({spec.out, 1}), spec.trained_gain);
        v_ = last->register_parameter("weight_v", at::empty({spec.out, spec.bottleneck}).uniform_(-bound, bound));
    }

    Tensor forward(const Tensor& x) {
        const Tensor narrow = mlp_->forward(x);
        const Tensor h = narrow.scalar_type() == at::kDouble ? narrow : narrow.to(at::kFloat);  // [B, bottleneck]
        return at::linear(h / h.norm(2, 1, true).clamp_min(1e-12), weight());                   // [B, K]
    }

    /// Returns the weights of the last layer, g v / ‖v‖: [K, bottleneck].
    Tensor weight() const { return at::_weight_norm(v_, g_, 0); }

private:
    void linear(std::int64_t from, std::int64_t to) {
        torch::nn::Linear layer(from, to);
        {
            const at::NoGradGuard no_grad;
            layer->weight.normal_(0, 0.02);
            layer->bias.zero_();
        }
        mlp_->push_back(layer);
    }

    torch::nn::Sequential mlp_{nullptr};
    Tensor g_, v_;
};
TORCH_MODULE(DinoModule);

inline Built<DinoModule> Dino::build(std::int64_t in) const { return {DinoModule(*this, in), out}; }

static_assert(contracts::HeadSpec<Dino>);

}  // namespace doppel::heads
