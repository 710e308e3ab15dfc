// SPDX-License-Identifier: Apache-2.0
// Forward and backward passes that are captured once and replayed.
#pragma once

#include <doppel/core/batch.hpp>
#include <doppel/core/tensor.hpp>
#include <doppel/device/graph.hpp>
#include <doppel/optim/groups.hpp>
#include <doppel/recipe/any_method.hpp>
#include <doppel/train/feed.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace doppel::train {

/// Captures forward and backward passes as graphs of the device and replays them: one launch in place of hundreds. A pass is
/// captured when batches of the same shapes, and with the same numbers of the host (Method::host_numbers), come for the fourth
/// time within 32 passes; before that, and for shapes that seldom come, it runs as ever. What stands outside: clipping, the
/// optimizer, the target's update and commit(), which are few launches with numbers that change from step to step.
class CapturedPasses {
public:
    /// pass(batch) → loss [], with gradients in the parameters, which had none.
    using Pass = std::function<Tensor(const Batch&)>;

    /// `several`: a step has several passes, so that what a replay gives must outlive the next one.
    explicit CapturedPasses(bool several = false, std::int64_t most = 8) : several_(several), most_(most) {}

    /// What a pass gave: the loss, and on a replay the loss's figures.
    struct Result {
        Tensor loss{};
        const contracts::Metrics* metrics = nullptr;
    };

    /// Takes a batch through `pass`, captured if that is possible. The gradients stand in the groups' parameters; where there
    /// are some already, they are added.
    Result operator()(Batch batch, AnyMethod& method, const optim::Groups& groups, const TrainingStep& at, const Pass& pass) {
        const auto numbers = problem_.empty() && device::graph_factory() ? method.host_numbers(at) : std::nullopt;
        if (!numbers) return {pass(batch)};
        ++passes_;
        auto& one = all_[key_of(batch, *numbers)];
        if (!one.graph) {
            one.seen.push_back(passes_);
            if (one.seen.size() < 4) return {pass(batch)};
            const auto first = one.seen.front();
            one.seen.pop_front();
            if (passes_ - first >= 32) return {pass(batch)};  // too seldom
            make_room();
            one.used = ++uses_;
            return capture(one, std::move(batch), method, groups, pass);
        }
        one.used = ++uses_;
        std::size_t i = 0;
        each_parameter(groups, [&](Tensor parameter) {  // of a pass of this step before, in the memory that is written now
            const Tensor& gradient = one.gradients.at(i++);
            if (gradient.defined() && parameter.grad().is_same(gradient)) parameter.mutable_grad() = gradient.clone();
        });
        std::vector<Tensor> from;
        each_tensor(batch, [&](Tensor& tensor) { from.push_back(tensor); });
        std::size_t next = 0;
        each_tensor(one.inputs, [&](Tensor& tensor) { tensor.copy_(from.at(next++), /*non_blocking=*/true); });
        one.graph->replay();
        method.replayed(several_ ? copy_of(one.outputs) : one.outputs, one.norm_passes);
        give(one, groups);
        return {one.loss.clone(), &one.metrics};
    }

    /// Why passes are not captured; empty while nothing speaks against it.
    const std::string& problem() const { return problem_; }
    std::int64_t captured() const { return captured_; }

private:
    struct One {
        std::deque<std::int64_t> seen{};  ///< the last passes that were not captured
        std::int64_t used = 0;
        std::unique_ptr<device::Graph> graph{};
        Batch inputs{};
        Tensor loss{};
        Outputs outputs{};
        contracts::Metrics metrics{};
        std::vector<std::int64_t> norm_passes{};
        std::vector<Tensor> gradients{};
    };

    static std::string key_of(Batch& batch, const std::vector<double>& numbers) {
        std::ostringstream text;
        each_tensor(batch, [&](Tensor& tensor) { text << tensor.sizes() << tensor.scalar_type(); });
        text.precision(17);
        for (const double number : numbers) text << ' ' << number;
        return text.str();
    }

    /// Forgets the graph that was not used for the longest time, if there are too many, and shapes that have not come again.
    void make_room() {
        std::erase_if(all_, [&](const auto& item) {
            return !item.second.graph && !item.second.seen.empty() && item.second.seen.back() + 1000 < passes_;
        });
        One* oldest = nullptr;
        std::int64_t graphs = 0;
        for (auto& [key, one] : all_) {
            if (!one.graph) continue;
            ++graphs;
            if (!oldest || one.used < oldest->used) oldest = &one;
        }
        if (graphs >= most_) *oldest = One{};
    }

    static void each_parameter(const optim::Groups& groups, const auto& use) {
        for (const auto& group : groups)
            for (const auto& item : group.parameters) use(Tensor(item.second));
    }

    Result capture(One& one, Batch batch, AnyMethod& method, const optim::Groups& groups, const Pass& pass) {
        std::vector<Tensor> before;  // of passes of this step before
        each_parameter(groups, [&](Tensor parameter) { before.push_back(std::exchange(parameter.mutable_grad(), Tensor{})); });
        one.inputs = std::move(batch);
        each_tensor(one.inputs, [](Tensor& tensor) { tensor = tensor.clone(); });
        const std::size_t passes = method.last().size();
        try {
            auto graph = device::graph_factory()();
            graph->begin();
            try {
                one.loss = pass(one.inputs).detach();
            } catch (...) {
                try {
                    graph->end();
                } catch (...) {}
                throw;
            }
            graph->end();
            one.graph = std::move(graph);
        } catch (const std::exception& error) {
            problem_ = error.what();
            problem_ = problem_.substr(0, problem_.find('\n'));
            std::size_t i = 0;
            each_parameter(groups, [&](Tensor parameter) { parameter.mutable_grad() = before.at(i++); });
            if (method.last().size() > passes) throw;  // half a pass: the caller gives the step up
            return {pass(one.inputs)};
        }
        ++captured_;
        one.outputs = method.last().back();
        one.metrics = method.metrics();
        one.norm_passes = method.norm_passes();
        std::size_t i = 0;
        each_parameter(groups, [&](Tensor parameter) {
            one.gradients.push_back(parameter.grad());
            parameter.mutable_grad() = before.at(i++);
        });
        one.graph->replay();
        give(one, groups);
        method.last_given(copy_of(one.outputs));  // callbacks read them after the optimizer and commit() have used memory again
        return {one.loss.clone(), &one.metrics};
    }

    /// Outputs in memory of their own.
    static Outputs copy_of(Outputs outputs) {
        const auto copy = [](Tensor& tensor) {
            if (tensor.defined()) tensor = tensor.clone();
        };
        for (auto* list : {&outputs.features, &outputs.projected, &outputs.online, &outputs.target})
            for (Tensor& tensor : *list) copy(tensor);
        for (Tensor* tensor : {&outputs.index, &outputs.label, &outputs.patches.online, &outputs.patches.target, &outputs.patches.weight})
            copy(*tensor);
        return outputs;
    }

    /// The gradients of a replay, which stand in the graph's memory, to the parameters.
    static void give(const One& one, const optim::Groups& groups) {
        std::vector<Tensor> to, from;
        std::size_t i = 0;
        each_parameter(groups, [&](Tensor parameter) {
            const Tensor& gradient = one.gradients.at(i++);
            if (!gradient.defined()) return;
            if (parameter.grad().defined()) {
                to.push_back(parameter.grad());
                from.push_back(gradient);
            } else {
                parameter.mutable_grad() = gradient;
            }
        });
        if (!to.empty()) at::_foreach_add_(to, from);
    }

    bool several_;
    std::int64_t most_, captured_ = 0, uses_ = 0, passes_ = 0;
    std::map<std::string, One> all_;
    std::string problem_;
};

}  // namespace doppel::train
