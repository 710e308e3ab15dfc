// SPDX-License-Identifier: Apache-2.0
// Runs a target once on each given file and on each file below a given folder: seeds and past findings as a test, with
// any compiler. The last line names the file that ended the program.
#include "fuzz.hpp"

#include <vector>

namespace {

void run(const std::filesystem::path& path) {
    std::printf("%s\n", path.c_str());
    std::fflush(stdout);
    const auto bytes = doppel::io::detail::read_file(path);
    if (!bytes) doppel::fuzz::finding("cannot be read", path.string());
    const std::vector<std::uint8_t> exact(bytes->begin(), bytes->end());  // no spare byte behind the end
    LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

}  // namespace

int main(int count, char** arguments) {
    std::vector<std::filesystem::path> files;
    for (int i = 1; i < count; ++i) {
        if (!std::filesystem::is_directory(arguments[i])) {
            files.emplace_back(arguments[i]);
            continue;
        }
        for (const auto& item : std::filesystem::recursive_directory_iterator(arguments[i]))
            if (item.is_regular_file()) files.push_back(item.path());
    }
    std::sort(files.begin(), files.end());
    for (const auto& file : files) run(file);
    std::printf("replay: %zu files, no findings\n", files.size());
    return files.empty();  // nothing to do is a mistake in the call
}
