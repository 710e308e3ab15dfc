// SPDX-License-Identifier: Apache-2.0
// What the shipped encoders have in common at run time.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/module.hpp>

#include <cstdint>

namespace doppel::encoders {

/// Rows and columns of patches.
struct Grid {
    std::int64_t rows = 0, columns = 0;
};

/// What an encoder says of whole images and of each of their patches.
struct Patched {
    Tensor features{};  ///< [B, F], as forward() gives
    Tensor patches{};   ///< [B, N, F], row by row
};

/// An encoder whose kind is chosen when the program runs (encoders::ByName). Encoders of one's own need not derive from it.
class Module : public torch::nn::Module {
public:
    /// images [B, C, H, W] → features [B, F]
    virtual Tensor forward(const Tensor& images) = 0;
    /// F
    virtual std::int64_t feature_dim() const = 0;

    /// The patches of an image of that size; Error for an encoder that has none.
    virtual Grid grid(std::int64_t, std::int64_t) const { without_patches(); }
    /// Features and patches; where `mask` [B, N] is true a patch is masked; undefined: nothing is.
    virtual Patched with_patches(const Tensor&, const Tensor&) { without_patches(); }

private:
    [[noreturn]] static void without_patches() {
        fail("this encoder has no patches; what looks at patches needs a Vision Transformer, as vit_s16");
    }
};

}  // namespace doppel::encoders
