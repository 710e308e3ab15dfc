// SPDX-License-Identifier: Apache-2.0
// The base class of the shipped encoders.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/module.hpp>

#include <cstdint>

namespace doppel::encoders {

/// The rows and columns of a patch grid.
struct Grid {
    std::int64_t rows = 0, columns = 0;
};

/// The features of images and of their patches.
struct Patched {
    Tensor features{};  ///< [B, F], as from forward()
    Tensor patches{};   ///< [B, N, F], row by row
};

/// The base class of encoders chosen at run time (encoders::ByName). Custom encoders need not derive from it.
class Module : public torch::nn::Module {
public:
    /// Images [B, C, H, W] → features [B, F].
    virtual Tensor forward(const Tensor& images) = 0;
    /// Returns F.
    virtual std::int64_t feature_dim() const = 0;

    /// Returns the patch grid of an image of height and width. Throws Error for encoders without patches.
    virtual Grid grid(std::int64_t, std::int64_t) const { without_patches(); }
    /// Returns features of images and patches; patches where `mask` [B, N] is true are masked. An undefined mask masks
    /// none.
    virtual Patched with_patches(const Tensor&, const Tensor&) { without_patches(); }

private:
    [[noreturn]] static void without_patches() {
        fail("this encoder has no patches; masked patches need a Vision Transformer, as vit_s16");
    }
};

}  // namespace doppel::encoders
