// SPDX-License-Identifier: Apache-2.0
// Several processes in one: threads that take turns, and change only where one waits for the others. What runs between two
// collective calls is never interrupted, so that torch's generators and Catch2 need no care.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/group.hpp>
#include <doppel/core/tensor.hpp>

#include <ATen/ops/maximum.h>
#include <ATen/ops/zeros_like.h>

#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace doppel::test {

/// The one who may run, and what was said. Counts calls and bytes.
class Meeting {
public:
    explicit Meeting(int size) : size_(size), said_(static_cast<std::size_t>(size)), heard_(said_.size()) {}

    /// Says `what` [the name of the call] with a value and waits until all have said the same; listen(values of all) runs while all
    /// of them are there.
    template <class Value, class Listen>
    void meet(int rank, const std::string& what, const Value& value, Listen&& listen) {
        std::unique_lock lock(mutex_, std::adopt_lock);
        said_[static_cast<std::size_t>(rank)] = &value;
        const std::string problem = arrive(lock, what);
        if (!problem.empty()) {
            lock.release();
            fail(problem);
        }
        std::vector<const Value*> all;
        for (const void* one : said_) all.push_back(static_cast<const Value*>(one));
        listen(all);
        leave(lock);
        lock.release();
    }

    void lock() { mutex_.lock(); }
    void unlock() { mutex_.unlock(); }
    /// A process has ended: who waits for it fails.
    void gone() {
        ++gone_;
        arrived_all_.notify_all();
    }
    std::int64_t calls = 0, bytes = 0;  ///< of all processes

private:
    std::string arrive(std::unique_lock<std::mutex>& lock, const std::string& what) {
        if (here_ == 0)
            what_ = what;
        else if (what_ != what && problem_.empty())
            problem_ = "processes make different calls: " + what_ + ", and " + what;
        const auto round = round_;
        if (++here_ == size_) {
            ++round_;
            arrived_all_.notify_all();
        } else {
            arrived_all_.wait(lock, [&] { return round_ != round || gone_ > 0 || !problem_.empty(); });
            if (round_ == round && problem_.empty()) problem_ = "another process has ended";
        }
        if (!problem_.empty()) arrived_all_.notify_all();
        return problem_;
    }
    void leave(std::unique_lock<std::mutex>& lock) {
        const auto round = left_round_;
        if (++left_ == size_) {
            here_ = left_ = 0;
            ++left_round_;
            left_all_.notify_all();
        } else {
            left_all_.wait(lock, [&] { return left_round_ != round; });
        }
    }

    int size_, here_ = 0, left_ = 0, gone_ = 0;
    std::int64_t round_ = 0, left_round_ = 0;
    std::string what_, problem_;
    std::vector<const void*> said_, heard_;
    std::mutex mutex_;
    std::condition_variable arrived_all_, left_all_;
};

/// The calls of one of them.
class Process : public Collectives {
public:
    Process(std::shared_ptr<Meeting> meeting, int rank, int size) : meeting_(std::move(meeting)), rank_(rank), size_(size) {}

    int rank() const override { return rank_; }
    int size() const override { return size_; }

    void sum(Tensor& values) override {
        reduce("sum", values, [](const Tensor& a, const Tensor& b) { return a + b; });
    }
    void maximum(Tensor& values) override {
        reduce("maximum", values, [](const Tensor& a, const Tensor& b) { return at::maximum(a, b); });
    }
    void broadcast(Tensor& values, int from) override {
        const at::NoGradGuard no_grad;
        Tensor result;
        meet("broadcast " + text(values) + " from " + std::to_string(from), values,
             [&](const auto& all) { result = all[static_cast<std::size_t>(from)]->clone(); });
        values.copy_(result);
    }
    void gather(const Tensor& mine, std::vector<Tensor>& parts) override {
        const at::NoGradGuard no_grad;
        std::vector<Tensor> result;
        meet("gather of " + std::string(mine.dtype().name()), mine, [&](const auto& all) {
            for (const Tensor* one : all) result.push_back(one->clone());
        });
        require(parts.size() == result.size(), "gather: expected room for ", result.size(), " processes, got ", parts.size());
        for (std::size_t r = 0; r < result.size(); ++r) {
            require(parts[r].sizes() == result[r].sizes(), "gather: process ", r, " has ", result[r].sizes(), ", expected ", parts[r].sizes());
            parts[r].copy_(result[r]);
        }
    }
    void pass_on(const Tensor& mine, Tensor& theirs) override {
        const at::NoGradGuard no_grad;
        Tensor result;
        meet("pass_on", mine, [&](const auto& all) { result = all[static_cast<std::size_t>((rank_ + size_ - 1) % size_)]->clone(); });
        require(theirs.sizes() == result.sizes(), "pass_on: the process before sends ", result.sizes(), ", expected ", theirs.sizes());
        theirs.copy_(result);
    }
    std::vector<std::string> texts(const std::string& mine) override {
        std::vector<std::string> result;
        meeting_->meet(rank_, "texts", mine, [&](const auto& all) {
            for (const std::string* one : all) result.push_back(*one);
        });
        return result;
    }

    void give_up(const std::string&) override {}
    std::string explained(const std::string& problem) override { return problem; }
    std::unique_ptr<GradientAverage> gradient_average(std::vector<std::pair<std::string, Tensor>> parameters,
                                                      const GradientAverageOptions&) override;

private:
    static std::string text(const Tensor& values) {
        std::string shape;
        for (const auto size : values.sizes()) shape += std::to_string(size) + " ";
        return "[ " + shape + "] " + std::string(values.dtype().name());
    }
    template <class Listen>
    void meet(const std::string& what, const Tensor& value, Listen&& listen) {
        meeting_->bytes += static_cast<std::int64_t>(value.nbytes());
        ++meeting_->calls;
        meeting_->meet(rank_, what, value, listen);
    }
    template <class Join>
    void reduce(const std::string& what, Tensor& values, const Join& join) {
        const at::NoGradGuard no_grad;
        Tensor result;
        meet(what + " of " + text(values), values, [&](const auto& all) {
            for (const Tensor* one : all) result = result.defined() ? join(result, *one) : one->clone();
        });
        values.copy_(result);
    }

    std::shared_ptr<Meeting> meeting_;
    int rank_, size_;
};

/// Averages after the backward pass, parameter by parameter.
class PlainAverage : public GradientAverage {
public:
    PlainAverage(Collectives& collectives, std::vector<std::pair<std::string, Tensor>> parameters)
        : collectives_(collectives), parameters_(std::move(parameters)) {}
    void before_backward(const Tensor&, bool) override {}
    void after_backward(bool last) override {
        const at::NoGradGuard no_grad;
        if (!last) return;
        for (auto& [name, parameter] : parameters_) {
            Tensor there = at::zeros({}, at::kFloat);
            if (parameter.grad().defined()) there.fill_(1);
            collectives_.sum(there);
            if (there.item<float>() == 0) continue;  // none has one
            if (!parameter.grad().defined()) parameter.mutable_grad() = at::zeros_like(parameter);
            Tensor gradient = parameter.grad();
            collectives_.sum(gradient);
            gradient.div_(collectives_.size());
        }
    }

private:
    Collectives& collectives_;
    std::vector<std::pair<std::string, Tensor>> parameters_;
};

inline std::unique_ptr<GradientAverage> Process::gradient_average(std::vector<std::pair<std::string, Tensor>> parameters,
                                                                  const GradientAverageOptions&) {
    return std::make_unique<PlainAverage>(*this, std::move(parameters));
}

struct Traffic {
    std::int64_t calls = 0, bytes = 0;  ///< of all processes
};

/// Runs body(group) as `size` processes that take turns. Throws what the first of them threw.
///
///     as_processes(3, [&](const Group& group) { … });
template <class Body>
Traffic as_processes(int size, Body&& body) {
    const auto meeting = std::make_shared<Meeting>(size);
    std::exception_ptr first;
    std::vector<std::thread> threads;
    for (int rank = 0; rank < size; ++rank)
        threads.emplace_back([&, rank] {
            meeting->lock();
            try {
                body(Group(std::make_shared<Process>(meeting, rank, size)));
            } catch (...) {
                if (!first) first = std::current_exception();
                meeting->gone();
            }
            meeting->unlock();
        });
    for (auto& thread : threads) thread.join();
    if (first) std::rethrow_exception(first);
    return {meeting->calls, meeting->bytes};
}

/// The part of a process of the rows [N, …] of a whole batch.
inline Tensor part_of(const Tensor& whole, const Group& group) {
    const auto part = rows_of(whole.size(0), group.rank(), group.size());
    return whole.narrow(0, part.first, part.count);
}

/// The group with the images that each process has of `all`.
inline Group sharing(const Group& group, std::int64_t all) {
    std::vector<std::int64_t> images;
    for (int r = 0; r < group.size(); ++r) images.push_back(rows_of(all, r, group.size()).count);
    return group.with_images(images);
}

}  // namespace doppel::test
