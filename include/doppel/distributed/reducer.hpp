// SPDX-License-Identifier: Apache-2.0
// Gradients averaged over processes by PyTorch's own engine, c10d::Reducer.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/group.hpp>
#include <doppel/core/tensor.hpp>

#include <c10/util/Exception.h>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/reducer.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

namespace doppel::distributed {

namespace detail {

/// Sends a bucket as bfloat16.
class Bf16Hook : public c10d::CppCommHookInterface<c10::intrusive_ptr<c10d::ProcessGroup>> {
public:
    using c10d::CppCommHookInterface<c10::intrusive_ptr<c10d::ProcessGroup>>::CppCommHookInterface;

    c10::intrusive_ptr<c10::ivalue::Future> runHook(c10d::GradBucket& bucket) override {
        const Tensor whole = bucket.getBufferRef();
        std::vector<Tensor> sent{whole.to(at::kBFloat16).div_(state_->getSize())};
        return state_->allreduce(sent)->getFuture()->then(
            [whole, sent](c10::ivalue::Future& sum) {
                if (sum.hasError()) std::rethrow_exception(sum.exception_ptr());
                return c10::IValue(whole.copy_(sent[0]));
            }, c10::TensorType::get());
    }
};

}  // namespace detail

/// GradientAverage by c10d::Reducer: gradients travel in buckets, each as soon as it is complete, while the backward pass goes on.
/// A parameter that no process's loss reaches keeps its gradient, or none.
class Reducer : public GradientAverage {
public:
    Reducer(c10::intrusive_ptr<c10d::ProcessGroup> processes, std::vector<std::pair<std::string, Tensor>> parameters,
            const GradientAverageOptions& options, std::function<void(bool)> waits = {})
        : waits_(std::move(waits)) {
        std::vector<Tensor> tensors;
        std::unordered_map<std::size_t, std::string> names;
        for (auto it = parameters.rbegin(); it != parameters.rend(); ++it) {  // about the order in which gradients come
            if (!it->second.requires_grad()) continue;
            names[tensors.size()] = it->first;
            tensors.push_back(it->second);
        }
        if (tensors.empty()) return;
        require(options.bucket_mb > 0, "gradient_average: bucket_mb must be above 0, got ", options.bucket_mb);
        const auto bytes = static_cast<std::size_t>(options.bucket_mb * 1024 * 1024);
        const std::vector<bool> sparse(tensors.size(), false);
        const auto buckets = std::get<0>(c10d::compute_bucket_assignment_by_size(tensors, {std::min<std::size_t>(c10d::kDefaultFirstBucketBytes, bytes), bytes}, sparse));
        reducer_ = made<c10d::Reducer>(tensors, buckets, processes, sparse, static_cast<std::int64_t>(bytes), names);
        if (options.bf16) reducer_->register_comm_hook(std::make_unique<detail::Bf16Hook>(processes));
    }

    void before_backward(const Tensor& loss, bool last) override {
        if (!reducer_ || !last) return;
        quiet_.emplace(&without_advice_);
        if (waits_) waits_(true);
        reducer_->prepare_for_backward({loss});
    }
    void after_backward(bool last) override {
        quiet_.reset();
        if (reducer_ && last && waits_) waits_(false);
    }

private:
    /// c10d's constructor has grown: which of these it is, the compiler finds out.
    template <class R>
    static std::unique_ptr<R> made(const std::vector<Tensor>& tensors, const std::vector<std::vector<std::size_t>>& buckets,
                                   const c10::intrusive_ptr<c10d::ProcessGroup>& processes, const std::vector<bool>& sparse, std::int64_t bytes,
                                   const std::unordered_map<std::size_t, std::string>& names) {
        using Sizes = std::vector<std::int64_t>;
        const auto first = std::min<std::int64_t>(c10d::kDefaultFirstBucketBytes, bytes);
        const bool find_unused = true, as_view = true;
        if constexpr (requires { R(tensors, buckets, processes, sparse, bytes, find_unused, as_view, names, first, false, false, Sizes{}); })
            return std::make_unique<R>(tensors, buckets, processes, sparse, bytes, find_unused, as_view, names, first, false, false, Sizes{});
        else if constexpr (requires { R(tensors, buckets, processes, sparse, bytes, find_unused, as_view, names, first, false, false); })
            return std::make_unique<R>(tensors, buckets, processes, sparse, bytes, find_unused, as_view, names, first, false, false);
        else
            return std::make_unique<R>(tensors, buckets, processes, sparse, bytes, find_unused, as_view, names, first);
    }

    /// Leaves out the engine's advice on speed: find_unused_parameters (which parameters a loss reaches may change from step to step),
    /// and strides (of a 1x1 kernel the channels-last format says nothing).
    struct WithoutAdvice : c10::WarningHandler {
        void process(const c10::Warning& warning) override {
            const std::string& text = warning.msg();
            if (text.find("find_unused_parameters") == std::string::npos && text.find("bucket view strides") == std::string::npos)
                c10::WarningHandler::process(warning);
        }
    };

    std::function<void(bool)> waits_;  // true: an exchange of gradients begins
    std::unique_ptr<c10d::Reducer> reducer_{};
    WithoutAdvice without_advice_{};
    std::optional<c10::WarningUtils::WarningHandlerGuard> quiet_{};
};

}  // namespace doppel::distributed
