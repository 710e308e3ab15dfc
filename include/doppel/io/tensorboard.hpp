// SPDX-License-Identifier: Apache-2.0
// Writes TensorBoard event files without TensorFlow or protobuf.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/io/atomic_file.hpp>
#include <doppel/io/detail/crc.hpp>
#include <doppel/io/detail/file.hpp>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>

namespace doppel::io {

namespace detail {

/// A writer for the part of the protobuf wire format that an event needs.
/// https://protobuf.dev/programming-guides/encoding: key = field number << 3 | wire type.
class Protobuf {
public:
    Protobuf& varint(unsigned field, std::uint64_t value) {
        number(field << 3);
        number(value);
        return *this;
    }
    Protobuf& fixed(unsigned field, double value) { return raw(field << 3 | 1, value); }
    Protobuf& fixed(unsigned field, float value) { return raw(field << 3 | 5, value); }
    Protobuf& bytes(unsigned field, std::string_view value) {
        number(field << 3 | 2);
        number(value.size());
        out_.append(value);
        return *this;
    }
    Protobuf& message(unsigned field, const Protobuf& value) { return bytes(field, value.out_); }
    const std::string& text() const { return out_; }

private:
    void number(std::uint64_t value) {
        for (; value >= 0x80; value >>= 7) out_.push_back(static_cast<char>(value | 0x80));
        out_.push_back(static_cast<char>(value));
    }
    template <class Value>
        requires std::is_trivially_copyable_v<Value>
    Protobuf& raw(unsigned key, Value value) {
        number(key);
        out_.append(reinterpret_cast<const char*>(&value), sizeof value);
        return *this;
    }

    std::string out_;
};

/// Returns a record of a TFRecord file: length, its checksum, data, their checksum (CRC-32C, rotated and shifted).
inline std::string tf_record(std::string_view data) {
    const auto word = [](auto value) { return std::string(reinterpret_cast<const char*>(&value), sizeof value); };
    const auto check = [&](std::string_view bytes) {
        const auto crc = Crc32c().update(bytes).value();
        return word(static_cast<std::uint32_t>((crc >> 15 | crc << 17) + 0xA282EAD8u));
    };
    const auto length = word(std::uint64_t{data.size()});
    return length + check(length) + std::string(data) + check(data);
}

/// tensorflow.Event: wall_time = 1, step = 2, then one of file_version = 3, summary = 5, session_log = 7.
inline Protobuf tf_event(double seconds, std::int64_t step) {
    Protobuf event;
    event.fixed(1, seconds);
    if (step != 0) event.varint(2, static_cast<std::uint64_t>(step));
    return event;
}
inline std::string version_event(double seconds) { return tf_event(seconds, 0).bytes(3, "brain.Event:2").text(); }
inline std::string restart_event(double seconds, std::int64_t step) {
    return tf_event(seconds, step).message(7, Protobuf().varint(1, 1)).text();  // SessionLog{status = START}
}
inline std::string scalar_event(double seconds, std::int64_t step, std::string_view tag, float value) {
    const auto entry = Protobuf().bytes(1, tag).fixed(2, value);  // Summary.Value{tag, simple_value}
    return tf_event(seconds, step).message(5, Protobuf().message(1, entry)).text();
}

}  // namespace detail

/// An event file in `folder`, which is created if missing, for `tensorboard --logdir folder`. Each scalar is written
/// immediately. With `resume_at`, TensorBoard discards that step and later ones of earlier files in the folder.
///
/// Throws Error with the path and the system's reason.
///
///     io::TensorBoard board("out/tensorboard");
///     board.scalar("train/loss", 4.8, 10);
class TensorBoard {
public:
    explicit TensorBoard(const std::filesystem::path& folder, std::optional<std::int64_t> resume_at = std::nullopt)
        : path_(new_name(folder)), file_(path_) {
        if (!file_) cannot("open", errno);
        write(detail::version_event(now()));
        if (resume_at) write(detail::restart_event(now(), *resume_at));
    }

    /// Writes `value` (as float) to the curve `tag` at `step` ≥ 0; a slash in the tag groups curves.
    void scalar(std::string_view tag, double value, std::int64_t step) {
        require(!tag.empty() && step >= 0, "TensorBoard: scalar needs a tag and a step >= 0, got tag \"", tag,
                "\" and step ", step);
        write(detail::scalar_event(now(), step, tag, static_cast<float>(value)));
    }

    const std::filesystem::path& path() const { return path_; }

private:
    static double now() {
        return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    }

    /// Returns a file name that starts with the time: TensorBoard reads the files of a folder in the order of names.
    static std::filesystem::path new_name(const std::filesystem::path& folder) {
        create_folders(folder);
        static std::atomic<unsigned> count{0};
        char host[256] = "localhost";
        ::gethostname(host, sizeof host - 1);
        return folder / ("events.out.tfevents." + std::to_string(static_cast<std::int64_t>(now())) + '.' + host + '.' +
                         std::to_string(::getpid()) + '.' + std::to_string(count++));
    }

    void write(const std::string& event) {
        if (const int error = file_.append(detail::tf_record(event))) cannot("write", error);
    }

    [[noreturn]] void cannot(const char* what, int error) const {
        fail("TensorBoard: cannot ", what, " ", path_.string(), ": ", std::generic_category().message(error));
    }

    std::filesystem::path path_;
    detail::AppendFile file_;
};

}  // namespace doppel::io
