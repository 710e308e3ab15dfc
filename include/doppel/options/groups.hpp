// SPDX-License-Identifier: Apache-2.0
// Options that many methods share. They are members of a method's options, so that designated initializers work:
//
//     methods::SimclrOptions{.train = {.epochs = 200}, .crops = {.size = 32}, .temperature = 0.2}
//
// A method's own defaults are static members of a type, which a group takes as its argument: what an initializer leaves out
// keeps the method's value, not another one's.
#pragma once

#include <doppel/options/crops.hpp>
#include <doppel/options/field.hpp>

#include <array>
#include <cstdint>
#include <string_view>
#include <tuple>

namespace doppel::options {

/// Values that a method's defaults start from; a method hides those that are different.
struct Defaults {
    static constexpr std::int64_t epochs = 100, batch_size = 256;
    static constexpr double lr = 0, base_lr = 0, weight_decay = 1e-4;
    static constexpr int size = 224;
    static constexpr double min_scale = 0.08, local_min_scale = 0.05, local_max_scale = 0.4;
    static constexpr int locals = 6;
    static constexpr bool pillow_blur = false;
};

/// How long, in which batches and with which learning rate a method is trained. The rate follows the batch size.
template <class D>
struct Training {
    std::int64_t epochs = D::epochs;
    std::int64_t batch_size = D::batch_size;
    double lr = D::lr;
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
    bool pillow_blur = D::pillow_blur;

    operator CropOptions() const { return {size, min_scale, channels, pillow_blur}; }  // NOLINT: implicit by intent
    bool small() const { return CropOptions(*this).small(); }

    static constexpr auto fields() {
        return std::tuple(field(&Crops::size, "size", "side of the (global) views", between(1, 4096), "px"),
                          field(&Crops::channels, "channels", "3, 1 for gray images, or the number of bands that every image has", between(1, 16)),
                          field(&Crops::min_scale, "min-scale", "smallest share of the image's area that a (global) crop takes",
                                above(0, 1)),
                          field(&Crops::pillow_blur, "pillow-blur", "where views are blurred, as Pillow does: by three box filters"));
    }
};

/// Local views beside the global ones.
template <class D>
struct LocalCrops {
    int count = D::locals;
    int size = 0;
    double min_scale = D::local_min_scale;
    double max_scale = D::local_max_scale;

    static constexpr auto fields() {
        return std::tuple(
            field(&LocalCrops::count, "locals", "local views of an image", between(0, 1000)),
            field(&LocalCrops::size, "local-size", "side of the local views; 0: about 3/7 of size, half of it below 64 px",
                  between(0, 4096), "px"),
            field(&LocalCrops::min_scale, "local-min-scale", "smallest share of the area that a local crop takes", above(0, 1)),
            field(&LocalCrops::max_scale, "local-max-scale", "largest share of the area that a local crop takes", above(0, 1)));
    }
};

/// The optimizers that presets offer.
enum class Optimizer { sgd, adam, adamw, lars };
constexpr std::array<std::string_view, 4> option_names(Optimizer) { return {"sgd", "adam", "adamw", "lars"}; }

}  // namespace doppel::options
