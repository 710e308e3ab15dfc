// SPDX-License-Identifier: Apache-2.0
// Views of two sizes through a method: which passes they take, and which meet.
#include <doppel/views/multi_crop.hpp>
#include <doppel/data/embedded.hpp>
#include <doppel/data/loader.hpp>
#include <doppel/heads/mlp.hpp>
#include <doppel/recipe/method.hpp>
#include <doppel/targets/ema.hpp>

#include "support/torch_support.hpp"
#include "support/watching.hpp"

using namespace doppel;
using namespace doppel::test;

namespace {

/// Counts its passes and the rows of each.
struct CountingNetImpl : TinyNetImpl {
    std::vector<at::DimVector> seen;
    Tensor forward(const Tensor& x) {
        seen.emplace_back(x.sizes());
        return TinyNetImpl::forward(x);
    }
};
TORCH_MODULE(CountingNet);
struct CountingHeadImpl : torch::nn::Module {
    torch::nn::Linear linear{nullptr};
    torch::nn::BatchNorm1d norm{nullptr};
    std::vector<std::int64_t> rows;
    explicit CountingHeadImpl(std::int64_t in) {
        linear = register_module("linear", torch::nn::Linear(in, 6));
        norm = register_module("norm", torch::nn::BatchNorm1d(6));
    }
    Tensor forward(const Tensor& x) {
        rows.push_back(x.size(0));
        return norm(linear(x));
    }
};
TORCH_MODULE(CountingHead);

}  // namespace

TEST_CASE("one encoder pass a resolution, one head pass over all views; the target sees the global views alone") {
    const auto recipe = Recipe{.encoder = [] { return CountingNet(); },
                               .projector = [](std::int64_t in) { return CountingHead(in); },
                               .predictor = [](std::int64_t in) { return CountingHead(in); },
                               .target = targets::Ema{},
                               .loss = Watching{},
                               .layout = {.join_views = true, .join_heads = true}};
    Method method{recipe, {.seed = 1}};
    const Batch batch = batch_of(4, 0, 3);
    method->begin({.samples = 100, .steps = 10});
    method->forward(batch);
    const auto& online = method->encoder()->seen;
    REQUIRE(online.size() == 2);
    CHECK(at::IntArrayRef(online[0]) == at::IntArrayRef({8, 3, 12, 12}));
    CHECK(at::IntArrayRef(online[1]) == at::IntArrayRef({12, 3, 8, 8}));
    const auto& target = method->target_encoder()->seen;
    REQUIRE(target.size() == 1);
    CHECK(at::IntArrayRef(target[0]) == at::IntArrayRef({8, 3, 12, 12}));
    const auto rows_of = [&](const char* name) {
        for (const auto& item : method->named_modules())
            if (item.key() == name) return item.value()->as<CountingHead>()->rows;
        return std::vector<std::int64_t>{-1};
    };
    CHECK(rows_of("projector") == std::vector<std::int64_t>{2, 20});  // the first: the trial for its width
    CHECK(rows_of("predictor") == std::vector<std::int64_t>{2, 20});
    CHECK(rows_of("target.projector") == std::vector<std::int64_t>{2, 8});

    const Outputs& seen = *method->recipe.loss.seen;
    CHECK(seen.globals == 2);
    REQUIRE(seen.online.size() == 5);
    for (std::size_t v = 0; v < 5; ++v) {
        CHECK(seen.online[v].size(0) == 4);
        CHECK(seen.target[v].defined() == (v < 2));
    }
}

TEST_CASE("one head pass gives each view its own rows") {
    // A head without BatchNorm does the same whether views come together or not.
    auto recipe = Recipe{.encoder = [] { return TinyNet(8); },
                         .projector = heads::Mlp{.hidden = {16}, .out = 6, .norm = false},
                         .loss = Watching{}};
    const Batch batch = batch_of(4, 0, 2);
    const auto outputs_of = [&](bool join) {
        recipe.layout.join_heads = join;
        recipe.loss.seen = std::make_shared<Outputs>();
        Method method{recipe, {.seed = 1}};
        method->forward(batch);
        return *recipe.loss.seen;
    };
    const Outputs apart = outputs_of(false), together = outputs_of(true);
    for (std::size_t v = 0; v < 4; ++v) {
        CHECK(largest_difference(apart.online[v], together.online[v]) < 1e-6);
        CHECK(largest_difference(apart.features[v], together.features[v]) == 0);
    }
    recipe.layout = {.bn_groups = 2, .join_heads = true};
    CHECK(mentions(message_of([&] { Method{recipe}; }), {"join_heads", "bn_groups", "2"}));
}

TEST_CASE("a pairing in the recipe goes before that of a loss on all outputs, and a loss without one sees everything") {
    struct Everything {
        std::shared_ptr<Outputs> seen = std::make_shared<Outputs>();
        Tensor operator()(const Outputs& out) {
            *seen = out;
            return out.online[0].sum();
        }
    };
    Method all{Recipe{.encoder = tiny(), .target = targets::Ema{}, .loss = Everything{}}, {.seed = 1}};
    all->begin({.samples = 100, .steps = 10});
    all->forward(batch_of(4, 0, 1));
    CHECK(all->recipe.loss.seen->target[2].defined());
    Method one{Recipe{.encoder = tiny(), .target = targets::Ema{}, .pairing = pairings::OneSided{}, .loss = Watching{}}, {.seed = 1}};
    one->begin({.samples = 100, .steps = 10});
    one->forward(batch_of(4, 0, 1));
    CHECK(!one->recipe.loss.seen->target[0].defined());
    CHECK(one->recipe.loss.seen->target[1].defined());
    CHECK(!one->recipe.loss.seen->online[1].defined());
}

TEST_CASE("the loader makes any number of views of any size, the global ones first") {
    const auto views = views::multi_crop({.global_size = 32, .local_size = 16, .globals = 3, .locals = 5});
    const data::Loader loader(data::Embedded({.count = 8}), views.pipelines, {.batch_size = 4, .globals = views.globals});
    const auto batch = loader.pass(0, 1)->next();
    REQUIRE(batch.has_value());
    CHECK(batch->globals == 3);
    REQUIRE(batch->views.size() == 8);
    for (std::size_t v = 0; v < 8; ++v) {
        CHECK(batch->views[v].size(2) == (v < 3 ? 32 : 16));
        for (std::size_t w = 0; w < v; ++w)
            if (batch->views[v].sizes() == batch->views[w].sizes()) CHECK(!at::equal(batch->views[v], batch->views[w]));
    }
}
