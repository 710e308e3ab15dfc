// SPDX-License-Identifier: Apache-2.0
#include <doppel/run/command_text.hpp>

#include "support/support.hpp"

#include <cstdio>

using namespace doppel;

TEST_CASE("A command has quotes where a shell needs them") {
    using run::command_text;
    CHECK(command_text({"./run", "train", "--lr=0.1", "a:b,c@d%e+f_g-h"}) == "./run train --lr=0.1 a:b,c@d%e+f_g-h");
    CHECK(command_text({"my photos", "", "$HOME", "it's"}) == "'my photos' '' '$HOME' 'it'\\''s'");
    CHECK(command_text({}).empty());
}

TEST_CASE("A shell reads the words as they were") {
    const std::vector<std::string> words{"it's", "a  b", "$HOME `x` \\ \"", "*", "#", "\xC3\xA9"};
    auto all = words;
    all.insert(all.begin(), {"printf", "%s|"});
    std::FILE* pipe = ::popen(run::command_text(all).c_str(), "r");
    REQUIRE(pipe);
    char text[200] = "";
    const auto size = std::fread(text, 1, sizeof text - 1, pipe);
    ::pclose(pipe);
    std::string expected;
    for (const auto& word : words) expected += word + '|';
    CHECK(std::string(text, size) == expected);
}

TEST_CASE("The command of a run is that of its program, and doppel's own is started by ./run") {
    using run::command_of;
    using Words = std::vector<std::string>;
    CHECK(command_of(nlohmann::ordered_json::object()).empty());
    CHECK(command_of({{"program", "train simclr"}, {"command", Words{"--data", "my photos"}}}) == "./run train simclr --data 'my photos'");
    CHECK(command_of({{"program", "mine"}, {"command", Words{}}}) == "mine");
}
