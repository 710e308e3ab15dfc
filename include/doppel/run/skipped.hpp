// SPDX-License-Identifier: Apache-2.0
// The images that a run skips, and the list of them in its folder.
#pragma once

#include <doppel/run/messages.hpp>
#include <doppel/core/error.hpp>
#include <doppel/data/damaged_images.hpp>
#include <doppel/data/open.hpp>
#include <doppel/io/atomic_file.hpp>

#include <nlohmann/json.hpp>

#include <atomic>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace doppel::run {

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
        if (files.size() == 1)
            say("skipped what cannot be used: {}", files.front());
        else
            say("skipped {} files or folders that cannot be used: {}, …", files.size(), files.front());
    }

    std::size_t count() const {
        return files_.size() + (train ? train->list().size() + validation->list().size() + bank->list().size() : 0);
    }

    /// Writes skipped.jsonl when there is something to list: a line each, sorted.
    void write(const std::filesystem::path& folder) const {
        if (count() == 0) return;
        std::string lines;
        const auto add = [&](nlohmann::ordered_json line) {
            lines += line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + '\n';
        };
        for (const auto& why : files_) add({{"reason", why}});
        for (const auto& [split, damage] : {std::pair("train", train), std::pair("validation", validation), std::pair("bank", bank)})
            for (const auto& [index, reason] : damage->list()) add({{"split", split}, {"image", index}, {"reason", reason}});
        io::write_atomically(folder / "skipped.jsonl", lines);
    }

    std::shared_ptr<data::DamagedImages> train, validation, bank;  ///< null when strict

private:
    std::vector<std::string> files_;
    std::atomic<int> said_{0};
};

}  // namespace doppel::run
