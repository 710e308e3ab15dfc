// SPDX-License-Identifier: Apache-2.0
#include <doppel/data/detail/split_names.hpp>

#include "support/support.hpp"

using namespace doppel;
using data::detail::Role;

namespace {

/// The roles of folders, as letters: t(rain), v(alidation), e(valuation at the end: test), - (none).
std::string roles(const std::vector<std::string>& names) {
    std::string letters;
    for (const auto& role : data::detail::roles_of(names))
        letters += !role ? '-' : *role == Role::train ? 't' : *role == Role::validation ? 'v' : 'e';
    return letters;
}

}  // namespace

TEST_CASE("the usual names of splits are known, in any case and with the usual words beside them") {
    for (const auto* name : {"train", "Train", "TRAIN", "training", "Training", "TrainSet", "train_set", "trainset", "train2017",
                             "train-images", "images_train", "Training Data", "trainval", "trainImages"}) {
        INFO(name);
        CHECK(roles({name}) == "t");
    }
    for (const auto* name : {"val", "VAL", "valid", "Validation", "dev", "eval", "evaluation", "val2017", "valid_images", "ValSet"}) {
        INFO(name);
        CHECK(roles({name}) == "v");
    }
    for (const auto* name : {"test", "Test", "testing", "Testing", "test_set", "testset", "test_images", "2017test"}) {
        INFO(name);
        CHECK(roles({name}) == "e");
    }
    for (const auto* name : {"cat", "trains", "bus_train", "steam train", "contest", "devil", "evaluated", "train_test", "2019", "", "строй"}) {
        INFO(name);
        CHECK(roles({name}) == "-");
    }
}

TEST_CASE("a split's name with a word of its own counts beside another split of that word") {
    CHECK(roles({"seg_pred", "seg_test", "seg_train"}) == "-et");
    CHECK(roles({"asl_alphabet_test", "asl_alphabet_train"}) == "et");
    CHECK(roles({"flowers-train", "fruit-test"}) == "--");
    CHECK(roles({"bus_train", "car_train"}) == "--");
}
