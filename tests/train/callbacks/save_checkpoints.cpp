// SPDX-License-Identifier: Apache-2.0
#include <doppel/train/callbacks/save_checkpoints.hpp>
#include <doppel/train/train.hpp>

#include "support/train_support.hpp"

using namespace doppel;
using namespace doppel::test;

namespace {

std::vector<std::string> left_by(train::TrainOptions options, bool stumbles = false) {
    train::Trainer trainer(stumbles ? erase(stumbling({9, 10})) : erase(preset()), images(), options);
    train::run(trainer, train::SaveCheckpoints{});
    std::vector<std::string> names;
    for (const auto& path : train::Checkpoints(std::filesystem::path(options.out) / "checkpoints", 1).list())
        names.push_back(path.filename().string());
    return names;
}

}  // namespace

TEST_CASE("checkpoints are written every so many epochs and at the end; the last ones are kept") {
    TemporaryFolder folder;
    const auto name = [](int step) { return "step-000000" + std::string(step < 10 ? "0" : "") + std::to_string(step) + ".safetensors"; };
    CHECK(left_by(quick(folder / "all")) == std::vector<std::string>{name(5), name(10), name(15), name(20)});
    auto options = quick(folder / "kept");
    options.keep = 2;
    CHECK(left_by(options) == std::vector<std::string>{name(15), name(20)});
    options = quick(folder / "apart");
    options.checkpoint_every = 3;
    CHECK(left_by(options) == std::vector<std::string>{name(15), name(20)});
    CHECK(left_by(quick(folder / "bad"), true) == std::vector<std::string>{name(5), name(15), name(20)});  // 10 was skipped
    CHECK(left_by(quick()).empty());
}
