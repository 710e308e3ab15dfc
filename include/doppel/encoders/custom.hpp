// SPDX-License-Identifier: Apache-2.0
// Custom encoders: any torch module, with the feature width given or found by a trial.
#pragma once

#include <doppel/contracts/encoder.hpp>
#include <doppel/contracts/spec.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/module.hpp>
#include <doppel/core/tensor.hpp>

#include <concepts>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <utility>

namespace doppel::encoders {

/// The size of the images that find the feature width.
struct Trial {
    std::int64_t image_size = 64;  ///< side of the images; the smallest view's if the module depends on it
    std::int64_t channels = 3;     ///< channels of the images
};

/// Returns the width F of the features [B, F] of forward(images) for two black images. The module must be in evaluation
/// mode. Throws Error if forward() throws or returns another shape.
template <class Forward>
std::int64_t width_by_trial(const std::string& who, const Trial& trial, Forward&& forward) {
    const at::NoGradGuard no_grad;
    Tensor features;
    try {
        features = forward(at::zeros({2, trial.channels, trial.image_size, trial.image_size}));
    } catch (const std::exception& problem) {
        const auto* of_torch = dynamic_cast<const c10::Error*>(&problem);
        const std::string text = of_torch ? of_torch->what_without_backtrace() : problem.what();
        fail(who, ": images [2, ", trial.channels, ", ", trial.image_size, ", ", trial.image_size,
             "] do not pass (", text.substr(0, text.find('\n')), "); set the image size or the feature width");
    }
    require(features.defined() && features.dim() == 2 && features.size(0) == 2, who, ": images [2, ", trial.channels,
            ", ", trial.image_size, ", ", trial.image_size, "] must yield features [2, F], got ",
            features.defined() ? features.sizes() : at::IntArrayRef{},
            "; end the module with pooling and torch::nn::Flatten()");
    return features.size(1);
}

/// A module with its feature width. Parameters, buffers and children have the module's own names, as 0.weight.
template <class Net>
class CustomModule : public torch::nn::Module {
public:
    CustomModule(Net net, std::int64_t width, const Trial& trial)
        : torch::nn::Module("Custom"), net_(std::move(net)), width_(width) {
        require(width >= 0, "encoders::custom: the width must be at least 1, got ", width);
        for (const auto& child : net_->named_children()) register_module(child.key(), child.value());
        for (const auto& own : net_->named_parameters(/*recurse=*/false))
            register_parameter(own.key(), own.value(), own.value().requires_grad());
        for (const auto& own : net_->named_buffers(/*recurse=*/false)) register_buffer(own.key(), own.value());
        if (width_ == 0) {
            eval();
            width_ = width_by_trial("encoders::custom", trial, [&](const Tensor& images) { return forward(images); });
            train();
        }
    }

    Tensor forward(const Tensor& images) { return net_->forward(images); }
    std::int64_t feature_dim() const { return width_; }
    void train(bool on = true) override {
        torch::nn::Module::train(on);
        net_->train(on);
    }

private:
    Net net_;
    std::int64_t width_;
};

/// The encoder spec that custom() returns.
template <class Make>
struct Custom {
    Make make{};
    std::int64_t width = 0;  ///< F; 0: found by a trial
    Trial trial{};

    auto build() const { return std::make_shared<CustomModule<decltype(make())>>(make(), width, trial); }
};

namespace detail {
template <class Make>
concept MakesNet = contracts::Factory<Make> && requires(const Make& make, const Tensor& images) {
    { make()->forward(images) } -> std::convertible_to<Tensor>;
    { make()->named_children() };
};

/// Returned for a rejected argument, so that the static_assert is the only error.
struct RejectedNet {};

template <class Make>
auto custom(Make make, std::int64_t width, const Trial& trial) {
    static_assert(!contracts::BuiltModule<Make>,
                  "encoders::custom got a built module; it takes a callable, so that two methods share no weights: "
                  "encoders::custom([] { return torch::nn::Sequential(...); })");
    static_assert(contracts::BuiltModule<Make> || MakesNet<Make>,
                  "encoders::custom takes a callable without arguments that makes a torch module (a holder or a "
                  "shared_ptr) with forward(Tensor images) -> Tensor: "
                  "encoders::custom([] { return torch::nn::Sequential(...); })");
    if constexpr (MakesNet<Make>)
        return Custom<Make>{std::move(make), width, trial};
    else
        return RejectedNet{};
}
}  // namespace detail

/// Returns an encoder spec for any module that maps images [B, C, H, W] to features [B, F], with F given, or found by a
/// trial of two black images in evaluation mode.
///
///     .encoder = encoders::custom([] { return torch::nn::Sequential(...); }, 256)
///     .encoder = encoders::custom([] { return MyNet(); }, {.image_size = 32})
template <class Make>
auto custom(Make make, std::int64_t width) {
    require(width >= 1, "encoders::custom: the width must be at least 1, got ", width);
    return detail::custom(std::move(make), width, Trial{});
}
template <class Make>
auto custom(Make make, Trial trial = {}) {
    return detail::custom(std::move(make), 0, trial);
}

}  // namespace doppel::encoders
