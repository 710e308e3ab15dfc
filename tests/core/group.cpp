// SPDX-License-Identifier: Apache-2.0
// The arithmetic of sharing a batch.
#include <doppel/core/group.hpp>

#include "support/processes.hpp"
#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("rows are shared in order, without gaps, as equally as possible") {
    for (const std::int64_t all : {0, 1, 5, 6, 7, 4097})
        for (const int size : {1, 2, 3, 8}) {
            std::int64_t next = 0;
            for (int r = 0; r < size; ++r) {
                const auto part = rows_of(all, r, size);
                CHECK(part.first == next);
                CHECK((part.count == all / size || part.count == all / size + 1));
                next += part.count;
            }
            CHECK(next == all);
        }
}

TEST_CASE("alone: nothing to add, nothing to wait for") {
    const Group group;
    CHECK(group.alone());
    CHECK(group.first());
    CHECK(group.rows(5) == std::vector<std::int64_t>{5});
    CHECK(group.all_rows(5) == 5);
    CHECK(group.weight() == 1);
    CHECK(mentions(message_of([&] { group.collectives(); }), {"no other processes"}));
}

TEST_CASE("rows of other processes follow from the images of each") {
    as_processes(3, [](const Group& group) {
        CHECK(group.rows(4) == std::vector<std::int64_t>{4, 4, 4});
        const Group shared = group.with_images({3, 4, 5});
        const std::int64_t own = shared.images()[static_cast<std::size_t>(group.rank())];
        CHECK(shared.rows(2 * own) == std::vector<std::int64_t>{6, 8, 10});
        CHECK(shared.all_rows(own) == 12);
        CHECK(shared.rows_before(own) == std::vector<std::int64_t>{0, 3, 7}[static_cast<std::size_t>(group.rank())]);
        CHECK(shared.weight() == static_cast<double>(own) / 4);
        CHECK(mentions(message_of([&] { shared.rows(own + 1); }), {"no multiple", std::to_string(own) + " images"}));
        CHECK(mentions(message_of([&] { group.with_images({1, 2}); }), {"3 processes", "got 2"}));
    });
}
