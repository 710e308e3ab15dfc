// SPDX-License-Identifier: Apache-2.0
#include <doppel/run/config.hpp>

#include "support/support.hpp"

#include <cstdlib>

using namespace doppel;
using namespace doppel::test;
namespace fs = std::filesystem;

TEST_CASE("config.json names the commit of the folder's repository, and whether files differ from it") {
    TemporaryFolder folder;
    const auto before = fs::current_path();
    fs::current_path(folder.path());
    CHECK(run::git_state() == "");
    const auto git = [](const std::string& command) {
        return std::system(("git -c user.name=t -c user.email=t@t " + command + " >/dev/null 2>&1").c_str()) == 0;
    };
    if (git("init")) {
        write_bytes(folder / "file", "one");
        CHECK(git("add file"));
        CHECK(git("commit -m one"));
        const auto commit = run::git_state();
        CHECK(commit.size() == 40);
        write_bytes(folder / "file", "two");
        CHECK(run::git_state() == commit + "-dirty");
    }
    fs::current_path(before);
}
