// SPDX-License-Identifier: Apache-2.0
// Every loss on several processes: the mean over the processes, the gradient of each row, and the state after commit() are those of
// one process with the whole batch.
#include <doppel/losses/barlow_twins.hpp>
#include <doppel/losses/byol.hpp>
#include <doppel/losses/dcl.hpp>
#include <doppel/losses/dino.hpp>
#include <doppel/losses/directclr.hpp>
#include <doppel/losses/ibot.hpp>
#include <doppel/losses/info_nce.hpp>
#include <doppel/losses/inst_disc.hpp>
#include <doppel/losses/koleo.hpp>
#include <doppel/losses/lejepa.hpp>
#include <doppel/losses/mmcr.hpp>
#include <doppel/losses/nnclr.hpp>
#include <doppel/losses/nt_xent.hpp>
#include <doppel/losses/ressl.hpp>
#include <doppel/losses/sigreg.hpp>
#include <doppel/losses/simsiam.hpp>
#include <doppel/losses/supcon.hpp>
#include <doppel/losses/swav.hpp>
#include <doppel/losses/tico.hpp>
#include <doppel/losses/vicreg.hpp>
#include <doppel/losses/weighted_sum.hpp>
#include <doppel/losses/wmse.hpp>
#include <doppel/recipe/processes.hpp>

#include "support/peak_memory.hpp"
#include "support/processes.hpp"
#include "support/support.hpp"
#include "support/torch_support.hpp"

#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <map>
#include <set>

using namespace doppel;
using namespace doppel::test;

namespace {

constexpr std::int64_t dim = 5;

Tensor values(std::int64_t n, double seed) { return chirp({n, dim}, 0.37 + seed / 7, 0.2 + seed).to(at::kDouble); }

/// The whole batch with leaves that take gradients, and masked patches: images 0 and 1 have none.
struct Whole {
    std::int64_t images;
    std::vector<std::int64_t> image_of;  // of each patch
    Tensor patches_here{};               // their numbers in the whole batch
    Outputs out;
    std::vector<Tensor> leaves;

    Whole(std::int64_t n, std::size_t views, int step) : images(n) {
        const double at = step * 0.61;
        for (std::size_t v = 0; v < views; ++v) {
            const auto seed = static_cast<double>(v) + at;
            out.features.push_back(values(n, seed + 0.11));
            out.online.push_back(values(n, seed + 0.23));
            out.target.push_back(values(n, seed + 0.57));
        }
        out.projected = out.online;
        const Tensor rows = values(9, 3.3 + at);
        out.memory = rows / rows.norm(2, 1, true);
        out.index = (at::arange(n, at::kLong) * 2 + 1).remainder(9);
        out.label = at::arange(n, at::kLong).remainder(3) - at::arange(n, at::kLong).eq(4).to(at::kLong) * 2;
        std::vector<double> weight;
        for (int v = 0; v < 2; ++v)
            for (std::int64_t i = 2; i < n; ++i)
                for (std::int64_t k = 0; k <= (i + v) % 3; ++k) {
                    image_of.push_back(i);
                    weight.push_back(1.0 / static_cast<double>(((i + v) % 3 + 1) * 2 * n));
                }
        const auto m = static_cast<std::int64_t>(image_of.size());
        out.patches = {.online = values(m, 5.1 + at), .target = values(m, 6.7 + at), .weight = at::tensor(weight, at::kDouble)};
        take_gradients();
    }

    void take_gradients() {
        leaves.clear();
        const auto leaf = [&](Tensor& x) {
            x = x.detach().clone().requires_grad_();
            leaves.push_back(x);
        };
        for (auto* list : {&out.features, &out.online, &out.target})
            for (Tensor& x : *list) leaf(x);
        if (out.patches.online.defined()) out.patches.online = out.patches.online.detach().clone().requires_grad_();
        out.projected = out.online;
    }

    /// What a process has of it.
    Whole part(const Group& group) const {
        Whole mine = *this;
        const auto range = rows_of(images, group.rank(), group.size());
        for (auto* list : {&mine.out.features, &mine.out.online, &mine.out.target})
            for (Tensor& x : *list) x = part_of(x.detach(), group);
        for (Tensor* x : {&mine.out.index, &mine.out.label}) *x = part_of(*x, group);
        std::vector<std::int64_t> here;
        for (std::size_t m = 0; m < image_of.size(); ++m)
            if (image_of[m] >= range.first && image_of[m] < range.first + range.count) here.push_back(static_cast<std::int64_t>(m));
        if (here.empty()) {
            mine.out.patches = {};
        } else {
            const Tensor rows = mine.patches_here = at::tensor(here, at::kLong);
            for (Tensor* x : {&mine.out.patches.online, &mine.out.patches.target, &mine.out.patches.weight})
                *x = x->detach().index_select(0, rows);
            mine.out.patches.weight = mine.out.patches.weight * (static_cast<double>(images) / static_cast<double>(range.count));
        }
        mine.images = range.count;
        mine.take_gradients();
        return mine;
    }
};

/// As the engine calls a loss; draws come from one state of the generator in all processes.
template <class L, class Call>
Tensor on(L& loss, const Call& call, const Outputs& out, const Group& group) {
    if constexpr (contracts::Joins<L>) loss.join(group);
    if (group.alone() || contracts::Joins<L> || contracts::PerImage<L>) {
        torch::manual_seed(5);
        return call(loss, out) * group.weight();
    }
    Outputs all = doppel::detail::gathered(out, group, /*whole=*/true);
    if constexpr (contracts::MaskingLoss<L>) all.patches = doppel::detail::gathered(out.patches, group, out.online[0]);
    torch::manual_seed(5);
    return call(loss, all);
}

/// Builds the loss's state, in float64.
template <class L>
std::vector<Tensor> built(L& loss) {
    std::vector<Tensor> state;
    torch::manual_seed(3);
    if constexpr (contracts::Builds<L>) loss.build(dim);
    if constexpr (contracts::HasState<L>)
        loss.state([&](const char*, Tensor& x) {
            const bool trained = x.requires_grad();
            x = x.detach().to(at::kDouble).requires_grad_(trained);
            state.push_back(x);
        });
    return state;
}

bool close(const Tensor& a, const Tensor& b, double tolerance) {
    if (!a.defined() || !b.defined()) return a.defined() == b.defined();
    return at::allclose(a.detach(), b.detach(), tolerance, tolerance, /*equal_nan=*/true);
}

/// Three steps of `fresh` in one process, and in `size` with the same images.
template <class L, class Call>
void compare(const std::string& name, const L& fresh, const Call& call, int size, std::int64_t images, std::size_t views) {
    INFO(name << " on " << size << " processes, " << images << " images");
    struct Step {
        Tensor loss, of_patches;
        std::vector<Tensor> gradients, state, trained;
        contracts::Metrics metrics;
    };
    std::vector<Step> steps;
    L one = fresh;
    const auto state = built(one);
    const auto step = [&](L& loss, const std::vector<Tensor>& tensors, Whole& batch, const Group& group) {
        Step result;
        const Tensor value = on(loss, call, batch.out, group);
        value.backward();
        result.loss = value.detach();
        for (const Tensor& leaf : batch.leaves) result.gradients.push_back(leaf.grad());
        if (batch.out.patches.online.defined()) result.of_patches = batch.out.patches.online.grad();
        for (const Tensor& x : tensors)
            if (x.requires_grad()) {
                result.trained.push_back(x.grad().clone());
                x.mutable_grad() = Tensor{};
            }
        const at::NoGradGuard no_grad;
        if constexpr (contracts::Commits<L>) doppel::detail::commit_on(loss, batch.out, group, {});
        for (const Tensor& x : tensors) result.state.push_back(x.detach().clone());
        if constexpr (contracts::HasMetrics<L>) result.metrics = loss.metrics();
        return result;
    };
    for (int s = 0; s < 3; ++s) {
        Whole batch(images, views, s);
        steps.push_back(step(one, state, batch, Group{}));
    }
    as_processes(size, [&](const Group& all) {
        const Group group = sharing(all, images);
        L mine = fresh;
        const auto tensors = built(mine);
        for (int s = 0; s < 3; ++s) {
            INFO("step " << s << ", process " << group.rank());
            Whole batch = Whole(images, views, s).part(group);
            Step here = step(mine, tensors, batch, group);
            const Step& whole = steps[static_cast<std::size_t>(s)];
            Tensor mean = here.loss.clone();
            group.collectives().sum(mean);
            CHECK(close(mean / size, whole.loss, 1e-6));
            for (std::size_t i = 0; i < here.gradients.size(); ++i) {
                INFO("leaf " << i);
                const Tensor& want = whole.gradients[i];
                if (!here.gradients[i].defined() || !want.defined())
                    CHECK((!want.defined() || want.abs().max().item<double>() < 1e-9));
                else
                    CHECK(close(here.gradients[i] / size, part_of(want, group), 1e-6));
            }
            if (here.of_patches.defined())
                CHECK(close(here.of_patches / size, whole.of_patches.index_select(0, batch.patches_here), 1e-6));
            for (std::size_t i = 0; i < here.trained.size(); ++i) {
                group.collectives().sum(here.trained[i]);
                CHECK(close(here.trained[i] / size, whole.trained[i], 1e-6));
            }
            for (std::size_t i = 0; i < here.state.size(); ++i) CHECK(close(here.state[i], whole.state[i], 1e-6));
            REQUIRE(here.metrics.size() == whole.metrics.size());
            for (std::size_t i = 0; i < here.metrics.size(); ++i)
                CHECK(close(here.metrics[i].second, whole.metrics[i].second, 1e-6));
        }
    });
}

const auto pair = [](auto& loss, const Outputs& out) { return loss(out.online[0], out.target[1]); };
const auto memory = [](auto& loss, const Outputs& out) { return loss(out.online[0], out.target[1], out.memory); };
const auto whole = [](auto& loss, const Outputs& out) { return loss(out); };

using Check = std::function<void(int, std::int64_t)>;

template <class L, class Call>
Check check(std::string name, L loss, Call call, std::size_t views = 2) {
    return [=](int size, std::int64_t images) { compare(name, loss, call, size, images, views); };
}

/// By the name of the header.
std::multimap<std::string, Check> every_loss() {
    using namespace losses;
    const Tiles ring{.side = 3, .ring_above = 0}, tiles{.side = 4};
    std::multimap<std::string, Check> all;
    const auto add = [&](const std::string& header, auto... given) { all.emplace(header, check(header, given...)); };
    add("barlow_twins", BarlowTwins{}, pair);
    add("byol", Byol{}, pair);
    add("dcl", Dcl{}, pair);
    add("dcl", Dcl{.tiles = ring}, pair);
    add("dcl", Dclw{}, pair);
    add("dcl", Dclw{.through_weights = true}, pair);
    add("dino", Dino{}, whole, 3u);
    add("dino", Dino{.centering = Centering::sinkhorn}, whole, 3u);
    add("directclr", Directclr{.dims = 3}, pair);
    add("directclr", Directclr{.dims = 3, .cross_view = true}, pair);
    add("ibot", Ibot{}, whole);
    add("ibot", Ibot{.centering = Centering::sinkhorn}, whole);
    add("info_nce", InfoNce{}, memory);
    for (const Tiles& how : {Tiles{}, ring, tiles}) {
        add("info_nce", InBatchInfoNce{.temperature = 0.2, .tiles = how}, pair);
        add("info_nce", CrossViewInfoNce{.tiles = how}, pair);
        add("nnclr", Nnclr{.tiles = how}, memory);
        add("nt_xent", NtXent{.tiles = how}, pair);
        add("nt_xent", NtXent{.temperature = 0.01, .tiles = how}, whole, 3u);
    }
    add("inst_disc", InstanceSoftmax{}, [](auto& loss, Outputs out) {
        out.online.resize(1);
        return loss(out);
    });
    add("inst_disc", InstanceNce{.negatives = 6}, [](auto& loss, Outputs out) {
        out.online.resize(1);
        return loss(out);
    });
    add("koleo", Koleo{}, whole);
    add("lejepa", Lejepa{.directions = 8}, whole);
    add("mmcr", Mmcr{.lambda = 0.3}, whole);
    add("ressl", Ressl{}, memory);
    add("sigreg", Sigreg{.directions = 8}, whole);
    add("simsiam", Simsiam{}, pair);
    for (const Tiles& how : {Tiles{}, tiles}) add("supcon", Supcon{.tiles = how}, whole, 3u);
    add("swav", Swav{.prototypes = {7, 4}}, whole, 3u);
    add("swav", Swav{.prototypes = {7}, .queue = 8, .queue_from = 0}, whole, 3u);
    add("swav", Swav{.prototypes = {7}, .queue = 3, .queue_from = 0}, whole, 3u);
    add("tico", Tico{}, pair);
    add("vicreg", Vicreg{}, pair);
    add("weighted_sum", Sum{Weighted{0.5, Dino{}}, Weighted{2.0, Ibot{}}, Weighted{0.3, Koleo{}}}, whole);
    add("weighted_sum", Sum{Weighted{0.5, Dino{}}, Weighted{2.0, Sigreg{.directions = 4}}}, whole);
    add("wmse", Wmse{.w_size = 0, .eps = 0.1}, pair);
    return all;
}

}  // namespace

TEST_CASE("every loss on 2 and 3 processes, with equal and unequal shares, is that of one process with the whole batch") {
    for (const auto& [header, check] : every_loss())
        for (const auto& [size, images] : {std::pair{2, 6}, {2, 7}, {3, 7}}) check(size, images);
}

TEST_CASE("no loss is left out") {
    std::set<std::string> missing;
    for (const auto& entry : std::filesystem::directory_iterator(source_folder() / "include/doppel/losses"))
        if (entry.is_regular_file()) missing.insert(entry.path().stem().string());
    for (const auto& [header, check] : every_loss()) missing.erase(header);
    CHECK(missing == std::set<std::string>{"centering", "sinkhorn", "tiles"});  // parts of others
}

namespace {

/// Mistakes that are often made, to see that the comparison notices them.
enum class Mistake { none, backward_not_summed, not_divided, positives_not_offset, mask_not_offset };

/// NT-Xent of this process's images by the definition, with one mistake.
Tensor naive(const Tensor& z0, const Tensor& z1, const Group& group, Mistake mistake) {
    const auto n = z0.size(0), first = group.rows_before(n);
    const auto everybody = [&](const Tensor& z) {
        if (mistake != Mistake::backward_not_summed) return gathered(z, group);
        const Tensor all = gathered(z.detach(), group);  // with this process's own rows put back, as is often seen
        return at::cat({all.narrow(0, 0, first), z, all.narrow(0, first + n, all.size(0) - first - n)});
    };
    const auto unit = [](const Tensor& z) { return z / z.norm(2, 1, true); };
    const Tensor a = everybody(unit(z0)), b = everybody(unit(z1)), keys = at::cat({a, b});
    const auto images = a.size(0);
    Tensor sum = at::zeros({}, at::kDouble);
    for (std::int64_t i = 0; i < 2 * n; ++i) {
        const bool second = i >= n;
        const auto image = second ? i - n : i;
        const auto own = (second ? images : 0) + (mistake == Mistake::mask_not_offset ? 0 : first) + image;
        const auto positive = (second ? 0 : images) + (mistake == Mistake::positives_not_offset ? 0 : first) + image;
        const Tensor s = keys.mv(unit(second ? z1 : z0)[image]) / 0.5;
        sum = sum + at::cat({s.narrow(0, 0, own), s.narrow(0, own + 1, 2 * images - own - 1)}).logsumexp(0) - s[positive];
    }
    return sum / static_cast<double>(2 * n) * (mistake == Mistake::not_divided ? group.size() : 1);
}

struct Deviation {
    double loss = 0, gradient = 0;
};

/// How far `ours` is on 3 processes from `right` in one with all images.
template <class Right, class Ours>
Deviation deviation(const Right& right, const Ours& ours) {
    Tensor a = values(6, 0.2).requires_grad_(), b = values(6, 1.4).requires_grad_();
    const Tensor want = right(a, b);
    want.backward();
    Deviation most;
    as_processes(3, [&](const Group& all) {
        const Group group = sharing(all, 6);
        const Tensor x = part_of(a.detach(), group).clone().requires_grad_(), y = part_of(b.detach(), group).clone().requires_grad_();
        Tensor value = ours(x, y, group);
        value.backward();
        value = value.detach().clone();
        group.collectives().sum(value);
        most.loss = std::max(most.loss, (value / 3 - want.detach()).abs().item<double>());
        most.gradient = std::max(most.gradient, (x.grad() / 3 - part_of(a.grad(), group)).abs().max().item<double>());
    });
    return most;
}

}  // namespace

TEST_CASE("the comparison notices the frequent mistakes") {
    const auto right = [](const Tensor& a, const Tensor& b) { return losses::NtXent{}(a, b); };
    const auto with = [&](Mistake mistake) {
        return deviation(right, [&](const Tensor& a, const Tensor& b, const Group& group) { return naive(a, b, group, mistake); });
    };
    CHECK(with(Mistake::none).loss < 1e-10);
    CHECK(with(Mistake::none).gradient < 1e-10);
    CHECK(with(Mistake::backward_not_summed).loss < 1e-10);  // seen in the gradient alone
    CHECK(with(Mistake::backward_not_summed).gradient > 1e-3);
    CHECK(with(Mistake::not_divided).gradient > 1e-3);
    CHECK(with(Mistake::positives_not_offset).loss > 1e-2);
    CHECK(with(Mistake::mask_not_offset).loss > 1e-2);

    const auto koleo = [](const Tensor& a, const Tensor&) { return losses::Koleo::of_view(a); };
    const auto with_neighbors = [&](bool of_all) {
        return deviation(koleo, [&](const Tensor& a, const Tensor&, const Group& group) {
            return losses::Koleo::of_view(a, of_all ? group : Group{});
        });
    };
    CHECK(with_neighbors(true).loss < 1e-10);
    CHECK(with_neighbors(true).gradient < 1e-10);
    CHECK(with_neighbors(false).loss > 1e-2);
}

TEST_CASE("what travels: DINO's scores never do, and a loss per image sends nothing") {
    const auto bytes = [](auto loss, const auto& call, std::int64_t images) {
        return as_processes(2, [&](const Group& all) {
                   const Group group = sharing(all, images);
                   auto mine = loss;
                   built(mine);
                   Whole batch = Whole(images, 2, 0).part(group);
                   on(mine, call, batch.out, group).backward();
                   const at::NoGradGuard no_grad;
                   if constexpr (contracts::Commits<decltype(mine)>) doppel::detail::commit_on(mine, batch.out, group, {});
               })
            .bytes;
    };
    CHECK(bytes(losses::Dino{}, whole, 6) == bytes(losses::Dino{}, whole, 40));
    CHECK(bytes(losses::Dino{}, whole, 6) > 0);
    CHECK(bytes(losses::Ibot{}, whole, 6) == bytes(losses::Ibot{}, whole, 40));
    CHECK(bytes(losses::Swav{.prototypes = {7}}, whole, 6) == bytes(losses::Swav{.prototypes = {7}}, whole, 40));
    CHECK(bytes(losses::Byol{}, pair, 6) == 0);
    CHECK(bytes(losses::InfoNce{}, memory, 6) == 0);
    CHECK(bytes(losses::NtXent{}, pair, 40) > bytes(losses::NtXent{}, pair, 6));
}

TEST_CASE("in a ring no process holds the keys of all") {
    constexpr int size = 8;
    constexpr std::int64_t n = 64, width = 256;
    const auto peak = [&](std::int64_t ring_above) {
        std::int64_t most = 0;
        as_processes(size, [&](const Group& group) {
            const Tensor a = chirp({n, width}, 0.37, 0.2).requires_grad_(), b = chirp({n, width}, 0.31, 0.6).requires_grad_();
            const auto here = peak_memory([&] {
                losses::NtXent{.tiles = {.side = 16, .ring_above = ring_above}, .group = group}(a, b).backward();
            });
            most = std::max(most, here);
        });
        return most;
    };
    constexpr std::int64_t block = 2 * n * width * 8;
    const auto ring = peak(0), gathered = peak(std::int64_t{1} << 40);
    CAPTURE(ring / block, gathered / block);
    CHECK(gathered > size * block * 2);  // keys and their gradients
    CHECK(ring < size * block);
}
