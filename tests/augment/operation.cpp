// SPDX-License-Identifier: Apache-2.0
#include <doppel/augment/operation.hpp>

#include "support/operations.hpp"

using namespace doppel;
using namespace doppel::test;
using namespace doppel::augment;

namespace {

struct NotAnOperation {
    void operator()(const Image&) const {}
};
/// Counts with `made` how often it was asked for a copy.
struct Makes {
    int* made;
    Image made_from(const Image& source, random::Stream&) const { return ++*made, source; }
    void operator()(Image&, random::Stream&) const {}
};
struct Checked {
    void check() const { fail("Checked: never"); }
    void operator()(Image&, random::Stream&) const {}
};

}  // namespace

static_assert(Operation<AnyOperation>);
static_assert(Operation<void (*)(Image&, random::Stream&)>);
static_assert(!Operation<NotAnOperation>);
static_assert(!Operation<int>);

TEST_CASE("any callable is an operation, and made_from gives what it gives in place") {
    const AnyOperation dark = [](Image& image, random::Stream& draw) {
        const double factor = draw.uniform();
        for (auto& value : image.pixels) value = static_cast<std::uint8_t>(factor * value);
    };
    takes_any_image(dark);
    CHECK(dark.describe() == "custom");
    CHECK(!dark.is<Makes>());
    CHECK(dark.as<Makes>() == nullptr);
}

TEST_CASE("optional members of an operation are used: made_from, check") {
    int made = 0;
    const AnyOperation operation = Makes{&made};
    auto draw = stream_of(1);
    operation.made_from(Image(2, 2, 3), draw);
    CHECK(made == 1);
    REQUIRE(operation.as<Makes>() != nullptr);
    CHECK(operation.as<Makes>()->made == &made);
    CHECK(refusal_of(Checked{}) == "Checked: never");
}

TEST_CASE("copies of an operation share it") {
    int made = 0;
    const AnyOperation first = Makes{&made}, second = first;
    CHECK(first.as<Makes>() == second.as<Makes>());
}
