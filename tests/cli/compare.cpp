// SPDX-License-Identifier: Apache-2.0
#include <doppel/cli/compare.hpp>

#include "support/ended.hpp"
#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

namespace {

Ended compare(std::vector<std::string> arguments) { return ended(cli::compare, "compare", std::move(arguments)); }

}  // namespace

TEST_CASE("the program prints runs side by side and writes a page") {
    const TemporaryFolder folder;
    for (const std::string name : {"a", "b"}) {
        write_bytes(folder / name / "config.json", R"({"doppel":"0.1.0","method":"byol","options":{"lr":)" + std::string(name == "a" ? "0.5" : "0.25") + "}}");
        write_bytes(folder / name / "metrics.jsonl", "{\"step\":1,\"epoch\":1,\"loss\":2}\n{\"step\":2,\"epoch\":2,\"loss\":1.5,\"knn_top1\":" +
                                                         std::string(name == "a" ? "0.5" : "0.75") + ",\"event\":\"end\"}\n");
    }
    const auto page = (folder / "page.html").string();
    const auto ended = compare({(folder / "a").string(), (folder / "b").string(), "--out", page});
    CHECK(ended.status == 0);
    CHECK(mentions(ended.out, {"a       b\n", "knn_top1       50.0 %  75.0 %", "what differs:", "--lr           0.5     0.25", "b has the highest k-NN: 75.0 %."}));
    CHECK(mentions(read_text(page), {"<!doctype html>", "75.0", "knn_top1", "--lr", "loss"}));
}

TEST_CASE("the program that compares says what is wrong with its arguments") {
    const TemporaryFolder folder;
    CHECK(mentions(compare({"--help"}).out, {"compare RUN RUN...", "--out"}));
    CHECK(compare({}).status == 2);
    CHECK(mentions(compare({}).err, {"compare: expected at least two run folders to compare, got 0"}));
    CHECK(mentions(compare({"/none", "/none"}).err, {"/none: no such folder"}));
    CHECK(mentions(compare({folder.path().string()}).err, {"is no run folder"}));
}
