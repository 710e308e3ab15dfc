// SPDX-License-Identifier: Apache-2.0
// Any bytes, read as JSON lines, give objects or a one-line Error; a file that is good stays good when it is opened,
// mended, continued and cut.
#include <doppel/io/json_lines.hpp>

#include "fuzz.hpp"

using namespace doppel;
using namespace doppel::fuzz;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const Folder folder;
    const auto path = folder.file("metrics.jsonl", {data, size});
    const auto text = text_of({data, size}), lines_in_full = text.substr(0, text.rfind('\n') + 1);
    std::vector<nlohmann::ordered_json> before, after;
    const bool good = reads(path.string(), [&] {
        before = io::read_json_lines(path);
        for (const auto& value : before) expect(value.is_object(), "a line that is no object");
        expect(lines_in_full.find('\0') == text.npos, "a line that goes on after a zero byte");
    });
    reads(path.string(), [&] {
        io::JsonLines lines(path);
        lines.append({{"step", 7}});
        after = io::read_json_lines(path);
        expect(good, "a damaged file becomes good when it is continued");
        before.push_back({{"step", 7}});
        expect(after == before, "a file that is continued loses lines");
        const auto dropped = lines.truncate_after(6);
        after = io::read_json_lines(path);
        expect(dropped >= 1 && after.size() + static_cast<std::size_t>(dropped) == before.size(),
               "lines that are neither kept nor dropped");
        for (const auto& value : after)
            expect(!value.contains("step") || !value["step"].is_number() || !(value["step"].get<double>() > 6),
                   "a later step is left");
    });
    return 0;
}
