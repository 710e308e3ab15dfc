// SPDX-License-Identifier: Apache-2.0
// Encoders that write down what passes through them.
#pragma once

#include "support/torch_support.hpp"

#include <torch/nn/modules/dropout.h>

#include <vector>

namespace doppel::test {

/// Without BatchNorm; writes down what passes through it.
struct WitnessImpl : torch::nn::Module {
    torch::nn::Conv2d conv{nullptr};
    std::vector<Tensor> seen, said;
    WitnessImpl() { conv = register_module("conv", torch::nn::Conv2d(torch::nn::Conv2dOptions(3, 8, 3).stride(2))); }
    Tensor forward(const Tensor& x) {
        const Tensor h = at::relu(conv(x)).mean({2, 3});
        seen.push_back(x.detach());
        said.push_back(h.detach());
        return h;
    }
    std::int64_t feature_dim() const { return 8; }
};
TORCH_MODULE(Witness);

/// The same with BatchNorm and dropout.
struct NormedWitnessImpl : torch::nn::Module {
    torch::nn::Conv2d conv{nullptr};
    torch::nn::BatchNorm2d bn{nullptr};
    torch::nn::Dropout drop{nullptr};
    std::vector<Tensor> seen, said;
    explicit NormedWitnessImpl(double rate = 0) {
        conv = register_module("conv", torch::nn::Conv2d(torch::nn::Conv2dOptions(3, 8, 3).stride(2)));
        bn = register_module("bn", torch::nn::BatchNorm2d(8));
        drop = register_module("drop", torch::nn::Dropout(rate));
    }
    Tensor forward(const Tensor& x) {
        const Tensor h = drop(at::relu(bn(conv(x))).mean({2, 3}));
        seen.push_back(x.detach());
        said.push_back(h.detach());
        return h;
    }
    std::int64_t feature_dim() const { return 8; }
};
TORCH_MODULE(NormedWitness);

inline auto witness() {
    return [] { return Witness(); };
}
inline auto normed_witness(double rate = 0) {
    return [rate] { return NormedWitness(rate); };
}

}  // namespace doppel::test
