// SPDX-License-Identifier: Apache-2.0
#include <doppel/queues/memory_bank.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;
using queues::MemoryBank;

namespace {

Outputs outputs_of(const Tensor& z, std::vector<std::int64_t> index) {
    Outputs out;
    out.online = {z, -z};  // the second view is not written
    out.index = at::tensor(index);
    return out;
}

}  // namespace

TEST_CASE("a memory bank starts with different unit rows, one per image") {
    at::manual_seed(1);
    auto bank = MemoryBank{.size = 6}.build(4);
    CHECK(bank.read().sizes() == at::IntArrayRef({6, 4}));
    CHECK(largest_difference(bank.read().norm(2, 1), at::ones({6})) < 1e-6);
    CHECK(!bit_equal(bank.read()[0], bank.read()[1]));
    CHECK(!bank.read().requires_grad());
}

TEST_CASE("commit moves the rows of its images towards their embeddings, and no others") {
    auto bank = MemoryBank{.size = 6, .momentum = 0.75}.build(4);
    const Tensor before = bank.read().clone(), z = wave({2, 4}, 0.9, 0.2, at::kFloat) * 30;
    bank.commit(outputs_of(z.clone().set_requires_grad(true), {4, 1}));
    const Tensor mixed = before.index_select(0, at::tensor({4, 1})) * 0.75 + unit(z) * 0.25;
    CHECK(largest_difference(bank.read().index_select(0, at::tensor({4, 1})), unit(mixed)) < 1e-6);
    for (const std::int64_t i : {0, 2, 3, 5}) CHECK(bit_equal(bank.read()[i], before[i]));
    CHECK(!bank.read().requires_grad());
}

TEST_CASE("a memory bank says which option is wrong, and that its size is not the number of images") {
    says([] { MemoryBank{}.build(4); }, {"MemoryBank", "size", "0"});
    says([] { MemoryBank{.size = 2, .momentum = 1}.build(4); }, {"MemoryBank", "momentum", "below 1", "1"});
    says([] { MemoryBank{.size = 2}.build(4).begin({.samples = 3}); }, {"MemoryBank", "size is 2", "3 images"});
}
