// SPDX-License-Identifier: Apache-2.0
// BatchNorm over parts of a batch (SplitBN), and over a batch in another order (ShuffleBN).
#pragma once

#include <doppel/core/batch_norm.hpp>
#include <doppel/core/collectives.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/group.hpp>
#include <doppel/core/module.hpp>
#include <doppel/core/random.hpp>
#include <doppel/core/tensor.hpp>

#include <c10/util/ScopeExit.h>

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

namespace doppel::detail {

/// An order of a batch's rows and the way back, int64 [2, rows] on the CPU: a function of seed, step and view.
inline Tensor shuffled_rows(std::int64_t rows, std::uint64_t seed, std::int64_t step, std::size_t view) {
    Tensor result = at::empty({2, rows}, at::kLong);
    const std::span<std::int64_t> all(result.mutable_data_ptr<std::int64_t>(), 2 * static_cast<std::size_t>(rows));
    const auto order = all.first(static_cast<std::size_t>(rows)), back = all.subspan(static_cast<std::size_t>(rows));
    std::iota(order.begin(), order.end(), std::int64_t{0});
    random::Stream draw({.seed = seed,
                         .purpose = random::Purpose::shuffle,
                         .epoch = static_cast<std::uint64_t>(step),
                         .view = view});
    draw.shuffle(order);
    for (std::size_t i = 0; i < order.size(); ++i) back[static_cast<std::size_t>(order[i])] = static_cast<std::int64_t>(i);
    return result;
}

/// Rows of all processes in an order of the whole batch: this process's part of it, as many as x has. Without gradient where there
/// are several processes; all rows travel to all, as in MoCo's code.
inline Tensor shuffled(const Tensor& x, const Tensor& order, const Group& group) {
    if (group.alone()) return x.index_select(0, order);
    require(!x.requires_grad() || !at::GradMode::is_enabled(), "Recipe.layout: shuffle_target on several processes needs a target without gradient");
    const auto mine = x.size(0);
    require(order.size(0) == group.all_rows(mine), "Method: the order of ", order.size(0), " rows does not fit the whole batch of ",
            group.all_rows(mine), "; a batch that is shared with shuffle_target must say how many images it has in all (Batch::all)");
    return gather_rows(x, group).index_select(0, order.narrow(0, group.rows_before(mine), mine)).contiguous(x.suggest_memory_format());
}

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
        for (const Tensor& count : counts_) counts_before_.push_back(at::empty_like(count));
        for (const Tensor& value : now_) before_.push_back(at::empty_like(value));
        for (const Tensor& value : now_) sums_.push_back(at::empty_like(value));
        copy(counts_before_, counts_);
        copy(before_, now_);
    }

    void before_part() {
        if (parts_ > 0) copy(now_, before_);
    }
    void after_part() {
        if (parts_ == 0)
            copy(sums_, now_);
        else if (!now_.empty())
            at::_foreach_add_(sums_, now_);
        ++parts_;
    }
    void finish() {
        if (!now_.empty()) at::_foreach_div_(sums_, static_cast<double>(parts_));
        copy(now_, sums_);
        if (counts_.empty()) return;  // one pass, in parts
        copy(counts_, counts_before_);
        at::_foreach_add_(counts_, 1);
    }

private:
    static void copy(const std::vector<Tensor>& to, const std::vector<Tensor>& from) {
        if (!to.empty()) at::_foreach_copy_(to, from);
    }

    std::vector<Tensor> now_, before_, sums_, counts_, counts_before_;
    std::int64_t parts_ = 0;
};

/// The BatchNorm layers below some modules that can split a batch themselves; empty if there is one that cannot.
inline std::vector<SplitsBatch*> splitting_layers(const std::vector<torch::nn::Module*>& modules) {
    std::vector<SplitsBatch*> all;
    for (torch::nn::Module* module : modules)
        for (const auto& part : module->modules()) {
            if (auto* layer = dynamic_cast<SplitsBatch*>(part.get()))
                all.push_back(layer);
            else if (part->named_buffers(/*recurse=*/false).contains("running_mean"))
                return {};
        }
    return all;
}

/// Takes x through pass(part) in `groups` equal parts, or whole where the BatchNorm layers split it themselves; gives what the
/// passes give, in order.
template <class Pass>
auto split_batch_norm(const Tensor& x, std::int64_t groups, const std::vector<torch::nn::Module*>& modules, Pass&& pass) {
    require(groups >= 1 && x.size(0) % groups == 0 && x.size(0) / groups >= 2, "bn_groups (Recipe.layout, --bn-groups) = ", groups,
            " must split a batch of ", x.size(0), " into equal parts of at least 2 images");
    std::vector<decltype(pass(x))> results;
    if (const auto layers = splitting_layers(modules); !layers.empty()) {
        for (SplitsBatch* layer : layers) layer->groups = groups;
        const auto whole_again = c10::make_scope_exit([&] {
            for (SplitsBatch* layer : layers) layer->groups = 1;
        });
        results.push_back(pass(x));
        return results;
    }
    SplitStatistics statistics(modules);
    for (const Tensor& part : x.chunk(groups)) {
        statistics.before_part();
        results.push_back(pass(part));
        statistics.after_part();
    }
    statistics.finish();
    return results;
}

}  // namespace doppel::detail
