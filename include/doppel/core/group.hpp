// SPDX-License-Identifier: Apache-2.0
// The processes that compute a training step together.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/tensor.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

namespace doppel {

/// Averages gradients over the processes while the backward pass runs. Made by Collectives::gradient_average().
class GradientAverage {
public:
    GradientAverage() = default;
    GradientAverage(const GradientAverage&) = delete;
    GradientAverage& operator=(const GradientAverage&) = delete;
    virtual ~GradientAverage() = default;

    /// Before loss.backward(). `last`: of the passes whose gradients add up; only then they are exchanged.
    virtual void before_backward(const Tensor& loss, bool last) = 0;
    /// After it; when `last` was true, every gradient is the mean over the processes of their sums.
    virtual void after_backward(bool last) = 0;
};

/// How gradients travel.
struct GradientAverageOptions {
    bool bf16 = false;           ///< as bfloat16, half the bytes; the sum is rounded
    double bucket_mb = 25;       ///< gradients are sent in buckets of this size, as soon as one is complete
    bool find_unused = false;    ///< some parameters get no gradient in some passes
};

/// What processes say to each other. Every call is collective: all processes make the same calls in the same order, with tensors
/// of the same types. Tensors are dense, on the device of the run; results are there when the current stream gets to them.
/// Throws Error when another process has ended or makes another call.
class Collectives {
public:
    Collectives() = default;
    Collectives(const Collectives&) = delete;
    Collectives& operator=(const Collectives&) = delete;
    virtual ~Collectives() = default;

    virtual int rank() const = 0;  ///< this process, 0 … size() − 1
    virtual int size() const = 0;  ///< processes

    virtual void sum(Tensor& values) = 0;      ///< in place: the sum over the processes; the same bits everywhere
    /// Begins sum(), and returns what waits for it. `values` must not be used before, nor another call made.
    virtual std::function<void()> begin_sum(Tensor& values) {
        sum(values);
        return [] {};
    }
    virtual void maximum(Tensor& values) = 0;  ///< in place: the largest of the processes
    /// In place: what process `from` has.
    virtual void broadcast(Tensor& values, int from) = 0;
    /// all[r]: what process r has; filled in place. The shapes may differ in the first dimension.
    virtual void gather(const Tensor& mine, std::vector<Tensor>& all) = 0;
    /// Sends `mine` to the next process and fills `theirs` with what the one before sends: one step around a ring.
    virtual void pass_on(const Tensor& mine, Tensor& theirs) = 0;
    /// all[r]: the text of process r. Waits on the host.
    virtual std::vector<std::string> texts(const std::string& mine) = 0;

    /// This process ends by an error: the others are told, and end too. Not collective.
    virtual void give_up(const std::string& why) = 0;
    /// Why something failed that other processes take part in: what they say, within some seconds; else `problem` itself. Not
    /// collective.
    virtual std::string explained(const std::string& problem) = 0;

    virtual std::unique_ptr<GradientAverage> gradient_average(std::vector<std::pair<std::string, Tensor>> parameters,
                                                              const GradientAverageOptions& options) = 0;
};

/// Where the part of a process lies among `all` rows that are shared in order, as equally as possible.
struct RowRange {
    std::int64_t first = 0, count = 0;
};
inline RowRange rows_of(std::int64_t all, int rank, int size) {
    const auto at = [&](std::int64_t r) { return all * r / size; };
    return {at(rank), at(rank + 1) - at(rank)};
}

/// The processes that compute a step together; by default this process alone. A value: copies mean the same processes.
///
///     Group group;                       // alone: sums and gathers change nothing
///     group = distributed::join();       // as torchrun, mpirun, srun or --processes started this program
class Group {
public:
    Group() = default;
    explicit Group(std::shared_ptr<Collectives> collectives) : collectives_(std::move(collectives)) {}

    int rank() const { return collectives_ ? collectives_->rank() : 0; }
    int size() const { return collectives_ ? collectives_->size() : 1; }
    bool alone() const { return size() == 1; }
    bool first() const { return rank() == 0; }  ///< the process that writes and prints
    /// What they say to each other. Throws Error without other processes.
    Collectives& collectives() const {
        require(collectives_ != nullptr, "Group: there are no other processes");
        return *collectives_;
    }

    /// The same processes, with the number of images that each one has in the current batch; {}: all have as many.
    Group with_images(std::vector<std::int64_t> images) const {
        require(images.empty() || static_cast<int>(images.size()) == size(), "Group: expected the images of ", size(), " processes, got ", images.size());
        Group group = *this;
        group.images_ = std::move(images);
        return group;
    }
    /// Images of each process in the current batch; all equal where nobody said.
    const std::vector<std::int64_t>& images() const { return images_; }
    /// Rows of each process, where this one has `mine`: the same number for each image.
    std::vector<std::int64_t> rows(std::int64_t mine) const {
        const auto n = static_cast<std::size_t>(size());
        if (alone() || images_.empty()) return std::vector<std::int64_t>(n, mine);
        const std::int64_t own = images_[static_cast<std::size_t>(rank())];
        require(own > 0 ? mine % own == 0 : mine == 0, "Group: ", mine, " rows are no multiple of the batch's ", own, " images");
        std::vector<std::int64_t> all = images_;
        for (auto& count : all) count *= own > 0 ? mine / own : 1;
        return all;
    }
    /// Rows of all processes together.
    std::int64_t all_rows(std::int64_t mine) const {
        const auto counts = rows(mine);
        return std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
    }
    /// Rows of the processes before this one.
    std::int64_t rows_before(std::int64_t mine) const {
        const auto counts = rows(mine);
        return std::accumulate(counts.begin(), counts.begin() + rank(), std::int64_t{0});
    }
    /// What a mean over this process's images counts in the mean over processes: its images · size() / all images. 1 where all
    /// have as many.
    double weight() const {
        if (alone() || images_.empty()) return 1;
        const auto own = images_[static_cast<std::size_t>(rank())];
        return static_cast<double>(own * size()) / static_cast<double>(all_rows(own));
    }

private:
    std::shared_ptr<Collectives> collectives_{};
    std::vector<std::int64_t> images_{};
};

}  // namespace doppel
