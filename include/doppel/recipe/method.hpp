// SPDX-License-Identifier: Apache-2.0
// A method: a recipe that was checked and built.
#pragma once

#include <doppel/core/batch.hpp>
#include <doppel/core/module.hpp>
#include <doppel/recipe/check.hpp>
#include <doppel/recipe/method_impl.hpp>
#include <doppel/recipe/recipe.hpp>

#include <concepts>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace doppel {

namespace detail {
/// Stands in for the method of a recipe that Check rejects, so that no further error follows.
struct Rejected : torch::nn::Module {
    template <class... Any>
    explicit Rejected(const Any&...) {}
    Tensor forward(const Batch&) { return {}; }
    std::vector<std::string> begin(const Horizon&) { return {}; }
    void commit() {}
    void discard() {}
    void skip() {}
};
template <class R>
using MethodBody = typename std::conditional_t<Check<R>::ok, std::type_identity<MethodImpl<R>>, std::type_identity<Rejected>>::type;

/// A preset: anything that holds a recipe.
template <class P>
concept HoldsRecipe = is_recipe<std::remove_cvref_t<decltype(std::declval<const P&>().recipe)>>;
}  // namespace detail

/// A built recipe behind a module holder (copies share the method). A preset, that is anything with a member `recipe`,
/// will do as well.
///
///     Method method{Recipe{.encoder = encoders::ResNet{.depth = 18}, .loss = losses::NtXent{}}, {.seed = 1}};
///     Tensor loss = method->forward(batch);
template <class R>
class Method : public torch::nn::ModuleHolder<detail::MethodBody<R>> {
    using Body = detail::MethodBody<R>;

public:
    using torch::nn::ModuleHolder<Body>::ModuleHolder;
    explicit Method(R recipe, BuildOptions options = {})
        : torch::nn::ModuleHolder<Body>(std::make_shared<Body>(std::move(recipe), options)) {}
    template <class P>
        requires std::same_as<std::remove_cvref_t<decltype(std::declval<const P&>().recipe)>, R>
    explicit Method(const P& preset, BuildOptions options = {}) : Method(preset.recipe, options) {}
};
template <class R>
Method(R) -> Method<R>;
template <class R>
Method(R, BuildOptions) -> Method<R>;
template <detail::HoldsRecipe P>
Method(P) -> Method<std::remove_cvref_t<decltype(std::declval<const P&>().recipe)>>;
template <detail::HoldsRecipe P>
Method(P, BuildOptions) -> Method<std::remove_cvref_t<decltype(std::declval<const P&>().recipe)>>;

}  // namespace doppel
