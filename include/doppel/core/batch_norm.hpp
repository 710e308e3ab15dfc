// SPDX-License-Identifier: Apache-2.0
// torch's BatchNorm, which can also normalize parts of a batch by themselves.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/group.hpp>
#include <doppel/core/synchronized_norm.hpp>
#include <doppel/core/tensor.hpp>

#include <ATen/ops/batch_norm.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/stack.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/pimpl.h>

#include <cstdint>

namespace doppel {

/// What a pass asks of the BatchNorm layers of a network.
class SplitsBatch {
public:
    SplitsBatch() = default;
    SplitsBatch(const SplitsBatch&) = default;
    SplitsBatch& operator=(const SplitsBatch&) = default;
    virtual ~SplitsBatch() = default;

    std::int64_t groups = 1;  ///< equal parts of the batch, each with statistics of its own (SplitBN)
    std::int64_t passes = 0;  ///< in training mode since somebody set it back: what num_batches_tracked does not know yet

    /// num_batches_tracked. A Method adds the passes of a step at once, one launch for all layers.
    virtual Tensor& count() = 0;

    Group group{};  ///< processes whose batches have common statistics
};

namespace detail {

/// x [B, C] or [B, C, H, W] → [B/G, G·C, …]: part g of the batch becomes channels g·C … g·C + C − 1, in channels-last order.
inline Tensor parts_as_channels(const Tensor& x, std::int64_t groups) {
    const auto rows = x.size(0) / groups, channels = x.size(1);
    if (x.dim() == 2) return x.view({groups, rows, channels}).transpose(0, 1).reshape({rows, groups * channels});
    const Tensor last = x.permute({0, 2, 3, 1}).reshape({groups, rows, x.size(2), x.size(3), channels});
    return last.permute({1, 2, 3, 0, 4}).reshape({rows, x.size(2), x.size(3), groups * channels}).permute({0, 3, 1, 2});
}

/// The way back.
inline Tensor parts_as_rows(const Tensor& y, std::int64_t groups) {
    const auto rows = y.size(0), channels = y.size(1) / groups;
    if (y.dim() == 2) return y.view({rows, groups, channels}).transpose(0, 1).reshape({groups * rows, channels});
    const Tensor last = y.permute({0, 2, 3, 1}).reshape({rows, y.size(2), y.size(3), groups, channels});
    return last.permute({3, 0, 1, 2, 4}).reshape({groups * rows, y.size(2), y.size(3), channels}).permute({0, 3, 1, 2});
}

template <class Base>
class BatchNormImpl : public Base, public SplitsBatch {
public:
    using Base::Base;

    Tensor& count() override { return this->num_batches_tracked; }

    Tensor forward(const Tensor& x) {
        this->_check_input_dim(x);
        const auto& o = this->options;
        if (this->is_training()) ++passes;
        if (this->is_training() && !group.alone())
            return synchronized_norm(x, this->weight, this->bias, this->running_mean, this->running_var, o.momentum().value(), o.eps(), group);
        if (!this->is_training() || groups == 1)
            return at::batch_norm(x, this->weight, this->bias, this->running_mean, this->running_var, this->is_training(),
                                  o.momentum().value(), o.eps(), /*cudnn_enabled=*/true);
        require(x.size(0) % groups == 0 && x.size(0) / groups >= 2, "bn_groups (Recipe.layout, --bn-groups) = ", groups,
                " must split a batch of ", x.size(0), " into equal parts of at least 2 images");
        const auto repeated = [&](const Tensor& value) { return value.defined() ? value.repeat(groups) : value; };
        join_statistics();
        const Tensor running = statistics_.repeat({1, groups}), mean = running[0], var = running[1];  // [2, G·C]
        const Tensor y = at::batch_norm(parts_as_channels(x, groups), repeated(this->weight), repeated(this->bias), mean, var,
                                        /*training=*/true, o.momentum().value(), o.eps(), /*cudnn_enabled=*/true);
        Tensor result = parts_as_rows(y, groups);
        const at::NoGradGuard no_grad;  // each part moved the same running statistics; their mean stays
        at::mean_out(statistics_, running.view({2, groups, -1}), 1);
        return result;
    }

private:
    /// Puts both running statistics into one tensor, so that all groups get and give them in one launch each.
    void join_statistics() {
        const at::NoGradGuard no_grad;
        const auto lies_at = [&](const Tensor& part, std::int64_t i) {
            return statistics_.defined() && part.device() == statistics_.device() && part.scalar_type() == statistics_.scalar_type() &&
                   part.const_data_ptr() == statistics_[i].const_data_ptr();
        };
        if (lies_at(this->running_mean, 0) && lies_at(this->running_var, 1)) return;
        statistics_ = at::stack({this->running_mean, this->running_var});
        this->running_mean.set_data(statistics_[0]);
        this->running_var.set_data(statistics_[1]);
    }

    Tensor statistics_;  // [2, C], where the batch is split
};

}  // namespace detail

/// torch::nn::BatchNorm1d with its options, parameters, buffers and names; the momentum must be a number.
class BatchNorm1dImpl : public detail::BatchNormImpl<torch::nn::BatchNorm1dImpl> {
public:
    using detail::BatchNormImpl<torch::nn::BatchNorm1dImpl>::BatchNormImpl;
};
TORCH_MODULE(BatchNorm1d);

/// torch::nn::BatchNorm2d likewise.
class BatchNorm2dImpl : public detail::BatchNormImpl<torch::nn::BatchNorm2dImpl> {
public:
    using detail::BatchNormImpl<torch::nn::BatchNorm2dImpl>::BatchNormImpl;
};
TORCH_MODULE(BatchNorm2d);

}  // namespace doppel
