// SPDX-License-Identifier: Apache-2.0
// Normalization over processes equals torch's batch_norm of the joined batch.
#include <doppel/core/synchronized_norm.hpp>

#include <doppel/core/batch_norm.hpp>

#include "support/processes.hpp"
#include "support/torch_support.hpp"

#include <ATen/ops/allclose.h>
#include <ATen/ops/batch_norm.h>

using namespace doppel;
using namespace doppel::test;

namespace {

struct Normed {
    Tensor y{}, dx{}, dweight{}, dbias{}, mean{}, var{};
};

/// Two layers of torch over the whole batch, with a loss that tells all rows apart.
Normed reference(const Tensor& batch, const Tensor& weights) {
    const auto channels = batch.size(1);
    const Tensor x = batch.clone().requires_grad_();
    const Tensor weight = chirp({channels}, 0.3, 0.1, batch.scalar_type()).requires_grad_(), bias = chirp({channels}, 0.2, 0.4, batch.scalar_type()).requires_grad_();
    Normed result{.mean = at::zeros({channels}, batch.options()), .var = at::ones({channels}, batch.options())};
    result.y = at::batch_norm(x, weight, bias, result.mean, result.var, true, 0.1, 1e-5, false);
    (result.y.tanh() * weights).sum().backward();
    result.dx = x.grad();
    result.dweight = weight.grad();
    result.dbias = bias.grad();
    return result;
}

void compare(const Tensor& batch, int size, double tolerance) {
    const Tensor weights = chirp(batch.sizes(), 0.17, 0.3, batch.scalar_type());
    const Normed whole = reference(batch, weights);
    const auto channels = batch.size(1);
    as_processes(size, [&](const Group& group) {
        const auto close = [&](const Tensor& a, const Tensor& b) { return at::allclose(a, b, tolerance, tolerance); };
        const Tensor x = part_of(batch, group).clone(batch.suggest_memory_format()).requires_grad_();
        const Tensor weight = chirp({channels}, 0.3, 0.1, batch.scalar_type()).requires_grad_(), bias = chirp({channels}, 0.2, 0.4, batch.scalar_type()).requires_grad_();
        const Tensor mean = at::zeros({channels}, batch.options()), var = at::ones({channels}, batch.options());
        const Tensor y = synchronized_norm(x, weight, bias, mean, var, 0.1, 1e-5, group);
        CHECK(close(y, part_of(whole.y, group)));
        (y.tanh() * part_of(weights, group)).sum().backward();
        CHECK(close(x.grad(), part_of(whole.dx, group)));
        CHECK(close(summed(weight.grad(), group), whole.dweight));
        CHECK(close(summed(bias.grad(), group), whole.dbias));
        CHECK(close(mean, whole.mean));
        CHECK(close(var, whole.var));
        CHECK(at::equal(gathered(mean.unsqueeze(0), group)[0], mean));
        if (batch.dim() == 4) CHECK(y.is_contiguous(batch.suggest_memory_format()));
    });
}

}  // namespace

TEST_CASE("outputs, gradients and running statistics are those of the joined batch") {
    for (const int size : {2, 3})
        for (const std::int64_t rows : {6, 7}) {
            compare(chirp({rows, 5}, 0.37, 0.2), size, 1e-10);
            compare(chirp({rows, 4, 3, 2}, 0.23, 0.6), size, 1e-10);
            compare(chirp({rows, 4, 3, 2}, 0.23, 0.6).contiguous(at::MemoryFormat::ChannelsLast), size, 1e-10);
        }
}

TEST_CASE("a process without rows takes part, and a mean far from zero costs no variance") {
    compare(chirp({2, 4}, 0.37, 0.2), 3, 1e-10);
    compare(1e4 + chirp({8, 3, 4, 4}, 0.37, 0.2, at::kFloat), 2, 3e-2);
}

TEST_CASE("a half-precision input keeps its type, with statistics in float32") {
    const Tensor batch = chirp({6, 4}, 0.37, 0.2, at::kFloat).to(at::kBFloat16);
    as_processes(2, [&](const Group& group) {
        const Tensor x = part_of(batch, group).clone().requires_grad_(), weight = at::ones({4}), mean = at::zeros({4}), var = at::ones({4});
        const Tensor y = synchronized_norm(x, weight, Tensor{}, mean, var, 0.1, 1e-5, group);
        CHECK(y.scalar_type() == at::kBFloat16);
        y.sum().backward();
        CHECK(x.grad().scalar_type() == at::kBFloat16);
        CHECK(at::allclose(mean, 0.1 * batch.to(at::kFloat).mean(0), 1e-5, 1e-6));
    });
}

TEST_CASE("a layer uses it in training mode only, and counts its passes") {
    as_processes(2, [](const Group& group) {
        BatchNorm2d shared(4), own(4);
        shared->group = group;
        const Tensor batch = chirp({6, 4, 3, 3}, 0.3, 0.1, at::kFloat), x = part_of(batch, group);
        const Tensor y = shared->forward(x);
        CHECK(at::allclose(gathered(y.detach(), group), own->forward(batch), 1e-5, 1e-5));
        CHECK(shared->passes == 1);
        CHECK(at::allclose(shared->running_var, own->running_var, 1e-5, 1e-6));
        shared->eval();
        own->eval();
        CHECK(at::allclose(shared->forward(x), own->forward(x), 1e-5, 1e-6));
    });
}
