// SPDX-License-Identifier: Apache-2.0
#include <doppel/options/json.hpp>

#include "support/options.hpp"

#include <algorithm>

using namespace doppel;
using namespace doppel::test;
using namespace doppel::options;

TEST_CASE("options go to JSON and back without loss") {
    Example o{.train = {.epochs = 3, .lr = 0.1 + 0.2}, .temperature = 1 / 3., .optimizer = Optimizer::adamw, .note = "a \"b\""};
    const auto json = to_json(o);
    CHECK(json["zero_init"] == true);
    CHECK(json["optimizer"] == "adamw");
    Example back;
    from_json("file", rows_of(back), nlohmann::ordered_json::parse(json.dump()));
    CHECK(to_json(back) == json);
    CHECK(back.train.lr == 0.1 + 0.2);
    CHECK(back.temperature == 1 / 3.);
}

TEST_CASE("an unknown key names the nearest one, and a wrong value what is expected") {
    Example o;
    const auto rows = rows_of(o);
    CHECK(message_of([&] { from_json("run.json", rows, {{"temprature", 1}}); }) ==
          "run.json: there is no option 'temprature'; did you mean 'temperature'?");
    CHECK(message_of([&] { from_json("run.json", rows, {{"zzzzzz", 1}}); }) == "run.json: there is no option 'zzzzzz'");
    CHECK(message_of([&] { from_json("run.json", rows, {{"out-dim", 1}}); }) ==
          "run.json: out_dim must be a whole number from 2 to 4096, got 1");
    CHECK(message_of([&] { from_json("run.json", rows, {{"out_dim", 3.5}}); }) != "");
    CHECK(message_of([&] { from_json("run.json", rows, {{"temperature", "warm"}}); }) != "");
    CHECK(message_of([&] { from_json("run.json", rows, {{"zero_init", 1}}); }) != "");
    CHECK(message_of([&] { from_json("run.json", rows, {{"note", 5}}); }) != "");
    CHECK(message_of([&] { from_json("run.json", rows, nlohmann::ordered_json::array()); }) != "");
    CHECK(o.out == 128);
}

TEST_CASE("the table of the documents has a line for each option") {
    Example o;
    const auto text = markdown(rows_of(o));
    CHECK(std::count(text.begin(), text.end(), '\n') == 2 + 14);
    CHECK(text.find("| `--min-scale` | 0.08 | smallest share of the image's area that a (global) crop takes | a number above 0 and at most 1 |") !=
          std::string::npos);
    CHECK(text.find("| `--size` | 224 px |") != std::string::npos);
}
