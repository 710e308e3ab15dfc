// SPDX-License-Identifier: Apache-2.0
#include <doppel/core/batch_norm.hpp>

#include "support/torch_support.hpp"

#include <vector>

using namespace doppel;

namespace {

/// The same input through a layer that splits the batch, and part by part through torch's.
template <class Ours, class Torch>
void check_parts(Ours ours, Torch torchs, const at::IntArrayRef shape, std::int64_t groups, bool channels_last) {
    at::manual_seed(3);
    ours->running_mean.uniform_(-1, 1);
    ours->running_var.uniform_(0.5, 2);
    {
        const at::NoGradGuard no_grad;
        ours->weight.uniform_(0.5, 2);
        ours->bias.uniform_(-1, 1);
        torchs->weight.copy_(ours->weight);
        torchs->bias.copy_(ours->bias);
    }
    Tensor x = at::randn(shape) * 3 + 1;
    if (channels_last) x = x.contiguous(at::MemoryFormat::ChannelsLast);
    const Tensor a = x.detach().clone().requires_grad_(true), b = x.detach().clone().requires_grad_(true), weights = at::randn(shape);

    ours->groups = groups;
    const Tensor mean = ours->running_mean.clone(), var = ours->running_var.clone();
    const Tensor y = ours->forward(a);
    (y * weights).sum().backward();

    std::vector<Tensor> parts, means, vars;
    for (const Tensor& part : b.chunk(groups)) {
        torchs->running_mean = mean.clone();  // a new one: backward looks at that of its part
        torchs->running_var = var.clone();
        parts.push_back(torchs->forward(part));
        means.push_back(torchs->running_mean.clone());
        vars.push_back(torchs->running_var.clone());
    }
    const Tensor z = at::cat(parts);
    (z * weights).sum().backward();

    CHECK(at::allclose(y, z, 1e-5, 1e-5));
    CHECK(at::allclose(a.grad(), b.grad(), 1e-4, 1e-5));
    CHECK(at::allclose(ours->weight.grad(), torchs->weight.grad(), 1e-4, 1e-4));
    CHECK(at::allclose(ours->bias.grad(), torchs->bias.grad(), 1e-4, 1e-4));
    CHECK(at::allclose(ours->running_mean, at::stack(means).mean(0), 1e-5, 1e-6));
    CHECK(at::allclose(ours->running_var, at::stack(vars).mean(0), 1e-5, 1e-6));
    CHECK(ours->passes == 1);
    if (channels_last) CHECK(y.is_contiguous(at::MemoryFormat::ChannelsLast));

    ours->eval();  // then the whole batch, by the running statistics
    const Tensor once = ours->forward(x);
    ours->groups = 1;
    CHECK(at::equal(once, ours->forward(x)));
    CHECK(ours->passes == 1);
}

}  // namespace

TEST_CASE("a BatchNorm layer that splits the batch equals torch's, part by part") {
    check_parts(BatchNorm1d(5), torch::nn::BatchNorm1d(5), {12, 5}, 3, false);
    check_parts(BatchNorm2d(4), torch::nn::BatchNorm2d(4), {8, 4, 3, 5}, 4, false);
    check_parts(BatchNorm2d(4), torch::nn::BatchNorm2d(4), {8, 4, 3, 5}, 2, true);
}

TEST_CASE("a BatchNorm layer of one part is torch's, but for the count of passes") {
    BatchNorm2d ours(4);
    torch::nn::BatchNorm2d torchs(4);
    const Tensor x = at::randn({6, 4, 2, 2});
    CHECK(at::equal(ours->forward(x), torchs->forward(x)));
    CHECK(at::equal(ours->running_var, torchs->running_var));
    CHECK(ours->num_batches_tracked.item<std::int64_t>() == 0);
    CHECK(ours->passes == 1);
    ours->groups = 4;
    CHECK_THROWS_AS(ours->forward(x), Error);  // 6 images
    ours->groups = 6;
    CHECK_THROWS_AS(ours->forward(x), Error);  // one image a part
}
