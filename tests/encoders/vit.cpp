// SPDX-License-Identifier: Apache-2.0
// encoders::Vit against timm (fixtures: reference/make_vit_fixtures.py), against attention written out, and its errors.
#include <doppel/core/precision.hpp>
#include <doppel/encoders/by_name.hpp>
#include <doppel/encoders/vit.hpp>
#include <doppel/schedules/constant.hpp>
#include <doppel/losses/nt_xent.hpp>
#include <doppel/recipe/any_method.hpp>
#include <doppel/recipe/method.hpp>
#include <doppel/optim/sgd.hpp>

#include <map>
#include <set>
#include <sstream>

#include "support/noise.hpp"
#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;
using encoders::Vit;
using encoders::VitModule;

static_assert(contracts::EncoderSpec<Vit> && !contracts::BuiltModule<Vit>);

namespace {

const Vit little{.patch = 8, .image_size = 32, .dim = 48, .depth = 2, .heads = 3};

/// The net in float64 with the fixtures' weights.
VitModule filled(const Vit& spec) {
    VitModule net = spec.build();
    net->to(at::kDouble);
    const at::NoGradGuard no_grad;
    std::int64_t i = 0;
    for (const auto& item : net->named_parameters()) {
        const Tensor& p = item.value();
        const std::string& name = item.key();
        if (name == "cls_token" || name == "pos_embed")
            put_noise(p, i);
        else if (p.dim() > 1)
            put_noise(p, i, std::sqrt(6.0 * static_cast<double>(p.size(0)) / static_cast<double>(p.numel())));
        else
            put_noise(p, i, 0.25, name.find("norm") != std::string::npos && name.ends_with("weight") ? 0.75 : 0);
        ++i;
    }
    return net;
}

/// Lines of words: a kind, a name of parts between slashes, and the rest.
struct Line {
    std::string kind;
    std::vector<std::string> name, words;
    double value(std::size_t i) const { return std::stod(words.at(i)); }
    std::int64_t part(std::size_t i) const { return std::stoll(name.at(i)); }
};

std::vector<Line> lines_of(const std::string& name) {
    std::vector<Line> lines;
    for (const auto& words : fixture_lines("vit_" + name + ".txt")) {
        auto& line = lines.emplace_back(Line{.kind = words.at(0), .name = {}, .words = {words.begin() + 2, words.end()}});
        std::istringstream parts(words.at(1));
        for (std::string part; std::getline(parts, part, '/');) line.name.push_back(part);
    }
    REQUIRE(!lines.empty());
    return lines;
}

/// Rows and columns of "3x16".
std::pair<std::int64_t, std::int64_t> size_of(const std::string& text) {
    return {std::stoll(text), std::stoll(text.substr(text.find('x') + 1))};
}

/// The largest |got − expected| / (1 + |expected|), got being a row of numbers.
double difference(const Tensor& got, const Line& line, std::size_t from = 0) {
    double worst = 0;
    for (std::size_t i = from; i < line.words.size(); ++i) {
        const double is = got[static_cast<std::int64_t>(i - from)].item<double>();
        worst = std::max(worst, std::abs(is - line.value(i)) / (1 + std::abs(line.value(i))));
    }
    return worst;
}

void equals_timm(const Vit& spec, const std::string& fixture) {
    VitModule net = filled(spec);
    std::string size;
    Tensor images, features, tokens, attention;
    std::vector<std::string> names;
    std::set<std::string> kinds;
    for (const Line& line : lines_of(fixture)) {
        if (line.name[0] != size) {
            size = line.name[0];
            const auto [height, width] = size_of(size);
            net->zero_grad();
            images = noise({2, 3, height, width}, 5000).requires_grad_();
            features = net->forward(images);
            (features * noise(features.sizes(), 6000)).sum().backward();
            const at::NoGradGuard no_grad;
            tokens = net->tokens(images);
            attention = net->attention(images);
            names.clear();
        }
        INFO(fixture << ' ' << line.kind << ' ' << size << ' ' << line.name.back());
        double apart = 0;
        if (line.kind == "features") {
            apart = difference(features[line.part(1)], line);
        } else if (line.kind == "token") {
            apart = difference(tokens[line.part(1)][line.part(2)], line);
        } else if (line.kind == "attention") {
            const Tensor row = attention[line.part(1)][line.part(2)];
            apart = std::max(difference(row, line, 1), std::abs(row.sum().item<double>() - line.value(0)));
        } else {
            const std::string& name = line.name.back();
            if (line.kind == "parameter") names.push_back(name);
            const Tensor g = (line.kind == "image" ? images : net->named_parameters()[name]).grad().flatten();
            const double norm = line.value(0);
            for (const auto& [got, i] : {std::pair{g.norm(), 0U}, {g[0], 1U}, {g[-1], 2U}})
                apart = std::max(apart, std::abs(got.item<double>() - line.value(i)) / norm);
        }
        CHECK(apart < 1e-9);
        kinds.insert(line.kind);
    }
    CHECK(names == net->named_parameters().keys());
    CHECK(kinds.size() == 5);
}

/// Attention as it is defined, in plain operations: the tokens behind the last norm, and the softmax of the last block.
std::pair<Tensor, Tensor> by_definition(const VitModule& net, const Tensor& images, std::int64_t heads,
                                        std::int64_t patch) {
    const auto p = net->named_parameters();
    const auto norm = [&](const Tensor& x, const std::string& name) {
        const Tensor centered = x - x.mean(-1, true);
        return centered / (centered.pow(2).mean(-1, true) + 1e-6).sqrt() * p[name + ".weight"] + p[name + ".bias"];
    };
    const auto linear = [&](const Tensor& x, const std::string& name) {
        return x.matmul(p[name + ".weight"].t()) + p[name + ".bias"];
    };
    const std::int64_t rows = images.size(2) / patch, columns = images.size(3) / patch, dim = net->feature_dim();
    const Tensor first = p["cls_token"][0] + p["pos_embed"][0].slice(0, 0, 1);  // [1, D]
    std::vector<Tensor> tokens{first.expand({images.size(0), dim})};
    for (std::int64_t r = 0; r < rows; ++r)
        for (std::int64_t c = 0; c < columns; ++c) {
            const Tensor square = images.slice(2, r * patch, (r + 1) * patch).slice(3, c * patch, (c + 1) * patch);
            const Tensor weight = p["patch_embed.proj.weight"].flatten(1), bias = p["patch_embed.proj.bias"];
            tokens.push_back(square.flatten(1).matmul(weight.t()) + bias + p["pos_embed"][0][1 + r * columns + c]);
        }
    Tensor x = at::stack(tokens, 1), softmax;
    for (std::int64_t i = 0; p.contains("blocks." + std::to_string(i) + ".norm1.weight"); ++i) {
        const std::string block = "blocks." + std::to_string(i) + ".";
        const auto parts = linear(norm(x, block + "norm1"), block + "attn.qkv").chunk(3, -1);
        std::vector<Tensor> mixed, shares;
        for (std::int64_t h = 0; h < heads; ++h) {
            const auto head = [&](std::size_t of) { return parts[of].chunk(heads, -1)[static_cast<std::size_t>(h)]; };
            const Tensor scores = head(0).matmul(head(1).transpose(1, 2)) / std::sqrt(static_cast<double>(dim / heads));
            const Tensor raised = scores.exp();
            shares.push_back(raised / raised.sum(-1, true));
            mixed.push_back(shares.back().matmul(head(2)));
        }
        softmax = at::stack(shares, 1);  // [B, heads, T, T]
        x = x + linear(at::cat(mixed, -1), block + "attn.proj");
        const Tensor z = linear(norm(x, block + "norm2"), block + "mlp.fc1");
        x = x + linear(z * 0.5 * (1 + (z / std::sqrt(2.0)).erf()), block + "mlp.fc2");
    }
    return {norm(x, "norm"), softmax};
}

/// Leaves only the attention of one block: all other branches give zero.
void only_attention_of(VitModule& net, std::int64_t block) {
    const at::NoGradGuard no_grad;
    const std::string kept = "blocks." + std::to_string(block) + ".attn.proj.weight";
    for (const auto& item : net->named_parameters())
        if (item.key().find("attn.proj") != std::string::npos || item.key().find("fc2") != std::string::npos) {
            if (item.key() == kept)
                item.value().normal_();
            else
                item.value().zero_();
        }
}

double spread(const Tensor& p) { return p.std().item<double>(); }

/// Five standard errors of a measured standard deviation, relative.
double five_errors(const Tensor& p) { return 5 / std::sqrt(2.0 * static_cast<double>(p.numel())); }

/// All values lie within the bound, and are spread as evenly as U(±bound).
void uniform_within(const Tensor& p, double bound) {
    CHECK(p.abs().max().item<double>() <= bound * (1 + 1e-6));
    CHECK(p.abs().max().item<double>() > 0.99 * bound);
    CHECK(spread(p) == Approx(bound / std::sqrt(3.0)).epsilon(five_errors(p)));
}

std::set<std::string> names_without_gradient(torch::nn::Module& net) {
    std::set<std::string> names;
    for (const auto& item : net.named_parameters())
        if (!item.value().grad().defined()) names.insert(item.key());
    return names;
}

bool all_zero(const Tensor& x) { return x.abs().max().item<double>() == 0; }

}  // namespace

TEST_CASE("Vit has timm's outputs, tokens, attention and gradients, also at other sizes") {
    equals_timm(little, "token");
}

TEST_CASE("Vit with mean pooling has timm's fc_norm, outputs and gradients") {
    Vit vit = little;
    vit.pool = VitPool::avg;
    equals_timm(vit, "avg");
}

TEST_CASE("Vit without qkv bias and with another MLP ratio has timm's names and outputs") {
    Vit vit = little;
    vit.mlp_ratio = 2.5;
    vit.qkv_bias = false;
    equals_timm(vit, "no_bias");
}

TEST_CASE("Vit of kind ti is timm's vit_tiny_patch16_224, at 224 and at 96") {
    equals_timm({.kind = VitKind::ti}, "tiny");
}

TEST_CASE("Vit has all names and shapes of timm's vit_tiny, vit_small and vit_base, in timm's order") {
    const auto lines = lines_of("names");
    std::size_t column = 0;
    for (const VitKind kind : {VitKind::ti, VitKind::s, VitKind::b}) {
        const auto net = Vit{.kind = kind}.build();
        const auto parameters = net->named_parameters();
        CHECK(net->named_buffers().is_empty());
        REQUIRE(parameters.size() == lines.size());
        for (std::size_t i = 0; i < lines.size(); ++i) {
            std::ostringstream shape;
            for (const auto side : parameters[i].value().sizes()) shape << (shape.str().empty() ? "" : "x") << side;
            CHECK(parameters[i].key() == lines[i].name[0]);
            CHECK(shape.str() == lines[i].words.at(column));
        }
        ++column;
    }
}

TEST_CASE("Vit's kinds are the papers' sizes, and each can be overridden") {
    const auto size = [](const Vit& vit) {
        const Vit r = vit.resolved();
        return std::vector{r.dim, r.depth, r.heads};
    };
    CHECK(size({.kind = VitKind::ti}) == std::vector<std::int64_t>{192, 12, 3});
    CHECK(size({.kind = VitKind::s}) == std::vector<std::int64_t>{384, 12, 6});
    CHECK(size({.kind = VitKind::b}) == std::vector<std::int64_t>{768, 12, 12});
    CHECK(size({.kind = VitKind::l}) == std::vector<std::int64_t>{1024, 24, 16});
    CHECK(size({.heads = 12}) == std::vector<std::int64_t>{384, 12, 12});
    CHECK(size(little) == std::vector<std::int64_t>{48, 2, 3});
    CHECK(Vit{.kind = VitKind::l}.feature_dim() == 1024);
    CHECK(little.build()->feature_dim() == 48);

    CHECK(Vit{}.name() == "vit_s16");
    CHECK(Vit{.kind = VitKind::l, .patch = 14}.name() == "vit_l14");
    CHECK(Vit{.heads = 12}.name() == "vit_s16_heads12");
    CHECK(Vit{.kind = VitKind::ti, .patch = 8, .dim = 48, .depth = 2}.name() == "vit_ti8_dim48_depth2");
}

TEST_CASE("Vit's fixed positions are MoCo v3's: row first, then column, zeros for the class token") {
    std::map<std::string, Tensor> tables;
    for (const Line& line : lines_of("sin_cos")) {
        const auto [side, dim] = size_of(line.name[0]);
        auto& table = tables[line.name[0]];
        if (!table.defined()) {
            const auto net = Vit{.patch = 2, .image_size = 2 * side, .dim = dim, .depth = 1, .heads = 1,
                                 .positions = VitPositions::sin_cos}.build();
            const Tensor pos = net->named_parameters()["pos_embed"];
            CHECK_FALSE(pos.requires_grad());
            CHECK(pos.sizes() == at::IntArrayRef({1, 1 + side * side, dim}));
            CHECK(all_zero(pos[0][0]));
            table = pos[0].slice(0, 1).view({side, side, dim}).to(at::kDouble);
        }
        INFO(line.name[0]);
        if (line.kind == "row") {
            const std::int64_t step = dim / static_cast<std::int64_t>(line.words.size());
            CHECK(difference(table[line.part(1)][line.part(2)].slice(0, 0, dim, step), line) < 1e-7);
        } else {
            CHECK(table.sum().item<double>() == Approx(line.value(0)).epsilon(1e-7));
            CHECK((table * noise(table.sizes(), 7000)).sum().item<double>() == Approx(line.value(1)).epsilon(1e-6));
        }
    }
}

TEST_CASE("Vit equals attention written out, and shows the softmax that the fused path uses") {
    const std::int64_t heads = 3;
    VitModule net = filled(little);
    const Tensor images = noise({2, 3, 32, 32}, 5000);
    const at::NoGradGuard no_grad;
    const auto [tokens, softmax] = by_definition(net, images, heads, 8);
    CHECK(tokens.sizes() == at::IntArrayRef({2, 17, 48}));
    CHECK(largest_difference(net->tokens(images), tokens) < 1e-12);
    CHECK(bit_equal(net->forward(images), net->tokens(images).select(1, 0)));

    const Tensor attention = net->attention(images);
    CHECK(attention.sizes() == at::IntArrayRef({2, heads, 16}));
    CHECK(largest_difference(attention, softmax.select(2, 0).slice(2, 1)) < 1e-14);
    const Tensor own_share = softmax.select(2, 0).select(2, 0);
    CHECK(own_share.min().item<double>() > 1e-3);
    CHECK(largest_difference(attention.sum(2), 1 - own_share) < 1e-14);

    // With an identity for values, the fused path gives its weights away.
    encoders::detail::VitBlock block(little.resolved(), 0.0);
    const Tensor x = noise({2, 17, 48}, 1).to(at::kFloat);
    const auto p = block->named_parameters();
    p["attn.qkv.weight"].mul_(20);
    const Tensor normed = at::layer_norm(x, {48}, p["norm1.weight"], p["norm1.bias"], 1e-6);
    const Tensor all = at::linear(normed, p["attn.qkv.weight"], p["attn.qkv.bias"]).view({2, 17, 3, heads, 16});
    const auto parts = all.permute({2, 0, 3, 1, 4}).unbind();
    const Tensor fused = at::scaled_dot_product_attention(parts[0], parts[1], at::eye(17).expand({2, heads, 17, 17}));
    CHECK(fused.std().item<double>() > 0.02);  // far from even
    CHECK(largest_difference(block->attention(x), fused.select(2, 0)) < 1e-5);
}

TEST_CASE("Vit takes images of any size that its patches divide") {
    for (const VitPositions positions : {VitPositions::learned, VitPositions::sin_cos}) {
        auto net = Vit{.kind = VitKind::ti, .depth = 1, .positions = positions}.build();
        const at::NoGradGuard no_grad;
        for (const auto& [height, width] : {std::pair{96, 96}, {224, 224}, {240, 176}, {176, 240}, {16, 16}}) {
            const std::int64_t n = height / 16 * width / 16;
            CHECK(net->grid(height, width).rows == height / 16);
            CHECK(net->grid(height, width).columns == width / 16);
            const Tensor images = at::rand({2, 3, height, width});
            CHECK(net->forward(images).sizes() == at::IntArrayRef({2, 192}));
            CHECK(net->tokens(images).sizes() == at::IntArrayRef({2, 1 + n, 192}));
            CHECK(net->attention(images).sizes() == at::IntArrayRef({2, 3, n}));
        }
    }
    // 61, 115 and 122 patches are among those where a scale factor from 14 gives one patch too few (dinov2 PR 378).
    auto net = Vit{.patch = 2, .image_size = 28, .channels = 1, .dim = 4, .depth = 1, .heads = 1}.build();
    const at::NoGradGuard no_grad;
    for (std::int64_t side = 1; side <= 130; ++side) {
        CHECK(net->tokens(at::zeros({1, 1, 2 * side, 2})).size(1) == 1 + side);
        CHECK(net->tokens(at::zeros({1, 1, 2, 2 * side})).size(1) == 1 + side);
    }
}

TEST_CASE("Vit tells rows from columns in its positions, also between the sizes") {
    Vit vit = little;
    vit.positions = VitPositions::sin_cos;
    auto net = vit.build();
    const at::NoGradGuard no_grad;
    for (const auto& item : net->named_parameters())  // tokens are the positions alone, normalized
        if (item.key().starts_with("blocks") || item.key().starts_with("patch_embed")) item.value().zero_();
    const auto tokens = [&](std::int64_t rows, std::int64_t columns) {
        return net->tokens(at::zeros({1, 3, 8 * rows, 8 * columns})).slice(1, 1).unflatten(1, {rows, columns})[0];
    };
    for (const auto& [rows, columns] : {std::pair{4, 4}, {3, 5}, {6, 2}}) {
        const Tensor map = tokens(rows, columns), turned = tokens(columns, rows).transpose(0, 1);
        CHECK(largest_difference(map, turned) > 0.5);
        CHECK(largest_difference(map, at::cat({turned.slice(2, 24), turned.slice(2, 0, 24)}, 2)) < 1e-5);
        // The first half of the values is the row's, the second the column's; scales differ by the norm's only.
        const Tensor row = map.slice(2, 0, 24), column = map.slice(2, 24);
        CHECK(largest_difference(row.select(1, 0), row.select(1, columns - 1)) < 0.2);
        CHECK(largest_difference(row.select(0, 0), row.select(0, rows - 1)) > 0.5);
        CHECK(largest_difference(column.select(0, 0), column.select(0, rows - 1)) < 0.2);
        CHECK(largest_difference(column.select(1, 0), column.select(1, columns - 1)) > 0.5);
    }
}

TEST_CASE("Vit has gradients where it must, and only there") {
    const auto without = [](Vit vit, std::int64_t side) {
        vit.patch = 8;
        vit.image_size = 32;
        vit.dim = 48;
        vit.depth = 2;
        vit.heads = 3;
        auto net = vit.build();
        net->forward(noise({2, 3, side, side}, 1).to(at::kFloat)).pow(3).sum().backward();
        for (const auto& item : net->named_parameters()) {
            INFO(item.key());
            CHECK(item.value().requires_grad() == item.value().grad().defined());
            if (item.value().grad().defined()) CHECK_FALSE(all_zero(item.value().grad()));
        }
        return names_without_gradient(*net);
    };
    const std::set<std::string> none, table{"pos_embed"}, patches{"patch_embed.proj.weight", "patch_embed.proj.bias"};
    for (const std::int64_t side : {32, 24, 40}) {
        CHECK(without({}, side) == none);
        CHECK(without({.pool = VitPool::avg}, side) == none);
        CHECK(without({.positions = VitPositions::sin_cos}, side) == table);
        CHECK(without({.frozen_patches = true}, side) == patches);
        auto both = patches;
        both.insert("pos_embed");
        const Vit moco{.positions = VitPositions::sin_cos, .init = VitInit::moco_v3, .frozen_patches = true};
        CHECK(without(moco, side) == both);
    }
}

TEST_CASE("Vit draws its weights as timm and DINO do") {
    const auto seeded = [] {
        at::manual_seed(3);
        return Vit{.kind = VitKind::ti, .depth = 2}.build();
    };
    const auto net = seeded(), again = seeded();
    for (const auto& item : net->named_parameters()) {
        const Tensor& p = item.value();
        const std::string& name = item.key();
        INFO(name);
        CHECK(bit_equal(p, again->named_parameters()[name]));
        if (name.starts_with("patch_embed")) {
            uniform_within(p, 1 / std::sqrt(3.0 * 16 * 16));  // torch's own
        } else if (p.dim() == 1) {
            const bool scale = name.find("norm") != std::string::npos && name.ends_with("weight");
            CHECK(bit_equal(p, scale ? at::ones_like(p) : at::zeros_like(p)));
        } else {
            CHECK(spread(p) == Approx(0.02).epsilon(five_errors(p)));
            CHECK(std::abs(p.mean().item<double>()) < 5 * 0.02 / std::sqrt(static_cast<double>(p.numel())));
        }
    }
}

TEST_CASE("Vit draws its weights as MoCo v3 does") {
    at::manual_seed(3);
    for (const std::int64_t channels : {3, 1}) {
        const Vit vit{.kind = VitKind::ti, .channels = channels, .depth = 2, .init = VitInit::moco_v3};
        const auto net = vit.build();
        for (const auto& item : net->named_parameters()) {
            const Tensor& p = item.value();
            const std::string& name = item.key();
            INFO(name);
            if (name == "cls_token" || name == "pos_embed") {
                CHECK(spread(p) == Approx(name == "cls_token" ? 1e-6 : 0.02).epsilon(five_errors(p)));
            } else if (name == "patch_embed.proj.weight") {
                uniform_within(p, std::sqrt(6.0 / static_cast<double>(channels * 16 * 16 + 192)));
            } else if (p.dim() == 1) {
                const bool scale = name.find("norm") != std::string::npos && name.ends_with("weight");
                CHECK(bit_equal(p, scale ? at::ones_like(p) : at::zeros_like(p)));
            } else if (name.ends_with("qkv.weight")) {
                for (const Tensor& one : p.chunk(3)) uniform_within(one, std::sqrt(6.0 / (192 + 192)));
            } else {
                uniform_within(p, std::sqrt(6.0 / static_cast<double>(p.size(0) + p.size(1))));
            }
        }
    }
}

TEST_CASE("Vit's drop_path keeps the expectation, image by image") {
    Vit vit = little;
    vit.dim = 12;
    encoders::detail::VitBlock block(vit.resolved(), 0.4);
    block->to(at::kDouble);
    const std::int64_t n = 4000;
    const at::NoGradGuard no_grad;
    const Tensor x = noise({1, 5, 12}, 1).expand({n, 5, 12}).contiguous();
    block->eval();
    const Tensor whole = block->forward(x)[0] - x[0];
    block->train();
    at::manual_seed(7);

    block->named_parameters()["mlp.fc2.weight"].zero_();  // the attention alone: left out, or 1 / 0.6 of it
    block->named_parameters()["mlp.fc2.bias"].zero_();
    Tensor change = block->forward(x) - x;                // [n, 5, 12]
    block->eval();
    const Tensor attention = block->forward(x)[0] - x[0];
    const Tensor kept = change.abs().sum({1, 2}) > 0;
    const double share = kept.to(at::kDouble).mean().item<double>();
    CHECK(share == Approx(0.6).margin(5 * std::sqrt(0.24 / n)));
    CHECK(largest_difference(change, kept.to(at::kDouble).view({n, 1, 1}) * attention / 0.6) < 1e-12);
    CHECK(largest_difference(whole, attention) > 0.01);
}

TEST_CASE("Vit's drop_path draws for both branches of a block") {
    encoders::detail::VitBlock block(little.resolved(), 0.5);
    block->to(at::kDouble);
    const at::NoGradGuard no_grad;
    at::manual_seed(1);
    const Tensor x = noise({1, 3, 48}, 1).expand({400, 3, 48}).contiguous();
    const Tensor change = (block->forward(x) - x).select(1, 1);  // [400, 48]
    std::map<std::int64_t, int> outcomes;                        // by the sum of the values, rounded
    for (std::int64_t i = 0; i < change.size(0); ++i) ++outcomes[std::llround(change[i].sum().item<double>() * 1e4)];
    CHECK(outcomes.size() == 4);
    for (const auto& [value, count] : outcomes) CHECK(std::abs(count - 100) < 45);
}

TEST_CASE("Vit's drop_path grows from 0 in the first block to the rate in the last") {
    at::manual_seed(11);
    const std::int64_t n = 1500;
    const Tensor images = noise({1, 3, 16, 16}, 1).expand({n, 3, 16, 16}).contiguous();
    for (std::int64_t block = 0; block < 3; ++block) {
        Vit vit = little;
        vit.depth = 3;
        vit.drop_path = 0.6;
        auto net = vit.build();
        net->to(at::kDouble);
        only_attention_of(net, block);
        const at::NoGradGuard no_grad;
        net->eval();
        const Tensor with = net->forward(images.slice(0, 0, 1));
        net->train();
        const Tensor change = (net->forward(images) - with).abs().amax(1);
        only_attention_of(net, 9);  // none
        const Tensor left_out = (net->forward(images.slice(0, 0, 1)) - with).abs().amax(1);
        const double share = (change - left_out).abs().lt(1e-9).to(at::kDouble).mean().item<double>();
        const double rate = 0.3 * static_cast<double>(block);
        CHECK(share == Approx(rate).margin(5 * std::sqrt(rate * (1 - rate) / static_cast<double>(n))));
    }
}

TEST_CASE("Vit's drop_path follows torch's generator, and rests in evaluation") {
    Vit vit = little;
    vit.drop_path = 0.5;
    auto net = vit.build();
    const at::NoGradGuard no_grad;
    const Tensor images = noise({8, 3, 32, 32}, 1).to(at::kFloat);
    const auto seeded = [&](std::uint64_t seed) {
        at::manual_seed(seed);
        return net->forward(images);
    };
    const Tensor one = seeded(1);
    CHECK(bit_equal(one, seeded(1)));
    CHECK_FALSE(bit_equal(one, net->forward(images)));

    const auto draws = [&] {
        const auto generator = at::detail::getDefaultCPUGenerator();
        const Tensor before = generator.get_state();
        net->forward(images);
        return !at::equal(before, generator.get_state());
    };
    CHECK(draws());
    net->eval();
    CHECK_FALSE(draws());
    CHECK(bit_equal(net->forward(images), net->forward(images)));

    net = little.build();  // a rate of 0 draws nothing
    CHECK_FALSE(draws());
}

TEST_CASE("Vit under bf16 autocast gives float32 features near those of float32") {
    for (const VitPool pool : {VitPool::token, VitPool::avg}) {
        Vit vit = little;
        vit.pool = pool;
        vit.drop_path = 0.2;
        auto net = vit.build();
        const Tensor images = noise({4, 3, 40, 24}, 1).to(at::kFloat);
        net->eval();
        const Tensor exact = net->forward(images), tokens = net->tokens(images), attention = net->attention(images);
        const Autocast scope(at::kCPU, Precision::bf16);
        const Tensor near = net->forward(images);
        CHECK(near.scalar_type() == at::kFloat);
        CHECK(largest_difference(near, exact) < 0.05);
        CHECK(largest_difference(near, exact) > 0);
        CHECK(largest_difference(net->tokens(images), tokens) < 0.05);
        CHECK(net->attention(images).scalar_type() == at::kFloat);
        CHECK(largest_difference(net->attention(images), attention) < 1e-3);
        net->train();
        net->forward(images).pow(3).sum().backward();
        CHECK(names_without_gradient(*net).empty());
    }
}

TEST_CASE("Vit is an encoder of a Recipe, with an Ema that follows it and never drops") {
    const Vit vit{.patch = 4, .image_size = 12, .dim = 24, .depth = 3, .heads = 2, .positions = VitPositions::sin_cos,
                  .drop_path = 0.5, .init = VitInit::moco_v3, .frozen_patches = true};
    const auto ema = targets::Ema{.schedule = schedules::Constant{0.5}};
    Method method{Recipe{.encoder = vit, .target = ema, .loss = losses::NtXent{}}, {.seed = 1}};
    AnyMethod any(method);
    auto sgd = optim::Sgd{.momentum = 0.9, .weight_decay = 0.1}.build(any.trainable());
    std::map<std::string, Tensor> before;
    for (const auto& item : method->named_parameters()) before[item.key()] = item.value().detach().clone();
    CHECK(bit_equal(before.at("encoder.norm.weight"), before.at("target.encoder.norm.weight")));

    for (int step = 0; step < 2; ++step) {
        Batch batch = batch_of(6, step);
        sgd.zero_grad();
        const Tensor loss = method->forward(batch);
        CHECK(std::isfinite(loss.item<double>()));
        loss.backward();
        sgd.step(0.1);
        method->commit();
    }
    for (const auto& item : method->named_parameters()) {
        const std::string& name = item.key();
        INFO(name);
        const bool target = name.starts_with("target.");
        const bool fixed = name.find("pos_embed") != std::string::npos || name.find("patch_embed") != std::string::npos;
        CHECK(item.value().requires_grad() == !(target || fixed));
        CHECK(bit_equal(item.value(), before.at(name)) == fixed);
    }
    CHECK(any.trainable().size() == method->encoder()->parameters().size() - 3);

    const at::NoGradGuard no_grad;
    const Tensor images = batch_of(6).views[0];
    CHECK(bit_equal(method->target_encoder()->forward(images), method->target_encoder()->forward(images)));
    CHECK_FALSE(bit_equal(method->encoder()->forward(images), method->encoder()->forward(images)));
}

TEST_CASE("a Vit's name may have a number of heads and of blocks") {
    const auto named = [](const char* name) { return std::get<encoders::Vit>(encoders::from_name(name, 224).spec).resolved(); };
    CHECK((named("vit_s16").heads == 6 && named("vit_s16").depth == 12));
    CHECK((named("vit_s16h12").heads == 12 && named("vit_s16h12").patch == 16 && named("vit_s16h12").depth == 12));
    CHECK((named("vit_ti8d4").heads == 3 && named("vit_ti8d4").depth == 4));
    CHECK((named("vit_s16h12d6").heads == 12 && named("vit_s16h12d6").depth == 6));
    CHECK(encoders::from_name("vit_s16h12", 224).name() == "vit_s16_heads12");
    for (const char* wrong : {"vit_s16h", "vit_s16h0", "vit_s16d6h12", "vit_sh12", "vit_s16h12d"})
        says([&] { encoders::from_name(wrong, 224); }, {"the encoder must be", "vit_s16h12", wrong});
    says([] { encoders::from_name("vit_s16h7", 224); }, {"heads must divide dim", "384", "7"});
}

TEST_CASE("Vit says which option or shape is wrong") {
    const auto built = [](const Vit& vit) { return message_of([&] { vit.build(); }); };
    const double nan = std::nan("");
    CHECK(built({.patch = 0}) == "ViT: patch must be at least 1, got 0");
    CHECK(built({.image_size = 100}) == "ViT: image_size must be a multiple of the patch, 16, got 100");
    CHECK(mentions(built({.image_size = 0}), {"ViT: image_size", "got 0"}));
    CHECK(mentions(built({.image_size = -16}), {"ViT: image_size", "got -16"}));
    CHECK(built({.channels = 0}) == "ViT: channels must be at least 1, got 0");
    CHECK(built({.dim = -1}) == "ViT: dim must be at least 1, or 0 for that of the kind, got -1");
    CHECK(mentions(built({.depth = -2}), {"ViT: depth", "got -2"}));
    CHECK(mentions(built({.heads = -3}), {"ViT: heads", "got -3"}));
    CHECK(built({.heads = 5}) == "ViT: heads must divide dim, 384, got 5");
    CHECK(mentions(built({.mlp_ratio = 0}), {"ViT: mlp_ratio", "got 0"}));
    CHECK(mentions(built({.mlp_ratio = 0.001}), {"ViT: mlp_ratio", "got 0.001"}));
    CHECK(mentions(built({.mlp_ratio = -1}), {"ViT: mlp_ratio", "got -1"}));
    CHECK(mentions(built({.mlp_ratio = 1e300}), {"ViT: mlp_ratio", "at most 64", "got 1e+300"}));
    CHECK(mentions(built({.mlp_ratio = nan}), {"ViT: mlp_ratio", "nan"}));
    CHECK(built({.dim = 6, .heads = 2, .positions = VitPositions::sin_cos}) ==
          "ViT: dim must be a multiple of 4 for sin_cos positions, got 6");
    CHECK(built({.drop_path = 1}) == "ViT: drop_path must be at least 0 and below 1, got 1");
    CHECK(mentions(built({.drop_path = -0.1}), {"ViT: drop_path", "got -0.1"}));
    CHECK(mentions(built({.drop_path = nan}), {"ViT: drop_path", "nan"}));
    CHECK(built({.eps = 0}) == "ViT: eps must be above 0, got 0");
    CHECK(mentions(built({.eps = nan}), {"ViT: eps", "nan"}));

    auto net = little.build();
    const auto given = [&](at::IntArrayRef shape) { return message_of([&] { net->forward(at::zeros(shape)); }); };
    CHECK(given({2, 1, 32, 32}) == "ViT: images must be [B, 3, H, W], got [2, 1, 32, 32]");
    CHECK(given({3, 32, 32}) == "ViT: images must be [B, 3, H, W], got [3, 32, 32]");
    const std::string sides = "ViT: height and width must be multiples of the patch, 8, got ";
    CHECK(given({2, 3, 36, 32}) == sides + "36 x 32");
    CHECK(given({2, 3, 32, 30}) == sides + "32 x 30");
    CHECK(given({2, 3, 0, 32}) == sides + "0 x 32");
    CHECK(message_of([&] { net->tokens(at::zeros({2, 3, 7, 7})); }) == sides + "7 x 7");
    CHECK(message_of([&] { net->attention(at::zeros({2, 3, 7, 7})); }) == sides + "7 x 7");
    CHECK(message_of([&] { net->grid(8, 12); }) == sides + "8 x 12");
}

TEST_CASE("Vit masks patches behind its mask token and keeps their positions") {
    at::manual_seed(1);
    const Vit masking{.kind = VitKind::ti, .patch = 4, .image_size = 12, .dim = 24, .depth = 2, .heads = 3, .mask_token = true};
    auto module = masking.build();
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
    auto plain_spec = masking;
    plain_spec.mask_token = false;
    auto bare = plain_spec.build();
    CHECK(!bare->named_parameters().contains("mask_token"));
    CHECK(mentions(message_of([&] { bare->with_patches(images, mask); }), {"mask_token"}));
    CHECK(mentions(message_of([&] { module->with_patches(images, at::zeros({2, 8}, at::kBool)); }), {"[2, 9]", "[2, 8]"}));
}
