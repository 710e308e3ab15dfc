// SPDX-License-Identifier: Apache-2.0
// Views of two sizes through a method: which passes they take, which meet, and patches that are masked.
#include <doppel/views/multi_crop.hpp>
#include <doppel/data/embedded.hpp>
#include <doppel/data/loader.hpp>
#include <doppel/encoders/by_name.hpp>
#include <doppel/heads/mlp.hpp>
#include <doppel/losses/detail/cross_views.hpp>
#include <doppel/recipe/method.hpp>
#include <doppel/targets/ema.hpp>

#include "support/torch_support.hpp"

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

/// Global-to-all, and remembers what it saw.
struct Watching {
    using Pairing = pairings::GlobalToAll;
    std::shared_ptr<Outputs> seen = std::make_shared<Outputs>();
    Tensor operator()(const Outputs& out) {
        *seen = out;
        Tensor sum;
        for (const Tensor& z : out.online)
            if (z.defined()) sum = sum.defined() ? sum + z.square().mean() : z.square().mean();
        return sum;
    }
};

/// Masks the first `count` patches of even images.
struct Masking : Watching {
    std::int64_t count = 3;
    std::vector<bool> mask(std::int64_t rows, std::int64_t columns, random::Stream draw) const {
        std::vector<bool> all(static_cast<std::size_t>(rows * columns));
        if (draw.chance(0.5))
            for (std::int64_t i = 0; i < count; ++i) all[static_cast<std::size_t>(i)] = true;
        return all;
    }
};

const encoders::Vit vit{.kind = VitKind::ti, .patch = 4, .image_size = 12, .dim = 24, .depth = 2, .heads = 3,
                        .mask_token = true};

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

TEST_CASE("cross-entropy between views: globals times (views − 1) terms, never a view with itself") {
    const std::int64_t rows = 3, classes = 4;
    std::vector<Tensor> p, log_q;
    for (int v = 0; v < 4; ++v) {
        log_q.push_back(chirp({rows, classes}, 0.3 + 0.1 * v, 0.2).log_softmax(1));
        p.push_back(v < 2 ? chirp({rows, classes}, 0.5 - 0.1 * v, 0.4).softmax(1) : Tensor{});
    }
    double sum = 0;
    int terms = 0;
    for (std::size_t t = 0; t < 2; ++t)
        for (std::size_t o = 0; o < 4; ++o) {
            if (o == t) continue;
            ++terms;
            const auto a = numbers(p[t]), b = numbers(log_q[o]);
            for (std::size_t i = 0; i < a.size(); ++i)
                for (std::size_t k = 0; k < a[i].size(); ++k) sum -= a[i][k] * b[i][k] / static_cast<double>(rows);
        }
    CHECK(terms == 2 * (4 - 1));
    CHECK(losses::detail::cross_entropy_of_views("test", p, log_q).item<double>() == Approx(sum / terms).epsilon(1e-12));
    // One global view and no other: nothing to compare.
    CHECK(mentions(message_of([&] { losses::detail::cross_entropy_of_views("test", {p[0]}, {log_q[0]}); }), {"another view"}));
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

TEST_CASE("masked patches: the online branch does not see them, the target does, both speak of the same places") {
    auto recipe = Recipe{.encoder = vit,
                         .projector = heads::Mlp{.hidden = {}, .out = 6},
                         .target = targets::Ema{},
                         .loss = Masking{},
                         .layout = {.join_views = true, .join_heads = true}};
    Method method{recipe, {.seed = 3}};
    method->begin({.samples = 100, .steps = 10});
    Batch batch = batch_of(6, 0, 1);
    const Tensor loss = method->forward(batch);
    const Outputs seen = *method->recipe.loss.seen;
    REQUIRE(seen.patches.online.defined());
    const std::int64_t places = seen.patches.online.size(0);
    CHECK(places % 3 == 0);
    CHECK(places > 3);
    CHECK(places < 3 * 12);
    CHECK(seen.patches.online.sizes() == at::IntArrayRef({places, 6}));
    CHECK(seen.patches.target.sizes() == at::IntArrayRef({places, 6}));
    // 1 / (3 masked patches · 2 global views · 6 images)
    CHECK(largest_difference(seen.patches.weight, at::full({places}, 1 / 36.0)) < 1e-7);
    // Both networks start alike: they differ only by what is masked.
    CHECK(largest_difference(seen.patches.online, seen.patches.target) > 1e-3);
    loss.backward();

    // What lies under the masked patches does not reach the online branch's patches, but does reach the target's.
    for (auto& item : method->named_parameters())
        if (item.key() == "encoder.mask_token" || item.key() == "target.encoder.mask_token") CHECK(item.value().abs().max().item<float>() == 0);
    Batch changed = batch_of(6, 0, 1);
    for (std::size_t v = 0; v < 2; ++v) changed.views[v] = changed.views[v].clone();
    for (std::size_t v = 0; v < 2; ++v) changed.views[v].slice(2, 0, 4).add_(1);  // the first row of patches: the masked ones
    method->discard();
    method->forward(changed);
    const Outputs& after = *method->recipe.loss.seen;
    CHECK(largest_difference(after.patches.online, seen.patches.online) < 1e-6);
    CHECK(largest_difference(after.patches.target, seen.patches.target) > 1e-3);
    // Where nothing was masked the image is seen whole, and local views always are.
    CHECK(largest_difference(after.online[2], seen.online[2]) == 0);
    CHECK(largest_difference(after.online[0], seen.online[0]) > 1e-3);
}

TEST_CASE("masks follow from seed and step, and no mask at all leaves the patches out") {
    auto recipe = Recipe{.encoder = vit, .target = targets::Ema{}, .loss = Masking{}};
    const auto places = [&](std::uint64_t seed, std::int64_t step) {
        recipe.loss.seen = std::make_shared<Outputs>();
        Method method{recipe, {.seed = seed}};
        method->begin({.samples = 100, .steps = 10});
        method->at.step = step;
        method->forward(batch_of(8));
        return recipe.loss.seen->patches.online;
    };
    CHECK(at::equal(places(1, 0), places(1, 0)));
    CHECK((places(1, 0).sizes() != places(1, 1).sizes() || !at::equal(places(1, 0), places(1, 1))));
    recipe.loss.count = 0;
    CHECK(!places(1, 0).defined());
    // Passes that accumulate draw masks of their own.
    recipe.loss.count = 3;
    recipe.loss.seen = std::make_shared<Outputs>();
    Method twice{recipe, {.seed = 1}};
    twice->begin({.samples = 100, .steps = 10});
    twice->forward(batch_of(8));
    const Tensor first = recipe.loss.seen->patches.online;
    twice->forward(batch_of(8));
    const Tensor second = recipe.loss.seen->patches.online;
    CHECK((first.sizes() != second.sizes() || largest_difference(first, second) > 1e-3));
    struct Short : Watching {
        std::vector<bool> mask(std::int64_t, std::int64_t, random::Stream) const { return {true}; }
    };
    Method wrong{recipe.with_loss(Short{}), {.seed = 1}};
    wrong->begin({.samples = 100, .steps = 10});
    CHECK(mentions(message_of([&] { wrong->forward(batch_of(4)); }), {"mask()", "3 x 3", "gave 1"}));
    recipe.layout.bn_groups = 2;
    CHECK(mentions(message_of([&] { Method{recipe}; }), {"masks patches", "bn_groups"}));
    // An encoder that is chosen by name has patches or says that it has none.
    auto chosen = recipe.with_encoder(encoders::ByName(encoders::ResNet{.depth = 18, .stem = Stem::cifar, .width = 0.125}));
    chosen.layout.bn_groups = 1;
    Method none{chosen};
    none->begin({.samples = 100, .steps = 10});
    CHECK(mentions(message_of([&] { none->forward(batch_of(4)); }), {"no patches", "Vision Transformer"}));
}

TEST_CASE("a Vision Transformer masks patches behind its mask token and keeps their positions") {
    at::manual_seed(1);
    auto module = vit.build();
    const at::NoGradGuard no_grad;
    auto parameters = module->named_parameters();
    parameters["mask_token"].copy_(wave({1, 24}, 0.9, 0.1));
    const Tensor images = wave({2, 3, 12, 12}, 0.37, 0.1, at::kFloat);
    Tensor mask = at::zeros({2, 9}, at::kBool);
    mask[0][4] = true;
    const auto whole = module->with_patches(images, {}), masked = module->with_patches(images, mask);
    CHECK(at::equal(whole.features, module->forward(images)));
    CHECK(at::equal(whole.patches, module->tokens(images).slice(1, 1)));
    CHECK(largest_difference(whole.features[1], masked.features[1]) == 0);
    CHECK(largest_difference(whole.features[0], masked.features[0]) > 1e-4);
    // By hand: an image whose projection at the place is the token.
    auto plain_spec = vit;
    plain_spec.mask_token = false;
    auto bare = plain_spec.build();
    CHECK(!bare->named_parameters().contains("mask_token"));
    CHECK(mentions(message_of([&] { bare->with_patches(images, mask); }), {"mask_token"}));
    CHECK(mentions(message_of([&] { module->with_patches(images, at::zeros({2, 8}, at::kBool)); }), {"[2, 9]", "[2, 8]"}));
}
