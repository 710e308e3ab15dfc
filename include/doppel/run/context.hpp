// SPDX-License-Identifier: Apache-2.0
// A run that is prepared: what its parts (baselines, evaluation, report, files) look at.
#pragma once

#include <doppel/methods/preset.hpp>
#include <doppel/run/options.hpp>
#include <doppel/run/skipped.hpp>

#include <filesystem>
#include <memory>
#include <string>

namespace doppel::run {

struct Context {
    AnyPreset preset;
    Data data;
    RunOptions options;
    weights::EncoderInfo encoder{};
    std::string started_from = "random weights";  ///< for people: of a run with --init the file and its origin
    std::filesystem::path out{};
    std::shared_ptr<Skipped> skipped{};
    at::Device device = at::kCPU;
    Precision precision = Precision::fp32;
    bool labeled = false;  ///< bank and validation images have labels: k-NN is possible

    const std::string& title() const { return options.title.empty() ? preset.name : options.title; }
    /// The images that validation images are compared with.
    const data::Dataset& bank() const { return data.bank.empty() ? data.train : data.bank; }
    const std::shared_ptr<data::DamagedImages>& bank_damage() const { return data.bank.empty() ? skipped->train : skipped->bank; }
    const augment::Pipeline& pipeline() const { return preset.views.eval; }
};

}  // namespace doppel::run
