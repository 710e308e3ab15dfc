// SPDX-License-Identifier: Apache-2.0
// Which folders have the name of a split.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace doppel::data::detail {

enum class Role { train, validation, test };

/// A name as a split's word and the words beside it: "seg_train" is train and "seg".
struct SplitName {
    Role role = Role::train;
    std::string rest{};
};

/// Returns the words of a name in lower case: separated by other characters than letters, and at trainImages and val2017.
inline std::vector<std::string> words_of(std::string_view name) {
    const auto is_small = [](char c) { return c >= 'a' && c <= 'z'; };
    const auto is_large = [](char c) { return c >= 'A' && c <= 'Z'; };
    std::vector<std::string> words;
    for (std::size_t i = 0; i < name.size(); ++i) {
        const char c = name[i];
        const bool other_bytes = static_cast<unsigned char>(c) >= 0x80;
        if (!is_small(c) && !is_large(c) && !other_bytes) continue;
        const char before = i == 0 ? ' ' : name[i - 1];
        const bool inside = is_small(before) || static_cast<unsigned char>(before) >= 0x80 || (is_large(before) && is_large(c)) ||
                            (is_large(before) && words.back().size() == 1);
        if (words.empty() || !inside || (is_small(before) && is_large(c))) words.emplace_back();
        words.back() += is_large(c) ? static_cast<char>(c - 'A' + 'a') : c;
    }
    return words;
}

/// Reads a folder's name as that of a split; nothing if no word of it says so.
inline std::optional<SplitName> split_name(std::string_view name) {
    using namespace std::string_view_literals;
    constexpr std::array train{"train"sv, "training"sv, "trainset"sv, "trainingset"sv, "trainval"sv, "trn"sv};
    constexpr std::array validation{"val"sv, "valid"sv, "validation"sv, "validate"sv, "validating"sv, "valset"sv,
                                    "validationset"sv, "dev"sv, "devel"sv, "devset"sv, "eval"sv, "evaluation"sv,
                                    "holdout"sv};
    constexpr std::array test{"test"sv, "testing"sv, "testset"sv, "testingset"sv, "tst"sv};
    constexpr std::array filler{"set"sv, "split"sv, "data"sv, "dataset"sv, "image"sv, "images"sv, "img"sv, "imgs"sv,
                                "picture"sv, "pictures"sv, "photo"sv, "photos"sv, "folder"sv, "the"sv};
    const auto in = [](const auto& list, const std::string& word) {
        return std::find(list.begin(), list.end(), word) != list.end();
    };
    std::optional<SplitName> found;
    std::string rest;
    for (const auto& word : words_of(name)) {
        const auto role = in(train, word)        ? std::optional(Role::train)
                          : in(validation, word) ? std::optional(Role::validation)
                          : in(test, word)       ? std::optional(Role::test)
                                                 : std::nullopt;
        if (role && found && found->role != *role) return std::nullopt;
        if (role)
            found = SplitName{*role};
        else if (!in(filler, word))
            rest += " " + word;
    }
    if (found) found->rest = rest;
    return found;
}

/// Returns the split that each folder of a list is by its name. A name with more words than the split's, as seg_train,
/// counts only beside another split of the same words, as seg_test.
inline std::vector<std::optional<Role>> roles_of(const std::vector<std::string>& names) {
    std::vector<std::optional<SplitName>> read;
    for (const auto& name : names) read.push_back(split_name(name));
    std::vector<std::optional<Role>> roles;
    for (const auto& mine : read) {
        const auto is_sibling = [&](const auto& other) {
            return other && other->rest == mine->rest && other->role != mine->role;
        };
        const bool counts = mine && (mine->rest.empty() || std::any_of(read.begin(), read.end(), is_sibling));
        roles.push_back(counts ? std::optional(mine->role) : std::nullopt);
    }
    return roles;
}

}  // namespace doppel::data::detail
