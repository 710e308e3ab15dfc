// SPDX-License-Identifier: Apache-2.0
// What the fuzz targets share: the contract of a reader, images, and bytes as files.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/image/image.hpp>
#include <doppel/io/detail/file.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <typeinfo>
#include <utility>

#include <stdlib.h>  // mkdtemp

/// What libFuzzer and replay.cpp call. It returns, or ends the program: that is a finding.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace doppel::fuzz {

using Bytes = std::span<const std::uint8_t>;

/// Says what broke the contract and ends the program, so that the input is kept.
[[noreturn]] inline void finding(const std::string& what, std::string_view text = {}) {
    std::string line = "FINDING: " + what + (text.empty() ? "" : ": ");
    for (const char c : text)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F)
            line += {'\\', 'x', "0123456789abcdef"[c >> 4 & 15], "0123456789abcdef"[c & 15]};
        else
            line += c;
    std::fprintf(stderr, "%s\n", line.c_str());
    std::abort();
}

inline void expect(bool holds, const char* what) {
    if (!holds) finding(what);
}

/// The contract: `action` comes back (true) or throws an Error (false) whose text is one line, without control
/// characters, that says `name` and then what is wrong. Anything else is a finding.
template <class Action>
bool reads(std::string_view name, Action&& action) {
    try {
        action();
        return true;
    } catch (const Error& problem) {
        const std::string_view text = problem.what();
        const auto at = text.find(name);
        if (at == text.npos || text.size() < at + name.size() + 8) finding("an Error that says too little", text);
        for (const char c : text)
            if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) finding("an Error that is not one line", text);
    } catch (const std::exception& problem) {
        finding(std::string("an exception that is no Error: ") + typeid(problem).name(), problem.what());
    }
    return false;
}

/// Its size is that of its pixels, which can all be read.
inline void expect_whole(const Image& image) {
    expect(image.width > 0 && image.height > 0, "an image without pixels");
    expect(image.channels == 1 || image.channels == 3, "an image of neither 1 nor 3 channels");
    expect(image.pixels.size() == static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.height) *
                                      static_cast<std::size_t>(image.channels),
           "an image whose size is not that of its pixels");
    [[maybe_unused]] static volatile std::uint64_t sum;
    sum = std::accumulate(image.pixels.begin(), image.pixels.end(), std::uint64_t{0});
}

/// The input before the first "<|>" and what follows it: two files in one, which still are two after a mutation.
struct Parts {
    Bytes first, second;
    bool two = false;
};
inline Parts parts_of(Bytes input) {
    constexpr std::string_view separator = "<|>";
    const auto found = std::search(input.begin(), input.end(), separator.begin(), separator.end());
    if (found == input.end()) return {input, {}, false};
    const auto at = static_cast<std::size_t>(found - input.begin());
    return {input.first(at), input.subspan(at + separator.size()), true};
}

inline std::string_view text_of(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

/// A folder for the files of one process, in memory where the system has such a place; TMPDIR names another.
class Folder {
public:
    Folder() {
        const bool memory = !std::getenv("TMPDIR") && std::filesystem::is_directory("/dev/shm");
        auto name = ((memory ? "/dev/shm" : std::filesystem::temp_directory_path()) / "doppel-fuzz-XXXXXX").string();
        if (!::mkdtemp(name.data())) finding("no temporary folder", name);
        path_ = name;
    }
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    const std::filesystem::path& path() const { return path_; }
    /// The path of a file that holds these bytes.
    std::filesystem::path file(const char* name, Bytes bytes) const {
        auto path = path_ / name;
        const io::detail::Descriptor file(path, O_WRONLY | O_CREAT | O_TRUNC);
        if (!file || io::detail::write_all(file.get(), text_of(bytes).data(), bytes.size()) != 0)
            finding("a temporary file cannot be written", path.string());
        return path;
    }

private:
    std::filesystem::path path_;
};

}  // namespace doppel::fuzz
