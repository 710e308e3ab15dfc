// SPDX-License-Identifier: Apache-2.0
// A data set in one file, which is read where it lies: what data::pack writes.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/data/dataset.hpp>
#include <doppel/data/detail/mapped_file.hpp>
#include <doppel/data/detail/packed_format.hpp>
#include <doppel/data/split.hpp>
#include <doppel/image/decode.hpp>
#include <doppel/image/detail/file.hpp>
#include <doppel/image/image.hpp>
#include <doppel/io/detail/crc.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace doppel::data {

/// The training or the validation images of a packed file, which is mapped into memory: copies and threads share it.
///
/// The file, version 1; numbers are little-endian, a text follows its length in 4 bytes:
///
///     "doppel packed\r\n\x1a", version (8 bytes)
///     the images one after the other, each an image file: JPEG, PPM, PGM, or what it was before
///     index: parts (4); per part its name, "train" or "validation", classes (4), their names, records (8),
///            per record offset (8), bytes (8), label (8), width (4), height (4), channels (4), CRC-32 (4), name
///     offset of the index (8), its bytes (8), its CRC-32 (4), version (4)
///
/// The index is verified when the file is opened, an image when it is first read; one whose checksum differs throws
/// DamagedImage with its name. A file that is removed or replaced while it is open stays readable.
///
/// Throws Error for a file that cannot be read, is none of these, is truncated or of another version, or whose index is
/// damaged.
///
///     data::Packed photos("photos.dop");
///     Image first = photos.image(0);
class Packed {
public:
    explicit Packed(const std::filesystem::path& file, Split split = Split::train)
        : file_(std::make_shared<File>(file)), part_(&file_->part(split)) {}

    /// Returns whether a file begins as a packed file does; false if it cannot be read.
    static bool is_packed(const std::filesystem::path& file) {
        try {
            const auto start = image::detail::read_start(file, detail::packed_magic.size(), "packed");
            return std::equal(start.begin(), start.end(), detail::packed_magic.begin(), detail::packed_magic.end());
        } catch (const Error&) { return false; }
    }
    /// Returns the training and the validation images of a file, which is opened once.
    static std::pair<Packed, Packed> both(const std::filesystem::path& file) {
        Packed train(file), validation = train;
        validation.part_ = &train.file_->part(Split::test);
        return {std::move(train), std::move(validation)};
    }

    std::int64_t size() const { return static_cast<std::int64_t>(part_->records.size()); }
    Image image(std::int64_t i) const { return image::decode(encoded(i), name(i)); }
    DecodedPart decode(std::int64_t i, const Needs& needs, Image& into) const {
        return decode_needed(encoded(i), record(i).name, needs, into, {.trusted = true});
    }
    std::int64_t label(std::int64_t i) const { return record(i).label; }
    const std::vector<std::string>& classes() const { return part_->classes; }
    std::string fingerprint() const {
        detail::Fingerprint print;
        for (const auto& r : part_->records) {
            print.add(r.name);
            print.add(std::to_string(r.label) + " " + std::to_string(r.checksum));
        }
        return print.text();
    }
    /// Returns the size of image(i) without decoding it.
    Shape shape(std::int64_t i) const {
        const auto& r = record(i);
        return {static_cast<int>(r.width), static_cast<int>(r.height), static_cast<int>(r.channels)};
    }
    /// Returns what image i was called when it was packed: its path below the folder.
    std::string name(std::int64_t i) const { return std::string(record(i).name); }
    /// Returns the bytes of image i as image::decode takes them, which are intact (image::RegionOptions::trusted). They
    /// live as long as this object or a copy of it. Throws DamagedImage if their checksum differs.
    std::span<const std::uint8_t> encoded(std::int64_t i) const {
        const auto& r = record(i);
        return file_->bytes_of(r, part_->verified[static_cast<std::size_t>(i)]);
    }

private:
    struct Images {
        std::string name;
        std::vector<std::string> classes{};
        std::vector<detail::PackedRecord> records{};
        std::unique_ptr<std::atomic<bool>[]> verified{};
    };

    class File {
    public:
        explicit File(const std::filesystem::path& path) : name_("packed: " + path.string()), mapped_(path) {
            using detail::packed_head, detail::packed_tail, detail::packed_magic, detail::packed_version;
            require(mapped_.error() == 0, "packed: cannot read ", path.string(), ": ",
                    std::generic_category().message(mapped_.error()));
            const auto all = mapped_.bytes();
            require(all.size() >= packed_magic.size() && std::equal(packed_magic.begin(), packed_magic.end(), all.begin()), name_,
                    " is no packed file: ./run pack DATA OUT makes one");
            const char* const cut = " is truncated: copy it again, or pack the images again";
            require(all.size() >= packed_head + packed_tail, name_, cut);
            const auto version = detail::PackedReader(all.subspan(packed_magic.size()), name_).number<std::uint64_t>();
            require(version == packed_version, name_, " has version ", version, ", expected ", packed_version,
                    ": pack the images again with this version of doppel");
            detail::PackedReader tail(all.last(packed_tail), name_);
            const auto offset = tail.number<std::uint64_t>(), size = tail.number<std::uint64_t>();
            const auto checksum = tail.number<std::uint32_t>(), again = tail.number<std::uint32_t>();
            const std::uint64_t end = all.size() - packed_tail;
            require(again == packed_version && offset >= packed_head && offset <= end && size == end - offset, name_, cut);
            const auto index = all.subspan(offset, size);
            require(io::detail::Crc32().update(index.data(), index.size()).value() == checksum, name_,
                    ": its index is damaged (the checksum differs): copy it again, or pack the images again");
            read_index(index, offset);
        }

        Images& part(Split split) { return parts_[split == Split::train ? 0 : 1]; }

        std::span<const std::uint8_t> bytes_of(const detail::PackedRecord& r, std::atomic<bool>& verified) const {
            const auto bytes = mapped_.bytes().subspan(r.offset, r.bytes);
            require(!mapped_.is_cut(), name_, " was truncated while it was read: replace such a file by renaming another one");
            if (verified.load(std::memory_order_relaxed)) return bytes;
            if (io::detail::Crc32().update(bytes.data(), bytes.size()).value() != r.checksum)
                throw DamagedImage(name_ + ": " + std::string(r.name) + " is damaged (the checksum differs): pack the images again");
            verified.store(true, std::memory_order_relaxed);
            return bytes;
        }

    private:
        void read_index(std::span<const std::uint8_t> bytes, std::uint64_t end) {
            detail::PackedReader index(bytes, name_);
            const auto valid = [&](bool holds) { require(holds, name_, ": its index contradicts itself: pack the images again"); };
            const auto parts = index.number<std::uint32_t>();
            valid(parts == 2);
            for (const char* const name : {"train", "validation"}) {
                valid(index.text() == name);
                Images part{.name = name};
                const auto classes = index.number<std::uint32_t>();
                for (std::uint32_t c = 0; c < classes; ++c) part.classes.emplace_back(index.text());
                const auto count = index.number<std::uint64_t>();
                part.records.reserve(std::min<std::uint64_t>(count, index.left() / 40));
                for (std::uint64_t i = 0; i < count; ++i) {
                    const auto r = part.records.emplace_back(index.record());
                    valid(r.offset >= detail::packed_head && r.offset <= end && r.bytes <= end - r.offset);
                    valid(r.label >= unlabeled && r.label < static_cast<std::int64_t>(classes));
                    valid(r.width > 0 && r.height > 0 && r.channels > 0 && r.width <= INT32_MAX && r.height <= INT32_MAX && r.channels <= INT32_MAX);
                }
                part.verified = std::make_unique<std::atomic<bool>[]>(part.records.size());
                parts_.push_back(std::move(part));
            }
            valid(index.left() == 0);
        }

        std::string name_;
        detail::MappedFile mapped_;
        std::vector<Images> parts_;
    };

    const detail::PackedRecord& record(std::int64_t i) const { return part_->records.at(static_cast<std::size_t>(i)); }

    std::shared_ptr<File> file_;
    const Images* part_;
};

static_assert(ImageSource<Packed> && ListedSource<Packed> && PartSource<Packed>);

}  // namespace doppel::data
