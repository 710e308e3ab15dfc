// SPDX-License-Identifier: Apache-2.0
// The samples of a tar file in the WebDataset layout.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/data/detail/delimited.hpp>
#include <doppel/data/detail/random_file.hpp>
#include <doppel/data/detail/tar.hpp>
#include <doppel/image/extensions.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace doppel::data::detail {

/// An image in a tar file, and the text of its label.
struct TarSample {
    std::string name{}, label{};
    std::uint64_t offset = 0;
    std::uint32_t size = 0;
};

/// What one tar file holds.
struct TarShard {
    std::vector<TarSample> samples{};
    std::map<std::string, std::int64_t> others{};  // members that are not used, by extension with its dot
    std::int64_t without_image = 0;                // samples
    std::string damage{};                          // why it was not read to its end
    std::uint64_t bytes = 0;                       // of the file
    bool has_end = true;
};

/// Groups the members that follow each other under one key, the name up to the first dot behind the folders.
class TarGroups {
public:
    TarGroups(const RandomFile& file, TarShard& shard) : file_(file), shard_(shard) {}

    void add(const TarMember& member) {
        const auto slash = member.name.rfind('/');
        const auto base = slash == std::string::npos ? 0 : slash + 1;
        const auto dot = member.name.find('.', base);
        if (dot == base || base == member.name.size()) return;  // hidden: the system's
        auto extension = dot == std::string::npos ? "" : member.name.substr(dot);
        for (char& c : extension)
            if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        if (auto key = member.name.substr(0, dot); key != key_) {
            end();
            key_ = std::move(key);
        }
        any_ = true;
        if (!take(member, extension)) count_other(extension);
    }

    /// Ends the current sample.
    void end() {
        if (has_image_) {
            sample_.label = !cls_.empty() ? cls_ : json_;
            shard_.samples.push_back(std::move(sample_));
        } else if (any_) {
            ++shard_.without_image;
        }
        sample_ = {};
        cls_.clear();
        json_.clear();
        has_image_ = any_ = false;
    }

private:
    /// Returns false for a member that is not used.
    bool take(const TarMember& member, const std::string& extension) {
        const auto last = extension.empty() ? "" : extension.substr(extension.rfind('.'));
        if (image::is_readable_extension(last)) {
            const bool is_plain = last == extension;
            if (member.size > std::numeric_limits<std::uint32_t>::max() || (has_image_ && (plain_ || !is_plain))) return false;
            if (has_image_) count_other(last);
            sample_.name = member.name;
            sample_.offset = member.offset;
            sample_.size = static_cast<std::uint32_t>(member.size);
            has_image_ = true;
            plain_ = is_plain;
            return true;
        }
        if (extension == ".cls" || extension == ".cls.txt") return !(cls_ = label_of(text_of(member, 256))).empty();
        if (extension == ".json") return !(json_ = label_of(json_label(text_of(member, 1 << 20)))).empty();
        return false;
    }

    /// Counts a member by its last extension, if that is a usual one.
    void count_other(const std::string& extension) {
        const auto last = extension.empty() ? "" : extension.substr(extension.rfind('.'));
        const bool usual = last.size() <= 12 && std::all_of(last.begin(), last.end(), [](char c) {
            return c == '.' || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        });
        ++shard_.others[usual ? last : ""];
    }

    /// A member's bytes; nothing if there are more than `most`.
    std::string text_of(const TarMember& member, std::uint64_t most) const {
        if (member.size > most) return {};
        std::vector<std::uint8_t> bytes(static_cast<std::size_t>(member.size));
        bytes.resize(file_.read(member.offset, bytes));
        return {bytes.begin(), bytes.end()};
    }

    /// A text as a label: one line; else nothing.
    static std::string label_of(const std::string& text) {
        const auto line = trimmed(std::string_view(text).substr(0, text.find('\n')));
        const bool is_text = std::none_of(line.begin(), line.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; });
        return is_text ? std::string(line) : "";
    }

    /// The label of a JSON object: its field label, class or cls, a whole number or a text.
    static std::string json_label(const std::string& text) {
        const auto object = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
        if (!object.is_object()) return {};
        for (const char* name : {"label", "class", "cls"})
            if (const auto found = object.find(name); found != object.end()) {
                if (found->is_number_integer()) return found->dump();
                if (found->is_string()) return found->get<std::string>();
            }
        return {};
    }

    const RandomFile& file_;
    TarShard& shard_;
    std::string key_{}, cls_{}, json_{};
    TarSample sample_{};
    bool has_image_ = false, plain_ = false, any_ = false;
};

/// Reads the headers of a tar file, and the labels in it. What is wrong with the file is told in `damage`; the samples before
/// that are there.
inline TarShard read_tar_shard(const std::filesystem::path& path) {
    TarShard shard;
    try {
        const RandomFile file(path);
        shard.bytes = file.size();
        Tar tar(file);
        TarGroups groups(file, shard);
        try {
            while (const auto member = tar.next()) groups.add(*member);
        } catch (const Error& problem) { shard.damage = problem.what(); }
        groups.end();
        shard.has_end = tar.has_end();
    } catch (const Error& problem) { shard.damage = problem.what(); }
    return shard;
}

}  // namespace doppel::data::detail
