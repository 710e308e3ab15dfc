// SPDX-License-Identifier: Apache-2.0
#include <doppel/options/rows.hpp>

#include "support/options.hpp"

#include <cmath>

using namespace doppel;
using namespace doppel::test;
using namespace doppel::options;

TEST_CASE("rows name the members in the order of their description, groups in place") {
    Example o;
    std::string names;
    for (const Row& one : rows_of(o)) names += one.name + ' ';
    CHECK(names == "epochs batch-size lr base-lr weight-decay size channels min-scale pillow-blur temperature out-dim zero-init optimizer note ");
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
    CHECK(message_of([&] { validate("example", o); }) == "example: out-dim must be a whole number from 2 to 4096, got 1");
    o.out = 2;
    o.train.lr = std::nan("");
    CHECK(message_of([&] { validate("example", o); }) == "example: lr must be a number from 0 to 1000000, got nan");
}
