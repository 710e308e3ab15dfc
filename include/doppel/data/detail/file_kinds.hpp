// SPDX-License-Identifier: Apache-2.0
// What the files are that are no images, by their extensions.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace doppel::data::detail {

struct FileKind {
    std::string_view name;        // of one such file; "s" is added for several
    std::string_view extensions;  // each with a space before and behind
    std::string_view advice{};
};

inline constexpr std::array<FileKind, 19> file_kinds{{
    {"archive", " .zip .tar .gz .tgz .bz2 .tbz .xz .txz .zst .7z .rar ", "unpack first"},
    {"Parquet file", " .parquet "},
    {"Python pickle", " .pkl .pickle "},
    {"NumPy file", " .npy .npz "},
    {"HDF5 file", " .h5 .hdf5 .hdf "},
    {"Arrow file", " .arrow .feather "},
    {"TFRecord file", " .tfrecord .tfrecords .tfrec "},
    {"LMDB file", " .lmdb .mdb "},
    {"MATLAB file", " .mat "},
    {"PyTorch file", " .pt .pth .ckpt "},
    {"video", " .mp4 .mov .avi .mkv .webm .mpg .mpeg .m4v .wmv "},
    {"table", " .csv .tsv .xls .xlsx "},
    {"JSON file", " .json .jsonl .ndjson "},
    {"XML file", " .xml "},
    {"text file", " .txt .md .rst .log .yaml .yml .toml .ini .cfg .names "},
    {"document", " .pdf .html .htm .doc .docx .ppt .pptx "},
    {"program file", " .py .ipynb .sh .c .cpp .h .hpp .js .m "},
    {"database", " .db .sqlite .sqlite3 "},
    {"weights file", " .safetensors .onnx .tflite .pb "},
}};

/// Returns the kind of files with this extension (lower case, with the dot); null if it is not known.
inline const FileKind* file_kind(std::string_view extension) {
    if (extension.empty()) return nullptr;
    const auto word = " " + std::string(extension) + " ";
    const auto found = std::find_if(file_kinds.begin(), file_kinds.end(), [&](const FileKind& kind) {
        return kind.extensions.find(word) != std::string_view::npos;
    });
    return found == file_kinds.end() ? nullptr : &*found;
}

/// Files that are no images, counted by what they are.
class OtherFiles {
public:
    void add(std::string_view extension) {
        const auto* kind = file_kind(extension);
        const auto name = kind ? std::string(kind->name) : extension.empty() ? "unknown file" : std::string(extension) + " file";
        ++counts_[name];
        if (kind && !kind->advice.empty()) advice_[name] = kind->advice;
    }
    bool empty() const { return counts_.empty(); }
    /// Returns "2 archives (unpack first), 1 text file", the most frequent first.
    std::string text() const {
        std::vector<std::pair<std::int64_t, std::string>> order;
        for (const auto& [name, count] : counts_) order.emplace_back(-count, name);
        std::sort(order.begin(), order.end());
        std::string text;
        for (const auto& [minus_count, name] : order) {
            text += (text.empty() ? "" : ", ") + std::to_string(-minus_count) + " " + name + (minus_count == -1 ? "" : "s");
            if (const auto hint = advice_.find(name); hint != advice_.end()) text += " (" + hint->second + ")";
        }
        return text;
    }

private:
    std::map<std::string, std::int64_t> counts_;
    std::map<std::string, std::string> advice_;
};

}  // namespace doppel::data::detail
