// SPDX-License-Identifier: Apache-2.0
#include <doppel/cli/runs.hpp>

#include "support/ended.hpp"
#include "support/torch_support.hpp"

#include <nlohmann/json.hpp>

using namespace doppel;
using namespace doppel::test;

namespace {

Ended runs(std::vector<std::string> arguments) { return ended(cli::runs, "runs", std::move(arguments)); }

}  // namespace

TEST_CASE("the program lists runs, best first, as a table and as JSON") {
    const TemporaryFolder folder;
    CHECK(mentions(runs({folder.path().string()}).err, {"runs: ", "there is no run folder in or below it"}));
    const std::string config = R"({"doppel":"0.1.0","method":"byol","training":{"epochs":4},"resolved":{"encoder":"vit_s16","data":"photos"},"run":{"seed":7}})";
    write_bytes(folder / "weak/config.json", config);
    write_bytes(folder / "weak/metrics.jsonl", "{\"step\":1,\"epoch\":1.5,\"loss\":2,\"knn_top1\":0.25}\n");
    write_bytes(folder / "deep/good/config.json", config);
    write_bytes(folder / "deep/good/metrics.jsonl",
                "{\"step\":0,\"knn_top1_random\":0.125}\n{\"step\":9,\"epoch\":4,\"loss\":3,\"knn_top1\":0.5,\"collapsed\":true,\"event\":\"end\"}\n");
    const auto table = runs({folder.path().string()});
    CHECK(table.status == 0);
    CHECK(table.out ==
          "run        state     method  encoder  data    seed  epoch  knn_top1  gain   note\n"
          "deep/good  finished  byol    vit_s16  photos  7     4/4    50.0 %    +37.5  collapsed\n"
          "weak       stopped   byol    vit_s16  photos  7     1.5/4  25.0 %    –\n");
    CHECK(runs({folder.path().string(), "--by", "loss"}).out.find("weak") < runs({folder.path().string(), "--by", "loss"}).out.find("good"));
    const auto json = nlohmann::json::parse(runs({(folder / "deep").string(), "--json"}).out);
    CHECK(json["state"] == "finished");
    CHECK(json["gain"] == 0.375);
    CHECK(json["knn_top1"] == 0.5);
    CHECK(mentions(runs({folder.path().string(), "--by", "los"}).err, {"--by los: none of the 2 runs has that figure"}));
}

TEST_CASE("the program that lists runs says what is wrong with its arguments") {
    CHECK(mentions(runs({"--help"}).out, {"runs [FOLDER]", "--by", "--json"}));
    CHECK(runs({"/none"}).status == 2);
    CHECK(mentions(runs({"/none"}).err, {"runs: /none: no such folder"}));
    CHECK(mentions(runs({"a", "b"}).err, {"unexpected argument b"}));
}
