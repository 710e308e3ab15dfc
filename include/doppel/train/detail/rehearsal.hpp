// SPDX-License-Identifier: Apache-2.0
// Trainer::rehearse(): part of doppel::compiled.
#pragma once

#include <doppel/core/compiled.hpp>
#include <doppel/train/error_text.hpp>
#include <doppel/train/primitives.hpp>
#include <doppel/train/trainer.hpp>

#include <cstdint>
#include <new>
#include <string>
#include <utility>

namespace doppel::train {

namespace detail {

/// The first images of a batch that was just loaded.
inline Batch first_of(const Batch& batch, std::int64_t images) {
    Batch part{.normalize = batch.normalize, .globals = batch.globals, .index = batch.index.narrow(0, 0, images),
               .first = batch.first, .all = batch.all};
    for (const Tensor& view : batch.views) part.views.push_back(view.narrow(0, 0, images));
    for (const Tensor& drawn : batch.drawn) part.drawn.push_back(drawn.narrow(0, 0, images));
    if (batch.label.defined()) part.label = batch.label.narrow(0, 0, images);
    return part;
}

}  // namespace detail

DOPPEL_BODY void Trainer::rehearse() {
    if (finished()) return;
    const auto draws = generators_.state();
    const auto pass = loader_.pass(step_count() * options_.accumulate, step_count() * options_.accumulate + 1);
    std::string problem;
    bool memory = false;
    Batch whole;
    try {
        whole = pass->next().value();  // an Error is about an image and says which
    } catch (const c10::Error&) { problem = error_text(); } catch (const std::bad_alloc&) { problem = "out of memory"; }
    const auto take = [&](std::int64_t images) {
        problem.clear();
        memory = false;
        try {
            const at::AutoGradMode with_gradient(device_.is_cuda());  // on a GPU the backward pass needs most of the memory
            Batch batch = detail::first_of(whole, images);
            method_.draw(batch, step_count(), 0, device_.is_cuda());
            const Tensor loss = [&] {
                const Autocast scope(device_.type(), precision_);
                return method_.forward(to_device(with_views(std::move(batch)), device_, options_.channels_last));
            }();
            loss_figures_.clear();
            for (const auto& [name, value] : method_.metrics()) loss_figures_.push_back(name);
            if (device_.is_cuda()) loss.backward();
        } catch (const c10::OutOfMemoryError&) {
            problem = error_text();
            memory = true;
        } catch (const Error&) { problem = error_text(); } catch (const c10::Error&) { problem = error_text(); } catch (const std::bad_alloc&) { problem = "out of memory"; }
        optimizer_.zero_grad();
        method_.discard();
    };
    if (problem.empty()) take(whole.index.size(0));
    const std::string first = problem;
    const bool too_large = memory;
    std::int64_t fits = preset_.batch_size;
    while (memory && fits > 3 && options_.group.alone()) take(fits /= 2);
    generators_.restore(draws);
    if (first.empty()) return;
    std::string sizes;
    for (const auto& view : preset_.views.pipelines) sizes += (sizes.empty() ? "" : ", ") + std::to_string(view.size());
    const std::string who = "with views of " + sizes + " px and " + std::to_string(preset_.batch_size) + " images a pass (--batch-size): ";
    if (!too_large) fail(who, first);
    throw OutOfMemory(who + first + (problem.empty() ? "; " + std::to_string(fits) + " images fit: --batch-size " + std::to_string(fits) +
                                                           ", or --accumulate 0 for as many images a step in several passes"
                             : !options_.group.alone() ? "; use a smaller --batch-size, --accumulate, or more processes"
                                                     : "; not even 2 images fit: use smaller views (--size) or a smaller encoder (--arch)"));
}

}  // namespace doppel::train
