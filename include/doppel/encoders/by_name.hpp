// SPDX-License-Identifier: Apache-2.0
// An encoder by its name: what a command line chooses.
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

/// One of the shipped encoders, so that a program for all of them is compiled once.
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
/// The number that all of `text` is; false when it is none.
template <class Number>
bool read_number(std::string_view text, Number& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size();
}
}  // namespace detail

/// The encoder that a name means: resnet18, resnet34, resnet50, resnet101, with a width as in resnet18x0.25; vit_ti16,
/// vit_s16, vit_b16, vit_l16, the number being the side of a patch, with a number of blocks as in vit_ti8d4. `image_size` is the side of the views.
/// Throws Error for other names, with what they may be, and for a patch that does not divide the side.
inline ByName from_name(std::string_view name, std::int64_t image_size, std::int64_t channels = 3, Stem stem = Stem::imagenet) {
    const auto refuse = [&] {
        fail("the encoder must be resnet18, resnet34, resnet50 or resnet101, with a width as in resnet18x0.25 if wanted, "
             "or vit_ti, vit_s, vit_b or vit_l with the side of a patch as in vit_s16 and a number of blocks as in "
             "vit_ti8d4 if wanted, got '",
             name, "'");
    };
    if (name.starts_with("resnet")) {
        ResNet net{.stem = stem, .channels = channels};
        const auto rest = name.substr(6);
        const auto cut = std::min(rest.find('x'), rest.size());
        if (!detail::read_number(rest.substr(0, cut), net.depth)) refuse();
        if (net.depth != 18 && net.depth != 34 && net.depth != 50 && net.depth != 101) refuse();
        if (cut < rest.size() && !detail::read_number(rest.substr(cut + 1), net.width)) refuse();
        net.base();  // refuses a width out of range
        return net;
    }
    for (const auto kind : {VitKind::ti, VitKind::s, VitKind::b, VitKind::l}) {
        const auto start = "vit_" + std::string(name_of(kind));
        if (!name.starts_with(start)) continue;
        Vit net{.kind = kind, .image_size = image_size, .channels = channels};
        const auto rest = name.substr(start.size());
        const auto cut = std::min(rest.find('d'), rest.size());
        if (!detail::read_number(rest.substr(0, cut), net.patch) || net.patch < 1) refuse();
        if (cut < rest.size() && (!detail::read_number(rest.substr(cut + 1), net.depth) || net.depth < 1)) refuse();
        require(image_size % net.patch == 0, "the encoder ", name, " cuts images into patches of ", net.patch,
                " px: their side must be a multiple of that, got ", image_size);
        net.resolved();  // refuses what does not fit
        return net;
    }
    refuse();
    return {};
}

static_assert(contracts::EncoderSpec<ByName> && contracts::PatchEncoder<decltype(ByName{}.build())>);

}  // namespace doppel::encoders
