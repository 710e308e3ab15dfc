// SPDX-License-Identifier: Apache-2.0
#include <doppel/encoders/by_name.hpp>
#include <doppel/recipe/masked_patches.hpp>
#include <doppel/recipe/method.hpp>

#include "support/masked_method.hpp"
#include "support/watching.hpp"

using namespace doppel;
using namespace doppel::test;

namespace {

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

}  // namespace

TEST_CASE("masked patches: the online branch does not see them, the target does, both speak of the same places") {
    auto recipe = Recipe{.encoder = small_vit,
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
    auto recipe = Recipe{.encoder = small_vit, .target = targets::Ema{}, .loss = Masking{}};
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
