// SPDX-License-Identifier: Apache-2.0
// Names what a file is from its first bytes.
#pragma once

#include <doppel/image/formats.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace doppel::image {

/// The number of bytes that file_kind() needs.
inline constexpr std::size_t file_kind_bytes = 512;

namespace detail {

/// A kind of file, and what stands at an offset of all its files.
struct Magic {
    std::string_view bytes;
    std::size_t at;
    std::string_view kind;

    template <std::size_t N>
    constexpr Magic(const char (&text)[N], std::size_t offset, std::string_view name)
        : bytes(text, N - 1), at(offset), kind(name) {}  // zeros are part of the text
};
inline constexpr Magic magics[] = {
    {"CR", 8, "camera raw image"},  // after format_of(): a TIFF with this mark
    {"ftypheic", 4, "HEIC image"},
    {"ftypheix", 4, "HEIC image"},
    {"ftyphevc", 4, "HEIC image"},
    {"ftypmif1", 4, "HEIC image"},
    {"ftypmsf1", 4, "HEIC image"},
    {"ftypavif", 4, "AVIF image"},
    {"ftypavis", 4, "AVIF image"},
    {"ftypcrx ", 4, "camera raw image"},
    {"ftyp", 4, "MP4 video"},
    {"moov", 4, "MP4 video"},
    {"\0\0\0\x0CJXL \r\n\x87\n", 0, "JPEG XL image"},
    {"\xFF\x0A", 0, "JPEG XL image"},
    {"\0\0\0\x0CjP  \r\n\x87\n", 0, "JPEG 2000 image"},
    {"\xFF\x4F\xFF\x51", 0, "JPEG 2000 image"},
    {"8BPS", 0, "Photoshop image"},
    {"\0\0\1\0", 0, "icon"},
    {"DDS ", 0, "DDS image"},
    {"v/1\1", 0, "OpenEXR image"},
    {"SIMPLE  =", 0, "FITS image"},
    {"DICM", 128, "DICOM image"},
    {"ustar", 257, "tar archive"},
    {"PK\3\4", 0, "zip archive"},
    {"PK\5\6", 0, "zip archive"},
    {"\x1F\x8B", 0, "gzip file"},
    {"BZh", 0, "bzip2 file"},
    {"\xFD"
     "7zXZ\0",
     0, "xz file"},
    {"\x28\xB5\x2F\xFD", 0, "zstd file"},
    {"7z\xBC\xAF\x27\x1C", 0, "7z archive"},
    {"Rar!\x1A\7", 0, "RAR archive"},
    {"\x93NUMPY", 0, "NumPy array"},
    {"\x80\2", 0, "Python pickle"},
    {"\x80\3", 0, "Python pickle"},
    {"\x80\4\x95", 0, "Python pickle"},
    {"\x80\5\x95", 0, "Python pickle"},
    {"PAR1", 0, "Parquet table"},
    {"ARROW1", 0, "Arrow table"},
    {"\x89HDF\r\n\x1A\n", 0, "HDF5 file"},
    {"SQLite format 3", 0, "SQLite database"},
    {"MATLAB 5.0 MAT-file", 0, "MATLAB file"},
    {"%PDF-", 0, "PDF document"},
    {"AVI ", 8, "AVI video"},
    {"\x1A\x45\xDF\xA3", 0, "Matroska video"},
    {"WAVE", 8, "sound"},
    {"ID3", 0, "sound"},
    {"fLaC", 0, "sound"},
    {"OggS", 0, "sound"},
    {"\x7F"
     "ELF",
     0, "program"},
};

/// True for text in ASCII, UTF-8 or another encoding with one byte per letter: no control characters.
inline bool is_text(std::string_view start) {
    return std::ranges::none_of(start, [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte == 0x7F || (byte < 0x20 && (byte < '\t' || byte > '\r') && byte != 0x1B);
    });
}

}  // namespace detail

/// Returns what a file is, from its first file_kind_bytes bytes (all of them if it is shorter): "JPEG image",
/// "zip archive", "Python pickle", "HTML page", "text file", "empty file", "unknown file". An "s" makes the plural.
///
///     image::file_kind(start);   // "tar archive"
inline std::string file_kind(std::span<const std::uint8_t> bytes) {
    const std::string_view start(reinterpret_cast<const char*>(bytes.data()), std::min(bytes.size(), file_kind_bytes));
    if (start.empty()) return "empty file";
    if (const auto format = format_of(bytes)) return std::string(info_of(*format).name) + " image";
    const auto has = [&](std::string_view magic, std::size_t at) {
        return start.size() >= at && start.substr(at).starts_with(magic);
    };
    const bool container = has("RIFF", 0) || has("II", 0) || has("MM", 0);  // whose content byte 8 names
    for (const auto& [magic, at, kind] : detail::magics)
        if (has(magic, at) && (at != 8 || container)) return std::string(kind);
    if (has("\xFF\xFE", 0) || has("\xFE\xFF", 0)) return "text file";  // UTF-16
    if (!detail::is_text(start)) return "unknown file";
    std::string text(start.substr(has("\xEF\xBB\xBF", 0) ? 3 : 0));  // without UTF-8's mark
    for (char& c : text)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    text.erase(0, text.find_first_not_of(" \t\r\n"));
    if (text.starts_with("<!doctype html") || text.starts_with("<html")) return "HTML page";
    if (text.find("<svg") != text.npos) return "SVG image";
    return text.starts_with("<?xml") ? "XML file" : "text file";
}

}  // namespace doppel::image
