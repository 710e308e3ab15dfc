// SPDX-License-Identifier: Apache-2.0
// What torchrun, mpirun and srun say to a process.
#include <doppel/distributed/place.hpp>

#include "support/support.hpp"

#include <map>

using namespace doppel;
using namespace doppel::distributed;
using namespace doppel::test;

namespace {

std::optional<Place> from(const std::map<std::string, std::string>& variables) {
    return place_from([&](const char* name) {
        const auto found = variables.find(name);
        return found == variables.end() ? std::nullopt : std::optional(found->second);
    });
}

}  // namespace

TEST_CASE("torchrun, mpirun and srun say which process this is") {
    CHECK(!from({}));
    const auto torchrun = from({{"RANK", "3"}, {"WORLD_SIZE", "4"}, {"LOCAL_RANK", "1"}, {"LOCAL_WORLD_SIZE", "2"}, {"MASTER_ADDR", "a"},
                                {"MASTER_PORT", "1234"}, {"TORCHELASTIC_USE_AGENT_STORE", "True"}, {"TORCHELASTIC_RESTART_COUNT", "2"}});
    REQUIRE(torchrun);
    CHECK((torchrun->rank == 3 && torchrun->size == 4 && torchrun->local_rank == 1 && torchrun->local_size == 2));
    CHECK((torchrun->address == "a" && torchrun->port == 1234 && torchrun->store_is_served && torchrun->attempt == "2"));
    const auto mpirun = from({{"OMPI_COMM_WORLD_RANK", "1"}, {"OMPI_COMM_WORLD_SIZE", "2"}, {"OMPI_COMM_WORLD_LOCAL_RANK", "1"}, {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}});
    REQUIRE(mpirun);
    CHECK((mpirun->rank == 1 && mpirun->size == 2 && mpirun->address == "127.0.0.1" && !mpirun->store_is_served));
    const auto mpich = from({{"PMI_RANK", "1"}, {"PMI_SIZE", "2"}});
    CHECK((mpich && mpich->rank == 1 && mpich->size == 2));
    const auto srun = from({{"SLURM_PROCID", "5"}, {"SLURM_STEP_ID", "0"}, {"SLURM_NTASKS", "8"}, {"SLURM_LOCALID", "1"}, {"SLURM_JOB_ID", "41234"},
                            {"SLURM_STEP_TASKS_PER_NODE", "4(x2)"}, {"SLURM_JOB_NODELIST", "gpu[03,07-12],login"}});
    REQUIRE(srun);
    CHECK((srun->rank == 5 && srun->size == 8 && srun->local_rank == 1 && srun->local_size == 4));
    CHECK((srun->address == "gpu03" && srun->port == 21234));
    CHECK(!from({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "8"}}));  // in sbatch's script, not started by srun
    CHECK(!from({{"RANK", "0"}, {"WORLD_SIZE", "1"}}));
}

TEST_CASE("lists of machines") {
    CHECK(distributed::detail::first_machine("a") == "a");
    CHECK(distributed::detail::first_machine("a,b[1-2]") == "a");
    CHECK(distributed::detail::first_machine("n[001-004]") == "n001");
    CHECK(distributed::detail::first_machine("n[7,9]-x,b") == "n7-x");
    CHECK(mentions(message_of([] { distributed::detail::first_machine("n[7"); }), {"SLURM_JOB_NODELIST", "n[7"}));
}

TEST_CASE("variables that contradict each other are told") {
    CHECK(mentions(message_of([] { from({{"RANK", "0"}}); }), {"only one of RANK and WORLD_SIZE"}));
    CHECK(mentions(message_of([] { from({{"RANK", "0"}, {"WORLD_SIZE", "2"}}); }), {"MASTER_ADDR"}));
    CHECK(mentions(message_of([] { from({{"RANK", "2"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "a"}, {"MASTER_PORT", "1"}}); }), {"process 2 of 2", "from 0"}));
    CHECK(mentions(message_of([] { from({{"RANK", "x"}, {"WORLD_SIZE", "2"}}); }), {"RANK must be a number", "'x'"}));
    CHECK(mentions(message_of([] { from({{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "a"}, {"MASTER_PORT", "0"}}); }), {"MASTER_PORT", "got 0"}));
    CHECK(mentions(message_of([] { from({{"OMPI_COMM_WORLD_RANK", "0"}, {"OMPI_COMM_WORLD_SIZE", "2"}, {"OMPI_COMM_WORLD_LOCAL_SIZE", "1"}}); }), {"several machines", "MASTER_ADDR"}));
}
