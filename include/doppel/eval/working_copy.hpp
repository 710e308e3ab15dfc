// SPDX-License-Identifier: Apache-2.0
// A network that is trained for a while and is then what it was.
#pragma once

#include <doppel/core/batch_norm.hpp>
#include <doppel/core/module.hpp>
#include <doppel/core/tensor.hpp>

#include <cstdint>
#include <utility>
#include <vector>

namespace doppel::eval {

/// Lets a module work on copies of its parameters and buffers for a scope, all parameters trainable and without gradient.
/// Afterwards the module has its own tensors again, which nothing has written to, with their gradients, its modes, and
/// what BatchNorm counted. Works for any module, also one that cannot be cloned. Memory: one copy of the tensors.
/// Nobody else may use the module during the scope.
///
///     { const eval::WorkingCopy scope(*encoder); encoder->train(); … }   // encoder is what it was
class WorkingCopy {
public:
    explicit WorkingCopy(torch::nn::Module& module) : module_(module) {
        const at::NoGradGuard no_grad;
        for (const auto& part : module.modules()) {
            modes_.emplace_back(part.get(), part->is_training());
            if (auto* const norm = dynamic_cast<SplitsBatch*>(part.get())) {
                passes_.emplace_back(norm, std::pair(norm->groups, norm->passes));
                norm->groups = 1;
            }
        }
        for (const Tensor& parameter : module.parameters()) {
            Tensor& own = keep(parameter);
            trainable_.emplace_back(own, own.requires_grad());
            gradients_.emplace_back(own, std::exchange(own.mutable_grad(), Tensor{}));
            if (own.is_floating_point()) own.set_requires_grad(true);
        }
        for (const Tensor& buffer : module.buffers()) keep(buffer);
    }
    ~WorkingCopy() {
        const at::NoGradGuard no_grad;
        for (auto& [tensor, data] : data_) tensor.set_data(data);
        for (auto& [tensor, on] : trainable_) tensor.set_requires_grad(on);
        for (auto& [tensor, gradient] : gradients_) tensor.mutable_grad() = gradient;
        for (auto& [norm, counts] : passes_) norm->groups = counts.first, norm->passes = counts.second;
        // train(bool) is recursive: modules() lists parents first, so each submodule ends in its previous mode.
        for (auto& [part, training] : modes_) part->train(training);
    }
    WorkingCopy(const WorkingCopy&) = delete;
    WorkingCopy& operator=(const WorkingCopy&) = delete;

private:
    Tensor& keep(const Tensor& tensor) {
        data_.emplace_back(tensor, tensor.detach());
        data_.back().first.set_data(tensor.detach().clone());
        return data_.back().first;
    }

    torch::nn::Module& module_;
    std::vector<std::pair<Tensor, Tensor>> data_, gradients_;
    std::vector<std::pair<Tensor, bool>> trainable_;
    std::vector<std::pair<torch::nn::Module*, bool>> modes_;
    std::vector<std::pair<SplitsBatch*, std::pair<std::int64_t, std::int64_t>>> passes_;
};

}  // namespace doppel::eval
