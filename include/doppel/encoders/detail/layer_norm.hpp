// SPDX-License-Identifier: Apache-2.0
// Layer normalization with the names of torch::nn::LayerNorm, whose header includes torch's functional ones.
#pragma once

#include <doppel/core/module.hpp>

#include <ATen/ops/layer_norm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <cstdint>

namespace doppel::encoders::detail {

/// y = (x − mean) / √(variance + ε) · weight + bias over the last dimension.
class LayerNormImpl : public torch::nn::Module {
public:
    LayerNormImpl(std::int64_t dim, double eps) : eps_(eps) {
        weight_ = register_parameter("weight", at::ones({dim}));
        bias_ = register_parameter("bias", at::zeros({dim}));
    }

    Tensor forward(const Tensor& x) { return at::layer_norm(x, weight_.sizes(), weight_, bias_, eps_); }

private:
    double eps_;
    Tensor weight_, bias_;
};
TORCH_MODULE(LayerNorm);

}  // namespace doppel::encoders::detail
