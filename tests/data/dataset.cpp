// SPDX-License-Identifier: Apache-2.0
#include <doppel/data/dataset.hpp>

#include "support/support.hpp"

using namespace doppel;
using namespace doppel::test;

namespace {

/// Image i is i + 1 pixels wide, of class i modulo 2.
struct Plain {
    std::int64_t unlabeled_from = 100;
    std::vector<std::string> names{"even", "odd"};
    std::int64_t size() const { return 5; }
    Image image(std::int64_t i) const { return Image(static_cast<int>(i) + 1, 1, 1); }
    std::int64_t label(std::int64_t i) const { return i < unlabeled_from ? i % 2 : data::unlabeled; }
    std::vector<std::string> classes() const { return names; }
};
struct Masked : Plain {
    Image mask(std::int64_t i) const { return image(i); }
    std::string fingerprint() const { return "list"; }
};

static_assert(data::ImageSource<Plain> && !data::MaskSource<Plain> && !data::ListedSource<Plain>);
static_assert(data::MaskSource<Masked> && data::ListedSource<Masked> && !data::ImageSource<int>);

}  // namespace

TEST_CASE("a Dataset gives what its source gives, and says what that has not") {
    const data::Dataset plain = Plain{}, masked = Masked{}, none;
    CHECK(plain.size() == 5);
    CHECK(plain.image(3).width == 4);
    CHECK(plain.label(3) == 1);
    CHECK(plain.fingerprint().empty());
    CHECK(!plain.has_masks());
    says([&] { plain.mask(0); }, {"Dataset", "no masks"});
    CHECK(masked.has_masks());
    CHECK(masked.mask(2).width == 3);
    CHECK(masked.fingerprint() == "list");
    CHECK(none.empty());
    CHECK(none.classes().empty());
    CHECK(none.fingerprint().empty());
}

TEST_CASE("a Dataset is labeled when every image has a label and there are two classes") {
    CHECK(data::Dataset(Plain{}).labeled());
    CHECK(!data::Dataset(Plain{.unlabeled_from = 4}).labeled());
    CHECK(!data::Dataset(Plain{.names = {"all"}}).labeled());
    CHECK(!data::Dataset().labeled());
}

TEST_CASE("a Subset has the images at its indices in their order, and a fingerprint of its own") {
    const data::Dataset base = Masked{}, part = data::Subset{base, {4, 0}}, other = data::Subset{base, {0, 4}};
    CHECK(part.size() == 2);
    CHECK(part.image(0).width == 5);
    CHECK(part.label(1) == 0);
    CHECK(part.classes() == base.classes());
    CHECK(part.fingerprint() != other.fingerprint());
    CHECK(part.fingerprint() == data::Dataset(data::Subset{base, {4, 0}}).fingerprint());
    CHECK(data::Dataset(data::Subset{Plain{}, {1}}).fingerprint().empty());
}
