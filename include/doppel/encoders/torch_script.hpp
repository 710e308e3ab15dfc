// SPDX-License-Identifier: Apache-2.0
// Encoders from TorchScript files. Not in doppel.hpp, since torch::jit costs compile time.
#pragma once

#include <doppel/contracts/encoder.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/module.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/encoders/custom.hpp>

#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/serialization/import.h>

#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace doppel::encoders {

namespace detail {

/// A module of the script's module tree, with the script's tensors, names and training mode.
class ScriptNode : public torch::nn::Module {
public:
    explicit ScriptNode(torch::jit::Module script) : torch::nn::Module("TorchScript"), script_(std::move(script)) {
        for (const auto& own : script_.named_parameters(/*recurse=*/false))
            register_parameter(own.name, own.value, own.value.requires_grad());
        for (const auto& own : script_.named_buffers(/*recurse=*/false)) register_buffer(own.name, own.value);
        for (const auto& child : script_.named_children())
            register_module(child.name, std::make_shared<ScriptNode>(child.value));
    }

    void train(bool on = true) override {
        torch::nn::Module::train(on);
        if (script_.hasattr("training")) script_.setattr("training", on);
    }

protected:
    torch::jit::Module script_;
};

}  // namespace detail

/// The module of encoders::TorchScript.
class TorchScriptModule : public detail::ScriptNode {
public:
    TorchScriptModule(const std::string& path, torch::jit::Module script, std::int64_t width, const Trial& trial)
        : detail::ScriptNode(std::move(script)), width_(width) {
        const std::string who = "TorchScript: " + path;
        require(!parameters().empty(), who,
                " has no parameters to train: it was frozen; save it with torch.jit.script(net).save(...), without "
                "torch.jit.freeze or optimize_for_inference");
        eval();
        const std::int64_t found = width_by_trial(who, trial, [&](const Tensor& images) { return forward(images); });
        require(width_ == 0 || width_ == found, who, " returns features of width ", found, ", expected ", width_);
        width_ = found;
        check_statistics(who, trial);
        train();
    }

    Tensor forward(const Tensor& images) {
        // The graph optimizer may round differently from the second call on, so a resumed run would differ.
        const torch::jit::GraphOptimizerEnabledGuard plain(false);
        return script_.forward({images}).toTensor();
    }
    std::int64_t feature_dim() const { return width_; }

private:
    /// Throws Error unless BatchNorm follows training and evaluation mode, which is fixed in traced modules.
    void check_statistics(const std::string& who, const Trial& trial) {
        std::vector<std::pair<std::string, Tensor>> watched;
        for (const auto& item : named_buffers())
            if (item.key().ends_with("running_mean")) watched.emplace_back(item.key(), item.value());
        if (watched.empty()) return;
        const at::NoGradGuard no_grad;
        std::vector<Tensor> before;
        for (const Tensor& buffer : buffers()) before.push_back(buffer.clone());
        const Tensor images = at::arange(2 * trial.channels * trial.image_size * trial.image_size, at::kFloat)
                                  .mul(0.7).sin().view({2, trial.channels, trial.image_size, trial.image_size});
        const auto moved = [&](bool on) {
            std::vector<Tensor> start;
            for (const auto& [name, value] : watched) start.push_back(value.clone());
            train(on);
            forward(images);
            std::size_t count = 0;
            for (std::size_t i = 0; i < watched.size(); ++i)
                if (!at::equal(start[i], watched[i].second)) ++count;
            return count;
        };
        const std::size_t in_training = moved(true), in_evaluation = moved(false);
        const auto all = buffers();
        for (std::size_t i = 0; i < all.size(); ++i) Tensor(all[i]).copy_(before[i]);
        require(in_training == watched.size() && in_evaluation == 0, who,
                ": BatchNorm does not follow training and evaluation mode (", in_training, " of ", watched.size(),
                " layers update in training, ", in_evaluation,
                " in evaluation), as in a traced module; save it with torch.jit.script(net).save(...)");
    }

    std::int64_t width_;
};

/// A network saved by torch.jit.script(net).save("net.pt"): images [B, C, H, W] → features [B, F]. Training starts from
/// its weights, which keep the script's names.
/// In a target network, BatchNorm keeps separate batch statistics and dropout is off, as in shipped encoders.
/// Throws Error for a file that torch cannot load, for a frozen or traced module, and for features that are not [B, F].
///
///     .encoder = encoders::TorchScript{"net.pt"}
struct TorchScript {
    std::string path{};      ///< path of the file
    std::int64_t width = 0;  ///< F; 0: found by a trial, otherwise checked by it
    Trial trial{};           ///< the images of the trial

    std::shared_ptr<TorchScriptModule> build() const {
        torch::jit::Module script;
        try {
            script = torch::jit::load(path, c10::Device(c10::kCPU));
        } catch (const std::exception& problem) {
            const auto* of_torch = dynamic_cast<const c10::Error*>(&problem);
            const std::string text = of_torch ? of_torch->what_without_backtrace() : problem.what();
            fail("TorchScript: cannot load '", path, "': ", text.substr(0, text.find('\n')));
        }
        return std::make_shared<TorchScriptModule>(path, std::move(script), width, trial);
    }
};

static_assert(contracts::EncoderSpec<TorchScript>);

}  // namespace doppel::encoders
