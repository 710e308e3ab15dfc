// SPDX-License-Identifier: Apache-2.0
// Losses by tiles against the same losses with one matrix. Common mistakes: the last tile is smaller, a diagonal begins in one
// tile and ends in another, a tile on the diagonal counts twice, a column's gradient is forgotten.
#include <doppel/losses/dcl.hpp>
#include <doppel/losses/info_nce.hpp>
#include <doppel/losses/inst_disc.hpp>
#include <doppel/losses/nnclr.hpp>
#include <doppel/losses/nt_xent.hpp>
#include <doppel/losses/supcon.hpp>
#include <doppel/losses/tiles.hpp>

#include "support/losses.hpp"
#include "support/peak_memory.hpp"

#include <ATen/ops/logsumexp.h>
#include <torch/csrc/autograd/autograd.h>

using namespace doppel;
using namespace doppel::test;
using losses::Tiles;
using losses::detail::SimilarityTiles;

namespace {

constexpr std::int64_t n = 13, d = 7;  // two views have 26 rows

Outputs outputs(std::vector<Tensor> online, std::vector<Tensor> target = {}, Tensor memory = {}) {
    Outputs out;
    out.online = std::move(online);
    out.target = std::move(target);
    out.memory = std::move(memory);
    out.index = (at::arange(n) * 5 + 2).remainder(n);
    out.label = (at::arange(n) * 7).remainder(4) - 1;  // −1: unlabeled
    return out;
}

/// A loss of three views with the given temperature and tiles.
struct Case {
    std::string name;
    std::function<Tensor(const std::vector<Tensor>&, double, const Tiles&)> loss;
};

std::vector<Case> cases() {
    using Views = std::vector<Tensor>;
    const auto bank = [](const Tensor& like) { return unit(chirp({40, d}, 0.17, 0.2)).to(like.scalar_type()); };
    return {
        {"NtXent", [](const Views& z, double t, const Tiles& tiles) { return losses::NtXent{t, tiles}(z[0], z[1]); }},
        {"NtXent, three views", [](const Views& z, double t, const Tiles& tiles) { return losses::NtXent{t, tiles}(outputs(z, z)); }},
        {"NtXent, three views and a target network",
         [](const Views& z, double t, const Tiles& tiles) {
             return losses::NtXent{t, tiles}(outputs(z, {z[1] * 2 + 0.1, z[2].detach() - 0.3, z[0] + 0.2}));
         }},
        {"SupCon", [](const Views& z, double t, const Tiles& tiles) { return losses::Supcon{t, tiles}(outputs(z)); }},
        {"DCL", [](const Views& z, double t, const Tiles& tiles) { return losses::Dcl{t, tiles}(z[0], z[1]); }},
        {"DCLW", [](const Views& z, double t, const Tiles& tiles) {
             return losses::Dclw{.temperature = t, .through_weights = true, .tiles = tiles}(z[0], z[1]);
         }},
        {"InfoNCE", [=](const Views& z, double t, const Tiles& tiles) { return losses::InfoNce{t, tiles}(z[0], z[1], bank(z[0])); }},
        {"InfoNCE in the batch", [](const Views& z, double t, const Tiles& tiles) { return losses::InBatchInfoNce{t, tiles}(z[0], z[1]); }},
        {"InfoNCE of both directions",
         [](const Views& z, double t, const Tiles& tiles) { return losses::CrossViewInfoNce{t, tiles}(z[0], z[1]); }},
        {"NNCLR", [=](const Views& z, double t, const Tiles& tiles) { return losses::Nnclr{t, tiles}(z[0], z[1], bank(z[0])); }},
        {"instance discrimination",
         [=](const Views& z, double t, const Tiles& tiles) { return losses::InstanceSoftmax{t, tiles}(outputs({z[0]}, {}, bank(z[0]))); }},
    };
}

std::vector<Tensor> views(at::ScalarType type) {
    std::vector<Tensor> z;
    for (int v = 0; v < 3; ++v) z.push_back(leaf(chirp({n, d}, 0.13 + 0.05 * v, 0.9 - 0.1 * v) * (1 + v), type));
    return z;
}

/// The value, and the gradients of all views, relative to the largest.
struct Result {
    double value = 0;
    Tensor gradient;
};

Result result_of(const Case& one, std::vector<Tensor> z, double temperature, const Tiles& tiles) {
    const Tensor loss = one.loss(z, temperature, tiles);
    loss.backward();
    std::vector<Tensor> gradients;
    for (const Tensor& view : z) gradients.push_back(view.grad().defined() ? view.grad() : at::zeros_like(view));
    return {number(loss), at::cat(gradients)};
}

double difference(const Result& a, const Result& b) {
    return largest_difference(a.gradient, b.gradient) / b.gradient.abs().max().item<double>();
}

}  // namespace

TEST_CASE("losses by tiles have the values and gradients of one matrix, for every size of a tile") {
    for (const auto& one : cases())
        for (const double t : {0.01, 0.1}) {
            const Result exact = result_of(one, views(at::kDouble), t, losses::no_tiles);
            for (const std::int64_t side : {2, 3, 13, 25, 26, 27, 64}) {
                INFO(one.name << ", temperature " << t << ", tiles of " << side);
                const Tiles tiles{.above = 0, .side = side};
                const Result wide = result_of(one, views(at::kDouble), t, tiles);
                CHECK(wide.value == Approx(exact.value).epsilon(1e-12).margin(1e-12));
                CHECK(difference(wide, exact) < 1e-11);
                const Result narrow = result_of(one, views(at::kFloat), t, tiles), again = result_of(one, views(at::kFloat), t, tiles);
                CHECK(narrow.value == Approx(exact.value).epsilon(1e-5).margin(1e-5));
                CHECK(difference(narrow, exact) < 1e-5 * std::max(1.0, 0.1 / t));  // float32 has 1e-7 of s_ij = 1/τ
                CHECK(narrow.value == again.value);
                CHECK(bit_equal(narrow.gradient, again.gradient));
            }
        }
}

TEST_CASE("losses by tiles of equal, zero and half-precision rows are those of one matrix") {
    const Tiles tiles{.above = 0, .side = 4};
    for (const auto& one : cases())
        for (const double t : {0.01, 0.5}) {
            INFO(one.name << ", temperature " << t);
            const auto both = [&](const std::vector<Tensor>& z, double tolerance) {
                std::vector<Tensor> a, b;
                for (const Tensor& view : z) a.push_back(leaf(view)), b.push_back(leaf(view));
                const Result cut = result_of(one, a, t, tiles), whole = result_of(one, b, t, losses::no_tiles);
                CHECK(std::isfinite(cut.value));
                CHECK(finite(cut.gradient));
                CHECK(cut.value == Approx(whole.value).epsilon(tolerance).margin(tolerance));
                const double most = whole.gradient.abs().max().item<double>();
                CHECK(largest_difference(cut.gradient, whole.gradient) <= tolerance * (1 + most) / t);
            };
            const Tensor same = at::ones({n, d}, at::kDouble), zero = at::zeros({n, d}, at::kDouble);
            both({same, same, same}, 1e-12);
            both({chirp({n, d}, 0.13, 0.9), zero, same}, 1e-12);
            // zero rows multiply rounding by 1e12, so that float32 has none of them here
            both({same.to(at::kFloat), chirp({n, d}, 0.13, 0.9, at::kFloat), same.to(at::kFloat)}, 1e-5);
            for (const auto type : {at::kHalf, at::kBFloat16}) {
                const auto z = views(type);
                both({z[0].detach(), z[1].detach(), z[2].detach()}, type == at::kHalf ? 1e-3 : 8e-3);
            }
        }
}

TEST_CASE("losses by tiles compute in float32 under bfloat16 autocast, also in the backward pass") {
    for (const auto& one : cases()) {
        INFO(one.name);
        const auto gradient = [&] { return result_of(one, views(at::kFloat), 0.1, {.above = 0, .side = 8}).gradient; };
        is_not_changed_by_autocast(gradient);
    }
}

TEST_CASE("losses by tiles are NaN for embeddings that are not finite") {
    for (const auto& one : cases())
        for (const double t : {0.01, 0.5}) {
            INFO(one.name << ", temperature " << t);
            auto z = views(at::kFloat);
            z[0].data()[3][2] = std::numeric_limits<double>::quiet_NaN();
            CHECK(std::isnan(number(one.loss(z, t, {.above = 0, .side = 8}))));
        }
    const auto z = views(at::kFloat);  // the positive is finite here
    Tensor memory = unit(chirp({40, d}, 0.17, 0.2)).to(at::kFloat);
    memory[30][2] = std::numeric_limits<double>::quiet_NaN();
    CHECK(std::isnan(number(losses::InfoNce{0.1, {.above = 0, .side = 8}}(z[0], z[1], memory))));
}

TEST_CASE("a loss by tiles has no second derivative and says so; sizes decide what is computed by tiles") {
    const auto z = views(at::kDouble);
    const auto slope = [&](const Tiles& tiles) {
        const Tensor loss = losses::NtXent{0.5, tiles}(z[0], z[1]);
        return torch::autograd::grad({loss}, {z[0]}, {}, std::nullopt, /*create_graph=*/true)[0];
    };
    CHECK(slope(losses::no_tiles).requires_grad());
    says([&] { slope({.above = 0}); }, {"Tiles", "first derivatives", "no_tiles"});
    CHECK_NOTHROW(slope({.above = 26 * 26}));
    says([&] { slope({.above = 26 * 26 - 1}); }, {"first derivatives"});
    says([&] { slope({.above = 0, .side = -1}); }, {"Tiles", "side", "at least 0", "-1"});
    CHECK(!Tiles{}.cut(512, 512));
    CHECK(Tiles{}.cut(512, 513));
    CHECK(!losses::no_tiles.cut(std::int64_t{1} << 31, std::int64_t{1} << 31));
}

TEST_CASE("the columns of several tensors add up to one matrix, wherever its diagonal lies") {
    // as for embeddings of other processes: the own ones begin at column 9
    const Tensor all = unit(chirp({30, d}, 0.13, 0.9)), own = all.narrow(0, 9, 8).clone();
    for (const double t : {0.01, 0.5}) {
        const Tensor rows = leaf(own), columns = leaf(all), s = rows.mm(columns.t()) / t;
        const Tensor log_sum = s.masked_fill(at::eye(30, at::kBool).narrow(0, 9, 8), -std::numeric_limits<double>::infinity()).logsumexp(1);
        const Tensor weight = wave({8});
        (log_sum * weight).sum().backward();
        const auto block = [&](std::int64_t from, std::int64_t count) {
            return SimilarityTiles{.a = own, .b = all.narrow(0, from, count), .scale = 1 / t, .excluded = {9 - from}, .side = 3, .bound = 1};
        };
        const at::NoGradGuard no_grad;
        auto sums = block(0, 1).sums(8);
        for (const auto& [from, count] : {std::pair{0, 11}, {11, 4}, {15, 15}}) block(from, count).add_to(sums, nullptr);
        CHECK(largest_difference(sums.log(at::kDouble), log_sum) < 1e-12);
        const Tensor into_rows = at::zeros_like(own), into_columns = at::zeros_like(all);
        const SimilarityTiles::Side side{sums.log(at::kDouble), weight};
        for (const auto& [from, count] : {std::pair{0, 11}, {11, 4}, {15, 15}})
            block(from, count).add_gradient(side, nullptr, into_rows, into_columns.narrow(0, from, count));
        CHECK(largest_difference(into_rows, rows.grad()) < 1e-12);
        CHECK(largest_difference(into_columns, columns.grad()) < 1e-12);
    }
}

TEST_CASE("the memory of losses by tiles is linear in the number of embeddings") {
    const auto extra = [](std::int64_t images, const Tiles& tiles) {
        const Tensor a = leaf(at::randn({images, 64})), b = leaf(at::randn({images, 64}));
        const auto peak = peak_memory([&] { losses::NtXent{0.2, tiles}(a, b).backward(); });
        return static_cast<double>(peak - static_cast<std::int64_t>(a.grad().nbytes() + b.grad().nbytes())) / 1024 / 1024;
    };
    const Tiles small{.above = 0, .side = 256};
    const double few = extra(1024, small), many = extra(4096, small), matrix = extra(1024, losses::no_tiles);
    INFO(few << " MiB for 1,024 images, " << many << " MiB for 4,096; one matrix: " << matrix << " MiB for 1,024");
    CHECK(few < 3);    // unit rows 0.5, two tiles 0.5, portions of the rows 2 · 0.25
    CHECK(many < 6);   // unit rows 2
    CHECK(matrix > 30);
}
