// SPDX-License-Identifier: Apache-2.0
// Opens a path as a training and a validation set.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/data/dataset.hpp>
#include <doppel/data/detail/layout.hpp>
#include <doppel/data/detail/relabeled.hpp>
#include <doppel/data/detail/tree.hpp>
#include <doppel/data/fraction.hpp>
#include <doppel/data/joined.hpp>
#include <doppel/data/progress.hpp>
#include <doppel/data/sampled.hpp>
#include <doppel/data/split.hpp>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace doppel::data {

/// A training and a validation set, with their origin.
struct Splits {
    Dataset train{};                     ///< training images
    Dataset validation{};                ///< validation images; labels index the classes of bank, or of train without one
    std::string format{};                ///< "class folders", "flat folder", "list of files", "tar shards", …
    std::string split_rule{};            ///< one line: where the validation images come from, and what is not used
    std::vector<std::string> skipped{};  ///< files and folders that may hold images but cannot be used, with the reason
    std::vector<std::string> notes{};    ///< what else was passed over: one line for each kind of thing
    Dataset bank{};  ///< labeled images that k-NN compares with, if these are not the training images; else empty
    std::string list{};  ///< the image files as text: see save_list()
};

struct OpenOptions {
    std::uint64_t seed = 0;                       ///< selects the held-out images if there is no validation split
    Folders folders = Folders::automatic;         ///< what the folders are, where their names leave it open
    bool unlabeled = false;                       ///< folders are no classes: every image of the tree, without labels
    std::optional<std::filesystem::path> bank{};  ///< labeled images that k-NN compares with
    std::optional<image::SampleOptions> samples{};  ///< how the images are going to be read (Sampled), which decides what is held out
    std::optional<std::filesystem::path> extra{}; ///< more training images, whose labels are not used
    double fraction = 1;                          ///< of the training images, chosen per class by the seed: see stratified()
    Progress progress{};                          ///< lines about a search that takes long
};

namespace detail {

/// Returns whether only some of the images have labels, of at least two classes.
inline bool partly_labeled(const Dataset& images) {
    std::int64_t first = unlabeled;
    bool several = false, without = false;
    for (std::int64_t i = 0; i < images.size(); ++i) {
        const auto label = images.label(i);
        without |= label == unlabeled;
        several |= label != unlabeled && first != unlabeled && label != first;
        if (first == unlabeled) first = label;
    }
    return several && without;
}

/// The images that have labels.
inline Subset labeled_part(const Dataset& images) {
    Subset part{images, {}};
    for (std::int64_t i = 0; i < images.size(); ++i)
        if (images.label(i) != unlabeled) part.indices.push_back(i);
    return part;
}

/// Moves a tenth of `images` to the validation images.
inline void split_off(Splits& splits, Dataset& images, const std::string& why, const OpenOptions& options) {
    const Dataset read = options.samples ? Dataset(Sampled{images, *options.samples}) : images;
    auto [rest, validation] = hold_out(read, options.seed, options.progress);
    rest.base = validation.base = images;
    splits.split_rule = !validation.indices.empty()
                            ? "held out " + std::to_string(validation.size()) + " of " + counted(images.size()) + why
                        : images.size() == 1 ? "nothing held out: there is only one image"
                                             : "nothing held out: fewer than two images can be decoded";
    images = std::move(rest);
    splits.validation = std::move(validation);
}

/// Reduces the training images to a fraction, and makes those that have labels the bank where only some have; says so.
inline void finish(Splits& splits, double fraction, std::uint64_t seed) {
    if (fraction != 1) {
        auto part = stratified(splits.train, fraction, seed);
        std::ostringstream text;
        text << "training: " << part.size() << " of " << counted(splits.train.size()) << ", a fraction of " << fraction << " per class; ";
        splits.split_rule = text.str() + splits.split_rule;
        splits.train = std::move(part);
    }
    if (!splits.bank.empty() || !partly_labeled(splits.train)) return;
    splits.bank = labeled_part(splits.train);
    splits.split_rule += ", compared with the training images that have labels, " + counted(splits.bank.size());
}

/// Opens what open() is given, part by part.
class Opening {
public:
    Opening(const std::filesystem::path& path, const std::optional<std::filesystem::path>& validation, OpenOptions options)
        : options_(std::move(options)) {
        Reading how{.folders = options_.folders, .unlabeled = options_.unlabeled, .progress = options_.progress};
        for (const auto& other : {validation, options_.bank, options_.extra})
            if (other) how.left_out.push_back(*other);
        auto layout = layout_of(path, how);
        require_training(path, layout);
        const auto training_name = layout.train->name;
        found_.train = loaded(*layout.train, options_.unlabeled, {}, &found_.format);
        auto trained = layout.train->name != training_name ? layout.train->name : "";
        if (options_.extra) add_extra(*options_.extra, layout.survey, trained);
        partly_ = partly_labeled(found_.train);
        note(layout.survey);
        unused_ = layout.unused;
        auto queries = std::move(layout.validation);
        const bool own = queries && !validation;
        std::optional<Part> bank;
        if (options_.bank) {
            auto other = other_layout(*options_.bank);
            bank = other.train ? other.train : other.validation;
            if (!validation && !queries && other.train) queries = std::move(other.validation);
        }
        if (validation) {
            auto other = other_layout(*validation);
            if (queries) not_used(queries->name, queries->tree.total);
            if (other.train && other.validation && !bank && !found_.train.labeled() && !partly_) bank = std::move(other.train);
            queries = std::move(other.validation ? other.validation : other.train);
        }
        if (bank) set_bank(*bank);
        if (queries)
            evaluate_on(*queries, /*unlabeled=*/options_.unlabeled && own);
        else if (found_.bank.empty())
            split_off(found_.train, ": no validation split found");
        else
            split_off(found_.bank, " of " + bank_name_ + ", to compare them with the others");
        if (!trained.empty()) found_.split_rule = "training: " + trained + "; " + found_.split_rule;
        finish(found_, options_.fraction, options_.seed);
        if (!unused_.empty()) found_.split_rule += "; not used: " + unused_;
    }
    Splits result() && { return std::move(found_); }

private:
    Dataset loaded(Part& part, bool unlabeled, const std::vector<std::string>& classes, std::string* format = nullptr) {
        auto loaded = load(part, unlabeled, classes);
        if (format) *format = loaded.format;
        part.name += loaded.note;
        std::move(loaded.skipped.begin(), loaded.skipped.end(), std::back_inserter(found_.skipped));
        std::move(loaded.notes.begin(), loaded.notes.end(), std::back_inserter(found_.notes));
        return std::move(loaded.data);
    }

    /// Adds images without labels to the training images; `survey` is that of the search which left them out.
    void add_extra(const std::filesystem::path& extra, Survey& survey, std::string& trained) {
        std::error_code ignored;
        std::erase_if(survey.left_out, [&](const std::string& folder) { return std::filesystem::equivalent(folder, extra, ignored); });
        auto layout = layout_of(extra, {.folders = options_.folders, .unlabeled = true, .evaluation = true, .progress = options_.progress});
        note(layout.survey);
        if (layout.train && layout.validation) found_.notes.push_back("not used: " + layout.validation->name + " of " + extra.string());
        std::string format;
        auto images = without_labels(loaded(layout.train ? *layout.train : *layout.validation, true, {}, &format));
        if (format != found_.format) found_.format += " and " + format;
        trained += (trained.empty() ? "" : ", ") + counted(found_.train.size()) + " and, without labels, " + counted(images.size()) + " of " +
                   extra.string();
        found_.train = Joined(std::move(found_.train), std::move(images));
    }

    void note(Survey& survey) {
        for (auto& line : survey.notes()) found_.notes.push_back(std::move(line));
        for (auto& why : survey.skipped) found_.skipped.push_back(std::move(why));
    }

    static void require_training(const std::filesystem::path& path, const Layout& layout) {
        if (layout.train) return;
        const auto& other = layout.validation;
        fail("data: ", path.string(), " has ", other ? other->name : "no split", ", but no training images",
             other && other->tree.total > 0
                 ? "; --folders classes takes all folders as classes, --data " + other->path.string() + " trains on this one"
                 : "");
    }

    /// Finds the parts of a path that serves evaluation, and names them by it.
    Layout other_layout(const std::filesystem::path& path) {
        auto layout = layout_of(path, {.folders = options_.folders, .evaluation = true, .progress = options_.progress});
        for (auto* part : {&layout.train, &layout.validation})
            if (*part) {
                const bool whole = part == &layout.train && !layout.validation;
                (*part)->name = whole ? path.string() : (*part)->name + " of " + path.string();
            }
        note(layout.survey);
        return layout;
    }

    void not_used(const std::string& name, std::int64_t images) {
        unused_ = name + (images > 0 ? ", " + counted(images) : "") + (unused_.empty() ? "" : "; " + unused_);
    }

    void set_bank(Part& part) {
        found_.bank = loaded(part, /*unlabeled=*/false, {});
        bank_name_ = part.name;
        require(found_.bank.labeled(), "data: ", bank_name_,
                " is what k-NN compares with and must have labels, expected a folder for each of at least two classes");
    }

    void evaluate_on(Part& part, bool unlabeled) {
        Dataset& known = found_.bank.empty() ? found_.train : found_.bank;
        const bool judges = known.labeled() || (found_.bank.empty() && partly_);
        auto images = loaded(part, unlabeled, known.classes());
        const bool labels = !images.classes().empty();
        if (judges && !labels) {  // nothing to score k-NN by
            not_used(part.name, images.size());
            return split_off(known, ": " + part.name + " has no labels");
        }
        if (!judges && images.labeled()) {
            found_.bank = std::move(images);
            return split_off(found_.bank, " of " + part.name + ", to compare them with the others");
        }
        found_.validation = !labels                   ? std::move(images)
                            : known.classes().empty() ? Dataset(Relabeled{std::move(images), {}, {}})
                                                      : under_classes(std::move(images), known.classes(), part.path.string());
        found_.split_rule = "validation: " + part.name + ", " + counted(found_.validation.size());
        if (!found_.bank.empty()) found_.split_rule += ", compared with " + bank_name_ + ", " + counted(known.size());
    }

    void split_off(Dataset& images, const std::string& why) {
        detail::split_off(found_, images, why, options_);
    }

    OpenOptions options_;
    Splits found_;
    std::string bank_name_, unused_;
    bool partly_ = false;  // only some training images have labels: these are the bank
};

}  // namespace detail

/// Opens the data set at `path`, recognized by its content: a folder of CIFAR or STL-10 binaries or IDX files, or one file of
/// CIFAR or IDX; a packed file; tar files (a folder of them, one, or a pattern as 0{00..99}.tar: see TarShards); a list of files
/// (.csv, .tsv, .txt: see read_file_list); a folder with a subfolder per class; a flat folder of images (unlabeled). With
/// `options.unlabeled`, any folder of images, at any depth.
///
/// Subfolders with the usual names of splits (train, training, val, valid, dev, test, seg_train beside seg_test, …, in
/// any case) are splits, not classes. Where they can be both, because there are other images beside them,
/// `options.folders` must say. Validation images come from `validation` if given (if it has splits, from its validation
/// or test split), else from the val split, else from the test split, else a tenth of each class is held out (hold_out).
/// If they have no labels but the training images do, a tenth is held out too.
/// Validation labels are mapped to those of the training set by class name.
///
/// Unlabeled training images can be judged by other, labeled ones: if `validation` has labels, its training split, or
/// all but a tenth of it, becomes `bank`; `options.bank` names one. A `validation` or `bank` inside `path` is not trained
/// on. If only some of the training images have labels, as with `options.extra`, these are the bank.
///
/// Throws Error: no such path, no known format, folders that can be read in two ways, a test or validation split without
/// a train split, a validation class that the training set lacks, and the errors of the readers.
///
///     const auto splits = data::open("photos");
inline Splits open(const std::filesystem::path& path,
                   const std::optional<std::filesystem::path>& validation = std::nullopt, OpenOptions options = {}) {
    return detail::Opening(path, validation, std::move(options)).result();
}

/// Does for a program's own images what open() does: holds out a tenth of them if there are no validation images, and takes
/// `options.fraction` of the training images. Throws Error if there are no training images.
///
///     auto splits = data::complete({.train = MyImages()}, {.seed = 1});
inline Splits complete(Splits splits, const OpenOptions& options) {
    require(!splits.train.empty(), "data: there are no training images");
    if (splits.validation.empty()) detail::split_off(splits, splits.train, ": no validation images", options);
    detail::finish(splits, options.fraction, options.seed);
    return splits;
}

}  // namespace doppel::data
