// SPDX-License-Identifier: Apache-2.0
// Milestones: figures that a run must have reached by an epoch, or end.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/eval/collapse.hpp>
#include <doppel/options/rows.hpp>
#include <doppel/train/callback.hpp>
#include <doppel/train/trainer.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace doppel::train {

/// A figure of metrics.jsonl and what it must have reached after an epoch.
struct Milestone {
    std::string text{};         ///< as it was written: "knn_top1=0.4@20"
    std::string figure{};       ///< "knn_top1"
    bool at_least = true;       ///< else at most
    double value = 0;
    std::int64_t epoch = 1;     ///< epochs done, from 1

    bool reached_by(double seen) const { return at_least ? seen >= value : seen <= value; }  // NaN reaches nothing
};

namespace detail {

inline bool is_share(std::string_view figure) {
    return figure.find("top1") != figure.npos || figure.find("top5") != figure.npos || figure == "data_wait" || figure == "attention_on_objects";
}

/// 1: more is better; −1: less; 0: not known.
inline int better(std::string_view figure) {
    for (const std::string_view less : {"loss", "data_wait", "grad_norm", "train_seconds", "skipped_steps", "embedding_cos"})
        if (figure == less) return -1;
    for (const std::string_view more : {"feature_std", "effective_rank", "rank_me", "embedding_std", "embedding_rank", "images_per_second", "attention_on_objects"})
        if (figure == more) return 1;
    return is_share(figure) ? 1 : 0;
}

inline Milestone milestone_of(std::string text) {
    const auto from = text.find_first_not_of(" \t"), to = text.find_last_not_of(" \t");
    text = from == text.npos ? "" : text.substr(from, to - from + 1);
    Milestone one{.text = text};
    const auto sign = text.find_first_of("=<>"), at = text.rfind('@');
    bool valid = sign != text.npos && sign > 0 && at != text.npos && at > sign;
    if (valid) {
        one.figure = text.substr(0, sign);
        const auto first = sign + (text[sign] != '=' && text[sign + 1] == '=' ? 2 : 1);
        const auto number = [&](std::size_t begin, std::size_t end, auto& value) {
            const auto [stopped, problem] = std::from_chars(text.data() + begin, text.data() + end, value);
            return begin < end && problem == std::errc{} && stopped == text.data() + end;
        };
        valid = number(first, at, one.value) && std::isfinite(one.value) && number(at + 1, text.size(), one.epoch);
    }
    require(valid, "--expect: '", text, "' is no milestone; expected FIGURE=VALUE@EPOCH, or < or > in place of =, as in knn_top1=0.4@20");
    require(one.epoch >= 1, "--expect ", text, ": epochs are counted from 1, got ", one.epoch);
    require(!is_share(one.figure) || (one.value >= 0 && one.value <= 1), "--expect ", text, ": ", one.figure, " is a share from 0 to 1, got ",
            one.value);
    const int way = text[sign] == '=' ? better(one.figure) : text[sign] == '>' ? 1 : -1;
    require(way != 0, "--expect ", text, ": whether more or less of ", one.figure, " is better is not known; write ", one.figure, ">… or ",
            one.figure, "<…");
    one.at_least = way > 0;
    return one;
}

}  // namespace detail

/// Reads milestones with commas between them: "knn_top1=0.4@20, loss<5@10". With `=` the figure must be at least the value, or at
/// most where less is better (loss, data_wait …). Throws Error for a text that is none.
inline std::vector<Milestone> milestones_of(const std::string& text) {
    std::vector<Milestone> list;
    std::istringstream parts(text);
    for (std::string part; std::getline(parts, part, ',');) list.push_back(detail::milestone_of(part));
    return list;
}

/// A figure that evaluations give, and when.
struct EvaluationFigure {
    std::string name{};
    std::int64_t every = 0;     ///< epochs; 0: only at the end of the run
    std::string option{};       ///< that sets `every`: "--knn-every"
    std::string missing{};      ///< why the run never measures it; empty: it does
};

/// Ends a run that misses a milestone: Trainer::stop() with what was expected and what came. Figures of steps count as they were
/// logged last, figures of evaluations as they come at that epoch. A figure that was not measured by then is missed too.
/// Milestones before the step from which a run resumes are not checked; a warning says so.
///
///     train::Expectation expect(train::milestones_of("loss<5@10"));
///     train::train(preset, photos, {.out = "runs/mine"}, expect);
///     if (!expect.missed().empty()) …
class Expectation {
public:
    /// `own`: callbacks of the caller may give figures that are not known here.
    explicit Expectation(std::vector<Milestone> milestones, std::vector<EvaluationFigure> evaluations = {}, bool own = true)
        : open_(std::move(milestones)), evaluations_(std::move(evaluations)), own_(own) {}

    /// Throws Error for a milestone that can never be measured: an epoch that is not in the run, a figure that is not measured, or
    /// not at that epoch.
    void check(const Trainer& trainer) const {
        for (const Milestone& one : open_) check(one, trainer);
    }

    void begin(Trainer& trainer) {
        check(trainer);
        std::erase_if(open_, [&](const Milestone& one) {
            const bool past = one.epoch * trainer.steps_per_epoch() <= trainer.step_count() && !(at_the_end(one) && one.epoch == trainer.preset().epochs);
            if (past && trainer.resumed_at())
                trainer.warn("--expect " + one.text + " lies before step " + std::to_string(trainer.step_count()) +
                             ", from which the run goes on: it is not checked");
            return past;
        });
    }

    void step(Trainer& trainer, const StepReport& report) {
        settle(trainer, (report.step - 1) / trainer.steps_per_epoch());
        for (const auto& [name, value] : report.metrics) logged_[name] = value;
        if (!report.metrics.empty())
            for (const auto& [name, value] : trainer.recorded()) logged_[name] = value;
    }

    void epoch(Trainer& trainer, std::int64_t done) { look(trainer, done, logged_); }
    void evaluation(Trainer& trainer, const Metrics& metrics) {
        if (trainer.step_count() % trainer.steps_per_epoch() == 0) look(trainer, trainer.epoch(), metrics);
    }
    void end(Trainer& trainer, TrainResult& result) {
        if (result.error.empty()) settle(trainer, trainer.epoch());
    }

    /// What evaluations at the end of a whole run gave, for the milestones of its last epoch; `ended`: the run took its last step.
    void finish(const Metrics& metrics, bool ended) {
        std::erase_if(open_, [&](const Milestone& one) {
            if (!ended) return true;
            const auto found = metrics.find(one.figure);
            if (found == metrics.end())
                missed_.push_back(wanted(one) + ", and it was not measured");
            else if (!one.reached_by(found->second))
                missed_.push_back(wanted(one) + ", got " + number(found->second));
            return true;
        });
    }

    /// What was missed, a sentence each.
    const std::vector<std::string>& missed() const { return missed_; }

private:
    const EvaluationFigure* evaluated(const std::string& name) const {
        const auto found = std::find_if(evaluations_.begin(), evaluations_.end(), [&](const auto& figure) { return figure.name == name; });
        return found == evaluations_.end() ? nullptr : &*found;
    }
    bool at_the_end(const Milestone& one) const { return evaluated(one.figure) != nullptr; }

    void check(const Milestone& one, const Trainer& trainer) const {
        const auto epochs = trainer.preset().epochs, steps = one.epoch * trainer.steps_per_epoch();
        const std::string who = "--expect " + one.text + ": ";
        require(one.epoch <= epochs, who, "the run has ", epochs, epochs == 1 ? " epoch" : " epochs");
        static constexpr std::array<std::string_view, 12> of_steps{"loss",        "lr",            "images_per_second", "data_wait",
                                                                   "feature_std", "grad_norm",     "train_seconds",     "skipped_steps",
                                                                   "embedding_std", "embedding_rank", "embedding_cos",   "embedding_collapsed"};
        std::vector<std::string> names(of_steps.begin(), of_steps.end());
        names.insert(names.end(), trainer.loss_figures().begin(), trainer.loss_figures().end());
        if (std::find(names.begin(), names.end(), one.figure) != names.end()) {
            const auto every = trainer.options().log_every;
            require(one.epoch == epochs || steps >= every, who, "nothing is logged before step ", every, " (--log-every), and epoch ", one.epoch,
                    " ends with step ", steps);
            if (!one.figure.starts_with("embedding_")) return;
            const eval::CollapseWatch watch(trainer.total_steps());
            const auto logged = one.epoch == epochs ? steps : steps / every * every;
            bool sampled = false;
            for (std::int64_t step = 0; step < logged && !sampled; ++step) sampled = watch.due(step);
            require(sampled, who, "no sample of the embeddings is logged before epoch ", one.epoch, " ends; choose a later one");
            return;
        }
        if (const auto* figure = evaluated(one.figure)) {
            require(figure->missing.empty(), who, one.figure, " is not measured: ", figure->missing);
            if (one.epoch == epochs || (figure->every > 0 && one.epoch % figure->every == 0)) return;
            const std::string instead = figure->option.empty() ? "" : "; " + figure->option + " " + std::to_string(one.epoch) + " measures it then";
            if (figure->every == 0) fail(who, one.figure, " is measured at the end alone, after epoch ", epochs, instead);
            fail(who, one.figure, " is measured every ", figure->every, " epochs", instead);
        }
        for (const auto& figure : evaluations_) names.push_back(figure.name);
        const auto near = options::nearest_name(one.figure, names);
        require(own_, who, "there is no figure '", one.figure, "'", near.empty() ? "" : "; did you mean " + near + "?");
    }

    static std::string number(double value) {
        std::ostringstream text;
        text << value;
        return text.str();
    }
    static std::string wanted(const Milestone& one) {
        return one.figure + " was to be at " + (one.at_least ? "least " : "most ") + number(one.value) + " after epoch " + std::to_string(one.epoch);
    }

    void miss(Trainer& trainer, const Milestone& one, const std::string& what) {
        missed_.push_back(wanted(one) + what);
        trainer.warn(missed_.back() + (one.epoch < trainer.preset().epochs ? ": the run ends here (--expect " : " (--expect ") + one.text + ")");
        if (one.epoch < trainer.preset().epochs) trainer.stop(missed_.back());
    }

    /// Compares what is due at an epoch and among `figures`.
    void look(Trainer& trainer, std::int64_t done, const Metrics& figures) {
        std::erase_if(open_, [&](const Milestone& one) {
            const auto found = figures.find(one.figure);
            if (one.epoch != done || found == figures.end() || (at_the_end(one) && &figures == &logged_)) return false;
            if (!one.reached_by(found->second)) miss(trainer, one, ", got " + number(found->second));
            return true;
        });
    }

    /// What was due at an epoch that lies behind, and did not come.
    void settle(Trainer& trainer, std::int64_t done) {
        std::erase_if(open_, [&](const Milestone& one) {
            if (one.epoch > done || (at_the_end(one) && one.epoch == trainer.preset().epochs)) return false;  // that: finish()
            miss(trainer, one, ", and it was not measured");
            return true;
        });
    }

    std::vector<Milestone> open_;
    std::vector<EvaluationFigure> evaluations_;
    bool own_;
    Metrics logged_{{"skipped_steps", 0}};
    std::vector<std::string> missed_{};
};
static_assert(Callback<Expectation>);

}  // namespace doppel::train
