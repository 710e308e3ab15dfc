// SPDX-License-Identifier: Apache-2.0
// What the operations of a pipeline drew for a view, in words.
#pragma once

#include <doppel/augment/color_jitter.hpp>
#include <doppel/augment/operation.hpp>
#include <doppel/image/crop.hpp>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace doppel::augment::detail {

/// Lines such as "random_resized_crop: 120x98 at (31, 12)", one for each operation.
class Told {
public:
    template <class Operation, class Drawn>
    void add(const Operation& operation, const Drawn& drawn) {
        std::string name = "custom";
        if constexpr (requires { operation.describe(); }) name = operation.describe();
        name.resize(std::min(name.find('('), name.size()));
        const std::string what = text(drawn);
        lines_.push_back(what.empty() ? name : name + ": " + what);
    }
    std::vector<std::string> lines() && { return std::move(lines_); }

private:
    static std::string number(const char* format, double value) {
        char buffer[32];
        std::snprintf(buffer, sizeof buffer, format, value);
        return buffer;
    }
    static std::string text(std::monostate) { return {}; }
    static std::string text(const image::Rect& part) {
        return std::to_string(part.width) + "x" + std::to_string(part.height) + " at (" + std::to_string(part.left) + ", " +
               std::to_string(part.top) + ")";
    }
    static std::string text(bool applied) { return applied ? "yes" : "no"; }
    static std::string text(const std::optional<double>& sigma) { return sigma ? "sigma " + number("%.2f", *sigma) : "no"; }
    static std::string text(const std::optional<JitterParameters>& drawn) {
        if (!drawn) return "no";
        std::string all;
        const auto one = [&](const char* name, const std::optional<double>& value, const char* format) {
            if (value) all += (all.empty() ? "" : ", ") + std::string(name) + " " + number(format, *value);
        };
        for (const Jitter part : drawn->order) {
            if (part == Jitter::brightness) one("brightness", drawn->brightness, "%.2f");
            if (part == Jitter::contrast) one("contrast", drawn->contrast, "%.2f");
            if (part == Jitter::saturation) one("saturation", drawn->saturation, "%.2f");
            if (part == Jitter::hue) one("hue", drawn->hue, "%+.3f");
        }
        return all;
    }
    template <class... Drawn>
    static std::string text(const std::variant<Drawn...>& drawn) {
        return std::visit([](const auto& one) { return text(one); }, drawn);
    }

    std::vector<std::string> lines_;
};

}  // namespace doppel::augment::detail
