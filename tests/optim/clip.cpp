// SPDX-License-Identifier: Apache-2.0
// Clipping of gradients: each by itself against DINO's rule, all together against torch's clip_grad_norm_.
#include <doppel/optim/clip.hpp>

#include <torch/nn/utils/clip_grad.h>

#include "support/optim_support.hpp"

namespace {

using doppel::Tensor;
using doppel::optim::clip_each;
using doppel::optim::clip_global;
using doppel::optim::Groups;
using doppel::test::mentions;
using doppel::test::message_of;

/// A parameter whose gradient has this norm.
std::pair<std::string, Tensor> with_norm(double norm, at::IntArrayRef shape, std::int64_t stream) {
    const Tensor w = at::zeros(shape, at::kDouble), g = doppel::test::noise(shape, stream);
    w.mutable_grad() = g * (norm / g.norm().item<double>());
    return {"w" + std::to_string(stream), w};
}

Groups two_groups() {
    return {{.parameters = {with_norm(30, {2, 3, 2, 2}, 0), with_norm(1, {5}, 1)}},
            {.parameters = {with_norm(3.5, {3, 4}, 2), {"none", at::ones({2})}}}};
}

const Tensor& gradient(const Groups& groups, std::size_t i, std::size_t j) {
    return groups[i].parameters[j].second.grad();
}

}  // namespace

TEST_CASE("clip_each makes norms 30 and 1 into 3 and 1, and leaves directions alone") {
    const auto groups = two_groups(), before = two_groups();
    const Tensor norms = clip_each(groups, 3.0);
    CHECK(at::allclose(norms, at::tensor({30.0, 1.0, 3.5}, at::kDouble)));
    CHECK(gradient(groups, 0, 0).norm().item<double>() == Approx(3 * 30 / (30 + 1e-6)).epsilon(1e-12));
    CHECK(gradient(groups, 1, 0).norm().item<double>() == Approx(3 * 3.5 / (3.5 + 1e-6)).epsilon(1e-12));
    CHECK(at::equal(gradient(groups, 0, 1), gradient(before, 0, 1)));  // to the bit
    CHECK(at::allclose(gradient(groups, 0, 0) * 10, gradient(before, 0, 0), 1e-6));
}

TEST_CASE("clip_global equals torch's clip_grad_norm_, when it clips and when it does not") {
    for (const double most : {2.0, 29.0, 31.0}) {
        const auto groups = two_groups(), reference = two_groups();
        std::vector<Tensor> list;
        for (const auto& group : reference)
            for (const auto& item : group.parameters) list.push_back(item.second);
        const double norm = torch::nn::utils::clip_grad_norm_(list, most);
        CHECK(clip_global(groups, most).item<double>() == Approx(norm).epsilon(1e-12));
        for (std::size_t i = 0; i < 2; ++i)
            CHECK(at::allclose(gradient(groups, i, 0), gradient(reference, i, 0), 1e-12, 1e-14));
        if (most > 30.3) CHECK(at::equal(gradient(groups, 0, 0), gradient(two_groups(), 0, 0)));
    }
}

TEST_CASE("Clipping copes with zero gradients, none at all, float32 and other memory layouts") {
    const Tensor zero = at::zeros({2}), image = at::ones({2, 3, 4, 4});
    zero.mutable_grad() = at::zeros({2});
    image.mutable_grad() = at::ones({2, 3, 4, 4}).contiguous(at::MemoryFormat::ChannelsLast);
    const Groups groups = {{.parameters = {{"zero", zero}, {"image", image}, {"none", at::ones({2})}}}};
    clip_each(groups, 1);
    CHECK(image.grad().norm().item<double>() == Approx(1));
    CHECK(zero.grad().abs().sum().item<double>() == 0);
    CHECK(clip_global(groups, 0.5).item<double>() == Approx(1));
    CHECK(image.grad().norm().item<double>() == Approx(0.5));
    CHECK(image.grad().is_contiguous(at::MemoryFormat::ChannelsLast));
    CHECK(clip_each({}, 1).numel() == 0);
    CHECK(clip_global({{.parameters = {{"none", at::ones({2})}}}}, 1).item<double>() == 0);
}

TEST_CASE("Clipping says what is wrong") {
    for (const double wrong : {0.0, -3.0, std::nan("")})
        CHECK(mentions(message_of([&] { clip_each({}, wrong); }),
                       {"clip_each: the norm must be finite and above 0, got "}));
    CHECK(message_of([] { clip_global({}, -1); }) == "clip_global: the norm must be finite and above 0, got -1");
    const Tensor w = at::ones({2, 2});
    w.mutable_grad() = at::ones({2, 2}).to_sparse();
    CHECK(message_of([&] { clip_each({{.parameters = {{"table", w}}}}, 1); }) ==
          "clip_each: the gradient of table is sparse, expected a dense one");
}
