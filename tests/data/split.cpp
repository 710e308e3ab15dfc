// SPDX-License-Identifier: Apache-2.0
#include <doppel/data/memory.hpp>
#include <doppel/data/split.hpp>

#include "support/support.hpp"

#include <algorithm>
#include <set>

using namespace doppel;

namespace {

/// How many images of each class.
std::vector<int> counts(const data::Dataset& images) {
    std::vector<int> of(images.classes().size());
    for (std::int64_t i = 0; i < images.size(); ++i) ++of.at(static_cast<std::size_t>(images.label(i)));
    return of;
}

/// A set of so many images of each class.
data::Memory labeled(const std::vector<int>& sizes) {
    std::vector<std::int64_t> labels;
    std::vector<std::string> classes;
    for (std::size_t c = 0; c < sizes.size(); ++c) {
        labels.insert(labels.end(), static_cast<std::size_t>(sizes[c]), static_cast<std::int64_t>(c));
        classes.push_back(std::to_string(c));
    }
    const std::size_t count = labels.size();
    return data::Memory(std::vector<Image>(count), std::move(labels), std::move(classes));
}

}  // namespace

TEST_CASE("a tenth of each class is held out, the same for one seed, another for another") {
    const data::Dataset whole = labeled({100, 45, 7, 1, 4});
    const auto parts = data::hold_out(whole, 3);
    CHECK(parts.validation.size() == 15);
    CHECK(parts.train.size() == 142);
    CHECK(counts(parts.validation) == std::vector<int>{10, 4, 1, 0, 0});
    std::set<std::int64_t> all(parts.train.indices.begin(), parts.train.indices.end());
    all.insert(parts.validation.indices.begin(), parts.validation.indices.end());
    CHECK(all.size() == 157);
    CHECK(std::is_sorted(parts.train.indices.begin(), parts.train.indices.end()));
    CHECK(std::is_sorted(parts.validation.indices.begin(), parts.validation.indices.end()));
    CHECK(data::hold_out(whole, 3).validation.indices == parts.validation.indices);
    CHECK(data::hold_out(whole, 4).validation.indices != parts.validation.indices);
    CHECK(parts.validation.indices.front() + 9 != parts.validation.indices[9]);  // not simply the first ones
}

TEST_CASE("each side gets an image whenever there are two") {
    for (const auto& sizes :
         std::vector<std::vector<int>>{{2}, {1, 1}, {1, 2}, {3, 1}, {9}, {1, 1, 1, 1}, {10}, {19}}) {
        const auto parts = data::hold_out(labeled(sizes), 0);
        CHECK(parts.validation.size() == 1);
        CHECK(parts.train.size() >= 1);
    }
    CHECK(counts(data::hold_out(labeled({1, 2}), 0).validation) == std::vector<int>{0, 1});
    CHECK(data::hold_out(labeled({1}), 0).validation.size() == 0);
    CHECK(data::hold_out(labeled({1}), 0).train.size() == 1);
    CHECK(data::hold_out(data::Memory(std::vector<Image>(30)), 0).validation.size() == 3);
}
