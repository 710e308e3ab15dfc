// SPDX-License-Identifier: Apache-2.0
// Encoders by name, for command lines.
#pragma once

#include <doppel/contracts/encoder.hpp>
#include <doppel/core/error.hpp>
#include <doppel/encoders/module.hpp>
#include <doppel/encoders/resnet.hpp>
#include <doppel/encoders/vit.hpp>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>

namespace doppel::encoders {

/// A shipped encoder chosen at run time, so that a program for all of them is compiled once.
///
///     encoders::ByName encoder = encoders::from_name("vit_ti4", 32);
///     Recipe{.encoder = encoder, ...}
class ByName {
public:
    ByName() : spec(ResNet{}) {}
    ByName(ResNet net) : spec(net) {}  // NOLINT: implicit by intent
    ByName(Vit net) : spec(net) {}     // NOLINT: implicit by intent

    std::shared_ptr<Module> build() const {
        return std::visit([](const auto& net) -> std::shared_ptr<Module> { return net.build().ptr(); }, spec);
    }
    std::string name() const {
        return std::visit([](const auto& net) { return net.name(); }, spec);
    }
    bool is_vit() const { return std::holds_alternative<Vit>(spec); }

    std::variant<ResNet, Vit> spec;
};

namespace detail {
/// Parses all of `text` as a number; returns false if it is not one.
template <class Number>
bool read_number(std::string_view text, Number& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size();
}
}  // namespace detail

/// Returns our name for timm's or torchvision's: "vit_s16" for "vit_small_patch16_224", "vit_b16" for "vit_b_16". Other names
/// stay as they are.
inline std::string short_name(std::string_view name) {
    for (const auto& [theirs, kind] : {std::pair("vit_tiny", "ti"), {"vit_small", "s"}, {"vit_base", "b"}, {"vit_large", "l"},
                                       {"deit_tiny", "ti"}, {"deit_small", "s"}, {"deit_base", "b"}}) {
        const std::string start = std::string(theirs) + "_patch";
        if (name.starts_with(start)) return "vit_" + std::string(kind) + std::string(name.substr(start.size(), name.find('_', start.size()) - start.size()));
    }
    for (const std::string start : {"vit_b_", "vit_l_"})
        if (name.starts_with(start)) return start.substr(0, 5) + std::string(name.substr(start.size()));
    return std::string(name);
}

/// Returns the encoder of a name: resnet18, resnet34, resnet50, resnet101, optionally with a width as in resnet18x0.25;
/// vit_ti16, vit_s16, vit_b16, vit_l16, where the number is the patch size, optionally with a number of heads, of blocks,
/// or both, as in vit_s16h12 (MoCo v3's), vit_ti8d4 and vit_s16h12d6; timm's and torchvision's names of these
/// (vit_small_patch16_224, vit_b_16; a size at the end is ignored). `image_size` is the side of the views.
/// Throws Error for other names, with the allowed ones, and for a patch size that does not divide the side.
inline ByName from_name(std::string_view given, std::int64_t image_size, std::int64_t channels = 3,
                        Stem stem = Stem::imagenet) {
    const std::string own = short_name(given);
    const std::string_view name = own;
    const auto reject = [&] {
        fail("the encoder must be resnet18, resnet34, resnet50 or resnet101, optionally with a width as in "
             "resnet18x0.25, or vit_ti, vit_s, vit_b or vit_l with the patch size as in vit_s16, optionally with a "
             "number of heads as in vit_s16h12 and of blocks as in vit_ti8d4, got '",
             given, "'");
    };
    if (name.starts_with("resnet")) {
        ResNet net{.stem = stem, .channels = channels};
        const auto rest = name.substr(6);
        const auto cut = std::min(rest.find('x'), rest.size());
        if (!detail::read_number(rest.substr(0, cut), net.depth)) reject();
        if (net.depth != 18 && net.depth != 34 && net.depth != 50 && net.depth != 101) reject();
        if (cut < rest.size() && !detail::read_number(rest.substr(cut + 1), net.width)) reject();
        net.base();  // rejects a width out of range
        return net;
    }
    for (const auto kind : {VitKind::ti, VitKind::s, VitKind::b, VitKind::l}) {
        const auto start = "vit_" + std::string(name_of(kind));
        if (!name.starts_with(start)) continue;
        Vit net{.kind = kind, .image_size = image_size, .channels = channels};
        auto rest = name.substr(start.size());
        const auto cut_off = [&](char letter, auto& value) {  // "12" of "16h12" and the letter h
            const auto cut = std::min(rest.find(letter), rest.size());
            if (cut < rest.size() && (!detail::read_number(rest.substr(cut + 1), value) || value < 1)) reject();
            rest = rest.substr(0, cut);
        };
        cut_off('d', net.depth);
        cut_off('h', net.heads);
        if (!detail::read_number(rest, net.patch) || net.patch < 1) reject();
        require(image_size % net.patch == 0, "the encoder ", name, " splits images into patches of ", net.patch,
                " px: the image size must be a multiple of that, got ", image_size);
        net.resolved();  // rejects invalid options
        return net;
    }
    reject();
    return {};
}

static_assert(contracts::EncoderSpec<ByName> && contracts::PatchEncoder<decltype(ByName{}.build())>);

}  // namespace doppel::encoders
