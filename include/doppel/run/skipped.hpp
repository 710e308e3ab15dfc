// SPDX-License-Identifier: Apache-2.0
// The images that a run skips, and the list of them in its folder.
#pragma once

#include <doppel/run/messages.hpp>
#include <doppel/core/error.hpp>
#include <doppel/core/group.hpp>
#include <doppel/data/damaged_images.hpp>
#include <doppel/data/open.hpp>
#include <doppel/image/formats.hpp>
#include <doppel/io/atomic_file.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace doppel::run {

namespace detail {

/// Returns what to say of skipped files: a line for each format that the build lacks, and one for the others.
inline std::vector<std::string> lines_of(std::vector<std::string> files, std::span<const image::FormatInfo> formats) {
    std::vector<std::string> lines;
    for (const auto& info : formats) {
        if (info.readable) continue;
        const auto why = image::why_unreadable(info);
        const auto count = std::erase_if(files, [&](const std::string& file) { return file.ends_with(": " + why); });
        if (count > 0) lines.push_back(fmt::format("skipped {} {} file{}: {}", count, info.name, count == 1 ? "" : "s", why));
    }
    if (files.size() == 1)
        lines.push_back("skipped what cannot be used: " + files.front());
    else if (!files.empty())
        lines.push_back(fmt::format("skipped {} files or folders that cannot be used: {}, …", files.size(), files.front()));
    return lines;
}

}  // namespace detail

/// Collects what is skipped of a run's images: files and folders that cannot be used, and images that turn out to be
/// damaged. With `strict` each of them ends the run.
class Skipped {
public:
    explicit Skipped(bool strict) {
        if (strict) return;
        const auto say_first = [this](const data::Damage& report) {
            if (++said_ <= 3)
                say("skipped a damaged image: {}", report.reason);
            else if (said_ == 4)
                say("more damaged images are skipped; skipped.jsonl in the run folder lists them");
        };
        train = std::make_shared<data::DamagedImages>(say_first);
        validation = std::make_shared<data::DamagedImages>(say_first);
        bank = std::make_shared<data::DamagedImages>(say_first);
    }
    Skipped(const Skipped&) = delete;
    Skipped& operator=(const Skipped&) = delete;

    /// Files and folders that data::open() skipped.
    void add_files(const std::vector<std::string>& files) {
        files_ = files;
        if (files.empty()) return;
        require(train != nullptr, files.front(), files.size() > 1 ? " (and " + std::to_string(files.size() - 1) + " more)" : "",
                ": cannot be used, and --strict skips none");
        for (const auto& line : detail::lines_of(files, image::formats)) say("{}", line);
    }

    /// The first process learns which images the others skipped.
    void tell_first(const Group& group) {
        if (group.alone() || !train) return;
        const auto pairs = [](const std::vector<data::Damage>& list) {
            auto all = nlohmann::json::array();
            for (const auto& [index, reason] : list) all.push_back({index, reason});
            return all;
        };
        auto own = nlohmann::json::array();
        for (const auto& damage : {train, validation, bank}) own.push_back({pairs(damage->list()), pairs(damage->notes())});
        const auto all = group.collectives().texts(own.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
        for (std::size_t r = 1; group.first() && r < all.size(); ++r) {
            const auto theirs = nlohmann::json::parse(all[r]);
            for (std::size_t i = 0; const auto& damage : {train, validation, bank}) {
                for (const auto& one : theirs[i][0]) damage->record(one[0].get<std::int64_t>(), one[1].get<std::string>());
                for (const auto& one : theirs[i][1]) damage->note(one[0].get<std::int64_t>(), one[1].get<std::string>());
                ++i;
            }
        }
    }

    std::size_t count() const {
        return files_.size() + (train ? train->list().size() + validation->list().size() + bank->list().size() : 0);
    }

    /// Returns the number of images that are used although the end of their file is damaged or missing.
    std::size_t count_noted() const {
        return train ? train->notes().size() + validation->notes().size() + bank->notes().size() : 0;
    }

    /// Returns what was skipped, up to `most`, with the reason: for the report.
    std::vector<std::string> reasons(std::size_t most) const {
        std::vector<std::string> list(files_.begin(), files_.begin() + static_cast<std::ptrdiff_t>(std::min(files_.size(), most)));
        if (!train) return list;
        for (const auto& damage : {train, validation, bank})
            for (const auto& [index, reason] : damage->list())
                if (list.size() < most) list.push_back(reason);
        return list;
    }

    /// Writes skipped.jsonl when there is something to list: a line each, sorted; at the end the images that are used
    /// although the end of their file is damaged or missing.
    void write(const std::filesystem::path& folder) const {
        if (count() + count_noted() == 0) return;
        std::string lines;
        const auto add = [&](nlohmann::ordered_json line) {
            lines += line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + '\n';
        };
        for (const auto& why : files_) add({{"reason", why}});
        const auto splits = {std::pair("train", train), std::pair("validation", validation), std::pair("bank", bank)};
        for (const auto& [split, damage] : splits)
            for (const auto& [index, reason] : damage->list()) add({{"split", split}, {"image", index}, {"reason", reason}});
        for (const auto& [split, damage] : splits)
            for (const auto& [index, reason] : damage->notes())
                add({{"split", split}, {"image", index}, {"reason", reason}, {"used", true}});
        io::write_atomically(folder / "skipped.jsonl", lines);
    }

    std::shared_ptr<data::DamagedImages> train, validation, bank;  ///< null when strict

private:
    std::vector<std::string> files_;
    std::atomic<int> said_{0};
};

}  // namespace doppel::run
