// SPDX-License-Identifier: Apache-2.0
// What a program writes to its outputs.
#pragma once

#include <unistd.h>

#include <cstdio>
#include <string>

namespace doppel::test {

/// Sends a file descriptor into a file for a scope.
class Capture {
public:
    explicit Capture(int descriptor) : descriptor_(descriptor), before_(::dup(descriptor)), file_(std::tmpfile()) {
        std::fflush(nullptr);
        ::dup2(::fileno(file_), descriptor_);
    }
    ~Capture() {
        std::fflush(nullptr);
        ::dup2(before_, descriptor_);
        ::close(before_);
        std::fclose(file_);
    }
    std::string text() {
        std::fflush(nullptr);
        std::rewind(file_);
        std::string all;
        for (int c; (c = std::fgetc(file_)) != EOF;) all += static_cast<char>(c);
        return all;
    }

private:
    int descriptor_, before_;
    std::FILE* file_;
};

}  // namespace doppel::test
