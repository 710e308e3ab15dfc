// SPDX-License-Identifier: Apache-2.0
// metrics.jsonl: the figures of a run, one JSON object per line.
#pragma once

#include <doppel/io/json_lines.hpp>
#include <doppel/train/callback.hpp>
#include <doppel/train/trainer.hpp>

#include <filesystem>
#include <optional>
#include <utility>

namespace doppel::train {

/// Writes the figures of each logged step and of each evaluation into metrics.jsonl of the run folder; without a folder,
/// nothing. After the first step, a line with the event "no_gradient" names the parameters that the loss does not reach, if there
/// are any. A resumed run drops the lines after its checkpoint, and learns from the others how long it was trained before.
class MetricsLog {
public:
    void begin(Trainer& trainer) {
        if (trainer.options().out.empty()) return;
        const std::filesystem::path out = trainer.options().out;
        io::create_folders(out);
        file_.emplace(out / "metrics.jsonl");
        if (!trainer.resumed_at()) return;
        file_->truncate_after(*trainer.resumed_at());
        for (const auto& line : io::read_json_lines(file_->path()))
            if (line.contains("train_seconds") && line["train_seconds"].is_number())
                trainer.add_earlier(line["train_seconds"].get<double>(), line.value("step", std::int64_t{0}));
    }

    void step(Trainer& trainer, const StepReport& report) {
        if (!file_) return;
        if (!trainer.without_gradient().empty() && !trainer.resumed_at() && !std::exchange(named_, true))
            file_->append({{"step", report.step}, {"event", "no_gradient"}, {"parameters", trainer.without_gradient()}});
        if (report.metrics.empty()) return;
        auto line = start_of_line(trainer);
        for (const char* first : {"loss", "lr", "images_per_second"}) line[first] = report.metrics.at(first);
        for (const auto& [name, value] : report.metrics) line[name] = value;
        for (const auto& [name, value] : trainer.recorded()) line[name] = value;
        file_->append(line);
    }

    void evaluation(Trainer& trainer, const Metrics& metrics) {
        if (!file_) return;
        auto line = start_of_line(trainer);
        for (const auto& [name, value] : metrics) line[name] = value;
        file_->append(line);
    }

private:
    static nlohmann::ordered_json start_of_line(const Trainer& trainer) {
        return {{"step", trainer.step_count()},
                {"epoch", static_cast<double>(trainer.step_count()) / static_cast<double>(trainer.steps_per_epoch())}};
    }

    std::optional<io::JsonLines> file_;
    bool named_ = false;
};
static_assert(Callback<MetricsLog>);

}  // namespace doppel::train
