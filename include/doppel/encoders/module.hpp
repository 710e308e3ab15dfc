// SPDX-License-Identifier: Apache-2.0
// The base class of the shipped encoders.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/module.hpp>

#include <cstdint>
#include <vector>

namespace doppel::encoders {

/// The rows and columns of a grid of patches, or of a feature map.
struct Grid {
    std::int64_t rows = 0, columns = 0;
};

/// The features of images and of their patches (ResNets: of the positions of the last feature map).
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

    /// Returns the grid of patches of an image of height and width. Throws Error for encoders without patches.
    virtual Grid grid(std::int64_t, std::int64_t) const { lacks("patches"); }
    /// Returns features of images and patches; patches where `mask` [B, N] is true are masked. An undefined mask masks
    /// none.
    virtual Patched with_patches(const Tensor&, const Tensor&) { lacks("patches"); }
    /// Returns all tokens after each of the last `blocks` blocks, [B, 1 + N, D] each, the class token first. Throws Error
    /// for encoders without class tokens.
    virtual std::vector<Tensor> last_tokens(const Tensor&, std::int64_t) { lacks("class tokens"); }

protected:
    /// Throws Error: this encoder has no `what`.
    [[noreturn]] static void lacks(const char* what) {
        fail("this encoder has no ", what, "; they need a Vision Transformer, as vit_s16");
    }
};

}  // namespace doppel::encoders
