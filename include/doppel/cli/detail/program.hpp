// SPDX-License-Identifier: Apache-2.0
// The training program: part of doppel::compiled.
#pragma once

#include <doppel/cli/arguments.hpp>
#include <doppel/cli/config_file.hpp>
#include <doppel/cli/custom_data.hpp>
#include <doppel/cli/data_options.hpp>
#include <doppel/cli/exit_status.hpp>
#include <doppel/cli/options_document.hpp>
#include <doppel/cli/prepare.hpp>
#include <doppel/cli/program.hpp>
#include <doppel/core/compiled.hpp>
#include <doppel/core/device.hpp>
#include <doppel/core/error.hpp>
#include <doppel/distributed/join.hpp>
#include <doppel/distributed/launch.hpp>
#include <doppel/distributed/place.hpp>
#include <doppel/methods/entry.hpp>
#include <doppel/run/folder.hpp>
#include <doppel/run/messages.hpp>
#include <doppel/run/run.hpp>
#include <doppel/train/error_text.hpp>

#include <ATen/Parallel.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

namespace doppel::cli {

/// Options of the program itself.
struct ProgramOptions {
    std::string config{};
    bool verbose = false;
    int processes = 1;

    static constexpr auto fields() {
        return std::tuple(options::field(&ProgramOptions::config, "config",
                                         "JSON file of options, as a run's config.json; the command line overrides it"),
                          options::field(&ProgramOptions::processes, "processes",
                                         "processes to start on this machine, which train together: on GPUs one for each; torchrun, mpirun and srun start them too",
                                         options::between(1, 1024)),
                          options::field(&ProgramOptions::verbose, "verbose", "print more about errors"));
    }
};

namespace detail {

/// The method's rows without those that the program decides itself.
inline std::vector<options::Row> shown(const std::vector<options::Row>& rows) {
    std::vector<options::Row> kept;
    for (const auto& row : rows)
        if (row.name != "size") kept.push_back(row);
    return kept;
}

}  // namespace detail

DOPPEL_BODY std::variant<int, Prepared> prepare(const std::vector<std::string>& words, const std::string& program,
                                                const methods::MethodEntry& entry, const CustomData& custom) {
    using detail::row_named;
    using detail::shown;
    ProgramOptions own;
    DataOptions data_options;
    if (custom.open) data_options.data = custom.name;
    EncoderOptions encoder_options{.arch = entry.about.arch};
    run::RunOptions run_options{.train = {.seed = 1}, .title = entry.about.title};
    const auto own_rows = options::rows_of(own), encoder_rows = options::rows_of(encoder_options), run_rows = options::rows_of(run_options);
    auto data_rows = options::rows_of(data_options);
    if (custom.open) data_rows.front().meaning = "'" + custom.name + "', the program's own images, " + data_rows.front().meaning;
    const auto sections = [&](const std::vector<options::Row>& method) {
        std::vector<Section> all{{"Data", data_rows}, {"Encoder", encoder_rows}, {entry.about.title, shown(method)},
                                 {"Run", run_rows, {"expect"}}, {"Other", own_rows}};
        if (entry.about.own_encoder) all.erase(all.begin() + 1);
        return all;
    };
    const std::string text = entry.about.title + ": " + entry.about.text +
                             (entry.about.paper.empty() ? "" : " Paper: " + entry.about.paper + ".");
    const std::string footer =
        "A run leaves config.json, metrics.jsonl, checkpoints/, encoder.safetensors and report.html in its folder.\n"
        "Example: " + program + " --data photos --size 128 --epochs 100 --out runs/photos";

    // First pass: what was given. The method's defaults depend on the size of the views and the kind of encoder.
    auto arguments = parse(words, program, text, sections(entry.values(methods::Scale::small).rows), footer);
    const bool asked = !arguments.answer.empty();
    if (asked) {  // again without the question, for the values that the defaults depend on
        std::vector<std::string> others;
        for (const auto& word : words)
            if (word != "--help" && word != "-h" && word != "--version") others.push_back(word);
        if (arguments.answer.starts_with("doppel ")) return std::fputs(arguments.answer.c_str(), stdout) < 0 ? 1 : 0;
        arguments = parse(others, program, text, sections(entry.values(methods::Scale::small).rows), footer);
    }
    set_given(arguments, own_rows);
    const ConfigFile config = own.config.empty() ? ConfigFile() : ConfigFile(own.config);
    require(config.method().empty() || config.method() == entry.about.name, "--config: ", own.config, " is for the method ",
            config.method(), ", this is ", entry.about.name);
    for (const auto& [section, rows] : {std::pair("data", data_rows), std::pair("encoder", encoder_rows), std::pair("run", run_rows)}) {
        config.apply(section, rows);
        set_given(arguments, rows);
    }
    const bool transformer = encoders::short_name(encoder_options.arch).starts_with("vit");
    if (asked) {
        const int size = data_options.size > 0 ? data_options.size : 32;
        const auto values = entry.values(methods::scale_of(size), transformer);
        const auto help = parse({"--help"}, program, text + " Defaults below are those for views of " + std::to_string(size) + " px.",
                                sections(values.rows), footer);
        return std::fputs(help.answer.c_str(), stdout) < 0 ? 1 : 0;
    }
    if (entry.about.own_encoder)
        for (const char* name : {"arch", "stem"})
            require(!arguments.given.contains(name), "--", name, " has no effect: this method has its own encoder");

    std::signal(SIGPIPE, SIG_IGN);  // `| head` ends the output, not the run
    device_from(run_options.train.device);  // before anything long
    const std::string& precision = run_options.train.precision;
    require(precision == "auto" || precision == "fp32" || precision == "bf16" || precision == "fp16",
            "--precision must be auto, fp32, bf16 or fp16, got '",
            precision, "'");
    const auto list = run_options.train.resume.empty() ? std::filesystem::path()
                                                       : run::folder_of(run_options.train, entry.about.name) / "images.tsv";
    auto trial = entry.values(methods::Scale::small, transformer);  // the channels do not depend on the scale
    config.apply("options", trial.rows);
    set_given(arguments, shown(trial.rows));
    const int channels = *std::get<int*>(row_named(trial.rows, "channels").value);
    const auto normalize = normalize_of(data_options, channels);
    if (channels != 1 && channels != 3)
        run::say("{} channels: saturation, hue and grayscale change nothing{}", channels,
                 normalize ? "" : "; --mean and --std are those of your images, 0.5 and 0.25 without them");
    const auto samples = samples_of(data_options, channels);
    auto splits = open_data(data_options, static_cast<std::uint64_t>(run_options.train.seed), list, custom, samples);
    require(splits.train.size() >= 2, "--data: ", data_options.data, " has one image, expected at least two to train on");
    if (samples) read_samples(splits, data_options, *samples, custom.open && data_options.data == custom.name);
    data::DamagedImages damaged;
    const int size = size_for(data_options, splits.train, run_options.strict ? nullptr : &damaged);
    auto values = entry.values(methods::scale_of(size), transformer);
    config.apply("options", values.rows);
    set_given(arguments, shown(values.rows));
    require(detail::row_named(values.rows, "size").set(std::to_string(size)), "--size must be from 1 to 4096, got ", size);
    if (data_options.threads > 0) at::set_num_threads(static_cast<int>(data_options.threads));
    const auto encoder = encoder_of(encoder_options, size, channels);
    auto preset = entry.preset(encoder, values, {.images = splits.train.size()});
    if (normalize) preset.views.normalize(*normalize);
    if (!entry.about.own_encoder) run_options.encoder = weights::encoder_info(encoder);
    if (data_options.fraction != 1) run_options.train.identity["fraction"] = row_named(data_rows, "fraction").text();
    if (!data_options.window.empty()) run_options.train.identity["window"] = data_options.window;
    run_options.record["program"] = program;
    run_options.record["command"] = words;
    run_options.record["data"] = options::to_json(data_rows);
    if (!entry.about.own_encoder) run_options.record["encoder"] = options::to_json(encoder_rows);
    return Prepared{.preset = std::move(preset),
                    .data = run::data_from(std::move(splits), data_name(data_options)),
                    .options = std::move(run_options),
                    .processes = own.processes};
}

namespace detail {

/// One GPU for each process of this machine, and its part of the cores.
inline void take_device(train::TrainOptions& options, int local_rank, int local_size) {
    const auto device = device_from(options.device);
    if (!device.is_cuda()) return;
    require(!options.device.starts_with("cuda:"), "--device ", options.device, " names one GPU, and there are ", local_size, " processes; --device cuda gives each its own");
    const int count = at::detail::getCUDAHooks().deviceCount();
    require(local_size <= count, local_size, " processes on this machine, which has ", count, " GPU", count == 1 ? "" : "s", "; start one process for each, or use --device cpu");
    options.device = "cuda:" + std::to_string(local_rank);
    const int cores = static_cast<int>(std::thread::hardware_concurrency());
    if (options.workers < 0) options.workers = std::clamp(cores / local_size - 1, 1, 16);
}

/// The words without --processes.
inline std::vector<std::string> for_one_process(const std::vector<std::string>& words) {
    std::vector<std::string> kept;
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (words[i] == "--processes") ++i;
        else if (!words[i].starts_with("--processes=")) kept.push_back(words[i]);
    }
    return kept;
}

/// The run, in the process at `place`.
inline int train_at(const std::optional<distributed::Place>& place, Prepared& ready) {
    auto& options = ready.options;
    const Group group = options.train.group = distributed::join(place, device_from(options.train.device));
    if (group.alone()) return run::run(ready.preset, std::move(ready.data), options).status();
    try {
        return run::run(ready.preset, std::move(ready.data), options).status();
    } catch (...) {
        const auto problem = train::error_text();
        group.collectives().give_up(problem);
        if (group.first()) std::this_thread::sleep_for(std::chrono::milliseconds(1500));  // the others ask this process for the reason
        if (group.first() || problem.find("without a word") != std::string::npos) throw;
        return 2;  // the first process says it
    }
}

/// `command`: the whole command line, the program's name first.
inline int train(const std::vector<std::string>& words, const std::string& program, const methods::MethodEntry& entry,
                 const CustomData& custom, const std::vector<std::string>& command) {
    const auto place = distributed::place_from_environment();
    run::silent() = place && place->rank > 0;
    int processes = 1;
    {
        auto prepared = prepare(words, program, entry, custom);
        if (const auto* status = std::get_if<int>(&prepared)) return *status;
        auto& ready = std::get<Prepared>(prepared);
        processes = ready.processes;
        require(processes == 1 || !place, "--processes ", processes, " starts processes, and this is already process ", place ? place->rank : 0, " of ",
                place ? place->size : 0, ", as torchrun, mpirun or srun started it; leave --processes out");
        if (place || processes > 1) take_device(ready.options.train, place ? place->local_rank : 0, place ? place->local_size : processes);
        if (processes == 1) return train_at(place, ready);
        require(processes <= ready.preset.batch_size, "--processes ", processes, ": more than the images of a batch, ", ready.preset.batch_size,
                " (--batch-size), which they share");
    }  // before they start: what was opened takes memory
    return distributed::launch(distributed::this_program(command.front()), for_one_process(command), {.processes = processes});
}

}  // namespace detail

DOPPEL_BODY int train(int argc, char** argv, const methods::MethodEntry& entry, const CustomData& own) {
    const std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
    const std::string program = argc > 0 ? std::filesystem::path(argv[0]).filename().string() : entry.about.name;
    const bool verbose = std::find(words.begin(), words.end(), "--verbose") != words.end();
    return exit_status_of(entry.about.name, [&] { return detail::train(words, program, entry, own, {argv, argv + argc}); }, verbose);
}

DOPPEL_BODY int train(int argc, char** argv, const std::vector<methods::MethodEntry>& entries, const CustomData& own) {
    const std::string program = argc > 0 ? std::filesystem::path(argv[0]).filename().string() : "train";
    std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
    const bool verbose = std::find(words.begin(), words.end(), "--verbose") != words.end();
    const auto action = [&] {
        if (words == std::vector<std::string>{"--options"}) return std::fputs(options_document(entries).c_str(), stdout) < 0 ? 1 : 0;
        std::string name;
        if (!words.empty() && !words.front().starts_with("-")) {
            name = words.front();
            words.erase(words.begin());
        } else if (const auto at = std::find(words.begin(), words.end(), "--config"); at != words.end() && at + 1 != words.end()) {
            name = ConfigFile(*(at + 1)).method();
        }
        if (name.empty()) {
            std::string list = "usage: " + program + " METHOD [options]    (METHOD --help lists its options; --options prints all)\n\n";
            for (const auto& entry : entries) {
                list += "  " + entry.about.name;
                list.append(entry.about.name.size() < 16 ? 16 - entry.about.name.size() : 1, ' ');
                list += entry.about.text + "\n";
            }
            const bool wanted = words.empty() || words.front() == "--help" || words.front() == "-h";
            std::fputs(list.c_str(), wanted ? stdout : stderr);
            return wanted ? 0 : 2;
        }
        return detail::train(words, program + " " + name, methods::find_in(entries, name), own, {argv, argv + argc});
    };
    return exit_status_of(program, action, verbose);
}

}  // namespace doppel::cli
