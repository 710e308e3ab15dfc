// SPDX-License-Identifier: Apache-2.0
// Gradients averaged by c10d::Reducer equal plain averages: buckets, accumulation, parameters without gradient, bfloat16.
#include <doppel/distributed/reducer.hpp>

#include <doppel/distributed/join.hpp>

#include "support/forked.hpp"
#include "support/support.hpp"
#include "support/torch_support.hpp"

#include <ATen/ops/allclose.h>
#include <ATen/ops/zeros_like.h>

using namespace doppel;
using namespace doppel::test;

namespace {

struct Weights {
    std::vector<std::pair<std::string, Tensor>> all;
    explicit Weights(int count) {
        for (int i = 0; i < count; ++i) {
            Tensor w = i % 2 ? chirp({16, 3, 3, 3}, 0.1 + 0.01 * i, 0.2, at::kFloat).contiguous(at::MemoryFormat::ChannelsLast)
                             : chirp({40, 30}, 0.1 + 0.01 * i, 0.2, at::kFloat);
            all.emplace_back("w" + std::to_string(i), w.requires_grad_());
        }
    }
};

/// A loss that differs in each process and pass; parameter `left_out` has no part in it.
Tensor loss_of(const Weights& weights, int rank, int pass, int left_out) {
    Tensor sum;
    for (int i = 0; i < static_cast<int>(weights.all.size()); ++i) {
        if (i == left_out) continue;
        const Tensor& w = weights.all[static_cast<std::size_t>(i)].second;
        const Tensor term = (w * chirp(w.sizes(), 0.3 + 0.1 * rank, 0.1 * pass, at::kFloat)).tanh().sum();
        sum = sum.defined() ? sum + term : term;
    }
    return sum;
}

std::string compare(const distributed::Place& place, int passes, bool bf16, int left_out, bool everywhere) {
    const Group group = distributed::join(place, at::kCPU, {.wait_seconds = 20, .patience = 1});
    Weights weights(7);
    auto average = group.collectives().gradient_average(weights.all, {.bf16 = bf16, .bucket_mb = 0.005});
    for (int step = 0; step < 3; ++step) {
        for (int pass = 0; pass < passes; ++pass) {
            const Tensor loss = loss_of(weights, place.rank, step * passes + pass, everywhere || place.rank == 1 ? left_out : -1);
            average->before_backward(loss, pass + 1 == passes);
            loss.backward();
            average->after_backward(pass + 1 == passes);
        }
        std::vector<Tensor> gradients;
        for (auto& [name, w] : weights.all) gradients.push_back(w.grad().defined() ? w.grad().clone() : Tensor{});
        for (auto& [name, w] : weights.all) w.mutable_grad() = Tensor{};
        Weights plain(7);
        for (int r = 0; r < place.size; ++r)
            for (int pass = 0; pass < passes; ++pass)
                loss_of(plain, r, step * passes + pass, everywhere || r == 1 ? left_out : -1).backward();
        for (std::size_t i = 0; i < gradients.size(); ++i) {
            const Tensor& w = plain.all[i].second;
            if (!w.grad().defined()) {
                if (gradients[i].defined() && gradients[i].abs().sum().item<double>() != 0) return "a gradient from nowhere: " + std::to_string(i);
                continue;
            }
            if (!gradients[i].defined()) return "no gradient: " + std::to_string(i);
            const double tolerance = bf16 ? 2e-2 : 1e-5;
            if (!at::allclose(gradients[i], w.grad() / place.size, tolerance, tolerance))
                return "step " + std::to_string(step) + ", gradient " + std::to_string(i) + " is " +
                       std::to_string((gradients[i] - w.grad() / place.size).abs().max().item<double>()) + " off";
        }
    }
    return "good";
}

}  // namespace

TEST_CASE("averages in buckets, over several passes, with parameters that some or all losses leave out, and as bfloat16") {
    struct Case {
        int size, passes;
        bool bf16;
        int left_out;
        bool everywhere;
    };
    for (const Case& one : {Case{2, 1, false, -1, false}, Case{3, 3, false, -1, false}, Case{2, 2, false, 4, false}, Case{2, 1, false, 4, true},
                            Case{2, 1, true, -1, false}}) {
        INFO(one.size << " processes, " << one.passes << " passes, bf16 " << one.bf16 << ", left out " << one.left_out);
        for (const auto& end : forked(one.size, [&](const distributed::Place& place) {
                 return compare(place, one.passes, one.bf16, one.left_out, one.everywhere);
             }))
            CHECK(end.said == "good");
    }
}
