// SPDX-License-Identifier: Apache-2.0
// Accuracy of a classifier: top-1 with its confidence interval, top-5, per class, and the confusion matrix.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/core/tensor.hpp>

#include <ATen/ops/arange.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string_view>
#include <vector>

namespace doppel::eval {

/// A confidence interval of a share: both ends from 0 to 1.
struct Interval {
    double low = 0, high = 1;
};

/// Returns the 95 % confidence interval of a share of which `right` of `of` independent cases were seen: Wilson's score
/// interval, which stays inside 0 to 1 and is right for few cases and for shares near 0 or 1. Without cases: 0 to 1.
/// Throws Error unless 0 ≤ right ≤ of. Source: Wilson, "Probable inference, the law of succession, and statistical
/// inference", 1927.
///
///     auto [low, high] = eval::wilson(71, 100);  // 0.615 to 0.790
inline Interval wilson(std::int64_t right, std::int64_t of) {
    require(right >= 0 && right <= of, "wilson: the right cases must be from 0 to all of them, got ", right, " of ", of);
    if (of == 0) return {};
    const double z = 1.959963984540054, n = static_cast<double>(of), share = static_cast<double>(right) / n;
    const double middle = share + z * z / (2 * n), half = z * std::sqrt(share * (1 - share) / n + z * z / (4 * n * n));
    const auto end = [&](double value) { return std::clamp(value / (1 + z * z / n), 0.0, 1.0); };
    return {right == 0 ? 0 : end(middle - half), right == of ? 1 : end(middle + half)};
}

/// How well the predictions for N images of C classes agree with their labels.
struct Accuracy {
    std::int64_t count = 0;           ///< N
    double top1 = 0;                  ///< share of images whose class has the highest score, 0 to 1
    double top5 = 0;                  ///< share of images whose class is among the five highest scores; 1 if C ≤ 5
    Interval interval{};              ///< of top1: 95 %, see wilson()
    double mean_per_class = 0;        ///< mean of per_class over the classes that have images
    std::vector<double> per_class{};  ///< [C], share of the class's images that are right; NaN: no image of the class
    Tensor confusion{};               ///< [C, C] int64 on the CPU: images by true class (row) and prediction (column)
};

/// What a classifier predicts for N images.
struct Predictions {
    Tensor classes;  ///< [N] int64, the class with the highest score; of equal scores the lower class
    Tensor in_top5;  ///< [N] bool, whether the image's class is among the five highest scores
};

namespace detail {

/// Checks class indices [rows] int64, and returns them on `device`.
inline Tensor checked_labels(std::string_view who, std::string_view name, const Tensor& labels, std::int64_t rows,
                             std::int64_t classes, at::Device device) {
    require(classes >= 1, who, ": classes must be at least 1, got ", classes);
    require(labels.defined() && labels.dim() == 1 && labels.size(0) == rows, who, ": ", name, " must be [", rows, "], got ",
            labels.defined() ? labels.sizes() : at::IntArrayRef{});
    require(labels.scalar_type() == at::kLong, who, ": ", name, " must be int64, got ", labels.scalar_type());
    if (rows == 0) return labels.to(device);
    const auto least = labels.min().item<std::int64_t>(), most = labels.max().item<std::int64_t>();
    require(least >= 0 && most < classes, who, ": ", name, " must be from 0 to ", classes - 1, ", got ",
            least < 0 ? least : most, least == -1 ? "; -1 marks an image without a label: leave such images out" : "");
    return labels.to(device);
}

/// The number of classes before the image's own, by score and then by class: [N], for scores [N, C] and labels [N].
inline Tensor classes_ahead(const Tensor& scores, const Tensor& labels) {
    const Tensor label = labels.unsqueeze(1), own = scores.gather(1, label);  // [N, 1]
    const Tensor lower = at::arange(scores.size(1), labels.options()) < label;  // [N, C]
    return ((scores > own) | ((scores == own) & lower)).sum(1);
}

}  // namespace detail

/// Returns the accuracy of predictions for images with labels [N] int64, from 0 to classes − 1, on any device.
/// For classifiers that rank in their own way; for scores, use the other form.
inline Accuracy accuracy_of(const Predictions& predictions, const Tensor& labels, std::int64_t classes) {
    const at::NoGradGuard no_grad;
    const auto count = labels.defined() && labels.dim() == 1 ? labels.size(0) : 0;
    require(count > 0, "accuracy: there must be at least one label [images], got ", labels.defined() ? labels.sizes() : at::IntArrayRef{});
    const Tensor truth = detail::checked_labels("accuracy", "labels", labels, count, classes, at::kCPU);
    const Tensor predicted =
        detail::checked_labels("accuracy", "predictions", predictions.classes, count, classes, at::kCPU);
    require(predictions.in_top5.defined() && predictions.in_top5.numel() == count && predictions.in_top5.scalar_type() == at::kBool,
            "accuracy: in_top5 must be [", count, "] bool");
    Accuracy result;
    result.count = count;
    result.confusion = (truth * classes + predicted).bincount({}, classes * classes).view({classes, classes});  // [C, C]
    const Tensor images = result.confusion.sum(1), right = result.confusion.diagonal().contiguous();            // [C]
    const auto right_all = right.sum().item<std::int64_t>();
    result.top1 = static_cast<double>(right_all) / static_cast<double>(count);
    result.top5 = predictions.in_top5.sum().item<double>() / static_cast<double>(count);
    result.interval = wilson(right_all, count);
    double sum = 0;
    std::int64_t seen = 0;
    for (std::int64_t c = 0; c < classes; ++c) {
        const auto of = images.const_data_ptr<std::int64_t>()[c];
        if (of == 0) {
            result.per_class.push_back(std::numeric_limits<double>::quiet_NaN());
            continue;
        }
        result.per_class.push_back(static_cast<double>(right.const_data_ptr<std::int64_t>()[c]) / static_cast<double>(of));
        sum += result.per_class.back();
        ++seen;
    }
    result.mean_per_class = sum / static_cast<double>(seen);
    return result;
}

/// Returns the accuracy of scores [N, C], of any floating type, for images with labels [N] int64, from 0 to C − 1.
/// Of equal scores, the lower class comes first. Scores and labels may be on any device.
/// Throws Error for wrong shapes, dtypes and labels, without images, and for a score that is not a number.
///
///     const eval::Accuracy accuracy = eval::accuracy_of(logits, labels);
///     std::cout << accuracy.top1 << " (" << accuracy.interval.low << " to " << accuracy.interval.high << ")\n";
inline Accuracy accuracy_of(const Tensor& scores, const Tensor& labels) {
    const at::NoGradGuard no_grad;
    require(scores.defined() && scores.dim() == 2 && scores.numel() > 0, "accuracy: scores must be [images, classes] and not empty, got ",
            scores.defined() ? scores.sizes() : at::IntArrayRef{});
    require(scores.is_floating_point(), "accuracy: scores must be of a floating type, got ", scores.scalar_type());
    const Tensor strange = (scores != scores).any(1);  // [N]
    if (strange.any().item<bool>())
        fail("accuracy: scores must be numbers, got NaN in row ", strange.to(at::kInt).argmax().item<std::int64_t>(),
             " (the first of ", strange.sum().item<std::int64_t>(), "); check the features and the training that they come from");
    const Tensor truth = detail::checked_labels("accuracy", "labels", labels, scores.size(0), scores.size(1), scores.device());
    return accuracy_of(Predictions{scores.argmax(1), detail::classes_ahead(scores, truth) < 5}, truth, scores.size(1));
}

}  // namespace doppel::eval
