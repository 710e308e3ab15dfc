// SPDX-License-Identifier: Apache-2.0
// What a program must know of an encoder's architecture to load its weights.
#pragma once

#include <doppel/encoders/by_name.hpp>
#include <doppel/weights/python_snippet.hpp>

#include <concepts>
#include <map>
#include <sstream>
#include <string>
#include <variant>

namespace doppel::weights {

/// An encoder in words, and its architecture as metadata of encoder.safetensors.
struct EncoderInfo {
    std::string text = "a custom encoder";  ///< "resnet18, cifar stem"
    std::map<std::string, std::string> metadata{{"arch", "custom"}};  ///< "python" builds the network: see python_network()
};

inline EncoderInfo encoder_info(const encoders::ByName& encoder) {
    const auto number = [](const auto& value) {
        std::ostringstream out;
        out << value;
        return out.str();
    };
    EncoderInfo info{.text = encoder.name(), .metadata = {}};
    if (const auto* net = std::get_if<encoders::ResNet>(&encoder.spec)) {
        info.text += ", " + std::string(name_of(net->stem)) + " stem";
        info.metadata = {{"arch", "resnet" + number(net->depth)}, {"width", number(net->width)}, {"stem", std::string(name_of(net->stem))}};
    } else if (const auto* vit = std::get_if<encoders::Vit>(&encoder.spec)) {
        info.metadata = {{"arch", vit->name()}, {"patch", number(vit->patch)}, {"heads", number(vit->resolved().heads)}};
    }
    info.metadata["python"] = python_network(encoder);
    return info;
}

/// What the recipe's encoder tells, else `otherwise`.
template <class R>
EncoderInfo encoder_info_of(const R& recipe, const EncoderInfo& otherwise) {
    if constexpr (requires { { recipe.encoder } -> std::convertible_to<encoders::ByName>; })
        return encoder_info(recipe.encoder);
    else
        return otherwise;
}

}  // namespace doppel::weights
