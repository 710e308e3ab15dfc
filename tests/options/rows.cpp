// SPDX-License-Identifier: Apache-2.0
// Options described once: rows, validation, JSON, tables and the names that mistyped ones mean.
#include <doppel/options/rows.hpp>

#include <doppel/options/groups.hpp>
#include <doppel/options/json.hpp>

#include "support/support.hpp"

using namespace doppel;
using namespace doppel::test;
using namespace doppel::options;

namespace {

struct Values : Defaults {
    static constexpr double base_lr = 0.4, weight_decay = 1e-6;
};

struct Example {
    Training<Values> train{};
    Crops<Values> crops{};
    double temperature = 0.1;
    std::int64_t out = 128;
    bool zero_init = true;
    Optimizer optimizer = Optimizer::lars;
    std::string note = "none";

    static constexpr auto fields() {
        using O = Example;
        return std::tuple(group(&O::train), group(&O::crops), field(&O::temperature, "temperature", "of the loss", above(0, 10)),
                          field(&O::out, "out-dim", "width", between(2, 4096)), field(&O::zero_init, "zero-init", "blocks"),
                          field(&O::optimizer, "optimizer", "which"), field(&O::note, "note", "text"));
    }
};

struct Forgetful {
    double temperature = 0.1;
    bool zero_init = true;
    static constexpr auto fields() { return std::tuple(field(&Forgetful::temperature, "temperature", "of the loss")); }
};

static_assert(described<Example> && described<Training<Values>> && described<LocalCrops<Values>>);
static_assert(!described<Forgetful>, "a member that fields() forgets must be noticed");

const Row& row(const std::vector<Row>& rows, const std::string& name) {
    for (const Row& one : rows)
        if (one.name == name) return one;
    throw std::runtime_error("no row " + name);
}

std::string message(const std::function<void()>& action) {
    try {
        action();
    } catch (const Error& error) {
        return error.what();
    }
    return "";
}

}  // namespace

TEST_CASE("rows name the members in the order of their description, groups in place") {
    Example o;
    std::string names;
    for (const Row& one : rows_of(o)) names += one.name + ' ';
    CHECK(names == "epochs batch-size lr base-lr weight-decay size channels min-scale temperature out-dim zero-init optimizer note ");
}

TEST_CASE("an initializer of a group keeps the method's other defaults") {
    const Example o{.train = {.epochs = 7}};
    CHECK(o.train.epochs == 7);
    CHECK(o.train.base_lr == 0.4);
    CHECK(o.train.weight_decay == 1e-6);
    CHECK(o.train.peak_lr(512) == 0.8);
    CHECK(Example{.train = {.lr = 0.3}}.train.peak_lr(512) == 0.3);
}

TEST_CASE("a row sets its member from text, and nothing else than what may stand there") {
    Example o;
    const auto rows = rows_of(o);
    CHECK(row(rows, "temperature").set("0.25"));
    CHECK(o.temperature == 0.25);
    for (const char* wrong : {"0", "-1", "11", "nan", "inf", "x", "0.5x", "", " 1"}) {
        CAPTURE(wrong);
        CHECK_FALSE(row(rows, "temperature").set(wrong));
    }
    CHECK(o.temperature == 0.25);
    CHECK(row(rows, "out-dim").set("64"));
    CHECK_FALSE(row(rows, "out-dim").set("64.5"));
    CHECK_FALSE(row(rows, "out-dim").set("1"));
    CHECK(o.out == 64);
    CHECK(row(rows, "zero-init").set("false"));
    CHECK_FALSE(row(rows, "zero-init").set("no"));
    CHECK_FALSE(o.zero_init);
    CHECK(row(rows, "optimizer").set("sgd"));
    CHECK_FALSE(row(rows, "optimizer").set("adagrad"));
    CHECK(o.optimizer == Optimizer::sgd);
    CHECK(row(rows, "note").set("any text"));
    CHECK(o.note == "any text");
}

TEST_CASE("rows say what is expected in words") {
    Example o;
    const auto rows = rows_of(o);
    CHECK(row(rows, "temperature").expected() == "a number above 0 and at most 10");
    CHECK(row(rows, "out-dim").expected() == "a whole number from 2 to 4096");
    CHECK(row(rows, "zero-init").expected() == "true or false");
    CHECK(row(rows, "optimizer").expected() == "one of sgd, adam, adamw, lars");
    CHECK(row(rows, "size").unit == "px");
}

TEST_CASE("validate names the option, what it is and what it must be") {
    Example o;
    validate("example", o);
    o.out = 1;
    CHECK(message([&] { validate("example", o); }) == "example: out-dim must be a whole number from 2 to 4096, got 1");
    o.out = 2;
    o.train.lr = std::nan("");
    CHECK(message([&] { validate("example", o); }) == "example: lr must be a number from 0 to 1000000, got nan");
}

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
    CHECK(message([&] { from_json("run.json", rows, {{"temprature", 1}}); }) ==
          "run.json: there is no option 'temprature'; did you mean 'temperature'?");
    CHECK(message([&] { from_json("run.json", rows, {{"zzzzzz", 1}}); }) == "run.json: there is no option 'zzzzzz'");
    CHECK(message([&] { from_json("run.json", rows, {{"out-dim", 1}}); }) ==
          "run.json: out_dim must be a whole number from 2 to 4096, got 1");
    CHECK(message([&] { from_json("run.json", rows, {{"out_dim", 3.5}}); }) != "");
    CHECK(message([&] { from_json("run.json", rows, {{"temperature", "warm"}}); }) != "");
    CHECK(message([&] { from_json("run.json", rows, {{"zero_init", 1}}); }) != "");
    CHECK(message([&] { from_json("run.json", rows, {{"note", 5}}); }) != "");
    CHECK(message([&] { from_json("run.json", rows, nlohmann::ordered_json::array()); }) != "");
    CHECK(o.out == 128);
}

TEST_CASE("the table of the documents has a line for each option") {
    Example o;
    const auto text = markdown(rows_of(o));
    CHECK(std::count(text.begin(), text.end(), '\n') == 2 + 13);
    CHECK(text.find("| `--min-scale` | 0.08 | smallest share of the image's area that a (global) crop takes | a number above 0 and at most 1 |") !=
          std::string::npos);
    CHECK(text.find("| `--size` | 224 px |") != std::string::npos);
}
