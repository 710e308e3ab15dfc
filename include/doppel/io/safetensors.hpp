// SPDX-License-Identifier: Apache-2.0
// Reads and writes safetensors files: named tensors and text.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/io/atomic_file.hpp>
#include <doppel/io/detail/crc.hpp>
#include <doppel/io/detail/safetensors_header.hpp>

#include <ATen/ops/empty.h>


#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

namespace doppel::io {

/// The contents of a safetensors file.
struct TensorFile {
    std::map<std::string, at::Tensor> tensors{};
    std::map<std::string, std::string> metadata{};
};

/// Whether a file contains its CRC-32, in the metadata entry "doppel.crc32". Loading always verifies an existing one.
/// A program that changes such a file must remove the entry.
enum class Checksum {
    none,   ///< save without, load with or without: for published weights
    crc32,  ///< save with, reject files without: for checkpoints
};

namespace detail {

inline constexpr const char* checksum_key = "doppel.crc32";

inline std::string hexadecimal(std::uint32_t value) {
    std::string text(8, '0');
    for (std::size_t digit = 8; digit-- > 0; value >>= 4) text[digit] = "0123456789abcdef"[value & 0xF];
    return text;
}

/// Returns the position of the eight checksum digits in a header; npos if there are none.
inline std::size_t checksum_position(std::string_view header) {
    const auto key = std::string("\"") + checksum_key + "\":\"";
    const auto found = header.find(key);
    const bool complete = found != std::string_view::npos && found + key.size() + 8 < header.size() &&
                          header[found + key.size() + 8] == '"';
    return complete ? found + key.size() : std::string_view::npos;
}

struct TensorType {
    const char* name;
    at::ScalarType type;
};
inline constexpr std::array<TensorType, 10> tensor_types{
    {{"F64", at::kDouble}, {"F32", at::kFloat}, {"F16", at::kHalf}, {"BF16", at::kBFloat16}, {"I64", at::kLong},
     {"I32", at::kInt},    {"I16", at::kShort}, {"I8", at::kChar},  {"U8", at::kByte},       {"BOOL", at::kBool}}};

/// Returns the tensor in the file's layout: on the CPU, row-major, with negation resolved.
inline at::Tensor storable(const std::string& who, const std::string& name, const at::Tensor& tensor) {
    require(tensor.defined(), who, ": tensor \"", name, "\" is undefined");
    require(name != "__metadata__", who, ": \"__metadata__\" is reserved, rename the tensor");
    require(tensor.layout() == at::kStrided && !tensor.is_quantized(), who, ": tensor \"", name,
            "\" is sparse or quantized, expected a dense tensor");
    const bool known = std::any_of(tensor_types.begin(), tensor_types.end(),
                                   [&](const TensorType& each) { return each.type == tensor.scalar_type(); });
    require(known, who, ": tensor \"", name, "\" has dtype ", at::toString(tensor.scalar_type()),
            ", which the format does not support");
    return tensor.detach().resolve_neg().cpu().contiguous();
}

inline const char* type_name(const at::Tensor& tensor) {
    return std::find_if(tensor_types.begin(), tensor_types.end(),
                        [&](const TensorType& each) { return each.type == tensor.scalar_type(); })->name;
}

}  // namespace detail

/// Writes `file` to `path` atomically. Tensors may be on any device and in any memory format; dtypes are F64, F32, F16,
/// BF16, I64, I32, I16, I8, U8 and BOOL. Tensors that share memory are each written in full. The order is that of the
/// reference writer: wide dtypes first, then by name.
///
/// Throws Error with the path and the tensor's name, or the system's reason.
/// Source: https://github.com/huggingface/safetensors (format description).
///
///     io::save_safetensors("encoder.safetensors", {.tensors = {{"fc.weight", w}}, .metadata = {{"arch", "vit"}}});
inline void save_safetensors(const std::filesystem::path& path, const TensorFile& file,
                             Checksum checksum = Checksum::none) {
    const std::string who = "save_safetensors: " + path.string();
    std::vector<std::pair<std::string, at::Tensor>> tensors;
    for (const auto& [name, tensor] : file.tensors) tensors.emplace_back(name, detail::storable(who, name, tensor));
    std::stable_sort(tensors.begin(), tensors.end(),
                     [](const auto& a, const auto& b) { return a.second.element_size() > b.second.element_size(); });

    auto metadata = file.metadata;
    metadata.erase(detail::checksum_key);  // may be that of another file
    if (checksum == Checksum::crc32) metadata[detail::checksum_key] = "00000000";
    std::string text;
    std::size_t begin = 0;
    const auto add = [&](const std::string& name, const nlohmann::ordered_json& value) {
        text += (text.empty() ? '{' : ',') + nlohmann::json(name).dump() + ':' + value.dump();
    };
    try {
        if (!metadata.empty()) add("__metadata__", metadata);
        for (const auto& [name, tensor] : tensors) {
            const auto end = begin + tensor.nbytes();
            add(name, {{"dtype", detail::type_name(tensor)},
                       {"shape", tensor.sizes().vec()},
                       {"data_offsets", {begin, end}}});
            begin = end;
        }
    } catch (const nlohmann::json::exception&) {
        fail(who, ": a name or a metadata entry is not UTF-8 text");
    }
    text += text.empty() ? "{}" : "}";
    text.append((8 - text.size() % 8) % 8, ' ');
    require(text.size() <= detail::longest_header, who, ": the header has ", text.size(), " bytes, the format allows ",
            detail::longest_header);

    if (checksum == Checksum::crc32) {
        detail::Crc32 crc;
        crc.update(text);
        for (const auto& [name, tensor] : tensors) crc.update(tensor.data_ptr(), tensor.nbytes());
        text.replace(detail::checksum_position(text), 8, detail::hexadecimal(crc.value()));
    }
    write_atomically(path, [&](std::ostream& out) {
        const std::uint64_t length = text.size();
        out.write(reinterpret_cast<const char*>(&length), sizeof length);
        out << text;
        for (const auto& [name, tensor] : tensors)
            out.write(static_cast<const char*>(tensor.data_ptr()), static_cast<std::streamsize>(tensor.nbytes()));
    });
}

/// Reads a safetensors file; the tensors own their memory (CPU). Checks lengths, JSON, names, dtypes, shapes against
/// byte ranges, byte ranges against the file, and the checksum if present (which is not part of the returned metadata).
///
/// Throws Error with the path, what was found and what was expected.
///
///     auto weights = io::load_safetensors("encoder.safetensors").tensors.at("conv1.weight");
inline TensorFile load_safetensors(const std::filesystem::path& path, Checksum checksum = Checksum::none) {
    const std::string who = "load_safetensors: " + path.string();
    std::error_code problem;
    const auto size = std::filesystem::file_size(path, problem);
    if (problem) fail(who, ": cannot read: ", problem.message());
    errno = 0;
    std::ifstream in(path, std::ios::binary);
    if (!in) fail(who, ": cannot read: ", std::generic_category().message(errno));
    const auto read = [&](void* into, std::size_t bytes) {
        in.read(static_cast<char*>(into), static_cast<std::streamsize>(bytes));
        require(static_cast<std::size_t>(in.gcount()) == bytes, who, ": the file was truncated while being read");
    };

    std::uint64_t length = 0;
    require(size >= sizeof length, who, ": ", size, " bytes, expected at least the 8 bytes of the header length");
    read(&length, sizeof length);
    require(length <= size - sizeof length && length <= detail::longest_header, who, ": a header of ", length,
            " bytes cannot be in a file of ", size, " (truncated, or not a safetensors file)");
    std::string text(length, '\0');
    read(text.data(), text.size());
    auto header = detail::parse_safetensors_header(who, text, size - sizeof length - length);

    const auto stored = header.metadata.extract(detail::checksum_key);
    require(checksum == Checksum::none || stored, who, ": no checksum, expected one in the metadata entry ",
            detail::checksum_key);
    detail::Crc32 crc;
    if (stored) {
        const auto digits = detail::checksum_position(text);
        require(digits != std::string::npos, who, ": the metadata entry ", detail::checksum_key, " is \"",
                stored.mapped(), "\", expected 8 hexadecimal digits");
        text.replace(digits, 8, "00000000");
        crc.update(text);
    }

    TensorFile file{.metadata = std::move(header.metadata)};
    for (const auto& entry : header.tensors) {
        const auto type = std::find_if(detail::tensor_types.begin(), detail::tensor_types.end(),
                                       [&](const detail::TensorType& each) { return each.name == entry.type; })->type;
        auto tensor = at::empty(entry.shape, at::TensorOptions().dtype(type));
        read(tensor.data_ptr(), tensor.nbytes());
        if (stored) crc.update(tensor.data_ptr(), tensor.nbytes());
        if (type == at::kBool) {
            const auto* bytes = static_cast<const unsigned char*>(tensor.data_ptr());
            require(std::all_of(bytes, bytes + tensor.nbytes(), [](unsigned char byte) { return byte < 2; }), who,
                    ": tensor \"", entry.name, "\": a BOOL is neither 0 nor 1");
        }
        file.tensors.emplace(entry.name, std::move(tensor));
    }
    require(!stored || stored.mapped() == detail::hexadecimal(crc.value()), who, ": checksum ",
            detail::hexadecimal(crc.value()), ", expected ", stored ? stored.mapped() : "",
            ": the file is damaged, or was changed without removing the entry ", detail::checksum_key);
    return file;
}

}  // namespace doppel::io
