// SPDX-License-Identifier: Apache-2.0
// The main results of a page: shares as bars.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace doppel::eval {

/// A share between 0 and 1, shown as a bar with an explanation.
struct Measure {
    std::string name{};
    double share = 0;                                     ///< 0 to 1
    std::string explanation{};                            ///< one sentence
    bool highlight = false;                               ///< emphasize this measure
    std::optional<std::pair<double, double>> interval{};  ///< of 95 % confidence: low and high end, from 0 to 1
};

/// The accuracies that knn_headline() compares, each from 0 to 1.
struct KnnScores {
    double trained = 0;                                   ///< the trained encoder
    double untrained = 0;                                 ///< the same encoder as initialized
    double pixels = 0;                                    ///< the normalized images themselves
    std::int64_t k = 20;                                  ///< neighbors that vote
    std::int64_t classes = 0;                             ///< number of classes; 0: no bar for guessing
    std::optional<std::pair<double, double>> interval{};  ///< of the trained encoder
};

/// Returns the k-NN headline: trained encoder, raw pixels, untrained encoder and, with `classes`, guessing.
inline std::vector<Measure> knn_headline(const KnnScores& scores) {
    const auto k = std::to_string(scores.k);
    std::vector<Measure> measures{
        {.name = "Trained encoder",
         .share = scores.trained,
         .explanation = "k-NN: the share of validation images whose " + k +
                        " nearest training images vote for the right class; "
                        "distances are between features of the trained encoder.",
         .highlight = true,
         .interval = scores.interval},
        {.name = "Raw pixels",
         .share = scores.pixels,
         .explanation = "The same vote with distances between pixels: a baseline without learning."},
        {.name = "Untrained encoder",
         .share = scores.untrained,
         .explanation = "The same vote with the network before training: the contribution of the architecture alone."}};
    if (scores.classes > 0)
        measures.push_back({.name = "Guessing",
                            .share = 1.0 / static_cast<double>(scores.classes),
                            .explanation = "One of " + std::to_string(scores.classes) + " classes, picked at random."});
    return measures;
}

}  // namespace doppel::eval
