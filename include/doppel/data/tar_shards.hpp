// SPDX-License-Identifier: Apache-2.0
// Images in tar files, in the layout of WebDataset.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/data/dataset.hpp>
#include <doppel/data/detail/file_kinds.hpp>
#include <doppel/data/detail/label_texts.hpp>
#include <doppel/data/detail/random_file.hpp>
#include <doppel/data/detail/tar_samples.hpp>
#include <doppel/data/progress.hpp>
#include <doppel/image/decode.hpp>
#include <doppel/image/image.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace doppel::data {

/// The images of tar files, which are read from there when they are needed. Members that follow each other and have one name up
/// to the first dot are a sample: 0001.jpg with 0001.cls, 0001.cls.txt (the label as text) or 0001.json (its field label or
/// class). Samples without an image and other members are not used, and notes() counts them. Opening reads the headers only,
/// several shards at a time; in memory are about 50 bytes per image.
///
/// The images before a damaged place of a shard are used; skipped() names shard and byte.
/// Throws Error, with the path, if there is no image, or if more than half of the shards are damaged before their first one.
/// `image` throws as image::decode does, and UnreadableImage if the shard cannot be read any more.
/// Source: Aizman, Maltby, Breuel, "High Performance I/O For Large Scale Deep Learning", 2019.
///
///     data::TarShards photos({"shards/000000.tar", "shards/000001.tar"});
class TarShards {
public:
    explicit TarShards(std::vector<std::filesystem::path> paths, const Progress& progress = {}) : paths_(std::move(paths)) {
        require(!paths_.empty(), "TarShards: got no files, expected at least one");
        auto shards = read(progress);
        detail::LabelTexts labels;
        std::vector<std::int64_t> numbers;
        detail::OtherFiles others;
        detail::Fingerprint print;
        std::int64_t without_image = 0, without_end = 0, empty = 0;
        for (std::size_t s = 0; s < shards.size(); ++s) {
            auto& shard = shards[s];
            if (!shard.damage.empty())
                skipped_.push_back(shard.damage + "; " + std::to_string(shard.samples.size()) + " images before that are used");
            if (!shard.damage.empty() && shard.samples.empty()) ++empty;
            print.add(paths_[s].filename().string());
            print.add(std::to_string(shard.bytes));
            for (const auto& sample : shard.samples) {
                print.add(sample.name);
                print.add(std::to_string(sample.size));
                print.add(sample.label);
                samples_.push_back({sample.offset, names_.size(), sample.size, static_cast<std::uint32_t>(s),
                                    static_cast<std::uint32_t>(sample.name.size()), 0});
                names_ += sample.name;
                numbers.push_back(labels.add(sample.label));
            }
            if (!shard.samples.empty()) sizes_.push_back(static_cast<std::int64_t>(shard.samples.size()));
            for (const auto& [extension, count] : shard.others)
                for (std::int64_t i = 0; i < count; ++i) others.add(extension);
            without_image += shard.without_image;
            without_end += shard.damage.empty() && !shard.has_end ? 1 : 0;
            shard = {};
        }
        require(!samples_.empty(), "data: no image in ", paths_.size() == 1 ? "" : "the shards from ", paths_.front().string(),
                skipped_.empty() ? ", expected members as 0001.jpg" : ": " + skipped_.front(), others.empty() ? "" : ", but " + others.text());
        if (2 * empty > static_cast<std::int64_t>(paths_.size()))
            fail("data: ", empty, " of ", paths_.size(), " shards cannot be read: ", skipped_.front());
        const auto classes = labels.classes();
        classes_ = classes.names;
        for (std::size_t i = 0; i < samples_.size(); ++i) samples_[i].label = static_cast<std::int32_t>(classes.label(numbers[i]));
        fingerprint_ = print.text();
        if (!others.empty()) notes_.push_back("in the shards, not used: " + others.text());
        if (without_image > 0) notes_.push_back("in the shards, samples without an image: " + std::to_string(without_image));
        if (without_end > 0)
            notes_.push_back("shards that lack the end marker of a tar file, which may be truncated between two members: " + std::to_string(without_end));
    }

    std::int64_t size() const { return static_cast<std::int64_t>(samples_.size()); }
    Image image(std::int64_t i) const { return image::decode(encoded(i), name(i)); }
    DecodedPart decode(std::int64_t i, const Needs& needs, Image& into) const { return decode_needed(encoded(i), name(i), needs, into); }
    std::int64_t label(std::int64_t i) const { return at(i).label; }
    const std::vector<std::string>& classes() const { return classes_; }
    /// Returns how many images each shard has; shards without images do not count.
    const std::vector<std::int64_t>& shards() const { return sizes_; }
    /// Returns a hash of the shards' names and sizes and of their images' names, sizes and labels.
    const std::string& fingerprint() const { return fingerprint_; }
    /// Returns the damaged shards, with the byte and what is wrong there.
    const std::vector<std::string>& skipped() const { return skipped_; }
    /// Returns what else is not used, one line for each kind of thing.
    const std::vector<std::string>& notes() const { return notes_; }

private:
    struct Sample {
        std::uint64_t offset, name;  // in the shard, in names_
        std::uint32_t size, shard, name_length;
        std::int32_t label;
    };

    /// The shard and the member of image i, for messages.
    std::string name(std::int64_t i) const {
        return paths_[at(i).shard].string() + ": " + names_.substr(at(i).name, at(i).name_length);
    }

    /// The bytes of image i's file.
    std::vector<std::uint8_t> encoded(std::int64_t i) const {
        const Sample& sample = at(i);
        const detail::RandomFile file(paths_[sample.shard]);
        if (sample.offset + sample.size > file.size()) throw UnreadableImage("data: " + name(i) + ": the shard has become shorter");
        std::vector<std::uint8_t> bytes(sample.size);
        bytes.resize(file.read(sample.offset, bytes));
        return bytes;
    }

    const Sample& at(std::int64_t i) const { return samples_.at(static_cast<std::size_t>(i)); }

    std::vector<detail::TarShard> read(const Progress& progress) const {
        std::vector<detail::TarShard> shards(paths_.size());
        std::atomic<std::size_t> next{0};
        detail::Ticker ticker(progress);
        std::vector<std::exception_ptr> problems(std::min<std::size_t>(paths_.size(), std::max(1U, std::thread::hardware_concurrency())));
        const auto work = [&](std::size_t thread) {
            try {
                for (std::size_t s; (s = next++) < shards.size();) {
                    shards[s] = detail::read_tar_shard(paths_[s]);
                    if (thread == 0)
                        ticker.tick([&] { return "read the headers of " + std::to_string(s + 1) + " of " + std::to_string(shards.size()) + " shards"; });
                }
            } catch (...) { problems[thread] = std::current_exception(); }
        };
        std::vector<std::thread> threads;
        for (std::size_t t = 1; t < problems.size(); ++t) threads.emplace_back(work, t);
        work(0);
        for (auto& thread : threads) thread.join();
        for (const auto& problem : problems)
            if (problem) std::rethrow_exception(problem);
        return shards;
    }

    std::vector<std::filesystem::path> paths_;
    std::vector<Sample> samples_;
    std::string names_;
    std::vector<std::string> classes_, skipped_, notes_;
    std::vector<std::int64_t> sizes_;
    std::string fingerprint_;
};

static_assert(ImageSource<TarShards> && PartSource<TarShards> && ListedSource<TarShards> && ShardedSource<TarShards>);

}  // namespace doppel::data
