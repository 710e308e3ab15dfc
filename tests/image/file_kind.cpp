// SPDX-License-Identifier: Apache-2.0
#include <doppel/image/file_kind.hpp>

#include "support/support.hpp"

using namespace doppel;

namespace {

std::string kind_of(std::string_view start) {
    return image::file_kind({reinterpret_cast<const std::uint8_t*>(start.data()), start.size()});
}

}  // namespace

TEST_CASE("files are named by their first bytes") {
    using namespace std::string_view_literals;
    CHECK(kind_of("\xFF\xD8\xFF\xE0") == "JPEG image");
    CHECK(kind_of("\x89PNG\r\n\x1A\n") == "PNG image");
    CHECK(kind_of("RIFF\0\0\0\0WEBPVP8 "sv) == "WebP image");
    CHECK(kind_of("GIF89a") == "GIF image");
    CHECK(kind_of("BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0"sv) == "BMP image");
    CHECK(kind_of("P6\n2 2\n255\n") == "PPM image");
    CHECK(kind_of("MM\0*"sv) == "TIFF image");
    CHECK(kind_of("II*\0\x10\0\0\0CR\2\0"sv) == "camera raw image");
    CHECK(kind_of("\0\0\0\x18" "ftypheic"sv) == "HEIC image");
    CHECK(kind_of("\0\0\0\x18" "ftypmif1"sv) == "HEIC image");
    CHECK(kind_of("\0\0\0\x18" "ftypavif"sv) == "AVIF image");
    CHECK(kind_of("\0\0\0\x18" "ftypisom"sv) == "MP4 video");
    CHECK(kind_of("RIFF\0\0\0\0AVI LIST"sv) == "AVI video");
    CHECK(kind_of("RIFF\0\0\0\0WAVEfmt "sv) == "sound");
    CHECK(kind_of("\0\0\0\x0CjP  \r\n\x87\n"sv) == "JPEG 2000 image");
    CHECK(kind_of("\xFF\x0A\0"sv) == "JPEG XL image");
    CHECK(kind_of(std::string(128, '\0') + "DICM") == "DICOM image");
    CHECK(kind_of("a/1.png" + std::string(250, '\0') + "ustar") == "tar archive");
    CHECK(kind_of("PK\3\4\x14") == "zip archive");
    CHECK(kind_of("\x1F\x8B\x08") == "gzip file");
    CHECK(kind_of("\xFD" "7zXZ\0"sv) == "xz file");
    CHECK(kind_of("\x28\xB5\x2F\xFD") == "zstd file");
    CHECK(kind_of("7z\xBC\xAF\x27\x1C") == "7z archive");
    CHECK(kind_of("\x93NUMPY\1") == "NumPy array");
    CHECK(kind_of("\x80\4\x95\1") == "Python pickle");
    CHECK(kind_of("\x80\2}q") == "Python pickle");
    CHECK(kind_of("PAR1\x15") == "Parquet table");
    CHECK(kind_of("\x89HDF\r\n\x1A\n") == "HDF5 file");
    CHECK(kind_of("SQLite format 3\0"sv) == "SQLite database");
    CHECK(kind_of("%PDF-1.7\n") == "PDF document");
    CHECK(kind_of("\x1A\x45\xDF\xA3") == "Matroska video");
}

TEST_CASE("what is in no table is text, unknown, or empty") {
    using namespace std::string_view_literals;
    CHECK(kind_of("") == "empty file");
    CHECK(kind_of("name,label\r\n1.png,cat\r\n") == "text file");
    CHECK(kind_of("BM is not always a bitmap, P5 no gray one") == "text file");
    CHECK(kind_of("größe: 日本") == "text file");
    CHECK(kind_of("\xFF\xFE" "a\0b\0"sv) == "text file");
    CHECK(kind_of("  \n<!DOCTYPE HTML><title>404") == "HTML page");
    CHECK(kind_of("\xEF\xBB\xBF<html>") == "HTML page");
    CHECK(kind_of("<?xml version='1.0'?><svg xmlns=") == "SVG image");
    CHECK(kind_of("<?xml version='1.0'?><annotation>") == "XML file");
    CHECK(kind_of("\1\2\3\4 and more") == "unknown file");
    CHECK(kind_of("a text\0"sv) == "unknown file");
    CHECK(kind_of(std::string(600, 'x') + '\1') == "text file");  // the start decides
}
