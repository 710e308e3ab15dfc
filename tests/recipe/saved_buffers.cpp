// SPDX-License-Identifier: Apache-2.0
#include <doppel/recipe/saved_buffers.hpp>

#include "support/torch_support.hpp"

using namespace doppel;
using namespace doppel::test;

TEST_CASE("saved buffers go back to the values of the first save, whatever their types") {
    Tensor mean = at::ones({3}), count = at::zeros({}, at::kLong);
    doppel::detail::SavedBuffers saved;
    saved.add(mean);
    saved.add(count);
    saved.restore();  // nothing is kept yet
    CHECK(mean.sum().item<float>() == 3);
    saved.save();
    mean.fill_(2), count.fill_(1);
    saved.save();  // kept already
    mean.fill_(5), count.fill_(7);
    saved.restore();
    CHECK(mean.sum().item<float>() == 3);
    CHECK(count.item<std::int64_t>() == 0);
    mean.fill_(4);
    saved.restore();  // only once
    CHECK(mean.sum().item<float>() == 12);
    saved.save();
    saved.drop();
    mean.fill_(1);
    saved.restore();
    CHECK(mean.sum().item<float>() == 3);
}
