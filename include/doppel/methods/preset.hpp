// SPDX-License-Identifier: Apache-2.0
// A preset: a recipe with everything else that its paper fixes. It is the one description of a training run; what no paper
// fixes (device, seed, folder …) is train::TrainOptions.
#pragma once

#include <doppel/methods/learning_rate.hpp>
#include <doppel/optim/any_spec.hpp>
#include <doppel/optim/clip.hpp>
#include <doppel/optim/freeze.hpp>
#include <doppel/optim/sgd.hpp>
#include <doppel/recipe/any_method.hpp>
#include <doppel/schedules/schedules.hpp>
#include <doppel/views/views.hpp>

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace doppel {

/// What a method needs to be trained as its paper does. The learning rate follows the batch size that is used, so every
/// field may be changed afterwards.
///
///     auto preset = methods::simclr(encoders::ResNet{.depth = 18, .stem = Stem::cifar}, methods::simclr_small);
///     preset.epochs = 200;
///     preset.views.insert_after<augment::ColorJitter>(Cutout{.side = 8});
///     train::train(preset.with_loss("mine", my_loss), photos, {.out = "runs/mine"});
template <class R>
struct Preset {
    std::string name = "custom";                        ///< "simclr"
    R recipe{};                                         ///< the method's slots
    views::Views views{};                               ///< what it sees of an image
    optim::AnyOptimizerSpec optimizer = optim::Sgd{};   ///< how it is trained
    LearningRate lr{};                                  ///< of each optimizer step; must be set
    std::int64_t epochs = 100;                          ///< passes over the training images, ≥ 1
    std::int64_t batch_size = 256;                      ///< images per forward pass, ≥ 2
    Network export_encoder = Network::online;           ///< whose encoder is evaluated and saved
    std::optional<schedules::AnySchedule> weight_decay{};  ///< of each optimizer step, in place of the optimizer's where that is not 0
    optim::Clip clip{};                                 ///< of gradients
    std::vector<optim::Freeze> frozen{};                ///< what is not trained at the beginning
    nlohmann::ordered_json options = nlohmann::ordered_json::object();  ///< what it was made from, for config.json

    /// Builds the optimizer of the parameters, which knows the peak of the schedule: SimSiam's predictor keeps it throughout.
    optim::AnyOptimizer build_optimizer(const optim::NamedParameters& parameters, const schedules::AnySchedule& schedule,
                                        const Horizon& of) const {
        return optimizer.with_lr(schedules::peak(schedule, of)).build(parameters);
    }

    /// The preset with another recipe. The binding names every field: one that is added and forgotten here does not compile.
    template <class S>
    Preset<S> with_recipe(std::string new_name, S new_recipe) const {
        const auto& [own_name, own_recipe, v, o, l, e, b, x, w, c, f, j] = *this;
        return {std::move(new_name), std::move(new_recipe), v, o, l, e, b, x, w, c, f, j};
    }
    /// The preset with another spec in one slot, under a name of its own.
    template <class S>
    auto with_encoder(std::string new_name, S spec) const {
        return with_recipe(std::move(new_name), recipe.with_encoder(std::move(spec)));
    }
    template <class S>
    auto with_projector(std::string new_name, S spec) const {
        return with_recipe(std::move(new_name), recipe.with_projector(std::move(spec)));
    }
    template <class S>
    auto with_predictor(std::string new_name, S spec) const {
        return with_recipe(std::move(new_name), recipe.with_predictor(std::move(spec)));
    }
    template <class S>
    auto with_target(std::string new_name, S spec) const {
        return with_recipe(std::move(new_name), recipe.with_target(std::move(spec)));
    }
    template <class S>
    auto with_queue(std::string new_name, S spec) const {
        return with_recipe(std::move(new_name), recipe.with_queue(std::move(spec)));
    }
    template <class S>
    auto with_pairing(std::string new_name, S spec) const {
        return with_recipe(std::move(new_name), recipe.with_pairing(std::move(spec)));
    }
    template <class S>
    auto with_loss(std::string new_name, S spec) const {
        return with_recipe(std::move(new_name), recipe.with_loss(std::move(spec)));
    }
};

/// A preset of any recipe: what training works with, so that it is compiled once.
using AnyPreset = Preset<AnyRecipe>;

template <class R>
AnyPreset erase(const Preset<R>& preset) {
    return preset.with_recipe(preset.name, AnyRecipe(preset.recipe));
}
inline AnyPreset erase(AnyPreset preset) { return preset; }

}  // namespace doppel
