// SPDX-License-Identifier: Apache-2.0
// device::CodeCache: what it keeps, what it does not believe, and that it is no error where it cannot write.
#include <doppel/device/code_cache.hpp>

#include "support/support.hpp"

#include <sys/wait.h>
#include <unistd.h>

using namespace doppel;
using namespace doppel::test;
using device::CodeCache;

TEST_CASE("CodeCache finds what it keeps, by the whole key") {
    const TemporaryFolder folder;
    const CodeCache cache(folder / "doppel/kernels");
    CHECK_FALSE(cache.find("sm_90 13.0\nint x;"));
    const std::string code("ELF\0\n\xFF", 6);
    cache.keep("sm_90 13.0\nint x;", code);
    CHECK(cache.find("sm_90 13.0\nint x;") == code);
    CHECK_FALSE(cache.find("sm_90 13.0\nint y;"));
    CHECK_FALSE(cache.find("sm_80 13.0\nint x;"));
    std::filesystem::copy_file(cache.file("sm_90 13.0\nint x;"), cache.file("other"));
    CHECK_FALSE(cache.find("other"));  // a file by that name with another key
    CHECK(CodeCache(folder / "doppel/kernels").find("sm_90 13.0\nint x;") == code);
}

TEST_CASE("CodeCache takes a damaged file for a missing one") {
    const TemporaryFolder folder;
    const CodeCache cache(folder.path());
    cache.keep("key", "machine code");
    const auto whole = read_text(cache.file("key"));
    for (const std::size_t size : {std::size_t{0}, std::size_t{5}, whole.size() - 13, whole.size() - 1}) {
        write_bytes(cache.file("key"), whole.substr(0, size));
        CHECK_FALSE(cache.find("key"));
    }
    auto changed = whole;
    changed.back() ^= 1;
    write_bytes(cache.file("key"), changed);
    CHECK_FALSE(cache.find("key"));
    cache.keep("key", "machine code");
    CHECK(cache.find("key") == "machine code");
}

TEST_CASE("CodeCache keeps nothing where it cannot write") {
    const TemporaryFolder folder;
    write_bytes(folder / "file", "");
    const CodeCache blocked(folder / "file/kernels"), none("");
    for (const auto* cache : {&blocked, &none}) {
        cache->keep("key", "code");
        CHECK_FALSE(cache->find("key"));
    }
}

TEST_CASE("CodeCache serves several processes at once") {
    const TemporaryFolder folder;
    const CodeCache cache(folder.path());
    const std::string code(100'000, 'x');
    std::vector<pid_t> children;
    for (int i = 0; i < 4; ++i) {
        const pid_t child = ::fork();
        if (child == 0) {
            bool whole = true;
            for (int k = 0; k < 20; ++k) {
                cache.keep("key", code);
                whole = whole && cache.find("key") == code;
            }
            ::_exit(whole ? 0 : 1);
        }
        children.push_back(child);
    }
    for (const pid_t child : children) {
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        CHECK(status == 0);
    }
    CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
}

TEST_CASE("compiled kernels are kept where XDG_CACHE_HOME or HOME say") {
    const auto with = [](const char* xdg, const char* home) {
        const auto set = [](const char* name, const char* value) { value ? ::setenv(name, value, 1) : ::unsetenv(name); };
        const char* const before[] = {std::getenv("XDG_CACHE_HOME"), std::getenv("HOME")};
        const std::string kept[] = {before[0] ? before[0] : "", before[1] ? before[1] : ""};
        set("XDG_CACHE_HOME", xdg);
        set("HOME", home);
        const auto folder = device::code_cache_folder().string();
        set("XDG_CACHE_HOME", before[0] ? kept[0].c_str() : nullptr);
        set("HOME", before[1] ? kept[1].c_str() : nullptr);
        return folder;
    };
    CHECK(with("/x", "/home/me") == "/x/doppel/kernels");
    CHECK(with(nullptr, "/home/me") == "/home/me/.cache/doppel/kernels");
    CHECK(with("relative", "/home/me") == "/home/me/.cache/doppel/kernels");
    CHECK(with(nullptr, nullptr).empty());
}
