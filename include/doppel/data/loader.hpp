// SPDX-License-Identifier: Apache-2.0
// A multi-threaded loader of batches of views.
#pragma once

#include <doppel/augment/batched_plan.hpp>
#include <doppel/augment/pipeline.hpp>
#include <doppel/core/batch.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/group.hpp>
#include <doppel/core/random.hpp>
#include <doppel/data/damaged_images.hpp>
#include <doppel/data/dataset.hpp>
#include <doppel/data/order.hpp>

#include <ATen/ops/empty.h>

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace doppel::data {

/// What a loader makes of an image: its views; or, for views that are made on a device, what their operations draw, beside the
/// views as they are after their crop, or alone.
enum class Make { views, crops, draws };

/// Throws DamagedImage for image i with channels that a view of `wanted` channels cannot be made of: gray and RGB are converted
/// to each other; images of bands must have the views' number.
inline void require_channels(const Dataset& dataset, std::int64_t i, int channels, int wanted) {
    const auto is_rgb = [](int count) { return count == 1 || count == 3; };
    if (channels == wanted || (is_rgb(channels) && is_rgb(wanted))) return;
    const auto file = dataset.path(i).string();
    throw DamagedImage("data: " + (file.empty() ? "image " + std::to_string(i) : file) + ": has " + std::to_string(channels) +
                       " channels, expected " + std::to_string(wanted) + " (--channels)");
}

struct LoaderOptions {
    std::int64_t batch_size = 256;  ///< images per batch, ≥ 1; on several processes: of the whole batch
    std::uint64_t seed = 0;         ///< seed of order and views
    int workers = 1;                ///< worker threads; 0: load in the calling thread
    int prefetch = 3;               ///< batches being loaded or ready, ≥ 1
    bool shuffle = true;            ///< shuffle each epoch; false: the data set's order
    std::int64_t shuffle_buffer = 10'000;  ///< images, for a data set in shards; 0: shuffled as if there were no shards
    bool balanced = false;          ///< each class equally often: see epoch_order()
    std::int64_t rank = 0, ranks = 1;  ///< this process's part of each batch: rows_of() in core/group.hpp
    bool drop_last = true;          ///< drop the last batch of an epoch if it is smaller
    bool pinned = false;            ///< page-locked memory, for asynchronous copies to a GPU
    std::int64_t multiple = 1;      ///< batches per epoch are a multiple of this (gradient accumulation), ≥ 1
    std::int64_t globals = 2;       ///< Batch::globals
    Make make = Make::views;        ///< see batched::Views
    int width = 0, height = 0;      ///< of all images, for Make::draws, which decodes none
    std::shared_ptr<DamagedImages> damage{};  ///< records damaged images and skips them; null: they throw
};

/// A loader of batches of 8-bit views, which train::to_device() normalizes. Step s is batch s mod b of epoch s div b, where
/// b = batches().
/// The batch of a step is a pure function of (seed, step): neither the number of threads nor the first step of a pass
/// changes a bit, and the parts of several processes are together the batch of one (Batch::first, all). Each image is decoded once for all its views. With `damage`, the loader substitutes the next
/// decodable image for a damaged one (next_valid_image), with its own index and label; the random stream is that of the
/// original position.
///
///     data::Loader loader(photos, views.pipelines, {.batch_size = 256, .seed = 1, .workers = 2});
///     for (auto pass = loader.pass(0, 10 * loader.batches()); auto batch = pass->next();) train(train::to_device(*batch, device));
class Loader {
public:
    Loader(Dataset dataset, std::vector<augment::Pipeline> views, LoaderOptions options)
        : dataset_(std::move(dataset)),
          views_(std::move(views)),
          options_(options),
          classes_(!dataset_.classes().empty()) {
        for (auto& view : views_) {
            normalize_.push_back(view.normalize());
            if (options_.make == Make::views) continue;
            plans_.emplace_back(view);
            view = plans_.back().head();
        }
        require(options_.batch_size >= 1, "Loader: batch size must be at least 1, got ", options_.batch_size);
        require(options_.workers >= 0, "Loader: workers must be at least 0, got ", options_.workers);
        require(options_.prefetch >= 1, "Loader: prefetch must be at least 1, got ", options_.prefetch);
        require(!views_.empty(), "Loader: got no views, expected at least one");
        require(!dataset_.empty(), "Loader: the data set is empty");
        require(options_.make != Make::draws || (options_.width > 0 && options_.height > 0),
                "Loader: Make::draws needs the size of the images, got ", options_.width, "x", options_.height);
        require(options_.multiple >= 1, "Loader: multiple must be at least 1, got ", options_.multiple);
        require(options_.ranks >= 1 && options_.rank >= 0 && options_.rank < options_.ranks, "Loader: rank must be from 0 to ",
                options_.ranks - 1, " for ", options_.ranks, " processes, got ", options_.rank);
        require(options_.batch_size >= options_.ranks, "Loader: a batch of ", options_.batch_size, " images cannot be shared by ",
                options_.ranks, " processes; choose a larger batch size or fewer processes");
        require(!options_.drop_last || images_per_epoch() >= options_.batch_size * options_.multiple, "a step needs ",
                options_.batch_size * options_.multiple, " images (batch size ", options_.batch_size,
                "), the data set has only ", images_per_epoch(), "; choose a smaller batch size");
        require(batches() >= 1, "Loader: ", images_per_epoch(), " images make no step of ", options_.multiple, " batches of ", options_.batch_size, "; choose a smaller batch size");
    }

    /// Returns the number of batches per epoch.
    std::int64_t batches() const {
        const std::int64_t all = options_.drop_last ? images_per_epoch() / options_.batch_size
                                                    : (images_per_epoch() + options_.batch_size - 1) / options_.batch_size;
        return all / options_.multiple * options_.multiple;
    }
    const LoaderOptions& options() const { return options_; }

    /// Returns the images of an epoch, of all processes, in order: see epoch_order().
    std::vector<std::int64_t> order(std::int64_t epoch) const {
        return epoch_order(dataset_,
                           {.seed = options_.seed,
                            .shuffle = options_.shuffle,
                            .buffer = options_.shuffle_buffer,
                            .balanced = options_.balanced},
                           epoch);
    }

    class Pass;
    /// Starts loading the batches of steps [first, last). The Loader must outlive the pass.
    std::unique_ptr<Pass> pass(std::int64_t first, std::int64_t last) const {
        return std::make_unique<Pass>(*this, first, last);
    }

private:
    /// A batch being loaded.
    struct Slot {
        Batch batch;
        std::shared_ptr<const std::vector<std::int64_t>> order;
        std::int64_t epoch = 0, offset = 0, count = 0;
        std::int64_t claimed = 0, left = 0;
        std::exception_ptr error;
    };

    std::int64_t images_per_epoch() const { return dataset_.size(); }

    void open(Slot& slot, std::int64_t step) const {
        slot.epoch = step / batches();
        slot.offset = step % batches() * options_.batch_size;
        const auto whole = std::min(options_.batch_size, images_per_epoch() - slot.offset);
        const auto part = rows_of(whole, static_cast<int>(options_.rank), static_cast<int>(options_.ranks));
        slot.offset += part.first;
        slot.left = slot.count = part.count;
        if (options_.ranks > 1) slot.batch.first = part.first, slot.batch.all = whole;
        slot.batch.globals = options_.globals;
        const auto memory = at::TensorOptions().pinned_memory(options_.pinned);
        for (const auto& view : views_)
            slot.batch.views.push_back(options_.make == Make::draws
                                           ? at::empty({slot.count, view.channels(), view.size(), view.size()},
                                                       at::TensorOptions(at::kMeta).dtype(at::kByte))
                                           : at::empty({slot.count, view.channels(), view.size(), view.size()}, memory.dtype(at::kByte)));
        for (const auto& plan : plans_)
            slot.batch.drawn.push_back(at::empty({slot.count, static_cast<std::int64_t>(plan.columns())}, memory.dtype(at::kDouble)));
        slot.batch.normalize = normalize_;
        slot.batch.index = at::empty({slot.count}, at::kLong);
        if (classes_) slot.batch.label = at::empty({slot.count}, at::kLong);
    }

    /// Fills rows [from, to) of a batch.
    void fill(Slot& slot, std::int64_t from, std::int64_t to) const {
        auto* indices = slot.batch.index.mutable_data_ptr<std::int64_t>();
        auto* labels = classes_ ? slot.batch.label.mutable_data_ptr<std::int64_t>() : nullptr;
        static thread_local Image image;  // its memory is used again
        for (std::int64_t row = from; row < to; ++row) {
            const std::int64_t drawn = (*slot.order)[static_cast<std::size_t>(slot.offset + row)];
            const auto draw = [&](std::size_t v) {
                return random::Stream({.seed = options_.seed,
                                       .purpose = random::Purpose::view,
                                       .epoch = static_cast<std::uint64_t>(slot.epoch),
                                       .index = static_cast<std::uint64_t>(drawn),
                                       .view = v});
            };
            DecodedPart part{.width = options_.width, .height = options_.height};
            const auto taken = read_next_valid(dataset_, drawn % dataset_.size(), options_.damage.get(), image, [&](std::int64_t at, Image& into) {
                if (options_.make == Make::draws) return;
                part = dataset_.decode(at, [&](int width, int height) { return needed(draw, width, height); }, into);
                require_channels(dataset_, at, into.channels, views_.front().channels());
            });
            indices[row] = taken;
            if (labels) labels[row] = dataset_.label(taken);
            for (std::size_t v = 0; v < plans_.size(); ++v)
                plans_[v].draw(draw(v), part.width, part.height,
                               {slot.batch.drawn[v].mutable_data_ptr<double>() + static_cast<std::size_t>(row) * plans_[v].columns(),
                                plans_[v].columns()});
            if (options_.make == Make::draws) continue;
            const augment::Source source(image, part.at, part.width, part.height);
            for (std::size_t v = 0; v < views_.size(); ++v) {
                Tensor& out = slot.batch.views[v];
                const auto values = static_cast<std::size_t>(out.stride(0));
                views_[v](
                    source, draw(v),
                    std::span<std::uint8_t>(out.mutable_data_ptr<std::uint8_t>() + static_cast<std::size_t>(row) * values,
                                            values));
            }
        }
    }

    /// Returns the part of an image around what all views need.
    template <class Draw>
    image::Rect needed(const Draw& draw, int width, int height) const {
        int left = width, top = height, right = 0, bottom = 0;
        for (std::size_t v = 0; v < views_.size(); ++v) {
            const auto part = views_[v].needs(width, height, draw(v));
            left = std::min(left, part.left);
            top = std::min(top, part.top);
            right = std::max(right, part.left + part.width);
            bottom = std::max(bottom, part.top + part.height);
        }
        return {left, top, right - left, bottom - top};
    }

    Dataset dataset_;
    std::vector<augment::Pipeline> views_;
    std::vector<augment::BatchedPlan> plans_;  // of each view, unless it is made here
    std::vector<Normalize> normalize_;
    LoaderOptions options_;
    bool classes_;
};

/// A running sequence of batches; owns the worker threads.
class Loader::Pass {
public:
    Pass(const Loader& loader, std::int64_t first, std::int64_t last) : loader_(loader), opened_(first), last_(last) {
        for (int i = 0; i < loader_.options_.workers; ++i) threads_.emplace_back([this] { work(); });
    }
    ~Pass() {
        {
            const std::lock_guard lock(mutex_);
            stop_ = true;
        }
        room_.notify_all();
        for (auto& thread : threads_) thread.join();
    }
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;

    /// Returns the next batch, or nothing after the last. Rethrows errors of the workers (a missing or damaged file).
    std::optional<Batch> next() {
        std::unique_lock lock(mutex_);
        if (threads_.empty()) {
            if (opened_ >= last_) return std::nullopt;
            open_next();
            Slot& slot = *window_.back();
            try {
                loader_.fill(slot, 0, slot.count);
            } catch (...) {
                window_.pop_back();  // as with workers: the batch is gone
                throw;
            }
        } else {
            ready_.wait(lock, [this] {
                return (window_.empty() && opened_ >= last_) || (!window_.empty() && window_.front()->left == 0);
            });
            if (window_.empty() && error_) std::rethrow_exception(error_);
            if (window_.empty()) return std::nullopt;
        }
        const auto slot = std::move(window_.front());
        window_.pop_front();
        lock.unlock();
        room_.notify_all();
        if (slot->error) std::rethrow_exception(slot->error);
        return std::move(slot->batch);
    }

private:
    /// Images that a worker claims at a time.
    static constexpr std::int64_t grain = 8;

    void open_next() {
        auto slot = std::make_unique<Slot>();
        loader_.open(*slot, opened_);
        if (!order_ || order_epoch_ != slot->epoch) {
            order_ = std::make_shared<const std::vector<std::int64_t>>(loader_.order(slot->epoch));
            order_epoch_ = slot->epoch;
        }
        slot->order = order_;
        window_.push_back(std::move(slot));
        ++opened_;
    }

    /// Returns a batch with unclaimed rows, opening a new one if prefetch allows; null otherwise.
    Slot* unclaimed() {
        for (auto& slot : window_)
            if (slot->claimed < slot->count) return slot.get();
        if (opened_ >= last_ || static_cast<int>(window_.size()) >= loader_.options_.prefetch) return nullptr;
        try {
            open_next();
        } catch (...) {  // no memory for the batch: told by next(), after the batches before it
            error_ = std::current_exception();
            last_ = opened_;
            ready_.notify_one();
            return nullptr;
        }
        return window_.back().get();
    }

    void work() {
        std::unique_lock lock(mutex_);
        for (;;) {
            Slot* slot = nullptr;
            room_.wait(lock, [&] { return stop_ || (slot = unclaimed()) != nullptr; });
            if (stop_) return;
            const std::int64_t from = slot->claimed, to = std::min(from + grain, slot->count);
            slot->claimed = to;
            lock.unlock();
            room_.notify_one();  // another thread may claim the next rows
            std::exception_ptr error;
            try {
                loader_.fill(*slot, from, to);
            } catch (...) { error = std::current_exception(); }
            lock.lock();
            if (error && !slot->error) slot->error = error;
            slot->left -= to - from;
            if (slot->left == 0) ready_.notify_one();
        }
    }

    const Loader& loader_;
    std::mutex mutex_;
    std::condition_variable room_, ready_;
    std::deque<std::unique_ptr<Slot>> window_;  // in order of their steps
    std::shared_ptr<const std::vector<std::int64_t>> order_;
    std::int64_t order_epoch_ = -1, opened_, last_;
    std::exception_ptr error_;  // a batch that could not be opened; there is none after it
    bool stop_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace doppel::data
