// SPDX-License-Identifier: Apache-2.0
// What the shipped encoders have in common at run time.
#pragma once

#include <doppel/core/module.hpp>

#include <cstdint>

namespace doppel::encoders {

/// An encoder whose kind is chosen when the program runs (encoders::Any). Encoders of one's own need not derive from it.
class Module : public torch::nn::Module {
public:
    /// images [B, C, H, W] → features [B, F]
    virtual Tensor forward(const Tensor& images) = 0;
    /// F
    virtual std::int64_t feature_dim() const = 0;
};

}  // namespace doppel::encoders
