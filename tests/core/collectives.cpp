// SPDX-License-Identifier: Apache-2.0
// Gathers and sums over processes: values, and gradients against the formula in one process.
#include <doppel/core/collectives.hpp>

#include "support/processes.hpp"
#include "support/torch_support.hpp"

#include <ATen/ops/allclose.h>

using namespace doppel;
using namespace doppel::test;

namespace {

Tensor rows(std::int64_t n) { return chirp({n, 3}, 0.37, 0.2).to(at::kDouble); }

/// A function of all rows whose gradient differs for each: Σ_ij w_ij tanh(x_i · x_j).
Tensor everything(const Tensor& x, std::int64_t first, std::int64_t count) {
    const Tensor similar = x.mm(x.t()).tanh().narrow(0, first, count);
    const auto weight = chirp({x.size(0), x.size(0)}, 0.11, 0.5).to(at::kDouble).narrow(0, first, count);
    return (similar * weight).sum();
}

}  // namespace

TEST_CASE("gathered: the rows of all processes in order, and the gradient of the mean of all losses") {
    for (const int size : {2, 3})
        for (const std::int64_t all : {6, 7}) {
            Tensor whole = rows(all).requires_grad_();
            everything(whole, 0, all).backward();  // Σ over processes of the parts
            as_processes(size, [&](const Group& group) {
                const Group shared = sharing(group, all);
                const Tensor mine = part_of(rows(all), group).clone().requires_grad_();
                const Tensor x = gathered(mine, shared);
                CHECK(at::equal(x, rows(all)));
                everything(x, shared.rows_before(mine.size(0)), mine.size(0)).backward();
                CHECK(at::allclose(mine.grad(), part_of(whole.grad(), group), 1e-12, 1e-12));
            });
        }
}

TEST_CASE("summed: the sum over processes, and the gradient of all losses") {
    Tensor whole = rows(6).requires_grad_();
    const Tensor total = whole.sum(0);
    (total.pow(2).sum() * (1 + 2 + 3)).backward();
    as_processes(3, [&](const Group& group) {
        const Tensor mine = part_of(rows(6), group).clone().requires_grad_();
        const Tensor sum = summed(mine.sum(0), group);
        CHECK(at::allclose(sum, total.detach(), 1e-12, 1e-12));
        (sum.pow(2).sum() * (1.0 + group.rank())).backward();  // another loss in each process
        CHECK(at::allclose(mine.grad(), part_of(whole.grad(), group), 1e-12, 1e-12));
    });
}

TEST_CASE("without gradient, in integers, and alone") {
    as_processes(2, [](const Group& group) {
        const Tensor labels = at::full({2}, group.rank(), at::kLong);
        CHECK(at::equal(gathered(labels, group), at::tensor({0, 0, 1, 1}, at::kLong)));
        CHECK(!gathered(at::ones({1, 2}), group).requires_grad());
        CHECK(at::equal(summed(labels, group), at::full({2}, 1, at::kLong)));
    });
    const Tensor x = at::ones({2, 2});
    CHECK(gathered(x, Group{}).is_same(x));
    CHECK(summed(x, Group{}).is_same(x));
}

TEST_CASE("processes that make different calls, or end, are told") {
    CHECK(mentions(message_of([] {
                       as_processes(2, [](const Group& group) {
                           Tensor x = at::ones({group.rank() == 0 ? 2 : 3});
                           group.collectives().sum(x);
                       });
                   }),
                   {"different calls", "[ 2 ]", "[ 3 ]"}));
    CHECK(mentions(message_of([] {
                       as_processes(2, [](const Group& group) {
                           if (group.rank() == 1) fail("no more");
                           Tensor x = at::ones({2});
                           group.collectives().sum(x);
                       });
                   }),
                   {"no more"}));
}
