// SPDX-License-Identifier: Apache-2.0
// Options that most methods share. They are members of a method's options, so that designated initializers work:
//
//     methods::SimclrOptions{.train = {.epochs = 200}, .crops = {.size = 32}, .temperature = 0.2}
//
// A method's own defaults are static members of a type, which a group takes as its argument: what an initializer leaves out
// keeps the method's value, not another one's.
#pragma once

#include <doppel/options/crops.hpp>
#include <doppel/options/field.hpp>

#include <cstdint>
#include <tuple>

namespace doppel::options {

/// Values that a method's defaults start from; a method hides those that are different.
struct Defaults {
    static constexpr std::int64_t epochs = 100, batch_size = 256;
    static constexpr double base_lr = 0, weight_decay = 0, warmup = 0, min_scale = 0.08;
    static constexpr int size = 224;
};

/// How long, in which batches and with which learning rate a method is trained.
template <class D>
struct Training {
    std::int64_t epochs = D::epochs;
    std::int64_t batch_size = D::batch_size;
    double lr = 0;
    double base_lr = D::base_lr;
    double weight_decay = D::weight_decay;

    /// The peak learning rate of steps of so many images.
    double peak_lr(std::int64_t images) const { return lr > 0 ? lr : base_lr * static_cast<double>(images) / 256; }

    static constexpr auto fields() {
        return std::tuple(
            field(&Training::epochs, "epochs", "passes over the training images", between(1, 1e9)),
            field(&Training::batch_size, "batch-size", "images per step", between(2, 1e9)),
            field(&Training::lr, "lr", "peak learning rate; 0: base-lr x images per step / 256", between(0, 1e6)),
            field(&Training::base_lr, "base-lr", "peak learning rate for 256 images per step", above(0, 100)),
            field(&Training::weight_decay, "weight-decay", "weight decay", fraction));
    }
};

/// The views' size and the crops they are cut from.
template <class D>
struct Crops {
    int size = D::size;
    int channels = 3;
    double min_scale = D::min_scale;

    operator CropOptions() const { return {size, min_scale, channels}; }  // NOLINT: implicit by intent
    bool small() const { return CropOptions(*this).small(); }

    static constexpr auto fields() {
        return std::tuple(field(&Crops::size, "size", "side of the views", between(1, 4096), "px"),
                          field(&Crops::channels, "channels", "3, or 1 for gray images", between(1, 3)),
                          field(&Crops::min_scale, "min-scale", "smallest share of the image's area that a crop takes",
                                above(0, 1)));
    }
};

}  // namespace doppel::options
