// SPDX-License-Identifier: Apache-2.0
#include <doppel/train/error_text.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("the text of an exception is its first line, without torch's backtrace") {
    const auto text = [](auto action) {
        try {
            action();
        } catch (...) {
            return train::error_text();
        }
        return std::string();
    };
    CHECK(text([] { throw std::runtime_error("one\ntwo"); }) == "one");
    CHECK(text([] { at::ones({2, 3}).mm(at::ones({2, 3})); }).find('\n') == std::string::npos);
    CHECK(mentions(text([] { at::ones({2, 3}).mm(at::ones({2, 3})); }), {"2x3"}));
    CHECK(text([] { throw 3; }) == "an unknown exception");
    CHECK(train::error_text(nullptr) == "an unknown exception");
}
