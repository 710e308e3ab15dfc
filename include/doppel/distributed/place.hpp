// SPDX-License-Identifier: Apache-2.0
// Which process of a run this one is, as the program that started it says.
#pragma once

#include <doppel/core/error.hpp>

#include <charconv>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace doppel::distributed {

/// A process of a run, and where the processes meet.
struct Place {
    int rank = 0, size = 1;              ///< this process, and how many there are
    int local_rank = 0, local_size = 1;  ///< the same on this machine: which GPU to take
    std::string address = "127.0.0.1";   ///< of the machine where process 0 runs
    int port = 29500;
    bool store_is_served = false;        ///< by the program that started them; else process 0 serves it
    std::string attempt{};               ///< of a run that was restarted: its keys are apart
};

/// The value of an environment variable, or nothing.
using Environment = std::function<std::optional<std::string>(const char*)>;

inline std::optional<std::string> environment(const char* name) {
    const char* value = std::getenv(name);
    return value ? std::optional<std::string>(value) : std::nullopt;
}

namespace detail {

inline std::optional<int> number_in(const Environment& look, const char* name) {
    const auto text = look(name);
    if (!text) return std::nullopt;
    int value = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
    require(error == std::errc{} && end == text->data() + text->size(), name, " must be a number, got '", *text, "'");
    return value;
}

/// The first machine of a list as SLURM writes it: "gpu[03,07-12],login" → "gpu03".
inline std::string first_machine(std::string_view list) {
    const auto open = list.find_first_of("[,");
    if (open == std::string_view::npos || list[open] == ',') return std::string(list.substr(0, open));
    const auto end = list.find_first_of(",-]", open + 1);
    const auto close = list.find(']', open);
    require(end != std::string_view::npos && close != std::string_view::npos, "SLURM_JOB_NODELIST is no list of machines: '", list, "'");
    const auto after = list.find(',', close);
    return std::string(list.substr(0, open)) + std::string(list.substr(open + 1, end - open - 1)) +
           std::string(list.substr(close + 1, after == std::string_view::npos ? after : after - close - 1));
}

}  // namespace detail

/// Returns this process's place as torchrun (or --processes), mpirun or srun tell it; nothing if none of them started it, or it
/// is the only one.
///   torchrun: RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT
///   mpirun:   OMPI_COMM_WORLD_RANK, _SIZE, _LOCAL_RANK, _LOCAL_SIZE (Open MPI), PMI_RANK, PMI_SIZE (MPICH)
///   srun:     SLURM_PROCID, SLURM_NTASKS, SLURM_LOCALID, and the first machine of SLURM_JOB_NODELIST
/// With mpirun and srun, MASTER_ADDR and MASTER_PORT may say where process 0 runs; mpirun on several machines needs MASTER_ADDR.
/// Throws Error for variables that contradict each other.
inline std::optional<Place> place_from(const Environment& look) {
    const auto number = [&](const char* name) { return detail::number_in(look, name); };
    Place place;
    if (const auto address = look("MASTER_ADDR")) place.address = *address;
    if (const auto port = number("MASTER_PORT")) place.port = *port;
    std::string who;
    if (look("RANK") || look("WORLD_SIZE")) {
        who = "torchrun";
        const auto rank = number("RANK"), size = number("WORLD_SIZE");
        require(rank && size, "the environment has only one of RANK and WORLD_SIZE, which torchrun sets both; set the other, or neither");
        place.rank = *rank;
        place.size = *size;
        require(place.size == 1 || (look("MASTER_ADDR") && look("MASTER_PORT")),
                "RANK and WORLD_SIZE are set, but not MASTER_ADDR and MASTER_PORT: where process 0 can be reached");
        place.local_rank = number("LOCAL_RANK").value_or(place.rank);
        place.local_size = number("LOCAL_WORLD_SIZE").value_or(place.size);
        place.store_is_served = look("TORCHELASTIC_USE_AGENT_STORE") == "True";
        place.attempt = look("TORCHELASTIC_RESTART_COUNT").value_or("");
    } else if (const auto rank = number("OMPI_COMM_WORLD_RANK")) {
        who = "mpirun";
        place.rank = *rank;
        place.size = number("OMPI_COMM_WORLD_SIZE").value_or(1);
        place.local_rank = number("OMPI_COMM_WORLD_LOCAL_RANK").value_or(place.rank);
        place.local_size = number("OMPI_COMM_WORLD_LOCAL_SIZE").value_or(place.size);
        require(place.local_size == place.size || look("MASTER_ADDR"),
                "mpirun started processes on several machines: say where process 0 runs, mpirun -x MASTER_ADDR=HOST");
    } else if (const auto pmi = number("PMI_RANK"); pmi && !look("SLURM_PROCID")) {
        who = "mpirun";
        place.rank = place.local_rank = *pmi;
        place.size = place.local_size = number("PMI_SIZE").value_or(1);
    } else if (const auto slurm = number("SLURM_PROCID"); slurm && look("SLURM_STEP_ID")) {
        who = "srun";
        place.rank = *slurm;
        place.size = number("SLURM_STEP_NUM_TASKS").value_or(number("SLURM_NTASKS").value_or(1));
        place.local_rank = number("SLURM_LOCALID").value_or(0);
        if (const auto tasks = look("SLURM_STEP_TASKS_PER_NODE")) place.local_size = std::atoi(tasks->c_str());
        if (!look("MASTER_ADDR"))
            if (const auto machines = look("SLURM_STEP_NODELIST") ? look("SLURM_STEP_NODELIST") : look("SLURM_JOB_NODELIST"))
                place.address = detail::first_machine(*machines);
        if (!look("MASTER_PORT")) place.port = 20000 + number("SLURM_JOB_ID").value_or(0) % 20000;
    } else {
        return std::nullopt;
    }
    require(place.size >= 1 && place.rank >= 0 && place.rank < place.size, who, ": process ", place.rank, " of ", place.size,
            " cannot be; ranks are numbered from 0");
    require(place.port > 0 && place.port < 65536, "MASTER_PORT must be from 1 to 65535, got ", place.port);
    if (place.size == 1) return std::nullopt;
    return place;
}

inline std::optional<Place> place_from_environment() { return place_from(environment); }

}  // namespace doppel::distributed
