// SPDX-License-Identifier: Apache-2.0
// BatchNorm over parts of a batch (SplitBN), and over a batch in another order (ShuffleBN).
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/module.hpp>
#include <doppel/core/random.hpp>
#include <doppel/core/tensor.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace doppel::detail {

/// Permutations of a batch's rows: functions of seed, step and view.
struct RowShuffle {
    std::uint64_t seed = 0;
    std::int64_t step = 0;

    /// int64 [rows] on the CPU.
    Tensor operator()(std::int64_t rows, std::size_t view) const {
        Tensor order = at::arange(rows, at::kLong);
        std::span<std::int64_t> values(order.mutable_data_ptr<std::int64_t>(), static_cast<std::size_t>(rows));
        random::Stream draw({.seed = seed,
                             .purpose = random::Purpose::shuffle,
                             .epoch = static_cast<std::uint64_t>(step),
                             .view = view});
        draw.shuffle(values);
        return order;
    }
};

/// The running statistics of some modules while a batch passes in parts: each part starts from the same values, and the
/// mean over the parts stays.
class SplitStatistics {
public:
    explicit SplitStatistics(const std::vector<torch::nn::Module*>& modules) {
        // By variable_data(): what autograd has saved of an earlier part must not count as changed.
        for (const torch::nn::Module* module : modules)
            for (const auto& item : module->named_buffers()) {
                if (item.key().ends_with("running_mean") || item.key().ends_with("running_var"))
                    now_.push_back(item.value().variable_data());
                else if (item.key().ends_with("num_batches_tracked"))
                    counts_.push_back(item.value().variable_data());
            }
        for (const Tensor& count : counts_) counts_before_.push_back(count.clone());
        for (const Tensor& value : now_) before_.push_back(value.clone());
        for (const Tensor& value : now_) sums_.push_back(at::zeros_like(value));
    }

    void before_part() {
        for (std::size_t i = 0; i < now_.size(); ++i) now_[i].copy_(before_[i]);
    }
    void after_part() {
        for (std::size_t i = 0; i < now_.size(); ++i) sums_[i].add_(now_[i]);
        ++parts_;
    }
    void finish() {
        for (std::size_t i = 0; i < now_.size(); ++i) now_[i].copy_(sums_[i] / static_cast<double>(parts_));
        for (std::size_t i = 0; i < counts_.size(); ++i)  // one pass, in parts
            counts_[i].copy_(counts_before_[i] + (counts_[i] - counts_before_[i]).div(parts_, "floor"));
    }

private:
    std::vector<Tensor> now_, before_, sums_, counts_, counts_before_;
    std::int64_t parts_ = 0;
};

/// Takes x through pass(part) in `groups` equal parts; gives what they give, in order.
template <class Pass>
auto split_batch_norm(const Tensor& x, std::int64_t groups, const std::vector<torch::nn::Module*>& modules, Pass&& pass) {
    require(groups >= 1 && x.size(0) % groups == 0 && x.size(0) / groups >= 2, "bn_groups (Recipe.layout, --bn-groups) = ", groups,
            " must split a batch of ", x.size(0), " into equal parts of at least 2 images");
    SplitStatistics statistics(modules);
    std::vector<decltype(pass(x))> results;
    for (const Tensor& part : x.chunk(groups)) {
        statistics.before_part();
        results.push_back(pass(part));
        statistics.after_part();
    }
    statistics.finish();
    return results;
}

}  // namespace doppel::detail
